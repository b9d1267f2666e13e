//! Copies the kernel side's own messages, sent by aya-log, to the tracer's log if it is on.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::EbpfLoader;
use aya::maps::Map;
use aya_log::{EbpfLogger, Level};
use aya_obj::Object;
use log::{Log, Metadata, Record};
use tracing::Level as Wanted;

use crate::kernel::error::KernelError;

/// The ring that the kernel side writes to.
pub(in crate::kernel) const MAP: &str = "AYA_LOGS";
/// Size of the ring in bytes if messages are written: some seven hundred of them. Messages that
/// find no space are dropped.
const RING: u32 = 1 << 18;
/// The least that the kernel makes.
const LEAST_RING: u32 = 1 << 12;

/// The reader's end of the messages.
pub(in crate::kernel) type Diagnostics = EbpfLogger<Tracing>;

/// Writes messages as events of `tracing`, under the target `tracer_ebpf`.
pub(in crate::kernel) struct Tracing;

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

/// The log level for the programs; 0 if our log does not show their messages.
pub(in crate::kernel) fn level() -> [u8; 1] {
    let level = if tracing::enabled!(target: "tracer_ebpf", Wanted::TRACE) {
        Level::Trace as u8
    } else if tracing::enabled!(target: "tracer_ebpf", Wanted::DEBUG) {
        Level::Debug as u8
    } else {
        0
    };
    [level]
}

/// Common part of the names of the functions that write messages.
const WRITERS: &str = "11diagnostics";
/// `r0 = 0`
const NOTHING: u8 = 0xb7;
/// `exit`
const EXIT: u8 = 0x95;

/// Empties the functions that write messages. They are not called at level 0, but they are half of
/// the programs, and the verifier has to process them.
pub(in crate::kernel) fn leave_out(object: &mut Object) {
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
            // The kernel expects a line for each function, and none after the function's end.
            function.line_info.line_info.truncate(1);
            function.line_info.num_info = function.line_info.num_info.min(1);
        }
    }
}

/// The messages, and the ring for the programs to write them to. `None` if there will be no
/// messages.
///
/// aya-log reads the ring of an object that aya's loader has loaded. Here the programs of that
/// object never run, and its maps have the smallest possible sizes.
///
/// # Errors
/// The kernel refused, or the object has no such ring.
pub(in crate::kernel) fn open(elf: &[u8]) -> Result<Option<(Diagnostics, OwnedFd)>, KernelError> {
    if level() == [0] {
        return Ok(None);
    }
    let mut loader = EbpfLoader::new();
    loader.map_max_entries("EVENTS", LEAST_RING);
    loader.map_max_entries("MEMBER_MESSAGES", LEAST_RING);
    loader.map_max_entries(MAP, RING);
    for map in ["SCRATCH", "NUMBERS", "VALUES"] {
        loader.map_max_entries(map, 1);
    }
    let mut ebpf = loader
        .btf(None)
        .load(elf)
        .map_err(|error| KernelError::of_loader(&error))?;
    let Some(Map::RingBuf(ring)) = ebpf.map(MAP) else {
        return Err(KernelError::unexpected(MAP));
    };
    let ring = ring.fd().as_fd().try_clone_to_owned();
    let ring = ring.map_err(|error| KernelError::call("open the ring of messages", error))?;
    let log = EbpfLogger::init_with_logger(&mut ebpf, Tracing)
        .map_err(|_| KernelError::unexpected(MAP))?;
    Ok(Some((log, ring)))
}

#[cfg(test)]
mod tests {
    use super::super::object::OBJECT;
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
