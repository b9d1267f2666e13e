//! Unwinds from a frame to its caller, by call frame information alone.
//!
//! The unwinder is strict: it does not guess frame pointers, and does not search the stack for
//! words that look like return addresses. If there is no rule, or a rule needs an unknown value,
//! the walk ends with the reason. All registers that the callee saved are restored, so that the
//! caller's variables can be found.

use gimli::{
    BaseAddresses, CfaRule, EvaluationResult, Location, RegisterRule, UnwindContext,
    UnwindExpression, UnwindSection, Value,
};

use super::cfi::RowReader;
use crate::arch::{
    CALLEE_SAVED, Flow, INSTRUCTION_POINTER, Instruction, MAX_INSTRUCTION, REGISTERS,
    SIGNAL_RETURN, STACK_POINTER, decode, signal_frame,
};
use crate::base::address::LinkAddr;
use crate::debuginfo::Slice;
use crate::debuginfo::module::Module;

/// Index of the stack pointer among the registers.
const STACK: usize = STACK_POINTER as usize;
/// Index of the return address, and of the instruction pointer.
const RETURN: usize = INSTRUCTION_POINTER as usize;
/// Operations of one expression in call frame information.
const MAX_ITERATIONS: u32 = 4096;

/// Registers of one frame by DWARF number, the instruction pointer last. `None` is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers(pub [Option<u64>; REGISTERS]);

impl Registers {
    /// Returns the value of a register.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<u64> {
        self.0.get(number).copied().flatten()
    }

    fn set(&mut self, number: usize, value: Option<u64>) {
        if let Some(register) = self.0.get_mut(number) {
            *register = value;
        }
    }
}

/// A frame's caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Registers of the caller, as they will be when it continues.
    pub registers: Registers,
    /// True if a signal made the frame. The caller made no call then, so its `rip` is the
    /// interrupted instruction itself.
    pub signal: bool,
}

/// The reason why a walk ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnwindError {
    /// The frame is the first one of the thread.
    #[error("the outermost frame")]
    Outermost,
    /// No rule covers the instruction.
    #[error("no call frame information for {address}")]
    NoRule {
        /// The instruction.
        address: LinkAddr,
    },
    /// A rule needs memory that was not captured or not readable.
    #[error("stack memory at {address:#x} was not captured")]
    Memory {
        /// Run address.
        address: u64,
    },
    /// A rule needs a register whose value is not known.
    #[error("register {number} of a frame is not known")]
    Register {
        /// DWARF number.
        number: u16,
    },
    /// A rule cannot be evaluated.
    #[error("bad call frame information: {what}")]
    Bad {
        /// The mistake.
        what: String,
    },
}

impl From<gimli::Error> for UnwindError {
    fn from(error: gimli::Error) -> Self {
        Self::Bad {
            what: error.to_string(),
        }
    }
}

/// Reads 8 bytes of the target's memory at a run address.
pub type ReadWord<'m> = dyn Fn(u64) -> Option<u64> + 'm;

impl Module {
    /// Returns the caller of a frame whose instruction is `address`. `interrupted` says that the frame
    /// is at the beginning of this instruction, and not in a call.
    ///
    /// # Errors
    /// Fails with an [`UnwindError`]; [`UnwindError::Outermost`] is the regular end.
    pub fn caller(
        &self,
        address: LinkAddr,
        interrupted: bool,
        registers: &Registers,
        memory: &ReadWord<'_>,
    ) -> Result<Caller, UnwindError> {
        let next = || {
            let bytes = self.initial_bytes(address, MAX_INSTRUCTION)?;
            decode(bytes, address.0).next()
        };
        let step = UnwindStep {
            registers,
            memory,
            next: if interrupted { next() } else { None },
        };
        self.frame_sections()
            .row(address.0, step)
            .unwrap_or(Err(UnwindError::NoRule { address }))
    }
}

impl Module {
    /// Returns true if a signal handler returns to the code at `address`. The stack then has the
    /// kernel's signal frame, with the registers of the interrupted code.
    ///
    /// The answer comes from call frame information, or from the instructions if there is none.
    #[must_use]
    pub fn is_signal_frame(&self, address: LinkAddr) -> bool {
        let said = self.frame_sections().row(address.0, SignalReader);
        said.unwrap_or_else(|| self.returns_from_signal(address))
    }

    fn returns_from_signal(&self, address: LinkAddr) -> bool {
        self.initial_bytes(address, SIGNAL_RETURN.len()) == Some(&SIGNAL_RETURN[..])
    }

    /// Returns the code that a signal interrupted, from the kernel's frame at `address`.
    ///
    /// # Errors
    /// Fails as [`Module::caller`] does.
    pub fn interrupted(
        &self,
        address: LinkAddr,
        registers: &Registers,
        memory: &ReadWord<'_>,
    ) -> Result<Caller, UnwindError> {
        let step = UnwindStep {
            registers,
            memory,
            next: None,
        };
        let said = self.frame_sections().row(address.0, step);
        said.unwrap_or_else(|| Self::registers_of_context(registers, memory))
    }

    /// Returns the registers of the interrupted code, from the kernel's signal frame.
    fn registers_of_context(
        registers: &Registers,
        memory: &ReadWord<'_>,
    ) -> Result<Caller, UnwindError> {
        let frame = registers.get(STACK);
        let frame = frame.ok_or(UnwindError::Register {
            number: STACK as u16,
        })?;
        let mut caller = Registers([None; REGISTERS]);
        for (index, &number) in (0..).zip(&signal_frame::REGISTERS) {
            let at = frame.wrapping_add(signal_frame::REGISTERS_AT + index * 8);
            let word = memory(at).ok_or(UnwindError::Memory { address: at })?;
            caller.set(number, Some(word));
        }
        match caller.get(RETURN) {
            None | Some(0) => Err(UnwindError::Outermost),
            Some(_) => Ok(Caller {
                registers: caller,
                signal: true,
            }),
        }
    }
}

/// Finds out if an entry of the call frame information describes the kernel's signal frame.
#[derive(Clone, Copy)]
struct SignalReader;

impl<'a> RowReader<'a> for SignalReader {
    type Row = bool;

    fn read<S: UnwindSection<Slice<'a>>>(
        self,
        _: &S,
        _: &BaseAddresses,
        fde: &gimli::FrameDescriptionEntry<Slice<'a>>,
        _: u64,
    ) -> bool {
        fde.is_signal_trampoline()
    }
}

/// One step of the walk.
#[derive(Clone, Copy)]
struct UnwindStep<'r> {
    registers: &'r Registers,
    memory: &'r ReadWord<'r>,
    /// The next instruction of a frame that is not in a call.
    next: Option<Instruction>,
}

impl<'a> RowReader<'a> for UnwindStep<'_> {
    type Row = Result<Caller, UnwindError>;

    fn read<S: UnwindSection<Slice<'a>>>(
        self,
        section: &S,
        bases: &BaseAddresses,
        fde: &gimli::FrameDescriptionEntry<Slice<'a>>,
        address: u64,
    ) -> Self::Row {
        let mut context = Box::new(UnwindContext::new());
        let row = fde.unwind_info_for_address(section, bases, &mut context, address)?;
        let encoding = fde.cie().encoding();
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                self.register(*register)?.wrapping_add_signed(*offset)
            }
            CfaRule::Expression(expression) => {
                self.evaluate(section, expression, encoding, None)?
            }
        };
        let leaves = self.next.is_some_and(|next| match next.flow() {
            Flow::Return => true,
            Flow::Jump => next.target().is_some_and(|to| !fde.contains(to)),
            _ => false,
        });
        let word = |address, number| self.word(address, number, leaves);
        let mut caller = Registers([None; REGISTERS]);
        for number in 0..=RETURN {
            let rule = row.register(gimli::Register(number as u16));
            let value = match rule {
                None if number == STACK => Some(cfa),
                // Without a rule, a register that functions must preserve still has the caller's
                // value. Any other register is lost.
                None if CALLEE_SAVED
                    .iter()
                    .any(|&saved| usize::from(saved) == number) =>
                {
                    self.registers.get(number)
                }
                None | Some(RegisterRule::Undefined | RegisterRule::Architectural) => None,
                Some(RegisterRule::SameValue) => self.registers.get(number),
                Some(RegisterRule::Offset(offset)) => {
                    word(cfa.wrapping_add_signed(offset), number)?
                }
                Some(RegisterRule::ValOffset(offset)) => Some(cfa.wrapping_add_signed(offset)),
                Some(RegisterRule::Register(other)) => self.registers.get(usize::from(other.0)),
                Some(RegisterRule::Constant(value)) => Some(value),
                Some(RegisterRule::Expression(expression)) => {
                    let at = self.evaluate(section, &expression, encoding, Some(cfa))?;
                    word(at, number)?
                }
                Some(RegisterRule::ValExpression(expression)) => {
                    Some(self.evaluate(section, &expression, encoding, Some(cfa))?)
                }
            };
            caller.set(number, value);
        }
        let signal = fde.is_signal_trampoline();
        match caller.get(RETURN) {
            // An undefined or zero return address marks the first frame of a thread.
            None | Some(0) => Err(UnwindError::Outermost),
            // Each step must move up the stack, so that a damaged stack cannot make the walk loop.
            // The code below a signal handler may be on another stack.
            Some(_) if cfa <= self.registers.get(STACK).unwrap_or(0) && !signal => {
                Err(UnwindError::Bad {
                    what: "the stack does not shrink".into(),
                })
            }
            Some(_) => Ok(Caller {
                registers: caller,
                signal,
            }),
        }
    }
}

impl UnwindStep<'_> {
    fn register(&self, register: gimli::Register) -> Result<u64, UnwindError> {
        self.registers
            .get(usize::from(register.0))
            .ok_or(UnwindError::Register { number: register.0 })
    }

    /// Returns a saved register. The walk needs `rip` and `rsp`; any other register may stay
    /// unknown. `leaves` says that the next instruction leaves the function.
    ///
    /// Compilers do not say that a register was popped: the rule still names its place, which is then
    /// below the stack pointer. At an instruction that leaves the function, the register has the
    /// caller's value again. Before it, the place can also be one that the function saved the
    /// register in without moving the stack pointer.
    fn word(&self, address: u64, number: usize, leaves: bool) -> Result<Option<u64>, UnwindError> {
        let is_popped = || leaves && self.registers.get(STACK).is_some_and(|top| address < top);
        match (self.memory)(address) {
            Some(word) => Ok(Some(word)),
            None if number != RETURN && number != STACK && is_popped() => {
                Ok(self.registers.get(number))
            }
            None if number == RETURN || number == STACK => Err(UnwindError::Memory { address }),
            None => Ok(None),
        }
    }

    fn evaluate<'a, S: UnwindSection<Slice<'a>>>(
        &self,
        section: &S,
        expression: &UnwindExpression<usize>,
        encoding: gimli::Encoding,
        initial: Option<u64>,
    ) -> Result<u64, UnwindError> {
        let mut evaluation = expression.get(section)?.evaluation(encoding);
        evaluation.set_max_iterations(MAX_ITERATIONS);
        if let Some(initial) = initial {
            evaluation.set_initial_value(initial);
        }
        let bad = |what: &str| UnwindError::Bad { what: what.into() };
        let mut result = evaluation.evaluate()?;
        loop {
            result = match result {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = self.register(register)?;
                    evaluation.resume_with_register(Value::Generic(value))?
                }
                EvaluationResult::RequiresMemory {
                    address, size: 8, ..
                } => {
                    let word = (self.memory)(address).ok_or(UnwindError::Memory { address })?;
                    evaluation.resume_with_memory(Value::Generic(word))?
                }
                _ => return Err(bad("an operation that frames do not have")),
            };
        }
        match evaluation.as_result() {
            [piece] => match piece.location {
                Location::Address { address } => Ok(address),
                _ => Err(bad("an expression without an address")),
            },
            _ => Err(bad("an expression of pieces")),
        }
    }
}
