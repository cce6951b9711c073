// SPDX-License-Identifier: GPL-3.0-only
//! Reads the certificate of a host without a login.

use std::time::Duration;

use crate::certificate::PeerCertificate;
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::options::{ClientOptions, Trust};
use crate::proxy::ProxyRules;
use crate::transport::Transport;

/// The fingerprint of the certificate of a host; see [`fetch_certificate`].
pub async fn fetch_fingerprint(
    endpoint: &Endpoint,
    proxy: &ProxyRules,
    limit: Duration,
) -> Result<Fingerprint, Error> {
    let certificate = fetch_certificate(endpoint, proxy, limit).await?;
    Ok(certificate.fingerprint)
}

/// The certificate that a host presents, trusted or not, without a login.
///
/// An administrator can compare it with the one that PVE shows, and then trust its fingerprint.
/// Connecting and the TLS handshake may each take up to `limit`.
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
    transport.connect().await?;
    transport
        .peer_certificate()
        .ok_or_else(|| Error::Certificate {
            endpoint: endpoint.clone(),
            reason: "it has none".to_owned(),
            fingerprint: None,
        })
}
