//! The collector of `demo --otel`: one that the user named, or our own, whose spans are read back.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::pointer::Running;
use crate::setup::otel_tools;
use crate::support::failure::Failure;

/// Variables that name a collector.
const VARIABLES: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];
/// Time for our own collector to start.
const START: Duration = Duration::from_secs(15);
/// Time for the last spans to come.
const DELIVERY: Duration = Duration::from_secs(15);

/// Where the spans go.
#[derive(Debug)]
pub(super) enum Collector {
    /// The user's, with its URL unless the variables name it.
    Given(Option<String>),
    /// The collector `rotel-agent`.
    Own(OwnCollector),
}

impl Collector {
    /// The named one, that of the variables, or our own, which is started now.
    ///
    /// # Errors
    /// Our own could not be started.
    pub(super) fn find(url: Option<&str>) -> Result<Self> {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if url.is_some() || VARIABLES.into_iter().any(is_set) {
            return Ok(Self::Given(url.map(str::to_owned)));
        }
        OwnCollector::start().map(Self::Own)
    }

    /// The value of `--otlp`.
    pub(super) fn url(&self) -> Option<&str> {
        match self {
            Self::Given(url) => url.as_deref(),
            Self::Own(own) => Some(&own.url),
        }
    }

    /// Readable name.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Given(Some(url)) => format!("the collector at {url}"),
            Self::Given(None) => "the collector that the variables name".to_owned(),
            Self::Own(own) => format!("the collector rotel at {}", own.url),
        }
    }

    /// Returns true if one is named.
    pub(super) fn is_given(&self) -> bool {
        matches!(self, Self::Given(_))
    }
}

/// A collector that prints the spans that it receives, and ends with this value.
#[derive(Debug)]
pub(super) struct OwnCollector {
    _process: Running,
    url: String,
    lines: Receiver<String>,
}

impl OwnCollector {
    fn start() -> Result<Self> {
        let [http, grpc] = [free_port()?, free_port()?];
        let mut process = Command::new(otel_tools::collector()?)
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces"])
            .args(["--debug-log-verbosity", "detailed"])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the collector rotel")?;
        let lines = lines_of(process.stdout.take());
        let mut process = Running(process);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", http)).is_err() {
            let ended = process.0.try_wait().context("cannot wait for rotel")?;
            if ended.is_some() || started.elapsed() > START {
                return Err(Failure::new("the collector rotel does not listen").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self {
            _process: process,
            url: format!("http://127.0.0.1:{http}"),
            lines,
        })
    }

    /// Waits until it has received this many spans with this many events each, and returns all spans. Those that did
    /// not come in time are not among them.
    pub(super) fn spans(&self, count: usize, events: usize) -> Vec<ReceivedSpan> {
        let until = Instant::now() + DELIVERY;
        let mut lines: Vec<String> = Vec::new();
        loop {
            let spans = parse(&lines);
            let whole = spans.iter().filter(|span| span.messages.len() >= events);
            let left = until.saturating_duration_since(Instant::now());
            if whole.count() >= count {
                return spans;
            }
            match self.lines.recv_timeout(left) {
                Ok(line) => lines.push(line),
                Err(_) => return spans,
            }
            lines.extend(self.lines.try_iter());
        }
    }

    /// The spans so far.
    pub(super) fn received(&self) -> Vec<ReceivedSpan> {
        parse(&self.lines.try_iter().collect::<Vec<String>>())
    }
}

/// A port that nobody listens on.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("there is no free port")?;
    Ok(listener.local_addr()?.port())
}

fn lines_of(stdout: Option<ChildStdout>) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let all = stdout
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines());
        for line in all.map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// A span, as the collector printed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ReceivedSpan {
    pub(super) name: String,
    /// Messages of its events.
    pub(super) messages: Vec<String>,
    /// All lines.
    pub(super) lines: Vec<String>,
}

/// Parses the collector's debug log. Each span begins with `Span #`, and its fields are indented or have a title.
fn parse(lines: &[String]) -> Vec<ReceivedSpan> {
    let mut spans: Vec<ReceivedSpan> = Vec::new();
    let mut is_inside = false;
    for line in lines {
        if line.starts_with("Span #") {
            spans.push(ReceivedSpan::default());
            is_inside = true;
        } else if line.starts_with("ResourceSpans #") || line.starts_with("ScopeSpans #") {
            is_inside = false;
        }
        let Some(span) = spans.last_mut().filter(|_| is_inside) else {
            continue;
        };
        span.lines.push(line.clone());
        let field = line.trim_start();
        if let Some(name) = field.strip_prefix("Name           : ") {
            span.name = name.to_owned();
        }
        let message = field.strip_prefix("-> message: Str(");
        if let Some(message) = message.and_then(|text| text.strip_suffix(')')) {
            span.messages.push(message.to_owned());
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_spans_have_their_names_and_messages() {
        let log = "ResourceSpans #0\nResource attributes:\n     -> service.name: Str(target-app)\nScopeSpans #0\n\
            Span #0\n    ID             : 166a4a8c76792a02\n    Name           : moved\n\
            Events:\nSpanEvent #0\n     -> Name: log\n     -> Attributes::\n          -> last.x: Int(4)\n\
            \x20         -> message: Str(x 4 -> 5 (or so))\nSpan #1\n    Name           : moved\n\
            ResourceSpans #0\n     -> service.name: Str(other)\n";
        let lines: Vec<String> = log.lines().map(str::to_owned).collect();
        let spans = parse(&lines);
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[0].name, "moved");
        assert_eq!(spans[0].messages, ["x 4 -> 5 (or so)"]);
        assert_eq!(spans[0].lines.len(), 9);
        assert_eq!((spans[1].lines.len(), &spans[1].messages), (2, &Vec::new()));
    }
}
