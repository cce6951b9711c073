// SPDX-License-Identifier: GPL-3.0-only
//! `/cluster/jobs` (`PVE/API2/Cluster/Jobs.pm`): the times of calendar events.

use serde_json::{Value, json};

use crate::calendar::{self, Event};
use crate::clock::{asctime, whole};
use crate::world::World;

use super::{Args, Failure, Reply, parameter_error};

/// PVE's default number of times.
const DEFAULT_ITERATIONS: u64 = 10;

/// `GET /cluster/jobs`.
pub(super) fn index(_: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    Ok(Reply::new(
        &json!([{ "subdir": "schedule-analyze" }, { "subdir": "realm-sync" }]),
    ))
}

/// `GET /cluster/jobs/schedule-analyze`: the next times of a calendar event.
pub(super) fn analyze(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let event = event(&args.in_path("schedule"))?;
    let given = args.text("starttime").and_then(|text| text.parse().ok());
    let mut from = given.unwrap_or_else(|| whole(world.node_time(args.here, world.now())));
    let mut moments: Vec<Value> = Vec::new();
    for _ in 0..args.number("iterations").unwrap_or(DEFAULT_ITERATIONS) {
        let Some(next) = event.next_after(from) else {
            break;
        };
        moments.push(json!({ "timestamp": next, "utc": asctime(next) }));
        from = next;
    }
    Ok(Reply::new(&moments))
}

fn event(text: &str) -> Result<Event, Failure> {
    calendar::parse(text).map_err(|error| {
        let text = format!("invalid format - invalid calendar event '{text}' - {error}\n\n");
        parameter_error("schedule", &text)
    })
}
