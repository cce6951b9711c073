// SPDX-License-Identifier: GPL-3.0-only
//! Doors for the fuzz targets (`fuzz/` in the project's root) to what reads a host's bytes.
//!
//! Hidden from the documentation and no part of the interface: a call over a socket would test
//! the same code a thousand times slower.

use hyper::body::Bytes;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::connection::Reply;
use crate::endpoint::Endpoint;
use crate::error::{Error, Method};
use crate::proxy::{ProxyReply, ProxyRules};
use crate::reply;
use crate::types::SnapshotListing;
use crate::types::loose::List;
use crate::types::repair::repair;
use crate::wire;

/// An HTTP answer as a host might send it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The method of the request that is answered.
    pub method: Method,
    /// The path of the request, in segments.
    pub path: &'a [&'a str],
    /// The HTTP status.
    pub status: u16,
    /// The text behind the status.
    pub phrase: &'a str,
    /// The media type, without parameters.
    pub media_type: &'a str,
    /// Whether there is a `WWW-Authenticate` header.
    pub asks_for_login: bool,
    /// The body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// The `data` of the answer, or what the client says instead.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let call = Call::new(self.method, self.path);
        let endpoint = Endpoint {
            host: "pve1".to_owned(),
            port: 8006,
        };
        let reply = Reply {
            status: self.status,
            phrase: self.phrase.to_owned(),
            media_type: self.media_type.to_owned(),
            asks_for_login: self.asks_for_login,
            body: Bytes::copy_from_slice(self.body),
            date: None,
        };
        let answer = reply::check(&call, &endpoint, reply)?;
        reply::data(&call, &answer.endpoint, &answer.body)
    }

    /// As [`Self::data`], for listings: the entries that can be read.
    pub fn list<T: DeserializeOwned>(&self) -> Result<Vec<T>, Error> {
        Ok(self.data::<List<T>>()?.0)
    }

    /// As [`Self::data`], for snapshots: `None` if the listing cannot be complete.
    pub fn snapshots(&self) -> Result<Option<SnapshotListing>, Error> {
        let listing = self.data::<SnapshotListing>()?;
        Ok(listing.flaw().is_none().then_some(listing))
    }
}

/// The body of an answer, made JSON again as far as that is possible.
pub fn repaired_json(body: &[u8]) -> String {
    repair(body)
}

/// The head of an answer as it is handed to hyper, and the bytes that came with it.
pub fn repaired_head(head: &[u8], rest: &[u8]) -> Vec<u8> {
    wire::repair(head, rest)
}

/// The proxy for a host, as messages name it, and the request to it; `None` if the host is connected to
/// directly. `proxy` and `bypass` are the values of `HTTPS_PROXY` and `NO_PROXY`.
pub fn proxy_for(
    proxy: &str,
    bypass: &str,
    host: &Endpoint,
) -> Option<Result<(String, String), String>> {
    let rules = ProxyRules::from_variables(|name| match name {
        "HTTPS_PROXY" => Some(proxy.to_owned()),
        "NO_PROXY" => Some(bypass.to_owned()),
        _ => None,
    });
    match rules.proxy_for(host) {
        Ok(None) => None,
        Ok(Some(proxy)) => Some(Ok((proxy.to_string(), proxy.request(host).to_string()))),
        Err(error) => Some(Err(error.to_string())),
    }
}

/// Status and text of a proxy's answer.
pub fn proxy_reply(head: &[u8]) -> Option<(u16, String)> {
    ProxyReply::parse(head).map(|reply| (reply.status, reply.phrase))
}
