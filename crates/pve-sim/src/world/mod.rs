// SPDX-License-Identifier: GPL-3.0-only
//! The simulated cluster: nodes, guests, storages, pools, users and the clock. It is a synchronous
//! state machine: the lock's owner has exclusive access, and only tasks change the state later, in
//! [`World::run_due_steps`](World::run_due_steps).

pub mod guest;
pub mod loader;
mod pools;
pub mod statistics;
pub mod storage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::access::Access;
use crate::access::ticket::Signer;
use crate::clock::{Clock, Seconds, whole};
use crate::faults::Faults;
use crate::journal::{Action, Entry, Journal, Moment, Mutation};
use crate::release::Release;
use crate::tasks::TaskTable;

use guest::{Guest, GuestKind, Volume};
use statistics::LastBroadcast;
use storage::Storage;

/// Whether and why a node cannot be reached from another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reachability {
    /// It responds.
    Online,
    /// Connections fail immediately: the reason phrase of the 595 response.
    Offline(String),
    /// Packets are dropped: the 595 response is sent after 30 seconds.
    Silent,
}

/// A member of the cluster.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its ID in the corosync configuration.
    pub id: u32,
    /// Its address, as `/cluster/status` shows it.
    pub ip: Option<String>,
    /// Whether the other nodes reach it.
    pub reach: Reachability,
    /// The state before packets were dropped.
    pub before_silence: Option<Reachability>,
    /// The last broadcast of its `pvestatd`; `None`: `pvestatd` works.
    pub last_broadcast: Option<LastBroadcast>,
    /// SHA-256 fingerprint of its certificate, `AA:BB:…`.
    pub fingerprint: String,
    /// Factor applied to the duration of its tasks.
    pub slowness: f64,
    /// How many seconds its clock is ahead of the simulated clock; negative: behind.
    pub clock_offset: Seconds,
    /// Maximum number of concurrent tasks; `None`: no limit.
    pub task_slots: Option<u32>,
    /// Processors.
    pub processors: u32,
    /// Memory in bytes.
    pub memory: u64,
}

impl Node {
    /// Whether the other nodes can reach it.
    pub fn is_online(&self) -> bool {
        self.reach == Reachability::Online
    }
}

/// A pool.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    /// Its comment.
    pub comment: Option<String>,
    /// VMIDs of its guests.
    pub guests: BTreeSet<u32>,
    /// Its storages.
    pub storages: BTreeSet<String>,
}

/// PVE's delays, which can be scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Default duration of a task in seconds.
    pub task_seconds: f64,
    /// Factor applied to PVE's delays: 3 s before a 401, 10 s for a lock, 30 s for a silent node. 0
    /// disables them.
    pub delays: f64,
}

impl Timing {
    /// How long PVE waits for a configuration's lock file.
    pub fn lock_wait(&self) -> f64 {
        10.0 * self.delays
    }

    /// Delay of every 401 response.
    pub fn unauthorized(&self) -> f64 {
        3.0 * self.delays
    }

    /// How long pveproxy waits for another node.
    pub fn proxy_timeout(&self) -> f64 {
        30.0 * self.delays
    }
}

/// The simulated cluster.
#[derive(Debug)]
pub struct World {
    /// The time.
    pub clock: Clock,
    /// The cluster's name; `None`: a single node without a cluster.
    pub cluster_name: Option<String>,
    /// Whether the cluster has quorum; without it `/etc/pve` is read-only.
    pub quorate: bool,
    /// The simulated release of PVE.
    pub release: Release,
    /// The version to report, such as `5.4-13`; `None`: the version of the release.
    pub version: Option<String>,
    /// The node that responds on the cluster's address.
    pub this_node: String,
    /// The nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// The guests by number.
    pub guests: BTreeMap<u32, Guest>,
    /// The storages by name.
    pub storages: BTreeMap<String, Storage>,
    /// The pools by name.
    pub pools: BTreeMap<String, Pool>,
    /// Lines of `datacenter.cfg`.
    pub datacenter: BTreeMap<String, Value>,
    /// Users and permissions.
    pub access: Access,
    /// Creates and verifies tickets.
    pub signer: Signer,
    /// Running and finished tasks.
    pub tasks: TaskTable,
    /// Scaled delays.
    pub timing: Timing,
    /// The injected faults.
    pub faults: Faults,
    /// How often held requests were released.
    pub(crate) releases: u64,
    /// The log of requests, changes and tasks.
    pub journal: Arc<Journal>,
    /// Counter for responses with a random order.
    pub(crate) sequence: u64,
    /// Warnings from loading the files.
    pub warnings: Vec<loader::Problem>,
}

/// PVE's error text of a task or a call, without the final newline.
pub type ErrorText = String;

impl World {
    /// The simulated time.
    pub fn now(&self) -> Seconds {
        self.clock.now()
    }

    /// The major version that it reports.
    pub fn major(&self) -> u32 {
        let version = self
            .version
            .as_deref()
            .unwrap_or_else(|| self.release.version());
        let digits = version
            .split(|letter: char| !letter.is_ascii_digit())
            .next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(8)
    }

    /// Converts a simulated time to the time on a node's clock.
    pub fn node_time(&self, node: &str, at: Seconds) -> Seconds {
        at + self.nodes.get(node).map_or(0.0, |node| node.clock_offset)
    }

    /// The guest whose configuration is on that node; otherwise PVE's error text for a missing file
    /// (`load_config`).
    pub fn guest_on(&self, kind: GuestKind, node: &str, vmid: u32) -> Result<&Guest, ErrorText> {
        self.guests
            .get(&vmid)
            .filter(|guest| guest.kind == kind && guest.node == node)
            .ok_or_else(|| missing_config(kind, node, vmid))
    }

    /// Mutable version of [`World::guest_on`].
    pub fn guest_on_mut(
        &mut self,
        kind: GuestKind,
        node: &str,
        vmid: u32,
    ) -> Result<&mut Guest, ErrorText> {
        self.guests
            .get_mut(&vmid)
            .filter(|guest| guest.kind == kind && guest.node == node)
            .ok_or_else(|| missing_config(kind, node, vmid))
    }

    /// Whether a user or token has a privilege on a path.
    pub fn allows(&self, who: &str, path: &str, privilege: &str) -> bool {
        self.access.allows(self, who, path, privilege)
    }

    /// The guests that `who` may see. For listings of thousands of guests: permissions that are the
    /// same for all guests of a pool, or for all guests without a pool, are evaluated once.
    pub fn visible_guests(&self, who: &str) -> Visible<'_> {
        let sees = |vmid: &str| self.allows(who, &format!("/vms/{vmid}"), "VM.Audit");
        let alone: BTreeMap<u32, bool> = self
            .access
            .grants
            .iter()
            .filter_map(|grant| grant.path.strip_prefix("/vms/"))
            .filter_map(|vmid| Some((vmid.parse().ok()?, sees(vmid))))
            .collect();
        let in_pools = self.pools.iter().filter_map(|(name, pool)| {
            let member = pool.guests.iter().find(|vmid| !alone.contains_key(vmid))?;
            Some((name.as_str(), sees(&member.to_string())))
        });
        Visible {
            in_pools: in_pools.collect(),
            // Any guest that no grant mentions.
            elsewhere: sees("any"),
            alone,
        }
    }

    /// Whether all volumes of the guest can be snapshotted (`has_feature` in `PVE/QemuConfig.pm`
    /// and `PVE/LXC/Config.pm`). Drives for removable media and `backup=0` have no influence; bind
    /// mounts prevent snapshots.
    ///
    /// An unknown storage is an error; a disabled one is not. For containers, the check stops at
    /// the first volume that cannot be snapshotted.
    pub fn can_snapshot(&self, guest: &Guest) -> Result<bool, ErrorText> {
        let mut can = true;
        for volume in guest.volumes().iter().filter(|volume| !volume.cdrom) {
            if !can && guest.kind == GuestKind::Lxc {
                break;
            }
            can &= match volume.storage() {
                Some(id) => self.storage_config(id)?.can_snapshot(volume.format()),
                None => false,
            };
        }
        Ok(can)
    }

    /// The storage with this ID (`storage_config` in `PVE/Storage.pm`).
    pub fn storage_config(&self, id: &str) -> Result<&Storage, ErrorText> {
        let storage = self.storages.get(id);
        storage.ok_or_else(|| format!("storage '{id}' does not exist"))
    }

    /// Activates the storages of a guest's volumes on its node, sorted by name
    /// (`__snapshot_activate_storages` in `PVE/QemuConfig.pm` and `PVE/LXC/Config.pm`,
    /// `storage_check_enabled` in `PVE/Storage.pm`).
    pub(crate) fn activate_storages(&self, guest: &Guest) -> Result<(), ErrorText> {
        let volumes = guest.volumes();
        let disks = volumes.iter().filter(|volume| !volume.cdrom);
        let storages: BTreeSet<&str> = disks.filter_map(Volume::storage).collect();
        for id in storages {
            self.storage_config(id)?.activate(&guest.node)?;
        }
        Ok(())
    }

    /// Returns a different number for each call.
    pub(crate) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Switches a node off: its workers and guests stop immediately.
    pub fn lose_node(&mut self, name: &str) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        node.reach = Reachability::Offline("No route to host".to_owned());
        let running: Vec<String> = self
            .tasks
            .active(name)
            .map(|task| task.upid.to_string())
            .collect();
        for upid in running {
            self.kill_task(&upid);
        }
        for guest in self.guests.values_mut().filter(|guest| guest.node == name) {
            guest.power_off();
        }
    }

    /// Converts a time for the journal.
    pub(crate) fn moment(&self, at: Seconds) -> Moment {
        Moment {
            at: at - self.clock.start(),
            epoch: whole(at),
        }
    }

    /// Records a change of a guest or snapshot in the journal.
    pub(crate) fn record_mutation(
        &self,
        at: Seconds,
        action: Action,
        vmid: u32,
        snapshot: Option<&str>,
        upid: Option<String>,
    ) {
        let Some(guest) = self.guests.get(&vmid) else {
            return;
        };
        let description = snapshot
            .and_then(|name| guest.snapshots.get(name))
            .and_then(|snapshot| snapshot.description.clone());
        self.journal.record(Entry::Mutation(Mutation {
            moment: self.moment(at),
            action,
            node: guest.node.clone(),
            kind: guest.kind.as_str().to_owned(),
            vmid,
            snapshot: snapshot.map(str::to_owned),
            description,
            upid,
        }));
    }

    /// Sets a value in a guest's configuration; null removes it.
    pub fn set_config(&mut self, vmid: u32, key: &str, value: Value) {
        if let Some(guest) = self.guests.get_mut(&vmid) {
            let config = Arc::make_mut(&mut guest.config);
            if value.is_null() {
                config.remove(key);
            } else {
                config.insert(key.to_owned(), value);
            }
        }
    }
}

/// The guests that a user or token may see.
#[derive(Debug)]
pub struct Visible<'a> {
    /// Guests with their own grants.
    alone: BTreeMap<u32, bool>,
    in_pools: BTreeMap<&'a str, bool>,
    elsewhere: bool,
}

impl Visible<'_> {
    /// Whether the guest is visible.
    pub fn shows(&self, guest: &Guest) -> bool {
        let pooled = || {
            guest
                .pool
                .as_deref()
                .and_then(|pool| self.in_pools.get(pool))
        };
        let known = self.alone.get(&guest.vmid).or_else(pooled);
        known.copied().unwrap_or(self.elsewhere)
    }
}

fn missing_config(kind: GuestKind, node: &str, vmid: u32) -> ErrorText {
    format!(
        "Configuration file '{}' does not exist",
        kind.config_file(node, vmid)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn visible_guests_agree_with_single_permission_checks() {
        let guests: Vec<Value> = (100..110)
            .map(|vmid| json!({"vmid": vmid, "type": "lxc", "node": "pve1"}))
            .collect();
        let file = json!({
            "cluster": {"nodes": [{"name": "pve1"}]},
            "guests": guests,
            "pools": [{"poolid": "a", "guests": [100, 101]}, {"poolid": "b", "guests": [102, 103]}],
            "users": [{"userid": "all@pve"}, {"userid": "some@pve"}],
            "tokens": [{"tokenid": "all@pve!t", "privsep": 1}],
            "acl": [
                {"path": "/", "who": "all@pve", "role": "PVEAuditor"},
                {"path": "/vms/104", "who": "all@pve", "role": "NoAccess"},
                {"path": "/vms/100", "who": "some@pve", "role": "NoAccess"},
                {"path": "/pool/a", "who": "some@pve", "role": "PVEVMUser"},
                {"path": "/vms", "who": "some@pve", "role": "PVEVMUser", "propagate": 0},
                {"path": "/pool/b", "who": "all@pve!t", "role": "PVEVMUser"},
                {"path": "/vms/109", "who": "all@pve!t", "role": "PVEVMUser"},
            ],
        });
        let timing = Timing {
            task_seconds: 0.0,
            delays: 0.0,
        };
        let world = loader::load(&file, &json!({}), Release::V8, timing, None).expect("a world");
        for (who, count) in [
            ("all@pve", 9),
            ("some@pve", 1),
            ("all@pve!t", 3),
            ("x@pve", 0),
        ] {
            let visible = world.visible_guests(who);
            let mut seen = 0;
            for guest in world.guests.values() {
                let exact = world.allows(who, &format!("/vms/{}", guest.vmid), "VM.Audit");
                assert_eq!(visible.shows(guest), exact, "{who} {}", guest.vmid);
                seen += usize::from(exact);
            }
            assert_eq!(seen, count, "{who}");
        }
    }
}
