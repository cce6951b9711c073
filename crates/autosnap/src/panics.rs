// SPDX-License-Identifier: GPL-3.0-only
//! Panics as errors: a bug in one guest or one run does not end the others.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::error::Error;

/// The message of a panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panic(String);

impl Panic {
    /// Appends what the run was doing to the message, such as `VM 100`.
    #[must_use]
    pub(crate) fn with_context(self, context: &str) -> Self {
        Self(format!("{} ({context})", self.0))
    }
}

impl From<Panic> for Error {
    fn from(panic: Panic) -> Self {
        Self::Internal(panic.0)
    }
}

/// Runs a future and returns its panic, if there is one, as an error.
///
/// After a panic the caller may use only such shared state of the future as is valid at every point where the future
/// can stop.
pub(crate) async fn catch<T>(future: impl Future<Output = T>) -> Result<T, Panic> {
    AssertUnwindSafe(future)
        .catch_unwind()
        .await
        .map_err(|payload| Panic(message(payload.as_ref())))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_with_its_message() {
        assert_eq!(catch(async { 7 }).await, Ok(7));
        let number = 7;
        let panic = catch(async { assert_eq!(number, 8, "the number is wrong") }).await;
        let text = Error::from(panic.unwrap_err()).to_string();
        assert!(text.starts_with("internal error: "), "{text}");
        assert!(text.contains("the number is wrong"), "{text}");
        let panic = catch(async { std::panic::panic_any(7_u8) }).await;
        let text = Error::from(panic.unwrap_err()).to_string();
        assert_eq!(text, "internal error: a panic without a message");
    }
}
