//! Options of the output to OpenTelemetry and Prometheus.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args as ClapArgs;

use super::duration;

/// Receivers of telemetry, beside any other output.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Telemetry")]
pub(in crate::cli) struct TelemetryArgs {
    /// Send events and metrics to an OpenTelemetry collector, too
    #[arg(
        long,
        value_name = "URL",
        num_args = 0..=1,
        default_missing_value = "",
        long_help = "Send events as log records, spans, and `count`, `hist` and `time` as metrics, to an OpenTelemetry collector, too. Port 4317 is gRPC's, others take protobuf over HTTP; the variables OTEL_EXPORTER_OTLP_… set this and more [default: `$OTEL_EXPORTER_OTLP_ENDPOINT`, or `http://localhost:4318`]"
    )]
    pub(in crate::cli) otlp: Option<String>,
    /// Time to wait for the collector at the end
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub(in crate::cli) otlp_timeout: Duration,
    /// Serve metrics to Prometheus, at http://ADDR:PORT/metrics
    #[arg(
        long,
        value_name = "[ADDR:]PORT",
        value_parser = address,
        long_help = "Serve metrics to Prometheus, at http://ADDR:PORT/metrics. Without ADDR only this machine can read them"
    )]
    pub(in crate::cli) prometheus: Option<SocketAddr>,
}

impl TelemetryArgs {
    /// The collector. The inner one is `None` if the variables say it.
    pub(in crate::cli) fn collector(&self) -> Option<Option<&str>> {
        let url = self.otlp.as_deref()?;
        Some((!url.is_empty()).then_some(url))
    }
}

/// A port, with an optional address before it.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok((IpAddr::V4(Ipv4Addr::LOCALHOST), port).into());
    }
    let text = text.replacen("localhost:", "127.0.0.1:", 1);
    text.parse()
        .map_err(|_| "write a port, or an address and a port: `9464`, `0.0.0.0:9464`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_this_machine_s_unless_told() {
        for (text, expected) in [
            ("9464", "127.0.0.1:9464"),
            (":9464", "127.0.0.1:9464"),
            ("localhost:1", "127.0.0.1:1"),
            ("0.0.0.0:9464", "0.0.0.0:9464"),
            ("[::1]:9464", "[::1]:9464"),
        ] {
            assert_eq!(address(text), Ok(expected.parse().unwrap()));
        }
        for text in ["", "host:1", "1.2.3.4", "70000"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
