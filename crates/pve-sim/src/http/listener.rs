// SPDX-License-Identifier: GPL-3.0-only
//! Addresses on which a node answers. A listener can be stopped and started
//! again while the simulator runs, as a node's daemon can.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};

use super::Shared;
use super::connection::serve;

/// A listening address and the task behind it.
pub(crate) struct Listener {
    /// The node whose address this is.
    pub(crate) node: Arc<str>,
    /// The address, with the port that was found free.
    pub(crate) address: SocketAddr,
    running: Option<Running>,
}

/// What is there while it listens.
struct Running {
    task: JoinHandle<()>,
    /// Asks the task to end its connections, and to say when it has.
    close: UnboundedSender<mpsc::Sender<()>>,
}

/// Starts to listen. Has to be called while the runtime runs.
pub(crate) fn spawn(
    runtime: &Handle,
    shared: &Arc<Shared>,
    node: &str,
    address: SocketAddr,
) -> io::Result<Listener> {
    let mut listener = Listener {
        node: Arc::from(node),
        address,
        running: None,
    };
    listener.start(runtime, shared)?;
    Ok(listener)
}

impl Listener {
    /// Starts to listen, again at the same address.
    pub(crate) fn start(&mut self, runtime: &Handle, shared: &Arc<Shared>) -> io::Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let (send, receive) = mpsc::channel();
        let (close, closing) = unbounded_channel();
        let (address, node, shared) = (self.address, Arc::clone(&self.node), Arc::clone(shared));
        let task = runtime.spawn(async move {
            let bound = TcpListener::bind(address).await.and_then(|socket| {
                let address = socket.local_addr()?;
                Ok((socket, address))
            });
            match bound {
                Ok((socket, address)) => {
                    if send.send(Ok(address)).is_ok() {
                        accept(socket, shared, node, closing).await;
                    }
                }
                // The starter always waits for the outcome.
                Err(error) => drop(send.send(Err(error))),
            }
        });
        self.address = receive.recv().map_err(io::Error::other)??;
        self.running = Some(Running { task, close });
        Ok(())
    }

    /// Ends all its connections and goes on listening, as a worker of pveproxy that retires leaves
    /// the port to the others; returns when it is so.
    pub(crate) fn close_connections(&self) {
        if let Some(running) = &self.running {
            let (send, receive) = mpsc::channel();
            // An error means that the runtime has ended, and all connections with it.
            if running.close.send(send).is_ok() {
                let _ = receive.recv();
            }
        }
    }

    /// Stops to listen and ends all its connections; returns when it is so.
    pub(crate) fn stop(&mut self, runtime: &Handle) {
        let Some(Running { task, .. }) = self.running.take() else {
            return;
        };
        task.abort();
        let (send, receive) = mpsc::channel();
        runtime.spawn(async move {
            drop(task.await);
            // Nobody listens when the starter was interrupted.
            let _ = send.send(());
        });
        // An error means that the runtime has ended, and the listener with it.
        let _ = receive.recv();
    }
}

async fn accept(
    socket: TcpListener,
    shared: Arc<Shared>,
    node: Arc<str>,
    mut closing: UnboundedReceiver<mpsc::Sender<()>>,
) {
    // Dropped together with this function, and then all connections end.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept() => {
                if let Ok((stream, peer)) = accepted {
                    connections.spawn(serve(Arc::clone(&shared), Arc::clone(&node), stream, peer));
                }
            }
            Some(_) = connections.join_next() => {}
            Some(done) = closing.recv() => {
                connections.shutdown().await;
                // Nobody listens when the asker was interrupted.
                let _ = done.send(());
            }
        }
    }
}
