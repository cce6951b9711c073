// SPDX-License-Identifier: GPL-3.0-only
//! Access for the fuzz targets (`fuzz/` in the repository) to the parsers of bytes from a host.
//!
//! Hidden from the documentation and not part of the public interface: requests over a socket would
//! test the same code a thousand times slower.

use hyper::body::Bytes;
use serde::de::DeserializeOwned;

use crate::endpoint::Endpoint;
use crate::error::{Error, Method};
use crate::proxy::{ProxyReply, ProxyRules};
use crate::raw_reply::RawReply;
use crate::reply;
use crate::request::ApiRequest;
use crate::tracked_stream;
use crate::types::SnapshotListing;
use crate::types::lenient::List;
use crate::types::repair::repair;

/// An HTTP reply as a host may send it.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The method of the request.
    pub method: Method,
    /// The path of the request, in segments.
    pub path: &'a [&'a str],
    /// The HTTP status.
    pub status: u16,
    /// The reason phrase after the status.
    pub phrase: &'a str,
    /// The media type, without parameters.
    pub media_type: &'a str,
    /// Whether there is a `WWW-Authenticate` header.
    pub has_login_challenge: bool,
    /// The body.
    pub body: &'a [u8],
}

impl Reply<'_> {
    /// Parses the `data` of the reply as the client does.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let request = ApiRequest::new(self.method, self.path);
        let endpoint = Endpoint {
            host: "pve1".to_owned(),
            port: 8006,
        };
        let reply = RawReply {
            status: self.status,
            phrase: self.phrase.to_owned(),
            media_type: self.media_type.to_owned(),
            has_login_challenge: self.has_login_challenge,
            body: Bytes::copy_from_slice(self.body),
            date: None,
        };
        let reply = reply::check(&request, &endpoint, reply)?;
        reply::data(&request, &reply.endpoint, &reply.body)
    }

    /// Like [`Self::data`], for listings: returns the entries that can be read.
    pub fn list<T: DeserializeOwned>(&self) -> Result<Vec<T>, Error> {
        Ok(self.data::<List<T>>()?.0)
    }

    /// Like [`Self::data`], for snapshots: `None` if the listing cannot be complete.
    pub fn snapshots(&self) -> Result<Option<SnapshotListing>, Error> {
        let listing = self.data::<SnapshotListing>()?;
        Ok(listing.problem().is_none().then_some(listing))
    }
}

/// Repairs invalid JSON as the client does.
pub fn repaired_json(body: &[u8]) -> String {
    repair(body)
}

/// The head of a reply as hyper receives it, and the bytes after it.
pub fn repaired_head(head: &[u8], rest: &[u8]) -> Vec<u8> {
    tracked_stream::repair_head(head, rest)
}

/// The proxy for a host as messages name it, and the request to it; `None` for a direct connection. `proxy` and
/// `bypass` are the values of `HTTPS_PROXY` and `NO_PROXY`.
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

/// Parses status and reason phrase of a proxy's reply.
pub fn proxy_reply(head: &[u8]) -> Option<(u16, String)> {
    ProxyReply::parse(head).map(|reply| (reply.status, reply.phrase))
}
