// SPDX-License-Identifier: GPL-3.0-only
//! The comparison of a plan with other rules, for people: guest by guest, those with differences first.

use autosnap_core::guest::Guest;
use autosnap_core::plan::{Comparison, GuestComparison};

use super::{Lines, messages, plan};

/// All guests, then the totals.
pub(super) fn text(comparison: &Comparison) -> Lines {
    let mut lines = Lines::default();
    lines.line(format_args!("{:<18}{}", "Compared with:", comparison.rules));
    let differ = |guest: &&GuestComparison| !guest.differences.is_empty();
    for guest in comparison.guests.iter().filter(differ) {
        block(&mut lines, guest);
    }
    let same = comparison.guests.iter().filter(|guest| !differ(guest));
    let same: Vec<&Guest> = same.map(|guest| &guest.guest).collect();
    listed(&mut lines, "No difference:", &same);
    let not_compared: Vec<&Guest> = comparison.not_compared.iter().collect();
    listed(&mut lines, "Not compared:", &not_compared);
    let (own, other) = (comparison.own(), comparison.other());
    lines.line(format_args!(
        "this policy: keep {}, remove {}; the other: keep {}, remove {}",
        own.kept, own.removed, other.kept, other.removed
    ));
    lines
}

fn block(lines: &mut Lines, comparison: &GuestComparison) {
    lines.line(plan::head(&comparison.guest));
    for difference in &comparison.differences {
        let name = &difference.snapshot.name;
        let (own, other) = (&difference.own, &difference.other);
        lines.line(if difference.is_kept_by_other() {
            format!("Kept only by the other: {name}")
        } else {
            format!("Removed only by the other: {name}")
        });
        lines.line(format_args!("  this policy: {own}"));
        lines.line(format_args!("  the other: {other}"));
    }
}

fn listed(lines: &mut Lines, title: &str, guests: &[&Guest]) {
    if guests.is_empty() {
        return;
    }
    let names: Vec<String> = guests
        .iter()
        .map(|guest| messages::guest(guest.kind, guest.vmid))
        .collect();
    lines.line(format_args!("{title:<18}{}", names.join(", ")));
}
