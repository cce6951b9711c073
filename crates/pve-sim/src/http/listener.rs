// SPDX-License-Identifier: GPL-3.0-only
//! Listening addresses of nodes. A listener can be stopped and restarted while the simulator runs,
//! like a node's daemon.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};

use super::Shared;
use super::connection::serve;

/// A listening address and its background task.
pub(crate) struct Listener {
    /// The node whose address this is.
    pub(crate) node: Arc<str>,
    /// The address, with the selected port.
    pub(crate) address: SocketAddr,
    running: Option<Running>,
}

/// The state of an active listener.
struct Running {
    task: JoinHandle<()>,
    /// Requests that the task close its connections and confirm.
    close: UnboundedSender<mpsc::Sender<()>>,
}

/// Starts listening. Must be called while the runtime is running.
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
    /// Starts listening, on the same address as before.
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
                // The caller always waits for the result.
                Err(error) => drop(send.send(Err(error))),
            }
        });
        self.address = receive.recv().map_err(io::Error::other)??;
        self.running = Some(Running { task, close });
        Ok(())
    }

    /// Closes all connections but keeps listening, like pveproxy when it replaces a worker. Returns
    /// when they are closed.
    pub(crate) fn close_connections(&self) {
        if let Some(running) = &self.running {
            let (send, receive) = mpsc::channel();
            // An error means that the runtime has stopped and all connections are closed.
            if running.close.send(send).is_ok() {
                let _ = receive.recv();
            }
        }
    }

    /// Stops listening and closes all connections. Returns when they are closed.
    pub(crate) fn stop(&mut self, runtime: &Handle) {
        let Some(Running { task, .. }) = self.running.take() else {
            return;
        };
        task.abort();
        let (send, receive) = mpsc::channel();
        runtime.spawn(async move {
            drop(task.await);
            // The receiver is dropped if the caller was interrupted.
            let _ = send.send(());
        });
        // An error means that the runtime and the listener have stopped.
        let _ = receive.recv();
    }
}

async fn accept(
    socket: TcpListener,
    shared: Arc<Shared>,
    node: Arc<str>,
    mut closing: UnboundedReceiver<mpsc::Sender<()>>,
) {
    // When this is dropped, all connections are closed.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept() => {
                if let Ok((stream, peer)) = accepted {
                    connections.spawn(serve(Arc::clone(&shared), Arc::clone(&node), stream, peer));
                }
            }
            Some(_) = connections.join_next() => {}
            Some(confirm) = closing.recv() => {
                connections.shutdown().await;
                // The receiver is dropped if the caller was interrupted.
                let _ = confirm.send(());
            }
        }
    }
}
