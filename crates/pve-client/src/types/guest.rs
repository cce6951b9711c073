// SPDX-License-Identifier: GPL-3.0-only
//! Guests: their kind and their configuration.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The kind of a guest: virtual machine or container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GuestKind {
    /// A virtual machine (`qemu`).
    Qemu,
    /// A container (`lxc`).
    Lxc,
}

impl GuestKind {
    /// The name in the API: `qemu` or `lxc`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }

    /// The type of the task that creates a snapshot (`PVE/API2/Qemu.pm`, `PVE/API2/LXC/Snapshot.pm`).
    pub const fn creation_task_type(self) -> &'static str {
        match self {
            Self::Qemu => "qmsnapshot",
            Self::Lxc => "vzsnapshot",
        }
    }

    /// The type of the task that removes a snapshot.
    pub const fn removal_task_type(self) -> &'static str {
        match self {
            Self::Qemu => "qmdelsnapshot",
            Self::Lxc => "vzdelsnapshot",
        }
    }
}

impl fmt::Display for GuestKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A guest's configuration: every key with its value as text (`GET …/config`).
///
/// `memory` is a string for virtual machines and a number for containers; both are text here.
/// Lists and objects (`lxc` is a list of pairs) are kept as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestConfig(BTreeMap<String, String>);

impl GuestConfig {
    /// The value of a key, such as `scsi0` or `rootfs`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Why the guest is locked: `backup`, `snapshot`, `snapshot-delete`, `migrate`, …
    pub fn lock(&self) -> Option<&str> {
        self.get("lock").filter(|lock| !lock.is_empty())
    }

    /// Whether the guest is a template.
    pub fn is_template(&self) -> bool {
        self.get("template")
            .is_some_and(|flag| !matches!(flag, "" | "0"))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for GuestConfig {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

impl<'de> Deserialize<'de> for GuestConfig {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(ConfigVisitor)
    }
}

struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = GuestConfig;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a guest's configuration")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<GuestConfig, A::Error> {
        let mut config = BTreeMap::new();
        while let Some((key, raw)) = map.next_entry::<String, &'de RawValue>()? {
            if let Some(value) = value_text(raw.get()).map_err(A::Error::custom)? {
                config.insert(key, value);
            }
        }
        Ok(GuestConfig(config))
    }
}

/// A scalar as text, a list or an object as JSON; `None` for null.
fn value_text(json: &str) -> serde_json::Result<Option<String>> {
    if json.starts_with(['{', '[']) {
        return Ok(Some(json.to_owned()));
    }
    super::lenient::text(&mut serde_json::Deserializer::from_str(json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_types_become_text() {
        let config: GuestConfig = serde_json::from_str(
            r#"{"memory":"128","onboot":1,"template":0,"lock":"backup","gone":null,
                "lxc":[["lxc.apparmor.profile","unconfined"]],"description":"a\nä"}"#,
        )
        .unwrap();
        assert_eq!(config.get("memory"), Some("128"));
        assert_eq!(config.get("onboot"), Some("1"));
        assert_eq!(config.get("gone"), None);
        assert_eq!(
            config.get("lxc"),
            Some(r#"[["lxc.apparmor.profile","unconfined"]]"#)
        );
        assert_eq!(config.get("description"), Some("a\nä"));
        assert_eq!(
            (config.lock(), config.is_template()),
            (Some("backup"), false)
        );
        assert_eq!(config.iter().count(), 6);
    }

    #[test]
    fn a_list_is_not_a_configuration() {
        assert!(serde_json::from_str::<GuestConfig>("[]").is_err());
    }
}
