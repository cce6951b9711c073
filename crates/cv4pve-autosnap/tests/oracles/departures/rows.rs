// SPDX-License-Identifier: GPL-3.0-only
//! The rows of the table "What differs".

/// A row of the table.
pub(super) struct Departure {
    /// The text of the first column.
    pub(super) row: &'static str,
    /// Cases of the C# tool that show the difference.
    pub(super) cases: &'static [&'static str],
    /// If no case can show it: a text of `compatibility.md`, which describes how it was measured or
    /// read.
    pub(super) source: Option<&'static str>,
    /// Parts of the reasons for which cases differ from the C# tool.
    pub(super) reasons: &'static [&'static str],
}

/// All rows, in the order of the table.
pub(super) const DEPARTURES: &[Departure] = &[
    Departure {
        row: "Storage limit",
        cases: &["flow-2-full", "migrate2-c08-storage90-max80"],
        source: None,
        reasons: &["the storage check works", "storage check fires"],
    },
    Departure {
        row: "Wildcards",
        cases: &["select-d-wild-start", "select-d-wild-excl"],
        source: None,
        reasons: &["web% means starts with"],
    },
    Departure {
        row: "Pools and exclusions",
        cases: &["select-d-excl-pool", "select-a100", "migrate-c39b-pool-tag"],
        source: None,
        reasons: &[
            "an exclusion and a pool know each other's guests",
            "the exclusion is heeded",
        ],
    },
    Departure {
        row: "Excluded ranges",
        cases: &["select-d-negrange", "select-a243"],
        source: None,
        reasons: &["an excluded range adds nobody"],
    },
    Departure {
        row: "Similar labels",
        cases: &["select-e-hour-snap", "select-d-cross-label"],
        source: None,
        reasons: &[
            "a label never catches another",
            "a name whose rest is no timestamp",
            "only names whose rest is a timestamp",
        ],
    },
    Departure {
        row: "Newest snapshot",
        cases: &["select-d-outoforder", "select-d-equal"],
        source: None,
        reasons: &[
            "newest by snaptime, not by name",
            "the newest is kept, whatever its name",
            "equal times are ordered by name",
            "the new snapshot counts whatever its format",
        ],
    },
    Departure {
        row: "Timeout",
        cases: &["flow-f-create-slow", "cli2-Z-timeout-0-fast"],
        source: None,
        reasons: &[
            "--timeout holds, as in 2.0.1",
            "in 1.17.0 it never fires",
            "0 is refused",
            "C# calls what still runs failed",
        ],
    },
    Departure {
        row: "Formats of varying width",
        cases: &["select-d-fmt-var-snap", "select-d-fmt-var-clean"],
        source: None,
        reasons: &["formats of varying width are cleaned up"],
    },
    Departure {
        row: "Exit status",
        cases: &[
            "migrate-c26-tags-typo",
            "flow-g-res-403",
            "migrate2-u12-nokeep",
        ],
        source: None,
        reasons: &[
            "exit 2",
            "exit 3",
            "usage error 2",
            "C# exits 0 and does nothing",
        ],
    },
    Departure {
        row: "Removal",
        cases: &["migrate-c46-replication", "select-d-half-state"],
        source: None,
        reasons: &[
            "without force=1 PVE refuses what replication needs",
            "half-removed snapshots are left alone",
        ],
    },
    Departure {
        row: "Refused removals",
        cases: &["flow-q-clean-del-403", "flow-q-del-drop-after"],
        source: None,
        reasons: &[
            "1.17.0 reports success when a removal is refused",
            "in 1.17.0 a refused or lost removal counts as done",
            "a lost answer is looked up",
        ],
    },
    Departure {
        row: "Error lines",
        cases: &["flow-g-res-500"],
        source: None,
        reasons: &["but the words: ERROR is not on stdout"],
    },
    Departure {
        row: "Dry run",
        cases: &["migrate2-r5-dry", "migrate-c23-dry-run-after"],
        source: None,
        reasons: &[
            "dry run counts the new snapshot",
            "exit 0 as in 2.0.1 and the removals are listed",
            "1.17 exits 1",
            "the removal is counted",
            "additional text behind the name",
        ],
    },
    Departure {
        row: "Locked guests",
        cases: &[],
        source: Some("a locked guest included"),
        reasons: &[],
    },
    Departure {
        row: "Guests Proxmox VE cannot snapshot",
        cases: &["flow-s1-ct-bind", "migrate-c20-physical-disk"],
        source: None,
        reasons: &[
            "skipped with its reason, exit 0",
            "--strict counts it",
            "skipped with the disk named",
            "skipped with the mount point named",
            "bind mount is a skip",
        ],
    },
    Departure {
        row: "Guests of an offline node",
        cases: &["flow-x-one-offline", "select-d-off-all"],
        source: None,
        reasons: &[
            "a guest on an offline node",
            "exit 1 as C# 2.2",
            "1.17 and 2.0.1 do not even name the guest",
            "the offline guests count as failed",
        ],
    },
    Departure {
        row: "Names while a node is offline",
        cases: &["select-d-off-name", "select-d-off-excl-name"],
        source: None,
        reasons: &[
            "names and exclusions work with a node offline",
            "names work with a node offline",
            "exclusions by name work with a node offline",
        ],
    },
    Departure {
        row: "No guest selected",
        cases: &["select-d-none-clean", "flow-t-nobody-snap"],
        source: None,
        reasons: &["no guest selected is", "exit 1 when nothing was selected"],
    },
    Departure {
        row: "Terms that select no guest",
        cases: &["select-d-trailing-comma"],
        source: None,
        reasons: &[],
    },
    Departure {
        row: "Invalid terms",
        cases: &["select-d-range-down"],
        source: None,
        reasons: &["a term that is none is refused"],
    },
    Departure {
        row: "Exclusions that match no guest",
        cases: &["select-d-nopool-excl"],
        source: None,
        reasons: &[],
    },
    Departure {
        row: "Only exclusions",
        cases: &["migrate-c27-only-exclusion"],
        source: None,
        reasons: &["exclusions only are an error"],
    },
    Departure {
        row: "Nested pools",
        cases: &["select-d-nested-snap", "select-d-nested-direct"],
        source: None,
        reasons: &["nested pools", "a nested pool can be named"],
    },
    Departure {
        row: "Groups without a name, a single `%`",
        cases: &["select-d-percent", "select-d-untagged"],
        source: None,
        reasons: &[
            "a % that cannot be meant is refused",
            "% alone is refused",
            "a group without a name is refused",
            "@tag- without a name is refused",
        ],
    },
    Departure {
        row: "Signs before an ID",
        cases: &["select-a049"],
        source: None,
        reasons: &["a sign is no part of an ID"],
    },
    Departure {
        row: "Keywords",
        cases: &["select-a001"],
        source: None,
        reasons: &["keywords ignore case"],
    },
    Departure {
        row: "Combined terms",
        cases: &[],
        source: Some("terms that can match nobody (empty, `99`, `110:105`, `@word`) are ignored"),
        reasons: &[],
    },
    Departure {
        row: "Tag `autosnap-off`",
        cases: &[],
        source: Some("guests with the tag"),
        reasons: &[],
    },
    Departure {
        row: "Blanks in a selection",
        cases: &["select-a056"],
        source: None,
        reasons: &["blanks around a term are ignored"],
    },
    Departure {
        row: "Tags",
        cases: &["select-e-tag-y"],
        source: None,
        reasons: &["tags may be separated by comma and blank"],
    },
    Departure {
        row: "Guests selected twice",
        cases: &["select-d-dup-pool", "select-f-status-dup"],
        source: None,
        reasons: &["each guest once"],
    },
    Departure {
        row: "Order of guests",
        cases: &["select-a012", "select-c014"],
        source: None,
        reasons: &[
            "rows by node, then ID",
            "rows of one guest and second are ordered by name",
        ],
    },
    Departure {
        row: "Parallelism",
        cases: &[],
        source: Some("while a hook is given one guest at a time unless"),
        reasons: &[],
    },
    Departure {
        row: "One guest's failure",
        cases: &["flow-g-config-403"],
        source: None,
        reasons: &["one guest's failure does not stop the others"],
    },
    Departure {
        row: "Guests without a name",
        cases: &[],
        source: Some("Guests without a `name` in `/cluster/resources` do not disturb"),
        reasons: &[],
    },
    Departure {
        row: "`WARNINGS: n` of a task",
        cases: &["flow-f-create-warn"],
        source: None,
        reasons: &["WARNINGS: n is success with a note"],
    },
    Departure {
        row: "Storages the login cannot see",
        cases: &["flow-t-no-datastore-audit", "flow-g-pool-403"],
        source: None,
        reasons: &[
            "1.17.0 skips every guest whose storage it may not see",
            "pools are read from /cluster/resources",
        ],
    },
    Departure {
        row: "Storages without usage figures",
        cases: &["migrate2-c09-storage-used0"],
        source: None,
        reasons: &[
            "a storage without figures or with nothing used does not block",
            "a storage with nothing used does not block",
        ],
    },
    Departure {
        row: "Unusable labels and formats",
        cases: &["select-d-FFF", "migrate-c14-accent-label", "select-d-zz"],
        source: None,
        reasons: &[
            "a format or label that cannot work is refused",
            "a label or format that cannot work is refused",
            "an empty label is refused",
            "FFF is refused",
            "a format with the zone is refused",
            "refused before any",
        ],
    },
    Departure {
        row: "Snapshots in another format",
        cases: &["select-b058"],
        source: None,
        reasons: &[],
    },
    Departure {
        row: "Impossible times",
        cases: &["select-d-dst-clean"],
        source: None,
        reasons: &[],
    },
    Departure {
        row: "Position of options",
        cases: &["migrate-c28-format-after-clean"],
        source: None,
        reasons: &["options on either side"],
    },
    Departure {
        row: "Options given twice",
        cases: &["select-c103"],
        source: None,
        reasons: &[],
    },
    Departure {
        row: "Values of spaces only",
        cases: &["select-c055"],
        source: None,
        reasons: &["blank values mean none"],
    },
    Departure {
        row: "Token",
        cases: &[],
        source: Some("measured: a user without a password is an error even then"),
        reasons: &[],
    },
    Departure {
        row: "Hosts",
        cases: &[],
        source: Some("a silent one after 140 s"),
        reasons: &[],
    },
    Departure {
        row: "Tickets",
        cases: &[],
        source: Some("C# never renews it and long runs die"),
        reasons: &[],
    },
    Departure {
        row: "Certificates",
        cases: &[],
        source: Some("certificate fingerprint and CA file"),
        reasons: &[],
    },
    Departure {
        row: "`TIME` of `status`",
        cases: &["migrate2-c17b-json-rome", "select-c039"],
        source: None,
        reasons: &["TIME is local", "TIME local as"],
    },
    Departure {
        row: "`status -o Json`",
        cases: &[],
        source: Some("here JSON `[]`"),
        reasons: &[],
    },
    Departure {
        row: "Job phases of hooks",
        cases: &[],
        source: Some("1.17.0 never calls the job phases"),
        reasons: &[],
    },
    Departure {
        row: "`snap-create-post`",
        cases: &[],
        source: Some("here `snap-create-post` follows with STATE 0"),
        reasons: &[],
    },
    Departure {
        row: "Return code of hooks",
        cases: &[],
        source: Some("C# never prints the return code"),
        reasons: &[],
    },
    Departure {
        row: "`VMSTATE` of hooks",
        cases: &[],
        source: Some("`VMSTATE` (1 with RAM)"),
        reasons: &[],
    },
    Departure {
        row: "Output and duration of hooks",
        cases: &[],
        source: Some("the hook itself is waited for, too"),
        reasons: &[],
    },
    Departure {
        row: "Agent",
        cases: &[],
        source: Some("C# misses the second"),
        reasons: &[],
    },
];
