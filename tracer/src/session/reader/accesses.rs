//! Accesses to watched values: the instruction that made one, and its place in the source.
//!
//! The processor reports an access after the instruction. So the instruction is the one before the place at which
//! the thread is, by the instructions of the function. Only a call leaves another one there, and a repeated string
//! instruction is still the current one if it was interrupted.

use std::collections::HashMap;
use std::sync::Arc;

use syscalls::Sysno;
use tracer_common::watch::{BY_KERNEL, BY_PROGRAM, FRAME_WAS_LEFT, OLD_IS_UNKNOWN};

use crate::arch::{INSTRUCTION_POINTER, Instruction, MAX_INSTRUCTION, REGISTERS, STACK_POINTER};
use crate::base::address::{LinkAddr, RunAddr};
use crate::debuginfo::Module;
use crate::debuginfo::site::Site;
use crate::event::{Access, AccessKind, KernelAccess, SiteOrigin};
use crate::kernel::{WatchOn, WatchedMemory};
use crate::session::reader::site_table::SiteEntry;
use crate::stack::PlacedModule;

/// Places whose instruction is remembered. Above that, all are forgotten.
const MOST_PLACES: usize = 1 << 12;

/// The code that made an access.
pub(super) struct AccessOrigin {
    /// The origin of its events.
    pub(super) origin: Arc<SiteOrigin>,
    /// The place of the instruction, for the first frame of the stack. `None` if no debug information has it.
    pub(super) site: Option<Site>,
    pub(super) access: Access,
}

impl AccessOrigin {
    /// The code that made the access, in words.
    pub(super) fn author(&self) -> String {
        let Self { origin, access, .. } = self;
        let function = &origin.function;
        match &access.by_kernel {
            Some(kernel) => format!("{kernel}, called by {function}"),
            None => match &access.uncertain {
                Some(why) => format!("{function} ({why})"),
                None => function.clone(),
            },
        }
    }
}

/// Identifies an access by the place of the thread behind it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct AccessKey {
    /// The events of one probe share their origins.
    site: usize,
    behind: Behind,
}

/// The state of a thread behind an access.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Behind {
    at: RunAddr,
    /// The kind of the access, see [`BY_PROGRAM`].
    access: u64,
    /// The value is at the top of the stack.
    is_top_of_stack: bool,
}

/// Size in bytes of a return address.
const WORD: u64 = 8;
/// The last page of a process with 47 bits of addresses.
const PROBED_CODE: u64 = 0x7fff_ffff_e000;
const PAGE: u64 = 4096;

/// Remembers the code of accesses, because a loop makes the same one again and again.
#[derive(Default)]
pub(super) struct AccessReader {
    known: HashMap<AccessKey, Arc<AccessOrigin>>,
}

impl AccessReader {
    /// The code that made an access, by the thread's registers behind it. `None` if the record lacks them.
    pub(super) fn origin(
        &mut self,
        entry: &SiteEntry,
        access: u64,
        registers: &[Option<u64>; REGISTERS],
        find: &dyn Fn(RunAddr) -> Option<PlacedModule>,
    ) -> Option<Arc<AccessOrigin>> {
        let watch = &entry.watch.as_ref()?.watch;
        let at = *registers.get(usize::from(INSTRUCTION_POINTER))?;
        let at = at?;
        let stack_pointer = registers.get(usize::from(STACK_POINTER)).copied().flatten();
        // A call stores its return address there.
        let is_top_of_stack = stack_pointer.is_some_and(|top| {
            let value = watch.address.0..watch.address.0 + u64::from(watch.size);
            top < value.end && value.start < top.saturating_add(WORD)
        });
        let behind = Behind {
            at: RunAddr(at),
            access: access & !OLD_IS_UNKNOWN,
            is_top_of_stack,
        };
        let key = AccessKey {
            site: Arc::as_ptr(&entry.origin).addr(),
            behind,
        };
        if let Some(known) = self.known.get(&key) {
            return Some(Arc::clone(known));
        }
        if self.known.len() >= MOST_PLACES {
            self.known.clear();
        }
        let origin = Arc::new(origin(entry, watch, behind, find));
        self.known.insert(key, Arc::clone(&origin));
        Some(origin)
    }
}

/// The instruction that made an access.
struct Accessor {
    instruction: Option<Instruction>,
    kind: AccessKind,
    uncertain: Option<String>,
}

fn origin(
    entry: &SiteEntry,
    watch: &WatchedMemory,
    behind: Behind,
    find: &dyn Fn(RunAddr) -> Option<PlacedModule>,
) -> AccessOrigin {
    let at = behind.at;
    let is_left = behind.access & FRAME_WAS_LEFT != 0;
    let access = behind.access & !FRAME_WAS_LEFT;
    let placed = find(at);
    let link = placed.as_ref().map(|placed| placed.bias.link(at));
    let by_kernel = (access != BY_PROGRAM).then(|| kernel_access(access));
    let accessor = match (&placed, link) {
        (Some(placed), Some(link)) => match by_kernel {
            None => accessor(&placed.module, link, watch.on, behind.is_top_of_stack),
            Some(_) => caller_of_kernel(&placed.module, link, watch.on),
        },
        _ => Accessor {
            instruction: None,
            kind: unknown_kind(watch.on),
            uncertain: Some(match is_of_probe(at) {
                true => "an instruction with a probe on it, which the kernel runs elsewhere".into(),
                false => "the code is in no file".into(),
            }),
        },
    };
    let instruction = accessor.instruction.as_ref();
    let code = instruction.map(|instruction| LinkAddr(instruction.address()));
    let code = code.or(link);
    let module = placed.as_ref().map(|placed| &placed.module);
    let site = module
        .zip(code)
        .and_then(|(module, code)| module.site_at(code));
    let run = match (&placed, code) {
        (Some(placed), Some(code)) => placed.bias.run(code),
        _ => at,
    };
    let function = match &site {
        Some(site) => site.function.clone(),
        None => {
            let name = module
                .zip(code)
                .and_then(|(module, code)| module.name_at(code));
            name.map_or_else(|| run.to_string(), |(name, _)| name)
        }
    };
    let source = site.as_ref().and_then(|site| site.source.as_ref());
    let source = source.filter(|source| source.line != 0);
    AccessOrigin {
        origin: Arc::new(SiteOrigin {
            file: source.map_or_else(Arc::default, |source| Arc::clone(&source.file)),
            line: source.map_or(0, |source| source.line),
            function,
            address: code.map_or(0, |code| code.0),
            ..(*entry.origin).clone()
        }),
        access: Access {
            kind: accessor.kind,
            address: watch.address.0,
            code: run.0,
            instruction: instruction.map(Instruction::text),
            by_kernel,
            uncertain: match is_left {
                true => Some("the function of the object was left before".into()),
                false => accessor.uncertain,
            },
        },
        site,
    }
}

/// Returns true if an address is in the page to which the kernel copies probed instructions, `[uprobes]`: the last one
/// of a process.
fn is_of_probe(RunAddr(at): RunAddr) -> bool {
    (PROBED_CODE..PROBED_CODE + PAGE).contains(&at)
}

/// The instruction of the program that made an access, by the place behind it.
fn accessor(module: &Module, at: LinkAddr, on: WatchOn, is_top_of_stack: bool) -> Accessor {
    let before = module.instruction_before(at);
    let current = module.initial_bytes(at, MAX_INSTRUCTION);
    let current = current.and_then(|bytes| Instruction::first(bytes, at.0));
    let fits = |instruction: &Instruction| {
        let access = instruction.data_access();
        access.writes || (on == WatchOn::Any && access.reads)
    };
    let repeated = current.filter(|current| current.data_access().repeats && fits(current));
    match (before.filter(fits), repeated) {
        (Some(before), None) => Accessor {
            kind: kind_of(&before),
            instruction: Some(before),
            uncertain: None,
        },
        (None, Some(repeated)) => Accessor {
            kind: kind_of(&repeated),
            instruction: Some(repeated),
            uncertain: None,
        },
        (Some(before), Some(repeated)) => Accessor {
            kind: kind_of(&repeated),
            uncertain: Some(format!("it may have been `{}` before it", before.text())),
            instruction: Some(repeated),
        },
        (None, None) => Accessor {
            kind: unknown_kind(on),
            instruction: None,
            uncertain: Some(match before {
                None if is_top_of_stack => {
                    "a call of this function has stored its return address here".into()
                }
                None => "the instruction that has led here is not known".into(),
                Some(before) => format!(
                    "the instruction before, `{}`, does not access memory",
                    before.text()
                ),
            }),
        },
    }
}

/// The instruction of the program that has called the kernel.
fn caller_of_kernel(module: &Module, at: LinkAddr, on: WatchOn) -> Accessor {
    let before = module.instruction_before(at);
    Accessor {
        instruction: before.filter(Instruction::calls_kernel),
        kind: unknown_kind(on),
        uncertain: None,
    }
}

/// The kind of an access without its instruction: a watch for writes has no other.
const fn unknown_kind(on: WatchOn) -> AccessKind {
    match on {
        WatchOn::Write => AccessKind::Write,
        WatchOn::Any => AccessKind::Unknown,
    }
}

fn kind_of(instruction: &Instruction) -> AccessKind {
    let access = instruction.data_access();
    match (access.reads, access.writes) {
        (true, true) => AccessKind::Update,
        (_, true) => AccessKind::Write,
        (true, _) => AccessKind::Read,
        (false, false) => AccessKind::Unknown,
    }
}

fn kernel_access(access: u64) -> KernelAccess {
    let number = match access {
        BY_KERNEL => None,
        number => u32::try_from(number).ok(),
    };
    let name = number.and_then(|number| Sysno::new(usize::try_from(number).ok()?));
    KernelAccess {
        system_call: number,
        name: name.map(|name| name.name().to_owned()),
    }
}
