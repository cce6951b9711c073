// SPDX-License-Identifier: GPL-3.0-only
//! The output of `check`: text and JSON.
//!
//! The JSON has a separate wire type, version 1: keys may be added, never renamed.

mod messages;

use autosnap_core::guest::Vmid;
use serde::Serialize;

use super::fingerprint::describe;
use super::{Console, Lines};
use crate::args::JobOutput;
use crate::command_error::CommandError;
use crate::exit_status::ExitStatus;
use autosnap::check::Report;
use autosnap::check::finding::Finding;
use autosnap::check::login::Login;
use autosnap::check::reading::{ClusterReading, HostReading, HostState};
use autosnap::severity::Severity;

/// Prints a report to stdout.
pub fn print(console: &Console, report: &Report, output: JobOutput) -> Result<(), CommandError> {
    match output {
        JobOutput::Text => console.out(&text(report)),
        JobOutput::Json => console.json(&json(report, serde_json::to_string)?),
        JobOutput::JsonPretty => console.json(&json(report, serde_json::to_string_pretty)?),
    }
    Ok(())
}

fn text(report: &Report) -> Lines {
    let reading = &report.reading;
    let mut lines = Lines::default();
    for host in &reading.hosts {
        host_lines(host, &mut lines);
    }
    let cluster = reading.cluster.as_ref();
    lines.line(login_line(&reading.login, cluster));
    if let Some(cluster) = cluster {
        lines.line(cluster_line(cluster));
        lines.line("");
        for line in guest_lines(report, cluster) {
            lines.line(line);
        }
    }
    lines.line("");
    for finding in &report.findings {
        let weight = finding.severity().as_str().to_uppercase();
        lines.line(format_args!("{weight}: {}", messages::message(finding)));
        if let Some(hint) = messages::hint(finding) {
            lines.line(format_args!("    hint: {hint}"));
        }
        for command in messages::commands(finding) {
            lines.line(format_args!("    {command}"));
        }
    }
    let sums = [Severity::Problem, Severity::Warning, Severity::Note].map(|severity| {
        let (count, word) = (report.count(severity), severity.as_str());
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {word}{plural}")
    });
    lines.line(format_args!("Check: {}", sums.join(", ")));
    lines
}

fn host_lines(host: &HostReading, lines: &mut Lines) {
    let state = match &host.state {
        HostState::Ok {
            version,
            clock_lead,
        } => {
            let clock = clock_lead.map_or(String::new(), |lead| format!(", clock {lead:+} s"));
            format!("Proxmox VE {version}{clock}")
        }
        HostState::Unreachable(_) => "does not answer".to_owned(),
        HostState::Refused(_) => "refused".to_owned(),
    };
    lines.line(format_args!("Host {}: {state}", host.endpoint));
    if let Some(shown) = &host.certificate {
        let about = describe(shown);
        lines.line(format_args!("    certificate {}{about}", shown.fingerprint));
    }
}

fn login_line(login: &Login, cluster: Option<&ClusterReading>) -> String {
    let Some(token) = &login.token else {
        return format!("Login {}: user with password", login.user);
    };
    let separated = match cluster.and_then(|cluster| cluster.separated) {
        Some(true) => "privileges are separated from its user's",
        Some(false) => "has the privileges of its user",
        None => "PVE does not show whether its privileges are separated",
    };
    format!("Login {}!{token}: API token, {separated}", login.user)
}

fn cluster_line(cluster: &ClusterReading) -> String {
    let Some(status) = &cluster.status else {
        return "Cluster: quorum unknown; showing it requires Sys.Audit on /".to_owned();
    };
    let nodes = status.nodes.iter().map(|node| {
        let state = if node.online { "online" } else { "offline" };
        format!("{} {state}", node.name)
    });
    let nodes = nodes.collect::<Vec<_>>().join(", ");
    match (&status.name, status.quorate) {
        (Some(name), Some(true)) => format!("Cluster {name}: quorate; {nodes}"),
        (Some(name), _) => format!("Cluster {name}: no quorum; {nodes}"),
        (None, _) => format!("No cluster; {nodes}"),
    }
}

fn guest_lines(report: &Report, cluster: &ClusterReading) -> Vec<String> {
    let possible = match report.command {
        "clean" => "can be cleaned",
        _ => "can be snapshotted",
    };
    let mut ready = 0;
    let mut lines = Vec::new();
    for reading in &cluster.guests {
        let guest = reading.guest();
        let name = guest.name.as_deref().unwrap_or("-");
        let state = match obstacle(report, guest.vmid) {
            None => {
                ready += 1;
                possible.to_owned()
            }
            Some(Finding::Template(_)) => "skipped: template".to_owned(),
            Some(Finding::Unsupported { .. }) => "skipped: PVE cannot snapshot it".to_owned(),
            Some(Finding::Storage { .. }) => "not now: storage too full".to_owned(),
            Some(finding) => format!("not now: {}", finding.kind().replace('-', " ")),
        };
        let (vmid, kind, node) = (guest.vmid, guest.kind, &guest.node);
        lines.push(format!("    {vmid} {kind} {name} on {node}: {state}"));
    }
    lines.insert(
        0,
        format!(
            "Guests: {} visible, {} selected, {ready} {possible} now",
            cluster.inventory.guests.len(),
            cluster.dry_run.selected()
        ),
    );
    lines
}

/// The most severe finding that prevents a snapshot of a guest; the findings are sorted.
fn obstacle(report: &Report, vmid: Vmid) -> Option<&Finding> {
    let mut findings = report.findings.iter();
    findings.find(|finding| finding.prevents(vmid))
}

#[derive(Serialize)]
struct WireReport {
    version: u32,
    command: &'static str,
    exit_status: u8,
    ok: bool,
    login: String,
    token_separated: Option<bool>,
    hosts: Vec<WireHost>,
    quorate: Option<bool>,
    guests: Vec<WireGuest>,
    findings: Vec<WireFinding>,
}

#[derive(Serialize)]
struct WireHost {
    host: String,
    answers: bool,
    pve_version: Option<String>,
    clock_lead_seconds: Option<i64>,
    fingerprint: Option<String>,
    subject: Option<String>,
    valid_until: Option<i64>,
}

#[derive(Serialize)]
struct WireGuest {
    vmid: u32,
    kind: &'static str,
    node: String,
    name: Option<String>,
    ready: bool,
    obstacle: Option<&'static str>,
}

#[derive(Serialize)]
struct WireFinding {
    severity: &'static str,
    kind: &'static str,
    vmid: Option<u32>,
    message: String,
    hint: Option<String>,
    commands: Vec<String>,
}

fn json(
    report: &Report,
    write: fn(&WireReport) -> serde_json::Result<String>,
) -> Result<String, CommandError> {
    let reading = &report.reading;
    let cluster = reading.cluster.as_ref();
    let token = reading.login.token.as_ref();
    let wire = WireReport {
        version: 1,
        command: report.command,
        exit_status: ExitStatus::from(report.result()).code(),
        ok: cluster.is_some() && report.count(Severity::Problem) == 0,
        login: token.map_or(reading.login.user.clone(), |token| {
            format!("{}!{token}", reading.login.user)
        }),
        token_separated: cluster.and_then(|cluster| cluster.separated),
        hosts: reading.hosts.iter().map(wire_host).collect(),
        quorate: cluster.and_then(|cluster| cluster.status.as_ref()?.quorate),
        guests: cluster.map_or(Vec::new(), |cluster| wire_guests(report, cluster)),
        findings: report.findings.iter().map(wire_finding).collect(),
    };
    let text = write(&wire)
        .map_err(|error| CommandError::failure(format!("the report cannot be written: {error}")))?;
    Ok(text + "\n")
}

fn wire_host(host: &HostReading) -> WireHost {
    let (pve_version, clock_lead_seconds) = match &host.state {
        HostState::Ok {
            version,
            clock_lead,
        } => (Some(version.clone()), *clock_lead),
        HostState::Unreachable(_) | HostState::Refused(_) => (None, None),
    };
    let shown = host.certificate.as_ref();
    WireHost {
        host: host.endpoint.to_string(),
        answers: pve_version.is_some(),
        pve_version,
        clock_lead_seconds,
        fingerprint: shown.map(|shown| shown.fingerprint.to_string()),
        subject: shown.and_then(|shown| shown.subject.clone()),
        valid_until: shown.and_then(|shown| shown.not_after),
    }
}

fn wire_guests(report: &Report, cluster: &ClusterReading) -> Vec<WireGuest> {
    let guests = cluster.guests.iter().map(|reading| {
        let guest = reading.guest();
        let obstacle = obstacle(report, guest.vmid).map(Finding::kind);
        WireGuest {
            vmid: guest.vmid.get(),
            kind: guest.kind.as_str(),
            node: guest.node.clone(),
            name: guest.name.clone(),
            ready: obstacle.is_none(),
            obstacle,
        }
    });
    guests.collect()
}

fn wire_finding(finding: &Finding) -> WireFinding {
    WireFinding {
        severity: finding.severity().as_str(),
        kind: finding.kind(),
        vmid: finding.guest().map(|guest| guest.vmid.get()),
        message: messages::message(finding),
        hint: messages::hint(finding),
        commands: messages::commands(finding),
    }
}
