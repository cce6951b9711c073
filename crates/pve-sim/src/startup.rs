// SPDX-License-Identifier: GPL-3.0-only
//! Output of `pve-sim serve` at startup: addresses, fingerprint, logins and an example command.
//!
//! Programs parse the lines up to `fingerprint` and may stop reading there, so all other lines
//! follow it.

use std::path::Path;

use serde_json::Value;

use pve_sim::simulator::Simulator;

/// Source of the users' secrets.
pub(crate) enum Secrets<'a> {
    /// The user's credentials file; its secrets are not printed.
    InFile(&'a Path),
    /// The public secrets of a generated cluster.
    Public(&'a Value),
}

/// The lines printed by `serve`, each with a newline.
pub(crate) fn lines(simulator: &Simulator, secrets: &Secrets<'_>) -> String {
    let mut lines = Vec::new();
    for address in simulator.addresses() {
        lines.push(format!("listening on https://{address}"));
    }
    for (node, address) in simulator.node_addresses() {
        lines.push(format!("node {node} listening on https://{address}"));
    }
    lines.push(format!("fingerprint {}", simulator.fingerprint()));
    lines.extend(logins(simulator, secrets));
    lines.push(example_command(simulator, secrets));
    lines.join("\n") + "\n"
}

/// One line for each user and each token.
fn logins(simulator: &Simulator, secrets: &Secrets<'_>) -> Vec<String> {
    simulator.world(|world| {
        let mut lines = Vec::new();
        for (userid, user) in &world.access.users {
            let secret = match (&user.password, secrets) {
                (None, _) => "without password".to_owned(),
                (Some(_), Secrets::Public(all)) => {
                    format!("password {}", secret_of(all, "passwords", userid))
                }
                (Some(_), Secrets::InFile(file)) => format!("password in {}", file.display()),
            };
            let totp = if user.totp.is_some() { ", TOTP" } else { "" };
            let disabled = if user.disabled { ", disabled" } else { "" };
            lines.push(format!("user {userid} {secret}{totp}{disabled}"));
            for (name, token) in &user.tokens {
                let tokenid = format!("{userid}!{name}");
                let secret = match (&token.secret, secrets) {
                    (None, _) => "without secret".to_owned(),
                    (Some(_), Secrets::Public(all)) => {
                        format!("secret {}", secret_of(all, "tokens", &tokenid))
                    }
                    (Some(_), Secrets::InFile(file)) => format!("secret in {}", file.display()),
                };
                let separated = if token.separated {
                    ", own permissions"
                } else {
                    ""
                };
                lines.push(format!("token {tokenid} {secret}{separated}"));
            }
        }
        lines
    })
}

/// A curl command that lists the guests, with the last token that has all permissions of its user.
fn example_command(simulator: &Simulator, secrets: &Secrets<'_>) -> String {
    let url = format!("{}/api2/json", simulator.url());
    let token = simulator.world(|world| {
        let users = world.access.users.iter().rev();
        let mut tokens = users
            .filter(|(_, user)| !user.disabled)
            .flat_map(|(userid, user)| {
                let usable = user.tokens.iter().filter(|(_, token)| {
                    token.secret.is_some() && !token.separated && token.expires == 0
                });
                usable.map(move |(name, _)| format!("{userid}!{name}"))
            });
        tokens.next()
    });
    let Some(token) = token else {
        return format!(
            "example curl -k -d username=USER -d password=PASSWORD {url}/access/ticket"
        );
    };
    let secret = match secrets {
        Secrets::InFile(_) => "SECRET",
        Secrets::Public(all) => secret_of(all, "tokens", &token),
    };
    format!(
        "example curl -k -H 'Authorization: PVEAPIToken={token}={secret}' '{url}/cluster/resources?type=vm'"
    )
}

fn secret_of<'a>(all: &'a Value, list: &str, name: &str) -> &'a str {
    all[list][name].as_str().unwrap_or_default()
}
