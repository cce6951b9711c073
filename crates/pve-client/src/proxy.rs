// SPDX-License-Identifier: GPL-3.0-only
//! HTTP proxies from environment variables, interpreted as by .NET (`HttpEnvironmentProxy`).
//!
//! | variable | meaning |
//! |---|---|
//! | `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY` | the first with a valid value is used: `[http://][USER:PASSWORD@]HOST[:PORT]`, port 80 |
//! | `no_proxy`, `NO_PROXY` | hosts without a proxy, separated by commas: a host, `.suffix` for a domain and all hosts below it, or `*` for all |
//!
//! As in .NET, there is no special rule for loopback addresses, the list cannot contain ports or networks,
//! and a value without a host is ignored. The caller passes the variables; the environment is not read
//! here.
//!
//! The proxy receives the name and port of a host and the login for the proxy. Everything else, the login
//! for Proxmox VE included, is sent through TLS after the host's certificate was verified.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::endpoint::Endpoint;

/// The variables that may contain a proxy, in the order of precedence.
pub const PROXY_VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// The variables with the hosts that need no proxy; the first that is set is used.
pub const BYPASS_VARIABLES: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// The port of a proxy if the variable has none.
const DEFAULT_PORT: u16 = 80;
/// The length of the shortest secret that is masked, in bytes; shorter ones occur in many texts by chance.
const MIN_SECRET_LENGTH: usize = 4;
const MASK: &str = "***";

/// The proxy rules for all hosts. By default there is no proxy.
#[derive(Clone, Debug, Default)]
pub struct ProxyRules {
    proxy: Option<ProxySetting>,
    bypass: Vec<BypassPattern>,
}

/// The value of a proxy variable.
#[derive(Clone, Debug)]
enum ProxySetting {
    Proxy(Proxy),
    /// A proxy of an unsupported kind.
    Unsupported(ProxyError),
}

/// A variable contains a proxy of an unsupported kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsupported proxy {scheme}:// in {variable}: expected http://HOST:PORT")]
pub(crate) struct ProxyError {
    /// The variable.
    variable: &'static str,
    /// The part before `://`.
    scheme: String,
}

/// An HTTP proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) address: Endpoint,
    /// The variable that contains it.
    variable: &'static str,
    /// `USER:PASSWORD`.
    login: Option<SecretString>,
}

/// An entry in the list of hosts that need no proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum BypassPattern {
    All,
    Host(String),
    Address(IpAddr),
    /// A domain and all hosts in it, without the leading dot.
    Domain(String),
}

impl ProxyRules {
    /// Parses the variables; `value` returns the value of a variable, `None` if it is not set.
    pub fn from_variables(value: impl Fn(&str) -> Option<String>) -> Self {
        let proxy = PROXY_VARIABLES
            .iter()
            .find_map(|variable| ProxySetting::parse(variable, &value(variable)?));
        let bypass = BYPASS_VARIABLES.iter().find_map(|variable| value(variable));
        let bypass = bypass.as_deref().unwrap_or_default();
        Self {
            proxy,
            bypass: bypass.split(',').filter_map(BypassPattern::parse).collect(),
        }
    }

    /// The proxy for a host; `None` for a direct connection.
    pub(crate) fn proxy_for(&self, endpoint: &Endpoint) -> Result<Option<Proxy>, ProxyError> {
        if self.bypass.iter().any(|pattern| pattern.matches(endpoint)) {
            return Ok(None);
        }
        match &self.proxy {
            None => Ok(None),
            Some(ProxySetting::Proxy(proxy)) => Ok(Some(proxy.clone())),
            Some(ProxySetting::Unsupported(error)) => Err(error.clone()),
        }
    }
}

impl ProxySetting {
    /// Parses the value of a variable; `None` if it contains no host.
    fn parse(variable: &'static str, value: &str) -> Option<Self> {
        let value = value.trim();
        let rest = match value.split_once("://") {
            None => value,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => {
                let scheme = scheme.chars().filter(char::is_ascii_alphanumeric).collect();
                return Some(Self::Unsupported(ProxyError { variable, scheme }));
            }
        };
        let (login, address) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((login, address)) => (Some(login), address),
        };
        let address = address.split(['/', '?', '#']).next().unwrap_or_default();
        let has_port = match address.rsplit_once(']') {
            Some((_, after)) => after.starts_with(':'),
            None => address.matches(':').count() == 1,
        };
        let mut address: Endpoint = address.parse().ok()?;
        if !has_port {
            address.port = DEFAULT_PORT;
        }
        let login = login.map(|login| percent_decode_str(login).decode_utf8_lossy());
        Some(Self::Proxy(Proxy {
            address,
            variable,
            login: login
                .filter(|login| !login.trim().is_empty())
                .map(|login| login.into_owned().into()),
        }))
    }
}

impl Proxy {
    /// Whether the variable has a login for the proxy.
    pub(crate) const fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// The `CONNECT` request for a tunnel to a host.
    pub(crate) fn request(&self, endpoint: &Endpoint) -> Zeroizing<String> {
        let target = endpoint.authority();
        let mut request =
            Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
        if let Some(credentials) = self.credentials() {
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(&credentials);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        request
    }

    /// Masks the login for the proxy in a text that the proxy has sent.
    pub(crate) fn mask(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let Some(login) = &self.login else {
            return text;
        };
        let login = login.expose_secret();
        let password = login.split_once(':').map(|(_, password)| password);
        let credentials = self.credentials();
        let secrets = [
            credentials.as_deref().map(String::as_str),
            Some(login),
            password,
        ];
        for secret in secrets.into_iter().flatten() {
            if secret.len() >= MIN_SECRET_LENGTH {
                text = text.replace(secret, MASK);
            }
        }
        text
    }

    /// The login in the encoding of RFC 7617.
    fn credentials(&self) -> Option<Zeroizing<String>> {
        let login = self.login.as_ref()?.expose_secret();
        let has_password = login.contains(':');
        let login = Zeroizing::new(format!("{login}{}", if has_password { "" } else { ":" }));
        Some(Zeroizing::new(STANDARD.encode(login.as_bytes())))
    }
}

impl fmt::Display for Proxy {
    /// Prints `the proxy 10.0.0.1:3128 (HTTPS_PROXY)`, never with its login.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address, variable, ..
        } = self;
        write!(formatter, "the proxy {address} ({variable})")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl BypassPattern {
    fn parse(text: &str) -> Option<Self> {
        // Hosts are compared in the notation of DNS.
        let text = text.trim();
        let text = idna::domain_to_ascii(text).unwrap_or_else(|_| text.to_lowercase());
        let bare = text
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
            .unwrap_or(&text);
        let without_zone = bare.split('%').next().unwrap_or_default();
        if let Ok(address) = without_zone.parse() {
            return Some(Self::Address(address));
        }
        match text.strip_prefix('.') {
            _ if text.is_empty() => None,
            _ if text == "*" => Some(Self::All),
            Some(domain) => Some(Self::Domain(domain.to_owned())),
            None => Some(Self::Host(text)),
        }
    }

    fn matches(&self, endpoint: &Endpoint) -> bool {
        let host = endpoint.host_without_zone().to_lowercase();
        match self {
            Self::All => true,
            Self::Host(name) => *name == host,
            Self::Address(address) => host.parse() == Ok(*address),
            Self::Domain(domain) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|before| before.is_empty() || before.ends_with('.')),
        }
    }
}

/// A proxy's reply to a `CONNECT` request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyReply {
    pub(crate) status: u16,
    /// The text after the status.
    pub(crate) phrase: String,
}

impl ProxyReply {
    /// Parses the head of the reply; `None` if it is not HTTP/1.
    pub(crate) fn parse(head: &[u8]) -> Option<Self> {
        let line = head.split(|byte| *byte == b'\n').next()?;
        let line = String::from_utf8_lossy(line);
        let rest = line.trim_end().strip_prefix("HTTP/1.")?;
        let (_minor, rest) = rest.split_once(' ')?;
        let (status, phrase) = rest
            .trim_start()
            .split_once(' ')
            .unwrap_or((rest.trim(), ""));
        let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self {
            status: status.parse().ok().filter(|_| is_status)?,
            phrase: phrase.trim().to_owned(),
        })
    }
}
