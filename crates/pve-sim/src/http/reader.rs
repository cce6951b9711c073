// SPDX-License-Identifier: GPL-3.0-only
//! Reads requests line by line, with the limits of `push_request_header` and `unshift_read_header`
//! in `PVE/APIServer/AnyEvent.pm`.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// PVE closes a connection after this idle time.
pub(super) const IDLE: Duration = Duration::from_secs(5);
/// Number of header lines, including the empty one, that PVE rejects.
const TOO_MANY_LINES: usize = 64;
/// Number of header bytes that PVE rejects.
const TOO_MANY_BYTES: usize = 8 * 1024;

/// Method, target and headers of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    /// The minor version in `HTTP/1.x`.
    pub(super) minor: u32,
    pub(super) headers: Vec<(String, String)>,
}

/// Why no request could be read.
#[derive(Debug)]
pub(super) enum HeadError {
    /// The client closed the connection or was idle for too long.
    Ended,
    /// PVE ignores the request; the connection is closed when it is idle for too long.
    Silent,
    /// PVE responds with this status, text and HTTP version.
    Refused {
        status: u16,
        text: String,
        minor: u32,
    },
}

impl From<io::Error> for HeadError {
    fn from(_: io::Error) -> Self {
        Self::Ended
    }
}

impl Head {
    /// The first header with this name, like `HTTP::Headers`.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The declared length of the body.
    pub(super) fn content_length(&self) -> usize {
        self.header("Content-Length")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    }
}

/// A stream with a read buffer.
pub(super) struct Reader<S> {
    pub(super) stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Reads the next request, up to the empty line.
    pub(super) async fn head(&mut self) -> Result<Head, HeadError> {
        let line = loop {
            let line = self.line().await?;
            if !line.is_empty() {
                break line;
            }
        };
        let Some((method, target, major, minor)) = request_line(&line) else {
            return Err(HeadError::Refused {
                status: 400,
                text: "bad request".to_owned(),
                minor: 0,
            });
        };
        if major != 1 {
            let text = format!("http protocol version {major}.{minor} not supported");
            return Err(HeadError::Refused {
                status: 506,
                text,
                minor: 0,
            });
        }
        let headers = self.headers(minor).await?;
        Ok(Head {
            method,
            target,
            minor,
            headers,
        })
    }

    async fn headers(&mut self, minor: u32) -> Result<Vec<(String, String)>, HeadError> {
        let mut headers: Vec<(String, String)> = Vec::new();
        let (mut lines, mut bytes) = (0, 0);
        loop {
            let line = self.line().await?;
            lines += 1;
            bytes += line.len();
            if lines >= TOO_MANY_LINES || bytes >= TOO_MANY_BYTES {
                return Err(HeadError::Silent);
            }
            if line.is_empty() {
                return Ok(headers);
            }
            match (header_line(&line), headers.last_mut()) {
                (Some(header), _) => headers.push(header),
                (None, Some((_, value))) if line.starts_with([' ', '\t']) => {
                    value.push(' ');
                    value.push_str(line.trim_start());
                }
                (None, _) => {
                    let text = "unable to parse request header".to_owned();
                    return Err(HeadError::Refused {
                        status: 506,
                        text,
                        minor,
                    });
                }
            }
        }
    }

    /// Reads exactly `length` bytes.
    pub(super) async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads and discards all data until the client closes the connection or is idle for too long.
    pub(super) async fn drain(&mut self) {
        while self.fill().await.is_ok() {
            self.buffer.clear();
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let end = loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            self.fill().await?;
        };
        let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    async fn fill(&mut self) -> io::Result<()> {
        match timeout(IDLE, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Parses `GET /path HTTP/1.1` anywhere in the line.
fn request_line(line: &str) -> Option<(String, String, u32, u32)> {
    let (before, version) = line.split_once(" HTTP/")?;
    let (before, target) = before.rsplit_once(' ')?;
    let method = before.rsplit([' ', '\t']).next()?;
    let (major, minor) = version.split_once('.')?;
    let digits = minor
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(minor.len());
    if method.is_empty() || target.is_empty() {
        return None;
    }
    Some((
        method.to_owned(),
        target.to_owned(),
        major.parse().ok()?,
        minor[..digits].parse().ok()?,
    ))
}

/// Parses `Name: value`; trailing spaces belong to the value.
fn header_line(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end();
    let plain = !name.is_empty() && !name.contains(char::is_whitespace);
    plain.then(|| (name.to_owned(), value.trim_start().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Head, HeadError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime
            .expect("a runtime")
            .block_on(Reader::new(text.as_bytes()).head())
    }

    #[test]
    fn a_request_is_parsed() {
        let head =
            read("\r\nGET /api2 HTTP/1.1\r\nA:  b c \r\n d\r\nHost: h\r\n\r\n").expect("a head");
        assert_eq!(
            (head.method.as_str(), head.target.as_str(), head.minor),
            ("GET", "/api2", 1)
        );
        assert_eq!(head.header("a"), Some("b c  d"));
        assert_eq!(head.content_length(), 0);
    }

    #[test]
    fn invalid_requests_are_rejected_and_excessive_ones_ignored() {
        assert!(matches!(
            read("HELLO\r\n\r\n"),
            Err(HeadError::Refused {
                status: 400,
                minor: 0,
                ..
            })
        ));
        assert!(matches!(
            read("GET / HTTP/1.1\r\nnonsense\r\n\r\n"),
            Err(HeadError::Refused { status: 506, .. })
        ));
        let many = "X: y\r\n".repeat(70);
        assert!(matches!(
            read(&format!("GET / HTTP/1.1\r\n{many}\r\n")),
            Err(HeadError::Silent)
        ));
        let long = "y".repeat(9000);
        assert!(matches!(
            read(&format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n")),
            Err(HeadError::Silent)
        ));
        assert!(matches!(read(""), Err(HeadError::Ended)));
    }
}
