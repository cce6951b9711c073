// SPDX-License-Identifier: GPL-3.0-only
//! The part of the report before the first guest: the request, the storages, the nested pools, the guests left out.

use autosnap_core::event::{Command, Header, SerialReason};
use autosnap_core::guest::Vmid;
use autosnap_core::select::NestedPools;
use autosnap_core::storage::{StorageLimit, StorageUsage, StorageVerdict};

use crate::report::units::{boolean, bytes, decimals};
use crate::report::{Lines, warnings};

/// The request.
pub(super) fn head(header: &Header) -> Lines {
    let action = match header.command {
        Command::Snap => "Snap",
        Command::Clean => "Clean",
    };
    let mut text = Lines::default();
    text.line(format_args!("ACTION {action}"));
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        text.line(format_args!("{name:<18}{value}"));
    };
    line("PVE Version:", &header.pve_version);
    line("VMs:", &header.selection);
    line("Label:", &header.label);
    line("Keep:", &keep(header));
    if header.keep.is_none() {
        line("Time zone:", &header.timezone);
    }
    if !header.adopted_labels.is_empty() {
        let labels = header.adopted_labels.join(", ");
        line(
            "Adopted labels:",
            &format_args!("owns the snapshots of labels {labels}"),
        );
    }
    if header.command == Command::Snap {
        line("State:", &boolean(header.with_ram));
        line("Only running:", &boolean(header.only_running));
    }
    line(
        "Timeout:",
        &format_args!("{} sec.", decimals(header.timeout.as_secs_f64(), 1)),
    );
    line("Timestamp format:", &header.timestamp_format);
    if header.command == Command::Snap {
        line("Max % Storage :", &header.max_percent_storage);
    }
    let options = header.serial_reasons.iter().map(|reason| option(*reason));
    let options = options.collect::<Vec<_>>().join(" and ");
    if !options.is_empty() {
        line(
            "One at a time:",
            &format_args!("for {options}; more with --max-parallel"),
        );
    }
    // Not on stderr: cron sends a mail for it.
    for warning in &header.warnings {
        text.line(format_args!("WARNING: {}", warnings::text(warning)));
    }
    text
}

/// The option for which a run works on one guest at a time.
fn option(reason: SerialReason) -> &'static str {
    match reason {
        SerialReason::Hook => "--script",
        SerialReason::Ram => "--state",
    }
}

/// The number of `--keep`, or the rules; with the default of `keep-last` named.
fn keep(header: &Header) -> String {
    let mut text = header.keep_text();
    if header.has_default_keep_last {
        text.push_str(" (keep-last is 1 unless it is given)");
    }
    text
}

/// The storages of the selected guests' nodes.
pub(super) fn storage_table(storages: &[StorageUsage], limit: StorageLimit) -> Lines {
    let mut text = Lines::default();
    if storages.is_empty() {
        text.line("----- POSSIBLE PROBLEM PERMISSION 'Datastore.Audit' -----");
        return text;
    }
    let mut line = |cells: [&str; 6]| {
        let [storage, kind, valid, used, size, usage] = cells;
        text.line(format_args!(
            "{storage:>25}{kind:>10}{valid:>10}{used:>10}{size:>12}{usage:>12}"
        ));
    };
    line([
        "Storage",
        "Type",
        "Valid",
        "Used % ",
        "Disk Size",
        "Disk Usage",
    ]);
    for storage in storages {
        let (valid, percent) = match storage.verdict(limit) {
            StorageVerdict::Ok { percent } => ("Ok", percent),
            StorageVerdict::Full { percent, .. } => ("Ko", percent),
            StorageVerdict::NotCheckable { .. } => ("n/a", 0.0),
        };
        line([
            &format!("{}/{}", storage.node, storage.storage),
            &storage.kind,
            valid,
            &decimals(percent, 1),
            &bytes(storage.total),
            &bytes(storage.used),
        ]);
    }
    text
}

/// The nested pools whose guests are selected, which the C# tool up to 2.0.1 does not select.
pub(super) fn nested(pools: &[NestedPools]) -> Lines {
    let mut lines = Lines::default();
    for pools in pools {
        lines.line(pools);
    }
    lines
}

/// The number of guests that are left out because of their tag, if there are any.
pub(super) fn left_out(tagged_off: &[Vmid]) -> Lines {
    let mut lines = Lines::default();
    if !tagged_off.is_empty() {
        let guests = if tagged_off.len() == 1 {
            "guest"
        } else {
            "guests"
        };
        let vmids = warnings::limited(tagged_off.iter().map(ToString::to_string));
        lines.line(format_args!(
            "Tag autosnap-off: {} {guests} left out ({vmids})",
            tagged_off.len()
        ));
    }
    lines
}

/// The lines if no guest is selected. If the login sees other guests, the warnings about the terms explain it.
pub(super) fn nothing_selected(selection: &str, visible: usize, may_be_empty: bool) -> Lines {
    let mut text = Lines::default();
    if may_be_empty {
        text.line(format_args!(
            "No guest is selected by '{selection}' (--allow-empty)"
        ));
        return text;
    }
    text.line(format_args!("----- VMs with '{selection}' NOT FOUND -----"));
    if visible == 0 {
        text.line("----- POSSIBLE PROBLEM PERMISSION 'VM.Audit' -----");
    }
    if selection.to_ascii_lowercase().contains("@pool-") {
        text.line("----- POSSIBLE PROBLEM PERMISSION 'Pool.Audit' -----");
    }
    text
}
