// SPDX-License-Identifier: GPL-3.0-only
//! A raw HTTPS server for tests. It speaks bytes, not HTTP: a test says for each request exactly
//! what is written and when the connection ends, which no HTTP library would allow.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pve_client::{ApiToken, ClientOptions, Credentials, Endpoint, Fingerprint, Trust};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The secret of [`token`]; must never be seen in an error or a log.
pub(crate) const SECRET: &str = "12345678-abcd-ef01-2345-6789abcdef01";

/// One request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// The first connection is 0.
    pub(crate) connection: usize,
    /// Method and target.
    pub(crate) line: String,
    /// The rest of the head.
    pub(crate) headers: String,
    /// The body.
    pub(crate) body: String,
}

/// What the server does with a request.
pub(crate) enum Reaction {
    /// Writes this and waits for the next request.
    Answer(Vec<u8>),
    /// Writes this, perhaps half an answer, and closes.
    Close(Vec<u8>),
    /// Writes this and never anything again.
    Hang(Vec<u8>),
}

/// What has happened to a server so far.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    closed: AtomicUsize,
    requests: Mutex<Vec<Received>>,
}

/// A running server; its tasks end with the test's runtime.
pub(crate) struct Server {
    endpoint: Endpoint,
    identity: Identity,
    seen: Arc<Seen>,
    listener: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts a server that asks `react` about each request.
    pub(crate) async fn start(
        react: impl Fn(&Received) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        Self::start_at("127.0.0.1:0", react).await
    }

    /// Starts a server at a given address.
    pub(crate) async fn start_at(
        address: &str,
        react: impl Fn(&Received) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        Self::start_as(&Identity::new(), address, react).await
    }

    /// Starts a server with a given certificate, such as that of one stopped before.
    pub(crate) async fn start_as(
        identity: &Identity,
        address: &str,
        react: impl Fn(&Received) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::clone(&identity.config));
        let seen = Arc::new(Seen::default());
        let (shared, react) = (Arc::clone(&seen), Arc::new(react));
        let listener = tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                let (seen, react) = (Arc::clone(&shared), Arc::clone(&react));
                serving.spawn(async move {
                    if let Ok(stream) = acceptor.accept(socket).await {
                        serve(stream, &seen, &*react).await;
                    }
                });
            }
        });
        let endpoint = Endpoint {
            host: "127.0.0.1".into(),
            port,
        };
        Self {
            endpoint,
            identity: identity.clone(),
            seen,
            listener,
        }
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Its certificate and key.
    pub(crate) fn identity(&self) -> Identity {
        self.identity.clone()
    }

    /// The fingerprint of its certificate.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint
    }

    /// Its certificate in PEM form.
    pub(crate) fn certificate(&self) -> &str {
        &self.identity.certificate
    }

    /// How many connections got through the TLS handshake.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Runs a server on a thread of its own, so that it goes on while the test's thread is busy.
    pub(crate) fn start_apart(
        react: impl Fn(&Received) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap().block_on(async {
                sender.send(Self::start(react).await).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().unwrap()
    }

    /// How many connections the server has closed.
    pub(crate) fn closed(&self) -> usize {
        self.seen.closed.load(Ordering::SeqCst)
    }

    /// All requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// The requests whose line starts so.
    pub(crate) fn count(&self, start: &str) -> usize {
        self.received()
            .iter()
            .filter(|request| request.line.starts_with(start))
            .count()
    }

    /// Ends the server and all its connections.
    pub(crate) async fn stop(self) -> Endpoint {
        self.listener.abort();
        let _ = self.listener.await;
        self.endpoint
    }
}

/// Reads requests and does what the test says.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    seen: &Seen,
    react: &(dyn Fn(&Received) -> Reaction + Send + Sync),
) {
    let connection = seen.connections.fetch_add(1, Ordering::SeqCst);
    while let Some(request) = receive(&mut stream, connection).await {
        seen.requests.lock().unwrap().push(request.clone());
        let (bytes, goes_on) = match react(&request) {
            Reaction::Answer(bytes) => (bytes, true),
            Reaction::Close(bytes) => (bytes, false),
            Reaction::Hang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
                return std::future::pending().await;
            }
        };
        let _ = stream.write_all(&bytes).await;
        let _ = stream.flush().await;
        if !goes_on {
            let _ = stream.shutdown().await;
            seen.closed.fetch_add(1, Ordering::SeqCst);
            return;
        }
    }
}

async fn receive<S: AsyncRead + Unpin>(stream: &mut S, connection: usize) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        if let Some(position) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..position].to_vec()).unwrap();
            let length = content_length(&head);
            let mut body = bytes.split_off(position + 4);
            while body.len() < length {
                body.push(stream.read_u8().await.ok()?);
            }
            let (line, headers) = head.split_once("\r\n").unwrap();
            let line = line.trim_end_matches(" HTTP/1.1").replace("/api2/json", "");
            return Some(Received {
                connection,
                line,
                headers: headers.to_owned(),
                body: String::from_utf8(body).unwrap(),
            });
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

fn content_length(head: &str) -> usize {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap())
}

/// A self-signed certificate with its key.
#[derive(Clone)]
pub(crate) struct Identity {
    config: Arc<ServerConfig>,
    fingerprint: Fingerprint,
    certificate: String,
}

impl Identity {
    fn new() -> Self {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self {
            config: Arc::new(config),
            fingerprint: Fingerprint::from_certificate(made.cert.der()),
            certificate: made.cert.pem(),
        }
    }
}

/// An answer of pveproxy itself: it keeps the connection open and says so.
pub(crate) fn answer(json: &str) -> Vec<u8> {
    with_head("200 OK", &["Connection: Keep-Alive"], json)
}

/// An answer pveproxy passes on from pvedaemon: `close` first, then `Keep-Alive`.
pub(crate) fn proxied_answer(json: &str) -> Vec<u8> {
    with_head(
        "200 OK",
        &["Connection: close", "Connection: Keep-Alive"],
        json,
    )
}

/// A refusal as PVE words it: the text in the reason phrase, the connection closed afterwards.
pub(crate) fn refusal(status_and_phrase: &str) -> Reaction {
    Reaction::Close(with_head(
        status_and_phrase,
        &["Connection: close"],
        r#"{"data":null}"#,
    ))
}

/// Any answer with a JSON body.
pub(crate) fn with_head(status_and_phrase: &str, headers: &[&str], json: &str) -> Vec<u8> {
    let headers: Vec<String> = headers
        .iter()
        .map(|header| format!("{header}\r\n"))
        .collect();
    format!(
        "HTTP/1.1 {status_and_phrase}\r\nCache-Control: max-age=0\r\n{}\
         Content-Type: application/json;charset=UTF-8\r\nContent-Length: {}\r\n\r\n{json}",
        headers.concat(),
        json.len()
    )
    .into_bytes()
}

/// The answer to `GET /version`, nothing for other requests.
pub(crate) fn version(request: &Received) -> Option<Reaction> {
    let json = r#"{"data":{"version":"8.4.21","release":"8.4","repoid":"2606ac850d46da29"}}"#;
    (request.line == "GET /version").then(|| Reaction::Answer(answer(json)))
}

/// A token PVE would take.
pub(crate) fn token() -> Credentials {
    Credentials::Token(ApiToken::parse(&format!("backup@pve!auto={SECRET}")).unwrap())
}

/// A password PVE would take.
pub(crate) fn password() -> Credentials {
    Credentials::Password {
        username: "backup@pve".into(),
        password: "hunter2 &ä".into(),
    }
}

/// Options with pauses of a millisecond; an answer may take as long as a busy machine needs.
pub(crate) fn options(endpoints: Vec<Endpoint>, credentials: Credentials) -> ClientOptions {
    crate::log::install();
    let mut options = ClientOptions::new(endpoints, credentials, Trust::AcceptAny);
    options.request_timeout = Duration::from_secs(20);
    options.repeat_pauses = vec![Duration::from_millis(1); 3];
    options
}

/// The same, for servers that never answer.
pub(crate) fn hasty_options(endpoints: Vec<Endpoint>, credentials: Credentials) -> ClientOptions {
    let mut options = options(endpoints, credentials);
    options.request_timeout = Duration::from_millis(150);
    options
}

/// An address of this machine where nobody listens.
pub(crate) async fn dead_endpoint() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    Endpoint {
        host: "127.0.0.1".into(),
        port,
    }
}
