//! Clients over HTTP that ask for too much, or are none.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::build::c;
use crate::support::needs;
use crate::support::program::Program;
use crate::support::tracer::TRACER;

/// Time in which a client with the token is answered, whatever others do.
const SOON: Duration = Duration::from_secs(1);
/// Time in which a connection without the token is closed.
const CLOSED: Duration = Duration::from_secs(8);
/// Sessions of clients at a time.
const SESSIONS: usize = 64;

/// A server, and what a client needs to know.
struct Server {
    _target: Program,
    _server: Program,
    address: String,
    token: String,
}

/// An answer.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Server {
    fn start() -> Self {
        let target = Program::ready(&c("mcp-worker", "e2e_worker.c", &[]), &["0", "stay"]);
        let pid = target.pid().to_string();
        let server = Program::start(Path::new(TRACER), &["mcp", "--pid", &pid, "--listen", "0"]);
        let (address, token) = server.stderr.wait("the address", |lines| {
            let line = lines.first()?.strip_prefix("listening at http://")?;
            let (address, token) = line.split_once("/mcp, token ")?;
            Some((address.to_owned(), token.to_owned()))
        });
        Self {
            _target: target,
            _server: server,
            address,
            token,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(CLOSED)).expect("a time");
        stream
    }

    /// The head of a request, without its end.
    fn head(&self, method: &str, more: &[&str]) -> String {
        let host = &self.address;
        let more: String = more.iter().map(|line| format!("{line}\r\n")).collect();
        format!("{method} /mcp HTTP/1.1\r\nHost: {host}\r\n{more}")
    }

    /// Sends one request with these headers, and closes the connection.
    fn ask(&self, method: &str, more: &[&str], body: &Value) -> Answer {
        let mut stream = self.connect();
        let body = body.to_string();
        let types = "Content-Type: application/json\r\nAccept: application/json, text/event-stream";
        let length = format!("Content-Length: {}", body.len());
        let all = [&[types, &length, "Connection: close"], more].concat();
        let request = format!("{}\r\n{body}", self.head(method, &all));
        stream.write_all(request.as_bytes()).expect("it reads");
        answer(&mut stream)
    }

    fn authorized(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }

    fn initialize(&self, more: &[&str]) -> Answer {
        let params = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        let authorized = self.authorized();
        self.ask("POST", &[&[authorized.as_str()], more].concat(), &hello)
    }
}

/// Reads until the connection is closed.
#[track_caller]
fn answer(stream: &mut TcpStream) -> Answer {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).expect("an answer and an end");
    let text = String::from_utf8(text).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or(0),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

#[test]
fn sessions_are_limited_and_end_with_their_clients() {
    if !needs::kernel() {
        return;
    }
    let server = Server::start();
    let mut first = None;
    for number in 0..SESSIONS {
        let answer = server.initialize(&[]);
        assert_eq!(answer.status, 200, "session {number}: {}", answer.body);
        let id = answer.head.split("mcp-session-id: ").nth(1);
        first = first.or(id.and_then(|rest| rest.lines().next()).map(str::to_owned));
    }
    let beyond = server.initialize(&[]);
    assert_eq!(beyond.status, 503, "{}", beyond.body);
    assert!(
        beyond.body.contains("there are 64 sessions"),
        "{}",
        beyond.body
    );
    let id = format!("Mcp-Session-Id: {}", first.expect("a session has an id"));
    let ended = server.ask("DELETE", &[&server.authorized(), &id], &Value::Null);
    assert!(ended.status < 300, "{} {}", ended.status, ended.body);
    assert_eq!(server.initialize(&[]).status, 200);
}

#[test]
fn connections_without_the_token_are_in_nobodys_way() {
    if !needs::kernel() {
        return;
    }
    let server = Server::start();
    // Idle ones, those with a part of a head, and those that go on after a refusal.
    let mut others: Vec<TcpStream> = Vec::new();
    for number in 0..150 {
        let mut stream = server.connect();
        let sent = match number % 3 {
            0 => String::new(),
            1 => server.head("POST", &[]),
            _ => format!(
                "{}\r\n",
                server.head("GET", &["Authorization: Bearer wrong"])
            ),
        };
        // Connections that came long before are closed by now.
        let _ = stream.write_all(sent.as_bytes());
        others.push(stream);
        if number % 30 == 29 {
            let began = Instant::now();
            assert_eq!(server.initialize(&[]).status, 200);
            assert!(began.elapsed() < SOON, "{number}: {:?}", began.elapsed());
        }
    }
    let refused = answer(others.last_mut().expect("many"));
    assert_eq!(refused.status, 401);
    // All are closed, the idle ones too.
    for mut stream in others {
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        let is_open = |error: &std::io::Error| {
            matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            )
        };
        assert!(!ended.as_ref().is_err_and(is_open), "{ended:?}");
    }
}

#[test]
fn pages_of_other_origins_are_refused() {
    if !needs::kernel() {
        return;
    }
    let server = Server::start();
    let (_, port) = server.address.rsplit_once(':').expect("a port");
    for (origin, status) in [
        (format!("http://localhost:{port}"), 200),
        (format!("http://127.0.0.1:{port}"), 200),
        (format!("http://[::1]:{port}"), 200),
        ("http://localhost".to_owned(), 403),
        ("http://localhost:1".to_owned(), 403),
        (format!("https://localhost:{port}"), 403),
        (format!("http://localhost.example.com:{port}"), 403),
        (format!("http://example.com:{port}"), 403),
        ("null".to_owned(), 403),
    ] {
        let answer = server.initialize(&[&format!("Origin: {origin}")]);
        assert_eq!(answer.status, status, "{origin}: {}", answer.body);
    }
}
