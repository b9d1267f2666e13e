//! Options of `tracer mcp`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::config::Config;
use super::telemetry::address;
use super::{DebugArgs, TargetArgs, duration};
use crate::cli::failure::CommandFailure;
use crate::lang::parse_share;

pub(super) const EXAMPLES: &str = "\
Examples:
  sudo tracer mcp --pid 4242
  sudo tracer mcp --unit shop.service --user www-data --ttl 2m --max-hits 200 --audit /var/log/tracer-mcp.jsonl
  sudo tracer mcp --exe /usr/bin/shop --wait --redact 'card*'
  sudo tracer mcp --pid 4242 --listen 8931 --token-file token

An MCP client starts it, as in `{\"command\": \"sudo\", \"args\": [\"-n\", \"tracer\", \"mcp\", \"--pid\", \"shop\"]}`, and ends it by
closing its stdin. SIGUSR1 is the emergency stop: all probes are removed at once, and no other can be added.
https://modelcontextprotocol.io describes the protocol.";

/// Serve an assistant.
#[derive(ClapArgs, Debug)]
pub(in crate::cli) struct McpArgs {
    #[command(flatten)]
    pub(in crate::cli) target: TargetArgs,
    #[command(flatten)]
    pub(in crate::cli) limits: SandboxArgs,
    /// Write all that is asked and shown to this file, as lines of JSON behind its end
    #[arg(
        long,
        value_name = "FILE",
        long_help = "Write all that is asked and shown to this file, as lines of JSON behind its end. A line is on the disk before the answer leaves. If it cannot be written, nothing is answered any more, all probes are removed, and the server ends with exit code 2"
    )]
    pub(in crate::cli) audit: Option<PathBuf>,
    /// A recording that the assistant may read; may be given more than once
    #[arg(
        long = "recording",
        value_name = "FILE",
        long_help = "A recording that the assistant may read; may be given more than once. A recording that may have values that are redacted here is refused"
    )]
    pub(in crate::cli) recordings: Vec<PathBuf>,
    /// Serve clients over HTTP at http://ADDR:PORT/mcp, instead of stdin and stdout
    #[arg(
        long,
        value_name = "[ADDR:]PORT",
        value_parser = address,
        long_help = "Serve clients over HTTP (streamable HTTP) at http://ADDR:PORT/mcp, instead of stdin and stdout. Without ADDR only this machine can reach it. Clients must send the token, as `Authorization: Bearer TOKEN`. The connection is not encrypted"
    )]
    pub(in crate::cli) listen: Option<SocketAddr>,
    /// The token of `--listen` is in this file [default: a new one, which is printed]
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub(in crate::cli) token_file: Option<PathBuf>,
    /// Read limits of values and names to redact from this file [default: `~/.config/tracer/config.toml`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) debug: DebugArgs,
    /// Limits on what is read of a value.
    #[arg(skip)]
    pub(in crate::cli) values: crate::plan::Limits,
    /// Remarks on the configuration file.
    #[arg(skip)]
    pub(in crate::cli) notes: Vec<String>,
}

impl McpArgs {
    /// Takes limits of values and names to redact from the configuration file.
    ///
    /// # Errors
    /// It has a mistake, or the named file cannot be read.
    pub(super) fn configure(&mut self) -> Result<(), CommandFailure> {
        let config = Config::load(self.config.as_deref())?;
        self.limits.redact.extend(config.redact);
        self.values = config.limits.of_values();
        self.notes = config.notes;
        Ok(())
    }
}

/// The limits that the assistant cannot change.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Limits (a probe that asks for more gets as much as they allow)")]
pub(in crate::cli) struct SandboxArgs {
    /// Time to live of a probe
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub(in crate::cli) ttl: Duration,
    /// Events of one probe; of a `trace`, calls
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) max_hits: u64,
    /// Events per second of one probe
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(in crate::cli) max_rate: u64,
    /// CPU time that all probes together may cost the target, as a percentage of one CPU
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = share)]
    pub(in crate::cli) max_cpu: f64,
    /// Probes at a time
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(in crate::cli) max_probes: u64,
    /// Redact the values of these names too, beside `password`, `token`, `secret`, …; `card*` is
    /// each that begins so. Redaction cannot be switched off
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) redact: Vec<String>,
}

fn share(text: &str) -> Result<f64, String> {
    let percent = format!("{}%", text.trim_end_matches('%'));
    parse_share(&percent).ok_or_else(|| "write a percentage of one CPU, as in `5%`".into())
}
