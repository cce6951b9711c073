// SPDX-License-Identifier: GPL-3.0-only
//! The lines that `setup` prints and the parameter file it writes.
//!
//! Every part was checked to be free of anything a shell would touch, but for the paths of files,
//! which are quoted.

use std::fmt::Write;
use std::path::Path;

use super::{AclPath, PRIVILEGES, Plan};

/// Shell commands for a node, with comments between them; they can be pasted as they are.
pub fn commands(plan: &Plan) -> String {
    let (user, token, role) = (&plan.user, plan.token(), &plan.role);
    let mut text = format!(
        "# On a node of the cluster, as root (PVE 8 and 9):\n\
         pveum role add {role} --privs '{PRIVILEGES}'\n\
         pveum user add {user} --comment 'takes and removes snapshots'\n"
    );
    for path in granted_paths(&plan.paths) {
        write_line(
            &mut text,
            &format!("pveum acl modify {path} --users {user} --roles {role}"),
        );
    }
    text.push_str(
        "\n# The token has privileges of its own, which PVE cuts down to those of its user.\n\
         # Its secret is shown once, as \"value\".\n",
    );
    write_line(
        &mut text,
        &format!("pveum user token add {user} {} --privsep 1", plan.token_id),
    );
    for path in granted_paths(&plan.paths) {
        write_line(
            &mut text,
            &format!("pveum acl modify {path} --tokens '{token}' --roles {role}"),
        );
    }
    text.push_str(&closing(plan));
    text
}

/// The token's file and a first test, for the machine that runs this program.
fn closing(plan: &Plan) -> String {
    let token_file = quoted(&plan.token_file);
    let folder = plan
        .token_file
        .parent()
        .filter(|path| !path.as_os_str().is_empty());
    let mut text = "\n# On the machine that takes the snapshots: a file that only you can read.\n\
                    # Put one line into it with an editor, with the secret for VALUE:\n"
        .to_owned();
    write_line(&mut text, &format!("#   {}=VALUE", plan.token()));
    if let Some(folder) = folder {
        write_line(&mut text, &format!("mkdir -p {}", quoted(folder)));
    }
    write_line(&mut text, &format!("( umask 077; touch {token_file} )"));
    text.push_str("\n# Then see whether anything is missing:\n");
    let parameters = match (&plan.write, &plan.hosts) {
        (Some(file), _) => format!("@{}", quoted(file)),
        (None, hosts) => {
            let hosts = hosts.as_deref().unwrap_or("HOST");
            format!("--host='{hosts}' --api-token=file:{token_file}")
        }
    };
    write_line(
        &mut text,
        &format!("#   cv4pve-autosnap {parameters} check"),
    );
    text
}

/// A file for `@FILE`: the connection, and the guests the token may snapshot.
pub fn parameter_file(plan: &Plan) -> String {
    let guests: Vec<String> = plan.paths.iter().filter_map(guests_of).collect();
    let guests = if guests.is_empty() {
        "@all".to_owned()
    } else {
        guests.join(",")
    };
    format!(
        "# Parameters of cv4pve-autosnap: cv4pve-autosnap @THIS-FILE snap --label=daily --keep=7\n\
         --host={}\n\
         # Pin the certificates that `cv4pve-autosnap fingerprint --host=…` shows, after comparing them:\n\
         # --fingerprint=AA:BB:…\n\
         --api-token=\"file:{}\"\n\
         --vmid={guests}\n",
        plan.hosts.as_deref().unwrap_or_default(),
        plan.token_file.display(),
    )
}

/// What `--vmid` says for a path; nothing for storages.
fn guests_of(path: &AclPath) -> Option<String> {
    match (path.pool(), path.vmid()) {
        (Some(pool), _) => Some(format!("@pool-{pool}")),
        (None, Some(vmid)) => Some(vmid.to_owned()),
        (None, None) => matches!(path.as_str(), "/" | "/vms").then(|| "@all".to_owned()),
    }
}

/// The paths asked for, and `/storage` if none of them shows how full the storages are: without
/// it the limit of `--max-perc-storage` would protect nothing. On `/storage` the role's other
/// privileges mean nothing.
fn granted_paths(paths: &[AclPath]) -> Vec<&str> {
    let mut granted: Vec<&str> = paths.iter().map(AclPath::as_str).collect();
    let names_storages =
        |path: &AclPath| path.covers_storages() || path.as_str().starts_with("/storage/");
    if !paths.iter().any(names_storages) {
        granted.push("/storage");
    }
    granted
}

fn write_line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes every text");
}

/// In single quotes, as every POSIX shell reads it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
