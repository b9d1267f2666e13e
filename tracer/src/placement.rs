//! Chooses where a probe is placed: at the cheapest instruction where hits, and all bytes that the
//! plan reads, are provably the same as at the first instruction of the line.
//!
//! The probed instruction decides the cost of a uprobe ([`SiteKind`]). The kernel emulates some
//! instructions in the breakpoint trap; all others need a second trap. Most statements are in a
//! short run of straight code, which often contains a cheap instruction: a call, a jump, a push.
//! The probe can be there if nobody can tell the difference. That must be *proven*. Without a proof
//! the probe stays at the site.
//!
//! # What is proven
//!
//! A is the site, and B another instruction of its function. The probe may be at B if all of the
//! following holds.
//!
//! **The hits are the same**: B is executed exactly once for each time that A is.
//!
//! - From the lower of the two addresses to the higher one, each instruction continues with the next
//!   one in memory, and nowhere else. The walk crosses only kinds of instructions for which that is
//!   known (`arch::EffectReader`). It does not cross calls, jumps, traps and system calls. It does
//!   not cross instructions whose operands may make them fault: divisions, floating point operations
//!   with exceptions that may be unmasked, vector accesses without a proven alignment. It does not
//!   cross instructions that the processor may lack. An access is aligned if the call frame
//!   information places it at a multiple of 16 from the canonical frame address, which the ABI aligns.
//! - Crossed instructions access only memory that certainly exists: the function's own frame, fixed
//!   addresses in a segment of the module with the right permission, an executable's own
//!   thread-locals, and the two fixed words of the thread's block (the canary and the self pointer).
//!   A pointer may be invalid, whatever the compiler assumes, and the last line before a crash is the
//!   most important one. So an access through a pointer is crossed only if the code shows its target
//!   (`pointer_origin`). Either the pointer was made from one of the addresses above. Or on every way
//!   to the access, a few instructions earlier, the thread has touched bytes on the same pages
//!   through the same pointer, and has written them if the access is a write. The type of an object
//!   proves nothing: a loop that runs off the end of its array crashes in the middle of an element.
//!   No call is in between, and nothing that orders memory between threads. One risk remains: another
//!   thread unmaps the memory, or cuts a mapped file short, just while this thread is using it. For
//!   the module's own file that risk always exists.
//! - The frame extends from the red zone to the arguments above the canonical frame address, relative
//!   to `rsp`. It is also known relative to `rbp` if the call frame information defines the canonical
//!   frame address by `rbp`, or if the run itself has just copied `rsp` to `rbp`. An access to the
//!   frame can only fault if the stack ends in the middle of the line. Such an overflow kills the
//!   thread, and its last hit is missed. A handler that makes room executes the instruction again.
//! - Nothing leads into the run except at its start (`module_entries`, `decoded_function`): no direct
//!   branch of the function, no entry of its jump tables, no landing pad of exceptions. In the whole
//!   module no four bytes could be the displacement of a branch or `lea` to the run, no pointer in
//!   the data has an address in it, and no symbol does. One-byte branches from other functions are
//!   not searched for: compilers do not know addresses within another function, and the parts of a
//!   function in two sections use four bytes. Calls return to the instruction after a call, and no
//!   call is crossed. The same holds for `setjmp`.
//! - The code is one sequence of instructions, and no jump leads into the middle of one. All known
//!   targets are checked for that: each branch, each landing pad and each statement of the line table
//!   must be at an instruction. If they are, four bytes that would lead into the middle of an
//!   instruction are not a displacement, and the first word of a jump table that would lead there is
//!   beyond the table's end, which nothing else marks. If one of the targets is in the middle of an
//!   instruction, as for a branch past a `lock` prefix, such bytes and words count like all others.
//!   Functions stay untouched if their code does not decode to the end, if they compute jumps in ways
//!   that are not understood, or if they were not compiled from Rust, C or C++.
//! - Backwards there is one more way. If a single direct unconditional jump leads to A, if the
//!   instruction before A does not continue to it, and if nothing else leads there, then that jump
//!   may be B.
//!
//! Events that can happen between any two instructions do not count, since probes do not change
//! them: a thread killed there, or a signal whose handler does not return.
//!
//! **The values are the same.** (`needs` has what the ops read.) No instruction in between writes a
//! register that the plan reads, the flags included, or memory that it may read. Memory relative to
//! `rsp` or to the frame pointer is compared by offset, with the run's changes of `rsp`. One address
//! relative to `rsp` and one relative to `rbp` may be the same. A plan that follows a pointer may
//! read anything, so it crosses no store at all. A plan that reads any memory crosses no store
//! through a pointer, which may lead to that memory. A store to the stack does not reach a static.
//! If the run shrinks the stack, a signal handler may overwrite the released part, so a plan that
//! reads the stack is not moved across that.
//!
//! **Writes of other threads keep their order.** If a thread writes without waiting for this one,
//! the plan may see the write or not, wherever the probe is. Only a thread that waits counts. It may
//! write what the plan reads once this thread has stored something. Or it has written that, and then
//! stored something which this thread loads. Within a run of code, the first case needs a store
//! that the probe moves forward across: the plan would see a value too early. The second case needs a
//! load that the probe moves backward across: the plan would miss a value. A locked instruction or an
//! exchange is both. So a plan that reads *shared* memory is not moved forward across a store to
//! shared memory, not backward across a load from it, and not across a locked instruction or an
//! exchange.
//!
//! All memory is shared, except for:
//!
//! - mappings without write permission, and data that the loader seals (RELRO);
//! - the canary and the thread's pointer to itself;
//! - the function's own frame, as long as nobody else can know an address of it (`frame_escape`): no
//!   instruction that makes such an address, followed by one that gives it away, can have been
//!   executed. Arguments above the canonical frame address are always shared, since the caller may
//!   know where they are.
//!
//! This holds for code that follows the rules of its language. Code that guesses the address of a
//! frame, or uses the address of a frame that is gone, may write there at any time.
//!
//! **The order stays.** A probe is not moved to or past the first instruction of another line, as far
//! as the caller demands that ([`PlacementRules::passable`]). So the events of two probes have times
//! in the order in which a thread runs the lines, and two distinct sites never share an address.
//! Between threads that wait for each other, times may be off by some instructions.
//!
//! # Nops of five bytes
//!
//! From Linux 6.18 on, the kernel replaces a probed 5-byte nop in any form by a call, which writes
//! below the stack pointer. That is harmless at the entry of a function, where nothing can be below
//! it, and is the cheapest place of all. Elsewhere it destroys the target's red zone. So such a nop is
//! never chosen, and a site on one is refused if it cannot be moved.
//!
//! # Instructions that must not be probed
//!
//! The kernel refuses to step some instructions, and steps some others wrongly: the target would
//! compute something else, or die (`arch::Unprobeable`). They are never chosen. A site on one is moved,
//! if necessary to an instruction of two traps. It is refused if no other instruction is provably the
//! same.

mod decoded_function;
mod frame_escape;
mod module_entries;
mod pointer_origin;
mod site_instruction;
mod straight_run;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub use crate::arch::{SiteKind, Unprobeable};
pub use crate::program::{Needs, Read};
pub use site_instruction::{instruction_bytes, instruction_text, unprobeable_at};

use crate::arch::{EffectReader, Flow, Instruction, MAX_INSTRUCTION, site_kind};
use crate::base::address::LinkAddr;
use crate::debuginfo::Module;
use decoded_function::DecodedFunction;
use module_entries::ModuleEntries;
use straight_run::StraightRun;

/// Most functions that are kept decoded. One more drops all of them.
const MAX_FUNCTIONS: usize = 1024;

/// Why a probe stays at the first instruction of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StayReason {
    /// No other kind of instruction is cheaper.
    #[error("its first instruction is the cheapest")]
    Cheapest,
    /// The caller asked for it.
    #[error("the first instruction was asked for")]
    Asked,
    /// The plan reads data of the thread, or the probe marks a branch.
    #[error("what it reads is bound to the instruction")]
    Fixed,
    /// The function has no debug information.
    #[error("no debug information on the function")]
    NoFunction,
    /// The function was not compiled from Rust, C or C++.
    #[error("the function's language is not known")]
    Language,
    /// The function or the module is too large.
    #[error("the code is too large to search")]
    Size,
    /// The code is not a valid sequence of instructions.
    #[error("the code cannot be decoded")]
    Undecodable,
    /// The tables of landing pads could not be read.
    #[error("the exception tables cannot be read")]
    LandingPads,
    /// The function jumps to addresses that it computes.
    #[error("the function computes where it jumps")]
    ComputedJump,
    /// The run ends without a cheap instruction, at a return or at a call through a pointer.
    #[error("the code goes elsewhere first")]
    Leaves,
    /// Something leads into the run.
    #[error("the code is entered in between")]
    Entered,
    /// The next instruction may fault.
    #[error("an instruction in between can fault")]
    Faults,
    /// The next instruction may not continue with the one after it.
    #[error("an instruction in between is not understood")]
    Instruction,
    /// A register that the plan reads is written.
    #[error("a register that it reads is written in between")]
    Register,
    /// Memory that the plan may read is written.
    #[error("memory that it may read is written in between")]
    Memory,
    /// Another line begins first.
    #[error("another line begins in between")]
    OtherLine,
}

impl StayReason {
    fn instruction(instruction: &Instruction) -> Self {
        match instruction.flow() {
            Flow::Next => Self::Instruction,
            _ => Self::Leaves,
        }
    }
}

/// The place of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbePlacement {
    /// The address that is probed.
    pub address: LinkAddr,
    /// How the kernel runs the instruction there.
    pub kind: SiteKind,
    /// Why it is at the site. `None` if it was moved.
    pub stays: Option<StayReason>,
    /// Why the site must not be probed. Such a probe was not moved, or no other place was found.
    pub refused: Option<Obstacle>,
}

/// Why the instruction at a site must not be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// It is a 5-byte nop, and the target may use memory below the stack pointer.
    #[error(
        "this kernel would rewrite it to a call that destroys what the function keeps below its \
         stack pointer"
    )]
    RewrittenNop,
    /// The kernel does not step it correctly.
    #[error(transparent)]
    Unprobeable(#[from] Unprobeable),
}

/// Facts that the caller knows and the code does not show.
pub struct PlacementRules<'a> {
    /// Calls may be probed, since no thread has a shadow stack. The kernel does not enter emulated
    /// calls in it.
    pub calls: bool,
    /// The kernel rewrites 5-byte nops and emulates all others, as Linux does from 6.18 on.
    pub rewrites_nops: bool,
    /// Returns true if a probe may be moved between two consecutive addresses. The first is never
    /// the higher one of site and place.
    pub passable: &'a dyn Fn(LinkAddr, LinkAddr) -> bool,
    /// Returns true if the place is free for a probe from another site.
    pub free: &'a dyn Fn(LinkAddr) -> bool,
}

/// A cache of a module's decoded functions.
#[derive(Default)]
pub struct CodeMap {
    entries: OnceLock<Option<ModuleEntries>>,
    functions: Mutex<HashMap<LinkAddr, Result<Arc<DecodedFunction>, StayReason>>>,
}

impl std::fmt::Debug for CodeMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeMap").finish_non_exhaustive()
    }
}

/// Returns true if the instruction at an address is a call.
fn is_call(module: &Module, address: LinkAddr) -> bool {
    let bytes = module.initial_bytes(address, MAX_INSTRUCTION);
    let instruction = Instruction::first(bytes.unwrap_or_default(), address.0);
    instruction.is_some_and(|instruction| instruction.flow().is_call())
}

impl CodeMap {
    /// How a kernel that `emulates_nops` of several bytes runs the instruction at `address`
    /// when it is probed; `None` if there is no instruction.
    #[must_use]
    pub fn kind(module: &Module, address: LinkAddr, emulates_nops: bool) -> Option<SiteKind> {
        let bytes = module.initial_bytes(address, MAX_INSTRUCTION)?;
        let instruction = Instruction::first(bytes, address.0)?;
        let bytes = bytes.get(..instruction.length())?;
        Some(site_kind(&instruction, bytes, emulates_nops))
    }

    /// The cheapest place for a probe at `site` that reads `needs`.
    #[must_use]
    pub fn place(
        &self,
        module: &Module,
        site: LinkAddr,
        needs: &Needs,
        rules: &PlacementRules<'_>,
    ) -> ProbePlacement {
        let kind = Self::kind(module, site, rules.rewrites_nops).unwrap_or(SiteKind::TwoTraps);
        let stay = |why| ProbePlacement {
            address: site,
            kind,
            stays: Some(why),
            refused: None,
        };
        let obstacle = self.obstacle(module, site, kind, rules);
        let is_cheapest =
            kind == SiteKind::OneTrap || kind == SiteKind::Nop5 && rules.rewrites_nops;
        if obstacle.is_none() && is_cheapest {
            return stay(StayReason::Cheapest);
        }
        let moved = |(address, kind)| ProbePlacement {
            address,
            kind,
            stays: None,
            refused: None,
        };
        let cheap = self.other_place(module, site, needs, rules, SiteKind::OneTrap);
        match (cheap, obstacle) {
            (Ok(place), _) => moved(place),
            (Err(why), None) => stay(why),
            (Err(why), Some(_)) => self
                .other_place(module, site, needs, rules, SiteKind::TwoTraps)
                .map_or(
                    ProbePlacement {
                        refused: obstacle,
                        ..stay(why)
                    },
                    moved,
                ),
        }
    }

    /// Why a site of this kind must not be probed.
    fn obstacle(
        &self,
        module: &Module,
        site: LinkAddr,
        kind: SiteKind,
        rules: &PlacementRules<'_>,
    ) -> Option<Obstacle> {
        let unprobeable = unprobeable_at(module, site).or_else(|| {
            (!rules.calls && is_call(module, site)).then_some(Unprobeable::ShadowedCall)
        });
        if let Some(unprobeable) = unprobeable {
            return Some(unprobeable.into());
        }
        let is_rewritten = kind == SiteKind::Nop5 && rules.rewrites_nops;
        (is_rewritten && !self.is_lone_entry(module, site)).then_some(Obstacle::RewrittenNop)
    }

    /// Returns true if `place` is executed before `site`. Both have the same hits.
    #[must_use]
    pub fn precedes(&self, module: &Module, place: LinkAddr, site: LinkAddr) -> bool {
        // A jump to the site may have a higher address. All other places are executed in the order
        // of their addresses.
        let jump = self
            .function(module, site)
            .ok()
            .and_then(|function| function.only_jump_to(site));
        place < site || jump == Some(place)
    }

    /// The nearest other place with the same hits and values, at most as expensive as `dearest`.
    fn other_place(
        &self,
        module: &Module,
        site: LinkAddr,
        needs: &Needs,
        rules: &PlacementRules<'_>,
        dearest: SiteKind,
    ) -> Result<(LinkAddr, SiteKind), StayReason> {
        if needs.fixed {
            return Err(StayReason::Fixed);
        }
        let function = self.function(module, site)?;
        let entries = self.entries(module).ok_or(StayReason::Size)?;
        let index = function.index_of(site).ok_or(StayReason::Undecodable)?;
        let allowed = |instruction: &Instruction| {
            let is_call = instruction.flow().is_call();
            (rules.calls || !is_call) && (rules.free)(LinkAddr(instruction.address()))
        };
        let run = StraightRun {
            module,
            entries,
            function: &function,
            needs,
            site: index,
            canonical: frame_escape::canonical(module, site),
            emulates_nops: rules.rewrites_nops,
            dearest,
            allowed: &allowed,
            passable: rules.passable,
        };
        let mut effects = EffectReader::default();
        run.forward(&mut effects)
            .or_else(|why| run.backward(&mut effects).map_err(|_| why))
    }

    /// Returns true if `site` is a function's entry without a way back to it within the function.
    fn is_lone_entry(&self, module: &Module, site: LinkAddr) -> bool {
        self.function(module, site)
            .is_ok_and(|function| function.entry == site && function.targets_at(site) == 0)
    }

    fn entries(&self, module: &Module) -> Option<&ModuleEntries> {
        self.entries
            .get_or_init(|| ModuleEntries::read(module))
            .as_ref()
    }

    fn function(
        &self,
        module: &Module,
        site: LinkAddr,
    ) -> Result<Arc<DecodedFunction>, StayReason> {
        let code = module
            .function_code_at(site)
            .ok_or(StayReason::NoFunction)?;
        let kept = || {
            self.functions
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = kept().get(&code.entry) {
            return known.clone();
        }
        let function = DecodedFunction::read(module, &code).map(|mut function| {
            function.published = frame_escape::published(module, &function, code.language);
            Arc::new(function)
        });
        let mut kept = kept();
        if kept.len() >= MAX_FUNCTIONS {
            kept.clear();
        }
        kept.insert(code.entry, function.clone());
        function
    }
}
