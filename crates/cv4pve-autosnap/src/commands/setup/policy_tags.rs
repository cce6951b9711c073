// SPDX-License-Identifier: GPL-3.0-only
//! `setup --policy-tags`: the commands that register policy tags and give them colors.
//!
//! PVE replaces `registered-tags` and `tag-style` as a whole (`PVE/API2/Cluster.pm`, `set_options`). The printed script
//! therefore reads both from `/etc/pve/datacenter.cfg`, adds what is missing, and keeps the rest, colors of these tags
//! included. It can be run again.

use std::fmt::Write;

use autosnap_core::select::{OFF_TAG, POLICY_TAG_PREFIX};

use crate::command_error::CommandError;

/// Background and text colors, given to the policies in turn.
const COLORS: [&str; 6] = [
    "d4a017:000000",
    "a8b0b8:000000",
    "2e7d32:ffffff",
    "1565c0:ffffff",
    "6a1b9a:ffffff",
    "00838f:ffffff",
];
/// The colors of `autosnap-off`.
const OFF_COLOR: &str = "616161:ffffff";

/// The policy tags of names such as `gold`, or of whole tags, each once. `autosnap-off` comes last.
pub(super) fn policy_tags(names: &[String]) -> Result<Vec<String>, CommandError> {
    let mut tags = Vec::new();
    for name in names {
        let lower = name.trim().to_lowercase();
        let policy = lower.strip_prefix(POLICY_TAG_PREFIX).unwrap_or(&lower);
        if !is_valid(policy) {
            return Err(
                CommandError::usage(format!("--policy-tags: invalid name '{name}'")).with_hint(
                    "names of policies, such as gold,silver: letters, digits, '_', '-', '+' and '.'",
                ),
            );
        }
        let tag = format!("{POLICY_TAG_PREFIX}{policy}");
        if tag != OFF_TAG && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags.push(OFF_TAG.to_owned());
    Ok(tags)
}

/// Whether PVE accepts the name as the rest of a tag (`$PVE_TAG_RE` in `PVE/JSONSchema.pm`).
fn is_valid(policy: &str) -> bool {
    let is_sign =
        |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | '+' | '.');
    !policy.is_empty() && policy.chars().all(is_sign)
}

/// The script to paste into a shell of a node.
pub(super) fn commands(tags: &[String]) -> String {
    let colors = tags.iter().enumerate().map(|(position, tag)| {
        let color = if tag == OFF_TAG {
            OFF_COLOR
        } else {
            COLORS[position % COLORS.len()]
        };
        format!("{tag}:{color}")
    });
    let colors = colors.collect::<Vec<_>>().join(" ");
    let mut text = format!(
        "# On a node of the cluster, as root (PVE 8 and 9). The present tags and colors are kept.\n\
         # Register the tags: then only users with Sys.Modify on / may add or remove them.\n\
         tags=$(sed -n 's/^registered-tags:[[:blank:]]*//p' /etc/pve/datacenter.cfg)\n\
         for tag in {}; do\n\
         \x20   case \";$tags;\" in\n\
         \x20       *\";$tag;\"*) ;;\n\
         \x20       *) tags=\"${{tags:+$tags;}}$tag\" ;;\n\
         \x20   esac\n\
         done\n\
         pvesh set /cluster/options --registered-tags \"$tags\"\n\
         \n\
         # Give them colors:\n\
         style=$(sed -n 's/^tag-style:[[:blank:]]*//p' /etc/pve/datacenter.cfg)\n\
         for color in {colors}; do\n\
         \x20   case \"$style\" in\n\
         \x20       *[\\;=]\"${{color%%:*}}\":*) ;;\n\
         \x20       *color-map=*) style=\"${{style%%color-map=*}}color-map=$color;${{style#*color-map=}}\" ;;\n\
         \x20       *) style=\"color-map=$color${{style:+,$style}}\" ;;\n\
         \x20   esac\n\
         done\n\
         pvesh set /cluster/options --tag-style \"$style\"\n\
         \n\
         # A job for each policy, in a file of its own, selects its guests:\n",
        tags.join(" "),
    );
    for tag in tags.iter().filter(|tag| *tag != OFF_TAG) {
        let policy = tag.strip_prefix(POLICY_TAG_PREFIX).unwrap_or(tag);
        _ = writeln!(text, "#   {policy}.conf: --vmid=@tag-{tag}");
    }
    text + "# Guests that are left out on purpose have the tag autosnap-off. To see who is protected:\n\
            #   cv4pve-autosnap coverage /etc/cv4pve-autosnap\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Result<Vec<String>, CommandError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        policy_tags(&names)
    }

    #[test]
    fn every_policy_has_one_tag_and_off_is_always_among_them() {
        let expected = ["autosnap-gold", "autosnap-db-1", "autosnap-off"];
        let found = tags(&["gold", "autosnap-DB-1", "Gold", "off"]).unwrap();
        assert_eq!(found, expected);
    }

    #[test]
    fn names_that_pve_refuses_in_a_tag_are_invalid() {
        for name in [
            "",
            "autosnap-",
            "a b",
            "gold;silver",
            "a=b",
            "a:b",
            "$(id)",
            "ü",
        ] {
            let error = tags(&[name]).unwrap_err();
            assert!(error.message.contains("invalid name"), "{error:?}");
        }
    }
}
