// SPDX-License-Identifier: GPL-3.0-only
//! Pool lookups for permission checks.

use crate::access::permission::Pools;

use super::World;

impl Pools for World {
    fn pools_of(&self, path: &str) -> Vec<&str> {
        if let Some(vmid) = path.strip_prefix("/vms/") {
            let guest = vmid
                .parse()
                .ok()
                .and_then(|vmid: u32| self.guests.get(&vmid));
            return guest
                .and_then(|guest| guest.pool.as_deref())
                .into_iter()
                .collect();
        }
        let Some(storage) = path.strip_prefix("/storage/") else {
            return Vec::new();
        };
        self.pools
            .iter()
            .filter(|(_, pool)| pool.storages.contains(storage))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    fn member_paths(&self) -> Vec<String> {
        self.pools
            .values()
            .flat_map(|pool| {
                let guests = pool.guests.iter().map(|vmid| format!("/vms/{vmid}"));
                let storages = pool.storages.iter().map(|id| format!("/storage/{id}"));
                guests.chain(storages)
            })
            .collect()
    }
}
