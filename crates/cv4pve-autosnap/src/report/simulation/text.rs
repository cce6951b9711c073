// SPDX-License-Identifier: GPL-3.0-only
//! The report for a terminal: the calendar with one column for each day, or a list where that is too wide.

use std::fmt::Write;

use autosnap_core::retention::Period;
use autosnap_core::text::one_line;

use super::calendar::{Entry, Holder, Week, weeks};
use super::{Simulated, filled};

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The width of the column with the first day of a week.
const LABEL: usize = 8;

/// How the report is shown.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// The width of the terminal.
    pub(super) columns: usize,
    /// Whether it may have colors.
    pub(super) colors: bool,
}

impl Style {
    /// The text in the color of what holds the snapshot.
    fn paint(self, holder: Holder, text: &str) -> String {
        let color = match holder {
            Holder::Rule(Period::Last) => 33,
            Holder::Rule(Period::Hourly) => 35,
            Holder::Rule(Period::Daily) => 36,
            Holder::Rule(Period::Weekly) => 32,
            Holder::Rule(Period::Monthly) => 34,
            Holder::Rule(Period::Yearly) => 31,
            Holder::Guard | Holder::All => return text.to_owned(),
        };
        if self.colors {
            format!("\x1b[{color}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The whole report.
pub(super) fn report(simulated: &Simulated<'_>, style: Style) -> String {
    let weeks = weeks(&simulated.simulation.held);
    let lines = [simulated.title(), simulated.runs(), simulated.counts()];
    let mut report = String::new();
    for line in lines {
        report.push_str(&one_line(&line));
        report.push('\n');
    }
    report.push('\n');
    let widths = weeks.iter().flat_map(|week| week.days.iter().flatten());
    let widest = widths.map(|entry| entry.text.len()).max().unwrap_or(0);
    let column = widest.max(8) + 1;
    if LABEL + 7 * column <= style.columns {
        table(&weeks, column, style, &mut report);
    } else {
        list(&weeks, style, &mut report);
    }
    report.push('\n');
    legend(simulated, &weeks, style, &mut report);
    report
}

/// One line for each day with snapshots.
fn list(weeks: &[Week], style: Style, report: &mut String) {
    for week in weeks {
        let days = week.dates().zip(&week.days).zip(WEEKDAYS);
        let mut days: Vec<_> = days
            .filter(|((_, entries), _)| !entries.is_empty())
            .collect();
        days.reverse();
        for ((date, entries), weekday) in days {
            let entries: Vec<String> = entries
                .iter()
                .map(|entry| style.paint(entry.holder, &entry.text))
                .collect();
            write_line(report, &format!("{weekday} {date}  {}", entries.join(", ")));
        }
    }
}

/// One block for each week.
fn table(weeks: &[Week], column: usize, style: Style, report: &mut String) {
    let cells = |cells: [String; 7]| cells.map(|cell| format!("{cell:column$}")).concat();
    write_line(
        report,
        &format!("{:LABEL$}{}", "", cells(WEEKDAYS.map(str::to_owned))),
    );
    let mut year = None;
    for week in weeks {
        let dates: Vec<_> = week.dates().collect();
        if year.replace(week.monday.year()) != Some(week.monday.year()) {
            write_line(report, &week.monday.year().to_string());
        }
        let label = week.monday.strftime("%b %d").to_string();
        let numbers = std::array::from_fn(|day| dates[day].day().to_string());
        write_line(report, &format!("{label:LABEL$}{}", cells(numbers)));
        let height = week.days.iter().map(Vec::len).max().unwrap_or(0);
        for row in 0..height {
            let line: String = week
                .days
                .iter()
                .map(|entries| cell(entries.get(row), column, style))
                .collect();
            write_line(report, &format!("{:LABEL$}{line}", ""));
        }
        match week.empty_after {
            0 => {}
            1 => write_line(report, "  ... 1 week without snapshots"),
            count => write_line(report, &format!("  ... {count} weeks without snapshots")),
        }
    }
}

/// An entry, filled up with blanks, which have no color.
fn cell(entry: Option<&Entry>, column: usize, style: Style) -> String {
    let Some(entry) = entry else {
        return " ".repeat(column);
    };
    let blanks = " ".repeat(column.saturating_sub(entry.text.len()));
    style.paint(entry.holder, &entry.text) + &blanks
}

/// What the letters mean, and how far the rules were filled.
fn legend(simulated: &Simulated<'_>, weeks: &[Week], style: Style, report: &mut String) {
    let entries = || weeks.iter().flat_map(|week| week.days.iter().flatten());
    for holder in Holder::ALL {
        let rule = simulated
            .simulation
            .rules
            .iter()
            .find(|rule| holder == Holder::Rule(rule.period));
        let letter = style.paint(holder, &holder.letter().to_string());
        if let Some(rule) = rule {
            write_line(
                report,
                &format!("{letter}  {:12}  {}", holder.name(), filled(*rule)),
            );
        } else if entries().any(|entry| entry.holder == holder) {
            let held = entries()
                .filter(|entry| entry.holder == holder)
                .map(|entry| entry.count);
            write_line(
                report,
                &format!("{letter}  {}  {}", holder.name(), held.sum::<usize>()),
            );
        }
    }
}

/// Adds a line without blanks at its end.
fn write_line(report: &mut String, line: &str) {
    let _ = writeln!(report, "{}", line.trim_end());
}
