// SPDX-License-Identifier: GPL-3.0-only
//! The privileges that a run needs, and the `pveum` lines that grant them.

use autosnap_core::text::shell_word;

/// What a run needs: to see guests, to snapshot them, to see how full storages are, to see pools.
pub(crate) const PRIVILEGES: &str = "VM.Audit,VM.Snapshot,Datastore.Audit,Pool.Audit";

/// The role, unless another name is asked for.
pub(crate) const ROLE: &str = "Autosnap";

/// The line that makes the role.
pub(crate) fn role_line() -> String {
    format!("pveum role add {ROLE} --privs '{PRIVILEGES}'")
}

/// The line that gives the role on a path to a user, or to a token, which is known by its `!`.
///
/// It names one party only. A token whose privileges are separated needs its own and its user's; but
/// the nearest entry replaces all inherited ones (`roles` in `PVE/AccessControl.pm`),
/// so that the role, given to a user who has more from above, would take that away.
pub(crate) fn grant(path: &str, identity: &str) -> String {
    let whom = if identity.contains('!') {
        "tokens"
    } else {
        "users"
    };
    let path = shell_word(path, "PATH");
    let identity = identity.replace('\'', r"'\''");
    format!("pveum acl modify {path} --{whom} '{identity}' --roles {ROLE}")
}
