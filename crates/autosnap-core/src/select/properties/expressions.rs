// SPDX-License-Identifier: GPL-3.0-only
//! Properties of expressions: they are evaluated as sets, and selections without operators as they always were.

use super::super::expression::{Expression, Item};
use super::*;

/// An expression to compare with.
#[derive(Debug, Clone)]
enum Model {
    Term(String),
    /// The first operand, and the others with whether they exclude.
    Intersection(Box<Model>, Vec<(bool, Model)>),
    Union(Vec<Model>),
}

/// The guests that an expression certainly matches, and those that it may match.
struct Matched {
    certain: BTreeSet<Vmid>,
    possible: BTreeSet<Vmid>,
}

impl Model {
    /// The text. `blank` is written around each operator.
    fn text(&self, blank: &str) -> String {
        match self {
            Self::Term(term) => term.clone(),
            Self::Intersection(first, others) => {
                let others = others.iter().map(|(excludes, other)| {
                    let sign = if *excludes { "-" } else { "" };
                    format!("{sign}{}", other.operand(blank))
                });
                let operands: Vec<String> =
                    [first.operand(blank)].into_iter().chain(others).collect();
                operands.join(&format!("{blank}&{blank}"))
            }
            Self::Union(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| part.text(blank)).collect();
                format!(
                    "({blank}{}{blank})",
                    parts.join(&format!("{blank}|{blank}"))
                )
            }
        }
    }

    fn operand(&self, blank: &str) -> String {
        match self {
            Self::Intersection(..) => format!("({blank}{}{blank})", self.text(blank)),
            Self::Term(_) | Self::Union(_) => self.text(blank),
        }
    }

    /// The sets of guests. In an exclusion, a pool or node that is not visible has no guests.
    fn matched(&self, inventory: &Inventory, is_exclusion: bool) -> Matched {
        let all: BTreeSet<Vmid> = inventory.guests.iter().map(|guest| guest.vmid).collect();
        let matched = |model: &Self| model.matched(inventory, is_exclusion);
        match self {
            Self::Term(term) => {
                let guests = |matches: &dyn Fn(&Guest) -> bool| {
                    let guests = inventory.guests.iter().filter(|guest| matches(guest));
                    guests.map(|guest| guest.vmid).collect()
                };
                Matched {
                    certain: guests(&|guest| matches_by_rule(term, guest)),
                    possible: guests(&|guest| {
                        matches_by_rule(term, guest)
                            || is_unknown(term, guest)
                            || (!is_exclusion && is_hidden(term, inventory))
                    }),
                }
            }
            Self::Intersection(first, others) => {
                let mut common = matched(first);
                for (excludes, other) in others {
                    let other = matched(other);
                    let (certain, possible) = if *excludes {
                        (&all - &other.possible, &all - &other.certain)
                    } else {
                        (other.certain, other.possible)
                    };
                    common.certain = &common.certain & &certain;
                    common.possible = &common.possible & &possible;
                }
                common
            }
            Self::Union(parts) => {
                let mut union = Matched {
                    certain: BTreeSet::new(),
                    possible: BTreeSet::new(),
                };
                for part in parts.iter().map(matched) {
                    union.certain.extend(part.certain);
                    union.possible.extend(part.possible);
                }
                union
            }
        }
    }
}

/// The rules of the terms, written without the code under test.
fn matches_by_rule(term: &str, guest: &Guest) -> bool {
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    let vmid = guest.vmid.get();
    match term {
        "@all" | "all" => return true,
        "@type-vm" => return guest.kind == GuestKind::Qemu,
        "@type-ct" => return guest.kind == GuestKind::Lxc,
        "@running" => return guest.status == GuestStatus::Running,
        "@stopped" => return guest.status == GuestStatus::Stopped,
        _ => {}
    }
    for keyword in ["@node-", "@all-", "all-"] {
        if let Some(node) = term.strip_prefix(keyword) {
            return same(&guest.node, node);
        }
    }
    if let Some(wanted) = term.strip_prefix("@pool-") {
        return guest.pool.as_ref().is_some_and(|pool| {
            let nested = format!("{}/", wanted.to_lowercase());
            same(pool, wanted) || pool.to_lowercase().starts_with(&nested)
        });
    }
    if let Some(wanted) = term.strip_prefix("@tag-") {
        return guest.tags.iter().any(|tag| same(tag, wanted));
    }
    if let Some((first, last)) = term.split_once(':') {
        return (first.parse().unwrap()..=last.parse().unwrap()).contains(&vmid);
    }
    if let Ok(wanted) = term.parse::<u32>() {
        return wanted == vmid;
    }
    let Some(name) = &guest.name else {
        return false;
    };
    let (name, wanted) = (name.to_lowercase(), term.replace('%', "").to_lowercase());
    match (term.starts_with('%'), term.ends_with('%')) {
        (true, true) => name.contains(&wanted),
        (true, false) => name.ends_with(&wanted),
        (false, true) => name.starts_with(&wanted),
        (false, false) => name == wanted,
    }
}

/// Whether it is unknown if the term matches the guest, as PVE does not list its name or state.
fn is_unknown(term: &str, guest: &Guest) -> bool {
    let is_about_state = matches!(term, "@running" | "@stopped");
    let is_about_name = term.contains(['a', 'b', '%']) && !term.starts_with(['@', '1']);
    let is_keyword = term.starts_with("all");
    (is_about_state && guest.status == GuestStatus::Unknown)
        || (is_about_name && !is_keyword && guest.name.is_none())
}

/// Whether the term is a pool or node that is not visible.
fn is_hidden(term: &str, inventory: &Inventory) -> bool {
    let (mut pools, mut nodes) = (inventory.pools.iter(), inventory.nodes.iter());
    if let Some(wanted) = term.strip_prefix("@pool-") {
        return !pools.any(|pool| pool.eq_ignore_ascii_case(wanted));
    }
    let node = ["@node-", "@all-", "all-"];
    let Some(node) = node.iter().find_map(|keyword| term.strip_prefix(keyword)) else {
        return false;
    };
    let mut guests = inventory.guests.iter();
    !nodes.any(|listed| listed.name.eq_ignore_ascii_case(node))
        && !guests.any(|guest| guest.node.eq_ignore_ascii_case(node))
}

fn models() -> impl Strategy<Value = Model> {
    let term = terms().prop_map(Model::Term);
    term.prop_recursive(4, 24, 4, |part| {
        let others = prop::collection::vec((any::<bool>(), part.clone()), 1..4);
        prop_oneof![
            (part.clone(), others)
                .prop_map(|(first, others)| Model::Intersection(Box::new(first), others)),
            prop::collection::vec(part, 2..4).prop_map(Model::Union),
        ]
    })
}

/// A selection: at least one positive item, then exclusions.
fn selections() -> impl Strategy<Value = (Vec<Model>, Vec<Model>)> {
    (
        prop::collection::vec(models(), 1..4),
        prop::collection::vec(models(), 0..3),
    )
}

fn selection_text(included: &[Model], excluded: &[Model], blank: &str) -> String {
    let included = included.iter().map(|item| item.text(blank));
    let excluded = excluded
        .iter()
        .map(|item| format!("-{blank}{}", item.operand(blank)));
    let items: Vec<String> = included.chain(excluded).collect();
    items.join(&format!("{blank},{blank}"))
}

/// The guests of each item, united.
fn united(
    items: &[Model],
    inventory: &Inventory,
    is_exclusion: bool,
    possible: bool,
) -> BTreeSet<Vmid> {
    let matched = items
        .iter()
        .map(|item| item.matched(inventory, is_exclusion));
    matched
        .flat_map(|matched| {
            if possible {
                matched.possible
            } else {
                matched.certain
            }
        })
        .collect()
}

fn parsed(text: &str) -> Expression {
    Item::parse(text).unwrap().expression
}

proptest! {
    /// The evaluation equals that of sets of guests, with hidden pools, names and states.
    #[test]
    fn a_selection_is_evaluated_as_sets(
        inventory in inventories(),
        view in views(),
        (included, excluded) in selections(),
        blank in " {0,2}",
    ) {
        let inventory = view.apply(&with_groups(inventory));
        let text = selection_text(&included, &excluded, &blank);
        let found = Selection::parse(&text).unwrap().evaluate(&inventory);
        let guests: BTreeSet<Vmid> = found.guests.iter().map(|guest| guest.vmid).collect();
        let certain = united(&included, &inventory, false, false);
        let expected = &certain - &united(&excluded, &inventory, true, false);
        prop_assert_eq!(&guests, &expected, "{}", text);
        let unresolved: BTreeSet<Vmid> = found.unresolved.keys().copied().collect();
        let doubtful = &expected & &united(&excluded, &inventory, true, true);
        prop_assert_eq!(unresolved, doubtful, "{}", text);
    }

    /// A selection without operators means what it meant before there were any: a guest is selected if a term matches it
    /// and no exclusion does.
    #[test]
    fn a_selection_without_operators_means_what_it_always_meant(
        inventory in inventories(),
        view in views(),
        items in prop::collection::vec((prop::bool::weighted(0.3), terms(), " {0,2}"), 1..7),
    ) {
        prop_assume!(items.iter().any(|(excludes, ..)| !excludes));
        let inventory = view.apply(&with_groups(inventory));
        let text: Vec<String> = items.iter().map(|(excludes, term, blank)| {
            format!("{blank}{}{blank}{term}{blank}", if *excludes { "-" } else { "" })
        }).collect();
        let selection = Selection::parse(&text.join(",,")).unwrap();
        prop_assert!(selection.invalid_terms().is_empty());
        let is_selected = |guest: &&Guest| {
            let matches = |wanted: bool| {
                let mut terms = items.iter().filter(|(excludes, ..)| *excludes == wanted);
                terms.any(|(_, term, _)| matches_by_rule(term, guest))
            };
            matches(false) && !matches(true)
        };
        let expected: BTreeSet<Vmid> =
            inventory.guests.iter().filter(is_selected).map(|guest| guest.vmid).collect();
        let found = selection.evaluate(&inventory).guests;
        let found: BTreeSet<Vmid> = found.iter().map(|guest| guest.vmid).collect();
        prop_assert_eq!(found, expected, "{:?}", text);
    }

    /// The display of an expression parses to the same expression.
    #[test]
    fn an_expression_is_displayed_as_it_can_be_parsed(model in models(), blank in " {0,2}") {
        let expression = parsed(&model.text(&blank));
        let displayed = expression.to_string();
        prop_assert_eq!(parsed(&displayed), expression, "{}", displayed);
        prop_assert_eq!(displayed, model.text(""));
    }

    /// A pool, node, name or state that is not visible never makes an expression select more, whatever the rule for
    /// exclusions.
    #[test]
    fn fewer_privileges_never_make_an_expression_select_more(
        inventory in inventories(),
        view in views(),
        included in prop::collection::vec(models(), 1..4),
    ) {
        let full = with_groups(inventory);
        let selection = selection_text(&included, &[], "");
        let all = ids(&selection, &full);
        let visible = ids(&selection, &view.apply(&full));
        prop_assert!(visible.is_subset(&all), "{} widens {:?} to {:?}", selection, all, visible);
    }

    /// Together with exclusions from the whole selection, `clean` starts only if all of them can be resolved.
    #[test]
    fn fewer_privileges_never_make_clean_work_on_more_with_expressions(
        inventory in inventories(),
        view in views(),
        (included, excluded) in selections(),
    ) {
        let full = with_groups(inventory);
        let selection = selection_text(&included, &excluded, "");
        let all = ids(&selection, &full);
        let visible = processed_guests(&selection, &view.apply(&full), ExclusionRule::MustMatch);
        prop_assert!(visible.is_subset(&all), "{} widens {:?} to {:?}", selection, all, visible);
    }

    /// A run selects the same guests without those that are tagged off and not named.
    #[test]
    fn a_run_leaves_out_only_guests_that_are_tagged_off(
        inventory in inventories(),
        off in prop::collection::btree_set(100..120u32, 0..8),
        (included, excluded) in selections(),
    ) {
        let mut inventory = with_groups(inventory);
        for guest in inventory.guests.iter_mut().filter(|guest| off.contains(&guest.vmid.get())) {
            guest.tags.push("AutoSnap-Off".to_owned());
        }
        let selection = Selection::parse(&selection_text(&included, &excluded, "")).unwrap();
        let all = selection.evaluate(&inventory);
        let found = selection.evaluate_for_run(&inventory);
        let (left_out, selected): (Vec<Guest>, Vec<Guest>) = all.guests.into_iter().partition(|guest| {
            off.contains(&guest.vmid.get()) && !all.named.contains(&guest.vmid)
        });
        let left_out: Vec<Vmid> = left_out.iter().map(|guest| guest.vmid).collect();
        prop_assert_eq!(found.guests, selected);
        prop_assert_eq!(found.tagged_off, left_out);
        prop_assert_eq!(found.warnings, all.warnings);
        prop_assert_eq!(all.tagged_off, []);
    }

    /// Text of operators and terms is parsed or refused, however it is put together.
    #[test]
    fn any_text_of_operators_can_be_parsed(text in "([&|()\\-, ]|a|web%|@running|@tag-x|100){0,24}") {
        if let Ok(item) = Item::parse(text.trim()) {
            let displayed = item.expression.to_string();
            prop_assert_eq!(parsed(&displayed), item.expression, "{}", text);
        }
        if let Some(suggestion) = Selection::suggestion(&text) {
            prop_assert!(Selection::parse(&suggestion).is_ok(), "{}", suggestion);
        }
    }
}
