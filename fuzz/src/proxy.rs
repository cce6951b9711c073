// SPDX-License-Identifier: GPL-3.0-only
//! The proxy variables of the environment, and replies of a proxy.

use pve_client::Endpoint;
use pve_client::fuzzing::{proxy_for, proxy_reply};

/// A password that no other part of the input contains by chance.
const PASSWORD: &str = "uncommon-7f3a";

/// Parses three lines as `HTTPS_PROXY`, `NO_PROXY` and a host, and the whole input as a reply of a proxy.
pub fn run(input: &[u8]) {
    if let Some((status, phrase)) = proxy_reply(input) {
        assert!((0..1_000).contains(&status), "{status}");
        assert!(!phrase.contains('\n'), "{phrase:?}");
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut lines = text.split('\n');
    let [proxy, bypass, host] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let Ok(host) = host.parse::<Endpoint>() else {
        return;
    };
    assert_eq!(proxy_for(proxy, "*", &host), None);
    assert_eq!(proxy_for(proxy, &host.host, &host), None, "{host}");
    assert_eq!(proxy_for("", bypass, &host), None);
    for proxy in [proxy.to_owned(), format!("http://user:{PASSWORD}@{proxy}")] {
        match proxy_for(&proxy, bypass, &host) {
            None => {}
            Some(Err(text)) => assert!(!text.contains(PASSWORD), "{text}"),
            Some(Ok((shown, request))) => {
                assert!(!shown.contains(PASSWORD), "{shown}");
                // Line breaks in the variables must not add headers or a second request.
                assert_eq!(request.find("\r\n\r\n"), Some(request.len() - 4));
                assert!(
                    (3..=4).contains(&request.matches("\r\n").count()),
                    "{request:?}"
                );
                assert!(request.starts_with("CONNECT "), "{request:?}");
            }
        }
    }
}
