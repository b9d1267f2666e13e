//! Finds out if a function returns its first argument in `rax`. A function does so if it returns
//! a value in memory of its caller.
//!
//! All instructions of the function are followed, with the registers and the slots of its frame
//! that hold the argument. Only instructions that name the frame are taken to write a slot,
//! because compilers never take the address of a slot that holds an argument.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use iced_x86::{FlowControl, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::instruction::Instruction;

/// Instructions that are followed, including repetitions.
const MAX_STEPS: usize = 1 << 18;
/// Slots of a frame that can hold the argument.
const MAX_SLOTS: usize = 16;
/// Size in bytes of a slot.
const SLOT: i64 = 8;

/// Registers that a call preserves.
const KEPT: [Register; 6] = [
    Register::RBX,
    Register::RBP,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

/// Returns true if the first argument of a function is in the return register at each `ret`
/// instruction, and no jump leaves the function. `code` is all of the function's code.
#[must_use]
pub fn hands_back_first_argument(code: &[Instruction], entry: u64) -> bool {
    let code: CodeByAddress = code
        .iter()
        .map(|one| (one.address(), one.decoded))
        .collect();
    FirstArgument::new(&code, entry).is_some_and(|followed| followed.hands_back())
}

type Decoded = iced_x86::Instruction;
type CodeByAddress = BTreeMap<u64, Decoded>;

/// The places of the argument before an instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ArgumentState {
    registers: BTreeSet<Register>,
    /// Offsets in bytes from the stack pointer at the entry.
    slots: BTreeSet<i64>,
    /// Known offsets of `rsp` and `rbp` from the stack pointer at the entry.
    frame: HashMap<Register, i64>,
}

impl ArgumentState {
    fn at_entry() -> Self {
        Self {
            registers: BTreeSet::from([Register::RDI]),
            slots: BTreeSet::new(),
            frame: HashMap::from([(Register::RSP, 0)]),
        }
    }

    /// Returns the facts that hold on both paths.
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

    /// Returns the offset in the frame of an operand in memory.
    fn place(&self, instruction: &Decoded) -> Option<i64> {
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
struct FirstArgument<'c> {
    code: &'c CodeByAddress,
    before: BTreeMap<u64, ArgumentState>,
    /// State after every call, which is the state at the landing of an exception.
    behind_calls: Option<ArgumentState>,
    todo: Vec<u64>,
    factory: InstructionInfoFactory,
    left: usize,
}

impl<'c> FirstArgument<'c> {
    /// Follows the code from its entry. Returns `None` if the target of a jump is not known.
    fn new(code: &'c CodeByAddress, entry: u64) -> Option<Self> {
        let mut followed = Self {
            code,
            before: BTreeMap::new(),
            behind_calls: None,
            todo: Vec::new(),
            factory: InstructionInfoFactory::new(),
            left: MAX_STEPS,
        };
        followed.reach(entry, ArgumentState::at_entry());
        followed.run()?;
        // Code that no path reaches is the landing of exceptions from any of the calls.
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
        let is_return = |one: &&Decoded| one.flow_control() == FlowControl::Return;
        let mut returns = self.code.values().filter(is_return).peekable();
        let holds = |one: &Decoded| {
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
            // After a call that does not return, another function may begin.
            if self.code.contains_key(&instruction.next_ip()) {
                self.reach(instruction.next_ip(), after);
            }
        }
        Some(())
    }

    fn reach(&mut self, address: u64, state: ArgumentState) {
        let joined = match self.before.get(&address) {
            Some(known) => known.joined(&state),
            None => state,
        };
        if self.before.get(&address) != Some(&joined) {
            self.before.insert(address, joined);
            self.todo.push(address);
        }
    }

    fn step(&mut self, instruction: &Decoded, mut state: ArgumentState) -> ArgumentState {
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

    /// Applies any other instruction, which overwrites its output operands.
    fn other_step(&mut self, instruction: &Decoded, state: &mut ArgumentState) {
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

/// Applies `push`, `pop`, and sums with the stack pointer. Returns true if the instruction is one
/// of these.
fn stack_step(instruction: &Decoded, state: &mut ArgumentState) -> bool {
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

/// Applies a `mov` of eight bytes between registers and the frame. Returns true if the
/// instruction is one of these.
fn move_step(instruction: &Decoded, state: &mut ArgumentState) -> bool {
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
    use crate::arch::decode;

    const RET: u8 = 0xc3;

    fn hands_back(code: &[u8]) -> bool {
        let code: Vec<Instruction> = decode(code, 0x1000).collect();
        hands_back_first_argument(&code, 0x1000)
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
        // jmp rax: the target is not known.
        assert!(!hands_back(&with_ret(&[0x48, 0x89, 0xf8, 0xff, 0xe0])));
    }
}
