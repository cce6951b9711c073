// SPDX-License-Identifier: GPL-3.0-only
//! A simulator that runs: the server on a thread of its own, for programs and
//! tests alike. Everything here may be called from blocking and from
//! asynchronous code.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::clock::Seconds;
use crate::faults::{FaultPlan, Faults};
use crate::http::{Identity, IdentityError, Latency, Listener, Shared, spawn};
use crate::http::{made_up_fingerprint, names_for};
use crate::journal::Journal;
use crate::release::Release;
use crate::world::load::{self, LoadError};
use crate::world::{Timing, World};

/// How often due task steps are carried out although nobody asks, so that a
/// journal file grows in time.
const TICK: Duration = Duration::from_millis(50);

/// What to simulate and how.
#[derive(Debug)]
pub struct Options {
    /// The world, in the format of `world.json`.
    pub world: Value,
    /// Passwords, token values and second factors, in the format of
    /// `credentials.example.json`.
    pub credentials: Value,
    /// The release of PVE.
    pub release: Release,
    /// Addresses of the cluster; there the world's `this_node` answers.
    pub listen: Vec<SocketAddr>,
    /// One more address for each node, on a free port of the first address.
    pub listen_nodes: bool,
    /// Durations of tasks and of PVE's own waits.
    pub timing: Timing,
    /// How many tasks make progress at once on a node that does not say so
    /// itself; none: all.
    pub task_slots: Option<u32>,
    /// Pauses before answers.
    pub latency: Latency,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// Where everything is written down.
    pub journal: Journal,
    /// What the simulated clock shows at the start, in seconds since the
    /// epoch; none: real time.
    pub start: Option<Seconds>,
    /// Certificate and key as PEM; none: a fresh self-signed one.
    pub identity: Option<(String, String)>,
}

impl Options {
    /// A world on a free loopback port, as fast as possible, with a journal in
    /// memory.
    pub fn new(world: Value, credentials: Value) -> Self {
        Self {
            world,
            credentials,
            release: Release::default(),
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            listen_nodes: false,
            timing: Timing {
                task_seconds: 0.0,
                delays: 0.0,
            },
            task_slots: None,
            latency: Latency::none(),
            faults: FaultPlan::default(),
            journal: Journal::in_memory(),
            start: None,
            identity: None,
        }
    }
}

/// A simulator that does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The world cannot be built.
    #[error(transparent)]
    World(#[from] LoadError),
    /// No certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An address cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// No thread or runtime.
    #[error("cannot start the server: {0}")]
    Runtime(#[from] io::Error),
}

/// A running simulator. It ends when it is dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    runtime: Handle,
    listeners: Mutex<Vec<Listener>>,
    /// How many of the listeners are the cluster's.
    for_cluster: usize,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Builds the world and starts to listen; the addresses accept connections
    /// when this returns.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let mut world = load::world(
            &options.world,
            &options.credentials,
            options.release,
            options.timing,
            options.start,
        )?;
        world.faults = Faults::new(options.faults);
        world.journal = Arc::new(options.journal);
        for node in world.nodes.values_mut() {
            node.task_slots = node.task_slots.or(options.task_slots);
        }
        let identity = identity(&world, &options.listen, options.identity.as_ref())?;
        show_fingerprints(&mut world, &identity);
        let here = world.this_node.clone();
        let names: Vec<String> = world.nodes.keys().cloned().collect();
        let shared = Shared::new(world, options.latency, identity);
        let (stop, thread, runtime) = run_server(&shared)?;
        let mut simulator = Self {
            shared,
            runtime,
            listeners: Mutex::new(Vec::new()),
            for_cluster: options.listen.len(),
            stop: Some(stop),
            thread: Some(thread),
        };
        for address in &options.listen {
            simulator.listen(&here, *address)?;
        }
        if options.listen_nodes {
            let ip = options
                .listen
                .first()
                .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), SocketAddr::ip);
            for name in names {
                simulator.listen(&name, SocketAddr::from((ip, 0)))?;
            }
        }
        Ok(simulator)
    }

    /// The first address of the cluster: `https://127.0.0.1:12345`.
    pub fn url(&self) -> String {
        self.addresses()
            .first()
            .map_or_else(String::new, |address| format!("https://{address}"))
    }

    /// All addresses of the cluster.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let listeners = self.listeners();
        listeners
            .iter()
            .take(self.for_cluster)
            .map(|listener| listener.address)
            .collect()
    }

    /// The addresses of the single nodes, with `listen_nodes`.
    pub fn node_addresses(&self) -> Vec<(String, SocketAddr)> {
        let listeners = self.listeners();
        let nodes = listeners.iter().skip(self.for_cluster);
        nodes
            .map(|listener| (listener.node.to_string(), listener.address))
            .collect()
    }

    /// SHA-256 of the certificate, as PVE shows it.
    pub fn fingerprint(&self) -> String {
        self.shared.identity.fingerprint()
    }

    /// The certificate as PEM.
    pub fn certificate_pem(&self) -> String {
        self.shared.identity.pem().to_owned()
    }

    /// The journal, with all that has happened until now.
    pub fn journal(&self) -> Arc<Journal> {
        self.world(|world| Arc::clone(&world.journal))
    }

    /// Replaces the faults; counting begins anew.
    pub fn set_faults(&self, plan: FaultPlan) {
        self.world(|world| world.faults = Faults::new(plan));
    }

    /// Looks at the world or changes it, at a moment when nothing else does.
    /// `look` must not call this simulator, which waits for it to return.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.shared.world();
        world.settle();
        let result = look(&mut world);
        drop(world);
        self.shared.changed.notify_waiters();
        result
    }

    /// Moves the simulated clock on: running tasks get that much further,
    /// tickets and locks that much older.
    pub fn advance(&self, seconds: Seconds) {
        self.world(|world| world.clock.advance(seconds));
    }

    /// Lets the requests go on that a fault holds at this moment: those that
    /// [`Faults::applied_to_requests`] counts.
    pub fn release(&self) {
        self.world(|world| world.releases += 1);
    }

    /// Stops the addresses of a node: connections end, new ones are refused.
    pub fn stop_listener(&self, node: &str) {
        for listener in self.listeners().iter_mut().filter(|one| *one.node == *node) {
            listener.stop(&self.runtime);
        }
    }

    /// Ends all connections to the addresses of a node, which go on listening.
    pub fn close_connections(&self, node: &str) {
        for listener in self.listeners().iter().filter(|one| *one.node == *node) {
            listener.close_connections();
        }
    }

    /// Starts the addresses of a node again, on the same ports.
    ///
    /// # Errors
    ///
    /// When a port was taken meanwhile.
    pub fn start_listener(&self, node: &str) -> io::Result<()> {
        for listener in self.listeners().iter_mut().filter(|one| *one.node == *node) {
            listener.start(&self.runtime, &self.shared)?;
        }
        Ok(())
    }

    /// Ends all connections and the server. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }

    fn listen(&mut self, node: &str, address: SocketAddr) -> Result<(), StartError> {
        let listener = spawn(&self.runtime, &self.shared, node, address)
            .map_err(|source| StartError::Listen { address, source })?;
        self.listeners().push(listener);
        Ok(())
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, Vec<Listener>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that the server has ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        self.shared.world().record_unfinished();
    }
}

fn identity(
    world: &World,
    listen: &[SocketAddr],
    given: Option<&(String, String)>,
) -> Result<Identity, IdentityError> {
    if let Some((certificate, key)) = given {
        return Identity::from_pem(certificate, key);
    }
    let ips: Vec<IpAddr> = listen.iter().map(SocketAddr::ip).collect();
    let nodes: Vec<String> = world.nodes.keys().cloned().collect();
    Identity::self_signed(&world.this_node, &names_for(&ips, &nodes))
}

/// Nodes one can talk to show the real fingerprint, the others a made-up one.
fn show_fingerprints(world: &mut World, identity: &Identity) {
    for node in world.nodes.values_mut() {
        node.fingerprint = if node.is_online() {
            identity.fingerprint()
        } else {
            made_up_fingerprint(&node.name)
        };
    }
}

type Running = (oneshot::Sender<()>, JoinHandle<()>, Handle);

fn run_server(shared: &Arc<Shared>) -> Result<Running, StartError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel();
    let shared = Arc::clone(shared);
    let thread = std::thread::Builder::new()
        .name("pve-sim".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = tick(&shared) => {}
                }
            });
        })?;
    Ok((stop, thread, handle))
}

async fn tick(shared: &Shared) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        shared.world().settle();
    }
}
