// SPDX-License-Identifier: GPL-3.0-only
//! The rows of the table "What differs" of the chapter "Coming from another tool", and the cases
//! that show each difference.

mod rows;

use std::collections::BTreeSet;
use std::path::Path;

use self::rows::DEPARTURES;
use crate::csharp::cases;
use crate::oracle;

/// Remarks in the cases about our documents or about versions.
const REMARKS: &[&str] = &[
    "as 2.0.1",
    "documented",
    "not in migrating.md",
    "NOT documented for 2.0.1",
    "documented for 1.17 only, true for 2.0.1 as well",
    "1.17 and 2.0.1 UTC",
    "1.17.0 and 2.0.1 print UTC (document)",
    "C# 1.17 and 2.0.1 ignore it",
];

/// The parts of a reason: separated by `;`, except in parentheses.
fn parts(reason: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0_i32);
    for character in reason.chars() {
        depth += i32::from(character == '(') - i32::from(character == ')');
        match parts.last_mut() {
            Some(part) if character != ';' || depth > 0 => part.push(character),
            _ => parts.push(String::new()),
        }
    }
    parts
        .into_iter()
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

/// The first cells of the table's rows.
fn rows() -> Vec<String> {
    let chapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/migrating.md");
    let text = std::fs::read_to_string(chapter).unwrap();
    let (_, section) = text.split_once("### What differs\n").unwrap();
    section
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .map_while(|line| line.strip_prefix("| "))
        .map(|line| line.split(" | ").next().unwrap().to_owned())
        .collect()
}

/// Every row of the manual's table is shown by a case of the C# tool, or was measured.
#[test]
fn every_row_of_the_manual_has_a_case_or_a_source() {
    let known: Vec<&str> = DEPARTURES.iter().map(|departure| departure.row).collect();
    assert_eq!(rows(), known);
    let ids: BTreeSet<String> = cases().into_iter().map(|case| case.id).collect();
    let measured = std::fs::read_to_string(oracle("../compatibility.md")).unwrap();
    for departure in DEPARTURES {
        for case in departure.cases {
            assert!(ids.contains(*case), "{}: no case {case}", departure.row);
        }
        match departure.source {
            Some(source) => assert!(measured.contains(source), "{}: {source}", departure.row),
            None => assert!(!departure.cases.is_empty(), "{}", departure.row),
        }
    }
}

/// Every reason of a case with the verdict "better" has a row in the manual's table.
#[test]
fn every_reason_to_depart_has_a_row() {
    let mut missing = BTreeSet::new();
    let mut used: BTreeSet<&&str> = BTreeSet::new();
    for case in cases() {
        if case.verdict != "better" {
            continue;
        }
        for part in parts(&case.reason) {
            let mut fragments = DEPARTURES
                .iter()
                .flat_map(|departure| departure.reasons)
                .filter(|fragment| part.contains(**fragment))
                .peekable();
            if fragments.peek().is_none() && !REMARKS.contains(&part.as_str()) {
                missing.insert(format!("{}: {part}", case.id));
            }
            used.extend(fragments);
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    let all = DEPARTURES.iter().flat_map(|departure| departure.reasons);
    let unused: Vec<_> = all.filter(|fragment| !used.contains(*fragment)).collect();
    assert!(unused.is_empty(), "no case has the reason {unused:?}");
}
