//! What the kernel side says of itself, by aya-log: into our own log, when that wants it.

use aya::Ebpf;
use aya_log::{EbpfLogger, Level};
use log::{Log, Metadata, Record};
use tracing::Level as Wanted;

use super::error::KernelError;
use super::load::unexpected;

/// The ring that the kernel side writes to.
pub(super) const MAP: &str = "AYA_LOGS";
/// Bytes of it when something is written: some seven hundred messages. What finds no room is dropped.
const RING: u32 = 1 << 18;
/// Bytes of it when nothing is: the least that the kernel makes.
const NO_RING: u32 = 1 << 12;

/// The reader's end of the messages.
pub(super) type Diagnostics = EbpfLogger<Tracing>;

/// Writes messages as events of `tracing`, under the target `tracer_ebpf`.
pub(super) struct Tracing;

impl Log for Tracing {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        level() != [0]
    }

    fn log(&self, record: &Record<'_>) {
        match record.level() {
            log::Level::Trace => tracing::trace!(target: "tracer_ebpf", "{}", record.args()),
            _ => tracing::debug!(target: "tracer_ebpf", "{}", record.args()),
        }
    }

    fn flush(&self) {}
}

/// The level that the programs are loaded with: 0 when our log does not want their messages.
pub(super) fn level() -> [u8; 1] {
    let level = if tracing::enabled!(target: "tracer_ebpf", Wanted::TRACE) {
        Level::Trace as u8
    } else if tracing::enabled!(target: "tracer_ebpf", Wanted::DEBUG) {
        Level::Debug as u8
    } else {
        0
    };
    [level]
}

/// Bytes of the ring of messages.
pub(super) fn ring_bytes() -> u32 {
    if level() == [0] { NO_RING } else { RING }
}

/// The messages; `None` when there will be none.
///
/// # Errors
/// The object has no room for them.
pub(super) fn open(ebpf: &mut Ebpf) -> Result<Option<Diagnostics>, KernelError> {
    if level() == [0] {
        return Ok(None);
    }
    EbpfLogger::init_with_logger(ebpf, Tracing)
        .map(Some)
        .map_err(|_| unexpected(MAP))
}
