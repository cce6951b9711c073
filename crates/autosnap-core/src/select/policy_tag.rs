// SPDX-License-Identifier: GPL-3.0-only
//! Policy tags: tags of guests that name how they are protected.

use crate::guest::Guest;

use super::similarity::nearest;

/// The beginning of every policy tag: `autosnap-gold`.
pub const POLICY_TAG_PREFIX: &str = "autosnap-";

/// The policy tag of guests that jobs leave out, unless a term names them by ID or exact name.
pub const OFF_TAG: &str = "autosnap-off";

/// Whether a tag is a policy tag. PVE compares tags without case.
pub fn is_policy_tag(tag: &str) -> bool {
    policy_of(&tag.to_lowercase()).is_some()
}

/// Whether the guest has the tag [`OFF_TAG`]. PVE compares tags without case.
pub fn is_tagged_off(guest: &Guest) -> bool {
    guest.tags.iter().any(|tag| tag.to_lowercase() == OFF_TAG)
}

/// The most similar of the policy tags, if one is similar enough; all texts are in lower case.
///
/// Only the parts after the prefix are compared: the prefix makes all of them similar.
pub fn nearest_policy_tag<'a>(
    wanted: &str,
    existing: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let policies = existing.filter_map(policy_of);
    nearest(policy_of(wanted)?, policies).map(|policy| format!("{POLICY_TAG_PREFIX}{policy}"))
}

fn policy_of(tag: &str) -> Option<&str> {
    tag.strip_prefix(POLICY_TAG_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_policy_tag_has_the_nearest_one() {
        let tags = ["autosnap-gold", "autosnap-silver", OFF_TAG, "web"];
        for (wanted, expected) in [
            ("autosnap-glod", Some("autosnap-gold")),
            ("autosnap-golden", Some("autosnap-gold")),
            ("autosnap-slver", Some("autosnap-silver")),
            ("autosnap-of", Some(OFF_TAG)),
            ("autosnap-xyz", None),
            ("web", None),
        ] {
            let found = nearest_policy_tag(wanted, tags.into_iter());
            assert_eq!(found.as_deref(), expected, "{wanted}");
        }
    }

    #[test]
    fn policy_tags_begin_with_the_prefix_in_any_case() {
        assert!(is_policy_tag("autosnap-gold") && is_policy_tag("AutoSnap-Gold"));
        assert!(!is_policy_tag("autosnap") && !is_policy_tag("my-autosnap-gold"));
    }
}
