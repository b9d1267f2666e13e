//! Walks the straight run of code around a site forward and backward, to see how far a probe can be
//! moved, and why no further.

use object::elf;

use super::decoded_function::DecodedFunction;
use super::frame_escape::below;
use super::module_entries::ModuleEntries;
use super::{SiteKind, StayReason, Unprobeable};
use crate::arch::{
    EffectReader, FRAME_POINTER, Instruction, MemoryAccess, MemoryPlace, PointerSum, RED_ZONE,
    STACK_POINTER, StackChange, StraightEffect, THREAD_WORDS, site_kind,
};
use crate::base::address::LinkAddr;
use crate::debuginfo::Module;
use crate::program::{Needs, Read};

/// Most instructions that a probe is moved across.
const MAX_STEPS: usize = 128;

/// Bytes above a function's frame that count as its own arguments.
const ARGUMENTS: i64 = 4096;

/// Bytes of a frame that count as mapped, relative to a register at an unknown distance from the
/// frame's ends.
const FRAME: i64 = 1 << 20;

/// The frame pointer at a point of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FramePointerState {
    /// It is unchanged since the site, and is the frame pointer.
    Pointer,
    /// It has this distance from the stack pointer at the site.
    Stack(i64),
    /// It may have any value.
    Unknown,
}

/// The direction in which a probe is moved across an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CarryDirection {
    /// To a later place.
    Ahead,
    /// To an earlier place.
    Back,
}

/// The origin of a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PointerOrigin {
    /// At this distance from the stack pointer at the access.
    Stack(i64),
    /// At this link address.
    Static(u64),
    /// At this distance from the thread pointer.
    Thread(i64),
    /// The thread has just touched bytes before and after it.
    Touched,
    /// Unknown.
    Nothing,
}

/// Memory in a form that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LocatedMemory {
    /// Relative to the stack pointer at the site.
    Stack(i64),
    /// Relative to the frame pointer at the site.
    Frame(i64),
    /// At a link address.
    Static(u64),
    /// The canary, or the thread's pointer to itself.
    Thread,
    /// The target of a pointer.
    Pointer,
}

/// The code around a site, and the rules of the walk.
pub(super) struct StraightRun<'a> {
    pub(super) module: &'a Module,
    pub(super) entries: &'a ModuleEntries,
    pub(super) function: &'a DecodedFunction,
    pub(super) needs: &'a Needs,
    /// Index of the site's instruction.
    pub(super) site: usize,
    /// The definition of the canonical frame address at the site: a register and an offset.
    pub(super) canonical: Option<(u8, i64)>,
    /// True if the kernel emulates nops of several bytes.
    pub(super) emulates_nops: bool,
    /// The most expensive kind to accept: one trap, or two if any place is better than the site.
    pub(super) dearest: SiteKind,
    /// Returns true if the probe may be at this instruction.
    pub(super) allowed: &'a dyn Fn(&Instruction) -> bool,
    /// Returns true if the probe may be moved past an address range, from the lower to the higher
    /// address.
    pub(super) passable: &'a dyn Fn(LinkAddr, LinkAddr) -> bool,
}

/// The state of the walk.
struct RunState {
    /// The current stack pointer minus the one at the site.
    stack: Option<i64>,
    frame: FramePointerState,
}

impl<'a> StraightRun<'a> {
    pub(super) fn at(&self, index: usize) -> Option<&'a Instruction> {
        self.function.instructions.get(index)
    }

    /// The instruction with its kind, if a probe may be there.
    fn place(&self, instruction: &Instruction) -> Option<(LinkAddr, SiteKind)> {
        let length = instruction.length();
        let bytes = self
            .module
            .initial_bytes(LinkAddr(instruction.address()), length)
            .unwrap_or_default();
        let kind = site_kind(instruction, bytes, self.emulates_nops);
        let is_cheap = kind == SiteKind::OneTrap
            || kind == SiteKind::TwoTraps && self.dearest == SiteKind::TwoTraps;
        let is_place = is_cheap
            && Unprobeable::entry(instruction, bytes).is_none()
            && (self.allowed)(instruction);
        is_place.then_some((LinkAddr(instruction.address()), kind))
    }

    /// The nearest place after the site.
    ///
    /// # Errors
    /// The reason why no place has the same hits and values.
    pub(super) fn forward(
        &self,
        effects: &mut EffectReader,
    ) -> Result<(LinkAddr, SiteKind), StayReason> {
        let (mut state, site) = self.start().ok_or(StayReason::Undecodable)?;
        let mut current = site;
        for step in 1..MAX_STEPS {
            let next = self
                .at(self.site.saturating_add(step))
                .filter(|next| next.address() == current.next_address())
                .ok_or(StayReason::Leaves)?;
            let effect = effects
                .effect(current)
                .ok_or(StayReason::instruction(current))?;
            let crossed = self.site.saturating_add(step).saturating_sub(1);
            self.cross(crossed, &effect, &mut state)?;
            let (from, to) = (LinkAddr(current.address()), LinkAddr(next.address()));
            if self.entered(from, to) {
                return Err(StayReason::Entered);
            }
            if !(self.passable)(from, to) {
                return Err(StayReason::OtherLine);
            }
            if let Some(place) = self.place(next) {
                return Ok(place);
            }
            current = next;
        }
        Err(StayReason::Leaves)
    }

    /// The nearest place before the site: on the straight way to it, or the only jump that leads to
    /// it.
    ///
    /// # Errors
    /// The reason why no place has the same hits and values.
    pub(super) fn backward(
        &self,
        effects: &mut EffectReader,
    ) -> Result<(LinkAddr, SiteKind), StayReason> {
        let (mut state, site) = self.start().ok_or(StayReason::Undecodable)?;
        let mut current = site;
        for step in 1..MAX_STEPS {
            let before = self
                .site
                .checked_sub(step)
                .and_then(|index| self.at(index))
                .filter(|before| before.next_address() == current.address());
            let here = LinkAddr(current.address());
            if here == self.function.entry {
                return Err(StayReason::Entered);
            }
            let falls = before.is_none_or(|before| before.flow().falls_through());
            if !falls || before.is_none() {
                return self.only_jump(here, before.is_some());
            }
            let before = before.ok_or(StayReason::Leaves)?;
            let from = LinkAddr(before.address());
            if self.entered(from, here) {
                return Err(StayReason::Entered);
            }
            if !(self.passable)(from, here) {
                return Err(StayReason::OtherLine);
            }
            let effect = effects
                .effect(before)
                .ok_or(StayReason::instruction(before))?;
            self.cross_back(self.site.saturating_sub(step), &effect, &mut state)?;
            if let Some(place) = self.place(before) {
                return Ok(place);
            }
            current = before;
        }
        Err(StayReason::Leaves)
    }

    /// The only way to `here`, if that is a jump.
    fn only_jump(
        &self,
        here: LinkAddr,
        decoded_before: bool,
    ) -> Result<(LinkAddr, SiteKind), StayReason> {
        let from = self
            .function
            .only_jump_to(here)
            .ok_or(StayReason::Entered)?;
        let jump = self
            .function
            .index_of(from)
            .and_then(|index| self.at(index))
            .ok_or(StayReason::Entered)?;
        // The module may contain no other reference than this jump.
        let of_module = usize::from(jump.has_far_reach());
        let only = decoded_before
            && self.function.targets_at(here) == 1
            && self.entries.count_at(here) == of_module;
        if !only {
            return Err(StayReason::Entered);
        }
        if !(self.passable)(from, here) {
            return Err(StayReason::OtherLine);
        }
        self.place(jump).ok_or(StayReason::Leaves)
    }

    fn start(&self) -> Option<(RunState, &'a Instruction)> {
        let site = self.at(self.site)?;
        let state = RunState {
            stack: Some(0),
            frame: match self.canonical {
                Some((FRAME_POINTER, _)) => FramePointerState::Pointer,
                _ => FramePointerState::Unknown,
            },
        };
        Some((state, site))
    }

    /// Returns true if anything leads to an address above the instruction at `after`, up to `last`,
    /// which is in that instruction or at the next one.
    pub(super) fn entered(&self, after: LinkAddr, last: LinkAddr) -> bool {
        if self.function.any_target_between(after, last) {
            return true;
        }
        if !self.function.in_step {
            return self.entries.any_between(after, last);
        }
        // Four bytes that lead into the middle of an instruction are not a branch.
        let at_next = last > after && self.function.index_of(last).is_some();
        self.entries.any_named_between(after, last) || at_next && self.entries.count_at(last) > 0
    }

    /// Checks that an instruction can be crossed, and applies its effects.
    fn cross(
        &self,
        index: usize,
        effect: &StraightEffect,
        state: &mut RunState,
    ) -> Result<(), StayReason> {
        self.check(index, effect, state, CarryDirection::Ahead)?;
        match effect.stack {
            StackChange::None => {}
            StackChange::Add(bytes) => {
                state.stack = state.stack.and_then(|stack| stack.checked_add(bytes));
            }
            StackChange::Unknown => state.stack = None,
        }
        if effect.writes & (1 << FRAME_POINTER) != 0 {
            state.frame = match state.stack {
                Some(stack) if effect.frame_set => FramePointerState::Stack(stack),
                _ => FramePointerState::Unknown,
            };
        }
        Ok(())
    }

    /// Checks that an instruction before the site can be crossed, and undoes its effects.
    fn cross_back(
        &self,
        index: usize,
        effect: &StraightEffect,
        state: &mut RunState,
    ) -> Result<(), StayReason> {
        match effect.stack {
            StackChange::None => {}
            StackChange::Add(bytes) => {
                state.stack = state.stack.and_then(|stack| stack.checked_sub(bytes));
            }
            StackChange::Unknown => state.stack = None,
        }
        if effect.writes & (1 << FRAME_POINTER) != 0 {
            state.frame = FramePointerState::Unknown;
        }
        self.check(index, effect, state, CarryDirection::Back)
    }

    fn check(
        &self,
        index: usize,
        effect: &StraightEffect,
        state: &RunState,
        way: CarryDirection,
    ) -> Result<(), StayReason> {
        if effect.writes & self.needs.registers != 0 {
            return Err(StayReason::Register);
        }
        // The index at which site, instruction and place have all been executed.
        let last = self.site.max(index.saturating_add(1));
        let published = self.function.is_published(last);
        let mut reads = self.needs.reads.iter();
        let reads_shared = reads.any(|read| self.is_read_shared(read, published));
        if effect.orders && reads_shared {
            return Err(StayReason::Memory);
        }
        let gives_back = match effect.stack {
            StackChange::Add(bytes) => bytes > 0,
            StackChange::Unknown => true,
            StackChange::None => false,
        };
        if gives_back && self.needs.reads_beyond_statics() {
            // Any signal may overwrite memory below the stack pointer.
            return Err(StayReason::Memory);
        }
        for access in &effect.memory {
            let memory = self
                .locate(index, access, state)
                .ok_or(StayReason::Faults)?;
            if access.write && self.may_read(memory, access.size) {
                return Err(StayReason::Memory);
            }
            let passes_on = match way {
                CarryDirection::Ahead => access.write,
                CarryDirection::Back => access.read,
            };
            if passes_on && reads_shared && self.is_shared(memory, access.size, published) {
                return Err(StayReason::Memory);
            }
        }
        Ok(())
    }

    /// The memory that the instruction at `index` accesses, if it cannot fault.
    fn locate(
        &self,
        index: usize,
        access: &MemoryAccess,
        state: &RunState,
    ) -> Option<LocatedMemory> {
        let size = i64::try_from(access.size).ok()?;
        match access.operand {
            MemoryPlace::Stack(offset) => {
                let ends = offset.checked_add(size)?;
                if offset < -RED_ZONE || ends > self.above_stack(state) {
                    return None;
                }
                self.on_stack(state.stack?.checked_add(offset)?, access)
            }
            MemoryPlace::Frame(offset) if state.frame == FramePointerState::Unknown => {
                self.locate_pointer(index, PointerSum::off(FRAME_POINTER, offset), access, state)
            }
            MemoryPlace::Frame(offset) => {
                let ends = offset.checked_add(size)?;
                if !(-FRAME..=ARGUMENTS).contains(&offset) || ends > ARGUMENTS {
                    return None;
                }
                match state.frame {
                    FramePointerState::Pointer => {
                        let fits =
                            !access.aligned || self.is_aligned(FRAME_POINTER, offset, access.size);
                        fits.then_some(LocatedMemory::Frame(offset))
                    }
                    FramePointerState::Stack(stack) => {
                        self.on_stack(stack.checked_add(offset)?, access)
                    }
                    FramePointerState::Unknown => None,
                }
            }
            MemoryPlace::Static(address) => self.on_image(address, access),
            MemoryPlace::Pointer(address) => self.locate_pointer(index, address, access, state),
            // The stack protector's canary, and the thread's pointer to itself.
            MemoryPlace::Thread(offset)
                if THREAD_WORDS.contains(&offset) && !access.write && access.size == 8 =>
            {
                Some(LocatedMemory::Thread)
            }
            MemoryPlace::Thread(offset)
                if !access.aligned && self.own_thread_local(offset, size) =>
            {
                // Another thread may have its address.
                Some(LocatedMemory::Pointer)
            }
            _ => None,
        }
    }

    /// Returns true if bytes relative to the thread pointer are in the module's own block of
    /// thread-locals. An executable's block ends at that pointer, and only code of an executable
    /// contains such offsets as constants.
    fn own_thread_local(&self, offset: i64, size: i64) -> bool {
        let mut segments = self.module.segments().iter();
        let block = segments.find(|segment| segment.kind == elf::PT_TLS.0);
        let length = block.and_then(|block| i64::try_from(block.memory_size).ok());
        length.is_some_and(|length| {
            offset >= -length && offset.checked_add(size).is_some_and(|end| end <= 0)
        })
    }

    /// The memory of an access through registers, if it cannot fault.
    fn locate_pointer(
        &self,
        index: usize,
        address: PointerSum,
        access: &MemoryAccess,
        state: &RunState,
    ) -> Option<LocatedMemory> {
        let operand = match self.found(index, address, access) {
            PointerOrigin::Stack(offset) => MemoryPlace::Stack(offset),
            PointerOrigin::Static(address) => return self.on_image(address, access),
            PointerOrigin::Thread(offset) => MemoryPlace::Thread(offset),
            PointerOrigin::Touched => return (!access.aligned).then_some(LocatedMemory::Pointer),
            PointerOrigin::Nothing => return None,
        };
        self.locate(index, &MemoryAccess { operand, ..*access }, state)
    }

    fn on_image(&self, address: u64, access: &MemoryAccess) -> Option<LocatedMemory> {
        let fits = !access.aligned || address.is_multiple_of(access.size.max(1));
        (fits && self.mapped(address, access.size, access.write))
            .then_some(LocatedMemory::Static(address))
    }

    /// Memory relative to the stack pointer at the site, if its alignment cannot make the access
    /// fault.
    fn on_stack(&self, offset: i64, access: &MemoryAccess) -> Option<LocatedMemory> {
        let fits = !access.aligned || self.is_aligned(STACK_POINTER, offset, access.size);
        fits.then_some(LocatedMemory::Stack(offset))
    }

    /// Returns true if memory relative to a register at the site is aligned to its size. The
    /// canonical frame address is a multiple of 16, as the ABI demands at each call.
    fn is_aligned(&self, register: u8, offset: i64, size: u64) -> bool {
        match self.canonical {
            Some((base, to_frame)) if base == register => {
                let distance = i128::from(offset) - i128::from(to_frame);
                matches!(size, 1 | 2 | 4 | 8 | 16) && distance.rem_euclid(i128::from(size)) == 0
            }
            _ => false,
        }
    }

    /// Bytes above the stack pointer that are certainly mapped.
    fn above_stack(&self, state: &RunState) -> i64 {
        match (self.canonical, state.stack) {
            (Some((STACK_POINTER, offset)), Some(stack)) => {
                offset.saturating_sub(stack).saturating_add(ARGUMENTS)
            }
            _ => FRAME,
        }
    }

    /// Returns true if a part of the module's image is always mapped, and writable if `write`.
    fn mapped(&self, address: u64, size: u64, write: bool) -> bool {
        let holds = |segment: &crate::debuginfo::object::ElfSegment| {
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

    /// The link address at an offset from the site.
    fn static_at(&self, offset: i64) -> u64 {
        let site = self.at(self.site).map_or(0, Instruction::address);
        site.wrapping_add_signed(offset)
    }

    /// Returns true if another thread may write memory that a plan reads.
    fn is_read_shared(&self, read: &Read, published: bool) -> bool {
        let memory = match *read {
            Read::Register(STACK_POINTER, offset, _) => LocatedMemory::Stack(offset),
            Read::Register(FRAME_POINTER, offset, _) => LocatedMemory::Frame(offset),
            Read::Site(offset, _) => LocatedMemory::Static(self.static_at(offset)),
            Read::Register(..) | Read::Absolute(..) | Read::Anywhere => return true,
        };
        let (Read::Register(_, _, size) | Read::Site(_, size)) = *read else {
            return true;
        };
        self.is_shared(memory, size, published)
    }

    /// Returns true if another thread may access memory.
    fn is_shared(&self, memory: LocatedMemory, size: u64, published: bool) -> bool {
        match (memory, self.canonical) {
            (LocatedMemory::Stack(offset), Some((STACK_POINTER, above)))
            | (LocatedMemory::Frame(offset), Some((FRAME_POINTER, above))) => {
                published || !below(offset, size, above)
            }
            (LocatedMemory::Static(address), _) => {
                !self.mapped(address, size, false) || self.mapped(address, size, true)
            }
            (LocatedMemory::Thread, _) => false,
            _ => true,
        }
    }

    /// Returns true if the plan may read any of the `size` bytes.
    fn may_read(&self, memory: LocatedMemory, size: u64) -> bool {
        self.needs
            .reads
            .iter()
            .any(|read| self.overlaps(read, memory, size))
    }

    fn overlaps(&self, read: &Read, memory: LocatedMemory, size: u64) -> bool {
        let (place, length) = match *read {
            Read::Absolute(..) | Read::Anywhere => return true,
            Read::Register(STACK_POINTER, offset, length) => (LocatedMemory::Stack(offset), length),
            Read::Register(FRAME_POINTER, offset, length) => {
                if !matches!(self.canonical, Some((FRAME_POINTER, _))) {
                    return true;
                }
                (LocatedMemory::Frame(offset), length)
            }
            Read::Register(..) => return true,
            Read::Site(offset, length) => {
                let address = self.static_at(offset);
                if !self.mapped(address, length, false) {
                    return true;
                }
                (LocatedMemory::Static(address), length)
            }
        };
        match (place, memory) {
            (LocatedMemory::Stack(a), LocatedMemory::Stack(b))
            | (LocatedMemory::Frame(a), LocatedMemory::Frame(b)) => {
                meet(a.into(), length, b.into(), size)
            }
            (LocatedMemory::Static(a), LocatedMemory::Static(b)) => {
                meet(a.into(), length, b.into(), size)
            }
            (_, LocatedMemory::Pointer) => true,
            // The image, the stacks and the thread's block do not overlap. The thread's block is
            // not written.
            (LocatedMemory::Static(_), _)
            | (_, LocatedMemory::Static(_))
            | (_, LocatedMemory::Thread) => false,
            // The distance between frame pointer and stack pointer is unknown.
            _ => true,
        }
    }
}

/// Returns true if two ranges of memory have a byte in common.
fn meet(a: i128, a_size: u64, b: i128, b_size: u64) -> bool {
    a < b + i128::from(b_size) && b < a + i128::from(a_size)
}
