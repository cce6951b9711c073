// SPDX-License-Identifier: GPL-3.0-only
//! `GET /cluster/replication`: which guests are replicated to which nodes
//! (`PVE/API2/ReplicationConfig.pm`). PVE lists the jobs of guests the caller may audit.

use serde::{Deserialize, Deserializer};

use super::loose;

/// A replication job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationJob {
    /// The guest.
    pub vmid: u32,
    /// The node its volumes are copied to.
    pub target: Option<String>,
    /// Whether it is switched off.
    pub disabled: bool,
}

impl<'de> Deserialize<'de> for ReplicationJob {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default, deserialize_with = "loose::unsigned")]
            guest: Option<u64>,
            #[serde(default, deserialize_with = "loose::text")]
            target: Option<String>,
            #[serde(default, deserialize_with = "loose::boolean")]
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
    fn jobs_are_read_and_odd_ones_left_out() {
        let jobs: loose::List<ReplicationJob> = serde_json::from_str(
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
