//! Whether a function gives its first argument back in `rax`, as those do that return a value in
//! memory of their caller's.
//!
//! All instructions of the function are followed, with the registers and the slots of its frame that
//! hold the argument. A slot is written by instructions that name the frame alone: compilers take no
//! address of a slot that they keep an argument in.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};

use super::module::Module;
use crate::address::LinkAddr;

/// Bytes of one function that are looked through.
const MAX_BYTES: u64 = 1 << 18;
/// Instructions that are followed, those that are followed again included.
const MAX_STEPS: usize = 1 << 18;
/// Slots of a frame that hold the argument.
const MAX_SLOTS: usize = 16;
/// Bytes of a slot.
const SLOT: i64 = 8;

/// Registers that a call leaves as they are.
const KEPT: [Register; 6] = [
    Register::RBX,
    Register::RBP,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

impl Module {
    /// Whether `rax` is the first argument at each `ret` instruction of the function with the code at
    /// `address`, and it is left by no jump.
    #[must_use]
    pub fn hands_back_first_argument(&self, address: LinkAddr) -> bool {
        let Some(function) = self.function_code_at(address) else {
            return false;
        };
        let Some(code) = instructions(self, &function.ranges) else {
            return false;
        };
        Followed::new(&code, function.entry.0).is_some_and(|followed| followed.hands_back())
    }
}

/// The instructions of a function by address; `None`: they cannot all be read.
fn instructions(
    module: &Module,
    ranges: &[(LinkAddr, LinkAddr)],
) -> Option<BTreeMap<u64, Instruction>> {
    let mut found = BTreeMap::new();
    let mut left = MAX_BYTES;
    for (begin, end) in ranges {
        let length = end.0.checked_sub(begin.0)?;
        left = left.checked_sub(length)?;
        let bytes = module
            .initial_bytes(*begin, usize::try_from(length).ok()?)
            .filter(|bytes| bytes.len() as u64 == length)?;
        let mut decoder = Decoder::with_ip(64, bytes, begin.0, DecoderOptions::NONE);
        while decoder.can_decode() {
            let instruction = decoder.decode();
            if instruction.is_invalid() {
                return None;
            }
            found.insert(instruction.ip(), instruction);
        }
    }
    Some(found)
}

/// Where the argument is, before an instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    registers: BTreeSet<Register>,
    /// Bytes from the stack pointer at the entry.
    slots: BTreeSet<i64>,
    /// How far `rsp` and `rbp` are from the stack pointer at the entry, where that is known.
    frame: HashMap<Register, i64>,
}

impl State {
    fn at_entry() -> Self {
        Self {
            registers: BTreeSet::from([Register::RDI]),
            slots: BTreeSet::new(),
            frame: HashMap::from([(Register::RSP, 0)]),
        }
    }

    /// What is so on both ways.
    fn joined(&self, other: &Self) -> Self {
        let same = |(register, at): (&Register, &i64)| {
            (other.frame.get(register) == Some(at)).then_some((*register, *at))
        };
        Self {
            registers: &self.registers & &other.registers,
            slots: &self.slots & &other.slots,
            frame: self.frame.iter().filter_map(same).collect(),
        }
    }

    fn set(&mut self, register: Register, holds: bool) {
        if holds {
            self.registers.insert(register);
        } else {
            self.registers.remove(&register);
        }
    }

    fn set_slot(&mut self, at: i64, holds: bool) {
        self.overwrite(at, SLOT);
        if holds && self.slots.len() < MAX_SLOTS {
            self.slots.insert(at);
        }
    }

    fn overwrite(&mut self, at: i64, size: i64) {
        self.slots
            .retain(|slot| *slot >= at.saturating_add(size) || slot.saturating_add(SLOT) <= at);
    }

    /// The place in the frame that an operand in memory names.
    fn place(&self, instruction: &Instruction) -> Option<i64> {
        let base = self.frame.get(&instruction.memory_base())?;
        let plain = instruction.memory_index() == Register::None;
        plain.then(|| base.wrapping_add(instruction.memory_displacement64() as i64))
    }

    fn move_stack(&mut self, by: i64) {
        if let Some(at) = self.frame.get_mut(&Register::RSP) {
            *at = at.wrapping_add(by);
        }
    }
}

/// The state before each instruction.
struct Followed<'c> {
    code: &'c BTreeMap<u64, Instruction>,
    before: BTreeMap<u64, State>,
    /// Behind every call: where an exception comes back to.
    behind_calls: Option<State>,
    todo: Vec<u64>,
    factory: InstructionInfoFactory,
    left: usize,
}

impl<'c> Followed<'c> {
    /// `None`: it is not known where the code goes.
    fn new(code: &'c BTreeMap<u64, Instruction>, entry: u64) -> Option<Self> {
        let mut followed = Self {
            code,
            before: BTreeMap::new(),
            behind_calls: None,
            todo: Vec::new(),
            factory: InstructionInfoFactory::new(),
            left: MAX_STEPS,
        };
        followed.reach(entry, State::at_entry());
        followed.run()?;
        // What no way leads to is where exceptions come back to, from any of the calls.
        let mut landings = Vec::new();
        loop {
            let state = followed.behind_calls.clone().unwrap_or_default();
            let is_new = |address: &&u64| !followed.before.contains_key(address);
            let new = code.keys().find(is_new).copied();
            landings.extend(new);
            for landing in &landings {
                followed.reach(*landing, state.clone());
            }
            if followed.todo.is_empty() {
                return Some(followed);
            }
            followed.left = followed.left.checked_sub(landings.len())?;
            followed.run()?;
        }
    }

    fn hands_back(&self) -> bool {
        let is_return = |one: &&Instruction| one.flow_control() == FlowControl::Return;
        let mut returns = self.code.values().filter(is_return).peekable();
        let holds = |one: &Instruction| {
            let before = self.before.get(&one.ip());
            before.is_some_and(|state| state.registers.contains(&Register::RAX))
        };
        returns.peek().is_some() && returns.all(holds)
    }

    fn run(&mut self) -> Option<()> {
        while let Some(address) = self.todo.pop() {
            self.left = self.left.checked_sub(1)?;
            let instruction = self.code.get(&address)?;
            let state = self.before.get(&address)?.clone();
            let flow = instruction.flow_control();
            let after = self.step(instruction, state);
            match flow {
                FlowControl::Return | FlowControl::Exception => continue,
                FlowControl::IndirectBranch | FlowControl::XbeginXabortXend => return None,
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                    if instruction.op0_kind() != OpKind::NearBranch64 {
                        return None;
                    }
                    let target = instruction.near_branch_target();
                    self.code.get(&target)?;
                    self.reach(target, after.clone());
                    if flow == FlowControl::UnconditionalBranch {
                        continue;
                    }
                }
                _ => {}
            }
            // Behind a call that does not come back, another function may begin.
            if self.code.contains_key(&instruction.next_ip()) {
                self.reach(instruction.next_ip(), after);
            }
        }
        Some(())
    }

    fn reach(&mut self, address: u64, state: State) {
        let joined = match self.before.get(&address) {
            Some(known) => known.joined(&state),
            None => state,
        };
        if self.before.get(&address) != Some(&joined) {
            self.before.insert(address, joined);
            self.todo.push(address);
        }
    }

    fn step(&mut self, instruction: &Instruction, mut state: State) -> State {
        match instruction.flow_control() {
            FlowControl::Call | FlowControl::IndirectCall => {
                state.registers.retain(|register| KEPT.contains(register));
                let below = state.frame.get(&Register::RSP).copied();
                state
                    .slots
                    .retain(|slot| below.is_some_and(|below| *slot >= below));
                self.behind_calls = Some(match &self.behind_calls {
                    Some(known) => known.joined(&state),
                    None => state.clone(),
                });
                return state;
            }
            FlowControl::Next => {}
            _ => return state,
        }
        if !stack_step(instruction, &mut state) && !move_step(instruction, &mut state) {
            self.other_step(instruction, &mut state);
        }
        state
    }

    /// An instruction of which only the operands are known that it writes.
    fn other_step(&mut self, instruction: &Instruction, state: &mut State) {
        let info = self.factory.info(instruction);
        for used in info
            .used_registers()
            .iter()
            .filter(|one| writes(one.access()))
        {
            let register = used.register().full_register();
            state.registers.remove(&register);
            state.frame.remove(&register);
        }
        for used in info.used_memory().iter().filter(|one| writes(one.access())) {
            let base = state.frame.get(&used.base()).copied();
            match base {
                Some(base) if used.index() == Register::None => {
                    let at = base.wrapping_add(used.displacement() as i64);
                    state.overwrite(at, used.memory_size().size() as i64);
                }
                None if !matches!(used.base(), Register::RSP | Register::RBP) => {}
                _ => state.slots.clear(),
            }
        }
    }
}

fn writes(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

/// `push`, `pop`, and sums with the stack pointer; whether it is one.
fn stack_step(instruction: &Instruction, state: &mut State) -> bool {
    let register = instruction.op0_register();
    let is_register = instruction.op0_kind() == OpKind::Register && register.is_gpr64();
    match instruction.mnemonic() {
        Mnemonic::Push if is_register => {
            state.move_stack(-SLOT);
            match state.frame.get(&Register::RSP) {
                Some(at) => state.set_slot(*at, state.registers.contains(&register)),
                None => state.slots.clear(),
            }
            true
        }
        Mnemonic::Pop if is_register && register != Register::RSP => {
            let top = state.frame.get(&Register::RSP);
            let holds = top.is_some_and(|at| state.slots.contains(at));
            state.frame.remove(&register);
            state.set(register, holds);
            state.move_stack(SLOT);
            true
        }
        Mnemonic::Add | Mnemonic::Sub if is_register && register == Register::RSP => {
            let by = instruction.try_immediate(1).ok().map(|by| by as i64);
            match by {
                Some(by) if instruction.mnemonic() == Mnemonic::Add => state.move_stack(by),
                Some(by) => state.move_stack(by.wrapping_neg()),
                None => {
                    state.frame.remove(&Register::RSP);
                }
            }
            true
        }
        _ => false,
    }
}

/// `mov` of eight bytes between registers and the frame; whether it is one.
fn move_step(instruction: &Instruction, state: &mut State) -> bool {
    if instruction.mnemonic() != Mnemonic::Mov {
        return false;
    }
    let (to, from) = (instruction.op0_register(), instruction.op1_register());
    match (instruction.op0_kind(), instruction.op1_kind()) {
        (OpKind::Register, OpKind::Register) if to.is_gpr64() && from.is_gpr64() => {
            let holds = state.registers.contains(&from);
            state.set(to, holds);
            let frame = state.frame.get(&from).copied();
            match frame.filter(|_| matches!(to, Register::RSP | Register::RBP)) {
                Some(at) => state.frame.insert(to, at),
                None => state.frame.remove(&to),
            };
            true
        }
        (OpKind::Register, OpKind::Memory) if to.is_gpr64() => {
            let place = state.place(instruction);
            let holds = place.is_some_and(|at| state.slots.contains(&at));
            state.frame.remove(&to);
            state.set(to, holds);
            true
        }
        (OpKind::Memory, OpKind::Register) if from.is_gpr64() => match state.place(instruction) {
            Some(at) => {
                state.set_slot(at, state.registers.contains(&from));
                true
            }
            None => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RET: u8 = 0xc3;

    fn hands_back(code: &[u8]) -> bool {
        let instructions = Decoder::with_ip(64, code, 0x1000, DecoderOptions::NONE);
        let code: BTreeMap<u64, Instruction> = instructions
            .into_iter()
            .map(|one| (one.ip(), one))
            .collect();
        Followed::new(&code, 0x1000).is_some_and(|followed| followed.hands_back())
    }

    fn with_ret(code: &[u8]) -> Vec<u8> {
        [code, &[RET]].concat()
    }

    #[test]
    fn argument_is_followed_through_registers_and_slots() {
        // mov rax, rdi
        assert!(hands_back(&with_ret(&[0x48, 0x89, 0xf8])));
        assert!(!hands_back(&with_ret(&[0x48, 0x89, 0xf0])), "mov rax, rsi");
        let spilled = [
            &[0x48, 0x83, 0xec, 0x18][..],   // sub rsp, 24
            &[0x48, 0x89, 0x7c, 0x24, 0x08], // mov [rsp + 8], rdi
            &[0xe8, 0, 0, 0, 0],             // call
            &[0x48, 0x8b, 0x44, 0x24, 0x08], // mov rax, [rsp + 8]
            &[0x48, 0x83, 0xc4, 0x18],       // add rsp, 24
        ]
        .concat();
        assert!(hands_back(&with_ret(&spilled)));
    }

    #[test]
    fn argument_is_lost_where_its_register_or_slot_is_written() {
        // mov rax, rdi; call; or: lea rax, [rdi]; or: mov eax, edi
        assert!(!hands_back(&with_ret(&[
            0x48, 0x89, 0xf8, 0xe8, 0, 0, 0, 0
        ])));
        assert!(!hands_back(&with_ret(&[0x89, 0xf8])));
        assert!(
            !hands_back(&with_ret(&[0x48, 0x89, 0xf8, 0xff, 0xc0])),
            "inc eax"
        );
        let overwritten = [
            &[0x48, 0x89, 0x7c, 0x24, 0xf0][..], // mov [rsp - 16], rdi
            &[0xc6, 0x44, 0x24, 0xf7, 0x01],     // mov byte [rsp - 9], 1
            &[0x48, 0x8b, 0x44, 0x24, 0xf0],     // mov rax, [rsp - 16]
        ]
        .concat();
        assert!(!hands_back(&with_ret(&overwritten)));
        let below = [
            &[0x48, 0x89, 0x7c, 0x24, 0xf0][..], // mov [rsp - 16], rdi
            &[0xe8, 0, 0, 0, 0],                 // call
            &[0x48, 0x8b, 0x44, 0x24, 0xf0],     // mov rax, [rsp - 16]
        ]
        .concat();
        assert!(
            !hands_back(&with_ret(&below)),
            "a call writes below the stack pointer"
        );
    }

    #[test]
    fn argument_counts_where_every_way_has_it() {
        let ways = |otherwise: [u8; 3]| {
            let code = [
                &[0x48, 0x89, 0xf8][..], // mov rax, rdi
                &[0x74, 0x03],           // je behind the next
                &otherwise,
            ]
            .concat();
            hands_back(&with_ret(&code))
        };
        assert!(ways([0x48, 0x89, 0xf8]), "mov rax, rdi");
        assert!(!ways([0x48, 0x89, 0xf0]), "mov rax, rsi");
        // jmp rax: nobody knows where to.
        assert!(!hands_back(&with_ret(&[0x48, 0x89, 0xf8, 0xff, 0xe0])));
    }
}
