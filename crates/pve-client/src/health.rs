// SPDX-License-Identifier: GPL-3.0-only
//! Health of the hosts, shared by all requests.
//!
//! A request that found no host in all its attempts makes the hosts *unreachable*: later reads fail
//! at once, except one every two seconds that tries again. Writes still make all their attempts, as
//! a write that is not sent fails its guest. [`TIMEOUTS`] time-outs in a row without one reply, whatever the
//! requests, make the hosts *silent*: no write is sent any more, and one read every ten seconds
//! tries again. Any reply ends both.
//!
//! Limits: it sends nothing and waits for nothing; `transport` does.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::endpoint::Endpoint;

/// How many time-outs in a row make the hosts silent.
pub(crate) const TIMEOUTS: u32 = 5;
/// How often a read tries hosts that could not be reached.
const RETRY_UNREACHABLE: Duration = Duration::from_secs(2);
/// How often a read tries hosts that do not answer.
const RETRY_SILENT: Duration = Duration::from_secs(10);

/// The state of the hosts, as the last requests found it.
pub(crate) struct Health(Mutex<State>);

struct State {
    timeouts: u32,
    /// Per host: whether it has failed since the last reply of any host.
    failed: Vec<bool>,
    outage: Option<Outage>,
}

struct Outage {
    is_silent: bool,
    /// Each host with its failure.
    attempts: Vec<(Endpoint, String)>,
    next_try: Instant,
}

/// How many attempts a request may make.
pub(crate) enum Permit {
    /// All of them.
    Go,
    /// One.
    Once,
    /// None, because of these failures of earlier requests.
    Fail(Vec<(Endpoint, String)>),
}

impl Health {
    pub(crate) fn new(hosts: usize) -> Self {
        Self(Mutex::new(State {
            timeouts: 0,
            failed: vec![false; hosts],
            outage: None,
        }))
    }

    /// A host has replied, with any status.
    pub(crate) fn replied(&self) {
        let mut state = self.lock();
        state.timeouts = 0;
        state.failed.fill(false);
        state.outage = None;
    }

    /// A request to a host has timed out.
    pub(crate) fn timed_out(&self, host: usize, hosts: impl Iterator<Item = Endpoint>) {
        let mut state = self.lock();
        state.failed[host] = true;
        state.timeouts += 1;
        let timeouts = state.timeouts;
        if timeouts < TIMEOUTS || state.failed.contains(&false) {
            return;
        }
        let reason = format!("no answer to the last {timeouts} requests");
        state.outage = Some(Outage {
            is_silent: true,
            attempts: hosts.map(|host| (host, reason.clone())).collect(),
            next_try: Instant::now() + RETRY_SILENT,
        });
    }

    /// A host could not be connected to.
    pub(crate) fn not_connected(&self, host: usize) {
        self.lock().failed[host] = true;
    }

    /// A request has made all its attempts and reached no host.
    pub(crate) fn unreachable(&self, attempts: &[(Endpoint, String)]) {
        let mut state = self.lock();
        if state.outage.is_none() {
            state.outage = Some(Outage {
                is_silent: false,
                attempts: attempts.to_vec(),
                next_try: Instant::now() + RETRY_UNREACHABLE,
            });
        }
    }

    /// Whether the hosts have stopped answering.
    pub(crate) fn is_silent(&self) -> bool {
        let state = self.lock();
        state.outage.as_ref().is_some_and(|outage| outage.is_silent)
    }

    /// Whether a request that has failed may make another attempt.
    pub(crate) fn allows_repeat(&self, is_repeatable: bool) -> bool {
        match &self.lock().outage {
            None => true,
            Some(outage) => !outage.is_silent && !is_repeatable,
        }
    }

    /// How many attempts a new request may make. `is_repeatable`: sending it twice does no harm.
    pub(crate) fn permit(&self, is_repeatable: bool, now: Instant) -> Permit {
        let mut state = self.lock();
        let Some(outage) = &mut state.outage else {
            return Permit::Go;
        };
        match (is_repeatable, outage.is_silent) {
            (true, is_silent) if now >= outage.next_try => {
                let pause = if is_silent {
                    RETRY_SILENT
                } else {
                    RETRY_UNREACHABLE
                };
                outage.next_try = now + pause;
                Permit::Once
            }
            (false, false) => Permit::Go,
            (true, _) | (false, true) => Permit::Fail(outage.attempts.clone()),
        }
    }

    /// A panic elsewhere cannot leave this half changed.
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
            health.timed_out(host, hosts().into_iter());
        }
    }

    #[test]
    fn hosts_are_silent_when_each_has_failed_and_none_has_replied() {
        let health = Health::new(2);
        time_out(&health, 0, 10);
        assert!(!health.is_silent(), "the other host was not asked");
        time_out(&health, 1, 1);
        assert!(health.is_silent());
        assert!(
            matches!(health.permit(false, Instant::now()), Permit::Fail(hosts) if hosts.len() == 2)
        );
        health.replied();
        assert!(!health.is_silent());
        time_out(&health, 0, 2);
        time_out(&health, 1, TIMEOUTS - 3);
        assert!(!health.is_silent(), "not often enough");
    }

    #[test]
    fn an_outage_is_known_to_all_and_one_read_tries_now_and_then() {
        let health = Health::new(2);
        let attempts: Vec<_> = hosts()
            .into_iter()
            .map(|host| (host, "connection refused".to_owned()))
            .collect();
        health.unreachable(&attempts);
        let now = Instant::now();
        assert!(matches!(health.permit(true, now), Permit::Fail(all) if all == attempts));
        assert!(matches!(health.permit(false, now), Permit::Go));
        let later = now + RETRY_UNREACHABLE;
        assert!(matches!(health.permit(true, later), Permit::Once));
        assert!(matches!(health.permit(true, later), Permit::Fail(_)));
        health.replied();
        assert!(matches!(health.permit(true, later), Permit::Go));
    }
}
