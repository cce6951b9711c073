// SPDX-License-Identifier: GPL-3.0-only
//! The request pattern of the C# tool, without our client and engine.
//!
//! Guests are processed one after the other; resources are requested by type; every request opens a
//! new connection; a task is polled every half second, with two more requests after its end;
//! removals are forced. The tool's own processing time is not simulated, so the real tool is
//! slower.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pve_sim::http::insecure_client_config;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::processes::TOKEN;
use crate::world::{GuestLocation, World};

/// Pause before each poll of a task.
const PAUSE: Duration = Duration::from_millis(500);
/// Number of snapshots to keep.
const KEEP: usize = 7;
const SNAPSHOT: &str = "autodaily991231235959";

/// Creates a snapshot of each guest and removes the old ones.
pub(crate) fn run(address: &str, world: &World, guests: &[u32]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let server = Server::new(address)?;
        server.get("/version").await?;
        for kind in ["vm", "node", "storage"] {
            server
                .get(&format!("/cluster/resources?type={kind}"))
                .await?;
        }
        for vmid in guests {
            let location = world
                .guests
                .get(vmid)
                .context("a guest of the sample is not in the world")?;
            server.guest(*vmid, location).await?;
        }
        Ok(())
    })
}

/// A cluster and its TLS configuration.
struct Server {
    address: String,
    tls: TlsConnector,
}

impl Server {
    fn new(address: &str) -> Result<Self> {
        // By default the C# tool accepts any certificate.
        let config = insecure_client_config()?;
        Ok(Self {
            address: address.to_owned(),
            tls: Arc::new(config).into(),
        })
    }

    async fn guest(&self, vmid: u32, location: &GuestLocation) -> Result<()> {
        let node = &location.node;
        let guest = format!("/nodes/{node}/{}/{vmid}", location.kind);
        self.get(&format!("{guest}/config")).await?;
        self.get(&format!("{guest}/snapshot")).await?;
        let form = format!("snapname={SNAPSHOT}&description=cv4pve-autosnap");
        let task = self
            .send("POST", &format!("{guest}/snapshot"), &form)
            .await?;
        self.wait(node, &task).await?;
        let listed = self.get(&format!("{guest}/snapshot")).await?;
        for name in expired(&listed) {
            let path = format!("{guest}/snapshot/{name}?force=1");
            let task = self.send("DELETE", &path, "").await?;
            self.wait(node, &task).await?;
        }
        Ok(())
    }

    async fn wait(&self, node: &str, task: &Value) -> Result<()> {
        let upid = task.as_str().context("no task was started")?;
        let path = format!("/nodes/{node}/tasks/{upid}/status");
        loop {
            tokio::time::sleep(PAUSE).await;
            if self.get(&path).await?["status"] == "stopped" {
                break;
            }
        }
        self.get(&path).await?;
        let last = self.get(&path).await?;
        ensure!(
            last["exitstatus"] == "OK",
            "the task ended with {}",
            last["exitstatus"]
        );
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.send("GET", path, "").await
    }

    async fn send(&self, method: &str, path: &str, form: &str) -> Result<Value> {
        let socket = TcpStream::connect(&self.address).await?;
        let name = ServerName::try_from("localhost")?;
        let stream = self.tls.connect(name, socket).await?;
        let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(driver);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api2/json{path}"))
            .header("Host", &self.address)
            .header("Authorization", format!("PVEAPIToken={TOKEN}"));
        if !form.is_empty() {
            request = request.header("Content-Type", "application/x-www-form-urlencoded");
        }
        let body = Full::new(Bytes::copy_from_slice(form.as_bytes()));
        let response = sender.send_request(request.body(body)?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        drop(sender);
        driver.abort();
        ensure!(status.is_success(), "{method} {path}: {status}");
        let mut response: Value = serde_json::from_slice(&body)?;
        Ok(response["data"].take())
    }
}

/// Names of the snapshots that exceed [`KEEP`], oldest first. All have the same label.
fn expired(listed: &Value) -> Vec<String> {
    let empty = Vec::new();
    let entries = listed.as_array().unwrap_or(&empty).iter();
    let ours = entries.filter(|entry| {
        let description = entry["description"].as_str().unwrap_or_default();
        description.trim_end() == "cv4pve-autosnap"
    });
    let mut names: Vec<String> = ours
        .filter_map(|entry| entry["name"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names.truncate(names.len().saturating_sub(KEEP));
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn snapshots_above_the_limit_expire_oldest_first() {
        let entry = |day: u32, description: &str| json!({"name": format!("autodaily26010{day}000000"), "description": description});
        let mut listed: Vec<Value> = (1..=9).map(|day| entry(day, "cv4pve-autosnap\n")).collect();
        listed.push(entry(0, "mine"));
        let names = expired(&listed.into());
        assert_eq!(names, ["autodaily260101000000", "autodaily260102000000"]);
    }
}
