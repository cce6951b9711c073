// SPDX-License-Identifier: GPL-3.0-only
//! Logins and the caller's own permissions (`PVE/API2/AccessControl.pm`).

use serde_json::{Value, json};

use crate::access::{split_token, totp};
use crate::world::World;

use super::{Args, Failure, Reply, check_privileges, split_list};

/// `GET /access/ticket`: an empty response for everyone.
pub(super) fn get_ticket(_: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    Ok(Reply::null())
}

/// `POST /access/ticket`: all failures have the same response.
pub(super) fn create_ticket(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let userid = match args.text("realm") {
        Some(realm) => format!("{}@{realm}", args.in_path("username")),
        None => args.in_path("username"),
    };
    let refused = || Failure::Unauthorized("authentication failure".to_owned());
    if let Some(path) = args.text("path") {
        // Only checks a permission (`verify_auth`): no login.
        log_in(world, args, &userid).ok_or_else(refused)?;
        let privileges = args.text("privs").unwrap_or_default();
        let mut names = split_list(&privileges);
        if !names.all(|name| world.allows(&userid, &path, name)) {
            return Err(refused());
        }
        let cap = world.access.capabilities(world, &userid);
        return Ok(Reply::new(&json!({ "username": userid, "cap": cap })));
    }
    match log_in(world, args, &userid) {
        Some(LoginResult::Completely) => Ok(Reply::new(&ticket(world, &userid))),
        Some(LoginResult::SecondFactorMissing) => Ok(Reply::new(&challenge(world, &userid))),
        None => Err(refused()),
    }
}

/// `GET /access/permissions`.
pub(super) fn permissions(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let who = match args.text("userid") {
        Some(other) if other != args.who && !is_token_of(&other, args.who) => {
            check_privileges(world, args.who, "/access", &["Sys.Audit"], false)?;
            other
        }
        Some(own) => own,
        None => args.who.to_owned(),
    };
    let numbers = |flags: std::collections::BTreeMap<String, bool>| -> Value {
        flags
            .into_iter()
            .map(|(name, flag)| (name, json!(u8::from(flag))))
            .collect()
    };
    let found: Value = match args.text("path").filter(|path| !path.is_empty()) {
        Some(path) => {
            let own = world.access.permissions(world, &who, &path);
            json!({ path: numbers(own) })
        }
        None => world
            .access
            .effective(world, &who)
            .into_iter()
            .map(|(path, flags)| (path, numbers(flags)))
            .collect(),
    };
    Ok(Reply::new(&found))
}

fn is_token_of(full: &str, userid: &str) -> bool {
    split_token(full).is_some_and(|(owner, _)| owner == userid)
}

enum LoginResult {
    Completely,
    SecondFactorMissing,
}

fn log_in(world: &World, args: &Args<'_>, userid: &str) -> Option<LoginResult> {
    let now = world.now();
    let user = world.access.active_user(userid, now)?;
    let password = args.in_path("password");
    if let Some(challenge) = args.text("tfa-challenge") {
        let code = password.strip_prefix("totp:")?;
        let secret = user.totp.as_ref()?;
        let valid = world.signer.verify_challenge(&challenge, userid, now)
            && totp::verify(secret.reveal(), code, now);
        return valid.then_some(LoginResult::Completely);
    }
    // A ticket instead of the password renews it, even with a second factor.
    if password.starts_with("PVE:") {
        let owner = world.signer.verify(&password, now)?;
        return (owner == userid).then_some(LoginResult::Completely);
    }
    if !user.password.as_ref()?.matches(&password) {
        return None;
    }
    match (&user.totp, args.text("otp")) {
        (None, _) => Some(LoginResult::Completely),
        (Some(_), None) => Some(LoginResult::SecondFactorMissing),
        (Some(secret), Some(code)) => {
            totp::verify(secret.reveal(), &code, now).then_some(LoginResult::Completely)
        }
    }
}

fn ticket(world: &World, userid: &str) -> Value {
    let mut reply = challenge(world, userid);
    if let Value::Object(members) = &mut reply {
        members.remove("NeedTFA");
    }
    reply["ticket"] = json!(world.signer.ticket(userid, world.now()));
    reply["cap"] = json!(world.access.capabilities(world, userid));
    reply
}

fn challenge(world: &World, userid: &str) -> Value {
    let now = world.now();
    let mut reply = json!({
        "username": userid, "NeedTFA": 1,
        "ticket": world.signer.challenge(userid, now),
        "CSRFPreventionToken": world.signer.csrf(userid, now),
    });
    if let Some(name) = &world.cluster_name
        && world.allows(userid, "/", "Sys.Audit")
    {
        reply["clustername"] = json!(name);
    }
    reply
}
