//! One function, decoded: its instructions, and every place of it that
//! something in it leads to.

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, OpKind, Register};
use object::elf;

use super::Stay;
use super::published::published;
use crate::address::LinkAddr;
use crate::debuginfo::Module;
use crate::debuginfo::flow::FunctionCode;
use crate::debuginfo::types::Language;

/// Bytes of one function; of a larger one no probe is moved.
const MAX_BYTES: u64 = 1 << 20;

/// Entries of one jump table that are read.
const MAX_TABLE: usize = 1 << 16;

/// A function, decoded.
pub(super) struct Function {
    pub(super) entry: LinkAddr,
    /// By address.
    pub(super) instructions: Vec<Instruction>,
    /// Where branches, jump tables and landing pads lead, sorted; each as often
    /// as something leads there.
    targets: Vec<u64>,
    /// Direct branches that are no calls: target and place, sorted.
    branches: Vec<(u64, u64)>,
    /// Where jump tables lead; also in `targets`.
    table_entries: Vec<u64>,
    /// Every branch, landing pad and statement in it is at one of its instructions: what was
    /// decoded one behind the other is what is executed, not bytes beside it.
    pub(super) in_step: bool,
    /// Jumps to addresses that are computed.
    pub(super) computed: Vec<LinkAddr>,
    /// For each instruction, whether an address of the frame may be known outside of it.
    published: Vec<bool>,
}

impl Function {
    /// Decodes a function.
    ///
    /// # Errors
    /// Why its flow is not understood for certain.
    pub(super) fn read(module: &Module, code: &FunctionCode) -> Result<Self, Stay> {
        if code.language == Language::Other {
            return Err(Stay::Language);
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
            return Err(Stay::Size);
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
        };
        function.find_branches();
        let pads = module.landing_pads(&ranges).ok_or(Stay::LandingPads)?;
        function.in_step = function.is_in_step(module, &ranges, &pads);
        function.tables(module, &ranges)?;
        function.targets.extend(pads.iter().map(|pad| pad.0));
        function.targets.sort_unstable();
        function.branches.sort_unstable();
        function.published = published(module, &function, code.language, &pads);
        Ok(function)
    }

    /// Where in the instructions the one at `address` is.
    pub(super) fn index_of(&self, address: LinkAddr) -> Option<usize> {
        self.instructions
            .binary_search_by_key(&address.0, Instruction::ip)
            .ok()
    }

    /// Whether an address of the frame may be known outside of it when the instruction at `index`
    /// is executed.
    pub(super) fn is_published(&self, index: usize) -> bool {
        self.published.get(index).copied().unwrap_or(true)
    }

    /// Whether something in the function leads behind `after`, up to `last`.
    pub(super) fn any_target_between(&self, after: LinkAddr, last: LinkAddr) -> bool {
        let next = self.targets.partition_point(|target| *target <= after.0);
        self.targets
            .get(next)
            .is_some_and(|target| *target <= last.0)
    }

    /// How many things in the function lead to `address`.
    pub(super) fn targets_at(&self, address: LinkAddr) -> usize {
        let first = self.targets.partition_point(|target| *target < address.0);
        let after = self.targets.partition_point(|target| *target <= address.0);
        after.saturating_sub(first)
    }

    /// How many entries of jump tables lead to `address`.
    pub(super) fn table_entries_at(&self, address: LinkAddr) -> usize {
        let entries = &self.table_entries;
        let first = entries.partition_point(|target| *target < address.0);
        let after = entries.partition_point(|target| *target <= address.0);
        after.saturating_sub(first)
    }

    /// The direct unconditional jump to `address`, when no other branch leads there.
    pub(super) fn only_jump_to(&self, address: LinkAddr) -> Option<LinkAddr> {
        let [from] = *self.branches_to(address) else {
            return None;
        };
        let jump = self.instructions.get(self.index_of(from)?)?;
        (jump.flow_control() == FlowControl::UnconditionalBranch).then_some(from)
    }

    /// Where the direct branches to `address` are, conditional or not.
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
            if instruction.op0_kind() != OpKind::NearBranch64 {
                continue;
            }
            let target = instruction.near_branch_target();
            self.targets.push(target);
            if matches!(
                instruction.flow_control(),
                FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
            ) {
                self.branches.push((target, instruction.ip()));
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

    /// Adds where the function's jump tables lead, when it jumps to an address
    /// that it computes.
    ///
    /// Tables of addresses are in [`super::entries`]. What is left are tables of
    /// differences: each from the table's own beginning, which is loaded by a
    /// `lea`. Every such `lea` is taken for one, and read until an entry leaves
    /// the function, or leads into the middle of an instruction where those are
    /// known for certain: that is too much, never too little. A case that cannot
    /// come may lead to the very end of the function, where nothing is.
    fn tables(&mut self, module: &Module, ranges: &[(u64, u64)]) -> Result<(), Stay> {
        let computed = |instruction: &Instruction| {
            instruction.code() == Code::Jmp_rm64 && instruction.op0_kind() == OpKind::Register
        };
        let jumps = self.instructions.iter().filter(|jump| computed(jump));
        self.computed = jumps.map(|jump| LinkAddr(jump.ip())).collect();
        if self.computed.is_empty() {
            return Ok(());
        }
        let mut tables: Vec<u64> = Vec::new();
        for instruction in &self.instructions {
            if instruction.code() == Code::Lea_r64_m && instruction.memory_base() == Register::RIP {
                let target = instruction.memory_displacement64();
                if inside(ranges, target) && target != self.entry.0 {
                    // Labels as values: differences of them could be anywhere.
                    return Err(Stay::ComputedJump);
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
        let indexed = |instruction: &Instruction| {
            matches!(instruction.code(), Code::Movsxd_r64_rm32)
                && instruction.op1_kind() == OpKind::Memory
                && instruction.memory_index_scale() == 4
        };
        self.table_entries = self.targets.get(before..).unwrap_or_default().to_vec();
        self.table_entries.sort_unstable();
        if self.targets.len() == before && self.instructions.iter().any(indexed) {
            return Err(Stay::ComputedJump);
        }
        Ok(())
    }

    fn table(&mut self, module: &Module, ranges: &[(u64, u64)], table: u64) {
        let data = |segment: &&crate::debuginfo::object::Segment| {
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

fn decode(module: &Module, ranges: &[(u64, u64)]) -> Result<Vec<Instruction>, Stay> {
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable();
    let mut instructions = Vec::new();
    for (begin, end) in ranges {
        let length = usize::try_from(end.saturating_sub(begin)).map_err(|_| Stay::Size)?;
        let bytes = module
            .initial_bytes(LinkAddr(begin), length)
            .filter(|bytes| bytes.len() == length)
            .ok_or(Stay::Undecodable)?;
        let mut decoder = Decoder::with_ip(64, bytes, begin, DecoderOptions::NONE);
        while decoder.can_decode() {
            let instruction = decoder.decode();
            if instruction.is_invalid() {
                return Err(Stay::Undecodable);
            }
            instructions.push(instruction);
        }
    }
    Ok(instructions)
}
