// SPDX-License-Identifier: GPL-3.0-only
//! The terminal picture of the README: two parts of the demo's output as SVG.
//!
//! `docs/update-picture` writes it; the test compares it with what the program prints now. The demo always takes place
//! at the same simulated time; only durations are replaced.

use std::fmt::Write as _;
use std::process::Command;

use crate::root;

/// The parts shown: a run with a failure, and a dry run.
const PARTS: [&str; 2] = ["# 4/", "# 7/"];
/// The duration that replaces each measured one.
const DURATION: &str = "00:00:00.4971320";
/// Columns of the terminal; the demo's lines fit.
const COLUMNS: usize = 100;

/// Width of a character, distance of two lines, and the frame, in pixels.
const CHARACTER: usize = 8;
const LINE: usize = 18;
const MARGIN: usize = 16;

#[test]
fn the_picture_shows_what_the_demo_prints() {
    let picture = svg(&shown_lines(&demo_output()));
    let path = root().join("docs/src/demo.svg");
    if std::env::var_os("UPDATE_PICTURE").is_some() {
        std::fs::write(&path, &picture).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == picture,
        "docs/src/demo.svg is not current; run docs/update-picture"
    );
}

#[test]
fn every_part_of_the_demo_fits_on_a_terminal() {
    let output = demo_output();
    for line in output.lines() {
        assert!(line.chars().count() <= COLUMNS, "{line}");
    }
    for part in output.split("\n# ") {
        let lines = part.lines().count();
        assert!(lines <= 24, "{lines} lines:\n{part}");
    }
}

#[test]
fn the_demo_ends_with_the_next_commands() {
    let output = demo_output();
    let last: Vec<_> = output.lines().rev().take(2).collect();
    assert!(last[1].starts_with("# cv4pve-autosnap setup "), "{last:?}");
    assert!(last[0].ends_with(" check"), "{last:?}");
}

fn demo_output() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cv4pve-autosnap"))
        .args(["demo", "--yes"])
        .env_remove("HTTPS_PROXY")
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The lines of the shown parts, with the same durations every time.
fn shown_lines(output: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut is_shown = false;
    for line in output.lines() {
        let is_new_part = line.starts_with("# ") && line.contains("/7: ");
        if is_new_part {
            is_shown = PARTS.iter().any(|part| line.starts_with(part));
        }
        if is_shown {
            let title = line.split_once("/7: ").filter(|_| is_new_part);
            lines.push(match title {
                Some((_, title)) => format!("# {title}"),
                None => without_durations(line),
            });
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    assert!(lines.len() > 25, "{lines:?}");
    lines
}

fn without_durations(line: &str) -> String {
    if let Some((before, _)) = line.split_once("; took ") {
        return format!("{before}; took 2 s");
    }
    match line.split_once(" execution ") {
        Some((before, _)) => format!("{before} execution {DURATION}"),
        None => line.to_owned(),
    }
}

fn svg(lines: &[String]) -> String {
    let columns = lines.iter().map(|line| line.chars().count()).max();
    let width = 2 * MARGIN + columns.unwrap_or_default() * CHARACTER;
    let height = 2 * MARGIN + LINE * lines.len();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1e1e2e\"/>\n\
         <g font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13\" \
         fill=\"#cdd6f4\" xml:space=\"preserve\">\n"
    );
    for (index, line) in lines.iter().enumerate() {
        if line.is_empty() {
            continue;
        }
        let y = MARGIN + LINE * index + 13;
        let color = color(line).map_or_else(String::new, |color| format!(" fill=\"{color}\""));
        writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{y}\"{color}>{}</text>",
            escaped(line)
        )
        .expect("a string takes text");
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// The color of comments, commands, failures and what is done.
fn color(line: &str) -> Option<&'static str> {
    const COLORS: [(&str, &str); 7] = [
        ("# ", "#7f849c"),
        ("$ ", "#89b4fa"),
        ("-----", "#f9e2af"),
        ("Create ", "#a6e3a1"),
        ("Remove ", "#fab387"),
        ("Error", "#f38ba8"),
        ("FAILED", "#f38ba8"),
    ];
    let found = COLORS.iter().find(|(start, _)| line.starts_with(start));
    found.map(|(_, color)| *color)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
