// SPDX-License-Identifier: GPL-3.0-only
//! The existing name that is most similar to a mistyped one.

use std::cmp::Reverse;

/// The similarity (Jaro-Winkler, 0 to 1) from which one name is suggested for another.
const THRESHOLD: f64 = 0.65;

/// The keywords that are followed by a name, without their `@`.
const NAMED_GROUPS: [&str; 3] = ["node", "pool", "tag"];
/// The complete groups, without their `@`.
const GROUPS: [&str; 5] = ["all", "running", "stopped", "type-vm", "type-ct"];

/// The most similar of the existing names, the first in the alphabet of equally similar ones.
pub(super) fn nearest<'a>(
    wanted: &str,
    existing: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    existing
        .map(|name| (similarity(wanted, &name.to_lowercase()), Reverse(name)))
        .filter(|(similarity, _)| *similarity >= THRESHOLD)
        .max_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(&other.1)))
        .map(|(_, Reverse(name))| name)
}

/// The valid group for an `@` with a mistyped keyword: `@pool-prod` for `@pol-prod`.
///
/// The inventory does not matter: the keyword is invalid in any cluster.
pub(super) fn nearest_group(term: &str) -> Option<String> {
    let word = term.strip_prefix('@')?;
    let is_near =
        |group: &str, typed: &str| strsim::damerau_levenshtein(group, &typed.to_lowercase()) == 1;
    if let Some((typed, name)) = word.split_once('-').filter(|(_, name)| !name.is_empty())
        && let Some(group) = NAMED_GROUPS.iter().find(|group| is_near(group, typed))
    {
        return Some(format!("@{group}-{name}"));
    }
    let group = GROUPS.iter().find(|group| is_near(group, word))?;
    Some(format!("@{group}"))
}

/// The valid term for a type of guests that PVE does not have. `typed` is in lower case.
pub(super) fn nearest_type(typed: &str) -> Option<String> {
    let kind = match typed {
        "qemu" | "kvm" | "vms" => "vm",
        "lxc" | "container" | "cts" => "ct",
        _ => return None,
    };
    Some(format!("@type-{kind}"))
}

/// The similarity of two names, from 0 to 1.
///
/// Jaro-Winkler is 0 for short names with two letters swapped, as in `wbe` for `web`.
fn similarity(wanted: &str, existing: &str) -> f64 {
    let similarity = strsim::jaro_winkler(wanted, existing);
    let is_one_typo =
        wanted.chars().count() >= 3 && strsim::damerau_levenshtein(wanted, existing) == 1;
    if is_one_typo {
        similarity.max(THRESHOLD)
    } else {
        similarity
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn one_typo_in_a_short_name_is_near_enough() {
        for (wanted, expected) in [
            ("wbe", Some("web")),
            ("bd", None),
            ("xeb", Some("web")),
            ("bew", None),
            ("zzz", None),
        ] {
            let found = nearest(wanted, ["db", "web"].into_iter());
            assert_eq!(found, expected, "{wanted}");
        }
    }
}
