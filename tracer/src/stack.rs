//! Call stacks from captured bytes: turns registers and a slice of stack memory into the
//! registers of each frame.
//!
//! It uses the addresses of modules and their call frame information. It names no functions and
//! reads no process.

use std::ops::Range;
use std::sync::Arc;

use crate::arch::{INSTRUCTION_POINTER, REGISTERS, STACK_POINTER, signal_frame};
use crate::base::address::{Bias, LinkAddr, RunAddr};
use crate::debuginfo::Module;
use crate::debuginfo::unwind::{Caller, Registers, UnwindError};

/// Size in bytes of one word of the stack.
const WORD: usize = 8;

/// The part of the stack that a hit sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapturedStack {
    /// Registers by DWARF number, the instruction pointer last; `None` if the record had no room
    /// for them.
    pub registers: [Option<u64>; REGISTERS],
    /// Memory from the stack pointer up.
    pub memory: Vec<u8>,
    /// True if the memory ends at an unreadable page, and not at the capture limit.
    pub ended: bool,
}

impl CapturedStack {
    /// Returns the run address of the captured memory.
    #[must_use]
    pub fn start(&self) -> Option<u64> {
        self.registers
            .get(usize::from(STACK_POINTER))
            .copied()
            .flatten()
    }

    /// Returns the bytes at a run address, if all of them were captured.
    #[must_use]
    pub fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(self.start()?)?).ok()?;
        self.memory.get(start..start.checked_add(length)?)
    }

    fn word(&self, address: u64) -> Option<u64> {
        let bytes = self.bytes(address, WORD)?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}

/// A module and its place in the process.
#[derive(Clone)]
pub struct PlacedModule {
    /// The module.
    pub module: Arc<Module>,
    /// Run address minus link address.
    pub bias: Bias,
}

/// One frame of a function with code of its own.
#[derive(Clone)]
pub struct RawFrame {
    /// Module of its code; `None` if no file is mapped there.
    pub placed: Option<PlacedModule>,
    /// Address of its next instruction, which follows a call in all frames but the innermost.
    pub address: RunAddr,
    /// Link address within the current instruction: the call, in all frames but the innermost.
    pub lookup: LinkAddr,
    /// Its registers.
    pub registers: Registers,
    /// True for the kernel's frame between a signal handler and the code that the signal
    /// interrupted.
    pub signal: bool,
    /// True if a hit or a signal interrupted the frame at its next instruction, so that it made
    /// no call.
    pub interrupted: bool,
}

/// The frames of a stack, innermost first.
pub struct StackWalk {
    /// The frames, at most as many as requested.
    pub frames: Vec<RawFrame>,
    /// Reason why there are no more frames; `None` if there are as many as requested, or all.
    pub stopped: Option<String>,
}

/// Walks a captured stack.
#[must_use]
pub fn walk(
    stack: &CapturedStack,
    depth: usize,
    find: &dyn Fn(RunAddr) -> Option<PlacedModule>,
) -> StackWalk {
    let mut walk = StackWalk {
        frames: Vec::new(),
        stopped: None,
    };
    let mut caller = Caller {
        registers: Registers(stack.registers),
        // The innermost frame has not called: its next instruction is the current one.
        signal: true,
    };
    while walk.frames.len() < depth {
        let Some(next_instruction) = caller.registers.get(usize::from(INSTRUCTION_POINTER)) else {
            walk.stopped = Some("the registers were not captured".into());
            break;
        };
        let frame = frame(next_instruction, &caller, find);
        let next = next(&frame, stack);
        walk.frames.push(frame);
        match next {
            Ok(next) => caller = next,
            Err(UnwindError::Outermost) => break,
            Err(error) => {
                let other = walk.frames.iter().rev().find(|frame| frame.signal);
                walk.stopped = Some(why(&error, stack, other));
                break;
            }
        }
    }
    walk
}

fn frame(
    next_instruction: u64,
    caller: &Caller,
    find: &dyn Fn(RunAddr) -> Option<PlacedModule>,
) -> RawFrame {
    // The instruction after a call may belong to another line or to another function.
    let under_way = RunAddr(if caller.signal {
        next_instruction
    } else {
        next_instruction.wrapping_sub(1)
    });
    let placed = find(under_way);
    let lookup = placed
        .as_ref()
        .map_or(LinkAddr(under_way.0), |placed| placed.bias.link(under_way));
    let is_signal = |placed: &PlacedModule| {
        let here = placed.bias.link(RunAddr(next_instruction));
        placed.module.is_signal_frame(here)
    };
    RawFrame {
        signal: placed.as_ref().is_some_and(is_signal),
        placed,
        address: RunAddr(next_instruction),
        lookup,
        registers: caller.registers,
        interrupted: caller.signal,
    }
}

fn next(frame: &RawFrame, stack: &CapturedStack) -> Result<Caller, UnwindError> {
    let memory = |address| stack.word(address);
    match &frame.placed {
        Some(placed) if frame.signal => {
            let here = placed.bias.link(frame.address);
            placed.module.interrupted(here, &frame.registers, &memory)
        }
        Some(placed) => {
            let (at, interrupted) = (frame.lookup, frame.interrupted);
            placed
                .module
                .caller(at, interrupted, &frame.registers, &memory)
        }
        None => Err(UnwindError::NoRule {
            address: LinkAddr(frame.address.0),
        }),
    }
}

/// Returns the reason why a walk ends at an error. `signal` is the last signal frame on the way.
fn why(error: &UnwindError, stack: &CapturedStack, signal: Option<&RawFrame>) -> String {
    let UnwindError::Memory { address } = *error else {
        return error.to_string();
    };
    let alternate = signal.and_then(|frame| alternate_stack(frame, stack));
    let left_alternate = alternate.is_some_and(|range| !range.contains(&address));
    // The frames of callers are above those of the functions that they call.
    let below = stack.start().is_some_and(|start| address < start);
    if left_alternate || below {
        return "the next frames are on another stack, which was not captured".to_owned();
    }
    if stack.ended {
        return error.to_string();
    }
    format!(
        "the stack beyond {} bytes was not captured",
        stack.memory.len()
    )
}

/// Returns the alternate signal stack that contains a signal frame, from the data that the kernel
/// wrote to the frame, or `None` if the frame is on the interrupted stack.
fn alternate_stack(frame: &RawFrame, stack: &CapturedStack) -> Option<Range<u64>> {
    let context = frame.registers.get(usize::from(STACK_POINTER))?;
    let start = stack.word(context.checked_add(signal_frame::STACK_START)?)?;
    let size = stack.word(context.checked_add(signal_frame::STACK_SIZE)?)?;
    let range = start..start.checked_add(size)?;
    range.contains(&context).then_some(range)
}
