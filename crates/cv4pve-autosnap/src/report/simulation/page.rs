// SPDX-License-Identifier: GPL-3.0-only
//! The report as an HTML page: one file without scripts and without references to others.

use maud::{DOCTYPE, Markup, html};

use super::calendar::{Holder, Week, weeks};
use super::{Simulated, filled};

const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Dark text on light colors, and the other way round where the reader prefers that.
const STYLE: &str = "
:root { color-scheme: light dark; --back: #fff; --text: #1b1b1b; --line: #c4c4c4; --weak: #595959;
  --l: #ffdfb0; --h: #ead0f5; --d: #fff2a8; --w: #cdeecb; --m: #cfe1fb; --y: #ffd0cf; --g: #e4e4e4; --a: #e4e4e4; }
@media (prefers-color-scheme: dark) { :root { --back: #16181c; --text: #ececec; --line: #4a4e55; --weak: #a9adb3;
  --l: #6b4300; --h: #553068; --d: #5a5000; --w: #1f5a26; --m: #1e4a80; --y: #7c2320; --g: #41454c; --a: #41454c; } }
@media print { :root { --back: #fff; --text: #000; --line: #888; --weak: #444; } * { print-color-adjust: exact; }
  tr { break-inside: avoid; } }
body { margin: 1.5rem auto; max-width: 70rem; padding: 0 1rem; background: var(--back); color: var(--text);
  font: 1rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.3rem; overflow-wrap: anywhere; } p { margin: .3rem 0; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: 1rem 0; }
.weeks { width: 100%; min-width: 42rem; table-layout: fixed; }
th, td { border: 1px solid var(--line); padding: .2rem .35rem; text-align: left; vertical-align: top; }
.weeks td { height: 2.6rem; } .day, .gap { color: var(--weak); font-size: .8rem; }
.entry { display: block; margin-top: .15rem; padding: 0 .3rem; border-radius: .2rem; font-size: .85rem;
  font-variant-numeric: tabular-nums; white-space: nowrap; color: var(--text); width: fit-content; }
.l { background: var(--l); } .h { background: var(--h); } .d { background: var(--d); } .w { background: var(--w); }
.m { background: var(--m); } .y { background: var(--y); } .g { background: var(--g); } .a { background: var(--a); }
";

/// The page.
pub(super) fn document(simulated: &Simulated<'_>) -> String {
    let title = simulated.title();
    let weeks = weeks(&simulated.simulation.held);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "Simulation: " (title) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (title) }
                    p { (simulated.runs()) }
                    p { (simulated.counts()) }
                    (rules(simulated, &weeks))
                    (calendar(&weeks))
                }
            }
        }
    };
    page.into_string() + "\n"
}

/// The rules, and how far they were filled.
fn rules(simulated: &Simulated<'_>, weeks: &[Week]) -> Markup {
    let count = |holder: Holder| -> usize {
        let entries = weeks.iter().flat_map(|week| week.days.iter().flatten());
        entries
            .filter(|entry| entry.holder == holder)
            .map(|entry| entry.count)
            .sum()
    };
    let rows = Holder::ALL.into_iter().filter_map(|holder| {
        let rules = &simulated.simulation.rules;
        let rule = rules
            .iter()
            .find(|rule| holder == Holder::Rule(rule.period));
        let used = count(holder);
        (rule.is_some() || used > 0).then_some((holder, rule, used))
    });
    html! {
        table {
            thead { tr { th scope="col" { "Rule" } th scope="col" { "Held at the end" } th scope="col" { "Filled" } } }
            tbody {
                @for (holder, rule, used) in rows {
                    tr {
                        th scope="row" {
                            span class={ "entry " (holder.letter()) } { (holder.letter()) " " (holder.name()) }
                        }
                        td { (used) }
                        td { @if let Some(rule) = rule { (filled(*rule)) } }
                    }
                }
            }
        }
    }
}

/// The weeks, newest first.
fn calendar(weeks: &[Week]) -> Markup {
    html! {
        // A region that scrolls can be reached by the keyboard.
        div.scroll role="region" aria-label="Calendar of the snapshots" tabindex="0" {
            table.weeks {
                thead { tr { @for weekday in WEEKDAYS { th scope="col" { (weekday) } } } }
                tbody {
                    @for week in weeks {
                        tr {
                            @for (date, entries) in week.dates().zip(&week.days) {
                                td {
                                    span.day { (date) }
                                    @for entry in entries {
                                        span class={ "entry " (entry.holder.letter()) } { (entry.text) }
                                    }
                                }
                            }
                        }
                        @if week.empty_after > 0 {
                            tr { td.gap colspan="7" { (week.empty_after) " weeks without snapshots" } }
                        }
                    }
                }
            }
        }
    }
}
