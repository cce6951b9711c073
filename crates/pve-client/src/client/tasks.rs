// SPDX-License-Identifier: GPL-3.0-only
//! Requests that start a task, and requests that read tasks.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Client, guest_request, unreadable_text};
use crate::error::{Certainty, Error, Method};
use crate::reply;
use crate::request::{ApiRequest, BodyLimit};
use crate::types::lenient::{self, List};
use crate::types::{GuestKind, NewSnapshot, TaskEntry, TaskFilter, TaskStatus};
use crate::upid::{Upid, UpidError};

impl Client {
    /// `POST …/snapshot`: starts a task that creates a snapshot.
    ///
    /// Most failures are reported by the task, not by this request. The request is written at most once;
    /// see [`Error::certainty`].
    pub async fn create_snapshot(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
        snapshot: &NewSnapshot,
    ) -> Result<Upid, Error> {
        let description =
            Some(snapshot.description.as_str()).filter(|description| !description.is_empty());
        // PVE refuses the parameter for containers (400).
        let memory = (snapshot.with_memory && kind == GuestKind::Qemu).then_some("1");
        let request = guest_request(Method::Post, node, kind, vmid, &["snapshot"])
            .with("snapname", snapshot.name.as_str())
            .with_some("description", description)
            .with_some("vmstate", memory);
        let task_type = kind.creation_task_type();
        self.start(&request, node, task_type, vmid).await
    }

    /// `DELETE …/snapshot/{name}`: starts a task that removes a snapshot.
    ///
    /// With `force` PVE drops the snapshot from the configuration even if its volumes cannot be removed.
    /// The request is written at most once; see [`Error::certainty`].
    pub async fn delete_snapshot(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
        name: &str,
        force: bool,
    ) -> Result<Upid, Error> {
        let request = guest_request(Method::Delete, node, kind, vmid, &["snapshot", name])
            .with_some("force", force.then_some("1"));
        let task_type = kind.removal_task_type();
        self.start(&request, node, task_type, vmid).await
    }

    /// Sends a request that starts a task. After a reply without a UPID, or with the UPID of another task,
    /// the effect of the request is unknown.
    async fn start(
        &self,
        request: &ApiRequest,
        node: &str,
        task_type: &str,
        vmid: u32,
    ) -> Result<Upid, Error> {
        let (text, endpoint) = self.session.send::<String>(request, self.deadline).await?;
        let unknown =
            |problem| reply::unexpected_reply(request, &endpoint, problem, Certainty::Unknown);
        let upid: Upid = text
            .parse()
            .map_err(|error: UpidError| unknown(error.to_string()))?;
        let user = self.session.identity();
        if upid.is_for(node, task_type, vmid, &user) {
            return Ok(upid);
        }
        Err(unknown(format!(
            "the reply names another task than the one requested \
             (expected {task_type} of guest {vmid} on {node} by {user}): {upid}"
        )))
    }

    /// `GET /nodes/{node}/tasks/{upid}/status`: whether the task is running, or how it ended.
    pub async fn task_status(&self, task: &Upid) -> Result<TaskStatus, Error> {
        let request = task_request(task, "status").at_most(BodyLimit::SINGLE);
        self.read(&request).await
    }

    /// `GET /nodes/{node}/tasks/{upid}/log`: at most `limit` lines of the log, from line `start` (0 is the
    /// first).
    ///
    /// The log of a running task may be incomplete. There are no lines after the end of the log and for
    /// an unknown task.
    pub async fn task_log(
        &self,
        task: &Upid,
        start: u64,
        limit: u64,
    ) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Line {
            #[serde(default, rename = "t", deserialize_with = "lenient::text")]
            text: Option<String>,
        }
        let request = task_request(task, "log")
            .with("start", start.to_string())
            .with("limit", limit.to_string());
        let (data, endpoint) = self
            .session
            .send::<Box<RawValue>>(&request, self.deadline)
            .await?;
        // The log of an unknown task is an object with an error text instead of a list.
        if data.get().starts_with('{') {
            return Ok(Vec::new());
        }
        let lines: List<Line> = serde_json::from_str(data.get()).map_err(|error| {
            let problem = reply::json_problem(&error);
            let problem = format!("the log is not a list of lines ({problem})");
            reply::unexpected_reply(&request, &endpoint, problem, Certainty::Unknown)
        })?;
        Ok(lines
            .0
            .into_iter()
            .map(|line| line.text.unwrap_or_default())
            .collect())
    }

    /// `GET /nodes/{node}/tasks`: the tasks of a node that match the filter, newest first.
    ///
    /// Without `Sys.Audit` on the node PVE lists only tasks of the login itself. A reply with an entry that
    /// cannot be read is an [`Error::InvalidListing`]: that entry may be any task.
    pub async fn node_tasks(
        &self,
        node: &str,
        filter: &TaskFilter,
    ) -> Result<Vec<TaskEntry>, Error> {
        let request = ApiRequest::new(Method::Get, &["nodes", node, "tasks"])
            .with("source", filter.source.as_str())
            .with_some("vmid", filter.vmid)
            .with_some("since", filter.since)
            .with_some("typefilter", filter.kind.as_deref())
            .with_some("limit", filter.limit)
            .at_most(BodyLimit::TASKS);
        let (list, endpoint) = self
            .session
            .send::<List<TaskEntry>>(&request, self.deadline)
            .await?;
        match list.1.as_slice() {
            [] => Ok(list.0),
            all => Err(reply::invalid_listing(
                &request,
                endpoint,
                "the tasks",
                unreadable_text(all),
            )),
        }
    }
}

fn task_request(task: &Upid, resource: &str) -> ApiRequest {
    ApiRequest::new(
        Method::Get,
        &["nodes", task.node(), "tasks", task.as_str(), resource],
    )
}
