// SPDX-License-Identifier: GPL-3.0-only
//! A node's tasks (`PVE/API2/Tasks.pm`).

use serde_json::{Value, json};

use crate::clock::{utc, whole};
use crate::release::Release;
use crate::tasks::{Task, Upid};
use crate::world::World;

use super::{Args, Failure, Reply, check_privileges, parameter_error};

/// PVE's default number of entries or lines.
const DEFAULT_LIMIT: u64 = 50;
/// Delay of the response while a worker is being stopped.
const STOP_MILLISECONDS: f64 = 1_000.0;

/// `GET /nodes/{node}/tasks`.
pub(super) fn list(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let node = args.node();
    let source = args.text("source");
    let (active, archive) = match source.as_deref() {
        Some("active") => (true, false),
        Some("all") => (true, true),
        Some(_) | None => (false, true),
    };
    // The name as given, even if it is `localhost`.
    let path = format!("/nodes/{}", args.in_path("node"));
    let auditor = world.allows(args.who, &path, "Sys.Audit");
    let filter = Filter::new(args, auditor);
    let start = args.number("start").unwrap_or(0);
    let limit = args.number("limit").unwrap_or(DEFAULT_LIMIT);
    let running = world.tasks.active(&node).filter(|_| active);
    let finished = world.tasks.finished(&node).filter(|_| archive);
    let mut total: usize = 0;
    let mut entries = Vec::new();
    for task in running.chain(finished).filter(|task| filter.matches(task)) {
        total += 1;
        let number = u64::try_from(total).unwrap_or(u64::MAX);
        if number > start && number - start <= limit {
            entries.push(entry(task));
        }
    }
    Ok(Reply::new(&entries).with_total(total))
}

/// `GET …/status`.
pub(super) fn status(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let upid = parse(args)?;
    let task = find(world, args)?;
    check_owner(world, args, &upid, "Sys.Audit")?;
    let mut entry = parts(&upid);
    entry["status"] = json!(if task.ended.is_some() {
        "stopped"
    } else {
        "running"
    });
    if let Some(exit) = &task.exitstatus {
        entry["exitstatus"] = json!(exit);
    }
    Ok(Reply::new(&entry))
}

/// `GET …/log`. For an unknown task PVE returns one line instead of an error; up to PVE 8 the line
/// is not in a list.
pub(super) fn log(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let upid = parse(args)?;
    check_owner(world, args, &upid, "Sys.Audit")?;
    let Ok(task) = find(world, args) else {
        let line = json!({ "n": 1, "t": "unable to open file - No such file or directory" });
        return Ok(match world.release {
            Release::V8 => Reply::new(&line).with_total(1),
            Release::V9 => Reply::new(&[line]).with_total(1),
        });
    };
    let lines = task.full_log();
    if args.flag("download") {
        return download(args, task, &lines);
    }
    let start = args.number("start").unwrap_or(0);
    // Here 0 means no limit.
    let limit = args.number("limit").unwrap_or(DEFAULT_LIMIT);
    let entries: Vec<Value> = (1_u64..)
        .zip(&lines)
        .skip_while(|(number, _)| *number <= start)
        .take_while(|(number, _)| limit == 0 || *number - start <= limit)
        .map(|(number, line)| json!({ "n": number, "t": line }))
        .collect();
    if lines.is_empty() {
        // PVE adds this line because its web interface cannot display empty lists.
        return Ok(Reply::new(&[json!({ "n": 1, "t": "no content" })]).with_total(1));
    }
    Ok(Reply::new(&entries).with_total(lines.len()))
}

/// Returns the log as a file.
fn download(args: &Args<'_>, task: &Task, lines: &[String]) -> Result<Reply, Failure> {
    if args.params.contains_key("start") || args.params.contains_key("limit") {
        let text = "'download' cannot be used together with 'start' or 'limit' parameters";
        return Err(Failure::Died(text.to_owned()));
    }
    let Upid {
        node,
        kind,
        starttime,
        ..
    } = &task.upid;
    let name = format!("task-{node}-{kind}-{}.log", utc(*starttime));
    Ok(Reply::file(name, lines.join("\n") + "\n"))
}

/// `DELETE /nodes/{node}/tasks/{upid}`: stops a task; a finished task is not an error.
pub(super) fn stop(world: &mut World, args: &Args<'_>) -> Result<Reply, Failure> {
    let upid = parse(args)?;
    let running = find(world, args)?.ended.is_none();
    check_owner(world, args, &upid, "Sys.Modify")?;
    let mut reply = Reply::null();
    if running {
        world.interrupt_task(&args.in_path("upid"));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a scaled second is small and never negative"
        )]
        let pause = (STOP_MILLISECONDS * world.timing.delays) as u32;
        reply.pause_milliseconds = pause;
    }
    Ok(reply)
}

/// The filter of a task list.
struct Filter {
    who: Option<String>,
    vmid: Option<String>,
    kind: Option<String>,
    user: Option<String>,
    errors: bool,
    since: Option<u64>,
    until: Option<u64>,
    statuses: Option<Vec<String>>,
}

impl Filter {
    fn new(args: &Args<'_>, auditor: bool) -> Self {
        let parse_list = |text: String| {
            let list = text.split([',', ';', ' ']).filter(|name| !name.is_empty());
            list.map(str::to_lowercase).collect()
        };
        let given = |name: &str| args.text(name).filter(|text| !text.is_empty());
        let errors = args.flag("errors");
        Self {
            who: (!auditor).then(|| args.who.to_owned()),
            vmid: given("vmid"),
            kind: given("typefilter"),
            user: given("userfilter").map(|text| text.to_lowercase()),
            errors,
            since: args.number("since"),
            until: args.number("until"),
            // With `errors`, PVE ignores it.
            statuses: args
                .text("statusfilter")
                .filter(|_| !errors)
                .map(parse_list),
        }
    }

    fn matches(&self, task: &Task) -> bool {
        let upid = &task.upid;
        let started = u64::try_from(upid.starttime).unwrap_or(0);
        let exit = task.exitstatus.as_deref();
        // PVE's file of running tasks stores the full token ID; its archive stores the user.
        let user = match task.ended {
            Some(_) => upid.user_and_token().0,
            None => &upid.user,
        };
        let own = |who: &String| match task.ended {
            Some(_) => upid.belongs_to(who),
            None => upid.user == *who,
        };
        let matches = |statuses: &Vec<String>| {
            let name = exit.map_or("unknown", status_name);
            statuses.iter().any(|status| status == name)
        };
        self.who.as_ref().is_none_or(own)
            && self.vmid.as_ref().is_none_or(|vmid| upid.id == *vmid)
            && self.kind.as_ref().is_none_or(|kind| upid.kind == *kind)
            && self
                .user
                .as_ref()
                .is_none_or(|filter| user.to_lowercase().contains(filter))
            && self.since.is_none_or(|since| started >= since)
            && self.until.is_none_or(|until| started <= until)
            && !(self.errors && exit == Some("OK"))
            && self.statuses.as_ref().is_none_or(matches)
    }
}

/// The values of `statusfilter` (`upid_normalize_status_type`).
fn status_name(exit: &str) -> &'static str {
    match exit {
        "OK" => "ok",
        "unexpected status" => "unknown",
        _ if exit.starts_with("WARNINGS: ") => "warning",
        _ => "error",
    }
}

fn parse(args: &Args<'_>) -> Result<Upid, Failure> {
    Upid::parse(&args.in_path("upid"))
        .ok_or_else(|| parameter_error("upid", "unable to parse worker upid"))
}

fn find<'a>(world: &'a World, args: &Args<'_>) -> Result<&'a Task, Failure> {
    let node = args.node();
    world
        .tasks
        .get(&args.in_path("upid"))
        .filter(|task| task.upid.node == node)
        .ok_or_else(|| parameter_error("upid", "no such task"))
}

fn check_owner(
    world: &World,
    args: &Args<'_>,
    upid: &Upid,
    privilege: &str,
) -> Result<(), Failure> {
    if upid.belongs_to(args.who) {
        return Ok(());
    }
    let path = format!("/nodes/{}", args.in_path("node"));
    check_privileges(world, args.who, &path, &[privilege], false)
}

fn parts(upid: &Upid) -> Value {
    let (user, token) = upid.user_and_token();
    let mut entry = json!({
        "upid": upid.to_string(), "node": upid.node, "pid": upid.pid, "pstart": upid.pstart,
        "starttime": upid.starttime, "type": upid.kind, "id": upid.id, "user": user,
    });
    if let Some(token) = token {
        entry["tokenid"] = json!(token);
    }
    entry
}

fn entry(task: &Task) -> Value {
    let mut entry = parts(&task.upid);
    if let (Some(ended), Some(exit)) = (task.ended, &task.exitstatus) {
        entry["endtime"] = json!(whole(ended));
        entry["status"] = json!(exit);
        return entry;
    }
    // PVE's file of running tasks stores the full token ID.
    entry["status"] = json!("RUNNING");
    entry["saved"] = json!("0");
    entry["user"] = json!(task.upid.user);
    if let Value::Object(members) = &mut entry {
        members.remove("tokenid");
    }
    entry
}
