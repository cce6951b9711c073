// SPDX-License-Identifier: GPL-3.0-only
//! Authentication of requests (`auth_handler` in `PVE/HTTPServer.pm`, `extract_auth_value` in
//! `PVE/APIServer/Formatter.pm`).

use crate::world::World;

use super::params::decode_percent;
use super::reader::Head;

/// The reason phrase of the 401 response.
pub(super) type Unauthenticated = &'static str;

const FAILED: Unauthenticated = "Authentication failed!";

/// Returns the user or token of a request; `None` if the path is public. Both the node that
/// receives the request and the node that it is forwarded to authenticate, each by its own clock.
pub(super) fn authenticate(
    world: &World,
    node: &str,
    head: &Head,
    path: &str,
) -> Result<Option<String>, Unauthenticated> {
    let user = authenticate_at(world, node, head, path)?;
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match (parts.next(), parts.next()) {
        (Some("nodes"), Some(other)) if other != node => authenticate_at(world, other, head, path),
        _ => Ok(user),
    }
}

/// A cookie takes precedence over an API token, even if the cookie is invalid.
fn authenticate_at(
    world: &World,
    node: &str,
    head: &Head,
    path: &str,
) -> Result<Option<String>, Unauthenticated> {
    if is_public(&head.method, path) {
        return Ok(None);
    }
    let authorization = head.header("Authorization").unwrap_or_default();
    let cookie = head.header("Cookie").unwrap_or_default();
    let ticket =
        value_of(cookie, "PVEAuthCookie").or_else(|| value_of(authorization, "PVEAuthCookie"));
    let now = world.node_time(node, world.now());
    let Some(ticket) = ticket else {
        let token = value_of(authorization, "PVEAPIToken").ok_or("No ticket")?;
        let verified = world.access.verify_token(&token, now).map(str::to_owned);
        return verified.map(Some).ok_or(FAILED);
    };
    let userid = world
        .signer
        .verify(&ticket, now)
        .filter(|userid| world.access.active_user(userid, now).is_some())
        .ok_or(FAILED)?;
    if head.method != "GET" {
        let csrf = head.header("CSRFPreventionToken").unwrap_or_default();
        if !world.signer.verify_csrf(csrf, &userid, now) {
            return Err("Permission denied - invalid csrf token");
        }
    }
    Ok(Some(userid))
}

fn is_public(method: &str, path: &str) -> bool {
    match path {
        "/access/ticket" => matches!(method, "GET" | "POST"),
        "/access/domains" => method == "GET",
        _ => false,
    }
}

/// The value after `key=` or `key ` up to a semicolon, decoded; `None` if empty.
fn value_of(header: &str, key: &str) -> Option<String> {
    let start = header.match_indices(key).find_map(|(at, _)| {
        let begins = at == 0 || header[..at].ends_with(char::is_whitespace);
        let rest = &header[at + key.len()..];
        (begins && rest.starts_with(['=', ' '])).then_some(at + key.len() + 1)
    })?;
    let value = header[start..].split(';').next().unwrap_or_default();
    (!value.is_empty()).then(|| decode_percent(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_are_found_as_by_pve() {
        let of = |header: &str| value_of(header, "PVEAuthCookie");
        assert_eq!(of("a=b; PVEAuthCookie=x%3Ay; c=d").as_deref(), Some("x:y"));
        assert_eq!(of("PVEAuthCookie x").as_deref(), Some("x"));
        assert_eq!(of("PVEAuthCookie="), None);
        assert_eq!(of("XPVEAuthCookie=x"), None);
        assert_eq!(of("pveauthcookie=x"), None);
    }
}
