// SPDX-License-Identifier: GPL-3.0-only
//! Properties of selections.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::guest::{GuestKind, GuestStatus};

mod expressions;

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
        "@type-(vm|ct)|@running|@stopped",
    ]
}

fn inventories() -> impl Strategy<Value = Inventory> {
    let guest = (
        100..120u32,
        "[aAb]",
        prop::option::of("[aAbB]{1,3}"),
        prop::collection::vec("[aAb]", 0..3),
        prop::option::of("a|b|a/b|A"),
        prop::sample::select(vec![GuestKind::Qemu, GuestKind::Lxc]),
        prop::sample::select(vec![GuestStatus::Running, GuestStatus::Stopped]),
    );
    prop::collection::vec(guest, 0..25).prop_map(|guests| Inventory {
        guests: guests
            .into_iter()
            .map(|(vmid, node, name, tags, pool, kind, status)| Guest {
                vmid: Vmid::new(vmid).unwrap(),
                kind,
                node,
                name,
                status,
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

/// The cluster as a login with fewer privileges sees it; nested pools inherit the privileges of their pool.
///
/// Hidden guests are missing, guests in hidden pools have no pool, and guests on nodes without statistics have neither
/// a name nor a status.
#[derive(Debug, Clone)]
struct View {
    hidden_guests: BTreeSet<u32>,
    /// In lower case: of two pools that differ only in case, both or none are visible.
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

    fn apply(&self, inventory: &Inventory) -> Inventory {
        let mut visible = inventory.clone();
        visible
            .guests
            .retain(|guest| !self.hidden_guests.contains(&guest.vmid.get()));
        for guest in &mut visible.guests {
            guest.pool.take_if(|pool| !self.shows_pool(pool));
            if self.nodes_without_statistics.contains(&guest.node) {
                guest.name = None;
                guest.status = GuestStatus::Unknown;
            }
        }
        visible.pools.retain(|pool| self.shows_pool(pool));
        visible
            .nodes
            .retain(|node| !self.hidden_nodes.contains(&node.name));
        visible
    }
}

/// Adds the nodes and pools of the guests, and one of each without guests.
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

/// The guests that a run with this rule works on: none if it does not start, and no guest that an exclusion by name
/// may mean.
fn processed_guests(selection: &str, inventory: &Inventory, rule: ExclusionRule) -> BTreeSet<Vmid> {
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

/// Terms that can match nothing in any cluster.
fn invalid_terms() -> impl Strategy<Value = String> {
    prop_oneof![
        " {0,2}",
        "[0-9]{1,2}|[1-9][0-9]{10}",
        "1[1-9]0:10[0-9]|:1[01]0|1[01]0:|1:2:3|a:b",
        "@(storage|word|pol|)(-[ab])?",
        "@(pool|tag|node|all)-|all-",
        "%|%%|a%b",
        "(1[01][0-9]|[ab]|@pool-[ab])[;| ，、](1[01][0-9]|[ab]|@all)",
        "[ab]?[*?][ab]?",
        "[“\"'\\[]@all[”\"'\\]]",
        "[!~–—](1[01][0-9]|[ab])",
        "[ab]；[!-]?1[01][0-9]",
        "[$#&=\\\\][ab]",
        "[ab]&|[ab]&&[ab]|\\([ab]|[ab]\\)|\\(\\)|[ab]\\([ab]\\)|[ab]&@(typ-vm|type-x)",
    ]
}

/// A selection and a position to insert a term at.
fn selections_with_position() -> impl Strategy<Value = (Vec<String>, usize)> {
    let exclusions = prop::collection::vec(terms(), 0..3);
    (term_lists(), exclusions)
        .prop_map(|(mut selection, exclusions)| {
            selection.extend(exclusions.iter().map(|term| format!("-{term}")));
            selection
        })
        .prop_flat_map(|selection| {
            let positions = 0..=selection.len();
            (Just(selection), positions)
        })
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

    /// An exclusion that cannot be resolved never adds a guest to a `clean`.
    #[test]
    fn fewer_privileges_never_make_clean_work_on_more(
        inventory in inventories(),
        view in views(),
        included in term_lists(),
        excluded in prop::collection::vec(terms(), 0..4),
    ) {
        let full = with_groups(inventory);
        let exclusions = excluded.iter().map(|term| format!("-{term}"));
        let selection = included.into_iter().chain(exclusions).collect::<Vec<_>>().join(",");
        let all = ids(&selection, &full);
        let visible = processed_guests(&selection, &view.apply(&full), ExclusionRule::MustMatch);
        prop_assert!(visible.is_subset(&all), "{} widens {:?} to {:?}", selection, all, visible);
    }

    /// `snap` starts if the pools and nodes of its exclusions are visible; hiding only pools and nodes never adds a
    /// guest.
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
        let visible = processed_guests(&selection, &view.apply(&full), ExclusionRule::MustExist);
        prop_assert!(visible.is_subset(&all), "{} widens {:?} to {:?}", selection, all, visible);
    }

    #[test]
    fn upper_and_lower_case_are_the_same(inventory in inventories(), terms in term_lists()) {
        // Bare keywords are names in other letters.
        let is_keyword = |term: &&String| term.trim_start_matches(['-', ' ']).starts_with("all");
        prop_assume!(!terms.iter().any(|term| is_keyword(&term)));
        let text = terms.join(",");
        prop_assert_eq!(ids(&text, &inventory), ids(&text.to_uppercase(), &inventory));
    }

    /// An invalid term is ignored or makes the selection invalid. It never adds a guest, not even an excluded one.
    #[test]
    fn an_invalid_term_never_widens_the_selection(
        inventory in inventories(),
        (terms, position) in selections_with_position(),
        invalid in invalid_terms(),
    ) {
        let without = ids(&terms.join(","), &inventory);
        let mut with = terms.clone();
        with.insert(position, invalid.clone());
        if let Ok(selection) = Selection::parse(&with.join(",")) {
            let guests = selection.evaluate(&inventory).guests;
            let guests: BTreeSet<Vmid> = guests.iter().map(|guest| guest.vmid).collect();
            prop_assert_eq!(guests, without, "{}", invalid);
        }
        // A term that may be meant as an exclusion is never ignored.
        with[position] = format!("-{}", invalid.trim());
        let with = with.join(",");
        let is_ignored = invalid.trim().is_empty();
        prop_assert_eq!(Selection::parse(&with).is_ok(), is_ignored, "{}", with);
    }

    /// A suggested selection is valid and has no invalid term.
    #[test]
    fn a_suggested_selection_is_valid(text in "([@a!\\-]{0,2}(1[01][0-9]|web|all|pool-a)[*;, \"“”，:]{0,2}){1,3}") {
        if let Some(corrected) = Selection::suggestion(&text) {
            let selection = Selection::parse(&corrected).unwrap();
            prop_assert_eq!(selection.invalid_terms(), [], "{} for {}", corrected, text);
            prop_assert!(selection.empty_exclusion().is_none(), "{} for {}", corrected, text);
        }
    }

    /// Sorting by terms keeps the guests and puts those of an earlier term first.
    #[test]
    fn sort_by_terms_keeps_the_guests(inventory in inventories(), terms in term_lists()) {
        let mut found = Selection::parse(&terms.join(",")).unwrap().evaluate(&inventory);
        let by_node = found.guests.clone();
        found.sort_by_terms();
        let mut left = by_node;
        let mut expected = Vec::new();
        for term in &terms {
            let matched = ids(term, &inventory);
            expected.extend(left.extract_if(.., |guest| matched.contains(&guest.vmid)));
        }
        prop_assert_eq!(found.guests, expected);
    }

    #[test]
    fn selected_guests_are_sorted_and_distinct(inventory in inventories(), terms in term_lists()) {
        let found = Selection::parse(&terms.join(",")).unwrap().evaluate(&inventory);
        let order: Vec<(&str, Vmid)> =
            found.guests.iter().map(|guest| (guest.node.as_str(), guest.vmid)).collect();
        prop_assert!(order.is_sorted());
        let distinct: BTreeSet<Vmid> = found.guests.iter().map(|guest| guest.vmid).collect();
        prop_assert_eq!(distinct.len(), order.len());
    }

    #[test]
    fn a_term_has_a_warning_exactly_if_it_selects_nothing(inventory in inventories(), term in terms()) {
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
