//! The threads that the interpreter knows.

use crate::interpreter::Interpreter;
use crate::limits::{FRAMES, THREADS};
use crate::memory::{Numbers as _, TargetMemory, Unreadable};

/// A thread state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadState {
    /// Address of the `PyThreadState`.
    pub state: u64,
    /// Address of its interpreter's state.
    pub interpreter: u64,
    /// `pthread_t` of the thread: its thread pointer (`fs` base), and `Thread.ident`.
    pub thread_pointer: u64,
    /// The thread's id for the kernel, from 3.11 on. In the thread's own PID namespace.
    pub native_id: Option<u64>,
}

/// All thread states, newest first. What cannot be read ends the list.
#[must_use]
pub fn threads(memory: &dyn TargetMemory, python: &Interpreter) -> Vec<ThreadState> {
    let mut all: Vec<ThreadState> = Vec::new();
    let mut seen = foldhash::HashSet::default();
    for interpreter in &python.states {
        let head = interpreter.wrapping_add(python.offsets.interpreter_threads_head);
        let mut state = memory.word(head).unwrap_or(0);
        while state != 0 && all.len() < THREADS && seen.insert(state) {
            let Ok(thread) = thread(memory, python, *interpreter, state) else {
                break;
            };
            all.push(thread);
            state = memory
                .word(state.wrapping_add(python.offsets.thread_next))
                .unwrap_or(0);
        }
    }
    all
}

fn thread(
    memory: &dyn TargetMemory,
    python: &Interpreter,
    interpreter: u64,
    state: u64,
) -> Result<ThreadState, Unreadable> {
    let native_id = match python.offsets.thread_native_id {
        Some(offset) => Some(memory.word(state.wrapping_add(offset))?),
        None => None,
    };
    Ok(ThreadState {
        state,
        interpreter,
        thread_pointer: memory.word(state.wrapping_add(python.offsets.thread_id))?,
        native_id,
    })
}

/// `FRAME_OWNED_BY_CSTACK`, and from 3.14 on `FRAME_OWNED_BY_INTERPRETER`. Larger ones follow.
const OWNED_BY_C: u8 = 3;

/// A frame, by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameAddress {
    /// Address of the `_PyInterpreterFrame`, or of the `PyFrameObject` up to 3.10.
    pub frame: u64,
    /// Address of the code object or, for frames of C code, of another object.
    pub code: u64,
}

/// The frames of a thread state, innermost first, [`FRAMES`] at most.
#[must_use]
pub fn frames(memory: &dyn TargetMemory, python: &Interpreter, state: u64) -> Vec<FrameAddress> {
    let offsets = &python.offsets;
    let mut all: Vec<FrameAddress> = Vec::new();
    let mut next = innermost(memory, python, state).unwrap_or(0);
    for _ in 0..FRAMES {
        if next == 0 {
            break;
        }
        let Ok(code) = memory.word(next.wrapping_add(offsets.frame_code)) else {
            break;
        };
        let owner = offsets
            .frame_owner
            .map_or(Ok(0), |at| memory.byte(next.wrapping_add(at)));
        // From 3.12 on, calls from C code have a frame of their own, which runs no Python code.
        if python.version.minor < 12 || owner.is_ok_and(|owner| owner < OWNED_BY_C) {
            all.push(FrameAddress {
                frame: next,
                code: python.untagged(code),
            });
        }
        next = memory
            .word(next.wrapping_add(offsets.frame_previous))
            .unwrap_or(0);
    }
    all
}

/// The frame that a thread state runs. Zero if it runs none.
fn innermost(
    memory: &dyn TargetMemory,
    python: &Interpreter,
    state: u64,
) -> Result<u64, Unreadable> {
    let first = memory.word(state.wrapping_add(python.offsets.thread_frame))?;
    match python.offsets.cframe_frame {
        Some(_) if first == 0 => Ok(0),
        Some(offset) => memory.word(first.wrapping_add(offset)),
        None => Ok(first),
    }
}
