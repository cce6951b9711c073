// SPDX-License-Identifier: GPL-3.0-only
//! The stop signal of a run.
//!
//! After a stop request a run starts no new guest, and finishes the started ones with their closing hooks. A process
//! that exits immediately abandons its run instead.

use std::sync::Arc;

use autosnap_core::event::StopReason;
use tokio::sync::watch;

/// A cooperative stop request. Clones share it.
#[derive(Debug, Clone)]
pub struct StopSignal {
    reason: Arc<watch::Sender<Option<StopReason>>>,
    abandoned: Arc<watch::Sender<bool>>,
}

impl Default for StopSignal {
    fn default() -> Self {
        Self {
            reason: Arc::new(watch::Sender::new(None)),
            abandoned: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl StopSignal {
    /// Requests the stop. Only the first reason is kept.
    pub fn request(&self, reason: StopReason) {
        self.reason.send_if_modified(|current| {
            let is_first = current.is_none();
            current.get_or_insert(reason);
            is_first
        });
    }

    /// The reason of the stop request, if there is one.
    pub fn requested(&self) -> Option<StopReason> {
        *self.reason.borrow()
    }

    /// Waits for a stop request.
    pub async fn wait(&self) -> StopReason {
        let mut reason = self.reason.subscribe();
        let requested = reason.wait_for(Option::is_some).await;
        requested
            .ok()
            .and_then(|reason| *reason)
            .expect("the sender lives as long as self, and waited for Some")
    }

    /// Abandons the run: the process is about to exit, and no further step may start.
    pub fn abandon(&self) {
        self.abandoned.send_replace(true);
    }

    /// Waits until the run is abandoned.
    pub async fn abandoned(&self) {
        let mut abandoned = self.abandoned.subscribe();
        // The sender lives as long as self.
        let _ = abandoned.wait_for(|abandoned| *abandoned).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_is_kept() {
        let stop = StopSignal::default();
        assert_eq!(stop.requested(), None);
        stop.clone().request(StopReason::Shutdown);
        stop.request(StopReason::UserRequest);
        assert_eq!(stop.wait().await, StopReason::Shutdown);
        assert_eq!(stop.requested(), Some(StopReason::Shutdown));
    }
}
