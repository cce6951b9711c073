// SPDX-License-Identifier: GPL-3.0-only
//! A raw HTTPS server for tests. A test defines for each request which bytes are written and when the
//! connection ends, which no HTTP library allows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pve_client::{ApiToken, ClientOptions, Credentials, Endpoint, Fingerprint, Trust};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The secret of [`token`]; must never occur in an error or a log.
pub(crate) const SECRET: &str = "12345678-abcd-ef01-2345-6789abcdef01";

/// One request as it was received.
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
    Reply(Vec<u8>),
    /// Writes this, perhaps a part of a reply, and closes.
    Close(Vec<u8>),
    /// Writes this and nothing after it.
    Hang(Vec<u8>),
}

/// The history of a server.
#[derive(Default)]
struct History {
    connections: AtomicUsize,
    closed: AtomicUsize,
    requests: Mutex<Vec<Received>>,
}

/// A running server; its tasks end with the test's runtime.
pub(crate) struct Server {
    endpoint: Endpoint,
    identity: Identity,
    history: Arc<History>,
    listener: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts a server that calls `react` for each request.
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

    /// Starts a server with a given certificate, such as that of a stopped server.
    pub(crate) async fn start_as(
        identity: &Identity,
        address: &str,
        react: impl Fn(&Received) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::clone(&identity.config));
        let history = Arc::new(History::default());
        let (shared, react) = (Arc::clone(&history), Arc::new(react));
        let listener = tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                let (history, react) = (Arc::clone(&shared), Arc::clone(&react));
                serving.spawn(async move {
                    if let Ok(stream) = acceptor.accept(socket).await {
                        serve(stream, &history, &*react).await;
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
            history,
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
        self.history.connections.load(Ordering::SeqCst)
    }

    /// Runs a server on its own thread, so that it works while the test's thread is busy.
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
        self.history.closed.load(Ordering::SeqCst)
    }

    /// All requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.history.requests.lock().unwrap().clone()
    }

    /// The number of requests whose line starts with this text.
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

/// Reads requests and does what the test defines.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    history: &History,
    react: &(dyn Fn(&Received) -> Reaction + Send + Sync),
) {
    let connection = history.connections.fetch_add(1, Ordering::SeqCst);
    while let Some(request) = receive(&mut stream, connection).await {
        history.requests.lock().unwrap().push(request.clone());
        let (bytes, goes_on) = match react(&request) {
            Reaction::Reply(bytes) => (bytes, true),
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
            history.closed.fetch_add(1, Ordering::SeqCst);
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
        let certificate = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(
            certificate.signing_key.serialize_der(),
        ));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], key)
            .unwrap();
        Self {
            config: Arc::new(config),
            fingerprint: Fingerprint::from_certificate(certificate.cert.der()),
            certificate: certificate.cert.pem(),
        }
    }
}

/// A reply of pveproxy itself, which keeps the connection open.
pub(crate) fn reply(json: &str) -> Vec<u8> {
    with_head("200 OK", &["Connection: Keep-Alive"], json)
}

/// A reply that pveproxy forwards from pvedaemon: `close` first, then `Keep-Alive`.
pub(crate) fn proxied_reply(json: &str) -> Vec<u8> {
    with_head(
        "200 OK",
        &["Connection: close", "Connection: Keep-Alive"],
        json,
    )
}

/// An error of PVE: the text is in the reason phrase, and the connection is closed.
pub(crate) fn refusal(status_and_phrase: &str) -> Reaction {
    Reaction::Close(with_head(
        status_and_phrase,
        &["Connection: close"],
        r#"{"data":null}"#,
    ))
}

/// A reply with a JSON body.
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

/// The reply to `GET /version`; `None` for other requests.
pub(crate) fn version(request: &Received) -> Option<Reaction> {
    let json = r#"{"data":{"version":"8.4.21","release":"8.4","repoid":"2606ac850d46da29"}}"#;
    (request.line == "GET /version").then(|| Reaction::Reply(reply(json)))
}

/// A valid token.
pub(crate) fn token() -> Credentials {
    Credentials::Token(ApiToken::parse(&format!("backup@pve!auto={SECRET}")).unwrap())
}

/// A valid user with its password.
pub(crate) fn password() -> Credentials {
    Credentials::Password {
        username: "backup@pve".into(),
        password: "hunter2 &ä".into(),
    }
}

/// Options with pauses of one millisecond and a timeout that is long enough for a busy machine.
pub(crate) fn options(endpoints: Vec<Endpoint>, credentials: Credentials) -> ClientOptions {
    crate::captured_log::install();
    let mut options = ClientOptions::new(endpoints, credentials, Trust::AcceptAny);
    options.request_timeout = Duration::from_secs(20);
    options.retry_pauses = vec![Duration::from_millis(1); 3];
    options
}

/// Options with a short timeout, for servers that do not reply.
pub(crate) fn short_timeout_options(
    endpoints: Vec<Endpoint>,
    credentials: Credentials,
) -> ClientOptions {
    let mut options = options(endpoints, credentials);
    options.request_timeout = Duration::from_millis(150);
    options
}

/// An address of this machine without a server.
pub(crate) async fn unused_endpoint() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    Endpoint {
        host: "127.0.0.1".into(),
        port,
    }
}
