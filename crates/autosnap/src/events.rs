// SPDX-License-Identifier: GPL-3.0-only
//! The way from the engine to everybody who wants to know: one channel, and the sum kept beside it.
//!
//! Limits: it judges nothing and never waits; a consumer that is gone is no concern of the sender.

use std::sync::{Arc, Mutex, PoisonError};

use autosnap_core::event::EventKind;
use autosnap_core::outcome::Outcome;
use tokio::sync::mpsc;

/// Where facts are told. Clones tell the same listener.
#[derive(Debug, Clone)]
pub struct Events {
    sender: mpsc::UnboundedSender<EventKind>,
    outcome: Arc<Mutex<Outcome>>,
}

/// What is received on the other side.
pub type EventReceiver = mpsc::UnboundedReceiver<EventKind>;

impl Events {
    /// A new channel.
    pub fn channel() -> (Self, EventReceiver) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (
            Self {
                sender,
                outcome: Arc::default(),
            },
            receiver,
        )
    }

    /// Emits a fact.
    pub fn emit(&self, event: EventKind) {
        self.with_outcome(|outcome| outcome.observe(&event));
        // Nobody listens any more only when the program is about to end.
        let _ = self.sender.send(event);
    }

    /// The sum of all that was told so far.
    pub fn outcome(&self) -> Outcome {
        self.with_outcome(|outcome| outcome.clone())
    }

    fn with_outcome<T>(&self, look: impl FnOnce(&mut Outcome) -> T) -> T {
        look(&mut self.outcome.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
