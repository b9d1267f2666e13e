//! Receivers of telemetry: one that checks each field, a collector, and Prometheus.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::build::source;
use super::output::Output;
use super::tracer::{TRACER, Tracer, attach_args};
use super::wait_for;

/// A form of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

impl Protocol {
    /// The variable's value.
    pub(crate) const fn variable(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        }
    }

    const fn argument(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

/// A program that ends with its test.
pub(crate) struct Served {
    child: Child,
    /// Its stdout.
    pub(crate) output: Output,
}

impl Served {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it is installed");
        let stdout = child.stdout.take().expect("piped");
        Self {
            child,
            output: Output::read("a receiver of telemetry", stdout),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A receiver that checks what it gets by the official messages (`otlp_receiver.py`).
pub(crate) struct Receiver {
    served: Served,
    protocol: Protocol,
    scheme: &'static str,
    port: u64,
}

impl Receiver {
    pub(crate) fn start(tools: &Path, protocol: Protocol, more: &[&str]) -> Self {
        let mut python = Command::new(tools.join("bin/python"));
        python.arg(source("otlp_receiver.py"));
        python.args(["--protocol", protocol.argument()]).args(more);
        let served = Served::start(python);
        let port = served
            .output
            .wait("the port", |lines| parse(lines.first()?)["port"].as_u64());
        Self {
            served,
            protocol,
            scheme: if more.contains(&"--key") {
                "https"
            } else {
                "http"
            },
            port,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.port)
    }

    /// Attaches probes that export to it.
    #[track_caller]
    pub(crate) fn attach(
        &self,
        pid: u32,
        probes: &[&str],
        more: &[&str],
        variables: &[(&str, &str)],
    ) -> Tracer {
        let url = self.url();
        let more = [&["--otlp", &url], more].concat();
        let mut command = Command::new(TRACER);
        command.args(attach_args(pid, "json", probes, &more));
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", self.protocol.variable());
        command.envs(variables.iter().copied());
        Tracer::spawn(command)
    }

    /// Waits for a line of it, and returns that.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.served
            .output
            .wait(what, |lines| lines.iter().map(|line| parse(line)).find(&is))
    }

    /// The requests of a signal so far, which are all as the messages want them.
    #[track_caller]
    pub(crate) fn requests(&self, signal: &str) -> Vec<Value> {
        let lines = self.served.output.lines();
        let all = lines.iter().map(|line| parse(line));
        let taken = all.filter(|line| line["signal"] == signal && line["request"].is_object());
        taken
            .inspect(|line| assert_eq!(line["problems"], json!([]), "{line}"))
            .collect()
    }

    /// All log records so far, each with its resource.
    #[track_caller]
    pub(crate) fn records(&self) -> Vec<ReceivedRecord> {
        let mut records = Vec::new();
        for request in self.requests("logs") {
            for part in items(&request["request"]["resourceLogs"]) {
                let resource = attributes(&part["resource"]["attributes"]);
                for scope in items(&part["scopeLogs"]) {
                    assert_eq!(scope["scope"]["name"], "tracer");
                    let made = items(&scope["logRecords"]).map(|record| ReceivedRecord {
                        resource: resource.clone(),
                        attributes: attributes(&record["attributes"]),
                        record: record.clone(),
                    });
                    records.extend(made);
                }
            }
        }
        records
    }

    /// The last points of a metric, and the metric.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> Value {
        let requests = self.requests("metrics");
        let last = requests.last().expect("metrics came");
        let metrics = &last["request"]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
        let found = items(metrics).find(|metric| metric["name"] == name);
        found
            .unwrap_or_else(|| panic!("{name} in {metrics}"))
            .clone()
    }
}

/// A log record and its resource. Values are as the messages' JSON has them: `{"intValue": "57"}`.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRecord {
    pub(crate) resource: BTreeMap<String, Value>,
    pub(crate) attributes: BTreeMap<String, Value>,
    pub(crate) record: Value,
}

/// Attributes by their keys.
pub(crate) fn attributes(list: &Value) -> BTreeMap<String, Value> {
    let entry = |entry: &Value| {
        let key = entry["key"].as_str().expect("a key").to_owned();
        (key, entry["value"].clone())
    };
    items(list).map(entry).collect()
}

/// The elements of an array, which is left out if it is empty.
pub(crate) fn items(list: &Value) -> std::slice::Iter<'_, Value> {
    list.as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).expect("the receiver prints JSON")
}

/// A port that nobody uses.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

/// The collector `rotel-agent`, which prints what it gets.
pub(crate) struct Collector {
    pub(crate) served: Served,
    pub(crate) grpc: u16,
    pub(crate) http: u16,
}

impl Collector {
    pub(crate) fn start(tools: &Path) -> Self {
        let (grpc, http) = (free_port(), free_port());
        let mut agent = Command::new(rotel(tools));
        agent
            .args(["start", "--exporter", "blackhole"])
            .args(["--debug-log", "logs", "--debug-log", "traces"])
            .args(["--debug-log", "metrics"])
            .args(["--debug-log-verbosity", "detailed"])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")]);
        let served = Served::start(agent);
        for port in [grpc, http] {
            wait_for("the collector", || {
                std::net::TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }
        Self { served, grpc, http }
    }
}

fn rotel(tools: &Path) -> PathBuf {
    let versions = std::fs::read_dir(tools.join("lib")).expect("an environment of Python");
    let agents = versions
        .flatten()
        .map(|version| version.path().join("site-packages/rotel/rotel-agent"));
    let mut agents = agents.filter(|path| path.is_file());
    agents.next().expect("rotel is installed")
}

/// A Prometheus that scrapes one address.
pub(crate) struct Prometheus {
    _served: Served,
    port: u16,
}

impl Prometheus {
    pub(crate) fn start(tools: &Path, folder: &Path, scraped: u16) -> Self {
        let port = free_port();
        let config = folder.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\nscrape_configs:\n- job_name: tracer\n  static_configs:\n  - targets: ['127.0.0.1:{scraped}']\n"
        );
        std::fs::write(&config, text).expect("written");
        let mut prometheus = Command::new(tools.join("bin/prometheus"));
        prometheus
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--enable-feature=exemplar-storage")
            .arg("--log.level=error");
        Self {
            _served: Served::start(prometheus),
            port,
        }
    }

    /// The labels and values of the exemplars of a metric.
    pub(crate) fn exemplars(&self, query: &str) -> Vec<(Value, f64)> {
        let url = format!("http://127.0.0.1:{}/api/v1/query_exemplars", self.port);
        let asked = ureq::get(url).query("query", query);
        let asked = asked.query("start", "0").query("end", "9000000000");
        let text = asked
            .call()
            .ok()
            .map(|mut answer| answer.body_mut().read_to_string());
        let Some(Ok(text)) = text else {
            return Vec::new();
        };
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        let series = items(&answer["data"]);
        let all = series.flat_map(|series| items(&series["exemplars"]));
        all.filter_map(|one| Some((one["labels"].clone(), one["value"].as_str()?.parse().ok()?)))
            .collect()
    }

    /// The value of a query that has one.
    pub(crate) fn query(&self, query: &str) -> Option<f64> {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.port);
        let mut answer = ureq::get(url).query("query", query).call().ok()?;
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()?;
        answer["data"]["result"][0]["value"][1]
            .as_str()?
            .parse()
            .ok()
    }
}
