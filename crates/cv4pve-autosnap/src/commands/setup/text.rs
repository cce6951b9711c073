// SPDX-License-Identifier: GPL-3.0-only
//! The commands that `setup` prints and the parameter file that it writes.
//!
//! File paths are quoted; all other parts contain no special characters of a shell.

use std::fmt::Write;
use std::path::Path;

use crate::privileges::PRIVILEGES;

use super::{AclPath, FOLDER, JobFile, Plan, TOKEN_NAME};

/// How many snapshots of a guest the parameter file keeps.
const KEEP: u32 = 7;
/// Job names that are a schedule of systemd.
const SCHEDULES: [&str; 9] = [
    "minutely",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "semiannually",
    "yearly",
    "annually",
];

/// Shell commands to paste on a node, with comments.
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
        "\n# The token has its own privileges; PVE limits them to the privileges of its user.\n\
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
    text.push_str("\n# Then check for problems:\n");
    let parameters = match (&plan.write, &plan.hosts) {
        (Some(file), _) => format!("@{}", quoted(&file.path)),
        (None, hosts) => {
            let hosts = hosts.as_deref().unwrap_or("HOST");
            format!("--host='{hosts}' --api-token=file:{token_file}")
        }
    };
    write_line(
        &mut text,
        &format!("#   cv4pve-autosnap {parameters} check"),
    );
    if let Some(file) = &plan.write {
        text.push_str(&written(plan, file));
    }
    text
}

/// Comments on the parameter file and its timer.
fn written(plan: &Plan, file: &JobFile) -> String {
    let label = &file.label;
    let mut text = format!(
        "\n# Written: {}\n\
         #   label {label} (the name of the file), keep {KEEP}, guests {}, token in {}\n",
        file.path.display(),
        guests(plan),
        plan.token_file.display(),
    );
    let folder = Path::new(FOLDER);
    if file.path.parent() != Some(folder) || plan.token_file != folder.join(TOKEN_NAME) {
        return text
            + &format!(
                "# The timers of the packages run the files in {FOLDER}, with the token in {FOLDER}/{TOKEN_NAME}.\n"
            );
    }
    if !SCHEDULES.contains(&label.as_str()) {
        write_line(
            &mut text,
            &format!(
                "# A timer runs it when its name is a schedule, such as daily, or when OnCalendar= is set by:\n\
                 #   systemctl edit cv4pve-autosnap@{label}.timer"
            ),
        );
    }
    text + &format!(
        "# To enable the package's timer for this job:\n\
         #   systemctl enable --now cv4pve-autosnap@{label}.timer\n"
    )
}

/// The parameter file with all options of the job.
pub fn parameter_file(plan: &Plan, file: &JobFile) -> String {
    format!(
        "# A job of cv4pve-autosnap: cv4pve-autosnap @{} snap\n\
         --host={}\n\
         # Pin the certificates that `cv4pve-autosnap fingerprint --host=…` shows, after comparing them:\n\
         # --fingerprint=AA:BB:…\n\
         --api-token=\"file:{}\"\n\
         --vmid={}\n\
         --label={}\n\
         --keep={KEEP}\n",
        file.path.display(),
        plan.hosts.as_deref().unwrap_or_default(),
        plan.token_file.display(),
        guests(plan),
        file.label,
    )
}

/// The guests that the token may snapshot, for `--vmid`.
fn guests(plan: &Plan) -> String {
    let guests: Vec<String> = plan.paths.iter().filter_map(guests_of).collect();
    if guests.is_empty() {
        "@all".to_owned()
    } else {
        guests.join(",")
    }
}

/// The term of `--vmid` for a path; `None` for storages.
fn guests_of(path: &AclPath) -> Option<String> {
    match (path.pool(), path.vmid()) {
        (Some(pool), _) => Some(format!("@pool-{pool}")),
        (None, Some(vmid)) => Some(vmid.to_owned()),
        (None, None) => matches!(path.as_str(), "/" | "/vms").then(|| "@all".to_owned()),
    }
}

/// The requested paths, and `/storage` if none of them covers storages.
///
/// Without it the usage of storages is not visible, and `--max-perc-storage` has no effect. The role's other privileges
/// have no effect on `/storage`.
fn granted_paths(paths: &[AclPath]) -> Vec<&str> {
    let mut granted: Vec<&str> = paths.iter().map(AclPath::as_str).collect();
    let has_storages =
        |path: &AclPath| path.covers_storages() || path.as_str().starts_with("/storage/");
    if !paths.iter().any(has_storages) {
        granted.push("/storage");
    }
    granted
}

fn write_line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a string does not fail");
}

/// The path in single quotes for a POSIX shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
