// SPDX-License-Identifier: GPL-3.0-only
//! Warnings about terms: which guests may be missing, which names are unknown, and when a term is suggested.

use super::*;

/// The warnings on [`lab`] with a change.
fn warnings(selection: &str, change: impl Fn(&mut Inventory)) -> Vec<SelectionWarning> {
    let mut inventory = lab();
    change(&mut inventory);
    let selection = Selection::parse(selection).unwrap();
    selection.evaluate(&inventory).warnings
}

fn nameless(vmid: u32) -> Guest {
    let mut guest = guest(vmid, "pve9", "", "", &[]);
    guest.status = GuestStatus::Unknown;
    guest
}

#[test]
fn only_terms_about_names_mention_guests_without_a_name() {
    for (selection, expected) in [
        ("web02", 2),
        ("zzz%", 2),
        ("%zzz", 2),
        ("web%", 2),
        ("7777", 0),
        ("300:400", 0),
        ("@node-none", 0),
        ("@node-spare", 0),
        ("@pool-none", 0),
        ("@pool-unused", 0),
        ("@pool-shelf", 0),
        ("@tag-none", 0),
    ] {
        let found = warnings(selection, |inventory| {
            inventory.guests.extend([nameless(900), nameless(901)]);
        });
        assert_eq!(found[0].nameless, expected, "{selection}");
        assert_eq!(found[0].may_miss_a_guest(), expected > 0, "{selection}");
    }
}

#[test]
fn the_message_has_the_number_of_guests_without_a_name() {
    let message = |count: u32| {
        let found = warnings("web02", |inventory| {
            inventory.guests.extend((900..900 + count).map(nameless));
        });
        found[0].to_string()
    };
    let reason =
        "`web02` matches no guest: no guest has this name, or this login may not see it (VM.Audit)";
    let question = "; did you mean `web01`?";
    assert_eq!(message(0), format!("{reason}{question}"));
    assert_eq!(
        message(1),
        format!(
            "{reason}; the name of 1 guest on an offline node is not known, use the ID instead{question}"
        )
    );
    assert_eq!(
        message(2),
        format!(
            "{reason}; the names of 2 guests on offline nodes are not known, use the ID instead{question}"
        )
    );
}

#[test]
fn only_exclusions_by_name_may_mean_guests_without_a_name() {
    for (selection, exclusion) in [
        ("@all,-web01", Some("-web01")),
        ("@all,-100,-web%,-%db", Some("-web%")),
        ("@all,-100,-200:300,-@node-pve3,-@pool-lab,-@tag-web", None),
        ("@all,web01", None),
    ] {
        let mut inventory = lab();
        inventory.guests.push(nameless(900));
        let found = Selection::parse(selection).unwrap().evaluate(&inventory);
        let vmid = Vmid::new(900).unwrap();
        let expected = exclusion.map(ToOwned::to_owned);
        assert_eq!(
            found.unresolved.get(&vmid),
            expected.as_ref(),
            "{selection}"
        );
    }
}

#[test]
fn a_pool_or_node_that_exists_has_no_suggestion() {
    // Each is similar to one with guests.
    let extended = |inventory: &mut Inventory| {
        inventory.nodes[3].name = "pve11".to_owned();
        inventory
            .pools
            .extend(["labs", "prods/nested"].map(str::to_owned));
    };
    for (selection, expected) in [
        ("@node-pve11", None),
        ("@node-pve12", Some("@node-pve1")),
        ("@pool-labs", None),
        ("@pool-prods", None),
        ("@pool-prodd", Some("@pool-prod")),
        ("1000", None),
    ] {
        let found = warnings(selection, extended);
        assert_eq!(found[0].nearest.as_deref(), expected, "{selection}");
    }
}

#[test]
fn a_selection_is_displayed_as_it_was_typed() {
    let selection = Selection::parse("web01, -100").unwrap();
    assert_eq!(format!("{selection:>12}"), " web01, -100");
    assert_eq!(selection.as_str(), "web01, -100");
}
