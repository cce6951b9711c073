// SPDX-License-Identifier: GPL-3.0-only
//! The warnings of a run that concern no single guest.

use autosnap_core::guest::Guest;
use autosnap_core::name::{Collision, Label, LabelSearch, LabelsFound, Series};
use autosnap_core::plan::{Plan, Reading};
use autosnap_core::select::{SelectionWarning, Unmatched, is_tagged_off};
use autosnap_core::warning::Warning;

use crate::settings::JobKind;

/// The warnings about terms that match no guest, or perhaps not all that they mean: one for all terms with
/// the same reason, as crontab lines list hundreds of guests that no longer exist.
pub(crate) fn from_terms(warnings: &[SelectionWarning]) -> Vec<Warning> {
    let same = |one: &SelectionWarning, other: &SelectionWarning| {
        can_be_merged(one)
            && can_be_merged(other)
            && one.reason == other.reason
            && one.is_missing_object() == other.is_missing_object()
    };
    let mut groups: Vec<Vec<&SelectionWarning>> = Vec::new();
    for warning in warnings {
        match groups.iter_mut().find(|group| same(group[0], warning)) {
            Some(group) => group.push(warning),
            None => groups.push(vec![warning]),
        }
    }
    groups.iter().map(|group| merged(group)).collect()
}

/// One warning for the terms of a group, which all have the same reason.
fn merged(group: &[&SelectionWarning]) -> Warning {
    let first = group[0];
    match first.reason {
        Some(reason) if group.len() > 1 => Warning::Terms {
            terms: group.iter().map(|warning| warning.term.clone()).collect(),
            reason,
            are_missing_objects: first.is_missing_object(),
        },
        Some(_) | None => Warning::Term(first.clone()),
    }
}

/// Whether the reason is all that the warning contains.
fn can_be_merged(warning: &SelectionWarning) -> bool {
    warning.nearest.is_none()
        && warning.nameless == 0
        && warning.stateless == 0
        && warning
            .reason
            .is_some_and(|reason| reason != Unmatched::HiddenPool)
}

/// The warning about selected guests that are tagged off: terms name them.
pub(crate) fn named_tagged_off(selected: &[Guest]) -> Option<Warning> {
    let tagged = selected.iter().filter(|guest| is_tagged_off(guest));
    let guests: Vec<_> = tagged.map(|guest| (guest.kind, guest.vmid)).collect();
    (!guests.is_empty()).then_some(Warning::NamedTaggedOff(guests))
}

/// The warning that another label with another format gives the same names.
pub(crate) fn collision(series: &Series, other: &Collision) -> Warning {
    Warning::Collision {
        label: series.label().to_string(),
        format: other.own_format.to_string(),
        other_label: other.label.to_string(),
        other_format: other.format.to_string(),
    }
}

/// The warnings about snapshots that are not counted because of another format or an ambiguous name.
pub(crate) fn from_plan(plan: &Plan) -> Vec<Warning> {
    let formats = plan.other_formats().into_iter();
    let formats = formats.map(|((label, format), count)| other_format(label, format, count));
    let ambiguous = plan.ambiguous_names().into_iter();
    let ambiguous = ambiguous.map(|(label, count)| Warning::AmbiguousNames {
        label: label.to_string(),
        count,
    });
    formats
        .chain(ambiguous)
        .chain(removal_limit(plan))
        .collect()
}

/// The warning that names the guests with more removals than one run carries out.
fn removal_limit(plan: &Plan) -> Option<Warning> {
    let over_limit = plan.over_limit();
    let limit = over_limit.first()?.limit;
    let guests = over_limit
        .iter()
        .map(|over| (over.guest.kind, over.guest.vmid, over.left));
    Some(Warning::RemovalLimit {
        limit,
        guests: guests.collect(),
    })
}

/// The warnings about labels without snapshots: the label of the run, then the adopted ones, which may have no
/// snapshots any more.
pub(crate) fn from_labels<'a>(
    kind: JobKind,
    series: &Series,
    readings: &(impl Iterator<Item = &'a Reading> + Clone),
) -> Vec<Warning> {
    let found = |series: &Series| {
        let mut search = LabelSearch::new(series);
        let snapshots = readings.clone().flat_map(|reading| &reading.snapshots);
        for snapshot in snapshots.filter(|snapshot| snapshot.is_ours()) {
            search.observe(&snapshot.name, snapshot.taken_at);
        }
        search.finish()
    };
    let own = found(series).and_then(|found| match kind {
        JobKind::Snap { .. } => similar_label(series.label(), &found),
        JobKind::Clean => unknown_label(series.label(), found),
    });
    let adopted = series.adopted().iter();
    let adopted = adopted.filter_map(|series| unknown_label(series.label(), found(series)?));
    own.into_iter().chain(adopted).collect()
}

/// The warning of a command that needs existing snapshots, if none has its label.
pub(crate) fn unknown_label(label: &Label, found: LabelsFound) -> Option<Warning> {
    (!found.is_empty()).then(|| Warning::UnknownLabel {
        label: label.to_string(),
        found,
    })
}

/// The warning of a `snap` whose label is new to the guests and similar to one of theirs.
pub(crate) fn similar_label(label: &Label, found: &LabelsFound) -> Option<Warning> {
    let (similar, count) = found.typo_of(label.as_str())?;
    Some(Warning::SimilarLabel {
        label: label.to_string(),
        similar: similar.to_owned(),
        count,
    })
}

/// The warning about snapshots of the label in another format.
pub(crate) fn other_format(label: &Label, format: &str, count: usize) -> Warning {
    Warning::OtherFormat {
        label: label.to_string(),
        format: format.to_owned(),
        count,
    }
}
