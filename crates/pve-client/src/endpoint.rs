// SPDX-License-Identifier: GPL-3.0-only
//! Addresses of PVE hosts as an administrator types them: `host`, `host:port`, `[::1]:8006`,
//! `[fe80::1%eth0]`, and comma-separated lists. Names are not resolved here.

use std::fmt;
use std::str::FromStr;

/// The port of pveproxy.
pub const DEFAULT_PORT: u16 = 8006;

/// One PVE host: a name or an IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// A host name in ASCII, an IPv4 address, or an IPv6 address without brackets, with its zone if it has
    /// one (`fe80::1%eth0`).
    pub host: String,
    /// The TCP port; [`DEFAULT_PORT`] by default.
    pub port: u16,
}

/// Why the address of a host is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is no host name.
    #[error("empty host name: expected HOST[:PORT],HOST[:PORT],…")]
    Empty,
    /// There is a login before the host, as in a URL. It may contain a password, so the text does not repeat
    /// it.
    #[error("invalid host: expected HOST[:PORT] without user, password and '@'")]
    Login,
    /// The address is a URL. The path may contain a secret, so the text does not repeat it.
    #[error("invalid host '{scheme}://{host}': write {suggestion}, without {scheme}://")]
    Scheme {
        /// The part before `://`.
        scheme: String,
        /// The part after it, without the path.
        host: String,
        /// A valid address.
        suggestion: String,
    },
    /// There is a path after the host. The text does not repeat it.
    #[error("invalid host '{host}/…': write {host}, without the path")]
    Path {
        /// The part before the path.
        host: String,
    },
    /// The name contains non-ASCII letters and is not a valid international domain name.
    #[error("invalid host '{0}': it is not a valid international domain name")]
    International(String),
    /// The text after the colon is not a port.
    #[error("invalid port '{port}' in '{text}': must be a number from 1 to 65535")]
    Port {
        /// The whole address.
        text: String,
        /// The text of the port.
        port: String,
    },
    /// The brackets are not closed, or the text after them is not a port.
    #[error("invalid host '{0}': write an IPv6 address as [2001:db8::1] or [2001:db8::1]:8006")]
    Brackets(String),
    /// The host contains an invalid character.
    #[error("invalid character '{character}' in host '{text}': expected HOST[:PORT]")]
    Character {
        /// The whole address.
        text: String,
        /// The first invalid character.
        character: char,
    },
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// Parses `host`, `host:port`, `[address]`, `[address]:port` or a bare IPv6 address, with white
    /// space around each part, as the C# tool accepts them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Err(EndpointError::Empty);
        }
        if text.contains('@') {
            return Err(EndpointError::Login);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return Err(scheme_error(scheme, rest));
        }
        if let Some((host, _path)) = text.split_once('/') {
            let host = host.to_owned();
            return Err(EndpointError::Path { host });
        }
        let (host, port) = split(text)?;
        let host = host.trim_end();
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) => parse_port(text, digits.trim_start())?,
        };
        let host = if is_ipv6(host) {
            host.to_owned()
        } else {
            ascii_name(text, host)?
        };
        Ok(Self { host, port })
    }
}

impl Endpoint {
    /// The host without the zone of an IPv6 address, which is valid only on this machine.
    pub(crate) fn host_without_zone(&self) -> &str {
        match self.host.split_once('%') {
            Some((address, _zone)) => address,
            None => &self.host,
        }
    }

    /// Host and port for other machines, without the zone (RFC 6874, section 4).
    pub(crate) fn authority(&self) -> String {
        let host = self.host_without_zone().to_owned();
        Self { host, ..*self }.to_string()
    }
}

impl fmt::Display for Endpoint {
    /// Prints `host:port`, with brackets around an IPv6 address.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

/// The hosts of one cluster, in the order in which they are tried; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostList(Vec<Endpoint>);

impl HostList {
    /// The hosts in the given order, each once.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.0
    }

    /// Converts the list into a vector.
    pub fn into_endpoints(self) -> Vec<Endpoint> {
        self.0
    }
}

impl FromStr for HostList {
    type Err = EndpointError;

    /// Parses `host[:port],host[:port],…`. Repeated hosts and empty parts are ignored, as in the C# tool
    /// (`$A,$B` with only one variable set).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut endpoints: Vec<Endpoint> = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let endpoint = part.parse()?;
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
        if endpoints.is_empty() {
            return Err(EndpointError::Empty);
        }
        Ok(Self(endpoints))
    }
}

impl fmt::Display for HostList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, endpoint) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(formatter, "{separator}{endpoint}")?;
        }
        Ok(())
    }
}

/// Splits an address into the host and the text of the port.
fn split(text: &str) -> Result<(&str, Option<&str>), EndpointError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest
            .split_once(']')
            .ok_or_else(|| EndpointError::Brackets(text.to_owned()))?;
        if !is_ipv6(host) {
            return Err(EndpointError::Brackets(text.to_owned()));
        }
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(EndpointError::Brackets(text.to_owned())),
        };
    }
    if is_ipv6(text) {
        return Ok((text, None));
    }
    Ok(match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    })
}

fn parse_port(text: &str, digits: &str) -> Result<u16, EndpointError> {
    let error = || EndpointError::Port {
        text: text.to_owned(),
        port: digits.to_owned(),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error());
    }
    digits
        .parse::<u16>()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(error)
}

/// Whether the text is an IPv6 address, with or without a zone: `fe80::1%eth0`.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let is_zone = |zone: &str| {
        let mut characters = zone.chars();
        !zone.is_empty()
            && characters.all(|one| one.is_ascii_alphanumeric() || matches!(one, '.' | '-' | '_'))
    };
    address.parse::<std::net::Ipv6Addr>().is_ok() && zone.is_none_or(is_zone)
}

/// The error for a URL. The default port of a URL is not [`DEFAULT_PORT`], so both are suggested.
fn scheme_error(scheme: &str, rest: &str) -> EndpointError {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let has_port = matches!(split(host), Ok((_, Some(_))));
    let suggestion = match scheme.to_ascii_lowercase().as_str() {
        _ if has_port || host.is_empty() => host.to_owned(),
        "https" => format!("{host} for port {DEFAULT_PORT}, or {host}:443"),
        _ => format!("{host} for port {DEFAULT_PORT}"),
    };
    EndpointError::Scheme {
        scheme: scheme.to_owned(),
        host: host.to_owned(),
        suggestion: if suggestion.is_empty() {
            format!("pve1:{DEFAULT_PORT}")
        } else {
            suggestion
        },
    }
}

/// The name in the notation of DNS: non-ASCII letters are converted, as in .NET (UTS 46).
fn ascii_name(text: &str, host: &str) -> Result<String, EndpointError> {
    check_host(text, host)?;
    if host.is_ascii() {
        return Ok(host.to_owned());
    }
    let converted = idna::domain_to_ascii(host);
    let converted = converted.map_err(|_| EndpointError::International(text.to_owned()))?;
    check_host(text, &converted)?;
    Ok(converted)
}

/// Checks the characters: those of DNS names and IPv4 addresses, underscores, which real host files
/// contain, and non-ASCII letters, also as a letter with a combining mark (`u` and U+0308).
fn check_host(text: &str, host: &str) -> Result<(), EndpointError> {
    if host.is_empty() {
        return Err(EndpointError::Empty);
    }
    let allowed = |character: &char| {
        character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '\u{300}'..='\u{36f}')
    };
    match host.chars().find(|character| !allowed(character)) {
        None => Ok(()),
        Some(character) => Err(EndpointError::Character {
            text: text.to_owned(),
            character,
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(input: &str, host: &str, port: u16) {
        let endpoint: Endpoint = input.parse().unwrap();
        assert_eq!(
            endpoint,
            Endpoint {
                host: host.to_owned(),
                port
            },
            "{input}"
        );
        assert_eq!(
            endpoint.to_string().parse::<Endpoint>().unwrap(),
            endpoint,
            "{input}"
        );
    }

    #[test]
    fn valid_addresses_are_parsed() {
        check("pve1", "pve1", 8006);
        check(" pve1.example.com:8007 ", "pve1.example.com", 8007);
        check("10.0.0.1", "10.0.0.1", 8006);
        check("10.0.0.1:443", "10.0.0.1", 443);
        check("[::1]", "::1", 8006);
        check("[2001:db8::1]:8443", "2001:db8::1", 8443);
        check("2001:db8::1", "2001:db8::1", 8006);
        check("node_1", "node_1", 8006);
        check("pve1 : 8007", "pve1", 8007);
        check("[fe80::1%eth0]", "fe80::1%eth0", 8006);
        check("[fe80::1%vmbr0.100]:443", "fe80::1%vmbr0.100", 443);
        check("fe80::1%2", "fe80::1%2", 8006);
        check("bücher.example", "xn--bcher-kva.example", 8006);
        check("BÜCHER.example:443", "xn--bcher-kva.example", 443);
        check("bu\u{308}cher.example", "xn--bcher-kva.example", 8006);
        check("xn--bcher-kva.example", "xn--bcher-kva.example", 8006);
    }

    #[test]
    fn errors_name_the_invalid_part() {
        for (input, part) in [
            ("", "empty host name"),
            (":8006", "empty host name"),
            ("pve1:", "invalid port ''"),
            ("pve1:0", "invalid port '0'"),
            ("pve1:65536", "invalid port '65536'"),
            ("pve1:+80", "invalid port '+80'"),
            ("https://pve1:8006", "without https://"),
            ("http://10.0.0.1:8006", "without http://"),
            ("https://pve1", "without https://"),
            ("https://pve1/", "write pve1 for port 8006, or pve1:443"),
            ("https://pve1:8006/#v1", "'https://pve1:8006':"),
            ("https://pve1:8006/#v1", "write pve1:8006"),
            ("https://[::1]/", "write [::1] for port 8006, or [::1]:443"),
            ("https://", "write pve1:8006"),
            ("pve1/path", "write pve1, without the path"),
            (
                "pve1:8006/api2/json?secret",
                "write pve1:8006, without the path",
            ),
            ("[fe80::1%]", "IPv6"),
            ("[fe80::1%a b]", "IPv6"),
            ("pve1%eth0", "invalid character '%'"),
            ("b\u{fc}cher\u{ff1a}8006", "\u{ff1a}"),
            ("\u{201c}pve1\u{201d}", "invalid character '\u{201c}'"),
            ("xn--a\u{fc}.example", "international domain name"),
            ("[::1", "IPv6"),
            ("[::1]x", "IPv6"),
            ("[pve1]", "IPv6"),
            ("a b", "invalid character ' '"),
        ] {
            let message = input.parse::<Endpoint>().unwrap_err().to_string();
            assert!(message.contains(part), "{input}: {message}");
        }
    }

    #[test]
    fn lists_keep_their_order_without_repeated_hosts() {
        let list: HostList = "b, a:8007,b:8006,[::1]".parse().unwrap();
        assert_eq!(list.to_string(), "b:8006,a:8007,[::1]:8006");
        for (text, hosts) in [("a,,b", "a:8006,b:8006"), (",a: 8007 , ", "a:8007")] {
            assert_eq!(text.parse::<HostList>().unwrap().to_string(), hosts);
        }
        for text in ["", " ", ",", " , ,"] {
            assert_eq!(text.parse::<HostList>(), Err(EndpointError::Empty));
        }
    }

    proptest! {
        #[test]
        fn a_parsed_address_can_be_printed_and_parsed_again(text in ".{0,40}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse::<Endpoint>().unwrap(), endpoint);
            }
        }
    }
}
