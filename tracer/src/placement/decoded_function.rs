//! A decoded function: its instructions, and all targets of jumps within it.

use object::elf;

use super::StayReason;
use crate::arch::{self, Flow, Instruction};
use crate::base::address::LinkAddr;
use crate::debuginfo::Module;
use crate::debuginfo::function_code::FunctionCode;
use crate::debuginfo::types::Language;

/// Most bytes of a function. Probes in a larger one are not moved.
const MAX_BYTES: u64 = 1 << 20;

/// Most entries of one jump table.
const MAX_TABLE: usize = 1 << 16;

/// A function, decoded.
pub(super) struct DecodedFunction {
    pub(super) entry: LinkAddr,
    /// Sorted by address.
    pub(super) instructions: Vec<Instruction>,
    /// Targets of branches, jump tables and landing pads, sorted. A target appears once for each
    /// way that leads to it.
    targets: Vec<u64>,
    /// Target and address of each direct branch except calls, sorted.
    branches: Vec<(u64, u64)>,
    /// Targets of jump tables, which are in `targets` as well.
    table_entries: Vec<u64>,
    /// All branches, landing pads and statements are at instructions, so the decoded sequence is
    /// the executed one.
    pub(super) in_step: bool,
    /// Addresses of computed jumps.
    pub(super) computed: Vec<LinkAddr>,
    /// Landing pads of exceptions.
    pub(super) pads: Vec<LinkAddr>,
    /// For each instruction: whether an address of the frame may be known outside the function. See
    /// [`super::frame_escape`].
    pub(super) published: Vec<bool>,
}

impl DecodedFunction {
    /// Decodes a function.
    ///
    /// # Errors
    /// The reason why its control flow is uncertain.
    pub(super) fn read(module: &Module, code: &FunctionCode) -> Result<Self, StayReason> {
        if code.language == Language::Other {
            return Err(StayReason::Language);
        }
        let ranges: Vec<(u64, u64)> = code
            .ranges
            .iter()
            .map(|(begin, end)| (begin.0, end.0))
            .collect();
        let size = ranges.iter().fold(0, |sum: u64, (begin, end)| {
            sum.saturating_add(end.saturating_sub(*begin))
        });
        if size > MAX_BYTES {
            return Err(StayReason::Size);
        }
        let instructions = decode(module, &ranges)?;
        let mut function = Self {
            entry: code.entry,
            instructions,
            targets: Vec::new(),
            branches: Vec::new(),
            table_entries: Vec::new(),
            in_step: false,
            computed: Vec::new(),
            published: Vec::new(),
            pads: Vec::new(),
        };
        function.find_branches();
        let pads = module
            .landing_pads(&ranges)
            .ok_or(StayReason::LandingPads)?;
        function.in_step = function.is_in_step(module, &ranges, &pads);
        function.tables(module, &ranges)?;
        function.targets.extend(pads.iter().map(|pad| pad.0));
        function.targets.sort_unstable();
        function.branches.sort_unstable();
        function.pads = pads;
        Ok(function)
    }

    /// The index of the instruction at `address`.
    pub(super) fn index_of(&self, address: LinkAddr) -> Option<usize> {
        self.instructions
            .binary_search_by_key(&address.0, Instruction::address)
            .ok()
    }

    /// Returns true if an address of the frame may be known outside when the instruction at `index`
    /// is executed.
    pub(super) fn is_published(&self, index: usize) -> bool {
        self.published.get(index).copied().unwrap_or(true)
    }

    /// Returns true if anything in the function leads to an address above `after`, up to `last`.
    pub(super) fn any_target_between(&self, after: LinkAddr, last: LinkAddr) -> bool {
        let next = self.targets.partition_point(|target| *target <= after.0);
        self.targets
            .get(next)
            .is_some_and(|target| *target <= last.0)
    }

    /// The number of ways in the function that lead to `address`.
    pub(super) fn targets_at(&self, address: LinkAddr) -> usize {
        let first = self.targets.partition_point(|target| *target < address.0);
        let after = self.targets.partition_point(|target| *target <= address.0);
        after.saturating_sub(first)
    }

    /// The number of jump table entries that lead to `address`.
    pub(super) fn table_entries_at(&self, address: LinkAddr) -> usize {
        let entries = &self.table_entries;
        let first = entries.partition_point(|target| *target < address.0);
        let after = entries.partition_point(|target| *target <= address.0);
        after.saturating_sub(first)
    }

    /// The address of the direct unconditional jump to `address`, if no other branch leads there.
    pub(super) fn only_jump_to(&self, address: LinkAddr) -> Option<LinkAddr> {
        let [from] = *self.branches_to(address) else {
            return None;
        };
        let jump = self.instructions.get(self.index_of(from)?)?;
        (jump.flow() == Flow::Jump).then_some(from)
    }

    /// Addresses of the direct branches to `address`, conditional or not.
    pub(super) fn branches_to(&self, address: LinkAddr) -> Vec<LinkAddr> {
        let first = self
            .branches
            .partition_point(|(target, _)| *target < address.0);
        let to = self.branches.get(first..).unwrap_or_default().iter();
        to.take_while(|(target, _)| *target == address.0)
            .map(|(_, from)| LinkAddr(*from))
            .collect()
    }

    fn find_branches(&mut self) {
        for instruction in &self.instructions {
            let Some(target) = instruction.target() else {
                continue;
            };
            self.targets.push(target);
            if instruction.flow().is_direct_jump() {
                self.branches.push((target, instruction.address()));
            }
        }
    }

    fn is_in_step(&self, module: &Module, ranges: &[(u64, u64)], pads: &[LinkAddr]) -> bool {
        let is_instruction = |address: u64| self.index_of(LinkAddr(address)).is_some();
        let mut branches = self.targets.iter().filter(|to| inside(ranges, **to));
        branches.all(|target| is_instruction(*target))
            && pads.iter().all(|pad| is_instruction(pad.0))
            && ranges.iter().all(|(begin, end)| {
                let last = LinkAddr(end.saturating_sub(1));
                let rows = module.statements_between(LinkAddr(*begin), last);
                rows.iter().all(|row| is_instruction(row.address.0))
            })
    }

    /// Adds the targets of the function's jump tables, if it has computed jumps.
    ///
    /// [`super::module_entries`] finds tables of addresses. The remaining tables have differences
    /// from their own start, which a `lea` loads. Each such `lea` is taken for a table. The table
    /// is read until an entry leaves the function, or leads into the middle of an instruction in
    /// code that is known to be in step. That finds too many targets, never too few. An impossible
    /// case may lead to the end of the function.
    fn tables(&mut self, module: &Module, ranges: &[(u64, u64)]) -> Result<(), StayReason> {
        let jumps = self
            .instructions
            .iter()
            .filter(|jump| jump.is_computed_jump());
        self.computed = jumps.map(|jump| LinkAddr(jump.address())).collect();
        if self.computed.is_empty() {
            return Ok(());
        }
        let mut tables: Vec<u64> = Vec::new();
        for instruction in &self.instructions {
            if let Some(target) = instruction.address_taken() {
                if inside(ranges, target) && target != self.entry.0 {
                    // Labels as values: their differences may be anywhere.
                    return Err(StayReason::ComputedJump);
                }
                tables.push(target);
            }
        }
        tables.sort_unstable();
        tables.dedup();
        let before = self.targets.len();
        for table in tables {
            self.table(module, ranges, table);
        }
        self.table_entries = self.targets.get(before..).unwrap_or_default().to_vec();
        self.table_entries.sort_unstable();
        if self.targets.len() == before
            && self.instructions.iter().any(Instruction::loads_table_entry)
        {
            return Err(StayReason::ComputedJump);
        }
        Ok(())
    }

    fn table(&mut self, module: &Module, ranges: &[(u64, u64)], table: u64) {
        let data = |segment: &&crate::debuginfo::object::ElfSegment| {
            segment.kind == elf::PT_LOAD.0
                && !segment.executable()
                && segment.address.0 <= table
                && table - segment.address.0 < segment.file_size
        };
        if !module.segments().iter().any(|segment| data(&segment)) {
            return;
        }
        let bytes = module.initial_bytes(LinkAddr(table), MAX_TABLE * 4);
        for entry in bytes.unwrap_or_default().chunks_exact(4) {
            let [a, b, c, d] = *entry else { break };
            let difference = i64::from(i32::from_le_bytes([a, b, c, d]));
            let target = table.wrapping_add(difference as u64);
            if !inside(ranges, target) {
                if ranges.iter().any(|(_, end)| *end == target) {
                    continue;
                }
                break;
            }
            if self.in_step && self.index_of(LinkAddr(target)).is_none() {
                break;
            }
            self.targets.push(target);
        }
    }
}

fn inside(ranges: &[(u64, u64)], address: u64) -> bool {
    ranges
        .iter()
        .any(|(begin, end)| (*begin..*end).contains(&address))
}

fn decode(module: &Module, ranges: &[(u64, u64)]) -> Result<Vec<Instruction>, StayReason> {
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable();
    let mut instructions = Vec::new();
    for (begin, end) in ranges {
        let length = usize::try_from(end.saturating_sub(begin)).map_err(|_| StayReason::Size)?;
        let bytes = module
            .initial_bytes(LinkAddr(begin), length)
            .filter(|bytes| bytes.len() == length)
            .ok_or(StayReason::Undecodable)?;
        for instruction in arch::decode(bytes, begin) {
            if !instruction.is_valid() {
                return Err(StayReason::Undecodable);
            }
            instructions.push(instruction);
        }
    }
    Ok(instructions)
}
