// SPDX-License-Identifier: GPL-3.0-only
//! Captures what the client logs on the thread of a test.
//!
//! The subscriber is installed for the whole process before any client exists: a subscriber for one thread
//! may miss events whose call site another test registers at that moment.

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::sync::Once;

use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    static COLLECTED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Installs the subscriber; called by everything that builds options for a client.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| tracing::subscriber::set_global_default(Collector).unwrap());
}

/// Starts collecting on this thread.
pub(crate) fn collect() {
    COLLECTED.set(Some(String::new()));
}

/// What was logged on this thread since [`collect`].
pub(crate) fn collected() -> String {
    COLLECTED.take().unwrap()
}

/// Records every event with all its fields.
struct Collector;

impl Subscriber for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        COLLECTED.with_borrow_mut(|collected| {
            if let Some(text) = collected {
                event.record(&mut |field: &Field, value: &dyn Debug| {
                    write!(text, "{field}={value:?} ").unwrap();
                });
            }
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
