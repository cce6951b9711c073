// SPDX-License-Identifier: GPL-3.0-only
//! What is said once for the whole run about names that belong to no series, or to two.

use autosnap_core::name::{Collision, Label, Series};
use autosnap_core::plan::Plan;

/// Another label with another format makes the same names.
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

/// Snapshots that a run leaves alone, because their names are in another format or ambiguous.
pub(crate) fn of_plan(plan: &Plan) -> Vec<String> {
    let label = plan.request.policy.series.label();
    let mut warnings = not_counted(label, plan.other_formats());
    let ambiguous = plan.ambiguous_names();
    if ambiguous > 0 {
        warnings.push(format!(
            "{ambiguous} not removable because ambiguous: the names of these snapshots can be read in two ways; if \
             all of them are of label {label}, --allow-ambiguous-names counts them"
        ));
    }
    warnings
}

/// One sentence for each format in which a run finds snapshots of the label that it leaves alone.
fn not_counted<'a>(
    label: &Label,
    counts: impl IntoIterator<Item = (&'a str, usize)>,
) -> Vec<String> {
    let sentence = |(format, count)| {
        format!(
            "{} like label {label} in another format ({format}): not counted; --also-format={} counts and removes \
             them too",
            look_like(count),
            quoted(format),
        )
    };
    counts.into_iter().map(sentence).collect()
}

/// The same for those that `status` leaves out.
pub(crate) fn not_shown<'a>(
    label: &Label,
    counts: impl IntoIterator<Item = (&'a str, usize)>,
) -> Vec<String> {
    let sentence = |(format, count)| {
        format!(
            "{} like label {label} in another format ({format}): not shown; --also-format={} shows them too",
            look_like(count),
            quoted(format),
        )
    };
    counts.into_iter().map(sentence).collect()
}

fn look_like(count: usize) -> String {
    match count {
        1 => "1 snapshot looks".to_owned(),
        count => format!("{count} snapshots look"),
    }
}

/// A format as a shell takes it.
fn quoted(format: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if format.chars().all(is_plain) {
        format.to_owned()
    } else {
        format!("'{}'", format.replace('\'', r"'\''"))
    }
}
