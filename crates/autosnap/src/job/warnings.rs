// SPDX-License-Identifier: GPL-3.0-only
//! Warnings for the whole run: about terms that match no guest, about names that belong to another series or to two.

use autosnap_core::event::EventKind;
use autosnap_core::name::{Collision, Label, LabelsFound, Series};
use autosnap_core::plan::{OverLimit, Plan};
use autosnap_core::select::{SelectionWarning, Unmatched};
use autosnap_core::text::shell_word;

/// The most terms that a line names.
const MOST_TERMS: usize = 10;

/// What is told of the terms that match no guest, or perhaps not all that they mean: one line for all terms with the same
/// reason, as crontab lines list hundreds of guests that are long gone.
pub(crate) fn of_terms(warnings: &[SelectionWarning]) -> Vec<EventKind> {
    let same = |one: &SelectionWarning, other: &SelectionWarning| {
        can_share_a_line(one)
            && can_share_a_line(other)
            && one.reason == other.reason
            && one.is_missing_object() == other.is_missing_object()
    };
    let is_first = |index: usize| {
        !warnings[..index]
            .iter()
            .any(|one| same(one, &warnings[index]))
    };
    let firsts = (0..warnings.len()).filter(|index| is_first(*index));
    firsts
        .map(|index| {
            let first = &warnings[index];
            let others = warnings[index..].iter().skip(1);
            let alike: Vec<&str> = others
                .filter(|other| same(first, other))
                .map(|other| other.term.as_str())
                .collect();
            let text = match first.reason {
                Some(reason) if !alike.is_empty() => of_several(&first.term, &alike, reason),
                Some(_) | None => first.to_string(),
            };
            if first.is_missing_object() {
                EventKind::MissingObject(text)
            } else if first.may_miss_a_guest() {
                EventKind::NameNotKnown(text)
            } else {
                EventKind::Warned(text)
            }
        })
        .collect()
}

/// Whether the reason is all that there is to say.
fn can_share_a_line(warning: &SelectionWarning) -> bool {
    warning.nearest.is_none()
        && warning.nameless == 0
        && warning
            .reason
            .is_some_and(|reason| reason != Unmatched::HiddenPool)
}

fn of_several(first: &str, others: &[&str], reason: Unmatched) -> String {
    let named: Vec<&str> = std::iter::once(first)
        .chain(others.iter().copied())
        .take(MOST_TERMS)
        .collect();
    let more = match 1 + others.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more terms"),
    };
    format!("`{}`{more} match no guest: {reason}", named.join("`, `"))
}

/// The warning that another label with another format makes the same names.
pub(crate) fn collision(series: &Series, other: &Collision) -> String {
    format!(
        "label {} with format {} makes the same names as label {} with format {}: their snapshots cannot be told \
         apart; choose another label or format if both are in use",
        series.label(),
        other.own_format,
        other.label,
        other.format
    )
}

/// The warnings about snapshots that are not counted because of another format or an ambiguous name.
pub(crate) fn of_plan(plan: &Plan) -> Vec<String> {
    let formats = plan.other_formats();
    let mut warnings: Vec<String> = formats
        .iter()
        .flat_map(|((label, format), count)| not_counted(label, [(*format, *count)]))
        .collect();
    for (label, count) in plan.ambiguous_names() {
        warnings.push(format!(
            "{count} not removable because ambiguous: the names of these snapshots can be read in two ways; if \
             all of them are of label {label}, --allow-ambiguous-names counts them"
        ));
    }
    warnings.extend(over_limit(plan));
    warnings
}

/// The warning about guests with more removals than one run carries out.
fn over_limit(plan: &Plan) -> Option<String> {
    let guests = plan.over_limit();
    let limit = guests.first()?.limit;
    let left: usize = guests.iter().map(|guest| guest.left).sum();
    let listed: Vec<String> = guests
        .iter()
        .map(|OverLimit { guest, left, .. }| {
            format!("{} {}: {left}", guest.kind.short_name(), guest.vmid)
        })
        .collect();
    let snapshots = if left == 1 {
        "snapshot is"
    } else {
        "snapshots are"
    };
    Some(format!(
        "{left} {snapshots} left to the next runs, as a run removes at most {limit} of a guest ({}); \
         --max-removals-per-guest=N removes more at once",
        listed.join(", ")
    ))
}

/// The warning of a command that works on existing snapshots, if none has its label.
pub(crate) fn no_such_label(label: &Label, found: &LabelsFound) -> Option<String> {
    (!found.is_empty()).then(|| {
        let nearest = found.typo_of(label.as_str());
        let nearest = nearest.map(|(nearest, _)| format!("; did you mean {nearest}?"));
        format!(
            "no snapshot of the selected guests has label {label}; the labels there are: {found}{}",
            nearest.unwrap_or_default()
        )
    })
}

/// The warning of a `snap` whose label is new to the guests and looks like one that they have.
pub(crate) fn possible_typo(label: &Label, found: &LabelsFound) -> Option<String> {
    let (nearest, count) = found.typo_of(label.as_str())?;
    let snapshots = if count == 1 { "snapshot" } else { "snapshots" };
    Some(format!(
        "label {label} is new to the selected guests, which have {count} {snapshots} of label {nearest}: is it a typo?"
    ))
}

/// Snapshots of the label in other formats, which a run keeps: one sentence for each format.
fn not_counted<'a>(
    label: &Label,
    counts: impl IntoIterator<Item = (&'a str, usize)>,
) -> Vec<String> {
    other_formats(label, counts, "not counted", "counts and removes")
}

/// Snapshots of the label in other formats, which `status` does not show: one sentence for each format.
pub(crate) fn not_shown<'a>(
    label: &Label,
    counts: impl IntoIterator<Item = (&'a str, usize)>,
) -> Vec<String> {
    other_formats(label, counts, "not shown", "shows")
}

fn other_formats<'a>(
    label: &Label,
    counts: impl IntoIterator<Item = (&'a str, usize)>,
    consequence: &str,
    adoption: &str,
) -> Vec<String> {
    let sentence = |(format, count)| {
        let snapshots = match count {
            1 => "1 snapshot looks".to_owned(),
            count => format!("{count} snapshots look"),
        };
        format!(
            "{snapshots} like label {label} in another format ({format}): {consequence}; \
             --also-format={} {adoption} them too",
            shell_word(format, "FORMAT"),
        )
    };
    counts.into_iter().map(sentence).collect()
}
