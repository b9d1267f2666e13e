//! What the kernel side says of itself, by aya-log: into our own log, when that wants it.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::EbpfLoader;
use aya::maps::Map;
use aya_log::{EbpfLogger, Level};
use aya_obj::Object;
use log::{Log, Metadata, Record};
use tracing::Level as Wanted;

use super::error::KernelError;
use super::load::{load_error, unexpected};

/// The ring that the kernel side writes to.
pub(super) const MAP: &str = "AYA_LOGS";
/// Bytes of it when something is written: some seven hundred messages. What finds no room is dropped.
const RING: u32 = 1 << 18;
/// The least that the kernel makes.
const LEAST_RING: u32 = 1 << 12;

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

/// What the functions that write messages have in their names.
const WRITERS: &str = "11diagnostics";
/// `r0 = 0`
const NOTHING: u8 = 0xb7;
/// `exit`
const EXIT: u8 = 0x95;

/// Makes the functions that write messages do nothing: nobody calls them where the level is 0,
/// but they are half of the programs, and the verifier carries them along.
pub(super) fn leave_out(object: &mut Object) {
    let functions = object.functions.values_mut();
    for function in functions.filter(|function| function.name.contains(WRITERS)) {
        let body = &mut function.instructions;
        if let [first, second, ..] = &mut body[..] {
            (first.code, first.off, first.imm) = (NOTHING, 0, 0);
            first.set_dst_reg(0);
            first.set_src_reg(0);
            (second.code, second.off, second.imm) = (EXIT, 0, 0);
            second.set_dst_reg(0);
            second.set_src_reg(0);
            body.truncate(2);
            // The kernel wants to know a line for each function, and none behind its end.
            function.line_info.line_info.truncate(1);
            function.line_info.num_info = function.line_info.num_info.min(1);
        }
    }
}

/// The messages, and the ring that the programs are to write them to; `None` when there will be
/// none.
///
/// aya-log reads the ring of an object that aya's loader has loaded: here one whose programs never
/// run, with as little room as its maps can have.
///
/// # Errors
/// The kernel refused, or the object has no such ring.
pub(super) fn open(elf: &[u8]) -> Result<Option<(Diagnostics, OwnedFd)>, KernelError> {
    if level() == [0] {
        return Ok(None);
    }
    let mut loader = EbpfLoader::new();
    loader.map_max_entries("EVENTS", LEAST_RING);
    loader.map_max_entries("FAMILY_MESSAGES", LEAST_RING);
    loader.map_max_entries(MAP, RING);
    for map in ["SCRATCH", "NUMBERS", "VALUES"] {
        loader.map_max_entries(map, 1);
    }
    let mut ebpf = loader
        .btf(None)
        .load(elf)
        .map_err(|error| load_error(&error))?;
    let Some(Map::RingBuf(ring)) = ebpf.map(MAP) else {
        return Err(unexpected(MAP));
    };
    let ring = ring.fd().as_fd().try_clone_to_owned();
    let ring = ring.map_err(|error| KernelError::call("open the ring of messages", error))?;
    let log = EbpfLogger::init_with_logger(&mut ebpf, Tracing).map_err(|_| unexpected(MAP))?;
    Ok(Some((log, ring)))
}

#[cfg(test)]
mod tests {
    use super::super::load::OBJECT;
    use super::*;

    #[test]
    fn functions_that_write_messages_are_left_out() {
        let before = Object::parse(OBJECT).expect("an object");
        let mut after = Object::parse(OBJECT).expect("an object");
        leave_out(&mut after);
        let mut left_out = 0;
        for (key, function) in &before.functions {
            let now = after.functions.get(key).expect("the same functions");
            if now.instructions.len() == function.instructions.len() {
                continue;
            }
            assert!(function.name.contains("write_"), "{}", function.name);
            assert_eq!(now.instructions.len(), 2);
            // The object that the crate carries has no lines.
            let lines = function.line_info.line_info.len().min(1);
            assert_eq!(now.line_info.line_info.len(), lines);
            left_out += 1;
        }
        assert_eq!(left_out, 5);
    }
}
