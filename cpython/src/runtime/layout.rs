//! Checks that the target's structures are where this crate believes them.

use super::Refusal;
use crate::heap::Heap;
use crate::interpreter::{Interpreter, PyVersion, ThreadStatePlace};
use crate::memory::{Numbers as _, TargetMemory};
use crate::native::Native;
use crate::offsets::{Offsets, VersionTable};
use crate::threads::threads;

/// The bytes with which `_Py_DebugOffsets` begins.
const COOKIE: [u8; 8] = *b"xdebugpy";
/// Largest offset that a field of the interpreter's structures can have.
const LARGEST: u64 = 16 << 20;
/// Bytes of the collector's state in which its lists begin.
const COLLECTOR: u64 = 128;
/// Bytes of a generation: the head of its list, and two numbers of 32 bits.
const GENERATION: u64 = 24;
/// Number of generations, without the permanent one.
const GENERATIONS: u64 = 3;

/// The offsets of this interpreter: the table's, with what the interpreter itself tells.
///
/// The structures of objects must be those of the table. The structures of the interpreter's
/// state have moved within minor versions: here the interpreter's word counts.
pub(super) fn settle_offsets(
    memory: &dyn TargetMemory,
    runtime: u64,
    version: PyVersion,
    table: &VersionTable,
) -> Result<Offsets, Refusal> {
    let mut offsets = table.offsets.clone();
    if table.debug.is_empty() {
        return Ok(offsets);
    }
    let layout = |what: String| Refusal::Layout { version, what };
    if memory.array::<8>(runtime)? != COOKIE {
        return Err(layout("`_Py_DebugOffsets` has another start".to_owned()));
    }
    let [_, micro, minor, major, ..] = memory.array::<8>(runtime.wrapping_add(8))?;
    if (major, minor) != (3, version.minor) || version.micro.is_some_and(|known| known != micro) {
        return Err(layout(
            "`_Py_DebugOffsets` is of another version".to_owned(),
        ));
    }
    match memory.word(runtime.wrapping_add(16))? {
        0 => {}
        1 => return Err(Refusal::FreeThreaded { version }),
        _ => return Err(layout("`_Py_DebugOffsets` is damaged".to_owned())),
    }
    for field in table.debug {
        let told = memory.word(runtime.wrapping_add(field.at))?;
        let known = offsets.get(field.name);
        if told >= LARGEST || told % 4 != 0 && known != Some(told) {
            let name = field.name;
            return Err(layout(format!(
                "`{name}` is said to be at offset {told:#x}"
            )));
        }
        if known == Some(told) {
            continue;
        }
        if !field.may_differ() {
            return Err(layout(format!(
                "`{}` is at offset {told} instead of {}",
                field.name,
                known.unwrap_or_default()
            )));
        }
        // Fields that `_Py_DebugOffsets` leaves out, behind the one that moved, moved too.
        if field.name.starts_with("interpreter_") {
            offsets.interpreter_jit = None;
            offsets.interpreter_executors = None;
        }
        offsets.set(field.name, told);
    }
    Ok(offsets)
}

/// Checks plain facts of live objects, and finds the collector's lists.
pub(super) fn check_layout(
    memory: &dyn TargetMemory,
    python: &mut Interpreter,
    pid: u32,
) -> Result<(), Refusal> {
    let version = python.version;
    let layout = |what: &str| Refusal::Layout {
        version,
        what: what.to_owned(),
    };
    let (lists, main) = {
        let heap = Heap::new(memory, python);
        for (native, name) in [
            (Native::Type, "type"),
            (Native::Str, "str"),
            (Native::Int, "int"),
            (Native::Dict, "dict"),
            (Native::Function, "function"),
            (Native::Code, "code"),
        ] {
            let address = python.type_of(native);
            let ty = address.and_then(|address| heap.type_at(address).ok());
            if ty.is_none_or(|ty| ty.name != name || ty.native != native) {
                return Err(layout(&format!("the type `{name}` has another layout")));
            }
        }
        let mut lists = Vec::new();
        for state in &python.states {
            lists.extend(collector_lists(memory, python, *state));
        }
        (lists, python.states.last().copied().unwrap_or_default())
    };
    let heap = Heap::new(memory, python);
    let modules = memory.word(main.wrapping_add(python.offsets.interpreter_modules))?;
    if modules == 0 {
        return Err(Refusal::NotYet { pid });
    }
    if !heap.is(modules, Native::Dict) {
        return Err(layout("`sys.modules` is no dict"));
    }
    let sys = heap.lookup(modules, "sys").ok().flatten();
    let Some(sys) = sys else {
        return Err(Refusal::NotYet { pid });
    };
    if !heap.is(sys, Native::Module) {
        return Err(layout("`sys` is no module"));
    }
    check_threads(memory, python, main).map_err(layout)?;
    if lists.is_empty() {
        return Err(layout("the lists of the garbage collector are not found"));
    }
    python.collector = lists;
    Ok(())
}

/// Checks thread states by the frames that they run, and the way to a thread's own.
fn check_threads(
    memory: &dyn TargetMemory,
    python: &Interpreter,
    main: u64,
) -> Result<(), &'static str> {
    let all = threads(memory, python);
    if all.iter().all(|thread| thread.interpreter != main) {
        return Err("the main interpreter has no thread");
    }
    let known = |state: u64| all.iter().any(|thread| thread.state == state);
    // Zero while no thread runs Python code, or while this one does not.
    let is_unknown = |state: u64| state != 0 && !known(state);
    if let ThreadStatePlace::Global(address) = python.thread_state {
        if memory.word(address).is_ok_and(is_unknown) {
            return Err("the thread that holds the GIL is unknown");
        }
        return Ok(());
    }
    for thread in all.iter().filter(|thread| thread.thread_pointer != 0) {
        // Threads that ended have no memory any more.
        let own = python.thread_state.read(memory, thread.thread_pointer);
        if own.is_ok_and(is_unknown) {
            return Err("a thread's own thread state is unknown");
        }
    }
    Ok(())
}

/// Heads of the collector's lists: of three generations, and of the objects that `gc.freeze()` has put aside.
///
/// Patch releases have moved them within the collector's state, so they are recognized: a head is
/// the next of its previous and the previous of its next element.
fn collector_lists(memory: &dyn TargetMemory, python: &Interpreter, state: u64) -> Vec<u64> {
    let offsets = &python.offsets;
    let start = match (offsets.interpreter_gc, offsets.runtime_gc) {
        (Some(offset), _) => state.wrapping_add(offset),
        (None, Some(offset)) => python.runtime.wrapping_add(offset),
        (None, None) => return Vec::new(),
    };
    let is_head = |head: u64| {
        let next = memory.word(head);
        let previous = memory.word(head.wrapping_add(8));
        let (Ok(next), Ok(previous)) = (next, previous) else {
            return false;
        };
        let back = memory.word((next & !3).wrapping_add(8));
        let forth = memory.word(previous & !3);
        next != 0
            && back.is_ok_and(|back| back & !3 == head)
            && forth.is_ok_and(|forth| forth & !3 == head)
    };
    // The lists change while they are read: a busy program may need several looks.
    for _ in 0..20 {
        let found = (0..COLLECTOR).step_by(4).find(|offset| {
            let base = start.wrapping_add(*offset);
            (0..GENERATIONS).all(|at| is_head(base.wrapping_add(at * GENERATION)))
        });
        let Some(offset) = found else {
            continue;
        };
        let base = start.wrapping_add(offset);
        let mut heads: Vec<u64> = (0..GENERATIONS)
            .map(|at| base.wrapping_add(at * GENERATION))
            .collect();
        let behind = base.wrapping_add(GENERATIONS * GENERATION);
        let permanent = (0..24).step_by(4).map(|gap| behind.wrapping_add(gap));
        heads.extend(permanent.into_iter().find(|head| is_head(*head)));
        return heads;
    }
    Vec::new()
}
