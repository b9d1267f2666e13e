//! Numbers that the capture machine computes: small expression trees over registers and memory of
//! the target.
//!
//! DWARF location expressions and the user's expressions become such trees. This file knows no
//! types and emits no ops.

use std::sync::Arc;

use tracer_common::float;
use tracer_common::op::{alu, cond};

use crate::base::address::ModuleNumber;
use crate::base::unavailable::Unavailable;
use crate::plan::methods::regex::Automaton;

/// Why a computation fails, as the record marks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::plan) enum Failure {
    /// A read faulted: `CHUNK_FAULT`.
    Fault = tracer_common::record::CHUNK_FAULT,
    /// A null pointer was followed.
    Null = tracer_common::record::CHUNK_PLAN,
    /// An index was out of bounds.
    Bounds = tracer_common::record::CHUNK_PLAN + 1,
    /// Division by zero.
    Division = tracer_common::record::CHUNK_PLAN + 2,
    /// The field's variant is not the active one.
    Variant = tracer_common::record::CHUNK_PLAN + 3,
    /// A text was too long to be searched.
    Long = tracer_common::record::CHUNK_PLAN + 4,
    /// No known caller passed the value.
    Caller = tracer_common::record::CHUNK_PLAN + 5,
    /// The thread-local block may belong to another module.
    Thread = tracer_common::record::CHUNK_PLAN + 6,
    /// The thread has no thread-local block of the module yet.
    Untouched = tracer_common::record::CHUNK_PLAN + 7,
    /// A shift by at least the width of the number.
    Shift = tracer_common::record::CHUNK_PLAN + 8,
    /// The result depends on whether the type is `int` or `unsigned int`.
    Sign = tracer_common::record::CHUNK_PLAN + 9,
    /// The integer part of a float does not fit the type.
    Range = tracer_common::record::CHUNK_PLAN + 10,
    /// The least number of a type was divided by -1.
    Overflow = tracer_common::record::CHUNK_PLAN + 11,
    /// A negative number was divided together with one above the signed numbers.
    Negative = tracer_common::record::CHUNK_PLAN + 12,
    /// The value before the first access to it that is seen.
    First = tracer_common::record::CHUNK_PLAN + 13,
}

impl Failure {
    /// All but [`Failure::Fault`].
    pub(in crate::plan) const MARKS: [Self; 14] = [
        Self::Null,
        Self::Bounds,
        Self::Division,
        Self::Variant,
        Self::Long,
        Self::Caller,
        Self::Thread,
        Self::Untouched,
        Self::Shift,
        Self::Sign,
        Self::Range,
        Self::Overflow,
        Self::Negative,
        Self::First,
    ];

    /// The reason that the user sees.
    pub(in crate::plan) fn reason(self) -> Unavailable {
        match self {
            Self::Fault => Unavailable::Unreadable(None),
            Self::Null => Unavailable::Null,
            Self::Bounds => Unavailable::Invalid("index out of bounds".into()),
            Self::Division => Unavailable::Invalid("division by zero".into()),
            Self::Shift => Unavailable::Invalid("shift by all bits of the number or more".into()),
            Self::Range => Unavailable::Invalid("a float outside of the integer's range".into()),
            Self::Overflow => Unavailable::Invalid("overflow of a division".into()),
            Self::Negative => {
                let what = "division of a number below zero and an unsigned one";
                Unavailable::Invalid(what.into())
            }
            Self::Sign => {
                let what = "an enum that may be an `int` or an `unsigned int`, which differ here";
                Unavailable::Unsupported(what.into())
            }
            Self::Long => Unavailable::Unsupported("a search in a text as long as this".into()),
            Self::Caller => {
                let what = "the value at the function's entry, called from there";
                Unavailable::Unsupported(what.into())
            }
            Self::Thread => {
                let what = "thread-local storage that may be another module's";
                Unavailable::Unsupported(what.into())
            }
            Self::Untouched => Unavailable::Untouched,
            Self::Variant => Unavailable::Invalid("another variant is active".into()),
            Self::First => Unavailable::BeforeFirst,
        }
    }
}

/// A 64-bit number that is computed at the hit.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::plan) enum Ir {
    /// A constant.
    Const(u64),
    /// A register of the capture machine.
    Register(u8),
    /// The bias of a module in the process of the hit. It fails if that is not known.
    Module {
        /// Number of the module.
        module: ModuleNumber,
        /// It also fails if the process has not loaded the module. Otherwise it is then an address
        /// without memory.
        must_be_loaded: bool,
    },
    /// `size` (1, 2, 4, 8) bytes of user memory.
    Load {
        /// Run address.
        address: Box<Ir>,
        /// Bytes.
        size: u8,
        /// True if it is sign-extended.
        signed: bool,
    },
    /// The low `size` bytes of a number, extended.
    Extend {
        /// The number.
        of: Box<Ir>,
        /// Bytes.
        size: u8,
        /// True if it is sign-extended.
        signed: bool,
    },
    /// An `alu::…` operation.
    Alu(u32, Box<Ir>, Box<Ir>),
    /// A division by an `alu::…` operation. A zero divisor is a [`Failure::Division`]. If the least
    /// number of the type is given, dividing it by -1 is a [`Failure::Overflow`].
    Divide(u32, Box<[Ir; 2]>, Option<u64>),
    /// A `float::…` operation. Without a result it is a [`Failure::Range`].
    Float(u32, Box<Ir>, Box<Ir>),
    /// Maps the bits of a float, in the high end, to a signed integer with the same order. NaNs map
    /// outside the range of numbers, and both zeroes map to 0.
    FloatOrder(Box<Ir>),
    /// A `wide::…` operation. Each operand has a lower and an upper half. It fails as
    /// [`Ir::Divide`] does.
    Wide(u32, Box<[Ir; 4]>),
    /// 1 if the test holds, else 0.
    Truth(Box<Test>),
    /// A number that is computed only if the test holds. Otherwise it fails.
    Guard(Box<Test>, Failure, Box<Ir>),
    /// The number. It fails if it is 0.
    NonNull(Box<Ir>),
    /// The number. It fails at the limit and above.
    Below(Box<Ir>, u64, Failure),
    /// The first number. It fails unless it is below the second.
    Within(Box<[Ir; 2]>, Failure),
    /// The first number if the test holds, else the second. The other one is not computed.
    Choose(Box<Test>, Box<Ir>, Box<Ir>),
}

/// A condition that is evaluated at the hit, with short circuit.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::plan) enum Test {
    /// A constant.
    Known(bool),
    /// A `cond::…` comparison.
    Compare(u8, Ir, Ir),
    /// The opposite.
    Not(Box<Test>),
    /// Both hold. The second is evaluated only if the first holds.
    And(Box<Test>, Box<Test>),
    /// At least one holds. The second is evaluated only if the first does not hold.
    Or(Box<Test>, Box<Test>),
    /// A text of the program has a certain form.
    Text(TextTest),
}

/// A test of a text in memory.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::plan) struct TextTest {
    /// Address of its bytes.
    pub(in crate::plan) pointer: Ir,
    /// Number of its bytes. `None` if it ends at a zero byte.
    pub(in crate::plan) length: Option<Ir>,
    /// The most bytes of a text that ends at a zero byte. `None` if unlimited.
    pub(in crate::plan) most: Option<u64>,
    /// The form that is tested for.
    pub(in crate::plan) matcher: Matcher,
}

/// The form of a text.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::plan) enum Matcher {
    /// The text equals this one.
    Equal(Vec<u8>),
    /// The text begins with this one.
    StartsWith(Vec<u8>),
    /// The text ends with this one. Its length must be known.
    EndsWith(Vec<u8>),
    /// The automaton accepts the text.
    Automaton(Arc<Automaton>),
}

impl Test {
    /// The opposite test.
    pub(in crate::plan) fn negate(self) -> Self {
        match self {
            Self::Known(value) => Self::Known(!value),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// A comparison. Two constants are compared now.
    pub(in crate::plan) fn compare(condition: u8, left: Ir, right: Ir) -> Self {
        if let (Ir::Const(a), Ir::Const(b)) = (&left, &right) {
            return Self::Known(holds(condition, *a, *b));
        }
        Self::Compare(condition, left, right)
    }
}

/// The outcome of a comparison of constants.
pub(in crate::plan) fn holds(condition: u8, a: u64, b: u64) -> bool {
    let (x, y) = (a as i64, b as i64);
    match condition {
        cond::EQ => a == b,
        cond::NE => a != b,
        cond::LT => a < b,
        cond::LE => a <= b,
        cond::GT => a > b,
        cond::GE => a >= b,
        cond::SLT => x < y,
        cond::SLE => x <= y,
        cond::SGT => x > y,
        cond::SGE => x >= y,
        _ => false,
    }
}

impl Ir {
    /// The sum with a constant, folded.
    pub(in crate::plan) fn plus(self, bytes: u64) -> Self {
        match self {
            Self::Const(value) => Self::Const(value.wrapping_add(bytes)),
            other if bytes == 0 => other,
            Self::Alu(alu::ADD, left, right) => match *right {
                Self::Const(value) => left.plus(value.wrapping_add(bytes)),
                right => Self::Alu(
                    alu::ADD,
                    Box::new(Self::Alu(alu::ADD, left, Box::new(right))),
                    Box::new(Self::Const(bytes)),
                ),
            },
            Self::Guard(test, why, then) => Self::Guard(test, why, Box::new(then.plus(bytes))),
            other => Self::Alu(alu::ADD, Box::new(other), Box::new(Self::Const(bytes))),
        }
    }

    /// An operation, folded if both operands are constants, and for additions.
    pub(in crate::plan) fn alu(operation: u32, left: Self, right: Self) -> Self {
        match (operation, &left, &right) {
            (alu::ADD, _, Self::Const(value)) => {
                let value = *value;
                return left.plus(value);
            }
            (alu::ADD, Self::Const(value), _) => {
                let value = *value;
                return right.plus(value);
            }
            (alu::SUB, _, Self::Const(value)) => {
                let value = value.wrapping_neg();
                return left.plus(value);
            }
            (alu::MUL, Self::Const(a), Self::Const(b)) => return Self::Const(a.wrapping_mul(*b)),
            (alu::MUL, _, Self::Const(1)) => return left,
            (alu::SHR, _, Self::Const(0)) => return left,
            _ => {}
        }
        Self::Alu(operation, Box::new(left), Box::new(right))
    }

    /// An operation without folding.
    pub(in crate::plan) fn raw(operation: u32, left: Self, right: Self) -> Self {
        Self::Alu(operation, Box::new(left), Box::new(right))
    }

    /// An operation on floats, folded if both are constants.
    pub(in crate::plan) fn float(operation: u32, left: Self, right: Self) -> Self {
        if let (Self::Const(a), Self::Const(b)) = (&left, &right)
            && float::has_result(operation, *a, *b)
        {
            return Self::Const(float::calculate(operation, *a, *b));
        }
        Self::Float(operation, Box::new(left), Box::new(right))
    }

    /// The number. It fails at `limit` and above.
    ///
    /// It is evaluated once, so that it cannot change between the check and its use.
    pub(in crate::plan) fn below(self, limit: u64, failure: Failure) -> Self {
        if self.most() < limit {
            return self;
        }
        Self::Below(Box::new(self), limit, failure)
    }

    /// An upper bound of the number, as far as its operations give one.
    fn most(&self) -> u64 {
        match self {
            Self::Const(value) => *value,
            Self::Truth(_) => 1,
            Self::Alu(alu::AND, a, b) => a.most().min(b.most()),
            Self::Alu(alu::REM, a, b) => match **b {
                Self::Const(by @ 1..) => a.most().min(by - 1),
                _ => u64::MAX,
            },
            Self::Extend {
                of, signed: false, ..
            } => of.most(),
            _ => u64::MAX,
        }
    }

    /// The number of `size` bytes in memory at this address.
    pub(in crate::plan) fn load(self, size: u8, signed: bool) -> Self {
        Self::Load {
            address: Box::new(self),
            size,
            signed,
        }
    }

    /// The low `size` bytes, extended to 64 bits.
    pub(in crate::plan) fn extend(self, size: u8, signed: bool) -> Self {
        match self {
            value if size >= 8 => value,
            Self::Const(value) => Self::Const(extended(value, size, signed)),
            Self::Load {
                address,
                size: loaded,
                ..
            } if loaded == size => Self::Load {
                address,
                size,
                signed,
            },
            of => Self::Extend {
                of: Box::new(of),
                size,
                signed,
            },
        }
    }

    /// Register and offset, if the number is just their sum.
    pub(in crate::plan) fn simple_address(&self) -> Option<(u8, i32)> {
        match self {
            Self::Register(register) => Some((*register, 0)),
            Self::Alu(alu::ADD, left, right) => match (&**left, &**right) {
                (Self::Register(register), Self::Const(value)) => {
                    Some((*register, i32::try_from(*value as i64).ok()?))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The result, if both operands are constants.
    pub(in crate::plan) fn folded(self) -> Self {
        let Self::Alu(operation, left, right) = &self else {
            return self;
        };
        let (Self::Const(a), Self::Const(b)) = (&**left, &**right) else {
            return self;
        };
        let value = match *operation {
            alu::ADD => a.wrapping_add(*b),
            alu::SUB => a.wrapping_sub(*b),
            alu::MUL => a.wrapping_mul(*b),
            alu::AND => a & b,
            alu::OR => a | b,
            alu::XOR => a ^ b,
            alu::SHL => a.wrapping_shl((*b & 63) as u32),
            alu::SHR => a.wrapping_shr((*b & 63) as u32),
            alu::SAR => ((*a as i64) >> (b & 63)) as u64,
            _ => return self,
        };
        Self::Const(value)
    }
}

/// The low `size` bytes of `value`, sign- or zero-extended.
pub(in crate::plan) fn extended(value: u64, size: u8, signed: bool) -> u64 {
    if size == 0 {
        return 0;
    }
    if size >= 8 {
        return value;
    }
    let shift = 64 - u32::from(size) * 8;
    if signed {
        (((value << shift) as i64) >> shift) as u64
    } else {
        (value << shift) >> shift
    }
}

/// A division. It fails for a zero divisor, and for the least number by -1 if `least` is given.
pub(in crate::plan) fn divide(operation: u32, left: Ir, right: Ir, least: Option<u64>) -> Ir {
    match right {
        Ir::Const(by) if by != 0 && (by != u64::MAX || least.is_none()) => {
            Ir::alu(operation, left, right)
        }
        _ => Ir::Divide(operation, Box::new([left, right]), least),
    }
}

/// The least number of a signed type of `size` bytes, sign-extended.
pub(in crate::plan) const fn least(size: u8) -> u64 {
    u64::MAX << (if size < 8 { size as u32 * 8 - 1 } else { 63 })
}
