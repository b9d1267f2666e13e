//! The search for an interpreter, and its checks.

use std::ops::Range;

use super::Refusal;
use super::image::EVAL;
use super::layout::{check_layout, settle_offsets};
use super::{mappings, thread_state};
use crate::interpreter::Interpreter;
use crate::limits::THREADS;
use crate::memory::{LiveMemory, Numbers as _, TargetMemory};
use crate::native::KnownObjects;
use crate::offsets::{Offsets, table};

impl Interpreter {
    /// Finds CPython in a process, and checks that its structures are as this crate knows them.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if there is none or if its lines cannot be traced exactly.
    pub fn find(pid: u32) -> Result<Self, Refusal> {
        let memory = LiveMemory::open(pid).map_err(|error| Refusal::Open {
            path: format!("/proc/{pid}/mem").into(),
            error,
        })?;
        Self::find_in(pid, &memory)
    }

    /// As [`Self::find`], with memory that is open already.
    ///
    /// # Errors
    ///
    /// As [`Self::find`].
    pub fn find_in(pid: u32, memory: &dyn TargetMemory) -> Result<Self, Refusal> {
        let loaded = mappings::load(pid)?;
        let version = loaded.version(memory)?;
        let table = table(version.minor).ok_or(Refusal::UnknownVersion { version })?;
        let runtime = loaded.required("_PyRuntime")?;
        let offsets = settle_offsets(memory, runtime, version, table)?;
        let states = states(memory, runtime, &offsets)?;
        if states.is_empty() {
            return Err(Refusal::NotYet { pid });
        }
        loaded.required(EVAL)?;
        let eval = loaded.image.eval_ranges();
        let place = |range: Range<u64>| {
            range.start.wrapping_add(loaded.bias)..range.end.wrapping_add(loaded.bias)
        };
        let mut python = Self {
            version,
            runtime,
            eval: eval.into_iter().map(place).collect(),
            thread_state: thread_state::find(memory, &loaded, runtime, &offsets)
                .ok_or(Refusal::NoThreadState { version })?,
            known: KnownObjects::by_symbols(|symbol| loaded.address(symbol)),
            path: loaded.path,
            states,
            offsets,
            collector: Vec::new(),
            table,
        };
        if python.jit_is_on(memory)? {
            return Err(Refusal::JitOn { version });
        }
        check_layout(memory, &mut python, pid)?;
        Ok(python)
    }
}

/// The interpreter states, newest first.
fn states(memory: &dyn TargetMemory, runtime: u64, offsets: &Offsets) -> Result<Vec<u64>, Refusal> {
    let mut states = Vec::new();
    let mut state = memory.word(runtime.wrapping_add(offsets.runtime_interpreters_head))?;
    while state != 0 && states.len() < THREADS && !states.contains(&state) {
        states.push(state);
        state = memory.word(state.wrapping_add(offsets.interpreter_next))?;
    }
    Ok(states)
}
