//! Stacks of Python frames, their variables, and the names of threads.
//!
//! A stack is only whole while its thread does not run: see the crate's documentation.

use crate::code::{instruction_bytes, line_at, line_table};
use crate::heap::{Heap, PyMissing, Read};
use crate::limits::{NAMED_THREADS, VARIABLES};
use crate::memory::Numbers as _;
use crate::native::Native;
use crate::scope::FrameScope;
use crate::threads::{FrameAddress, frames};
use crate::value::{PyValue, ValueLimits, decode};

/// A frame of Python code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PyFrame {
    /// Its addresses.
    pub address: FrameAddress,
    /// Path of the source file.
    pub file: String,
    /// Qualified name of the function.
    pub function: String,
    /// The line that runs. `None` for code without lines.
    pub line: Option<u32>,
}

/// The Python frames of a thread state, innermost first. Frames that make no sense are left out.
#[must_use]
pub fn stack(heap: &Heap<'_>, state: u64) -> Vec<PyFrame> {
    let all = frames(heap.memory(), heap.python(), state);
    let described = all.into_iter().map(|frame| describe(heap, frame));
    described.filter_map(Result::ok).collect()
}

fn describe(heap: &Heap<'_>, address: FrameAddress) -> Read<PyFrame> {
    heap.expect(address.code, Native::Code, "code")?;
    let offsets = heap.offsets();
    let text = |offset: u64| heap.name(heap.pointer(address.code, offset)?);
    let table = line_table(heap, address.code)?;
    Ok(PyFrame {
        file: text(offsets.code_filename)?,
        function: text(offsets.code_qualname.unwrap_or(offsets.code_name))?,
        line: last_instruction(heap, address)?.and_then(|offset| line_at(&table, offset)),
        address,
    })
}

/// Offset of the instruction that a frame runs. `None` before its first one.
fn last_instruction(heap: &Heap<'_>, address: FrameAddress) -> Read<Option<usize>> {
    let place = address.frame.wrapping_add(heap.offsets().frame_instruction);
    let minor = heap.python().version.minor;
    if minor < 11 {
        // A number: of bytes, and in 3.10 of code units. Negative before the first instruction.
        let number = heap
            .memory()
            .half(place)
            .map_err(PyMissing::from)?
            .cast_signed();
        let scale = if minor == 10 { 2 } else { 1 };
        return Ok(usize::try_from(number).ok().map(|number| number * scale));
    }
    let (start, length) = instruction_bytes(heap, address.code)?;
    let offset = heap.word(place)?.wrapping_sub(start);
    let offset = usize::try_from(offset).ok();
    Ok(offset.filter(|offset| *offset < length))
}

/// The variables of a frame that have a value, in the order of the code.
///
/// # Errors
///
/// [`PyMissing`] if the frame cannot be read. A single variable that cannot is unavailable.
pub fn locals(
    heap: &Heap<'_>,
    frame: FrameAddress,
    limits: ValueLimits,
) -> Read<Vec<(String, PyValue)>> {
    let scope = FrameScope::new(heap, frame)?;
    let mut found = Vec::new();
    for variable in scope.names().variables.iter().take(VARIABLES) {
        let value = match scope.variable(variable) {
            Ok(object) => decode(heap, object, limits),
            Err(PyMissing::Unbound) => continue,
            Err(missing) => PyValue::Unavailable(missing),
        };
        found.push((variable.name.clone(), value));
    }
    Ok(found)
}

/// The names of all threads that `threading` knows, by their `ident`, which is the thread pointer
/// of a thread state.
///
/// # Errors
///
/// [`PyMissing`] if the memory cannot be read or is damaged. A program that has not imported
/// `threading` has no names.
pub fn thread_names(heap: &Heap<'_>) -> Read<foldhash::HashMap<u64, String>> {
    let mut names = foldhash::HashMap::default();
    for state in &heap.python().states {
        let modules = heap.pointer(*state, heap.offsets().interpreter_modules)?;
        let Some(threading) = heap.lookup(modules, "threading")? else {
            continue;
        };
        heap.expect(threading, Native::Module, "module")?;
        let dict = heap.pointer(threading, heap.offsets().module_dict)?;
        let Some(active) = heap.lookup(dict, "_active")? else {
            continue;
        };
        heap.expect(active, Native::Dict, "dict")?;
        for (ident, thread) in heap.dict(active, NAMED_THREADS)?.entries {
            // A thread that is being made has no name yet.
            if let Some(ident) = heap.small_int(ident)
                && let Ok(Some(name)) = heap.attribute(thread, "_name")
                && let Ok(name) = heap.name(name)
            {
                names.insert(ident.cast_unsigned(), name);
            }
        }
    }
    Ok(names)
}
