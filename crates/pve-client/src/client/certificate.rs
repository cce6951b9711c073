// SPDX-License-Identifier: GPL-3.0-only
//! The certificate of a host, read without signing on.

use std::time::Duration;

use crate::certificate::PeerCertificate;
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::options::{ClientOptions, Trust};
use crate::proxy::ProxyRules;
use crate::transport::Transport;

/// The fingerprint of the certificate a host shows; see [`fetch_certificate`].
pub async fn fetch_fingerprint(
    endpoint: &Endpoint,
    proxy: &ProxyRules,
    limit: Duration,
) -> Result<Fingerprint, Error> {
    let certificate = fetch_certificate(endpoint, proxy, limit).await?;
    Ok(certificate.fingerprint)
}

/// The certificate a host shows, without signing on and whatever it is worth:
/// for an administrator to compare with what PVE shows, and then to trust. Connecting and agreeing
/// on TLS may take `limit` each.
pub async fn fetch_certificate(
    endpoint: &Endpoint,
    proxy: &ProxyRules,
    limit: Duration,
) -> Result<PeerCertificate, Error> {
    let options = ClientOptions {
        proxy: proxy.clone(),
        connect_timeout: limit,
        ..ClientOptions::new(
            vec![endpoint.clone()],
            Credentials::Password {
                username: String::new(),
                password: String::new().into(),
            },
            Trust::AcceptAny,
        )
    };
    let transport = Transport::new(&options)?;
    transport.reach().await?;
    transport
        .peer_certificate()
        .ok_or_else(|| Error::Certificate {
            endpoint: endpoint.clone(),
            reason: "it showed none".to_owned(),
            fingerprint: None,
        })
}
