//! From a frame to its caller, by call frame information alone.
//!
//! Strict: no frame pointer is guessed at and no stack is searched for what looks
//! like a return address. Where there is no rule, or it needs what is not known,
//! the walk ends with the reason. All registers that the callee saved are
//! restored, so that the caller's variables can be found.

use gimli::{
    BaseAddresses, CfaRule, EvaluationResult, Location, RegisterRule, UnwindContext,
    UnwindExpression, UnwindSection, Value,
};

use super::Slice;
use super::cfi::{FrameSections, RowReader};
use super::module::Module;
use crate::address::LinkAddr;

/// DWARF number of `rsp`.
pub const RSP: usize = 7;
/// DWARF number of the return address, and of `rip`.
pub const RIP: usize = 16;
/// Registers that a function leaves as they were unless its rules say otherwise (System V ABI).
pub(super) const CALLEE_SAVED: [usize; 6] = [3, 6, 12, 13, 14, 15];
/// `mov $15, %rax; syscall`: `rt_sigreturn`, as each C library has it (and as debuggers know it).
const SIGRETURN: [u8; 9] = [0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05];
/// Where the kernel's frame has the registers, from the stack pointer of who returns there
/// (`struct ucontext` of x86-64), and which ones, by DWARF number: `r8` to `r15`, `rdi`, `rsi`,
/// `rbp`, `rbx`, `rdx`, `rax`, `rcx`, `rsp`, `rip`.
const CONTEXT_AT: u64 = 40;
const CONTEXT_REGISTERS: [usize; 17] = [8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16];
/// Operations of one expression in call frame information.
const MAX_ITERATIONS: u32 = 4096;

/// Registers of one frame by DWARF number, `rip` last; `None` where not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers(pub [Option<u64>; 17]);

impl Registers {
    /// The value of one.
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
    /// Its registers, as they will be when it goes on.
    pub registers: Registers,
    /// The frame was made by a signal: the caller did not call, so its `rip` is the instruction itself.
    pub signal: bool,
}

/// Why a walk ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnwindError {
    /// It is the first frame of the thread.
    #[error("the outermost frame")]
    Outermost,
    /// Nothing says how to unwind there.
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
    /// A rule that cannot be evaluated.
    #[error("bad call frame information: {what}")]
    Bad {
        /// What is wrong.
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
    /// The caller of a frame whose instruction is `address`.
    ///
    /// # Errors
    /// See [`UnwindError`]; [`UnwindError::Outermost`] is the regular end.
    pub fn caller(
        &self,
        address: LinkAddr,
        registers: &Registers,
        memory: &ReadWord<'_>,
    ) -> Result<Caller, UnwindError> {
        let step = Step { registers, memory };
        FrameSections::of(self)
            .row(address.0, step)
            .unwrap_or(Err(UnwindError::NoRule { address }))
    }
}

impl Module {
    /// Whether the code at `address` is where a signal handler returns to: what is on the stack
    /// there is the kernel's frame, with the registers of the code that the signal interrupted.
    ///
    /// Call frame information says so; where there is none, the instructions do.
    #[must_use]
    pub fn is_signal_frame(&self, address: LinkAddr) -> bool {
        let said = FrameSections::of(self).row(address.0, SignalReader);
        said.unwrap_or_else(|| self.returns_from_signal(address))
    }

    fn returns_from_signal(&self, address: LinkAddr) -> bool {
        self.initial_bytes(address, SIGRETURN.len()) == Some(&SIGRETURN[..])
    }

    /// The code that a signal interrupted, of the kernel's frame at `address`.
    ///
    /// # Errors
    /// As of [`Module::caller`].
    pub fn interrupted(
        &self,
        address: LinkAddr,
        registers: &Registers,
        memory: &ReadWord<'_>,
    ) -> Result<Caller, UnwindError> {
        let step = Step { registers, memory };
        let said = FrameSections::of(self).row(address.0, step);
        said.unwrap_or_else(|| Self::registers_of_context(registers, memory))
    }

    /// The registers that a signal interrupted, from the kernel's frame.
    fn registers_of_context(
        registers: &Registers,
        memory: &ReadWord<'_>,
    ) -> Result<Caller, UnwindError> {
        let frame = registers.get(RSP);
        let frame = frame.ok_or(UnwindError::Register { number: RSP as u16 })?;
        let mut caller = Registers([None; 17]);
        for (index, &number) in (0..).zip(&CONTEXT_REGISTERS) {
            let at = frame.wrapping_add(CONTEXT_AT + index * 8);
            let word = memory(at).ok_or(UnwindError::Memory { address: at })?;
            caller.set(number, Some(word));
        }
        match caller.get(RIP) {
            None | Some(0) => Err(UnwindError::Outermost),
            Some(_) => Ok(Caller {
                registers: caller,
                signal: true,
            }),
        }
    }
}

/// Whether an entry of the call frame information is of the kernel's frame.
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
struct Step<'r> {
    registers: &'r Registers,
    memory: &'r ReadWord<'r>,
}

impl<'a> RowReader<'a> for Step<'_> {
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
        let mut caller = Registers([None; 17]);
        for number in 0..=RIP {
            let rule = row.register(gimli::Register(number as u16));
            let value = match rule {
                None if number == RSP => Some(cfa),
                None if CALLEE_SAVED.contains(&number) => self.registers.get(number),
                None | Some(RegisterRule::Undefined | RegisterRule::Architectural) => None,
                Some(RegisterRule::SameValue) => self.registers.get(number),
                Some(RegisterRule::Offset(offset)) => {
                    self.word(cfa.wrapping_add_signed(offset), number)?
                }
                Some(RegisterRule::ValOffset(offset)) => Some(cfa.wrapping_add_signed(offset)),
                Some(RegisterRule::Register(other)) => self.registers.get(usize::from(other.0)),
                Some(RegisterRule::Constant(value)) => Some(value),
                Some(RegisterRule::Expression(expression)) => {
                    let at = self.evaluate(section, &expression, encoding, Some(cfa))?;
                    self.word(at, number)?
                }
                Some(RegisterRule::ValExpression(expression)) => {
                    Some(self.evaluate(section, &expression, encoding, Some(cfa))?)
                }
            };
            caller.set(number, value);
        }
        let signal = fde.is_signal_trampoline();
        match caller.get(RIP) {
            None | Some(0) => Err(UnwindError::Outermost),
            Some(_) if cfa <= self.registers.get(RSP).unwrap_or(0) && !signal => {
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

impl Step<'_> {
    fn register(&self, register: gimli::Register) -> Result<u64, UnwindError> {
        self.registers
            .get(usize::from(register.0))
            .ok_or(UnwindError::Register { number: register.0 })
    }

    /// A saved register. The way on needs `rip` and `rsp`; any other may stay unknown.
    fn word(&self, address: u64, number: usize) -> Result<Option<u64>, UnwindError> {
        match (self.memory)(address) {
            Some(word) => Ok(Some(word)),
            None if number == RIP || number == RSP => Err(UnwindError::Memory { address }),
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
