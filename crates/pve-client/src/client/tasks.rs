// SPDX-License-Identifier: GPL-3.0-only
//! Calls that start a task, and calls that read tasks.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Client, guest_call, unreadable};
use crate::call::{BodyLimit, Call};
use crate::error::{Certainty, Error, Method};
use crate::reply;
use crate::types::loose::{self, List};
use crate::types::{GuestKind, NewSnapshot, TaskEntry, TaskFilter, TaskStatus};
use crate::upid::{Upid, UpidError};

impl Client {
    /// `POST …/snapshot`: starts taking a snapshot. Most refusals come from the task, not from
    /// this call. Written at most once; see [`Error::certainty`].
    pub async fn create_snapshot(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
        snapshot: &NewSnapshot,
    ) -> Result<Upid, Error> {
        let description =
            Some(snapshot.description.as_str()).filter(|description| !description.is_empty());
        // Containers refuse the parameter (400).
        let memory = (snapshot.with_memory && kind == GuestKind::Qemu).then_some("1");
        let call = guest_call(Method::Post, node, kind, vmid, &["snapshot"])
            .with("snapname", snapshot.name.as_str())
            .with_some("description", description)
            .with_some("vmstate", memory);
        let task_type = kind.creation_task_type();
        self.start(&call, node, task_type, vmid).await
    }

    /// `DELETE …/snapshot/{name}`: starts removing a snapshot. `force` drops it from the
    /// configuration even if its volumes cannot be removed. Written at most once.
    pub async fn delete_snapshot(
        &self,
        node: &str,
        kind: GuestKind,
        vmid: u32,
        name: &str,
        force: bool,
    ) -> Result<Upid, Error> {
        let call = guest_call(Method::Delete, node, kind, vmid, &["snapshot", name])
            .with_some("force", force.then_some("1"));
        let task_type = kind.removal_task_type();
        self.start(&call, node, task_type, vmid).await
    }

    /// Sends a request that starts a task. A reply without a UPID, or with the UPID of another task,
    /// does not show whether the request was carried out.
    async fn start(
        &self,
        call: &Call,
        node: &str,
        task_type: &str,
        vmid: u32,
    ) -> Result<Upid, Error> {
        let (text, endpoint) = self.session.ask::<String>(call, self.deadline).await?;
        let unknown = |what| reply::not_understood(call, &endpoint, what, Certainty::Unknown);
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

    /// `GET /nodes/{node}/tasks/{upid}/status`.
    pub async fn task_status(&self, task: &Upid) -> Result<TaskStatus, Error> {
        let call = task_call(task, "status").at_most(BodyLimit::SINGLE);
        self.read(&call).await
    }

    /// `GET /nodes/{node}/tasks/{upid}/log`: the lines from `start` (0 is the first), at most
    /// `limit`. A running task's log may end early; past the end and for an unknown task there
    /// are none.
    pub async fn task_log(
        &self,
        task: &Upid,
        start: u64,
        limit: u64,
    ) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Line {
            #[serde(default, rename = "t", deserialize_with = "loose::text")]
            text: Option<String>,
        }
        let call = task_call(task, "log")
            .with("start", start.to_string())
            .with("limit", limit.to_string());
        let (data, endpoint) = self
            .session
            .ask::<Box<RawValue>>(&call, self.deadline)
            .await?;
        // The log of an unknown task is an object with an error text instead of a list.
        if data.get().starts_with('{') {
            return Ok(Vec::new());
        }
        let lines: List<Line> = serde_json::from_str(data.get()).map_err(|error| {
            let what = format!("the log is not a list of lines ({})", reply::flaw(&error));
            reply::not_understood(&call, &endpoint, what, Certainty::Unknown)
        })?;
        Ok(lines
            .0
            .into_iter()
            .map(|line| line.text.unwrap_or_default())
            .collect())
    }

    /// `GET /nodes/{node}/tasks`: tasks of a node, newest first. Without `Sys.Audit` on the node
    /// only the caller's own are shown. A reply with an entry that cannot be read is
    /// [`Error::NotListed`]: that entry may be any task.
    pub async fn node_tasks(
        &self,
        node: &str,
        filter: &TaskFilter,
    ) -> Result<Vec<TaskEntry>, Error> {
        let call = Call::new(Method::Get, &["nodes", node, "tasks"])
            .with("source", filter.source.as_str())
            .with_some("vmid", filter.vmid)
            .with_some("since", filter.since)
            .with_some("typefilter", filter.kind.as_deref())
            .with_some("limit", filter.limit)
            .at_most(BodyLimit::TASKS);
        let (list, endpoint) = self
            .session
            .ask::<List<TaskEntry>>(&call, self.deadline)
            .await?;
        match list.1.as_slice() {
            [] => Ok(list.0),
            all => Err(reply::not_listed(
                &call,
                endpoint,
                "the tasks",
                unreadable(all),
            )),
        }
    }
}

fn task_call(task: &Upid, what: &str) -> Call {
    Call::new(
        Method::Get,
        &["nodes", task.node(), "tasks", task.as_str(), what],
    )
}
