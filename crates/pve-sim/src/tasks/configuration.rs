// SPDX-License-Identifier: GPL-3.0-only
//! Changes of a configuration (`update_vm_api` in `PVE/API2/Qemu.pm`, `update_vm` in
//! `PVE/API2/LXC/Config.pm`). They take effect immediately, even if PVE would have to restart a
//! running guest.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::Seconds;
use crate::world::guest::{Guest, GuestKind, stored_description};
use crate::world::{ErrorText, World};

use super::creation::check_lock;
use super::runner::StepResult;
use super::{ConfigChange, TaskStage};

/// The task of `POST …/config`.
pub(super) fn step(
    world: &mut World,
    index: usize,
    at: Seconds,
    changes: &[ConfigChange],
    digest: Option<&str>,
) -> StepResult {
    let since = match world.task(index).stage {
        TaskStage::Begin { since } => since,
        TaskStage::Queued | TaskStage::Volumes | TaskStage::Finish => at,
    };
    world.with_lock(index, since, at, |world| {
        let vmid = world.task(index).vmid;
        world.log(index, command_line(vmid, changes));
        let quorum = world.check_quorum(index);
        let task = world.task(index);
        let (kind, node) = (task.guest_kind, task.upid.node.clone());
        let guest = world.guest_on_mut(kind, &node, vmid)?;
        check_digest(guest, digest)?;
        check_lock(guest)?;
        quorum?;
        change_config(guest, changes);
        Ok(StepResult::Done(Ok(())))
    })
}

/// Fails if the configuration has changed since the caller read it.
pub(crate) fn check_digest(guest: &Guest, expected: Option<&str>) -> Result<(), ErrorText> {
    if expected.is_none_or(|digest| digest.is_empty() || digest == guest.digest()) {
        return Ok(());
    }
    Err(match guest.kind {
        GuestKind::Qemu => "checksum mismatch (file change by other user?)",
        GuestKind::Lxc => {
            "detected modified configuration - file changed by other user? Try again."
        }
    }
    .to_owned())
}

/// Sets and removes options. Their effect on the running guest or its disks is not simulated.
pub(crate) fn change_config(guest: &mut Guest, changes: &[ConfigChange]) {
    for (key, value) in changes {
        match (key.as_str(), value) {
            ("lock", value) => {
                guest.lock = value.as_ref().and_then(Value::as_str).map(str::to_owned);
            }
            (_, None) => set(guest, key, None),
            ("tags", Some(Value::String(tags))) => set(guest, key, stored_tags(tags)),
            ("description", Some(Value::String(text))) => {
                let stored = stored_description(guest.kind, text);
                set(guest, key, stored.map(Value::from));
            }
            (_, Some(value)) => set(guest, key, Some(value.clone())),
        }
    }
}

fn set(guest: &mut Guest, key: &str, value: Option<Value>) {
    let config = Arc::make_mut(&mut guest.config);
    match value {
        Some(value) => config.insert(key.to_owned(), value),
        None => config.remove(key),
    };
}

/// Tags in lower case, sorted, without duplicates (`get_unique_tags` in `PVE/GuestHelpers.pm`, with
/// the settings of a new cluster).
fn stored_tags(tags: &str) -> Option<Value> {
    let unique: BTreeSet<String> = tags
        .split([',', ';', ' ', '\t', '\n', '\0'])
        .filter(|tag| !tag.is_empty())
        .map(str::to_lowercase)
        .collect();
    let joined = unique.into_iter().collect::<Vec<_>>().join(";");
    (!joined.is_empty()).then(|| Value::from(joined))
}

/// Formats `update VM 106: -description async`.
fn command_line(vmid: u32, changes: &[ConfigChange]) -> String {
    let removed: Vec<&str> = changes
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(key, _)| key.as_str())
        .collect();
    let mut options: Vec<(&str, String)> = changes
        .iter()
        .filter_map(|(key, value)| {
            let value = value.as_ref()?;
            Some((key.as_str(), crate::schema::perl_text(value).into_owned()))
        })
        .collect();
    if !removed.is_empty() {
        options.push(("delete", removed.join(",")));
    }
    options.sort();
    let options: Vec<String> = options
        .into_iter()
        .map(|(key, value)| format!(" -{key} {value}"))
        .collect();
    format!("update VM {vmid}:{}", options.concat())
}
