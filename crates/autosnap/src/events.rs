// SPDX-License-Identifier: GPL-3.0-only
//! The channel from a run to its consumers, and the record that is computed from the same events.
//!
//! Emitting never waits, and a consumer that is gone changes nothing for the run.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use autosnap_core::event::{Event, EventKind};
use autosnap_core::record::{RunRecord, RunResult};
use autosnap_core::run_id::RunId;
use jiff::Timestamp;
use tokio::sync::mpsc;

/// The sending side of the events of one run. Clones belong to the same run.
#[derive(Debug, Clone)]
pub struct Events {
    sender: mpsc::UnboundedSender<Event>,
    shared: Arc<Mutex<Shared>>,
}

/// The receiving side of the events of one run.
#[derive(Debug)]
pub struct EventReceiver {
    receiver: mpsc::UnboundedReceiver<Event>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    next_seq: u64,
    record: Arc<RunRecord>,
}

impl Events {
    /// The channel of a new run, which gets a new identifier.
    pub fn channel() -> (Self, EventReceiver) {
        let run = RunId::new(Timestamp::now(), random_bits());
        let (sender, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Mutex::new(Shared {
            next_seq: 0,
            record: Arc::new(RunRecord::new(run)),
        }));
        let events = Self {
            sender,
            shared: Arc::clone(&shared),
        };
        (events, EventReceiver { receiver, shared })
    }

    /// The run.
    pub fn run(&self) -> RunId {
        lock(&self.shared).record.run
    }

    /// Stamps an event, adds it to the record and sends it.
    pub fn emit(&self, kind: EventKind) {
        let mut shared = lock(&self.shared);
        let event = Event {
            run: shared.record.run,
            at: Timestamp::now(),
            seq: shared.next_seq,
            kind,
        };
        shared.next_seq += 1;
        Arc::make_mut(&mut shared.record).observe(&event);
        // Sent under the lock, so that the order of the channel is that of `seq`. It fails only without a receiver.
        let _ = self.sender.send(event);
    }

    /// The result of the run so far.
    pub fn result(&self) -> RunResult {
        lock(&self.shared).record.result()
    }

    /// The record so far.
    pub fn record(&self) -> Arc<RunRecord> {
        Arc::clone(&lock(&self.shared).record)
    }
}

impl EventReceiver {
    /// The next event; `None` when the run has ended and all its events were received.
    pub async fn recv(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// The next event, if one was emitted that was not received yet.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }

    /// The record so far; of the whole run after its last event.
    pub fn record(&self) -> Arc<RunRecord> {
        Arc::clone(&lock(&self.shared).record)
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Random bits for an identifier: the keys of the standard library's hash maps are random.
fn random_bits() -> u128 {
    let bits = || u128::from(RandomState::new().hash_one(()));
    bits() << 64 | bits()
}

#[cfg(test)]
mod tests {
    use autosnap_core::event::StopReason;

    use super::*;

    #[tokio::test]
    async fn events_are_numbered_in_the_order_in_which_they_are_received() {
        let (events, mut receiver) = Events::channel();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let events = events.clone();
                std::thread::spawn(move || {
                    for _ in 0..50 {
                        events.emit(EventKind::Stopped(StopReason::Cancelled));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let run = events.run();
        drop(events);
        let mut numbers = Vec::new();
        while let Some(event) = receiver.recv().await {
            assert_eq!(event.run, run);
            numbers.push(event.seq);
        }
        assert_eq!(numbers, (0..200).collect::<Vec<_>>());
        let record = receiver.record();
        assert_eq!(record.run, run);
        assert_eq!(record.stop_reason, Some(StopReason::Cancelled));
    }

    #[test]
    fn two_runs_have_different_identifiers() {
        assert_ne!(Events::channel().0.run(), Events::channel().0.run());
    }
}
