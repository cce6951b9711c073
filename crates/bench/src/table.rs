// SPDX-License-Identifier: GPL-3.0-only
//! The results as a Markdown table for the manual.

use crate::runner::{Measurement, ratio};

/// The header of the table.
pub(crate) fn head() -> String {
    let columns = [
        "case",
        "mode",
        "wall s",
        "bound s",
        "ratio",
        "slowest node s",
        "requests",
        "per guest",
        "polls per task",
        "connections",
        "CPU s",
        "CPU ms/guest",
        "peak MiB",
        "delay ms",
        "delay %",
        "factor",
    ];
    let rule = "---|".repeat(columns.len());
    format!("| {} |\n|{rule}", columns.join(" | "))
}

/// A line of the table; `baseline` is the run with default options.
pub(crate) fn line(
    case: &str,
    mode: &str,
    sum: Measurement,
    baseline: Option<Measurement>,
) -> String {
    let Measurement {
        cost,
        figures,
        guests,
        scale,
    } = sum;
    let wall = cost.wall * scale;
    let is_sample = scale > 1.0;
    let cells = [
        case.to_owned(),
        if is_sample {
            format!("{mode} ({guests} guests, scaled)")
        } else {
            mode.to_owned()
        },
        number(wall, if wall < 1.0 { 4 } else { 2 }),
        number(figures.bound * scale, 2),
        share(cost.wall, figures.bound),
        number(figures.node_bound * scale, 2),
        count(figures.requests),
        number(ratio(figures.requests, guests), 1),
        number(ratio(figures.polls, figures.tasks), 1),
        count(figures.connections),
        number(cost.cpu, 3),
        number(cost.cpu * 1_000.0 * ratio(1, guests), 2),
        number(cost.memory, 1),
        number(figures.delay * 1_000.0, 0),
        number(figures.delay_share * 100.0, 1),
        baseline.map_or_else(
            || "–".to_owned(),
            |baseline| share(wall, baseline.cost.wall),
        ),
    ];
    format!("| {} |", cells.join(" | "))
}

fn count(count: usize) -> String {
    if count == 0 {
        "–".to_owned()
    } else {
        count.to_string()
    }
}

/// A dash if nothing was measured.
fn number(number: f64, digits: usize) -> String {
    if number == 0.0 {
        "–".to_owned()
    } else {
        format!("{number:.digits$}")
    }
}

fn share(number: f64, by: f64) -> String {
    if by == 0.0 {
        "–".to_owned()
    } else {
        format!("{:.2}", number / by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_the_columns_of_the_head() {
        let columns = |line: &str| line.matches('|').count();
        let head = head();
        let (first, rule) = head.split_once('\n').unwrap();
        assert_eq!(columns(first), columns(rule));
        let line = line(
            "1",
            "defaults",
            Measurement::default(),
            Some(Measurement::default()),
        );
        assert_eq!(columns(&line), columns(first));
    }
}
