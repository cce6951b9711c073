// SPDX-License-Identifier: GPL-3.0-only
//! Random faults in every request: no write is carried out twice, and the certainty that the client reports
//! agrees with the tasks of the simulator.

use std::collections::BTreeMap;

use pve_client::{Certainty, Client, Error, Upid};
use pve_sim::faults::FaultPlan;
use pve_sim::simulator::Simulator;
use serde_json::json;
use tokio::task::JoinSet;

use crate::simulated_cluster::{create, options, password_user, start};

/// How many fault schedules are tried; each has its own seed.
const SCHEDULES: u64 = 25;

/// The number of writes per schedule.
const WRITES: usize = 24;
/// The number of concurrent writes.
const CONCURRENT: usize = 4;

/// Every fault of the simulator, for reads, writes and logins. Only short faults: a lasting fault has its
/// own test.
fn schedule(seed: u64) -> FaultPlan {
    let effects = [
        json!("refuse"),
        json!("drop_before"),
        json!("drop_after"),
        json!("cut_answer"),
        json!("start_failed"),
        json!("expire_tickets"),
        json!({"delay": 0.01}),
        json!({"answer": {"status": 503, "reason": "Service Unavailable"}}),
        json!({"answer": {"status": 595, "reason": "Connection refused"}}),
        json!({"answer": {"status": 596, "reason": "Broken pipe"}}),
        json!({"answer": {"status": 599, "reason": "Connection timed out"}}),
        json!({"answer": {"status": 401, "reason": "Authentication failed!"}}),
        json!({"answer": {"status": 200, "reason": "OK", "body": "<html>"}}),
    ];
    let rule =
        |effect| json!({"path": "/nodes/**", "when": {"probability": 0.05}, "effect": effect});
    let rules: Vec<_> = effects.into_iter().map(rule).collect();
    FaultPlan::parse(&json!({"seed": seed, "requests": rules}).to_string()).unwrap()
}

/// How many tasks were started for each snapshot name.
fn tasks_by_name(simulator: &Simulator) -> BTreeMap<String, usize> {
    simulator.world(|world| {
        let mut count = BTreeMap::new();
        for name in world
            .tasks
            .all()
            .iter()
            .filter_map(|task| task.work.snapshot())
        {
            *count.entry(name.to_owned()).or_default() += 1;
        }
        count
    })
}

async fn write_all(client: &Client) -> Vec<(String, Result<Upid, Error>)> {
    let mut outcomes = Vec::new();
    let mut in_flight = JoinSet::new();
    for number in 0..WRITES {
        if in_flight.len() == CONCURRENT {
            outcomes.push(in_flight.join_next().await.unwrap().unwrap());
        }
        let (client, name) = (client.clone(), format!("auto{number}"));
        in_flight.spawn(async move {
            let outcome = create(&client, &name).await;
            (name, outcome)
        });
    }
    outcomes.extend(in_flight.join_all().await);
    outcomes
}

#[tokio::test]
async fn no_write_is_carried_out_twice_and_the_certainty_is_right() {
    let mut seen = BTreeMap::new();
    for seed in 0..SCHEDULES {
        let simulator = start(|_| {});
        let client = Client::connect(options(&simulator, password_user()))
            .await
            .unwrap();
        simulator.set_faults(schedule(seed));
        let outcomes = write_all(&client).await;
        let tasks = tasks_by_name(&simulator);
        for (name, outcome) in outcomes {
            let started = tasks.get(&name).copied().unwrap_or_default();
            let certainty = outcome.as_ref().err().map(Error::certainty);
            let context = format!("seed {seed}, {name}, {started} tasks: {outcome:?}");
            match certainty {
                None => assert_eq!(started, 1, "{context}"),
                Some(Certainty::NotSent | Certainty::Refused) => {
                    assert_eq!(started, 0, "{context}");
                }
                Some(Certainty::Unknown) => assert!(started <= 1, "{context}"),
            }
            *seen.entry(format!("{certainty:?}")).or_insert(0) += 1;
        }
    }
    // Otherwise the schedules test nothing.
    for kind in ["None", "Some(Refused)", "Some(Unknown)"] {
        assert!(seen.contains_key(kind), "{seen:?}");
    }
}
