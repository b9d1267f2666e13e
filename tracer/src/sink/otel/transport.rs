//! One attempt to send an encoded request, over gRPC or HTTP, and what OTLP says about its failure.

mod grpc;
mod http;

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

use super::endpoint::{Endpoint, Protocol, Signal};
use crate::base::diagnostic::Diagnostic;

/// The reason why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SendError {
    /// In words.
    pub(super) message: String,
    /// The collector may take the same request later.
    pub(super) is_passing: bool,
    /// The collector has answered.
    pub(super) is_answer: bool,
    /// Not before this time.
    pub(super) retry_after: Option<Duration>,
}

impl SendError {
    /// The collector could not be reached, or did not answer.
    fn unreachable(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_passing: true,
            is_answer: false,
            retry_after: None,
        }
    }
}

/// Records that a collector has refused from a request that it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartialSuccess {
    pub(super) rejected: u64,
    /// The collector's words, which may be a warning alone.
    pub(super) message: String,
}

/// A connection to the collector of one signal.
#[derive(Debug)]
pub(super) struct Transport {
    signal: Signal,
    connection: Connection,
}

#[derive(Debug)]
enum Connection {
    Grpc(Box<grpc::GrpcConnection>),
    Http(Box<http::HttpConnection>),
}

impl Transport {
    /// Prepares the connection. Nothing is sent.
    ///
    /// # Errors
    /// A certificate cannot be used.
    pub(super) fn new(signal: Signal, endpoint: &Endpoint) -> Result<Self, Diagnostic> {
        let connection = match endpoint.protocol {
            Protocol::Grpc => {
                Connection::Grpc(Box::new(grpc::GrpcConnection::new(signal, endpoint)?))
            }
            Protocol::Http => Connection::Http(Box::new(http::HttpConnection::new(endpoint)?)),
        };
        Ok(Self { signal, connection })
    }

    /// Sends a request, and waits for the answer.
    pub(super) fn send(&mut self, request: &[u8]) -> Result<PartialSuccess, SendError> {
        let answer = match &mut self.connection {
            Connection::Grpc(connection) => connection.send(request)?,
            Connection::Http(connection) => connection.send(request)?,
        };
        Ok(partial_success(self.signal, &answer))
    }
}

/// An answer that cannot be read came with a success, so the request was taken.
fn partial_success(signal: Signal, answer: &[u8]) -> PartialSuccess {
    let (rejected, message) = match signal {
        Signal::Logs => {
            let answer = ExportLogsServiceResponse::decode(answer).unwrap_or_default();
            let partial = answer.partial_success.unwrap_or_default();
            (partial.rejected_log_records, partial.error_message)
        }
        Signal::Metrics => {
            let answer = ExportMetricsServiceResponse::decode(answer).unwrap_or_default();
            let partial = answer.partial_success.unwrap_or_default();
            (partial.rejected_data_points, partial.error_message)
        }
        Signal::Traces => {
            let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
            let partial = answer.partial_success.unwrap_or_default();
            (partial.rejected_spans, partial.error_message)
        }
    };
    PartialSuccess {
        rejected: u64::try_from(rejected).unwrap_or_default(),
        message,
    }
}
