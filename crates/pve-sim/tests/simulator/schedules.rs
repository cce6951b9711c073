// SPDX-License-Identifier: GPL-3.0-only
//! Calendar events, compared with recorded responses of a real PVE in UTC.

use std::path::Path;

use serde_json::{Value, json};

use crate::common::{ADMIN, Connection, serve};

/// The recorded requests and responses.
fn recorded() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/oracles");
    let text = std::fs::read_to_string(folder.join("calendar-events.jsonl")).expect("the oracle");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .filter(|case: &Value| case["timezone"] == "UTC")
        .collect()
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// `schedule-analyze` returns PVE's times and errors.
#[test]
fn calendar_events_match_the_recordings() {
    // Without a start time, the response begins with the day after this one.
    let simulator = serve(|options| options.start = Some(1_795_842_000.0));
    let auth = format!("Authorization: {ADMIN}");
    let address = simulator.addresses()[0];
    let mut connection = Connection::open(&simulator, address).expect("a connection");
    let cases = recorded();
    assert!(cases.len() > 400, "{}", cases.len());
    for (number, case) in cases.iter().enumerate() {
        // A connection ends after an error, and after a hundred responses.
        if number % 50 == 0 || cases[number - 1]["status"] == 400 {
            connection = Connection::open(&simulator, address).expect("a connection");
        }
        let expression = case["expression"].as_str().expect("a text");
        let mut parameters = vec![format!("schedule={}", encoded(expression))];
        for name in ["starttime", "iterations"] {
            if !case[name].is_null() {
                parameters.push(format!("{name}={}", case[name]));
            }
        }
        let path = format!("/cluster/jobs/schedule-analyze?{}", parameters.join("&"));
        let response = connection
            .call("GET", &path, &auth, "")
            .expect("a response");
        let body: Value = serde_json::from_slice(&response.body).expect("JSON");
        if case["from"] == "zones" {
            let times = body["data"].as_array().map(|moments| {
                let times = moments.iter().map(|moment| moment["timestamp"].clone());
                Value::Array(times.collect())
            });
            // PVE returns an error once for all times, and an empty list for none.
            let expected = case["next"].as_array().cloned().unwrap_or_default();
            assert_eq!(times.unwrap_or(json!([])), json!(expected), "{case}");
        } else if case["status"] == 200 {
            assert_eq!(body["data"], case["next"], "{case}");
        } else {
            assert_eq!(body, case["body"], "{case}");
        }
    }
}
