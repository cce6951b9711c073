// SPDX-License-Identifier: GPL-3.0-only
//! Replication jobs: `GET /cluster/replication` (`PVE/API2/ReplicationConfig.pm`).

use serde::{Deserialize, Deserializer};

use super::lenient;

/// A replication job of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationJob {
    /// The guest.
    pub vmid: u32,
    /// The node to which its volumes are copied.
    pub target: Option<String>,
    /// Whether it is disabled.
    pub disabled: bool,
}

impl<'de> Deserialize<'de> for ReplicationJob {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default, deserialize_with = "lenient::unsigned")]
            guest: Option<u64>,
            #[serde(default, deserialize_with = "lenient::text")]
            target: Option<String>,
            #[serde(default, deserialize_with = "lenient::boolean")]
            disable: bool,
        }
        let wire = Wire::deserialize(input)?;
        let vmid = wire.guest.and_then(|guest| guest.try_into().ok());
        Ok(Self {
            vmid: vmid.ok_or_else(|| serde::de::Error::missing_field("guest"))?,
            target: wire.target,
            disabled: wire.disable,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_jobs_are_parsed() {
        let jobs: lenient::List<ReplicationJob> = serde_json::from_str(
            r#"[{"id":"100-0","guest":"100","target":"pve2","type":"local","schedule":"*/15"},
                {"id":"200-0","guest":200,"disable":1},{"id":"odd"}]"#,
        )
        .unwrap();
        let [first, second] = jobs.0.as_slice() else {
            panic!("{jobs:?}")
        };
        assert_eq!((first.vmid, first.target.as_deref()), (100, Some("pve2")));
        assert_eq!((second.vmid, second.disabled), (200, true));
    }
}
