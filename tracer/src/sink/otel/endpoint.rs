//! The address of a collector and its protocol: the options and variables of OpenTelemetry's specification.
//!
//! `OTEL_EXPORTER_OTLP_NAME` is for all signals, `OTEL_EXPORTER_OTLP_LOGS_NAME` for one and before it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use ureq::http::uri::Scheme;
use ureq::http::{HeaderName, HeaderValue, Uri};

use super::{conventions::attribute as names, text_attribute};
use crate::base::diagnostic::Diagnostic;

/// Port of gRPC, by which it is known where no protocol is chosen.
const GRPC_PORT: u16 = 4317;
/// Time for one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Events.
    Logs,
    /// Aggregates and counters.
    Metrics,
    /// Spans.
    Traces,
}

impl Signal {
    /// Its name in variables.
    const fn variable(self) -> &'static str {
        match self {
            Self::Logs => "LOGS",
            Self::Metrics => "METRICS",
            Self::Traces => "TRACES",
        }
    }

    /// Its path below the endpoint, over HTTP.
    const fn path(self) -> &'static str {
        match self {
            Self::Logs => "v1/logs",
            Self::Metrics => "v1/metrics",
            Self::Traces => "v1/traces",
        }
    }

    /// Its method, over gRPC.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        }
    }
}

/// The form of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP.
    Http,
}

/// The collector of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// The URL of the requests. Over HTTP it includes the signal's path.
    pub url: Uri,
    /// The form of requests.
    pub protocol: Protocol,
    /// Headers of each request, such as a key.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Time for one request.
    pub timeout: Duration,
    /// Compress requests by gzip.
    pub gzip: bool,
    /// Authorities to trust, as PEM. `None` for those of the system.
    pub authorities: Option<Vec<u8>>,
    /// Our own certificate and key, as PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// The variables that say how to export.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Those of this process. An empty one is as one that is not set.
    #[must_use]
    pub fn read() -> Self {
        let variables = std::env::vars_os();
        let text = variables.filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            name.starts_with("OTEL_").then_some((name, value))
        });
        Self::of(text)
    }

    fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter();
        Self {
            variables: variables
                .filter(|(_, value)| !value.trim().is_empty())
                .collect(),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim())
    }

    /// The name and the value of a variable of a signal, or that of all signals.
    fn of_signal(&self, signal: Signal, name: &str) -> Option<(String, &str)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.variable());
        let all = format!("OTEL_EXPORTER_OTLP_{name}");
        let find = |name: String| self.get(&name).map(|value| (name.clone(), value));
        find(own).or_else(|| find(all))
    }

    /// The collector of a signal. `url` is the one on the command line.
    ///
    /// # Errors
    /// A variable or the URL cannot be understood, or a file cannot be read.
    pub fn endpoint(&self, signal: Signal, url: Option<&str>) -> Result<Endpoint, Diagnostic> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.variable());
        let all = "OTEL_EXPORTER_OTLP_ENDPOINT";
        // One of a signal is used as it is.
        let (name, base, is_whole) = match (url, self.get(&own), self.get(all)) {
            (Some(url), _, _) => ("--otlp", Some(url), false),
            (None, Some(url), _) => (own.as_str(), Some(url), true),
            (None, None, url) => (all, url, false),
        };
        let base = base.map(|url| parse_url(name, url)).transpose()?;
        let protocol = self.protocol(signal, base.as_ref())?;
        let url = match (base, protocol) {
            (Some(url), Protocol::Http) if !is_whole => below(&url, signal.path())?,
            (Some(url), _) => url,
            (None, Protocol::Grpc) => Uri::from_static("http://localhost:4317"),
            (None, Protocol::Http) => {
                below(&Uri::from_static("http://localhost:4318"), signal.path())?
            }
        };
        let file = |name: &str| -> Result<Option<Vec<u8>>, Diagnostic> {
            let found = self.of_signal(signal, name);
            found.map(|(name, path)| read_pem(&name, path)).transpose()
        };
        let identity = match (file("CLIENT_CERTIFICATE")?, file("CLIENT_KEY")?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(Diagnostic::new(
                    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY need each other",
                ));
            }
        };
        Ok(Endpoint {
            url,
            protocol,
            headers: self.headers(signal)?,
            timeout: self.timeout(signal)?,
            gzip: self.gzip(signal)?,
            authorities: file("CERTIFICATE")?,
            identity,
        })
    }

    fn protocol(&self, signal: Signal, url: Option<&Uri>) -> Result<Protocol, Diagnostic> {
        match self.of_signal(signal, "PROTOCOL") {
            Some((_, "grpc")) => Ok(Protocol::Grpc),
            Some((_, "http/protobuf")) => Ok(Protocol::Http),
            Some((name, other)) => Err(Diagnostic::new(format!(
                "{name} is `{other}`, which is not a protocol that tracer speaks"
            ))
            .hint("`grpc` and `http/protobuf` are")),
            None if url.and_then(Uri::port_u16) == Some(GRPC_PORT) => Ok(Protocol::Grpc),
            None => Ok(Protocol::Http),
        }
    }

    fn headers(&self, signal: Signal) -> Result<Vec<(HeaderName, HeaderValue)>, Diagnostic> {
        let Some((variable, list)) = self.of_signal(signal, "HEADERS") else {
            return Ok(Vec::new());
        };
        // A value may be a secret, so no message shows it.
        let header = |(name, value): (String, String)| {
            let unusable = || {
                Diagnostic::new(format!(
                    "{variable} has a header `{name}` that cannot be sent"
                ))
            };
            let mut value = HeaderValue::from_str(&value).map_err(|_| unusable())?;
            value.set_sensitive(true);
            Ok((HeaderName::try_from(&*name).map_err(|_| unusable())?, value))
        };
        pairs(&variable, list)?.into_iter().map(header).collect()
    }

    fn timeout(&self, signal: Signal) -> Result<Duration, Diagnostic> {
        match self.of_signal(signal, "TIMEOUT") {
            Some((name, text)) => milliseconds(&name, text),
            None => Ok(TIMEOUT),
        }
    }

    fn gzip(&self, signal: Signal) -> Result<bool, Diagnostic> {
        match self.of_signal(signal, "COMPRESSION") {
            None | Some((_, "none")) => Ok(false),
            Some((_, "gzip")) => Ok(true),
            Some((name, other)) => Err(Diagnostic::new(format!(
                "{name} is `{other}`, which is not a compression that tracer has"
            ))
            .hint("`gzip` and `none` are")),
        }
    }

    /// Interval of metrics. `None` if no variable sets it.
    ///
    /// # Errors
    /// It is not a number.
    pub fn metrics_interval(&self) -> Result<Option<Duration>, Diagnostic> {
        let name = "OTEL_METRIC_EXPORT_INTERVAL";
        self.get(name)
            .map(|text| milliseconds(name, text))
            .transpose()
    }

    /// Attributes that the user gave for all resources.
    ///
    /// # Errors
    /// The list cannot be understood.
    pub fn resource(&self) -> Result<Vec<KeyValue>, Diagnostic> {
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        let mut given = match self.get(name) {
            Some(list) => pairs(name, list)?,
            None => Vec::new(),
        };
        if let Some(service) = self.get("OTEL_SERVICE_NAME") {
            given.retain(|(key, _)| key != names::SERVICE_NAME);
            given.push((names::SERVICE_NAME.to_owned(), service.to_owned()));
        }
        let given = given.into_iter();
        Ok(given
            .map(|(key, value)| text_attribute(key, value))
            .collect())
    }
}

fn milliseconds(name: &str, text: &str) -> Result<Duration, Diagnostic> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(Duration::from_millis(number)),
        _ => Err(Diagnostic::new(format!(
            "{name} is `{text}`, which is not a number of milliseconds"
        ))),
    }
}

/// `key=value,…`, where values may have escapes such as `%20`.
fn pairs(variable: &str, list: &str) -> Result<Vec<(String, String)>, Diagnostic> {
    let parts = list.split(',').filter(|part| !part.trim().is_empty());
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let key = key.trim();
        (!key.is_empty()).then(|| (key.to_owned(), unescaped(value.trim())))
    };
    parts
        .map(|part| {
            pair(part).ok_or_else(|| {
                Diagnostic::new(format!("{variable} is not a list of keys and values"))
                    .hint("write `key=value,key=value`")
            })
        })
        .collect()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).filter(|_| *first == b'%');
        let escaped = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = match escaped {
            Some(_) => behind.get(2..).unwrap_or_default(),
            None => behind,
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn parse_url(name: &str, text: &str) -> Result<Uri, Diagnostic> {
    let not_a_url = || {
        Diagnostic::new(format!(
            "`{text}` (of {name}) is not the URL of a collector"
        ))
        .hint("write it as `http://localhost:4318`, or with `https`; port 4317 is gRPC's")
    };
    let url: Uri = text.parse().map_err(|_| not_a_url())?;
    let is_known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&url.scheme());
    (is_known && url.host().is_some_and(|host| !host.is_empty()))
        .then_some(url)
        .ok_or_else(not_a_url)
}

/// A path below a URL.
fn below(url: &Uri, path: &str) -> Result<Uri, Diagnostic> {
    let base = url.path().trim_end_matches('/');
    let query = url
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let mut parts = url.clone().into_parts();
    let whole = format!("{base}/{path}{query}");
    parts.path_and_query = whole.parse().ok();
    Uri::from_parts(parts).map_err(|error| Diagnostic::new(format!("`{url}`: {error}")))
}

fn read_pem(name: &str, path: &str) -> Result<Vec<u8>, Diagnostic> {
    let path = PathBuf::from(path);
    std::fs::read(&path).map_err(|error| {
        let path = path.display();
        Diagnostic::new(format!("cannot read `{path}` (of {name}): {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables = variables.iter();
        Environment::of(variables.map(|(name, value)| ((*name).into(), (*value).into())))
    }

    fn logs(variables: &[(&str, &str)], url: Option<&str>) -> Endpoint {
        let made = environment(variables).endpoint(Signal::Logs, url);
        made.unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn endpoint_of_all_signals_is_a_base_and_that_of_one_is_whole() {
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c.example:99/base/");
        let own = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://d:1/in");
        for (variables, url, expected) in [
            (&[][..], None, "http://localhost:4318/v1/logs"),
            (&[all], None, "https://c.example:99/base/v1/logs"),
            (&[all, own], None, "http://d:1/in"),
            (&[all, own], Some("http://e"), "http://e/v1/logs"),
            (
                &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
                None,
                "http://localhost:4318/v1/logs",
            ),
        ] {
            let endpoint = logs(variables, url);
            assert_eq!(endpoint.url.to_string(), expected);
            assert_eq!(endpoint.protocol, Protocol::Http);
        }
        let metrics = environment(&[all, own]).endpoint(Signal::Metrics, None);
        assert_eq!(
            metrics.unwrap().url.to_string(),
            "https://c.example:99/base/v1/metrics"
        );
    }

    #[test]
    fn protocol_is_told_or_known_by_the_port() {
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let http = ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf");
        assert_eq!(
            logs(&[grpc], None).url.to_string(),
            "http://localhost:4317/"
        );
        assert_eq!(logs(&[], Some("http://h:4317")).protocol, Protocol::Grpc);
        let endpoint = logs(&[grpc, http], Some("http://h:4317"));
        assert_eq!(endpoint.url.to_string(), "http://h:4317/v1/logs");
        let json = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
        let refused = environment(&[json])
            .endpoint(Signal::Logs, None)
            .unwrap_err();
        assert!(refused.message.contains("`http/json`") && refused.hint.is_some());
    }

    #[test]
    fn headers_timeout_and_compression_are_read() {
        let endpoint = logs(
            &[
                ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, X-Team=shop"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
                ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip"),
            ],
            None,
        );
        let headers: Vec<(&str, &[u8])> = endpoint
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        assert_eq!(headers, [("api-key", &b"a b"[..]), ("x-team", b"shop")]);
        assert_eq!(endpoint.timeout, Duration::from_millis(1500));
        assert!(endpoint.gzip && endpoint.authorities.is_none());
    }

    #[test]
    fn mistakes_name_their_variable_and_no_secret() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "key=secret%0a"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/dev/null"),
        ] {
            let made = environment(&[(name, value)]).endpoint(Signal::Logs, None);
            let message = made.expect_err(name).message;
            assert!(
                message.contains(name) && !message.contains("secret"),
                "{message}"
            );
        }
        let wrong = environment(&[]).endpoint(Signal::Logs, Some("4242"));
        assert!(
            wrong
                .expect_err("no URL")
                .message
                .contains("`4242` (of --otlp)")
        );
    }

    #[test]
    fn resource_has_the_name_of_its_own_variable_first() {
        let given = environment(&[
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team=x%2Cy"),
            ("OTEL_SERVICE_NAME", "shop"),
        ]);
        let expected = [
            text_attribute("team", "x,y"),
            text_attribute("service.name", "shop"),
        ];
        assert_eq!(given.resource().unwrap(), expected);
        let wrong = environment(&[("OTEL_RESOURCE_ATTRIBUTES", "a")]).resource();
        assert!(wrong.is_err());
        let interval = environment(&[("OTEL_METRIC_EXPORT_INTERVAL", "250")]);
        assert_eq!(
            interval.metrics_interval().unwrap(),
            Some(Duration::from_millis(250))
        );
    }
}
