// SPDX-License-Identifier: GPL-3.0-only
//! Maps paths to functions. Paths that are in the schema but not here get the response for unknown
//! paths.

use super::{
    Handler, access, access_lists, cluster, config, content, datacenter, guests, ha, indexes,
    interfaces, node_state, nodes, pools, power, resources, schedules, snapshots, storages, tasks,
};

/// The function for a method and a path template.
pub(super) fn handler(method: &str, template: &str) -> Option<Handler> {
    match method {
        "GET" => get(template),
        "POST" => post(template),
        "PUT" => put(template),
        "DELETE" => delete(template),
        _ => None,
    }
}

fn get(template: &str) -> Option<Handler> {
    Some(match template {
        "/" => indexes::root,
        "/version" | "/nodes/{node}/version" => nodes::version,
        "/access" => indexes::access,
        "/access/ticket" => access::get_ticket,
        "/access/permissions" => access::permissions,
        "/access/users" => access_lists::users,
        "/access/users/{userid}/token/{tokenid}" => access_lists::token,
        "/access/roles" => access_lists::all_roles,
        "/access/groups" => access_lists::groups,
        "/access/acl" => access_lists::acl,
        "/access/domains" => access_lists::domains,
        "/access/tfa" => access_lists::second_factors,
        "/cluster" => indexes::cluster,
        "/cluster/resources" => resources::resources,
        "/cluster/status" => cluster::status,
        "/cluster/tasks" => cluster::tasks,
        "/cluster/options" => cluster::options,
        path if path.starts_with("/cluster/") => return cluster_path(path),
        "/nodes" => nodes::list,
        "/nodes/{node}" => indexes::node,
        "/nodes/{node}/status" => node_state::status,
        "/nodes/{node}/time" => node_state::time,
        "/nodes/{node}/subscription" => node_state::subscription,
        "/nodes/{node}/network" => node_state::network,
        "/nodes/{node}/replication" => datacenter::node_replication,
        path if path.ends_with("/rrddata") => datacenter::empty_list,
        "/nodes/{node}/storage" => storages::on_node,
        "/nodes/{node}/storage/{storage}/content" => content::list,
        "/nodes/{node}/storage/{storage}" => indexes::node_storage,
        "/nodes/{node}/storage/{storage}/status" => storages::status,
        "/storage" => storages::list,
        "/storage/{storage}" => storages::one,
        "/pools" => pools::list,
        "/pools/{poolid}" => pools::one,
        "/nodes/{node}/tasks" => tasks::list,
        "/nodes/{node}/tasks/{upid}" => indexes::task,
        "/nodes/{node}/tasks/{upid}/status" => tasks::status,
        "/nodes/{node}/tasks/{upid}/log" => tasks::log,
        "/nodes/{node}/qemu" | "/nodes/{node}/lxc" => guests::list,
        "/nodes/{node}/qemu/{vmid}" | "/nodes/{node}/lxc/{vmid}" => indexes::guest,
        "/nodes/{node}/qemu/{vmid}/status" | "/nodes/{node}/lxc/{vmid}/status" => {
            indexes::guest_status
        }
        "/nodes/{node}/qemu/{vmid}/status/current" | "/nodes/{node}/lxc/{vmid}/status/current" => {
            guests::current_status
        }
        "/nodes/{node}/qemu/{vmid}/config" | "/nodes/{node}/lxc/{vmid}/config" => config::get,
        "/nodes/{node}/qemu/{vmid}/pending" | "/nodes/{node}/lxc/{vmid}/pending" => config::pending,
        "/nodes/{node}/qemu/{vmid}/feature" | "/nodes/{node}/lxc/{vmid}/feature" => guests::feature,
        "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces" => interfaces::qemu,
        "/nodes/{node}/lxc/{vmid}/interfaces" => interfaces::lxc,
        "/nodes/{node}/qemu/{vmid}/snapshot" | "/nodes/{node}/lxc/{vmid}/snapshot" => {
            snapshots::list
        }
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}"
        | "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}" => indexes::snapshot,
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config"
        | "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config" => snapshots::config,
        _ => return None,
    })
}

fn cluster_path(template: &str) -> Option<Handler> {
    Some(match template {
        "/cluster/nextid" => datacenter::next_id,
        "/cluster/ha" => ha::index,
        "/cluster/ha/status" => ha::status_index,
        "/cluster/ha/status/current" => ha::status,
        "/cluster/ha/status/manager_status" => ha::manager_status,
        "/cluster/ha/groups" => ha::groups,
        "/cluster/ha/rules" => ha::rules,
        "/cluster/ha/resources"
        | "/cluster/backup"
        | "/cluster/log"
        | "/cluster/metrics/server" => datacenter::empty_list,
        "/cluster/backup-info" => datacenter::backup_info,
        "/cluster/backup-info/not-backed-up" => datacenter::not_backed_up,
        "/cluster/replication" => datacenter::replication,
        "/cluster/config/nodes" => datacenter::members,
        "/cluster/jobs" => schedules::index,
        "/cluster/jobs/schedule-analyze" => schedules::analyze,
        "/cluster/notifications/targets" => datacenter::notification_targets,
        "/cluster/notifications/matchers" => datacenter::notification_matchers,
        _ => return None,
    })
}

fn post(template: &str) -> Option<Handler> {
    Some(match template {
        "/access/ticket" => access::create_ticket,
        "/pools" => pools::create,
        "/nodes/{node}/qemu/{vmid}/snapshot" | "/nodes/{node}/lxc/{vmid}/snapshot" => {
            snapshots::create
        }
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback"
        | "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/rollback" => snapshots::rollback,
        "/nodes/{node}/qemu/{vmid}/config" => config::post,
        path if path.contains("/{vmid}/status/") => power::act,
        _ => return None,
    })
}

fn put(template: &str) -> Option<Handler> {
    Some(match template {
        "/pools" | "/pools/{poolid}" => pools::update,
        "/cluster/options" => cluster::set_options,
        "/nodes/{node}/qemu/{vmid}/config" | "/nodes/{node}/lxc/{vmid}/config" => config::put,
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config"
        | "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config" => snapshots::update,
        _ => return None,
    })
}

fn delete(template: &str) -> Option<Handler> {
    Some(match template {
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}"
        | "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}" => snapshots::delete,
        "/pools" | "/pools/{poolid}" => pools::delete,
        "/nodes/{node}/tasks/{upid}" => tasks::stop,
        _ => return None,
    })
}
