// SPDX-License-Identifier: GPL-3.0-only
//! The expression of `--vmid`, evaluated on a small cluster.

use std::sync::LazyLock;

use autosnap_core::guest::{Guest, GuestKind, GuestStatus, Vmid};
use autosnap_core::select::{Inventory, NodeInfo, Selection, is_tagged_off};

static CLUSTER: LazyLock<Inventory> = LazyLock::new(cluster);

/// Evaluates the expression; exclusion wins, order does not matter, advice given works, and operators are those of sets.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Some(suggestion) = Selection::suggestion(text) {
        let suggested = Selection::parse(&suggestion).expect("a suggestion is valid");
        assert!(suggested.invalid_terms().is_empty(), "{suggestion}");
    }
    let selection = match Selection::parse(text) {
        Ok(selection) => selection,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(selection.as_str(), text);
    let selected = selection.evaluate(&CLUSTER);
    let order = selected
        .guests
        .iter()
        .map(|guest| (&guest.node, guest.vmid));
    assert!(order.is_sorted_by(|one, other| one < other));
    assert!(
        selected
            .guests
            .iter()
            .all(|guest| CLUSTER.guests.contains(guest))
    );
    assert!(
        guests(&format!("{text},-@all")).is_empty(),
        "exclusion wins"
    );
    assert!(
        guests(&format!("-@all,{text}")).is_empty(),
        "exclusion wins"
    );
    let backwards: Vec<&str> = text.split(',').rev().collect();
    assert_eq!(guests(&backwards.join(",")), selected.guests);
    // A bare keyword in upper case is a guest name.
    let is_keyword = |term: &str| {
        let positive = term.trim_start().trim_start_matches('-').trim_start();
        positive.starts_with("all")
    };
    let ends_term = [',', '&', '|', '('];
    if text.is_ascii() && !text.split(ends_term).any(is_keyword) {
        assert_eq!(guests(&text.to_ascii_uppercase()), selected.guests);
    }
    for warning in &selected.warnings {
        assert!(warning.to_string().contains(&warning.term));
        if let Some(nearest) = &warning.nearest {
            let positive = nearest.trim_start_matches('-');
            assert!(!guests(positive).is_empty(), "{warning}");
        }
    }
    let run = selection.evaluate_for_run(&CLUSTER);
    assert!(run.guests.iter().all(|guest| {
        selected.guests.contains(guest)
            && (!is_tagged_off(guest) || selected.named.contains(&guest.vmid))
    }));
    assert_eq!(
        run.guests.len() + run.tagged_off.len(),
        selected.guests.len()
    );
    if !text.contains(',') {
        check_operators(text, &selected.guests);
    }
}

/// Checks that an item in parentheses selects the same guests, and that its complement selects none of them.
fn check_operators(item: &str, selected: &[Guest]) {
    // Parentheses that are as deeply nested as allowed cannot be nested once more.
    let evaluate = |text: String| Some(Selection::parse(&text).ok()?.evaluate(&CLUSTER).guests);
    if let Some(same) = evaluate(format!("({item})")) {
        assert_eq!(same, selected, "{item}");
    }
    if let Some(common) = evaluate(format!("@all&({item})")) {
        assert_eq!(common, selected, "{item}");
    }
    if let Some(others) = evaluate(format!("@all&-({item})")) {
        assert!(
            others.iter().all(|guest| !selected.contains(guest)),
            "{item}"
        );
    }
    if let Some(none) = evaluate(format!("({item})&-({item})")) {
        assert!(none.is_empty(), "{item}");
    }
}

fn guests(selection: &str) -> Vec<Guest> {
    let selection = Selection::parse(selection).expect("its parts were accepted");
    selection.evaluate(&CLUSTER).guests
}

fn cluster() -> Inventory {
    let guest = |vmid, node: &str, name: Option<&str>, pool: Option<&str>, tags: &[&str]| Guest {
        vmid: Vmid::new(vmid).expect("IDs begin at 100"),
        kind: GuestKind::Qemu,
        node: node.to_owned(),
        name: name.map(str::to_owned),
        status: GuestStatus::Running,
        template: false,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        pool: pool.map(str::to_owned),
        lock: None,
    };
    let node = |name: &str, online| NodeInfo {
        name: name.to_owned(),
        online,
    };
    let mut stopped = guest(300, "pve1", Some("ct"), Some("lab"), &["AutoSnap-Off"]);
    (stopped.kind, stopped.status) = (GuestKind::Lxc, GuestStatus::Stopped);
    let mut unknown = guest(301, "PVE3", None, None, &["autosnap-off", "web"]);
    unknown.status = GuestStatus::Unknown;
    Inventory {
        guests: vec![
            guest(100, "pve1", Some("web01"), Some("lab"), &["prod", "web"]),
            guest(101, "pve1", Some("WEB02"), Some("lab/nested"), &["prod"]),
            guest(110, "pve2", Some("db"), None, &[]),
            guest(111, "pve2", Some("all-in-one"), None, &["ä"]),
            guest(200, "PVE3", None, Some("lab2"), &[]),
            stopped,
            unknown,
            guest(999_999_999, "pve1", Some("last"), None, &["web"]),
        ],
        nodes: vec![
            node("pve1", true),
            node("pve2", true),
            node("PVE3", false),
            node("empty", true),
        ],
        pools: ["lab", "lab/nested", "lab2", "void"]
            .map(str::to_owned)
            .into(),
        ..Inventory::default()
    }
}
