// SPDX-License-Identifier: GPL-3.0-only
//! A running simulator: the server runs on a separate thread. All functions may be called from
//! blocking and from asynchronous code.

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
use crate::http::{names_for, placeholder_fingerprint};
use crate::journal::Journal;
use crate::release::Release;
use crate::world::loader::{self, LoadError};
use crate::world::{Timing, World};

/// How often due task steps are executed while no request arrives, so that a journal file stays up
/// to date.
const TICK: Duration = Duration::from_millis(50);

/// The world to simulate, and how to serve it.
#[derive(Debug)]
pub struct Options {
    /// The world, in the format of `world.json`.
    pub world: Value,
    /// Passwords, token secrets and TOTP secrets, in the format of `credentials.example.json`.
    pub credentials: Value,
    /// The simulated release of PVE.
    pub release: Release,
    /// Addresses of the cluster; the world's `this_node` responds there.
    pub listen: Vec<SocketAddr>,
    /// Listen on one additional address per node, on a free port of the first address.
    pub listen_nodes: bool,
    /// Durations of tasks and of PVE's own waits.
    pub timing: Timing,
    /// Maximum number of concurrent tasks on a node that sets no limit itself; `None`: no limit.
    pub task_slots: Option<u32>,
    /// Delay of responses.
    pub latency: Latency,
    /// The injected faults.
    pub faults: FaultPlan,
    /// Receives all entries.
    pub journal: Journal,
    /// Initial time of the simulated clock, in seconds since the epoch; `None`: real time.
    pub start: Option<Seconds>,
    /// Certificate and key in PEM format; `None`: a new self-signed certificate.
    pub identity: Option<(String, String)>,
}

impl Options {
    /// Serves the world on a free loopback port, without delays, with a journal in memory.
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

/// The simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The world file or the credentials file is invalid.
    #[error(transparent)]
    World(#[from] LoadError),
    /// The certificate could not be created or used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An address is not available.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// The thread or its runtime could not be started.
    #[error("cannot start the server: {0}")]
    Runtime(#[from] io::Error),
}

/// A running simulator; stops when dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    runtime: Handle,
    listeners: Mutex<Vec<Listener>>,
    /// How many of the listeners belong to the cluster; the others belong to single nodes.
    cluster_listeners: usize,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Builds the world and starts listening. All addresses accept connections when this returns.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let mut world = loader::load(
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
            cluster_listeners: options.listen.len(),
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
            .take(self.cluster_listeners)
            .map(|listener| listener.address)
            .collect()
    }

    /// The addresses of the single nodes; empty without `listen_nodes`.
    pub fn node_addresses(&self) -> Vec<(String, SocketAddr)> {
        let listeners = self.listeners();
        let nodes = listeners.iter().skip(self.cluster_listeners);
        nodes
            .map(|listener| (listener.node.to_string(), listener.address))
            .collect()
    }

    /// SHA-256 fingerprint of the certificate, in PVE's format.
    pub fn fingerprint(&self) -> String {
        self.shared.identity.fingerprint()
    }

    /// The certificate in PEM format.
    pub fn certificate_pem(&self) -> String {
        self.shared.identity.pem().to_owned()
    }

    /// The journal, up to date.
    pub fn journal(&self) -> Arc<Journal> {
        self.world(|world| Arc::clone(&world.journal))
    }

    /// Replaces the faults and resets their counters.
    pub fn set_faults(&self, plan: FaultPlan) {
        self.world(|world| world.faults = Faults::new(plan));
    }

    /// Calls `access` with exclusive access to the world. The function must not call this
    /// simulator: that would deadlock.
    pub fn world<T>(&self, access: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.shared.world();
        world.run_due_steps();
        let result = access(&mut world);
        drop(world);
        self.shared.changed.notify_waiters();
        result
    }

    /// Advances the simulated clock: tasks make progress, tickets and locks age.
    pub fn advance(&self, seconds: Seconds) {
        self.world(|world| world.clock.advance(seconds));
    }

    /// Continues all requests that a fault holds now (see [`Faults::applied_to_requests`]).
    pub fn release(&self) {
        self.world(|world| world.releases += 1);
    }

    /// Stops the listeners of a node: closes its connections and refuses new ones.
    pub fn stop_listener(&self, node: &str) {
        for listener in self.listeners().iter_mut().filter(|one| *one.node == *node) {
            listener.stop(&self.runtime);
        }
    }

    /// Closes all connections to a node; its listeners continue.
    pub fn close_connections(&self, node: &str) {
        for listener in self.listeners().iter().filter(|one| *one.node == *node) {
            listener.close_connections();
        }
    }

    /// Restarts the listeners of a node on the same ports.
    ///
    /// # Errors
    ///
    /// If another program uses a port meanwhile.
    pub fn start_listener(&self, node: &str) -> io::Result<()> {
        for listener in self.listeners().iter_mut().filter(|one| *one.node == *node) {
            listener.start(&self.runtime, &self.shared)?;
        }
        Ok(())
    }

    /// Closes all connections and stops the server, as dropping does.
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
            // An error means that the server has already stopped.
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

/// Sets the real fingerprint for nodes with a listener, and a placeholder for all others.
fn show_fingerprints(world: &mut World, identity: &Identity) {
    for node in world.nodes.values_mut() {
        node.fingerprint = if node.is_online() {
            identity.fingerprint()
        } else {
            placeholder_fingerprint(&node.name)
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
        shared.world().run_due_steps();
    }
}
