// SPDX-License-Identifier: GPL-3.0-only
//! The wish to stop: who may utter it, and how it is heard.
//!
//! The first wish ends a run in order: nothing new is started, guests under way are finished with
//! their closing hooks. A second signal leaves at once; that is [`crate::signals`]' part.

use std::sync::Arc;

use autosnap_core::event::StopReason;
use tokio::sync::watch;

/// The wish to stop. Clones share it.
#[derive(Debug, Clone)]
pub struct StopSignal {
    wish: Arc<watch::Sender<Option<StopReason>>>,
    abandoned: Arc<watch::Sender<bool>>,
}

impl Default for StopSignal {
    fn default() -> Self {
        Self {
            wish: Arc::new(watch::Sender::new(None)),
            abandoned: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl StopSignal {
    /// Utters the wish; the first one stands.
    pub fn request(&self, interruption: StopReason) {
        self.wish.send_if_modified(|wish| {
            let first = wish.is_none();
            wish.get_or_insert(interruption);
            first
        });
    }

    /// The wish, if it was uttered.
    pub fn requested(&self) -> Option<StopReason> {
        *self.wish.borrow()
    }

    /// Waits until the wish is uttered.
    pub async fn wait(&self) -> StopReason {
        let mut wish = self.wish.subscribe();
        let uttered = wish.wait_for(Option::is_some).await;
        uttered
            .ok()
            .and_then(|wish| *wish)
            .expect("the sender lives as long as self, and waited for Some")
    }

    /// Abandons the run: the process is about to exit, and no further step may be taken.
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
    async fn the_first_wish_stands() {
        let stop = StopSignal::default();
        assert_eq!(stop.requested(), None);
        stop.clone().request(StopReason::Shutdown);
        stop.request(StopReason::UserRequest);
        assert_eq!(stop.wait().await, StopReason::Shutdown);
        assert_eq!(stop.requested(), Some(StopReason::Shutdown));
    }
}
