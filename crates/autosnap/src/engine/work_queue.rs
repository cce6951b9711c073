// SPDX-License-Identifier: GPL-3.0-only
//! The work queue of a cluster, which all its runs share: each change of the schedule starts the work that may start,
//! and sends it to the executor of its run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autosnap_core::schedule::{Limits, Order, RunKey, Schedule, Work, WorkId};
use tokio::sync::mpsc;

/// The work queue of a cluster. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct WorkQueue(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    schedule: Schedule,
    /// The channel to each run's executor, for the indices of started work.
    runs: HashMap<RunKey, mpsc::UnboundedSender<usize>>,
}

impl State {
    fn start_all(&mut self) {
        while let Some(WorkId { run, index }) = self.schedule.start_next() {
            let sender = self.runs.get(&run);
            if sender.is_none_or(|sender| sender.send(index).is_err()) {
                // The executor is being dropped, and its slots with it.
                self.schedule.withdraw(run);
            }
        }
    }
}

impl WorkQueue {
    /// An empty queue, whose limits hold over all runs.
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(State {
            schedule: Schedule::new(limits),
            runs: HashMap::new(),
        })))
    }

    /// Queues the work of a run, which also has limits of its own.
    pub(super) fn enqueue(&self, limits: Limits, order: Order, work: &[Work]) -> RunWork {
        let (sender, started) = mpsc::unbounded_channel();
        let mut state = self.lock();
        let run = state.schedule.enqueue(limits, order, work);
        state.runs.insert(run, sender);
        state.start_all();
        drop(state);
        RunWork {
            queue: self.clone(),
            run,
            started,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When deferred work is queued again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resume {
    /// Before all other work of its run.
    First,
    /// The work starts after all other work of its run.
    Last,
}

/// The work of one run in the queue. Dropping it removes the run, and frees its slots and leases, also during a panic.
#[derive(Debug)]
pub(super) struct RunWork {
    queue: WorkQueue,
    run: RunKey,
    started: mpsc::UnboundedReceiver<usize>,
}

impl RunWork {
    /// The index of the next started piece of work. Waits until one has started.
    pub(super) async fn next_started(&mut self) -> usize {
        match self.started.recv().await {
            Some(index) => index,
            // The sender is in the queue until self is dropped.
            None => std::future::pending().await,
        }
    }

    /// The index of the next started piece of work; `None` if none has started.
    pub(super) fn try_next_started(&mut self) -> Option<usize> {
        self.started.try_recv().ok()
    }

    /// See [`Schedule::finish`].
    pub(super) fn finish(&self, index: usize, elapsed: Duration) {
        self.change(|schedule, run| schedule.finish(WorkId { run, index }, elapsed));
    }

    /// See [`Schedule::defer`].
    pub(super) fn defer(&self, index: usize) {
        self.change(|schedule, run| schedule.defer(WorkId { run, index }));
    }

    /// Queues deferred work again.
    pub(super) fn resume(&self, work: impl IntoIterator<Item = (usize, Resume)>) {
        self.change(|schedule, run| {
            for (index, resume) in work {
                match resume {
                    Resume::First => schedule.resume_first(WorkId { run, index }),
                    Resume::Last => schedule.resume(WorkId { run, index }),
                }
            }
        });
    }

    /// Starts no more work of the run; work that the executor has not received yet is put back.
    pub(super) fn withdraw(&mut self) {
        let queue = self.queue.clone();
        let mut state = queue.lock();
        state.schedule.withdraw(self.run);
        while let Some(index) = self.try_next_started() {
            let run = self.run;
            state.schedule.defer(WorkId { run, index });
        }
        state.start_all();
    }

    fn change(&self, change: impl FnOnce(&mut Schedule, RunKey)) {
        let mut state = self.queue.lock();
        change(&mut state.schedule, self.run);
        state.start_all();
    }
}

impl Drop for RunWork {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.runs.remove(&self.run);
        state.schedule.remove(self.run);
        state.start_all();
    }
}
