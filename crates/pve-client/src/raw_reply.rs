// SPDX-License-Identifier: GPL-3.0-only
//! An HTTP reply as it was received.

use std::time::SystemTime;

use hyper::body::Bytes;

/// A complete HTTP reply. It has no `Debug`: the reply to a login contains a ticket.
pub(crate) struct RawReply {
    pub(crate) status: u16,
    /// The reason phrase after the status, in which PVE sends its error text.
    pub(crate) phrase: String,
    /// The media type, without parameters.
    pub(crate) media_type: String,
    /// Whether it has a `WWW-Authenticate` header, which PVE never sends.
    pub(crate) has_login_challenge: bool,
    pub(crate) body: Bytes,
    /// The `Date` header, to the second.
    pub(crate) date: Option<SystemTime>,
}
