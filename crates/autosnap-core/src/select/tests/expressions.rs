// SPDX-License-Identifier: GPL-3.0-only
//! Expressions: intersections, unions in parentheses and complements, and what hidden or mistyped names do in them.

use super::*;
use crate::select::expression::Item;

/// [`lab`] with a container, a running guest, and two guests on a node without statistics.
fn mixed() -> Inventory {
    let mut inventory = lab();
    inventory.guests[0].kind = GuestKind::Lxc;
    inventory.guests[5].name = Some("mail".to_owned());
    inventory.guests[6].status = GuestStatus::Running;
    for vmid in [900, 901] {
        let mut hidden = guest(vmid, "pve9", "", "prod", &["web"]);
        hidden.status = GuestStatus::Unknown;
        inventory.guests.push(hidden);
    }
    inventory
}

fn evaluate(selection: &str, inventory: &Inventory) -> Selected {
    Selection::parse(selection).unwrap().evaluate(inventory)
}

fn vmids(guests: &[Guest]) -> Vec<u32> {
    guests.iter().map(|guest| guest.vmid.get()).collect()
}

fn messages(selected: &Selected) -> Vec<String> {
    selected.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn an_expression_selects_the_documented_guests() {
    for (selection, expected) in [
        ("@tag-prod&@tag-web", [100, 200].as_slice()),
        ("@pool-prod&@node-pve1&web01", &[100]),
        ("(web%|%web)&-@tag-prod", &[99_999]),
        ("(web%|%web%)&@tag-web", &[100, 200]),
        ("(100|105|220)&-@node-pve3", &[100, 105]),
        ("@all&-(@tag-prod|@pool-lab)", &[111, 99_999, 220]),
        (
            "@all&-(@tag-prod&@tag-web)&-@pool-lab",
            &[104, 111, 99_999, 220],
        ),
        ("@node-pve1&-(@all&-105)", &[105]),
        ("@pool-lab,@tag-prod&@tag-app_1", &[104, 105, 106]),
        (
            "@all,-(@tag-prod&@tag-web),-(105|106)",
            &[104, 111, 99_999, 220],
        ),
        ("(100)", &[100]),
        ("((100|105)|(106))", &[100, 105, 106]),
        ("@all,-(web01)", &[104, 105, 106, 111, 200, 99_999, 220]),
        (" ( web% | %web ) & - @tag-prod ", &[99_999]),
        ("@tag-prod&100:110", &[104, 100]),
        ("@node- pve3 & @pool- prod,100", &[100]),
    ] {
        assert_eq!(ids(selection), expected, "{selection}");
    }
}

#[test]
fn types_and_states_select_their_guests() {
    let inventory = mixed();
    for (selection, expected) in [
        ("@type-ct", [220].as_slice()),
        ("@TYPE-CT", &[220]),
        ("@running", &[100]),
        ("@Running", &[100]),
        ("@stopped&@tag-prod", &[104, 200]),
        ("@type-vm&@node-pve9", &[900, 901]),
        ("@pool-prod&-@stopped", &[100]),
        ("@pool-prod&-@running", &[200]),
        ("@all,-@type-vm", &[220]),
    ] {
        let found = evaluate(selection, &inventory);
        assert_eq!(vmids(&found.guests), expected, "{selection}");
    }
}

/// A state of another version of PVE is neither running nor stopped.
#[test]
fn a_guest_of_unknown_state_is_selected_by_no_state() {
    let mut inventory = mixed();
    inventory.guests.truncate(7);
    inventory.guests[6].status = GuestStatus::Other("migrating".to_owned());
    for selection in [
        "web01&@running",
        "web01&@stopped",
        "web01&-@running",
        "web01&-@stopped",
    ] {
        let found = evaluate(selection, &inventory);
        assert_eq!(found.guests, [], "{selection}");
        assert!(
            found
                .warnings
                .iter()
                .any(SelectionWarning::may_miss_a_guest),
            "{selection}"
        );
    }
}

#[test]
fn what_is_not_visible_under_a_minus_selects_nothing() {
    let inventory = mixed();
    for (selection, expected) in [
        ("@all&-@pool-none", [].as_slice()),
        ("@all&-@pool-shelf", &[]),
        ("@all&-@node-none", &[]),
        ("(100|@all&-@pool-none)", &[100]),
        ("@all&-(@pool-none|@tag-prod)", &[]),
        // Guests without the tag do not match, whatever the pool.
        (
            "@node-pve1&-(@pool-none&@tag-prod)",
            &[105, 106, 111, 99_999],
        ),
        // The names of guests on a node without statistics are not known.
        ("@tag-web&-web01", &[200]),
        ("@tag-web&-%01", &[200]),
        ("@node-pve9&-zzz", &[]),
        ("@node-pve9&-@running", &[]),
        ("@node-pve9&-100", &[900, 901]),
        ("@node-pve9&-@tag-none", &[900, 901]),
        // A node is visible if one of its guests is.
        ("@all&-@node-pve9&-@node-pve1", &[104, 220]),
        ("@pool-none&@all", &[]),
    ] {
        let found = evaluate(selection, &inventory);
        assert_eq!(vmids(&found.guests), expected, "{selection}");
    }
}

#[test]
fn an_exclusion_in_an_expression_is_checked_by_the_rule_of_the_command() {
    let rules = [
        ExclusionRule::MustMatch,
        ExclusionRule::MustExist,
        ExclusionRule::MayBeUnmatched,
    ];
    for (selection, violated) in [
        ("@all&-@tag-prod", [false; 3]),
        ("@all&-@tag-none", [true, false, false]),
        ("@all&-web02", [true, false, false]),
        ("@all&-@pool-none", [true, true, false]),
        ("@all&-@pool-shelf", [true, true, false]),
        ("@all&-(@tag-prod|@node-none)", [true, true, false]),
        ("@all,-(@tag-prod&@tag-none)", [true, false, false]),
        ("@all,-(@tag-prod&@pool-none)", [true, true, false]),
        ("@all,-(@tag-app_1&@tag-web)", [true, false, false]),
        ("@all&-(@tag-app_1&@tag-web)", [true, false, false]),
        (
            "@all,-(@tag-app_1&-(@tag-prod|@tag-none))",
            [true, false, false],
        ),
        // Two times minus is plus, but nothing is certainly excluded.
        ("@all&-(@tag-prod&-@pool-none)", [true, false, false]),
        ("@tag-none&@all,100", [false; 3]),
        ("@tag-app_1&@tag-web,100", [false; 3]),
    ] {
        let warnings = selected(selection).warnings;
        let found = rules.map(|rule| warnings.iter().any(|warning| warning.violates(rule)));
        assert_eq!(found, violated, "{selection}: {warnings:?}");
    }
}

#[test]
fn an_expression_has_exclusions_if_a_minus_is_anywhere_in_it() {
    for (selection, expected) in [
        ("@tag-a-b&(web%|db%)", false),
        ("@tag-a&-web%", true),
        ("@tag-a&(web%|db%&-100)", true),
        ("@tag-a&-(web%|db%)", true),
        ("@all,-(web%|db%)", true),
    ] {
        let selection = Selection::parse(selection).unwrap();
        assert_eq!(selection.has_exclusions(), expected, "{selection}");
    }
}

#[test]
fn each_part_that_matches_no_guest_has_its_warning() {
    let seen = "or this login may not see it (VM.Audit)";
    for (selection, expected) in [
        (
            "(web%|dbb%)&@tag-wbe",
            vec![
                format!("`dbb%` matches no guest: no guest has such a name, {seen}"),
                format!("`@tag-wbe` matches no guest: no guest has this tag, {seen}; did you mean `@tag-web`?"),
            ],
        ),
        (
            "@all&-@tag-wbe",
            vec![format!(
                "`-@tag-wbe` matches no guest: no guest has this tag, {seen}; did you mean `-@tag-web`?"
            )],
        ),
        (
            "@all,-(web02|100)",
            vec![format!(
                "`web02` matches no guest: no guest has this name, {seen}; did you mean `web01`?"
            )],
        ),
        (
            "@tag-app_1 & @tag-web",
            vec!["`@tag-app_1&@tag-web` matches no guest: no guest is known to match all of its parts".to_owned()],
        ),
        (
            "@tag-prod&-(@tag-app_1&@tag-web)",
            vec!["`-(@tag-app_1&@tag-web)` matches no guest: no guest is known to match all of its parts".to_owned()],
        ),
        (
            "@pool-shelf&@all",
            vec![
                "`@pool-shelf` may match more guests than this login can see: only pools nested in it are visible to \
                 this login, not the pool itself (Pool.Audit)".to_owned(),
            ],
        ),
        (
            "@type-ct&@running",
            vec![
                "`@type-ct` matches no guest: there are no guests of this type, or this login may not see them (VM.Audit)"
                    .to_owned(),
                format!("`@running` matches no guest: no guest is in this state, {seen}"),
            ],
        ),
    ] {
        assert_eq!(messages(&selected(selection)), expected, "{selection}");
    }
}

#[test]
fn guests_without_a_name_or_state_may_be_missed() {
    let name = "the names of 2 guests on offline nodes are not known, use the ID instead";
    let state = "it is not known whether 2 guests run";
    let inventory = mixed();
    for (selection, expected) in [
        ("@running", format!("`@running` may match more guests; {state}")),
        ("@running,900", "`@running` may match more guests; it is not known whether 1 guest runs".to_owned()),
        ("@tag-web&web%", format!("`@tag-web&web%` may match more guests; {name}")),
        ("@tag-web&-web01", format!("`@tag-web&-web01` may match more guests; {name}")),
        ("@tag-web&@running", format!("`@tag-web&@running` may match more guests; {state}")),
        (
            "@tag-web&@running&%01",
            format!("`@tag-web&@running&%01` may match more guests; {name}; {state}"),
        ),
        ("@tag-web&web%,901", "`@tag-web&web%` may match more guests; the name of 1 guest on an offline node is not known, use the ID instead".to_owned()),
        // They are not on this node, or excluded.
        ("@node-pve1&web%", String::new()),
        ("@tag-web&web%,-@node-pve9", String::new()),
        ("@all,-@running", String::new()),
        ("@tag-web&-(web%&@tag-prod),@node-pve9", String::new()),
    ] {
        let found = evaluate(selection, &inventory);
        assert_eq!(messages(&found).join("\n"), expected, "{selection}");
        let missed = found.warnings.iter().any(SelectionWarning::may_miss_a_guest);
        assert_eq!(missed, !expected.is_empty(), "{selection}");
    }
}

#[test]
fn guests_that_an_exclusion_may_mean_are_unresolved() {
    let inventory = mixed();
    for (selection, expected) in [
        ("@all,-@running", Some("-@running")),
        ("@all,-(web%&@tag-web)", Some("-(web%&@tag-web)")),
        (
            "@all,-@tag-prod,-(web%&@tag-web),-web01",
            Some("-(web%&@tag-web)"),
        ),
        ("@all,-(web%&@node-pve1)", None),
        ("@all,-(@type-ct|@pool-lab)", None),
        ("@all,-(@pool-none|web01)", Some("-(@pool-none|web01)")),
        ("@all,-(@pool-none|@tag-prod)", None),
    ] {
        let found = evaluate(selection, &inventory);
        let expected: BTreeMap<u32, &str> = [900, 901]
            .into_iter()
            .filter_map(|vmid| Some((vmid, expected?)))
            .collect();
        let unresolved: BTreeMap<u32, &str> = found
            .unresolved
            .iter()
            .map(|(vmid, text)| (vmid.get(), text.as_str()))
            .collect();
        assert_eq!(unresolved, expected, "{selection}");
    }
}

#[test]
fn a_guest_is_named_only_by_a_term_that_selects_it() {
    for (selection, expected) in [
        ("(100|CT-Web|105:106)", [100, 200].as_slice()),
        ("@tag-web&100", &[100]),
        ("@pool-lab&100,@all", &[]),
        ("@all&-100", &[]),
        ("@all,-(100|105)", &[]),
        ("@all&-(@tag-web&-100)", &[100]),
    ] {
        let named: Vec<u32> = selected(selection)
            .named
            .iter()
            .map(|vmid| vmid.get())
            .collect();
        assert_eq!(named, expected, "{selection}");
    }
}

#[test]
fn pools_in_expressions_are_reported_and_checked() {
    for (selection, nested, excluded, pools) in [
        (
            "@pool-lab&@node-pve1",
            "@pool-lab: with lab/nested (1)",
            [].as_slice(),
            ["lab"].as_slice(),
        ),
        ("@pool-lab&105", "", &[], &["lab"]),
        (
            "@all&-(100|@Pool-Lab)",
            "",
            &["lab", "lab/nested"],
            &["Lab"],
        ),
        (
            "@all,-(100&@pool-lab/nested)",
            "",
            &["lab/nested"],
            &["lab/nested"],
        ),
        (
            "@all&-(100&-@pool-lab)",
            "@pool-lab: with lab/nested (1)",
            &[],
            &["lab"],
        ),
    ] {
        let inventory = lab();
        let parsed = Selection::parse(selection).unwrap();
        let found: Vec<String> = parsed
            .evaluate(&inventory)
            .nested_pools
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found.join("\n"), nested, "{selection}");
        let found: Vec<&str> = parsed.excluded_pools(&inventory).collect();
        assert_eq!(found, excluded, "{selection}");
        let found: Vec<&str> = parsed.pools().collect();
        assert_eq!(found, pools, "{selection}");
    }
}

#[test]
fn the_tags_of_all_terms_are_named_in_lower_case() {
    let selection =
        Selection::parse("@tag-Gold,@pool-lab&(100|@tag-db)&-@tag-X,-@tag-off").unwrap();
    let tags: Vec<&str> = selection.named_tags().collect();
    assert_eq!(tags, ["gold", "db", "x", "off"]);
}

#[test]
fn an_invalid_expression_is_an_error_with_the_position() {
    let closed = "in parentheses terms are separated by `|`, not by commas";
    for (selection, message) in [
        ("web%&", "invalid term `web%&`: expected a term (character 6)".to_owned()),
        ("&web%", "invalid term `&web%`: expected a term (character 1)".to_owned()),
        ("()", "invalid term `()`: expected a term (character 2)".to_owned()),
        ("(web%|)", "invalid term `(web%|)`: expected a term (character 7)".to_owned()),
        ("web% & -", "invalid term `web% & -`: expected a term (character 9)".to_owned()),
        ("(wéb%", format!("invalid term `(wéb%`: this `(` is not closed; {closed} (character 1)")),
        ("a&(b|(c", format!("invalid term `a&(b|(c`: this `(` is not closed; {closed} (character 6)")),
        ("wéb%)", format!("invalid term `wéb%)`: this `)` closes no `(`; {closed} (character 5)")),
        ("a(b)", "invalid term `a(b)`: expected `&`, `|` or `,` between two terms (character 2)".to_owned()),
        ("(a)b", "invalid term `(a)b`: expected `&`, `|` or `,` between two terms (character 4)".to_owned()),
        ("(a(b))", "invalid term `(a(b))`: expected `&`, `|` or `,` between two terms (character 3)".to_owned()),
        ("a&&b", "invalid term `a&&b`: write one `&`, not two (character 3)".to_owned()),
        ("(a||b)", "invalid term `(a||b)`: write one `|`, not two (character 4)".to_owned()),
        ("a&--b", "invalid term `a&--b`: write one `-`, not two (character 4)".to_owned()),
        (
            "a|b&c",
            "invalid term `a|b&c`: `|` must be in parentheses, e.g. `(web%|db%)&@running`; otherwise terms are separated \
             by commas (character 2)".to_owned(),
        ),
        (
            "-a&b",
            "invalid term `-a&b`: `-` before `&` is ambiguous: write `-(A&B)` to exclude the guests that match A and B, \
             or `B&-A` to select those that match B and not A (character 3)".to_owned(),
        ),
        (
            "(a|-b)",
            "invalid term `(a|-b)`: in parentheses `-` must follow `&`, e.g. `(web%&-@tag-test|db%)` (character 4)"
                .to_owned(),
        ),
        ("a&-web*", "invalid term `-web*`: `*` is not a wildcard; use `%` before or after a part of a guest name, e.g. `web%`, or `@all` for all guests; write `-web%`".to_owned()),
        ("(a|110:105)", "invalid range of guest IDs `110:105`: the first ID must not be greater than the last; write `105:110`".to_owned()),
        ("a&-@type-qemu", "invalid type of guests `-@type-qemu`: expected `@type-vm` or `@type-ct`; did you mean `-@type-vm`?".to_owned()),
        ("@type-x", "invalid type of guests `@type-x`: expected `@type-vm` or `@type-ct`".to_owned()),
    ] {
        let error = Selection::parse(selection).unwrap_err();
        assert_eq!(error.to_string(), message, "{selection}");
    }
}

#[test]
fn an_invalid_expression_is_ignored_unless_it_may_exclude() {
    for (selection, is_valid) in [
        ("100,web%&", true),
        ("100,(web%", true),
        ("100,web%&@typ-vm", true),
        ("100,web%&-@typ-vm", false),
        ("100,(web%|-105)", false),
        ("100,-(web%", false),
        ("100,-web%&105", false),
        ("100,(web%&!105)", false),
        ("100,web%&%", false),
        ("100,(web%,-105)", false),
    ] {
        let parsed = Selection::parse(selection);
        assert_eq!(parsed.is_ok(), is_valid, "{selection}");
        if let Ok(parsed) = parsed {
            assert_eq!(parsed.invalid_terms().len(), 1, "{selection}");
            assert!(parsed.check_for_removal().is_err(), "{selection}");
            assert_eq!(ids(selection), [100], "{selection}");
        }
    }
}

#[test]
fn deeply_nested_parentheses_are_an_error_and_do_not_overflow_the_stack() {
    let nested = |depth: usize| format!("{}100{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(ids(&nested(32)), [100]);
    let error = Selection::parse(&nested(33)).unwrap_err().to_string();
    let message = "parentheses must not be nested deeper than 32 levels (character 33)";
    assert!(error.ends_with(message), "{error}");
    assert!(Selection::parse(&nested(1_000_000)).is_err());
    assert!(Selection::parse(&"(".repeat(1_000_000)).is_err());
    // Groups side by side are not nested.
    assert_eq!(ids(&vec!["(100|105)"; 100].join("&")), [100, 105]);
}

#[test]
fn the_suggestion_corrects_each_term_of_an_expression() {
    for (selection, expected) in [
        ("(web%,db%)&-@tag-test", Some("(web%|db%)&-@tag-test")),
        ("web%&&-@tag-test", Some("web%&-@tag-test")),
        (
            "( web% || db% ) & - @tag-test",
            Some("(web%|db%)&-@tag-test"),
        ),
        ("(web*|db*)&!@tag-test", Some("(web%|db%)&-@tag-test")),
        ("web%&@typ-vm", Some("web%&@type-vm")),
        ("web%&-@type-lxc,100;101", Some("web%&-@type-ct,100,101")),
        ("@runnings", Some("@running")),
        ("@types-ct", Some("@type-ct")),
        ("web%&@TAG-Test", Some("web%&@tag-Test")),
        ("web%&", None),
        ("(web%", None),
        ("(web%,db%", None),
        ("web%)&db%,(100", None),
        ("(100;101)&@running", None),
        ("-web%&db%", None),
        ("a&@wrong", None),
    ] {
        let found = Selection::suggestion(selection);
        assert_eq!(found.as_deref(), expected, "{selection}");
    }
}

#[test]
fn keywords_in_upper_case_in_an_expression_are_invalid_for_a_removal() {
    for (selection, correction) in [
        ("web%&@ALL", Some("web%&@all")),
        (
            "(@Pool-Prod|100) & -@Tag-X",
            Some("(@pool-Prod|100) & -@tag-X"),
        ),
        ("@all,-(@RUNNING|web%)", Some("-(@running|web%)")),
        ("@Type-vm", Some("@type-vm")),
        ("WEB%&@tag-PROD&@running", None),
        ("100,- Web01", None),
    ] {
        let checked = Selection::parse(selection).unwrap().check_for_removal();
        let error = checked
            .err()
            .and_then(|error| error.correction().map(str::to_owned));
        assert_eq!(error.as_deref(), correction, "{selection}");
    }
}

#[test]
fn an_expression_is_displayed_without_needless_parentheses_and_blanks() {
    for (text, displayed) in [
        ("( a )", "a"),
        ("((a|b))", "(a|b)"),
        ("a & - (b & c) & (d | e & f)", "a&-(b&c)&(d|e&f)"),
        ("(a&b)&c", "(a&b)&c"),
        ("-(a&b)", "a&b"),
        ("((a|b)|c)", "((a|b)|c)"),
    ] {
        let item = Item::parse(text).unwrap();
        assert_eq!(item.expression.to_string(), displayed, "{text}");
        assert_eq!(item.text, text);
    }
}

#[test]
fn one_at_a_time_the_item_of_an_expression_is_the_place_of_its_guests() {
    let mut found = selected("220,(105|web01),@tag-prod&@tag-web");
    found.sort_by_terms();
    assert_eq!(vmids(&found.guests), [220, 100, 105, 200]);
}

/// PVE stores tags in lower case unless told otherwise; the case of the tag does not matter.
#[test]
fn a_run_leaves_out_guests_that_are_tagged_off_unless_a_term_names_them() {
    let mut inventory = mixed();
    for (index, tag) in [
        (0, "autosnap-off"),
        (3, "AutoSnap-OFF"),
        (6, "autosnap-off"),
    ] {
        inventory.guests[index].tags.push(tag.to_owned());
    }
    inventory.guests[1].tags.push("autosnap-offline".to_owned());
    for (selection, expected, left_out) in [
        (
            "@all",
            [104, 106, 111, 200, 99_999, 900, 901].as_slice(),
            [100, 105, 220].as_slice(),
        ),
        ("@pool-lab", &[106], &[105]),
        ("@node-pve3", &[], &[220]),
        ("@tag-web", &[200, 900, 901], &[100]),
        ("@tag-autosnap-off", &[], &[100, 105, 220]),
        ("@type-ct", &[], &[220]),
        ("@running", &[], &[100]),
        ("100:110", &[104, 106], &[100, 105]),
        ("web%", &[], &[100]),
        ("@pool-prod&-200", &[900, 901], &[100]),
        ("100", &[100], &[]),
        ("WEB01", &[100], &[]),
        ("@tag-web,100", &[100, 200, 900, 901], &[]),
        ("@tag-web&100", &[100], &[]),
        ("@tag-web&-100", &[200, 900, 901], &[]),
        ("@pool-lab&100,@tag-web", &[200, 900, 901], &[100]),
        ("@pool-lab,-105", &[106], &[]),
    ] {
        let selection = Selection::parse(selection).unwrap();
        let found = selection.evaluate_for_run(&inventory);
        assert_eq!(vmids(&found.guests), expected, "{selection}");
        let tagged_off: Vec<u32> = found.tagged_off.iter().map(|vmid| vmid.get()).collect();
        assert_eq!(tagged_off, left_out, "{selection}");
        let all = selection.evaluate(&inventory);
        assert_eq!(
            all.guests.len(),
            expected.len() + left_out.len(),
            "{selection}"
        );
    }
}

#[test]
fn nested_pools_count_only_guests_that_are_not_left_out() {
    let mut inventory = lab();
    inventory.guests[2].tags.push(OFF_TAG.to_owned());
    let selection = Selection::parse("@pool-lab").unwrap();
    assert_eq!(selection.evaluate(&inventory).nested_pools.len(), 1);
    assert_eq!(selection.evaluate_for_run(&inventory).nested_pools, []);
}
