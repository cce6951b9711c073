// SPDX-License-Identifier: GPL-3.0-only
//! Generated clusters: [`generate`] for any size, [`demo_world`] for the demo.
//!
//! Both return a world in the format of `../shared/pve-recordings/world.json` with matching
//! credentials. They also use these optional members:
//!
//! | where | member | meaning |
//! |---|---|---|
//! | node | `slowness` | factor on the time of the node's tasks |
//! | storage | `shared` | one storage for all nodes |
//! | storage | `nodes` | nodes that have it; without it, all |
//! | storage | `total`, `used` | bytes, on every node that `usage` does not name |
//! | storage | `usage` | `{node: {total, used}}` |
//! | guest | `snapshots` | `[{name, snaptime, description, parent}]`, parents first |
//! | guest | `task_seconds` | `{create, delete}`: how long snapshot tasks take |
//! | guest | `agent_answers` | the guest agent is alive |
//!
//! The same options generate the same world on every machine. Limits: names and sizes are plausible
//! but not measured; there is no replication, no high availability, and no network except `vmbr0`.

mod demo;
mod names;
mod options;
mod parts;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::random::Random;

use names::{ENVIRONMENTS, Role};
use options::FIRST_VMID;
use parts::{GIB, Run};

pub use demo::demo_world;
pub use options::{GenerateError, GenerateOptions};

/// A world and its users' secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratedWorld {
    /// The world file.
    pub world: Value,
    /// The credentials file, with the public secrets of
    /// `../shared/pve-recordings/credentials.example.json`.
    pub credentials: Value,
}

/// Generates a cluster.
pub fn generate(options: &GenerateOptions) -> Result<GeneratedWorld, GenerateError> {
    options.check()?;
    let runs = parts::runs(options);
    let mut pools: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut counters: BTreeMap<&str, u32> = BTreeMap::new();
    let mut guests = Vec::new();
    for index in 0..options.guests {
        let mut plan = GuestPlan::draw(options, index);
        let counter = counters.entry(plan.role.name).or_default();
        *counter += 1;
        plan.name = format!("{}{counter:02}", plan.role.name);
        if let Some(pool) = plan.pool {
            pools.entry(pool).or_default().push(plan.vmid);
        }
        guests.push(plan.build(options, &runs));
    }
    let (users, credentials) = parts::access();
    let mut world = json!({
        "note": format!("Generated with seed {}.", options.seed),
        "cluster": cluster(options),
        "storages": storages(options),
        "guest_defaults": parts::guest_defaults(),
        "guests": guests,
        "pools": parts::pools(&pools),
    });
    parts::merge(&mut world, users);
    parts::size_nodes(&mut world);
    Ok(GeneratedWorld { world, credentials })
}

fn cluster(options: &GenerateOptions) -> Value {
    let nodes: Vec<Value> = (1..=options.nodes)
        .map(|number| {
            let ip = format!("10.99.{}.{}", number / 250, number % 250 + 1);
            let mut node = json!({
                "name": parts::node_name(number),
                "nodeid": number,
                "ip": ip,
                "online": !options.is_offline(number),
            });
            if options.is_offline(number) {
                node["proxying_gives"] = json!("595 No route to host");
            }
            if number > 1 && number - 1 <= options.slow_nodes {
                node["slowness"] = json!(5.0);
            }
            node
        })
        .collect();
    json!({"name": "generated", "quorate": true, "this_node": "pve1", "nodes": nodes})
}

/// One shared storage, and a local one per node: ZFS on odd nodes, LVM-thin on even nodes.
fn storages(options: &GenerateOptions) -> Value {
    let mut random = Random::for_purpose(options.seed, u64::MAX);
    let mut local = |odd: bool| {
        let numbers = (1..=options.nodes).filter(|number| (number % 2 == 1) == odd);
        let mut nodes = Vec::new();
        let mut usage = BTreeMap::new();
        for number in numbers {
            let total = (2 + random.below(3)) * 1024 * GIB;
            let used = total / 100 * (30 + random.below(50));
            nodes.push(parts::node_name(number));
            usage.insert(
                parts::node_name(number),
                json!({"total": total, "used": used}),
            );
        }
        (nodes, usage)
    };
    let (zfs_nodes, zfs_usage) = local(true);
    let (thin_nodes, thin_usage) = local(false);
    let total = (u64::from(options.guests) + 16) * 96 * GIB;
    let mut zfs = parts::local_zfs();
    parts::merge(&mut zfs, json!({"nodes": zfs_nodes, "usage": zfs_usage}));
    let mut storages = vec![
        parts::local_folder(),
        parts::backup_share(),
        parts::ceph(total, total / 100 * 61),
        zfs,
    ];
    if !thin_nodes.is_empty() {
        let mut thin = parts::local_lvm();
        parts::merge(&mut thin, json!({"nodes": thin_nodes, "usage": thin_usage}));
        storages.push(thin);
    }
    Value::Array(storages)
}

/// The properties of a guest that determine its configuration.
struct GuestPlan {
    vmid: u32,
    node: u32,
    role: &'static Role,
    name: String,
    environment: &'static str,
    container: bool,
    state: State,
    tagged: bool,
    pool: Option<&'static str>,
    random: Random,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    Template,
}

impl GuestPlan {
    fn draw(options: &GenerateOptions, index: u32) -> Self {
        let vmid = FIRST_VMID + index;
        // One random sequence per guest, so that more guests do not change the existing ones.
        let mut random = Random::for_purpose(options.seed, u64::from(vmid));
        let role = random.pick(names::ROLES);
        let environment = *random.pick(ENVIRONMENTS);
        let state = match (
            random.chance(options.templates),
            random.chance(options.stopped),
        ) {
            (true, _) => State::Template,
            (false, true) => State::Stopped,
            (false, false) => State::Running,
        };
        let pooled = random.chance(options.pooled);
        Self {
            vmid,
            node: index % options.nodes + 1,
            role,
            name: String::new(),
            environment,
            container: role.may_be_container && random.chance(options.containers),
            state,
            tagged: random.chance(options.tagged),
            pool: pooled.then(|| names::pool(environment, role)),
            random,
        }
    }

    fn build(mut self, options: &GenerateOptions, runs: &[Run]) -> Value {
        let status = match (options.is_offline(self.node), self.state) {
            (true, State::Running | State::Stopped | State::Template) => "unknown",
            (false, State::Running) => "running",
            (false, State::Stopped | State::Template) => "stopped",
        };
        let mut guest = json!({
            "vmid": self.vmid,
            "type": if self.container { "lxc" } else { "qemu" },
            "node": parts::node_name(self.node),
            "status": status,
            "config": self.config(),
        });
        guest[if self.container { "hostname" } else { "name" }] = json!(self.name);
        if self.state != State::Template && !runs.is_empty() {
            // A run takes time: later guests get their snapshots later.
            let delay = i64::from((self.vmid - FIRST_VMID) % 600);
            guest["snapshots"] = parts::snapshots(runs, delay);
        }
        if let Some(range) = &options.task_seconds {
            let mut draw = || {
                let width = range.end() - range.start();
                // Milliseconds are precise enough and easy to read.
                ((range.start() + width * self.random.fraction()) * 1000.0).round() / 1000.0
            };
            guest["task_seconds"] = json!({"create": draw(), "delete": draw()});
        }
        if !self.container && self.state == State::Running {
            guest["agent_answers"] = json!(true);
        }
        guest
    }

    fn config(&mut self) -> Value {
        let storage = match (self.random.chance(0.6), self.node % 2) {
            (true, _) => "ceph-vm",
            (false, 1) => "local-zfs",
            (false, _) => "local-lvm",
        };
        let size = 8 * (1 + self.random.below(16));
        let template = self.state == State::Template;
        let mut config = if self.container {
            parts::container_config(self.vmid, storage, size, template)
        } else {
            parts::machine_config(self.vmid, storage, size, template)
        };
        config["cores"] = json!(1 << self.random.below(4));
        config["memory"] = json!(1024 << self.random.below(5));
        if self.tagged {
            config["tags"] = json!(format!("{};{}", self.environment, self.role.tag));
        }
        config
    }
}
