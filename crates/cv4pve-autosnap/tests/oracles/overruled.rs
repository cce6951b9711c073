// SPDX-License-Identifier: GPL-3.0-only
//! Cases of the C# tool that a rule of this program overrules: the expected result (`want`) is older than the rule.

/// Cases, and the rule that their `want` contradicts.
pub(crate) struct Overruled {
    /// IDs of the cases.
    pub(crate) cases: &'static [&'static str],
    /// The rule.
    pub(crate) rule: &'static str,
}

/// All overruled cases. A case whose result is as expected fails the test, so that the list has no
/// needless entries.
pub(crate) const OVERRULED: &[Overruled] = &[
    Overruled {
        cases: &[
            "select-b023",
            "select-b058",
            "select-b064",
            "select-b167",
            "select-c070",
            "select-c072",
            "select-e-fmt-typo-Y",
        ],
        rule: "Snapshots in another timestamp format are not of the series, the default format included.",
    },
    Overruled {
        cases: &[
            "select-b067",
            "select-b131",
            "select-d-dst-clean",
            "select-d-outoforder",
        ],
        rule: "A snapshot is kept if the time in its name cannot be the time at which it was taken.",
    },
    Overruled {
        cases: &[
            "migrate-c99e-clean-stale-exclusion",
            "migrate2-v23",
            "select-d-nopool-excl",
        ],
        rule: "clean does nothing if an exclusion matches no guest.",
    },
    Overruled {
        cases: &["migrate-c101-backlog-default"],
        rule: "A run removes at most 20 snapshots of a guest (--max-removals-per-guest).",
    },
    Overruled {
        cases: &["flow-f-create-33s"],
        rule: "The default --timeout is 600 seconds.",
    },
    Overruled {
        cases: &["select-c103"],
        rule: "An option given twice with different values is an error.",
    },
    Overruled {
        cases: &["flow-g-task-500"],
        rule: "A task that cannot be read is searched for in the node's tasks, and the run continues when it has ended.",
    },
    Overruled {
        cases: &["flow-s-limit100"],
        rule: "A disk on a storage that is disabled or not of the guest's node cannot be snapshotted.",
    },
    Overruled {
        cases: &["select-c075", "select-c076"],
        rule: "status lists snapshots in the default format if the one given cannot be used.",
    },
    Overruled {
        cases: &["select-a061"],
        rule: "@TAG-x is @tag-x for snap and status.",
    },
    Overruled {
        cases: &["flow-s1-ct-zero"],
        rule: "A container without a root filesystem cannot be snapshotted.",
    },
];
