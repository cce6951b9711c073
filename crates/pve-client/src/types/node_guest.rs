// SPDX-License-Identifier: GPL-3.0-only
//! Guests as their own node lists them: `GET /nodes/{node}/qemu`, `GET /nodes/{node}/lxc` and
//! `GET …/status/current` (`PVE/API2/Qemu.pm`, `PVE/API2/LXC.pm`, `vmstatus` in
//! `PVE/QemuServer.pm` and `PVE/LXC.pm`).
//!
//! Unlike `/cluster/resources` this is the current state, even if the node sends no statistics to the
//! cluster.

use serde::{Deserialize, Deserializer};

use super::lenient;

/// A guest of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeGuest {
    /// The guest's ID.
    pub vmid: u32,
    /// Its name. A VM without one is called `VM 111`.
    pub name: Option<String>,
    /// `running` or `stopped`.
    pub status: String,
    /// Whether it is a template.
    pub template: bool,
    /// Its tags as PVE sends them, separated by `;`.
    pub tags: Option<String>,
    /// Its lock, such as `backup`.
    pub lock: Option<String>,
    /// How many seconds it has been running; 0 if it does not run.
    pub uptime: u64,
}

impl NodeGuest {
    /// The tags one by one. PVE separates them by `;` and also accepts `,` and spaces.
    pub fn tag_list(&self) -> impl Iterator<Item = &str> {
        super::resource::split_tags(self.tags.as_deref())
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "lenient::unsigned")]
    vmid: Option<u64>,
    #[serde(default, deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    template: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    tags: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    lock: Option<String>,
    #[serde(default, deserialize_with = "lenient::unsigned")]
    uptime: Option<u64>,
}

impl<'de> Deserialize<'de> for NodeGuest {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(input)?;
        let names = [
            &wire.name,
            &wire.status,
            &wire.template,
            &wire.tags,
            &wire.lock,
        ];
        if names
            .iter()
            .any(|name| lenient::is_damaged(name.as_deref()))
        {
            return Err(serde::de::Error::custom(
                "a name contains invalid characters",
            ));
        }
        let vmid = wire.vmid.and_then(|vmid| vmid.try_into().ok());
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self {
            vmid: vmid.ok_or_else(|| serde::de::Error::missing_field("vmid"))?,
            name: present(wire.name),
            status: present(wire.status).unwrap_or_else(|| "unknown".to_owned()),
            template: wire.template.as_deref().is_some_and(lenient::is_true),
            tags: present(wire.tags),
            lock: present(wire.lock),
            uptime: wire.uptime.unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::lenient::List;
    use super::*;

    #[test]
    fn recorded_guests_of_a_node_are_parsed() {
        let list: List<NodeGuest> = serde_json::from_str(
            r#"[{"template":1,"status":"stopped","vmid":103,"uptime":0,"name":"tmpl-debian12"},
                {"type":"lxc","vmid":"203","status":"running","uptime":17,"lock":"snapshot",
                 "tags":"Prod;App_1","name":"ct-locked"},{"status":"running"}]"#,
        )
        .unwrap();
        let [template, container] = list.0.as_slice() else {
            panic!("{list:?}")
        };
        assert!(template.template && template.tag_list().next().is_none());
        assert_eq!(
            (container.vmid, container.status.as_str(), container.uptime),
            (203, "running", 17)
        );
        assert_eq!(container.lock.as_deref(), Some("snapshot"));
        assert_eq!(container.tag_list().collect::<Vec<_>>(), ["Prod", "App_1"]);
    }
}
