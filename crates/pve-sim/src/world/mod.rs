// SPDX-License-Identifier: GPL-3.0-only
//! The cluster that is simulated: nodes, guests, storages, pools, users and
//! the clock. A synchronous state machine: who holds it may look and change,
//! and nothing happens behind its back except tasks, which
//! [`World::settle`](World::settle) carries on to the present.

pub mod guest;
pub mod load;
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

/// Why a node cannot be reached from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It answers.
    Online,
    /// Nothing listens there, or no route leads there: the reason phrase of
    /// the 595 that a client gets at once.
    Offline(String),
    /// Packets to it vanish: the 595 comes after half a minute.
    Silent,
}

/// A member of the cluster.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its number in the corosync configuration.
    pub id: u32,
    /// Its address, as `/cluster/status` shows it.
    pub ip: Option<String>,
    /// Whether the other nodes reach it.
    pub reach: Reach,
    /// What it was before packets began to vanish.
    pub before_silence: Option<Reach>,
    /// The last broadcast of its `pvestatd`, if that is silent; none: it works.
    pub last_broadcast: Option<LastBroadcast>,
    /// SHA-256 of its certificate, `AA:BB:…`.
    pub fingerprint: String,
    /// Factor on the duration of its tasks.
    pub slowness: f64,
    /// How many seconds its clock is ahead of the simulated one; negative: behind.
    pub clock_offset: Seconds,
    /// How many tasks make progress at once; none: all.
    pub task_slots: Option<u32>,
    /// Processors.
    pub processors: u32,
    /// Bytes of memory.
    pub memory: u64,
}

impl Node {
    /// Whether the other nodes see it.
    pub fn is_online(&self) -> bool {
        self.reach == Reach::Online
    }
}

/// A pool; its guests say themselves that they belong to it.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    /// What the pool is for.
    pub comment: Option<String>,
    /// Its guests.
    pub guests: BTreeSet<u32>,
    /// Its storages.
    pub storages: BTreeSet<String>,
}

/// Times that are PVE's own and can be scaled down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// How long a task takes unless guest or fault say otherwise, in seconds.
    pub task_seconds: f64,
    /// Factor on PVE's waits: 3 s before a 401, 10 s for a lock, 30 s for a
    /// silent node. 0: none of them.
    pub delays: f64,
}

impl Timing {
    /// How long PVE waits for a configuration's lock file.
    pub fn lock_wait(&self) -> f64 {
        10.0 * self.delays
    }

    /// The pause before every answer with status 401.
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
    /// The cluster's name; none: a single node outside of any cluster.
    pub cluster_name: Option<String>,
    /// A majority of nodes is there; without it `/etc/pve` is read-only.
    pub quorate: bool,
    /// The release of PVE that is simulated.
    pub release: Release,
    /// The version of PVE it claims to be, such as `5.4-13`; none: that of the release.
    pub version: Option<String>,
    /// The node that answers on the cluster's address.
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
    /// Makes tickets.
    pub signer: Signer,
    /// Tasks, running and done.
    pub tasks: TaskTable,
    /// Scaled times.
    pub timing: Timing,
    /// What goes wrong.
    pub faults: Faults,
    /// How often the held requests were released.
    pub(crate) releases: u64,
    /// What happened.
    pub journal: Arc<Journal>,
    /// Counts answers that come in no particular order.
    pub(crate) turn: u64,
    /// What its files hold that a test hardly means.
    pub warnings: Vec<load::Problem>,
}

/// An error text of a task or a call, without the newline PVE ends it with.
pub type Died = String;

impl World {
    /// The simulated time.
    pub fn now(&self) -> Seconds {
        self.clock.now()
    }

    /// The first number of the version that it claims to be.
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

    /// What a node's clock shows at a simulated time.
    pub fn on_clock_of(&self, node: &str, at: Seconds) -> Seconds {
        at + self.nodes.get(node).map_or(0.0, |node| node.clock_offset)
    }

    /// The guest of that kind whose configuration is in that node's folder;
    /// otherwise PVE's text about the missing file (`load_config`).
    pub fn guest_on(&self, kind: GuestKind, node: &str, vmid: u32) -> Result<&Guest, Died> {
        self.guests
            .get(&vmid)
            .filter(|guest| guest.kind == kind && guest.node == node)
            .ok_or_else(|| missing_config(kind, node, vmid))
    }

    /// [`World::guest_on`], to change it.
    pub fn guest_on_mut(
        &mut self,
        kind: GuestKind,
        node: &str,
        vmid: u32,
    ) -> Result<&mut Guest, Died> {
        self.guests
            .get_mut(&vmid)
            .filter(|guest| guest.kind == kind && guest.node == node)
            .ok_or_else(|| missing_config(kind, node, vmid))
    }

    /// Whether a user or token has a privilege on a path.
    pub fn allows(&self, who: &str, path: &str, privilege: &str) -> bool {
        self.access.allows(self, who, path, privilege)
    }

    /// Which guests `who` may see, for listings of thousands: what holds for
    /// all guests of a pool, or for all without one, is found out once only.
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
            // Any name will do that no grant mentions.
            elsewhere: sees("any"),
            alone,
        }
    }

    /// Whether every volume of the guest can be snapshotted (`has_feature` in
    /// `PVE/QemuConfig.pm` and `PVE/LXC/Config.pm`). Drives for removable media
    /// do not count, `backup=0` changes nothing, bind mounts forbid it.
    ///
    /// A storage that does not exist is an error, whether it is disabled does not
    /// matter. Containers are not looked at further after the first volume without
    /// snapshots.
    pub fn can_snapshot(&self, guest: &Guest) -> Result<bool, Died> {
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

    /// A storage by its name (`storage_config` in `PVE/Storage.pm`).
    pub fn storage_config(&self, id: &str) -> Result<&Storage, Died> {
        let storage = self.storages.get(id);
        storage.ok_or_else(|| format!("storage '{id}' does not exist"))
    }

    /// Activates the storages of a guest's volumes on its node, in the order of their names
    /// (`__snapshot_activate_storages` in `PVE/QemuConfig.pm` and `PVE/LXC/Config.pm`,
    /// `storage_check_enabled` in `PVE/Storage.pm`).
    pub(crate) fn activate_storages(&self, guest: &Guest) -> Result<(), Died> {
        let volumes = guest.volumes();
        let disks = volumes.iter().filter(|volume| !volume.cdrom);
        let storages: BTreeSet<&str> = disks.filter_map(Volume::storage).collect();
        for id in storages {
            self.storage_config(id)?.activate(&guest.node)?;
        }
        Ok(())
    }

    /// A number that differs at each call.
    pub(crate) fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// Switches a node off: its workers die where they are, its guests stop.
    pub fn lose_node(&mut self, name: &str) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        node.reach = Reach::Offline("No route to host".to_owned());
        let running: Vec<String> = self
            .tasks
            .active(name)
            .map(|task| task.upid.to_string())
            .collect();
        for upid in running {
            self.kill_task(&upid);
        }
        for guest in self.guests.values_mut().filter(|guest| guest.node == name) {
            guest.switch_off();
        }
    }

    /// A time as the journal writes it.
    pub(crate) fn moment(&self, at: Seconds) -> Moment {
        Moment {
            at: at - self.clock.start(),
            epoch: whole(at),
        }
    }

    /// Writes down what was done to a guest or one of its snapshots.
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
            kind: guest.kind.word().to_owned(),
            vmid,
            snapshot: snapshot.map(str::to_owned),
            description,
            upid,
        }));
    }

    /// Replaces a setting of a guest's configuration; null removes it.
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

/// Answers which guests somebody may see.
#[derive(Debug)]
pub struct Visible<'a> {
    /// Guests that grants mention by number.
    alone: BTreeMap<u32, bool>,
    in_pools: BTreeMap<&'a str, bool>,
    elsewhere: bool,
}

impl Visible<'_> {
    /// Whether the guest may be seen.
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

fn missing_config(kind: GuestKind, node: &str, vmid: u32) -> Died {
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
    fn the_quick_answer_about_guests_is_the_exact_one() {
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
        let world = load::world(&file, &json!({}), Release::V8, timing, None).expect("a world");
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
