//! Protobuf over HTTP.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::SendError;
use crate::base::diagnostic::Diagnostic;
use crate::sink::otel::endpoint::Endpoint;
use crate::sink::otel::limits::ANSWER_BYTES;

/// Answers that ask for another attempt.
const PASSING: [u16; 4] = [429, 502, 503, 504];

const TYPE: &str = "application/x-protobuf";

#[derive(Debug)]
pub(super) struct HttpConnection {
    agent: ureq::Agent,
    endpoint: Endpoint,
}

impl HttpConnection {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, Diagnostic> {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(endpoint.timeout))
            .http_status_as_error(false)
            // A redirection would lose the body, or take it elsewhere.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(tls(endpoint)?)
            .user_agent(concat!("tracer/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            endpoint: endpoint.clone(),
        })
    }

    pub(super) fn send(&self, request: &[u8]) -> Result<Vec<u8>, SendError> {
        let mut post = self.agent.post(&self.endpoint.url).content_type(TYPE);
        for (name, value) in &self.endpoint.headers {
            post = post.header(name, value);
        }
        let sent = if self.endpoint.gzip {
            post.header("content-encoding", "gzip")
                .send(&gzip(request)[..])
        } else {
            post.send(request)
        };
        let mut answer = sent.map_err(|error| {
            SendError::unreachable(match error {
                ureq::Error::Timeout(_) => format!("no answer within {:?}", self.endpoint.timeout),
                error => error.to_string(),
            })
        })?;
        let status = answer.status();
        let seconds = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let is_message = answer
            .headers()
            .get("content-type")
            .is_some_and(|value| value.as_bytes().starts_with(TYPE.as_bytes()));
        let body = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES)
            .read_to_vec();
        let body = body.unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        let mut message = format!("HTTP status {status}");
        let details = match is_message {
            true => {
                tonic_types::Status::decode(&*body).map_or(String::new(), |status| status.message)
            }
            false => String::new(),
        };
        if !details.is_empty() {
            message = format!("{message}: {details}");
        }
        Err(SendError {
            message,
            is_passing: PASSING.contains(&status.as_u16()),
            is_answer: true,
            retry_after: seconds.map(Duration::from_secs),
        })
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn tls(endpoint: &Endpoint) -> Result<TlsConfig, Diagnostic> {
    let roots = match &endpoint.authorities {
        Some(pem) => certificates(pem)?,
        None => {
            let system = rustls_native_certs::load_native_certs().certs;
            let system = system
                .iter()
                .map(|one| Certificate::from_der(one).to_owned());
            system.collect()
        }
    };
    let roots = match roots.is_empty() {
        // A machine without any trusts those that browsers do.
        true => RootCerts::WebPki,
        false => RootCerts::new_with_certs(&roots),
    };
    let identity = match &endpoint.identity {
        Some((certificate, key)) => {
            let key = PrivateKey::from_pem(key).map_err(|error| unusable("the key", &error))?;
            Some(ClientCert::new_with_certs(&certificates(certificate)?, key))
        }
        None => None,
    };
    let config = TlsConfig::builder().root_certs(roots).client_cert(identity);
    Ok(config.build())
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, Diagnostic> {
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(one) =
            item.map_err(|error| unusable("a certificate", &error))?
        {
            certificates.push(one);
        }
    }
    match certificates.is_empty() {
        true => Err(
            Diagnostic::new("a file of certificates for the collector has none")
                .hint("it is to be PEM: `-----BEGIN CERTIFICATE-----`"),
        ),
        false => Ok(certificates),
    }
}

fn unusable(what: &str, error: &ureq::Error) -> Diagnostic {
    Diagnostic::new(format!("{what} for the collector cannot be used: {error}"))
}
