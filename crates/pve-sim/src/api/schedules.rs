// SPDX-License-Identifier: GPL-3.0-only
//! `/cluster/jobs` (`PVE/API2/Cluster/Jobs.pm`): when a calendar event is due.

use serde_json::{Value, json};

use crate::calendar::{self, Event};
use crate::clock::{asctime, whole};
use crate::world::World;

use super::{Args, Failure, Reply, parameter_error};

/// So many moments PVE gives unless told otherwise.
const DEFAULT_ITERATIONS: u64 = 10;

/// `GET /cluster/jobs`.
pub(super) fn index(_: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    Ok(Reply::of(
        &json!([{ "subdir": "schedule-analyze" }, { "subdir": "realm-sync" }]),
    ))
}

/// `GET /cluster/jobs/schedule-analyze`: the next moments of a calendar event.
pub(super) fn analyze(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let event = event(&args.in_path("schedule"))?;
    let given = args.text("starttime").and_then(|text| text.parse().ok());
    let mut from = given.unwrap_or_else(|| whole(world.on_clock_of(args.here, world.now())));
    let mut moments: Vec<Value> = Vec::new();
    for _ in 0..args.number("iterations").unwrap_or(DEFAULT_ITERATIONS) {
        let Some(next) = event.next_after(from) else {
            break;
        };
        moments.push(json!({ "timestamp": next, "utc": asctime(next) }));
        from = next;
    }
    Ok(Reply::of(&moments))
}

fn event(text: &str) -> Result<Event, Failure> {
    calendar::parse(text).map_err(|error| {
        let text = format!("invalid format - invalid calendar event '{text}' - {error}\n\n");
        parameter_error("schedule", &text)
    })
}
