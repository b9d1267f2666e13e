//! The straight run of code around a site, walked forwards and backwards: how
//! far a probe can be carried, and why no further.

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory};
use object::elf;

use super::effect::{Access, Effect, Place, StackChange};
use super::entries::Entries;
use super::function::Function;
use super::needs::{Needs, Read};
use super::published::below;
use super::touched::{Found, Sum};
use super::{SiteKind, Stay, Unprobeable};
use crate::address::{Bias, LinkAddr};
use crate::debuginfo::Module;

/// Instructions that a probe is carried across, at most.
const MAX_STEPS: usize = 128;

/// Bytes below the stack pointer that belong to the function: the red zone of the ABI.
const RED_ZONE: i64 = 128;

/// Bytes above a function's frame that are taken for its own arguments.
const ARGUMENTS: i64 = 4096;

/// Bytes of a frame that are taken for mapped, off a register whose distance
/// from the frame's ends is not known.
const FRAME: i64 = 1 << 20;

const RBP: u8 = 6;
const RSP: u8 = 7;

/// What is known of `rbp` at a place of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// It is what it was at the site, and that is the frame pointer.
    Pointer,
    /// It is this far from what the stack pointer was at the site.
    Stack(i64),
    /// It is some number of the program's.
    Unknown,
}

/// Which way a probe is carried across an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// To a later place.
    Ahead,
    /// To an earlier one.
    Back,
}

/// Memory, named so that it can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// Off the stack pointer at the site.
    Stack(i64),
    /// Off the frame pointer at the site.
    Frame(i64),
    /// At a link address.
    Static(u64),
    /// The canary, or the thread's pointer to itself.
    Thread,
    /// Where a pointer leads.
    Pointer,
}

/// What the walk looks at.
pub(super) struct Run<'a> {
    pub(super) module: &'a Module,
    pub(super) entries: &'a Entries,
    pub(super) function: &'a Function,
    pub(super) needs: &'a Needs,
    pub(super) bias: Bias,
    /// Index of the site's instruction.
    pub(super) site: usize,
    /// The register that the canonical frame address is off there, and by how much.
    pub(super) canonical: Option<(u8, i64)>,
    /// Whether the kernel emulates nops of several bytes.
    pub(super) emulates_nops: bool,
    /// One trap; or two, where any place is better than the site.
    pub(super) dearest: SiteKind,
    /// Whether the probe may be at this instruction.
    pub(super) allowed: &'a dyn Fn(&Instruction) -> bool,
    /// Whether the probe may be carried past a place, from the lower address to the higher.
    pub(super) passable: &'a dyn Fn(LinkAddr, LinkAddr) -> bool,
}

/// Where the walk is.
struct State {
    /// The stack pointer, less what it was at the site.
    stack: Option<i64>,
    frame: Frame,
}

impl<'a> Run<'a> {
    pub(super) fn at(&self, index: usize) -> Option<&'a Instruction> {
        self.function.instructions.get(index)
    }

    /// The instruction with its kind, if a probe may be there.
    fn place(&self, instruction: &Instruction) -> Option<(LinkAddr, SiteKind)> {
        let length = instruction.len();
        let bytes = self
            .module
            .initial_bytes(LinkAddr(instruction.ip()), length)
            .unwrap_or_default();
        let kind = SiteKind::of(instruction, bytes, self.emulates_nops);
        let is_cheap = kind == SiteKind::OneTrap
            || kind == SiteKind::TwoTraps && self.dearest == SiteKind::TwoTraps;
        let is_place = is_cheap
            && Unprobeable::entry(instruction, bytes).is_none()
            && (self.allowed)(instruction);
        is_place.then_some((LinkAddr(instruction.ip()), kind))
    }

    /// The nearest place behind the site.
    ///
    /// # Errors
    /// Why there is none that is the same.
    pub(super) fn forward(
        &self,
        factory: &mut InstructionInfoFactory,
    ) -> Result<(LinkAddr, SiteKind), Stay> {
        let (mut state, site) = self.start().ok_or(Stay::Undecodable)?;
        let mut current = site;
        for step in 1..MAX_STEPS {
            let next = self
                .at(self.site.saturating_add(step))
                .filter(|next| next.ip() == current.next_ip())
                .ok_or(Stay::Leaves)?;
            let effect = Effect::of(current, factory).ok_or(Stay::instruction(current))?;
            let crossed = self.site.saturating_add(step).saturating_sub(1);
            self.cross(crossed, &effect, &mut state)?;
            let (from, to) = (LinkAddr(current.ip()), LinkAddr(next.ip()));
            if self.entered(from, to) {
                return Err(Stay::Entered);
            }
            if !(self.passable)(from, to) {
                return Err(Stay::OtherLine);
            }
            if let Some(place) = self.place(next) {
                return Ok(place);
            }
            current = next;
        }
        Err(Stay::Leaves)
    }

    /// The nearest place before the site: on the straight way to it, or the only jump that leads to it.
    ///
    /// # Errors
    /// Why there is none that is the same.
    pub(super) fn backward(
        &self,
        factory: &mut InstructionInfoFactory,
    ) -> Result<(LinkAddr, SiteKind), Stay> {
        let (mut state, site) = self.start().ok_or(Stay::Undecodable)?;
        let mut current = site;
        for step in 1..MAX_STEPS {
            let before = self
                .site
                .checked_sub(step)
                .and_then(|index| self.at(index))
                .filter(|before| before.next_ip() == current.ip());
            let here = LinkAddr(current.ip());
            if here == self.function.entry {
                return Err(Stay::Entered);
            }
            let falls = before.is_none_or(falls_through);
            if !falls || before.is_none() {
                return self.only_jump(here, before.is_some());
            }
            let before = before.ok_or(Stay::Leaves)?;
            let from = LinkAddr(before.ip());
            if self.entered(from, here) {
                return Err(Stay::Entered);
            }
            if !(self.passable)(from, here) {
                return Err(Stay::OtherLine);
            }
            let effect = Effect::of(before, factory).ok_or(Stay::instruction(before))?;
            self.cross_back(self.site.saturating_sub(step), &effect, &mut state)?;
            if let Some(place) = self.place(before) {
                return Ok(place);
            }
            current = before;
        }
        Err(Stay::Leaves)
    }

    /// The only way to `here`, when that is a jump.
    fn only_jump(
        &self,
        here: LinkAddr,
        decoded_before: bool,
    ) -> Result<(LinkAddr, SiteKind), Stay> {
        let from = self.function.only_jump_to(here).ok_or(Stay::Entered)?;
        let jump = self
            .function
            .index_of(from)
            .and_then(|index| self.at(index))
            .ok_or(Stay::Entered)?;
        // What the whole module's bytes name must be this very jump.
        let of_module = usize::from(jump.len() >= 5);
        let only = decoded_before
            && self.function.targets_at(here) == 1
            && self.entries.count_at(here) == of_module;
        if !only {
            return Err(Stay::Entered);
        }
        if !(self.passable)(from, here) {
            return Err(Stay::OtherLine);
        }
        self.place(jump).ok_or(Stay::Leaves)
    }

    fn start(&self) -> Option<(State, &'a Instruction)> {
        let site = self.at(self.site)?;
        let state = State {
            stack: Some(0),
            frame: match self.canonical {
                Some((RBP, _)) => Frame::Pointer,
                _ => Frame::Unknown,
            },
        };
        Some((state, site))
    }

    /// Whether anything leads behind `after`, where an instruction is, up to `last`, which is in it
    /// or at the next one.
    pub(super) fn entered(&self, after: LinkAddr, last: LinkAddr) -> bool {
        if self.function.any_target_between(after, last) {
            return true;
        }
        if !self.function.in_step {
            return self.entries.any_between(after, last);
        }
        // Four bytes that lead into the middle of an instruction are no branch.
        let at_next = last > after && self.function.index_of(last).is_some();
        self.entries.any_named_between(after, last) || at_next && self.entries.count_at(last) > 0
    }

    /// Checks that an instruction can be crossed, and does what it does.
    fn cross(&self, index: usize, effect: &Effect, state: &mut State) -> Result<(), Stay> {
        self.check(index, effect, state, Way::Ahead)?;
        match effect.stack {
            StackChange::None => {}
            StackChange::Add(bytes) => {
                state.stack = state.stack.and_then(|stack| stack.checked_add(bytes));
            }
            StackChange::Unknown => state.stack = None,
        }
        if effect.writes & (1 << RBP) != 0 {
            state.frame = match state.stack {
                Some(stack) if effect.frame_set => Frame::Stack(stack),
                _ => Frame::Unknown,
            };
        }
        Ok(())
    }

    /// The same for an instruction that has been executed when the site is reached.
    fn cross_back(&self, index: usize, effect: &Effect, state: &mut State) -> Result<(), Stay> {
        match effect.stack {
            StackChange::None => {}
            StackChange::Add(bytes) => {
                state.stack = state.stack.and_then(|stack| stack.checked_sub(bytes));
            }
            StackChange::Unknown => state.stack = None,
        }
        if effect.writes & (1 << RBP) != 0 {
            state.frame = Frame::Unknown;
        }
        self.check(index, effect, state, Way::Back)
    }

    fn check(&self, index: usize, effect: &Effect, state: &State, way: Way) -> Result<(), Stay> {
        if effect.writes & self.needs.registers != 0 {
            return Err(Stay::Register);
        }
        // When all of site, instruction and place have been executed.
        let last = self.site.max(index.saturating_add(1));
        let published = self.function.is_published(last);
        let mut reads = self.needs.reads.iter();
        let reads_shared = reads.any(|read| self.is_read_shared(read, published));
        if effect.orders && reads_shared {
            return Err(Stay::Memory);
        }
        let gives_back = match effect.stack {
            StackChange::Add(bytes) => bytes > 0,
            StackChange::Unknown => true,
            StackChange::None => false,
        };
        if gives_back && self.needs.reads_beyond_statics() {
            // What is below the stack pointer any signal may overwrite.
            return Err(Stay::Memory);
        }
        for access in &effect.memory {
            let memory = self.locate(index, access, state).ok_or(Stay::Faults)?;
            if access.write && self.may_read(memory, access.size) {
                return Err(Stay::Memory);
            }
            let passes_on = match way {
                Way::Ahead => access.write,
                Way::Back => access.read,
            };
            if passes_on && reads_shared && self.is_shared(memory, access.size, published) {
                return Err(Stay::Memory);
            }
        }
        Ok(())
    }

    /// Where an access of the instruction at `index` is, when it cannot fault.
    fn locate(&self, index: usize, access: &Access, state: &State) -> Option<Memory> {
        let size = i64::try_from(access.size).ok()?;
        match access.place {
            Place::Stack(offset) => {
                let ends = offset.checked_add(size)?;
                if offset < -RED_ZONE || ends > self.above_stack(state) {
                    return None;
                }
                self.on_stack(state.stack?.checked_add(offset)?, access)
            }
            Place::Frame(offset) if state.frame == Frame::Unknown => {
                self.locate_pointer(index, Sum::off(RBP, offset), access, state)
            }
            Place::Frame(offset) => {
                let ends = offset.checked_add(size)?;
                if !(-FRAME..=ARGUMENTS).contains(&offset) || ends > ARGUMENTS {
                    return None;
                }
                match state.frame {
                    Frame::Pointer => {
                        let fits = !access.aligned || self.is_aligned(RBP, offset, access.size);
                        fits.then_some(Memory::Frame(offset))
                    }
                    Frame::Stack(stack) => self.on_stack(stack.checked_add(offset)?, access),
                    Frame::Unknown => None,
                }
            }
            Place::Static(address) => self.on_image(address, access),
            Place::Pointer(address) => self.locate_pointer(index, address, access, state),
            // The stack protector's canary, and the thread's pointer to itself.
            Place::Thread(0 | 0x28) if !access.write && access.size == 8 => Some(Memory::Thread),
            Place::Thread(offset) if !access.aligned && self.own_thread_local(offset, size) => {
                // Another thread may have its address.
                Some(Memory::Pointer)
            }
            _ => None,
        }
    }

    /// Whether bytes off the thread pointer are of the module's own block of thread-locals,
    /// which in an executable ends at that pointer. Code that knows a number for such an
    /// offset is an executable's.
    fn own_thread_local(&self, offset: i64, size: i64) -> bool {
        let mut segments = self.module.segments().iter();
        let block = segments.find(|segment| segment.kind == elf::PT_TLS.0);
        let length = block.and_then(|block| i64::try_from(block.memory_size).ok());
        length.is_some_and(|length| {
            offset >= -length && offset.checked_add(size).is_some_and(|end| end <= 0)
        })
    }

    /// The same where it is registers that lead to it.
    fn locate_pointer(
        &self,
        index: usize,
        address: Sum,
        access: &Access,
        state: &State,
    ) -> Option<Memory> {
        let place = match self.found(index, address, access) {
            Found::Stack(offset) => Place::Stack(offset),
            Found::Static(address) => return self.on_image(address, access),
            Found::Thread(offset) => Place::Thread(offset),
            Found::Touched => return (!access.aligned).then_some(Memory::Pointer),
            Found::Nothing => return None,
        };
        self.locate(index, &Access { place, ..*access }, state)
    }

    fn on_image(&self, address: u64, access: &Access) -> Option<Memory> {
        let fits = !access.aligned || address.is_multiple_of(access.size.max(1));
        (fits && self.mapped(address, access.size, access.write)).then_some(Memory::Static(address))
    }

    /// Memory off the stack pointer at the site, when the access does not fault for its alignment.
    fn on_stack(&self, offset: i64, access: &Access) -> Option<Memory> {
        let fits = !access.aligned || self.is_aligned(RSP, offset, access.size);
        fits.then_some(Memory::Stack(offset))
    }

    /// Whether memory off a register at the site is aligned to its size: the canonical frame address is
    /// a multiple of 16, as the ABI wants it of the stack at each call.
    fn is_aligned(&self, register: u8, offset: i64, size: u64) -> bool {
        match self.canonical {
            Some((base, to_frame)) if base == register => {
                let distance = i128::from(offset) - i128::from(to_frame);
                matches!(size, 1 | 2 | 4 | 8 | 16) && distance.rem_euclid(i128::from(size)) == 0
            }
            _ => false,
        }
    }

    /// How far above the stack pointer the stack is mapped for certain.
    fn above_stack(&self, state: &State) -> i64 {
        match (self.canonical, state.stack) {
            (Some((RSP, offset)), Some(stack)) => {
                offset.saturating_sub(stack).saturating_add(ARGUMENTS)
            }
            _ => FRAME,
        }
    }

    /// Whether a part of the module's image is always there, and can be written.
    fn mapped(&self, address: u64, size: u64, write: bool) -> bool {
        let holds = |segment: &crate::debuginfo::object::Segment| {
            address
                .checked_sub(segment.address.0)
                .and_then(|distance| distance.checked_add(size))
                .is_some_and(|end| end <= segment.memory_size)
        };
        let segments = self.module.segments();
        let loaded = segments.iter().any(|segment| {
            let needed = if write { elf::PF_W.0 } else { elf::PF_R.0 };
            segment.kind == elf::PT_LOAD.0 && segment.flags & needed != 0 && holds(segment)
        });
        let sealed = segments.iter().any(|segment| {
            segment.kind == elf::PT_GNU_RELRO.0
                && address < segment.address.0.saturating_add(segment.memory_size)
                && segment.address.0 < address.saturating_add(size)
        });
        loaded && !(write && sealed)
    }

    /// Whether another thread may write what a plan reads, when the frame is `published` or not.
    fn is_read_shared(&self, read: &Read, published: bool) -> bool {
        let memory = match *read {
            Read::Register(RSP, offset, _) => Memory::Stack(offset),
            Read::Register(RBP, offset, _) => Memory::Frame(offset),
            Read::Absolute(address, _) => {
                Memory::Static(self.bias.link(crate::address::RunAddr(address)).0)
            }
            Read::Register(..) | Read::Anywhere => return true,
        };
        let (Read::Register(_, _, size) | Read::Absolute(_, size)) = *read else {
            return true;
        };
        self.is_shared(memory, size, published)
    }

    /// Whether another thread may touch memory, when the frame is `published` or not.
    fn is_shared(&self, memory: Memory, size: u64, published: bool) -> bool {
        match (memory, self.canonical) {
            (Memory::Stack(offset), Some((RSP, above)))
            | (Memory::Frame(offset), Some((RBP, above))) => {
                published || !below(offset, size, above)
            }
            (Memory::Static(address), _) => {
                !self.mapped(address, size, false) || self.mapped(address, size, true)
            }
            (Memory::Thread, _) => false,
            _ => true,
        }
    }

    /// Whether the plan could read any of the `size` bytes.
    fn may_read(&self, memory: Memory, size: u64) -> bool {
        self.needs
            .reads
            .iter()
            .any(|read| self.overlaps(read, memory, size))
    }

    fn overlaps(&self, read: &Read, memory: Memory, size: u64) -> bool {
        let (place, length) = match *read {
            Read::Anywhere => return true,
            Read::Register(RSP, offset, length) => (Memory::Stack(offset), length),
            Read::Register(RBP, offset, length) => {
                if !matches!(self.canonical, Some((RBP, _))) {
                    return true;
                }
                (Memory::Frame(offset), length)
            }
            Read::Register(..) => return true,
            Read::Absolute(address, length) => {
                let link = self.bias.link(crate::address::RunAddr(address));
                if !self.mapped(link.0, length, false) {
                    return true;
                }
                (Memory::Static(link.0), length)
            }
        };
        match (place, memory) {
            (Memory::Stack(a), Memory::Stack(b)) | (Memory::Frame(a), Memory::Frame(b)) => {
                meet(a.into(), length, b.into(), size)
            }
            (Memory::Static(a), Memory::Static(b)) => meet(a.into(), length, b.into(), size),
            (_, Memory::Pointer) => true,
            // The image and the stacks are apart; so is the thread's block, which is not written.
            (Memory::Static(_), _) | (_, Memory::Static(_)) | (_, Memory::Thread) => false,
            // How far the frame pointer is from the stack pointer is not known.
            _ => true,
        }
    }
}

/// Whether two pieces of memory have a byte in common.
fn meet(a: i128, a_size: u64, b: i128, b_size: u64) -> bool {
    a < b + i128::from(b_size) && b < a + i128::from(a_size)
}

/// Whether the next instruction can follow.
fn falls_through(instruction: &Instruction) -> bool {
    !matches!(
        instruction.flow_control(),
        FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch
            | FlowControl::Return
            | FlowControl::Exception
    )
}
