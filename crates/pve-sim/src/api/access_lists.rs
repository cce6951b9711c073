// SPDX-License-Identifier: GPL-3.0-only
//! Users, roles, the access control list and realms (`PVE/API2/User.pm`, `Role.pm`, `ACL.pm`,
//! `Domains.pm`, `TFA.pm`). Entries that the caller may not see are omitted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::access::permission::ROOT;
use crate::access::{User, roles, split_token};
use crate::world::World;

use super::{Args, Failure, Reply};

/// `GET /access/users`: all users for auditors; otherwise only the caller.
pub(super) fn users(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let all = may_see_users(world, args.who);
    let root = User::default();
    let mut users: BTreeMap<&str, &User> = BTreeMap::from([(ROOT, &root)]);
    let own = world.access.users.iter();
    users.extend(own.map(|(userid, user)| (userid.as_str(), user)));
    let unfiltered = args.text("enabled").is_none();
    let entries: Vec<Value> = users
        .into_iter()
        .filter(|(userid, _)| all || *userid == args.who)
        .filter(|(_, user)| unfiltered || args.flag("enabled") != user.disabled)
        .map(|(userid, user)| user_entry(userid, user, args.flag("full")))
        .collect();
    Ok(Reply::new(&entries))
}

fn user_entry(userid: &str, user: &User, full: bool) -> Value {
    let realm = userid.rsplit_once('@').map_or("", |(_, realm)| realm);
    let mut entry = json!({
        "userid": userid, "enable": u8::from(!user.disabled), "expire": user.expires,
        "realm-type": realm,
    });
    if let Some(comment) = &user.comment {
        entry["comment"] = json!(comment);
        entry["email"] = json!("");
    }
    if user.totp.is_some() {
        entry["keys"] = json!("x");
    }
    if full {
        let tokens = user.tokens.iter().map(|(name, token)| {
            json!({ "tokenid": name, "privsep": u8::from(token.separated), "expire": token.expires })
        });
        entry["groups"] = json!("");
        entry["tokens"] = tokens.collect();
    }
    entry
}

/// `GET /access/users/{userid}/token/{tokenid}`: for the user and for `User.Modify`; a token does
/// not count as its user.
pub(super) fn token(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let userid = args.text("userid").unwrap_or_default();
    let name = args.text("tokenid").unwrap_or_default();
    if args.who != userid && !world.allows(args.who, "/access/groups", "User.Modify") {
        return Err(Failure::forbidden("/access/groups, User.Modify"));
    }
    let user = world.access.users.get(&userid);
    let token = user.and_then(|user| user.tokens.get(&name));
    let token = token
        .ok_or_else(|| Failure::Died(format!("no such token '{name}' for user '{userid}'")))?;
    Ok(Reply::new(
        &json!({ "privsep": u8::from(token.separated), "expire": token.expires }),
    ))
}

fn may_see_users(world: &World, who: &str) -> bool {
    ["User.Modify", "Sys.Audit"]
        .iter()
        .any(|privilege| world.allows(who, "/access/groups", privilege))
}

/// `GET /access/roles`: all roles for every user.
pub(super) fn all_roles(world: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    let predefined = roles::predefined(world.release);
    let entries: Vec<Value> = world
        .access
        .roles
        .iter()
        .map(|(name, privileges)| {
            let mut privileges = privileges.clone();
            privileges.sort();
            json!({
                "roleid": name, "privs": privileges.join(","),
                "special": u8::from(predefined.contains_key(name)),
            })
        })
        .collect();
    Ok(Reply::new(&entries))
}

/// `GET /access/groups`: empty.
pub(super) fn groups(_: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    Ok(Reply::new(&json!([])))
}

/// `GET /access/acl`: all entries for auditors; otherwise those whose path the caller may modify.
pub(super) fn acl(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let auditor = world.allows(args.who, "/access", "Sys.Audit");
    let may_give = |path: &str| {
        let own = match path {
            _ if path.starts_with("/storage/") => "Datastore.Allocate",
            _ if path.starts_with("/vms/") => "VM.Allocate",
            _ if path.starts_with("/pool/") => "Pool.Allocate",
            _ => "Permissions.Modify",
        };
        ["Permissions.Modify", own]
            .iter()
            .any(|privilege| world.allows(args.who, path, privilege))
    };
    let entries: Vec<Value> = world
        .access
        .grants
        .iter()
        .filter(|grant| auditor || may_give(&grant.path))
        .map(|grant| {
            let kind = if split_token(&grant.who).is_some() {
                "token"
            } else {
                "user"
            };
            json!({
                "path": grant.path, "roleid": grant.role, "ugid": grant.who, "type": kind,
                "propagate": u8::from(grant.propagate),
            })
        })
        .collect();
    Ok(Reply::new(&entries))
}

/// `GET /access/domains`: no login required.
pub(super) fn domains(_: &mut World, _: &Args<'_>) -> Result<Reply, Failure> {
    Ok(Reply::new(&json!([
        { "realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication" },
        { "realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server" },
    ])))
}

/// `GET /access/tfa`: users with a second factor.
pub(super) fn second_factors(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let all = may_see_users(world, args.who);
    let created = crate::clock::whole(world.clock.start()) - 86_400;
    let entries: Vec<Value> = world
        .access
        .users
        .iter()
        .filter(|(userid, user)| user.totp.is_some() && (all || *userid == args.who))
        .map(|(userid, _)| {
            let entry = json!({
                "id": "47d1d128-e7d2-48eb-aecf-8801ee1a8c82", "type": "totp", "description": "x",
                "created": created,
            });
            json!({ "userid": userid, "entries": [entry] })
        })
        .collect();
    Ok(Reply::new(&entries))
}
