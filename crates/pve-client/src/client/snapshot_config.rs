// SPDX-License-Identifier: GPL-3.0-only
//! Requests about one snapshot: its configuration, and the change of its description.

use super::{Client, guest_request};
use crate::error::{Error, Method};
use crate::types::{GuestConfig, GuestKind};

impl Client {
    /// `GET …/snapshot/{name}/config`: the guest's configuration in the snapshot, with `snaptime` and
    /// `description`.
    pub async fn snapshot_config(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
        name: &str,
    ) -> Result<GuestConfig, Error> {
        let path = ["snapshot", name, "config"];
        self.read(&guest_request(Method::Get, node, kind, vmid, &path))
            .await
    }

    /// `PUT …/snapshot/{name}/config`: replaces the description of a snapshot. It needs `VM.Snapshot` and starts no
    /// task.
    ///
    /// The request is written at most once; see [`Error::certainty`]. PVE refuses it while the guest is locked
    /// (`update_snapshot` in `PVE/API2/Qemu.pm` and `PVE/API2/LXC/Snapshot.pm`).
    pub async fn set_snapshot_description(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
        name: &str,
        description: &str,
    ) -> Result<(), Error> {
        let path = ["snapshot", name, "config"];
        let request =
            guest_request(Method::Put, node, kind, vmid, &path).with("description", description);
        self.session.send::<()>(&request, self.deadline).await?;
        Ok(())
    }
}
