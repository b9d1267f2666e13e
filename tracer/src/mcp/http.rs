//! `--listen`: the transport over HTTP, for clients that know the token.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONNECTION, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};

use crate::base::diagnostic::Diagnostic;
use crate::mcp::guests::{Guest, Guests};
use crate::mcp::http_sessions::{HttpSessions, full};
use crate::mcp::limits::{CONNECTIONS, MESSAGE_BYTES, TOKEN_BYTES};
use crate::mcp::server::AssistantServer;

/// Bytes of a token that is made here.
const MADE_TOKEN: usize = 24;
/// Time for a client with the token to send the head of its next request.
const HEAD: Duration = Duration::from_secs(10);
/// Time until the next try, if a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// The path of the server.
const PATH: &str = "/mcp";

type AnswerBody = BoxBody<Bytes, Infallible>;

/// The address of the server and its token, before there is a session.
#[derive(Debug)]
pub struct HttpPlan {
    listener: TcpListener,
    address: SocketAddr,
    token: String,
    /// The token was made here, and nobody knows it yet.
    made: bool,
}

impl HttpPlan {
    /// Reserves the address. The token is the content of a file, or a new one.
    ///
    /// # Errors
    /// The address is not this machine's, or is in use; or the file cannot be read.
    pub fn bind(address: SocketAddr, token: Option<&Path>) -> Result<Self, Diagnostic> {
        let failed =
            |error: io::Error| Diagnostic::new(format!("cannot listen at {address}: {error}"));
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self {
            address: listener.local_addr().map_err(failed)?,
            listener,
            token: match token {
                Some(path) => read_token(path)?,
                None => made_token()
                    .map_err(|error| Diagnostic::new(format!("cannot make a token: {error}")))?,
            },
            made: token.is_none(),
        })
    }

    /// The URL of the server, with the token if it was made here.
    #[must_use]
    pub fn description(&self) -> String {
        let place = format!("http://{}{PATH}", self.address);
        match self.made {
            true => format!("listening at {place}, token {}", self.token),
            false => format!("listening at {place}"),
        }
    }

    /// Serves clients.
    pub(super) async fn serve(self, server: AssistantServer) -> io::Result<Infallible> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let config = StreamableHttpServerConfig::default()
            .with_max_request_body_bytes(MESSAGE_BYTES)
            // Of the pages in a browser, only those of this server have business here.
            .with_allowed_origins(own_origins(self.address.port()))
            .enforce_origin_validation();
        // The token keeps others away where names of this machine are not known.
        let config = match self.address.ip().is_loopback() {
            true => config,
            false => config.disable_allowed_hosts(),
        };
        let make = move || Ok(server.clone());
        let sessions = Arc::<HttpSessions>::default();
        let service = StreamableHttpService::new(make, Arc::clone(&sessions), config);
        let wanted: Arc<str> = format!("Bearer {}", self.token).into();
        let guests = Arc::<Guests>::default();
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "a client could not be accepted");
                    // Too many open files, for example.
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            };
            let (service, wanted) = (service.clone(), Arc::clone(&wanted));
            let sessions = Arc::clone(&sessions);
            let guest = guests.enter();
            tokio::spawn(async move {
                let answer = service_fn(|request| {
                    answer(&guest, request, service.clone(), &sessions, &wanted)
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD)
                    .serve_connection(TokioIo::new(stream), answer);
                tokio::select! {
                    () = guest.goes() => {}
                    ended = connection => if let Err(error) = ended {
                        tracing::debug!(%error, "a connection has failed");
                    },
                }
            });
        }
    }
}

/// The origins of pages that this server itself could have.
fn own_origins(port: u16) -> [String; 3] {
    ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("http://{host}:{port}"))
}

/// Answers a request of a client that knows the token.
async fn answer(
    guest: &Guest,
    request: Request<Incoming>,
    service: StreamableHttpService<AssistantServer, HttpSessions>,
    sessions: &HttpSessions,
    wanted: &str,
) -> Result<Response<AnswerBody>, Infallible> {
    let given = request.headers().get(AUTHORIZATION);
    let given = given.map(|given| given.as_bytes()).unwrap_or_default();
    if !is_equal(given, wanted.as_bytes()) {
        let mut refused = status(StatusCode::UNAUTHORIZED);
        let challenge = hyper::header::HeaderValue::from_static("Bearer");
        refused.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        return Ok(closing(refused));
    }
    if !guest.shows_token() {
        let why = format!("there are {CONNECTIONS} connections, which is the limit");
        return Ok(closing(refusal(StatusCode::SERVICE_UNAVAILABLE, why)));
    }
    if request.uri().path() != PATH {
        return Ok(status(StatusCode::NOT_FOUND));
    }
    let response = service.handle(request).await;
    // The only mistake of the server that a client can bring about.
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR && sessions.are_full().await {
        return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, full()));
    }
    Ok(response)
}

/// The last answer of its connection.
fn closing(mut response: Response<AnswerBody>) -> Response<AnswerBody> {
    let close = hyper::header::HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

fn refusal(status: StatusCode, why: String) -> Response<AnswerBody> {
    let mut response = Response::new(Full::new(Bytes::from(why)).boxed());
    *response.status_mut() = status;
    response
}

fn status(status: StatusCode) -> Response<AnswerBody> {
    let mut response = Response::new(Full::new(Bytes::new()).boxed());
    *response.status_mut() = status;
    response
}

/// Compares in a time that does not depend on the place of a difference.
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && differences == 0
}

fn made_token() -> io::Result<String> {
    let mut bytes = [0; MADE_TOKEN];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn read_token(path: &Path) -> Result<String, Diagnostic> {
    let failed = |why: &str| {
        Diagnostic::new(format!(
            "cannot read a token from `{}`: {why}",
            path.display()
        ))
    };
    let file = File::open(path).map_err(|error| failed(&error.to_string()))?;
    let mut text = String::new();
    file.take(TOKEN_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| failed(&error.to_string()))?;
    let token = text.trim();
    let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    match token.len() {
        16.. if is_plain => Ok(token.to_owned()),
        16.. => Err(failed("it has other characters than visible ASCII")),
        _ => Err(failed("it has less than 16 characters")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_of_a_file_is_long_and_plain() {
        let outside = tempfile::tempdir().expect("a directory");
        let path = outside.path().join("token");
        for (text, is_one) in [
            ("0123456789abcdef\n", true),
            ("0123456789abcde\n", false),
            ("0123456789 abcdef", false),
            ("", false),
        ] {
            std::fs::write(&path, text).expect("a file");
            assert_eq!(read_token(&path).is_ok(), is_one, "{text:?}");
        }
        assert!(read_token(&outside.path().join("missing")).is_err());
        let (one, other) = (made_token().expect("one"), made_token().expect("another"));
        assert!(one != other && one.len() == 32);
    }

    #[test]
    fn only_the_same_bytes_are_equal() {
        assert!(is_equal(b"abc", b"abc"));
        for other in [&b"abd"[..], b"ab", b"abcd", b""] {
            assert!(!is_equal(other, b"abc"));
        }
    }
}
