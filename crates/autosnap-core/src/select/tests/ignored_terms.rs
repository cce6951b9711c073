// SPDX-License-Identifier: GPL-3.0-only
//! Ignored terms, keywords in upper case, nested pools, and the order of the guests.

use super::*;

#[test]
fn invalid_terms_are_ignored_if_others_are_valid() {
    for (selection, terms) in [
        ("100,", [].as_slice()),
        (",100,,105", &[]),
        ("99,100", &["`99`"]),
        ("100,110:105", &["`110:105`"]),
        ("100,@storage-x,@word,105", &["`@storage-x`", "`@word`"]),
        ("100,web*,105;106", &["`web*`", "`105;106`"]),
    ] {
        let parsed = Selection::parse(selection).unwrap();
        let errors = parsed.invalid_terms().iter();
        let errors: Vec<String> = errors.map(ToString::to_string).collect();
        assert_eq!(errors.len(), terms.len(), "{selection}: {errors:?}");
        for (error, term) in errors.iter().zip(terms) {
            assert!(error.contains(term), "{error}");
        }
        assert_eq!(parsed.check_for_removal().is_ok(), terms.is_empty());
        assert_eq!(parsed.empty_exclusion(), None);
        let expected: &[u32] = if selection.contains(",105") && !selection.contains(';') {
            &[100, 105]
        } else {
            &[100]
        };
        assert_eq!(ids(selection), expected, "{selection}");
    }
}

#[test]
fn an_empty_exclusion_is_ignored_except_for_a_removal() {
    let parsed = Selection::parse("@all, - ,-100").unwrap();
    let error = "invalid selection `@all, - ,-100`: a `-` must be followed by the term to exclude; add the term or remove the `-`";
    assert_eq!(parsed.empty_exclusion().unwrap().to_string(), error);
    assert_eq!(parsed.check_for_removal().unwrap_err().to_string(), error);
    assert_eq!(ids("@all,-,-100"), ids("@all,-100"));
}

#[test]
fn keywords_in_upper_case_are_invalid_for_a_removal() {
    for (selection, term) in [
        ("@ALL", Some("write `@all`")),
        ("100,@Pool-Prod", Some("write `@pool-Prod`")),
        ("@all,-@Tag-Web", Some("write `-@tag-Web`")),
        ("@all-PVE2,@node-PVE3,@tag-WEB,All,WEB01", None),
        ("WEB@HOME,-web@Home", None),
    ] {
        let checked = Selection::parse(selection).unwrap().check_for_removal();
        let error = checked.err().map(|error| error.to_string());
        let parts = error.as_deref().and_then(|error| error.split_once(": "));
        assert_eq!(
            parts.map(|(_, instruction)| instruction),
            term,
            "{selection}"
        );
    }
}

#[test]
fn nested_pools_are_reported_with_their_number_of_guests() {
    for (selection, expected) in [
        ("@pool-lab", "@pool-lab: with lab/nested (1)"),
        ("@POOL-LAB,100", "@POOL-LAB: with lab/nested (1)"),
        ("@pool-lab,@pool-lab", "@pool-lab: with lab/nested (1)"),
        ("@pool-lab,-106", ""),
        ("@pool-lab/nested", ""),
        ("@all,-@pool-lab", ""),
    ] {
        let found = selected(selection).nested_pools;
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(texts.join("\n"), expected, "{selection}");
    }
}

#[test]
fn sort_by_terms_sorts_guests_by_the_first_term_that_selects_them() {
    for (selection, expected) in [
        ("220,web01,105", [220, 100, 105].as_slice()),
        ("@pool-prod,105:106,100", &[100, 200, 105, 106]),
        ("99999,@all,-@pool-prod", &[99_999, 104, 105, 106, 111, 220]),
    ] {
        let mut found = selected(selection);
        found.sort_by_terms();
        let order: Vec<u32> = found.guests.iter().map(|guest| guest.vmid.get()).collect();
        assert_eq!(order, expected, "{selection}");
    }
}

#[test]
fn a_migrating_guest_that_is_listed_twice_is_selected_once() {
    let mut inventory = lab();
    inventory.guests.push(guest(100, "pve3", "web01", "", &[]));
    let found = Selection::parse("100").unwrap().evaluate(&inventory);
    let nodes: Vec<&str> = found
        .guests
        .iter()
        .map(|guest| guest.node.as_str())
        .collect();
    assert_eq!(nodes, ["pve1"]);
}

#[test]
fn excluded_pools_are_visible_pools_that_an_exclusion_matches() {
    for (selection, expected, has_exclusions) in [
        ("@all,-@pool-lab", ["lab", "lab/nested"].as_slice(), true),
        ("@all,-@pool-LAB/nested", &["lab/nested"], true),
        ("@all,-@pool-none,-100", &[], true),
        ("@pool-lab,100", &[], false),
    ] {
        let inventory = lab();
        let selection = Selection::parse(selection).unwrap();
        let pools: Vec<&str> = selection.excluded_pools(&inventory).collect();
        assert_eq!(pools, expected, "{selection}");
        assert_eq!(selection.has_exclusions(), has_exclusions, "{selection}");
    }
}
