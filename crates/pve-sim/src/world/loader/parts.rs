// SPDX-License-Identifier: GPL-3.0-only
//! Builds nodes, storages, pools and permissions from their entries in the world file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::access::{Access, Grant, Secret, Token, roles};
use crate::release::Release;
use crate::world::storage::{Storage, Usage, has_volume_chains};
use crate::world::{Node, Pool, Reachability};

use super::file::{AclFile, CredentialsFile, NodeFile, PoolFile, StorageFile, TokenFile, UserFile};

impl NodeFile {
    pub(super) fn build(&self) -> Node {
        let reason = self
            .proxying_gives
            .as_deref()
            .unwrap_or("595 No route to host");
        let reason = reason.strip_prefix("595 ").unwrap_or(reason);
        let reach = if self.online {
            Reachability::Online
        } else {
            Reachability::Offline(reason.to_owned())
        };
        Node {
            name: self.name.clone(),
            id: self.nodeid,
            ip: self.ip.clone(),
            reach,
            before_silence: None,
            last_broadcast: None,
            fingerprint: String::new(),
            slowness: self.slowness,
            clock_offset: self.clock_offset,
            task_slots: self.task_slots,
            processors: self.processors,
            memory: self.memory,
        }
    }
}

impl StorageFile {
    pub(super) fn build(mut self) -> (String, Storage) {
        let mut options = self.options();
        if self.storage == "local" {
            let keep = options.entry("prune-backups".to_owned());
            keep.or_insert_with(|| "keep-all=1".to_owned());
        }
        let total = self.total.unwrap_or(256 << 30);
        let storage = Storage {
            snapshot_formats: self.snapshots.unwrap_or_else(|| {
                Storage::default_snapshot_formats(&self.kind, has_volume_chains(&options))
            }),
            id: self.storage.clone(),
            kind: self.kind,
            content: self.content,
            shared: self.shared,
            disabled: self.disable,
            nodes: self.nodes,
            unreachable_from: BTreeSet::new(),
            options,
            usage: Usage {
                total,
                used: self.used.unwrap_or(total / 10),
            },
            usage_by_node: self
                .usage
                .into_iter()
                .map(|(node, usage)| {
                    (
                        node,
                        Usage {
                            total: usage.total,
                            used: usage.used,
                        },
                    )
                })
                .collect(),
        };
        (self.storage, storage)
    }
}

impl StorageFile {
    /// The `storage.cfg` options that the simulator only lists.
    fn options(&mut self) -> BTreeMap<String, String> {
        let path = self.path.take().map(Value::from);
        let members = [
            ("path", path),
            ("is_mountpoint", self.is_mountpoint.take()),
            ("mountpoint", self.mountpoint.take()),
            ("server", self.server.take()),
            ("export", self.export.take()),
            ("share", self.share.take()),
            ("pool", self.pool.take()),
            ("vgname", self.vgname.take()),
            ("thinpool", self.thinpool.take()),
            ("datastore", self.datastore.take()),
            ("username", self.username.take()),
            ("monhost", self.monhost.take()),
            ("krbd", self.krbd.take()),
            ("sparse", self.sparse.take()),
            ("portal", self.portal.take()),
            ("target", self.target.take()),
            ("prune-backups", self.prune_backups.take()),
            (
                "snapshot-as-volume-chain",
                self.snapshot_as_volume_chain.take(),
            ),
        ];
        let text = |value: &Value| crate::schema::perl_text(value).into_owned();
        members
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), text(&value?))))
            .collect()
    }
}

impl PoolFile {
    pub(super) fn build(self) -> (String, Pool) {
        let pool = Pool {
            comment: self.comment,
            guests: self.guests,
            storages: self.storages,
        };
        (self.poolid, pool)
    }
}

/// Builds users with their secrets, roles and grants.
pub(super) fn access(
    release: Release,
    users: Vec<UserFile>,
    tokens: Vec<TokenFile>,
    own_roles: BTreeMap<String, Vec<String>>,
    acl: Vec<AclFile>,
    credentials: &CredentialsFile,
) -> Access {
    let hidden = |from: &BTreeMap<String, String>, name: &str| from.get(name).map(Secret::new);
    let mut access = Access {
        roles: roles::predefined(release),
        ..Access::default()
    };
    access.roles.extend(own_roles);
    for user in users {
        let entry = access.users.entry(user.userid.clone()).or_default();
        entry.disabled = user.enable == 0;
        entry.expires = user.expire;
        entry.comment = user.comment;
        entry.password = hidden(&credentials.passwords, &user.userid);
        entry.totp = hidden(&credentials.totp, &user.userid);
    }
    for token in tokens {
        let Some((userid, name)) = crate::access::split_token(&token.tokenid) else {
            continue;
        };
        let built = Token {
            separated: token.privsep != 0,
            expires: token.expire,
            secret: hidden(&credentials.tokens, &token.tokenid),
        };
        let owner = access.users.entry(userid.to_owned()).or_default();
        owner.tokens.insert(name.to_owned(), built);
    }
    access.grants = acl
        .into_iter()
        .map(|line| Grant {
            path: line.path,
            who: line.who,
            role: line.role,
            propagate: line.propagate != 0,
        })
        .collect();
    access
}
