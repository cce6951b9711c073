// SPDX-License-Identifier: GPL-3.0-only
//! The algebra of selections.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::guest::{GuestKind, GuestStatus};

/// Terms that are valid on their own; many of them match something in [`inventories`].
fn terms() -> impl Strategy<Value = String> {
    prop_oneof![
        (100..120u32).prop_map(|vmid| vmid.to_string()),
        (100..120u32, 0..9u32).prop_map(|(first, more)| format!("{first}:{}", first + more)),
        "[ab]{1,2}",
        "[ab]%",
        "%[ab]",
        "%[ab]%",
        "@(node|all|pool|tag)-[ab]",
        "all-[ab]",
        Just("@pool-a/b".to_owned()),
        Just("@all".to_owned()),
    ]
}

fn inventories() -> impl Strategy<Value = Inventory> {
    let guest = (
        100..120u32,
        "[aAb]",
        prop::option::of("[aAbB]{1,3}"),
        prop::collection::vec("[aAb]", 0..3),
        prop::option::of("a|b|a/b|A"),
    );
    prop::collection::vec(guest, 0..25).prop_map(|guests| Inventory {
        guests: guests
            .into_iter()
            .map(|(vmid, node, name, tags, pool)| Guest {
                vmid: Vmid::new(vmid).unwrap(),
                kind: GuestKind::Lxc,
                node,
                name,
                status: GuestStatus::Running,
                template: false,
                tags,
                pool,
                lock: None,
            })
            // A cluster has every ID once.
            .map(|guest| (guest.vmid, guest))
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_values()
            .collect(),
        ..Inventory::default()
    })
}

fn ids(selection: &str, inventory: &Inventory) -> BTreeSet<Vmid> {
    let found = Selection::parse(selection).unwrap().evaluate(inventory);
    found.guests.iter().map(|guest| guest.vmid).collect()
}

/// The cluster as another login sees it, with privileges that a pool passes on to the pools nested in
/// it: guests that it may not see are missing, those of hidden
/// pools have none, and those of silent nodes have neither a name nor a status.
#[derive(Debug, Clone)]
struct View {
    hidden_guests: BTreeSet<u32>,
    /// In lower case: of two pools that differ in case only, both or none are seen.
    hidden_pools: BTreeSet<String>,
    hidden_nodes: BTreeSet<String>,
    nodes_without_statistics: BTreeSet<String>,
}

fn views() -> impl Strategy<Value = View> {
    let nodes = || prop::collection::btree_set("[aAb]", 0..2);
    (
        prop::collection::btree_set(100..120u32, 0..12),
        prop::collection::btree_set("a|b", 0..3),
        nodes(),
        nodes(),
    )
        .prop_map(
            |(hidden_guests, hidden_pools, hidden_nodes, nodes_without_statistics)| View {
                hidden_guests,
                hidden_pools,
                hidden_nodes,
                nodes_without_statistics,
            },
        )
}

impl View {
    fn shows_pool(&self, pool: &str) -> bool {
        !self.hidden_pools.contains(&pool.to_lowercase())
    }

    fn of(&self, inventory: &Inventory) -> Inventory {
        let mut seen = inventory.clone();
        seen.guests
            .retain(|guest| !self.hidden_guests.contains(&guest.vmid.get()));
        for guest in &mut seen.guests {
            guest.pool.take_if(|pool| !self.shows_pool(pool));
            if self.nodes_without_statistics.contains(&guest.node) {
                guest.name = None;
                guest.status = GuestStatus::Unknown;
            }
        }
        seen.pools.retain(|pool| self.shows_pool(pool));
        seen.nodes
            .retain(|node| !self.hidden_nodes.contains(&node.name));
        seen
    }
}

/// With the nodes and pools of its guests, and one of each without any.
fn with_groups(mut inventory: Inventory) -> Inventory {
    let guests = &inventory.guests;
    let nodes: BTreeSet<&str> = guests.iter().map(|guest| guest.node.as_str()).collect();
    let pools: BTreeSet<&str> = guests
        .iter()
        .filter_map(|guest| guest.pool.as_deref())
        .collect();
    let pools = pools.into_iter().chain(["b/empty"]);
    inventory.pools = pools.map(ToOwned::to_owned).collect();
    inventory.nodes = nodes
        .into_iter()
        .chain(["empty"])
        .map(|name| NodeInfo {
            name: name.to_owned(),
            online: true,
        })
        .collect();
    inventory
}

/// The guests that a command with this rule works on: none if it refuses to start, and never one
/// that an exclusion by name may mean.
fn worked_on(selection: &str, inventory: &Inventory, rule: ExclusionRule) -> BTreeSet<Vmid> {
    let found = Selection::parse(selection).unwrap().evaluate(inventory);
    if found.warnings.iter().any(|warning| warning.violates(rule)) {
        return BTreeSet::new();
    }
    let vmids = found.guests.iter().map(|guest| guest.vmid);
    vmids
        .filter(|vmid| !found.unresolved.contains_key(vmid))
        .collect()
}

fn term_lists() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(terms(), 1..5)
}

proptest! {
    #[test]
    fn order_and_repetition_of_terms_do_not_matter(
        inventory in inventories(),
        (given, shuffled) in term_lists().prop_flat_map(|terms| {
            let mut twice = terms.clone();
            twice.extend(terms.clone());
            (Just(terms), Just(twice).prop_shuffle())
        }),
    ) {
        let given = Selection::parse(&given.join(",")).unwrap().evaluate(&inventory).guests;
        let shuffled = Selection::parse(&shuffled.join(",")).unwrap().evaluate(&inventory).guests;
        prop_assert_eq!(given, shuffled);
    }

    #[test]
    fn positive_terms_are_a_union(inventory in inventories(), terms in term_lists()) {
        let each = terms.iter().flat_map(|term| ids(term, &inventory)).collect::<BTreeSet<_>>();
        prop_assert_eq!(ids(&terms.join(","), &inventory), each);
    }

    #[test]
    fn all_without_a_term_is_the_complement(inventory in inventories(), term in terms()) {
        let all = ids("@all", &inventory);
        let matched = ids(&term, &inventory);
        let rest: BTreeSet<Vmid> = all.difference(&matched).copied().collect();
        prop_assert_eq!(ids(&format!("@all,-{term}"), &inventory), rest.clone());
        prop_assert_eq!(ids(&format!("-{term},@all"), &inventory), rest);
    }

    #[test]
    fn exclusion_wins(inventory in inventories(), terms in term_lists(), excluded in terms()) {
        let positive = terms.join(",");
        let without = ids(&format!("{positive},-{excluded}"), &inventory);
        let expected: BTreeSet<Vmid> = ids(&positive, &inventory)
            .difference(&ids(&excluded, &inventory))
            .copied()
            .collect();
        prop_assert_eq!(without, expected);
    }

    /// D2: an exclusion that cannot be resolved never widens what `clean` works on.
    #[test]
    fn a_view_of_less_never_makes_clean_work_on_more(
        inventory in inventories(),
        view in views(),
        included in term_lists(),
        excluded in prop::collection::vec(terms(), 0..4),
    ) {
        let full = with_groups(inventory);
        let exclusions = excluded.iter().map(|term| format!("-{term}"));
        let selection = included.into_iter().chain(exclusions).collect::<Vec<_>>().join(",");
        let all = ids(&selection, &full);
        let seen = worked_on(&selection, &view.of(&full), ExclusionRule::MustMatch);
        prop_assert!(seen.is_subset(&all), "{} widens {:?} to {:?}", selection, all, seen);
    }

    /// D2: `snap` starts whenever the pools and nodes of its exclusions are visible, and hiding
    /// pools and nodes alone never makes it work on more.
    #[test]
    fn a_hidden_pool_or_node_never_makes_snap_work_on_more(
        inventory in inventories(),
        view in views(),
        included in term_lists(),
        excluded in prop::collection::vec("@(node|pool)-[ab]", 0..4),
    ) {
        let full = with_groups(inventory);
        let exclusions = excluded.iter().map(|term| format!("-{term}"));
        let selection = included.into_iter().chain(exclusions).collect::<Vec<_>>().join(",");
        let all = ids(&selection, &full);
        let seen = worked_on(&selection, &view.of(&full), ExclusionRule::MustExist);
        prop_assert!(seen.is_subset(&all), "{} widens {:?} to {:?}", selection, all, seen);
    }

    #[test]
    fn upper_and_lower_case_are_the_same(inventory in inventories(), terms in term_lists()) {
        // Bare keywords are names in other letters.
        let is_keyword = |term: &&String| term.trim_start_matches(['-', ' ']).starts_with("all");
        prop_assume!(!terms.iter().any(|term| is_keyword(&term)));
        let text = terms.join(",");
        prop_assert_eq!(ids(&text, &inventory), ids(&text.to_uppercase(), &inventory));
    }

    #[test]
    fn guests_are_sorted_and_there_once(inventory in inventories(), terms in term_lists()) {
        let found = Selection::parse(&terms.join(",")).unwrap().evaluate(&inventory);
        let order: Vec<(&str, Vmid)> =
            found.guests.iter().map(|guest| (guest.node.as_str(), guest.vmid)).collect();
        prop_assert!(order.is_sorted());
        let distinct: BTreeSet<Vmid> = found.guests.iter().map(|guest| guest.vmid).collect();
        prop_assert_eq!(distinct.len(), order.len());
    }

    #[test]
    fn a_term_warns_exactly_if_it_selects_nothing(inventory in inventories(), term in terms()) {
        let mut inventory = with_groups(inventory);
        inventory.pools.extend(["a", "b"].map(str::to_owned));
        let found = Selection::parse(&term).unwrap().evaluate(&inventory);
        prop_assert_eq!(found.guests.is_empty(), !found.warnings.is_empty());
    }

    #[test]
    fn the_nearest_term_selects_something(inventory in inventories(), term in "(@(node|pool|tag)-)?[abc/]{1,4}|1[0-9]{2,3}(:2000)?") {
        let found = Selection::parse(&term).unwrap().evaluate(&inventory);
        for nearest in found.warnings.iter().filter_map(|warning| warning.nearest.as_deref()) {
            prop_assert!(!ids(nearest, &inventory).is_empty(), "{} for {}", nearest, term);
        }
    }

    #[test]
    fn any_text_can_be_parsed(text in "[-@%:, a-z0-9ä]{0,20}|\\PC{0,20}", inventory in inventories()) {
        if let Ok(selection) = Selection::parse(&text) {
            let found = selection.evaluate(&inventory);
            prop_assert!(found.guests.len() <= inventory.guests.len());
            prop_assert_eq!(selection.as_str(), text);
        }
    }
}
