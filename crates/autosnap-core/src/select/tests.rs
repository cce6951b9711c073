// SPDX-License-Identifier: GPL-3.0-only
//! Selections in tables, on a cluster like the recorded one.

use super::*;
use crate::guest::{GuestKind, GuestStatus};

mod errors;
mod expressions;
mod ignored_terms;
mod warnings;

fn guest(vmid: u32, node: &str, name: &str, pool: &str, tags: &[&str]) -> Guest {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Guest {
        vmid: Vmid::new(vmid).unwrap(),
        kind: GuestKind::Qemu,
        node: node.to_owned(),
        name: some(name),
        status: GuestStatus::Stopped,
        template: false,
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        pool: some(pool),
        lock: None,
    }
}

fn lab() -> Inventory {
    let node = |name: &str, online| NodeInfo {
        name: name.to_owned(),
        online,
    };
    Inventory {
        guests: vec![
            guest(220, "pve3", "far-ct", "", &[]),
            guest(200, "pve1", "CT-Web", "prod", &["prod", "web"]),
            guest(106, "pve1", "diskless", "lab/nested", &[]),
            guest(105, "pve1", "locked-backup", "lab", &[]),
            guest(
                104,
                "PVE2",
                "Win-App.example.com",
                "labor",
                &["Prod", "App_1"],
            ),
            guest(111, "pve1", "", "", &[]),
            guest(100, "pve1", "web01", "prod", &["prod", "web"]),
            guest(99_999, "pve1", "myweb", "", &[]),
        ],
        nodes: vec![
            node("pve1", true),
            node("PVE2", true),
            node("pve3", false),
            node("spare", true),
        ],
        pools: [
            "lab",
            "lab/nested",
            "prod",
            "labor",
            "unused",
            "shelf/empty",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..Inventory::default()
    }
}

fn selected(selection: &str) -> Selected {
    Selection::parse(selection).unwrap().evaluate(&lab())
}

fn ids(selection: &str) -> Vec<u32> {
    selected(selection)
        .guests
        .iter()
        .map(|guest| guest.vmid.get())
        .collect()
}

#[test]
fn each_kind_of_term_selects_its_guests() {
    let all = [104, 100, 105, 106, 111, 200, 99_999, 220];
    let cases: &[(&str, &[u32])] = &[
        ("100", &[100]),
        ("web01", &[100]),
        ("WEB01", &[100]),
        ("ct-web", &[200]),
        ("win-app.example.com", &[104]),
        ("100:105", &[104, 100, 105]),
        ("105:105", &[105]),
        ("100 : 105", &[104, 100, 105]),
        ("1:999999999", &all),
        ("@all", &all),
        ("all", &all),
        ("@ALL", &all),
        ("@node-pve3", &[220]),
        ("@node-pve2", &[104]),
        ("@NODE-PVE3", &[220]),
        ("@all-pve3", &[220]),
        ("all-pve3", &[220]),
        ("@pool-prod", &[100, 200]),
        ("@pool-PROD", &[100, 200]),
        ("@pool-lab", &[105, 106]),
        ("@pool-lab/nested", &[106]),
        ("@pool-labor", &[104]),
        ("@tag-prod", &[104, 100, 200]),
        ("@tag-app_1", &[104]),
        ("@tag-WEB", &[100, 200]),
        ("web%", &[100]),
        ("%web", &[200, 99_999]),
        ("%web%", &[100, 200, 99_999]),
        ("%WEB%", &[100, 200, 99_999]),
        ("%backup", &[105]),
    ];
    for (selection, expected) in cases {
        let found = selected(selection);
        assert_eq!(ids(selection), *expected, "{selection}");
        assert_eq!(found.warnings, [], "{selection}");
    }
}

#[test]
fn positive_terms_are_united_and_exclusions_win() {
    let cases: &[(&str, &[u32])] = &[
        ("100,105", &[100, 105]),
        ("105,100,105,web01", &[100, 105]),
        (" 100 , 105 ", &[100, 105]),
        ("@pool-prod,220", &[100, 200, 220]),
        ("@pool-prod,-100", &[200]),
        ("-100,@pool-prod", &[200]),
        ("@all,-@node-pve1", &[104, 220]),
        ("@all,-@tag-prod,-106,-%web%", &[105, 111, 220]),
        ("@all,-100:200", &[99_999, 220]),
        ("@all,-@pool-lab", &[104, 100, 111, 200, 99_999, 220]),
        ("100,-100", &[]),
        ("100,- web01", &[]),
        ("@all,-all", &[]),
    ];
    for (selection, expected) in cases {
        let found = selected(selection);
        assert_eq!(ids(selection), *expected, "{selection}");
        assert_eq!(found.warnings, [], "{selection}");
    }
}

/// Found by fuzzing: the name `all-in-one` was suggested, which as a term selects the guests of node `in-one`.
#[test]
fn a_guest_whose_name_is_another_term_is_suggested_by_its_id() {
    let mut inventory = lab();
    inventory
        .guests
        .push(guest(321, "pve1", "all-in-one", "", &[]));
    let selected = Selection::parse("all_in_one").unwrap().evaluate(&inventory);
    assert_eq!(selected.warnings[0].nearest.as_deref(), Some("321"));
}

#[test]
fn the_warning_about_an_unmatched_term_suggests_the_nearest_one() {
    for (selection, message) in [
        (
            "7777",
            "`7777` matches no guest: no guest has this ID, or this login may not see it (VM.Audit)",
        ),
        (
            "1000",
            "`1000` matches no guest: no guest has this ID, or this login may not see it (VM.Audit)",
        ),
        (
            "103",
            "`103` matches no guest: no guest has this ID, or this login may not see it (VM.Audit)",
        ),
        (
            "300:400",
            "`300:400` matches no guest: no guest has an ID in this range, or this login may not see it (VM.Audit)",
        ),
        (
            "web02",
            "`web02` matches no guest: no guest has this name, or this login may not see it (VM.Audit); did you mean `web01`?",
        ),
        (
            "lockedbackup",
            "`lockedbackup` matches no guest: no guest has this name, or this login may not see it (VM.Audit); did you mean `locked-backup`?",
        ),
        (
            "zzz",
            "`zzz` matches no guest: no guest has this name, or this login may not see it (VM.Audit)",
        ),
        (
            "pve1",
            "`pve1` matches no guest: no guest has this name, or this login may not see it (VM.Audit); did you mean `@node-pve1`?",
        ),
        (
            "prod",
            "`prod` matches no guest: no guest has this name, or this login may not see it (VM.Audit); did you mean `@pool-prod`?",
        ),
        (
            "app_1",
            "`app_1` matches no guest: no guest has this name, or this login may not see it (VM.Audit); did you mean `@tag-App_1`?",
        ),
        (
            "tag-app_1",
            "`tag-app_1` matches no guest: no guest has this name, or this login may not see it (VM.Audit); did you mean `@tag-app_1`?",
        ),
        (
            "100-110",
            "`100-110` matches no guest: no guest has this name, or this login may not see it (VM.Audit); did you mean `100:110`?",
        ),
        (
            "100..110",
            "`100..110` matches no guest: no guest has this name, or this login may not see it (VM.Audit); did you mean `100:110`?",
        ),
        (
            "wev%",
            "`wev%` matches no guest: no guest has such a name, or this login may not see it (VM.Audit); did you mean `web01`?",
        ),
        (
            "@node-pve9",
            "`@node-pve9` matches no guest: there is no such node; did you mean `@node-PVE2`?",
        ),
        (
            "@node-spare",
            "`@node-spare` matches no guest: there are no guests on this node, or this login may not see them (VM.Audit)",
        ),
        (
            "@pool-prd",
            "`@pool-prd` matches no guest: there is no such pool, or this login may not see it (Pool.Audit); did you mean `@pool-prod`?",
        ),
        (
            "@pool-unused",
            "`@pool-unused` matches no guest: there are no guests in this pool, or this login may not see them (VM.Audit)",
        ),
        (
            "@pool-shelf",
            "`@pool-shelf` may match more guests than this login can see: only pools nested in it are visible to this login, not the pool itself (Pool.Audit)",
        ),
        (
            "@tag-production",
            "`@tag-production` matches no guest: no guest has this tag, or this login may not see it (VM.Audit); did you mean `@tag-Prod`?",
        ),
        (
            "@all,-web02",
            "`-web02` matches no guest: no guest has this name, or this login may not see it (VM.Audit); did you mean `-web01`?",
        ),
    ] {
        let warnings = selected(selection).warnings;
        let messages: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(messages, [message], "{selection}");
    }
}

#[test]
fn an_unmatched_exclusion_is_checked_by_the_rule_of_the_command() {
    let rules = [
        ExclusionRule::MustMatch,
        ExclusionRule::MustExist,
        ExclusionRule::MayBeUnmatched,
    ];
    for (selection, violated) in [
        ("@all,-web01", [false; 3]),
        ("@all,-web02", [true, false, false]),
        ("@all,-300", [true, false, false]),
        ("@all,-300:400", [true, false, false]),
        ("@all,-zzz%", [true, false, false]),
        ("@all,-@tag-none", [true, false, false]),
        ("@all,-@pool-unused", [true, false, false]),
        ("@all,-@node-spare", [true, false, false]),
        ("@all,-@pool-shelf", [true, true, false]),
        ("@all,-@pool-none", [true, true, false]),
        ("@all,-@node-none", [true, true, false]),
        ("web02,@pool-none,@node-none,100", [false; 3]),
    ] {
        let warnings = selected(selection).warnings;
        let found = rules.map(|rule| warnings.iter().any(|warning| warning.violates(rule)));
        assert_eq!(found, violated, "{selection}");
    }
}

#[test]
fn a_guest_pool_or_node_that_is_not_visible_is_missing() {
    for (selection, missing) in [
        ("web02", true),
        ("300", true),
        ("@pool-none", true),
        ("@node-none", true),
        ("@pool-unused", false),
        ("@node-spare", false),
        ("@tag-none", false),
        ("zzz%", false),
        ("300:400", false),
        ("@all,-web02,-300,-@pool-none,-@node-none", false),
    ] {
        let warnings = selected(selection).warnings;
        let found = warnings.iter().any(SelectionWarning::is_missing_object);
        assert_eq!(found, missing, "{selection}");
    }
}

#[test]
fn named_guests_are_those_selected_by_id_or_exact_name() {
    let found = selected("100,CT-WEB,105:106,@tag-prod,%web,-220");
    let named: Vec<u32> = found.named.iter().map(|vmid| vmid.get()).collect();
    assert_eq!(named, [100, 200]);
}

#[test]
fn matching_terms_select_despite_unmatched_ones() {
    let found = selected("web02,100,@node-pve9,-300");
    let terms: Vec<&str> = found
        .warnings
        .iter()
        .map(|warning| warning.term.as_str())
        .collect();
    assert_eq!(terms, ["web02", "@node-pve9", "-300"]);
    assert_eq!(found.guests.len(), 1);
}

#[test]
fn each_kind_of_term_warns_on_a_cluster_without_guests() {
    let nothing = Inventory::default();
    for (selection, reason) in [
        ("@all", Unmatched::NoGuests),
        ("100", Unmatched::NoSuchId),
        ("1:9", Unmatched::NoIdInRange),
        ("web%", Unmatched::NoNameLikeIt),
        ("@node-pve1", Unmatched::NoSuchNode),
        ("@pool-x", Unmatched::NoSuchPool),
        ("@tag-x", Unmatched::NoSuchTag),
    ] {
        let found = Selection::parse(selection).unwrap().evaluate(&nothing);
        assert_eq!(found.guests, [], "{selection}");
        let expected = SelectionWarning {
            term: selection.to_owned(),
            reason: Some(reason),
            nearest: None,
            nameless: 0,
            stateless: 0,
            excludes: false,
        };
        assert_eq!(found.warnings, [expected]);
    }
}

#[test]
fn a_pattern_that_matches_may_still_miss_guests_without_a_name() {
    let mut inventory = lab();
    let mut hidden = guest(900, "pve9", "", "", &[]);
    hidden.status = GuestStatus::Unknown;
    inventory.guests.push(hidden);
    for (selection, missed) in [
        ("web%", 1),
        ("%01", 1),
        ("%eb%", 1),
        ("zzz%", 1),
        ("web01", 0),
        ("100", 0),
        ("@all,-web%", 0),
        ("@all,-zzz%", 0),
        ("web%,900", 0),
        ("web%,-900", 0),
        ("web%,-@node-pve9", 0),
    ] {
        let found = Selection::parse(selection).unwrap().evaluate(&inventory);
        let missing = found.warnings.iter().filter(|one| one.may_miss_a_guest());
        assert_eq!(missing.count(), missed, "{selection}: {:?}", found.warnings);
    }
    let found = Selection::parse("web%").unwrap().evaluate(&inventory);
    assert_eq!(
        found.warnings[0].to_string(),
        "`web%` may match more guests; the name of 1 guest on an offline node is not known, use the ID instead"
    );
    assert!(!found.guests.is_empty());
}
