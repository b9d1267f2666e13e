//! gRPC, by `tonic`. Requests are encoded already, so the codec passes bytes on.

use std::sync::Arc;
use std::time::Duration;

use prost::bytes::{Buf as _, BufMut as _};
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint as Address, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use ureq::http::HeaderMap;
use ureq::http::uri::{PathAndQuery, Scheme};

use super::SendError;
use crate::base::causes::chain;
use crate::base::diagnostic::Diagnostic;
use crate::sink::otel::endpoint::{Endpoint, Signal};
use crate::sink::otel::limits::ANSWER_BYTES;

#[derive(Debug)]
pub(super) struct GrpcConnection {
    runtime: Runtime,
    client: Grpc<Channel>,
    method: PathAndQuery,
    headers: MetadataMap,
    timeout: Duration,
}

impl GrpcConnection {
    pub(super) fn new(signal: Signal, endpoint: &Endpoint) -> Result<Self, Diagnostic> {
        let failed = |error: tonic::transport::Error| {
            Diagnostic::new(format!("`{}`: {}", endpoint.url, chain(&error)))
        };
        let mut address = Address::from(endpoint.url.clone())
            .connect_timeout(endpoint.timeout)
            .user_agent(concat!("tracer/", env!("CARGO_PKG_VERSION")))
            .map_err(failed)?;
        if endpoint.url.scheme() == Some(&Scheme::HTTPS) {
            address = address.tls_config(tls(endpoint)).map_err(failed)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Diagnostic::new(format!("cannot wait for the network: {error}")))?;
        let channel = {
            let _inside = runtime.enter();
            address.connect_lazy()
        };
        let mut client = Grpc::new(channel).max_decoding_message_size(ANSWER_BYTES as usize);
        if endpoint.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let headers: HeaderMap = endpoint.headers.iter().cloned().collect();
        Ok(Self {
            runtime,
            client: client.accept_compressed(CompressionEncoding::Gzip),
            method: PathAndQuery::from_static(signal.method()),
            headers: MetadataMap::from_headers(headers),
            timeout: endpoint.timeout,
        })
    }

    pub(super) fn send(&mut self, request: &[u8]) -> Result<Vec<u8>, SendError> {
        let mut message = Request::new(Arc::<[u8]>::from(request));
        *message.metadata_mut() = self.headers.clone();
        let (client, method) = (&mut self.client, self.method.clone());
        let call = async move {
            if let Err(error) = client.ready().await {
                return Err(SendError::unreachable(chain(&error)));
            }
            let answer = client.unary(message, method, EncodedCodec).await;
            answer
                .map(tonic::Response::into_inner)
                .map_err(|status| failure(&status))
        };
        let timeout = self.timeout;
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(timeout, call).await });
        answer.unwrap_or_else(|_| {
            Err(SendError::unreachable(format!(
                "no answer within {timeout:?}"
            )))
        })
    }
}

/// Says whether another attempt makes sense, as OTLP has it.
fn failure(status: &Status) -> SendError {
    let retry = status.get_details_retry_info();
    let source = std::error::Error::source(status);
    let is_passing = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        // Only a collector that says when has a place for it later.
        Code::ResourceExhausted => retry.is_some(),
        // Our own side made the status when the connection broke.
        _ => source.is_some(),
    };
    let causes = source.map(|source| chain(&source));
    let code = status.code();
    SendError {
        message: match causes {
            Some(causes) => format!("{code}: {causes}"),
            None if status.message().is_empty() => code.to_string(),
            None => format!("{code}: {}", status.message()),
        },
        is_passing,
        is_answer: source.is_none(),
        retry_after: retry.and_then(|info| info.retry_delay),
    }
}

fn tls(endpoint: &Endpoint) -> ClientTlsConfig {
    let mut config = ClientTlsConfig::new();
    config = match &endpoint.authorities {
        Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
        None if rustls_native_certs::load_native_certs().certs.is_empty() => {
            config.with_webpki_roots()
        }
        None => config.with_native_roots(),
    };
    match &endpoint.identity {
        Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
        None => config,
    }
}

/// Passes encoded messages on as they are.
#[derive(Clone, Copy, Debug)]
struct EncodedCodec;

impl Codec for EncodedCodec {
    type Encode = Arc<[u8]>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for EncodedCodec {
    type Item = Arc<[u8]>;
    type Error = Status;

    fn encode(&mut self, message: Arc<[u8]>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&message);
        Ok(())
    }
}

impl Decoder for EncodedCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; from.remaining()];
        from.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn broken_connection_is_another_attempt_and_a_refusal_is_none() {
        let broken = Status::from_error(Box::new(io::Error::from(io::ErrorKind::BrokenPipe)));
        assert_eq!(broken.code(), Code::Unknown);
        let error = failure(&broken);
        assert!(error.is_passing && !error.is_answer, "{error:?}");
        let refused = failure(&Status::unknown("the pipeline is broken"));
        assert!(!refused.is_passing && refused.is_answer, "{refused:?}");
        let busy = failure(&Status::unavailable("later"));
        assert!(busy.is_passing && busy.is_answer, "{busy:?}");
    }
}
