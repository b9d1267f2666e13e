//! Where a probe is placed: the cheapest instruction at which a hit, and every
//! byte that the plan reads, are the same as at the first instruction of the line.
//!
//! What a uprobe costs is decided by the instruction under it
//! ([`SiteKind`]): some are emulated in the breakpoint trap, all others need a
//! second one. Code runs straight for a few instructions around most
//! statements, and somewhere in that run there often is one of the cheap kind:
//! a call, a jump, a push. The probe can be there as well if nobody could tell
//! the difference. That has to be *proven*; what is not proven stays where it
//! was.
//!
//! # What is proven
//!
//! Let A be the site and B another instruction of its function. The probe may be
//! at B when:
//!
//! **The hits are the same ones**: B is executed exactly once for each time that
//! A is.
//!
//! - From the lower of the two to the higher every instruction goes on to the
//!   next one in memory, and to nowhere else. Only kinds of instructions are
//!   crossed for which that is known (`effect`): no call, jump, trap or system
//!   call, nothing that faults by its operands (division; floating point, whose
//!   exceptions can be unmasked; vector accesses that must be aligned and are not known to be),
//!   nothing that the processor may not have. Aligned is what the call frame information puts at a
//!   multiple of 16 from the canonical frame address, which the ABI aligns.
//! - Memory is only touched where it is certain to be there: in the function's
//!   own frame, at fixed addresses in a segment of the module with the right
//!   permission, in an executable's own thread-locals, and at the two fixed words
//!   of the thread's block (the canary and the self pointer). A pointer may lead
//!   to nothing, however sure the compiler is of it: the last line before a crash
//!   is the one that matters most. So a probe is carried across an access through
//!   a pointer only where the code shows where the pointer leads (`touched`): it was made
//!   from one of the addresses above, or on every way to the access, a few
//!   instructions before, the thread has touched bytes at that same pointer that
//!   are on the same pages, writing them if it is to write. "The object is as
//!   large as its type" proves nothing: a loop that runs off the end of its array
//!   crashes in the middle of an element. In between is no call, and nothing that
//!   orders memory between threads. What is left is a thread that unmaps what
//!   this one is using at that moment; a file mapped there that is cut short at that moment is the
//!   same (and so for the module's own file, at any time).
//! - The frame is: from the red zone up to the arguments above the canonical
//!   frame address, off `rsp`; and off `rbp` where the call frame information
//!   says that the canonical frame address is off `rbp`, or the run itself has
//!   just copied it from `rsp`. The one way in which that can fault is a stack
//!   that ends right there, in the middle of the line: an overflow that kills
//!   the thread (or, with a handler that makes room, executes the instruction
//!   again), whose last hit would not be seen.
//! - Nothing leads into the run but its beginning (`entries`, `function`): no
//!   direct branch of the function, no entry of its jump tables, no landing pad
//!   of exceptions; and in the whole module no four bytes that would be the
//!   displacement of a branch or `lea` to there, no pointer in its data, no
//!   symbol. Branches of one byte's reach from other functions are not looked
//!   for: compilers do not know where in another function anything is, and parts
//!   of one function in two sections are reached by four bytes. Calls return
//!   behind a call, and no call is crossed; the same holds for `setjmp`.
//! - The code is one sequence of instructions, which nothing enters beside its
//!   instructions. That is checked by all that is known to lead there: each
//!   branch, each landing pad, each statement of the line table is at one. Then
//!   four bytes somewhere in code that would lead into the middle of an
//!   instruction are no displacement, and the first word of a jump table that
//!   would lead there is behind the table's end (which nothing else says).
//!   Where one of these is beside an instruction (as a branch past a `lock`
//!   prefix is), such bytes and words count like all others.
//!   Functions whose code does not decode to the end, which compute jumps in
//!   ways not understood, or were not compiled from Rust, C or C++ are left alone.
//! - Backwards there is one more way: when A is reached only by one direct
//!   unconditional jump (the instruction before it does not go on to it, nothing
//!   else leads there), that jump is B.
//!
//! What can come between two instructions of any run, whatever is probed, is not
//! looked at: a thread killed there, or a signal whose handler does not return.
//!
//! **The values are the same ones** (`needs` takes them from the ops): no
//! instruction in between writes a register that the plan reads, the flags
//! included, or memory that it may read. Memory off `rsp` or the frame pointer
//! is compared by offset, through what the run does to `rsp`; where one is off
//! `rsp` and the other off `rbp` they may be the same. Once the plan follows a
//! pointer, it may read anything: no store is crossed at all; nor does a plan that
//! reads any memory cross a store through a pointer, which may lead there. A store to
//! the stack does not reach a static. And when the run
//! gives stack back, what was there is any signal handler's: a plan that reads
//! the stack is not carried across that.
//!
//! **What other threads write stays what it was.** What a thread writes without
//! waiting for this one, the plan may see or not, wherever it is. What counts is
//! one that waits: that writes what the plan reads once this thread has stored
//! something, or that stored something, before this thread loaded it, once it was
//! done. Between places in one run of code, that can only be a store that the
//! probe is carried ahead over (then it would see what must come later), or a
//! load that it is carried back over (then it would miss what must be there), or
//! a locked instruction or an exchange, which is both. So a plan that reads
//! *shared* memory is not carried ahead over a store to shared memory, nor back
//! over a load of it, nor over the third.
//!
//! Shared is all memory but what is certain not to be:
//!
//! - what is mapped without the permission to write, and what the loader seals (RELRO);
//! - the canary and the thread's pointer to itself;
//! - the function's own frame, for as long as no address of it can be known to
//!   anybody else (`published`): no instruction that makes one, and then one that
//!   gives it away, can have been executed. Above the canonical frame address
//!   are arguments, which the caller laid out and may know: they are always shared.
//!
//! That holds for what the code does by the rules of its language. Who guesses the
//! address of a frame, or uses one that is long gone, may write there at any time.
//!
//! **The order stays.** A probe is not carried to or past the first instruction
//! of another line, as far as the caller asks for that ([`Rules::passable`]): so
//! the times of events of two probes are in the order in which a thread runs the
//! lines, and no two sites that were apart come together. (Between threads that
//! wait for each other a time may be some instructions off.)
//!
//! # Nops of five bytes
//!
//! From Linux 6.18 on the kernel rewrites a probed 5-byte nop, in whatever form, to a call, which
//! writes below the stack pointer: harmless at the very entry of a function,
//! where nothing can be there, and the cheapest place of all. Elsewhere it
//! destroys the red zone of the target, so such a nop is never chosen, and a
//! site on one that cannot be moved is refused.
//!
//! # Instructions that must not be probed
//!
//! Of some instructions the kernel refuses to step a copy, of others it steps the copy wrongly, and the
//! target would compute something else, or die (`steppable`). No place is one of them. A site on one is
//! moved, to an instruction of two traps if there is none of one; where nothing else is proven to be
//! the same, it is refused.

mod effect;
mod entries;
mod function;
mod kind;
mod needs;
mod published;
mod run;
mod steppable;
#[cfg(test)]
mod tests;
mod touched;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory};

pub use kind::SiteKind;
pub use needs::{Needs, Read};
pub use steppable::{Unprobeable, bytes as instruction_bytes, text as instruction_text};

use crate::address::{Bias, LinkAddr};
use crate::debuginfo::Module;
use entries::Entries;
use function::Function;
use run::Run;

/// Functions that are kept decoded; when there are more, all are forgotten.
const MAX_FUNCTIONS: usize = 1024;

/// Why a probe stays at the first instruction of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Stay {
    /// It is of the cheapest kind there.
    #[error("its first instruction is the cheapest")]
    Cheapest,
    /// The caller asked for it.
    #[error("the first instruction was asked for")]
    Asked,
    /// The plan reads the address of the instruction, or what is not understood here.
    #[error("what it reads is bound to the instruction")]
    Fixed,
    /// There is no debug information on the function.
    #[error("no debug information on the function")]
    NoFunction,
    /// Not compiled from Rust, C or C++.
    #[error("the function's language is not known")]
    Language,
    /// The function or the module is too large.
    #[error("the code is too large to search")]
    Size,
    /// The code is no valid sequence of instructions.
    #[error("the code cannot be decoded")]
    Undecodable,
    /// The tables of landing pads could not be read.
    #[error("the exception tables cannot be read")]
    LandingPads,
    /// The function jumps to addresses that it computes.
    #[error("the function computes where it jumps")]
    ComputedJump,
    /// The run ends without a cheap instruction: it returns, or calls through a pointer.
    #[error("the code goes elsewhere first")]
    Leaves,
    /// Something leads into the run.
    #[error("the code is entered in between")]
    Entered,
    /// The next instruction can fault.
    #[error("an instruction in between can fault")]
    Faults,
    /// The next instruction is not known to go on to the one behind it.
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

impl Stay {
    fn instruction(instruction: &Instruction) -> Self {
        match instruction.flow_control() {
            FlowControl::Next => Self::Instruction,
            _ => Self::Leaves,
        }
    }
}

/// Where a probe is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What is probed.
    pub address: LinkAddr,
    /// What that costs.
    pub kind: SiteKind,
    /// Why it is the site itself; `None` when it was moved.
    pub stays: Option<Stay>,
    /// Why a probe must not be there. It was not moved then, or there is nowhere to move it to.
    pub refused: Option<Obstacle>,
}

/// Why the instruction of a site must not be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// It is a 5-byte nop with something below the stack pointer.
    #[error(
        "this kernel would rewrite it to a call that destroys what the function keeps below its \
         stack pointer"
    )]
    RewrittenNop,
    /// The kernel does not step it, or not rightly.
    #[error(transparent)]
    Unprobeable(#[from] Unprobeable),
}

/// What the caller knows and the code does not say.
pub struct Rules<'a> {
    /// Run address minus link address.
    pub bias: Bias,
    /// Calls may be probed: no thread has a shadow stack, in which the kernel enters no emulated call.
    pub calls: bool,
    /// The kernel rewrites 5-byte nops and emulates all others, as Linux does from 6.18 on.
    pub rewrites_nops: bool,
    /// Whether a probe may be carried between two addresses that follow each
    /// other; the first is never that of the higher of site and place.
    pub passable: &'a dyn Fn(LinkAddr, LinkAddr) -> bool,
    /// Whether the place is free for a probe from another site.
    pub free: &'a dyn Fn(LinkAddr) -> bool,
}

/// What is known of the code of one module; filled as it is asked for.
#[derive(Default)]
pub struct CodeMap {
    entries: OnceLock<Option<Entries>>,
    functions: Mutex<HashMap<LinkAddr, Result<Arc<Function>, Stay>>>,
}

impl std::fmt::Debug for CodeMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeMap").finish_non_exhaustive()
    }
}

impl CodeMap {
    /// What the instruction at `address` is for a kernel that `emulates_nops` of
    /// several bytes; `None` where there is none.
    #[must_use]
    pub fn kind(module: &Module, address: LinkAddr, emulates_nops: bool) -> Option<SiteKind> {
        let bytes = module.initial_bytes(address, 15)?;
        let mut decoder =
            iced_x86::Decoder::with_ip(64, bytes, address.0, iced_x86::DecoderOptions::NONE);
        let instruction = decoder.decode();
        let bytes = bytes.get(..instruction.len())?;
        (!instruction.is_invalid()).then(|| SiteKind::of(&instruction, bytes, emulates_nops))
    }

    /// The cheapest place for a probe whose site is at `site` and that reads `needs`.
    #[must_use]
    pub fn place(
        &self,
        module: &Module,
        site: LinkAddr,
        needs: &Needs,
        rules: &Rules<'_>,
    ) -> Placed {
        let kind = Self::kind(module, site, rules.rewrites_nops).unwrap_or(SiteKind::TwoTraps);
        let stay = |why| Placed {
            address: site,
            kind,
            stays: Some(why),
            refused: None,
        };
        let obstacle = self.obstacle(module, site, kind, rules);
        let is_cheapest =
            kind == SiteKind::OneTrap || kind == SiteKind::Nop5 && rules.rewrites_nops;
        if obstacle.is_none() && is_cheapest {
            return stay(Stay::Cheapest);
        }
        let moved = |(address, kind)| Placed {
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
                    Placed {
                        refused: obstacle,
                        ..stay(why)
                    },
                    moved,
                ),
        }
    }

    /// Why the instruction at a site of this kind must not be probed.
    fn obstacle(
        &self,
        module: &Module,
        site: LinkAddr,
        kind: SiteKind,
        rules: &Rules<'_>,
    ) -> Option<Obstacle> {
        let unprobeable = Unprobeable::at(module, site).or_else(|| {
            (!rules.calls && steppable::is_call(module, site)).then_some(Unprobeable::ShadowedCall)
        });
        if let Some(unprobeable) = unprobeable {
            return Some(unprobeable.into());
        }
        let is_rewritten = kind == SiteKind::Nop5 && rules.rewrites_nops;
        (is_rewritten && !self.is_lone_entry(module, site)).then_some(Obstacle::RewrittenNop)
    }

    /// Whether `place` is executed before `site`, of two that were found to be the same.
    #[must_use]
    pub fn precedes(&self, module: &Module, place: LinkAddr, site: LinkAddr) -> bool {
        // A jump may come from behind; everything else is in the order of the addresses.
        let jump = self
            .function(module, site)
            .ok()
            .and_then(|function| function.only_jump_to(site));
        place < site || jump == Some(place)
    }

    /// The nearest other place that is the same, of a kind not dearer than `dearest`.
    fn other_place(
        &self,
        module: &Module,
        site: LinkAddr,
        needs: &Needs,
        rules: &Rules<'_>,
        dearest: SiteKind,
    ) -> Result<(LinkAddr, SiteKind), Stay> {
        if needs.fixed {
            return Err(Stay::Fixed);
        }
        let function = self.function(module, site)?;
        let entries = self.entries(module).ok_or(Stay::Size)?;
        let index = function.index_of(site).ok_or(Stay::Undecodable)?;
        let allowed = |instruction: &Instruction| {
            let is_call = matches!(
                instruction.flow_control(),
                FlowControl::Call | FlowControl::IndirectCall
            );
            (rules.calls || !is_call) && (rules.free)(LinkAddr(instruction.ip()))
        };
        let run = Run {
            module,
            entries,
            function: &function,
            needs,
            bias: rules.bias,
            site: index,
            canonical: published::canonical(module, site),
            emulates_nops: rules.rewrites_nops,
            dearest,
            allowed: &allowed,
            passable: rules.passable,
        };
        let mut factory = InstructionInfoFactory::new();
        run.forward(&mut factory)
            .or_else(|why| run.backward(&mut factory).map_err(|_| why))
    }

    /// Whether `site` is a function's entry that nothing in the function leads back to.
    fn is_lone_entry(&self, module: &Module, site: LinkAddr) -> bool {
        self.function(module, site)
            .is_ok_and(|function| function.entry == site && function.targets_at(site) == 0)
    }

    fn entries(&self, module: &Module) -> Option<&Entries> {
        self.entries.get_or_init(|| Entries::read(module)).as_ref()
    }

    fn function(&self, module: &Module, site: LinkAddr) -> Result<Arc<Function>, Stay> {
        let code = module.function_code_at(site).ok_or(Stay::NoFunction)?;
        let kept = || {
            self.functions
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = kept().get(&code.entry) {
            return known.clone();
        }
        let function = Function::read(module, &code).map(Arc::new);
        let mut kept = kept();
        if kept.len() >= MAX_FUNCTIONS {
            kept.clear();
        }
        kept.insert(code.entry, function.clone());
        function
    }
}
