// SPDX-License-Identifier: GPL-3.0-only
//! The named formats in PVE's schema, with `-list` and `-opt` (`check_format` in
//! `PVE/JSONSchema.pm`). Each format names the module that registers it.
//!
//! Limits: formats of guest hardware and storage definitions, which snapshot clients do not send,
//! are not checked. `UNCHECKED` lists them; a test compares both lists with the schema. PVE's error
//! text for pools nested more than three levels may differ.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex_lite::Regex;

use super::validation::before_final_newline;

/// Formats defined by a pattern: name, Perl pattern, error text.
const PATTERNS: &[(&str, &str, &str)] = &[
    // PVE/JSONSchema.pm
    (
        "pve-configid",
        r"^(?i:[a-z][a-z0-9_-]+)$",
        "invalid configuration ID '{}'\n",
    ),
    (
        "pve-storage-id",
        STORAGE_ID,
        "storage ID '{}' contains illegal characters\n",
    ),
    ("pve-bridge-id", r"^[-_.\w]+$", "invalid bridge ID '{}'\n"),
    (
        "pve-vmid",
        r"^[1-9][0-9]{2,8}$",
        "value does not look like a valid VM ID\n",
    ),
    (
        "pve-node",
        r"^[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?$",
        "value does not look like a valid node name\n",
    ),
    (
        "dns-name",
        r"^([a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?\.)*([a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?)$",
        "value does not look like a valid DNS name\n",
    ),
    (
        "pve-tag",
        r"^(?i:[a-z0-9_][a-z0-9_\-\+\.]*)$",
        "invalid characters in tag\n",
    ),
    (
        "pve-task-status-type",
        r"^(?i:ok|error|warning|unknown)$",
        "invalid status '{}'\n",
    ),
    (
        "urlencoded",
        r"^[-%a-zA-Z0-9_.!~*'()]*$",
        "invalid urlencoded string: {}\n",
    ),
    (
        "mac-addr",
        r"^(?i:[a-f0-9][02468ace](:[a-f0-9]{2}){5})$",
        "value does not look like a valid unicast MAC address\n",
    ),
    (
        "disk-size",
        r"^\d+(\.\d+)?[KMGT]?$",
        "value does not look like a valid disk size: {}\n",
    ),
    (
        "pve-startup-order",
        r"^(\s*|(order=)?\d+|up=\d+|down=\d+)(,(\s*|(order=)?\d+|up=\d+|down=\d+))*$",
        "unable to parse startup options\n",
    ),
    // PVE/Storage/Plugin.pm and PVE/Storage/LVMPlugin.pm
    (
        "pve-storage-content",
        "^(images|rootdir|vztmpl|iso|backup|snippets|none|import)$",
        "invalid content type '{}'\n",
    ),
    ("pve-storage-options", r"^\S+$", "invalid options '{}'\n"),
    (
        "pve-volume-id",
        r"^(?i:[a-z][a-z0-9\-\_\.]*[a-z0-9]):(.+)$",
        "unable to parse volume ID '{}'\n",
    ),
    (
        "pve-storage-vgname",
        STORAGE_ID,
        "lvm name '{}' contains illegal characters\n",
    ),
    // PVE/AccessControl.pm and PVE/Auth/Plugin.pm
    (
        "pve-realm",
        r"^[A-Za-z][A-Za-z0-9\.\-_]+$",
        "value does not look like a valid realm\n",
    ),
    (
        "pve-poolid",
        r"^[A-Za-z0-9\.\-_]+(/[A-Za-z0-9\.\-_]+){0,2}$",
        "pool name '{}' contains invalid characters\n",
    ),
    ("pve-priv", PRIVILEGE, "invalid privilege '{}'\n"),
    // PVE/DataCenterConfig.pm
    (
        "mac-prefix",
        r"^(?i:[a-f0-9][02468ace](:[a-f0-9]{2}){0,2}:?)$",
        "value is not a valid unicast MAC address prefix\n",
    ),
];

const STORAGE_ID: &str = r"^(?i:[a-z][a-z0-9\-\_\.]*[a-z0-9])$";

const PRIVILEGE: &str = r"^(VM\.(Allocate|Audit|Backup|Clone|Console|Migrate|Monitor|PowerMgmt|Snapshot(\.Rollback)?|Config\.(CDROM|CPU|Cloudinit|Disk|HWType|Memory|Network|Options))|Sys\.(AccessNetwork|Audit|Console|Incoming|Modify|PowerMgmt|Syslog)|Datastore\.(Allocate|AllocateSpace|AllocateTemplate|Audit)|Permissions\.Modify|User\.Modify|Realm\.(Allocate|AllocateUser)|Group\.Allocate|SDN\.(Allocate|Audit|Use)|Pool\.(Allocate|Audit)|Mapping\.(Audit|Modify|Use))$";

/// Formats that accept any value.
#[cfg(test)]
const UNCHECKED: &[&str] = &[
    "email",
    "lxc-ip-with-ll-iface",
    "prune-backups",
    "pve-cpuset",
    "pve-ct-timezone",
    "pve-dir-override",
    "pve-hotplug-features",
    "pve-ipv4-config",
    "pve-ipv6-config",
    "pve-lxc-dev-string",
    "pve-lxc-mp-string",
    "pve-qemu-sev-fmt",
    "pve-qm-boot",
    "pve-qm-bootdisk",
    "pve-qm-cicustom",
    "pve-qm-hostpci",
    "pve-qm-ide",
    "pve-qm-ipconfig",
    "pve-qm-rng",
    "pve-qm-smbios1",
    "pve-qm-watchdog",
    "pve-storage-path",
    "pve-storage-portal-dns",
    "pve-storage-server",
    "pve-vm-cpu-conf",
    "pve-volume-id-or-absolute-path",
    "pve-volume-id-or-qm-path",
];

/// Checks a value against a named format; returns PVE's error text.
pub(super) fn check_named_format(format: &str, text: &str) -> Result<(), String> {
    if let Some(name) = format.strip_suffix("-list") {
        // An empty list is valid.
        return split_list(text).try_for_each(|item| check_one(name, item));
    }
    match format.strip_suffix("-opt") {
        // Perl treats "0" as false.
        Some(_) if text.is_empty() || text == "0" => Ok(()),
        Some(name) => check_one(name, text),
        None => check_one(format, text),
    }
}

/// `split_list` in `PVE/Tools.pm`: separated by NUL, or by commas, semicolons and white space.
fn split_list(text: &str) -> impl Iterator<Item = &str> {
    let by_nul = text.contains('\0');
    text.split(move |character: char| match character {
        '\0' => true,
        ',' | ';' => !by_nul,
        other => !by_nul && other.is_whitespace(),
    })
    .filter(move |item| by_nul || !item.is_empty())
}

fn check_one(name: &str, text: &str) -> Result<(), String> {
    static COMPILED: LazyLock<HashMap<&str, (Regex, &str)>> = LazyLock::new(|| {
        let compile = |pattern| Regex::new(pattern).expect("the tests compile every pattern");
        PATTERNS
            .iter()
            .map(|(name, pattern, text)| (*name, (compile(pattern), *text)))
            .collect()
    });
    if let Some((pattern, error)) = COMPILED.get(name) {
        if pattern.is_match(before_final_newline(text)) {
            return Ok(());
        }
        return Err(error.replace("{}", text));
    }
    match (name, parses_as_address(name, text)) {
        (_, Some(true) | None) => Ok(()),
        ("address", Some(false)) => check_one("dns-name", text)
            .map_err(|_| format!("value does not look like a valid address: {text}\n")),
        ("ipv4", Some(false)) => Err("value does not look like a valid IPv4 address\n".to_owned()),
        ("ipv6", Some(false)) => Err("value does not look like a valid IPv6 address\n".to_owned()),
        (_, Some(false)) => Err("value does not look like a valid CIDR network\n".to_owned()),
    }
}

/// Whether the text is a valid address of this format; `None` for other formats.
fn parses_as_address(name: &str, text: &str) -> Option<bool> {
    let text = before_final_newline(text);
    match name {
        "address" => Some(text.parse::<IpAddr>().is_ok()),
        "ipv4" => Some(text.parse::<Ipv4Addr>().is_ok()),
        "ipv6" => Some(text.parse::<Ipv6Addr>().is_ok()),
        "CIDR" => Some(is_network(text)),
        _ => None,
    }
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let longest = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse()
        .is_ok_and(|bits: u8| (8..=longest).contains(&bits))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn check(format: &str, good: &[&str], bad: &[(&str, &str)]) {
        for text in good {
            assert_eq!(
                check_named_format(format, text),
                Ok(()),
                "{format} '{text}'"
            );
        }
        for (text, error) in bad {
            assert_eq!(
                check_named_format(format, text),
                Err(format!("{error}\n")),
                "{format} '{text}'"
            );
        }
    }

    #[test]
    fn formats_accept_what_pve_accepts() {
        check(
            "pve-configid",
            &["ab", "A_b-9", "ab\n"],
            &[("a", "invalid configuration ID 'a'")],
        );
        let vmid = "value does not look like a valid VM ID";
        check(
            "pve-vmid",
            &["100", "999999999"],
            &[("99", vmid), ("0100", vmid), ("1000000000", vmid)],
        );
        check(
            "pve-node",
            &["pve1", "a"],
            &[("pve_1", "value does not look like a valid node name")],
        );
        check(
            "pve-poolid",
            &["a", "a/b/c"],
            &[("a/b/c/d", "pool name 'a/b/c/d' contains invalid characters")],
        );
        check(
            "pve-storage-id",
            &["local-lvm"],
            &[("l", "storage ID 'l' contains illegal characters")],
        );
        check(
            "pve-priv",
            &["VM.Snapshot", "VM.Snapshot.Rollback"],
            &[("VM.Fly", "invalid privilege 'VM.Fly'")],
        );
        check(
            "pve-startup-order",
            &["order=3,up=30", "7", "down=2"],
            &[("soon", "unable to parse startup options")],
        );
        check(
            "CIDR",
            &["10.0.0.0/8", "fd00::/64"],
            &[("10.0.0.1", "value does not look like a valid CIDR network")],
        );
        check(
            "address",
            &["10.0.0.1", "::1", "nas.lan"],
            &[("na s", "value does not look like a valid address: na s")],
        );
    }

    #[test]
    fn lists_are_split_as_by_pve() {
        check(
            "pve-storage-content-list",
            &["", "images", "images,rootdir", "images; iso"],
            &[("images,nope", "invalid content type 'nope'")],
        );
        check(
            "pve-task-status-type-list",
            &["ok", "OK error"],
            &[("fine", "invalid status 'fine'")],
        );
        check(
            "pve-vmid-list",
            &["100\x00101"],
            &[("100\x00", "value does not look like a valid VM ID")],
        );
    }

    #[test]
    fn an_optional_format_accepts_an_empty_text() {
        check(
            "pve-vmid-opt",
            &["", "0", "100"],
            &[("1", "value does not look like a valid VM ID")],
        );
    }

    #[test]
    fn every_format_of_the_schema_is_checked_or_listed() {
        let text = include_str!("../../data/api-schema.json");
        let mut names = BTreeSet::new();
        collect_formats(&serde_json::from_str(text).unwrap(), &mut names);
        let known = |name: &str| {
            PATTERNS.iter().any(|(pattern, _, _)| *pattern == name)
                || parses_as_address(name, "").is_some()
        };
        let unknown: Vec<_> = names.iter().filter(|name| !known(name)).collect();
        assert_eq!(unknown, UNCHECKED.iter().collect::<Vec<_>>());
    }

    fn collect_formats(value: &Value, names: &mut BTreeSet<String>) {
        if let Some(format) = value.get("format").and_then(Value::as_str) {
            let name = format.trim_end_matches("-list").trim_end_matches("-opt");
            names.insert(name.to_owned());
        }
        let members = value
            .as_object()
            .into_iter()
            .flat_map(|object| object.values());
        let items = value.as_array().into_iter().flatten();
        for inner in members.chain(items) {
            collect_formats(inner, names);
        }
    }
}
