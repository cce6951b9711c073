// SPDX-License-Identifier: GPL-3.0-only
//! Tracks outages of the hosts, for all requests of a client.
//!
//! A request that reached no host in all its attempts makes the hosts *unreachable*: later reads fail
//! immediately, except one every two seconds that tries again. Writes still make all their attempts,
//! because a write that is not sent fails its guest. [`SILENCE_THRESHOLD`] timeouts in a row without a
//! reply make the hosts *silent*: no write is sent, and one read every ten seconds tries again. Any
//! reply ends both states.
//!
//! Nothing is sent here; `transport` does that.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connect_failure::{ConnectProblem, FailedAttempt};
use crate::endpoint::Endpoint;

/// How many timeouts in a row make the hosts silent.
pub(crate) const SILENCE_THRESHOLD: u32 = 5;
/// The pause between two reads that try unreachable hosts.
const RETRY_UNREACHABLE: Duration = Duration::from_secs(2);
/// The pause between two reads that try silent hosts.
const RETRY_SILENT: Duration = Duration::from_secs(10);

/// The state of the hosts after the last requests.
pub(crate) struct Health(Mutex<State>);

struct State {
    timeouts: u32,
    /// Per host: whether it has failed since the last reply of any host.
    failed: Vec<bool>,
    outage: Option<Outage>,
}

struct Outage {
    is_silent: bool,
    /// The failure of each host.
    attempts: Vec<FailedAttempt>,
    next_try: Instant,
}

/// How many attempts a request may make.
pub(crate) enum AttemptLimit {
    /// All that the options allow.
    Unlimited,
    /// One.
    One,
    /// None, because of these failures of earlier requests.
    None(Vec<FailedAttempt>),
}

impl Health {
    pub(crate) fn new(hosts: usize) -> Self {
        Self(Mutex::new(State {
            timeouts: 0,
            failed: vec![false; hosts],
            outage: None,
        }))
    }

    /// Records that a host has replied, with any status.
    pub(crate) fn record_reply(&self) {
        let mut state = self.lock();
        state.timeouts = 0;
        state.failed.fill(false);
        state.outage = None;
    }

    /// Records that a request to a host has timed out.
    pub(crate) fn record_timeout(&self, host: usize, hosts: impl Iterator<Item = Endpoint>) {
        let mut state = self.lock();
        state.failed[host] = true;
        state.timeouts += 1;
        let timeouts = state.timeouts;
        if timeouts < SILENCE_THRESHOLD || state.failed.contains(&false) {
            return;
        }
        let message = format!("no reply to the last {timeouts} requests");
        let attempt = |endpoint| FailedAttempt {
            endpoint,
            problem: ConnectProblem::TimedOut,
            message: message.clone(),
        };
        state.outage = Some(Outage {
            is_silent: true,
            attempts: hosts.map(attempt).collect(),
            next_try: Instant::now() + RETRY_SILENT,
        });
    }

    /// Records that a host could not be connected to.
    pub(crate) fn record_connect_failure(&self, host: usize) {
        self.lock().failed[host] = true;
    }

    /// Records that a request has reached no host in all its attempts.
    pub(crate) fn record_unreachable(&self, attempts: &[FailedAttempt]) {
        let mut state = self.lock();
        if state.outage.is_none() {
            state.outage = Some(Outage {
                is_silent: false,
                attempts: attempts.to_vec(),
                next_try: Instant::now() + RETRY_UNREACHABLE,
            });
        }
    }

    /// Whether the hosts are silent.
    pub(crate) fn is_silent(&self) -> bool {
        let state = self.lock();
        state.outage.as_ref().is_some_and(|outage| outage.is_silent)
    }

    /// Whether a request that has failed may make another attempt.
    pub(crate) fn allows_retry(&self, is_retryable: bool) -> bool {
        match &self.lock().outage {
            None => true,
            Some(outage) => !outage.is_silent && !is_retryable,
        }
    }

    /// How many attempts a new request may make. `is_retryable`: sending it twice does no harm.
    pub(crate) fn attempt_limit(&self, is_retryable: bool, now: Instant) -> AttemptLimit {
        let mut state = self.lock();
        let Some(outage) = &mut state.outage else {
            return AttemptLimit::Unlimited;
        };
        match (is_retryable, outage.is_silent) {
            (true, is_silent) if now >= outage.next_try => {
                let pause = if is_silent {
                    RETRY_SILENT
                } else {
                    RETRY_UNREACHABLE
                };
                outage.next_try = now + pause;
                AttemptLimit::One
            }
            (false, false) => AttemptLimit::Unlimited,
            (true, _) | (false, true) => AttemptLimit::None(outage.attempts.clone()),
        }
    }

    /// A panic in another thread cannot leave the state inconsistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Vec<Endpoint> {
        let host = |name: &str| Endpoint {
            host: name.to_owned(),
            port: 8006,
        };
        vec![host("a"), host("b")]
    }

    fn time_out(health: &Health, host: usize, times: u32) {
        for _ in 0..times {
            health.record_timeout(host, hosts().into_iter());
        }
    }

    #[test]
    fn hosts_are_silent_after_failures_of_each_without_a_reply() {
        let health = Health::new(2);
        time_out(&health, 0, 10);
        assert!(!health.is_silent(), "the other host has got no request");
        time_out(&health, 1, 1);
        assert!(health.is_silent());
        assert!(
            matches!(health.attempt_limit(false, Instant::now()), AttemptLimit::None(hosts) if hosts.len() == 2)
        );
        health.record_reply();
        assert!(!health.is_silent());
        time_out(&health, 0, 2);
        time_out(&health, 1, SILENCE_THRESHOLD - 3);
        assert!(!health.is_silent(), "too few timeouts");
    }

    #[test]
    fn an_outage_stops_all_reads_but_one_per_pause() {
        let health = Health::new(2);
        let attempts: Vec<_> = hosts()
            .into_iter()
            .map(|endpoint| FailedAttempt {
                endpoint,
                problem: ConnectProblem::ConnectionRefused,
                message: "connection refused".to_owned(),
            })
            .collect();
        health.record_unreachable(&attempts);
        let now = Instant::now();
        assert!(
            matches!(health.attempt_limit(true, now), AttemptLimit::None(all) if all == attempts)
        );
        assert!(matches!(
            health.attempt_limit(false, now),
            AttemptLimit::Unlimited
        ));
        let later = now + RETRY_UNREACHABLE;
        assert!(matches!(
            health.attempt_limit(true, later),
            AttemptLimit::One
        ));
        assert!(matches!(
            health.attempt_limit(true, later),
            AttemptLimit::None(_)
        ));
        health.record_reply();
        assert!(matches!(
            health.attempt_limit(true, later),
            AttemptLimit::Unlimited
        ));
    }
}
