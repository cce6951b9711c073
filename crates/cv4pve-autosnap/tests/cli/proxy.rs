// SPDX-License-Identifier: GPL-3.0-only
//! An HTTP proxy between the program and the cluster, and unusual spellings of hosts.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::harness::{Lab, Output, TOKEN, UnusedPort};
use crate::world::{World, vm};

const CONNECTED: &str = "HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n";

/// A proxy that sends the same reply to every request, and after 200 forwards everything to the
/// cluster.
struct Proxy {
    address: String,
    /// Everything that the program has sent, including the requests.
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Proxy {
    fn start(cluster: String, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let received = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&received);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (cluster, received) = (cluster.clone(), Arc::clone(&shared));
                let socket = socket.unwrap();
                // The proxy ignores clients that disconnect early.
                std::thread::spawn(move || serve(socket, &cluster, answer, &received));
            }
        });
        Self { address, received }
    }

    /// The `CONNECT` requests.
    fn requests(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        let heads = received.iter().map(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            text.split("\r\n\r\n").next().unwrap().to_owned()
        });
        heads.collect()
    }

    fn has_received(&self, secret: &str) -> bool {
        let received = self.received.lock().unwrap();
        received.iter().any(|bytes| {
            let mut parts = bytes.windows(secret.len());
            parts.any(|part| part == secret.as_bytes())
        })
    }
}

fn serve(
    mut socket: TcpStream,
    cluster: &str,
    answer: &str,
    received: &Mutex<Vec<Vec<u8>>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let index = {
        let mut received = received.lock().unwrap();
        received.push(head);
        received.len() - 1
    };
    socket.write_all(answer.as_bytes())?;
    if answer != CONNECTED {
        return Ok(());
    }
    let mut target = TcpStream::connect(cluster)?;
    let (mut back_from, mut back_to) = (target.try_clone()?, socket.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut back_from, &mut back_to);
        let _ = back_to.shutdown(Shutdown::Write);
    });
    let mut bytes = [0; 4096];
    loop {
        let count = socket.read(&mut bytes)?;
        if count == 0 {
            return target.shutdown(Shutdown::Write);
        }
        received.lock().unwrap()[index].extend(&bytes[..count]);
        target.write_all(&bytes[..count])?;
    }
}

fn lab() -> Lab {
    Lab::new(&World::new([vm(100, "web01").taken("daily", &[1, 2])]))
}

/// A name that only the proxy resolves, different in each test process: runs with the same label
/// and host wait for each other, also runs of other test processes.
fn host() -> String {
    format!("pve{}.example", std::process::id())
}

fn call(lab: &Lab, variables: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = lab.command();
    command.args(args).envs(variables.iter().copied());
    lab.finish(command)
}

const SNAP: [&str; 5] = [
    "--api-token=file:token",
    "--vmid=100",
    "snap",
    "--label=daily",
    "--keep=1",
];

fn snap(lab: &Lab, host: &str, variables: &[(&str, &str)], options: &[&str]) -> Output {
    let host = format!("--host={host}");
    let args: Vec<&str> = [host.as_str()]
        .into_iter()
        .chain(SNAP)
        .chain(options.iter().copied())
        .collect();
    call(lab, variables, &args)
}

/// The proxy of the environment receives its login and nothing else, and the certificate of the
/// host is verified.
#[test]
fn a_proxy_does_not_receive_the_login_of_the_cluster() {
    let lab = lab();
    let proxy = Proxy::start(lab.host(), CONNECTED);
    let url = format!("http://pedro:p%40ss-word@{}/", proxy.address);
    let variables = [("HTTPS_PROXY", url.as_str())];
    let right = format!("--fingerprint={}", lab.simulator.fingerprint());
    let output = snap(&lab, &host(), &variables, &["--debug", &right]);
    output.assert_status(0);
    assert_eq!(lab.changes().len(), 3);
    let login = STANDARD.encode("pedro:p@ss-word");
    let expected = format!(
        "CONNECT {host}:8006 HTTP/1.1\r\nHost: {host}:8006\r\nProxy-Authorization: Basic {login}",
        host = host()
    );
    let requests = proxy.requests();
    assert!(
        !requests.is_empty() && requests.iter().all(|request| *request == expected),
        "{requests:?}"
    );
    let secret = TOKEN.rsplit('=').next().unwrap();
    for text in [TOKEN, secret, "PVEAPIToken", "/api2/json"] {
        assert!(!proxy.has_received(text), "{text}");
    }
    for text in [login.as_str(), "p@ss-word", "p%40ss-word", secret] {
        output.assert_not_printed(text);
    }
    let wrong = format!("--fingerprint={}00", "00:".repeat(31));
    snap(&lab, &host(), &variables, &[&wrong])
        .assert_status(3)
        .assert_err("its fingerprint is not one of the trusted fingerprints");
}

/// The variables have the same precedence as in .NET, also for loopback addresses.
#[test]
fn the_variables_have_the_precedence_of_dotnet() {
    let lab = lab();
    let proxy = Proxy::start(lab.host(), CONNECTED);
    let unused = format!("http://{}", UnusedPort::new().address());
    let names = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    for (index, name) in names.into_iter().enumerate() {
        // The variables before it are empty, and those after it name a closed port.
        let variables: Vec<(&str, &str)> = names
            .into_iter()
            .enumerate()
            .map(|(other, variable)| match other {
                _ if other < index => (variable, " "),
                _ if other == index => (variable, proxy.address.as_str()),
                _ => (variable, unused.as_str()),
            })
            .chain([("http_proxy", unused.as_str())])
            .collect();
        let host = format!("--host={}", lab.host());
        call(&lab, &variables, &[&host, "fingerprint"]).assert_status(0);
        assert_eq!(proxy.requests().len(), index + 1, "{name}");
    }
}

/// Hosts in `NO_PROXY`, and all hosts with `--no-proxy`, are connected to directly, by each
/// command.
#[test]
fn hosts_without_a_proxy_are_connected_to_directly() {
    let lab = lab();
    let unused = UnusedPort::new();
    let proxy = ("HTTPS_PROXY", unused.address());
    let host = format!("--host={}", lab.host());
    for (direct, variables, option) in [
        (true, [("NO_PROXY", "127.0.0.1"), ("", "")], None),
        (true, [("NO_PROXY", "pve9, 127.0.0.1 ,"), ("", "")], None),
        (true, [("NO_PROXY", ".0.0.1"), ("", "")], None),
        (true, [("NO_PROXY", "*"), ("", "")], None),
        (
            true,
            [("no_proxy", "127.0.0.1"), ("NO_PROXY", "pve9")],
            None,
        ),
        (true, [("", ""), ("", "")], Some("--no-proxy")),
        (
            false,
            [("no_proxy", "pve9"), ("NO_PROXY", "127.0.0.1")],
            None,
        ),
        (false, [("NO_PROXY", "127.0.0"), ("", "")], None),
        (false, [("NO_PROXY", "7.0.0.1"), ("", "")], None),
        (false, [("NO_PROXY", ".27.0.0.1"), ("", "")], None),
        (false, [("", ""), ("", "")], None),
    ] {
        let variables: Vec<(&str, &str)> = [(proxy.0, proxy.1.as_str())]
            .into_iter()
            .chain(variables)
            .filter(|(name, _)| !name.is_empty())
            .collect();
        let login = ["--api-token=file:token", "--vmid=100"];
        for (args, has_login) in [
            (["fingerprint"].as_slice(), false),
            (&["status"], true),
            (&["check", "--label=daily", "--keep=9"], true),
            (&["snap", "--label=daily", "--keep=9", "--dry-run"], true),
        ] {
            let args: Vec<&str> = [host.as_str()]
                .into_iter()
                .chain(option)
                .chain(login.into_iter().filter(|_| has_login))
                .chain(args.iter().copied())
                .collect();
            let output = call(&lab, &variables, &args);
            let refused = output.to_string().contains(
                "the proxy 127.0.0.1:<port> (HTTPS_PROXY) cannot be reached: connection refused",
            );
            assert_eq!(refused, !direct, "{variables:?} {args:?}\n{output}");
            assert_eq!(
                output.status == 0,
                direct,
                "{variables:?} {args:?}\n{output}"
            );
        }
    }
}

/// The message about a failed proxy names its variable and a remedy, without the proxy's login.
#[test]
fn a_proxy_that_does_not_connect_is_reported() {
    let lab = lab();
    for (answer, login, expected) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
            "",
            "requires a login (407 Proxy Authentication Required); write http://USER:PASSWORD@HOST:PORT in the variable",
        ),
        (
            "HTTP/1.1 407 pedro:secret-word is wrong\r\n\r\n",
            "pedro:secret-word@",
            "rejected its user and password (407 *** is wrong); correct them in the variable",
        ),
        (
            "HTTP/1.0 403 Forbidden for secret-word\r\n\r\n",
            "pedro:secret-word@",
            "refused to connect (403 Forbidden for ***); many proxies allow only port 443",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\n\r\n",
            "",
            "cannot connect to the host (502 Bad Gateway)",
        ),
        (
            "HTTP/1.1 503\r\n\r\n",
            "",
            "cannot connect to the host (503)",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "", "is not an HTTP proxy"),
        ("HTTP/1.1 200", "", "closed the connection without a reply"),
    ] {
        let proxy = Proxy::start(lab.host(), answer);
        let url = format!("http://{login}{}", proxy.address);
        let variables = [("all_proxy", url.as_str())];
        let expected = format!("the proxy 127.0.0.1:<port> (all_proxy) {expected}");
        let host = format!("--host={}", host());
        let run = snap(&lab, &self::host(), &variables, &[]);
        run.assert_status(3)
            .assert_err(&expected)
            .assert_not_printed("secret-word");
        for args in [
            [host.as_str(), "fingerprint"].as_slice(),
            &[&host, "--api-token=file:token", "check"],
        ] {
            let output = call(&lab, &variables, args);
            output.assert_status(3).assert_not_printed("secret-word");
            assert!(output.to_string().contains(&expected), "{output}");
        }
    }
    lab.assert_unchanged();
}

/// A proxy of another kind is refused, unless the host needs no proxy.
#[test]
fn unsupported_kinds_of_proxies_are_refused() {
    let lab = lab();
    for (value, kind) in [
        ("socks5://pedro:secret-word@10.0.0.1:1080", "socks5"),
        ("https://10.0.0.1:3128", "https"),
    ] {
        snap(&lab, &lab.host(), &[("HTTPS_PROXY", value)], &[])
            .assert_status(2)
            .assert_err(&format!(
                "ERROR: unsupported proxy {kind}:// in HTTPS_PROXY: expected http://HOST:PORT"
            ))
            .assert_not_printed("secret-word");
        let variables = [("HTTPS_PROXY", value), ("NO_PROXY", "127.0.0.1")];
        snap(&lab, &lab.host(), &variables, &["--dry-run"]).assert_status(0);
    }
}

/// The cluster of the demo runs inside the program; the demo does not use a proxy.
#[test]
fn the_demo_needs_no_proxy() {
    let unused = UnusedPort::new();
    let demo = call(&lab(), &[("HTTPS_PROXY", &unused.address())], &["demo"]);
    demo.assert_status(0).assert_not_printed("(exit status 3)");
}

/// A name with letters outside of ASCII is converted to IDNA; an invalid host is explained.
#[test]
fn unusual_spellings_of_hosts_are_converted_or_explained() {
    let lab = lab();
    let proxy = Proxy::start(lab.host(), CONNECTED);
    let variables = [("HTTPS_PROXY", proxy.address.as_str())];
    for (typed, requested) in [
        ("bücher.example", "xn--bcher-kva.example:8006"),
        ("BÜCHER.example : 443", "xn--bcher-kva.example:443"),
        ("[fe80::1%eth0]:8007", "[fe80::1]:8007"),
    ] {
        let host = format!("--host={typed}");
        call(&lab, &variables, &[&host, "fingerprint"]).assert_status(0);
        let requests = proxy.requests();
        let last = requests.last().unwrap();
        assert!(
            last.starts_with(&format!("CONNECT {requested} HTTP/1.1")),
            "{last}"
        );
    }
    for (typed, expected) in [
        (
            "pve1:8006/api2/json",
            "invalid host 'pve1:8006/…': write pve1:8006, without the path",
        ),
        (
            "https://pve1/",
            "invalid host 'https://pve1': write pve1 for port 8006, or pve1:443, without https://",
        ),
        ("https://pve1:8006/#v1", "write pve1:8006, without https://"),
        ("pve1%eth0", "invalid character '%' in host 'pve1%eth0'"),
    ] {
        snap(&lab, typed, &[], &[])
            .assert_status(2)
            .assert_err(expected);
    }
    lab.assert_unchanged();
}

/// A connection to an address with a zone uses that zone.
#[test]
fn an_address_may_have_a_zone() {
    // Without IPv6 on this machine the test does nothing.
    let Ok(free) = TcpListener::bind("[::1]:0") else {
        return;
    };
    let address = free.local_addr().unwrap();
    drop(free);
    let lab = Lab::with(pve_sim::simulator::Options {
        listen: vec![address],
        ..pve_sim::simulator::Options::new(
            World::new([vm(100, "web01").taken("daily", &[1, 2])]).to_json(),
            crate::world::credentials(),
        )
    });
    let host = format!("[::1%1]:{}", address.port());
    snap(&lab, &host, &[], &[]).assert_status(0);
    assert_eq!(lab.changes().len(), 3);
}
