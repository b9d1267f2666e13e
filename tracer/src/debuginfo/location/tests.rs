use super::symbolic::{OperandType, add, binary, constant_of, fold, typed};
use super::*;
use crate::base::address::LinkAddr;
use crate::debuginfo::model::place::Binary;

fn register(number: u8) -> LocationExpr {
    LocationExpr(vec![Term::Register(Register(number))])
}

fn number(value: u64) -> LocationExpr {
    LocationExpr(vec![Term::Const(value)])
}

fn typed_as(kind: OperandType, left: u64, right: u64, op: Binary) -> Option<u64> {
    let operand = |value| SymbolicOperand {
        expr: number(value),
        kind,
    };
    let result = typed(operand(left), operand(right), op).ok()?;
    constant_of(&result.expr)
}

#[test]
fn additions_to_a_register_become_one() {
    let sum = add(register(6), 16).and_then(|sum| add(sum, 8_u64.wrapping_neg()));
    let expected = [
        Term::Register(Register(6)),
        Term::Const(8),
        Term::Binary(Binary::Add),
    ];
    assert_eq!(sum, Ok(LocationExpr(expected.to_vec())));
    let back = add(register(6), 16).and_then(|sum| binary(sum, number(16), Binary::Sub));
    assert_eq!(back, Ok(register(6)));
}

#[test]
fn additions_to_an_address_move_it() {
    let address = LocationExpr(vec![Term::Address(LinkAddr(0x1000))]);
    let moved = LocationExpr(vec![Term::Address(LinkAddr(0x1010))]);
    assert_eq!(add(address, 0x10), Ok(moved));
}

#[test]
fn typed_division_and_remainder_follow_the_type() {
    let signed = OperandType::Int {
        signed: true,
        size: 4,
    };
    let unsigned = OperandType::Int {
        signed: false,
        size: 8,
    };
    let minus = |value: u64| value.wrapping_neg();
    assert_eq!(typed_as(signed, minus(7), 2, Binary::Div), Some(minus(3)));
    assert_eq!(typed_as(signed, minus(7), 2, Binary::Mod), Some(minus(1)));
    assert_eq!(
        typed_as(unsigned, u64::MAX, 2, Binary::Div),
        Some(u64::MAX / 2)
    );
    assert_eq!(
        typed_as(OperandType::Generic, u64::MAX, 10, Binary::Mod),
        Some(u64::MAX % 10)
    );
    assert_eq!(typed_as(unsigned, 1, u64::MAX, Binary::Lt), Some(1));
    assert_eq!(
        typed_as(OperandType::Generic, 1, u64::MAX, Binary::Lt),
        Some(0)
    );
    assert_eq!(typed_as(signed, 1, 0, Binary::Div), None);
}

#[test]
fn narrow_results_wrap_in_their_width() {
    let byte = |signed| OperandType::Int { signed, size: 1 };
    assert_eq!(typed_as(byte(false), 200, 100, Binary::Add), Some(44));
    assert_eq!(
        typed_as(byte(true), 100, 100, Binary::Add),
        Some(56_u64.wrapping_neg())
    );
    assert_eq!(
        typed_as(byte(true), 16_u64.wrapping_neg(), 4, Binary::Shr),
        Some(15)
    );
    assert_eq!(
        typed_as(byte(false), 0xf0, 4, Binary::Sar),
        Some(u64::from(u8::MAX))
    );
}

#[test]
fn shifts_by_more_than_the_width_leave_nothing() {
    assert_eq!(fold(1, 64, Binary::Shl), Some(0));
    assert_eq!(fold(u64::MAX, 200, Binary::Shr), Some(0));
    assert_eq!(fold(u64::MAX, 200, Binary::Sar), Some(u64::MAX));
    assert_eq!(fold(1, 0, Binary::Mod), None);
}

#[test]
fn doubling_expressions_are_refused_in_time() {
    let mut expr = register(0);
    for _ in 0..64 {
        match binary(expr.clone(), expr, Binary::Mul) {
            Ok(longer) => expr = longer,
            Err(why) => {
                assert!(matches!(why, Unavailable::Unsupported(_)));
                return;
            }
        }
    }
    panic!("no limit");
}

/// Evaluates random locations with our code and with gimli, with the same registers and memory.
mod against_gimli {
    use gimli::{DwOp, EvaluationResult, LittleEndian, Location, Value};
    use proptest::prelude::*;

    use super::*;
    use crate::debuginfo::Module;

    /// Generates the bytes of one operation.
    fn operation() -> impl Strategy<Value = Vec<u8>> {
        let plain = [
            gimli::DW_OP_dup,
            gimli::DW_OP_drop,
            gimli::DW_OP_over,
            gimli::DW_OP_swap,
            gimli::DW_OP_rot,
            gimli::DW_OP_abs,
            gimli::DW_OP_and,
            gimli::DW_OP_div,
            gimli::DW_OP_minus,
            gimli::DW_OP_mod,
            gimli::DW_OP_mul,
            gimli::DW_OP_neg,
            gimli::DW_OP_not,
            gimli::DW_OP_or,
            gimli::DW_OP_plus,
            gimli::DW_OP_shl,
            gimli::DW_OP_shr,
            gimli::DW_OP_shra,
            gimli::DW_OP_xor,
            gimli::DW_OP_eq,
            gimli::DW_OP_ge,
            gimli::DW_OP_gt,
            gimli::DW_OP_le,
            gimli::DW_OP_lt,
            gimli::DW_OP_ne,
            gimli::DW_OP_deref,
            gimli::DW_OP_nop,
        ];
        let byte = |op: DwOp, operand: u8| vec![op.0, operand];
        prop_oneof![
            4 => proptest::sample::select(plain.to_vec()).prop_map(|op: DwOp| vec![op.0]),
            2 => (0..32_u8).prop_map(|n| vec![gimli::DW_OP_lit0.0 + n]),
            1 => any::<u8>().prop_map(move |n| byte(gimli::DW_OP_const1s, n)),
            1 => any::<u64>().prop_map(|n| {
                let mut bytes = vec![gimli::DW_OP_const8u.0];
                bytes.extend(n.to_le_bytes());
                bytes
            }),
            3 => (0..16_u8, 0..128_u8).prop_map(|(register, offset)| {
                vec![gimli::DW_OP_breg0.0 + register, offset]
            }),
            1 => (0..128_u8).prop_map(move |n| byte(gimli::DW_OP_plus_uconst, n)),
            1 => (0..4_u8).prop_map(move |n| byte(gimli::DW_OP_pick, n)),
            1 => proptest::sample::select(vec![1_u8, 2, 4, 8])
                .prop_map(move |n| byte(gimli::DW_OP_deref_size, n)),
        ]
    }

    fn register_value(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number << 60)
    }

    fn memory(address: u64, size: u8) -> u64 {
        let bytes = address.wrapping_mul(0x2545_f491_4f6c_dd1d).rotate_left(23);
        symbolic::zero_extend(bytes, size)
    }

    fn by_gimli(bytes: &[u8], encoding: gimli::Encoding) -> Option<u64> {
        let mut evaluation =
            gimli::Expression(Slice::new(bytes, LittleEndian)).evaluation(encoding);
        evaluation.set_max_iterations(1000);
        let mut state = evaluation.evaluate().ok()?;
        loop {
            state = match state {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = register_value(register.0.into());
                    evaluation
                        .resume_with_register(Value::Generic(value))
                        .ok()?
                }
                EvaluationResult::RequiresMemory { address, size, .. } => {
                    let value = memory(address, size);
                    evaluation.resume_with_memory(Value::Generic(value)).ok()?
                }
                _ => return None,
            };
        }
        match evaluation.result().first()?.location {
            Location::Address { address } => Some(address),
            Location::Value { value } => value.to_u64(u64::MAX).ok(),
            _ => None,
        }
    }

    /// Returns the value of an expression, or `None` for a division by zero on the chosen path.
    fn interpret(expr: &LocationExpr) -> Option<u64> {
        let mut stack: Vec<Option<u64>> = Vec::new();
        for term in &expr.0 {
            let value = match *term {
                Term::Const(value) => Some(value),
                Term::Register(Register(number)) => Some(register_value(number.into())),
                Term::Deref(size) => stack.pop()?.map(|at| memory(at, size)),
                Term::SignExtend(size) => stack.pop()?.map(|n| symbolic::sign_extend(n, size)),
                Term::ZeroExtend(size) => stack.pop()?.map(|n| symbolic::zero_extend(n, size)),
                Term::Binary(op) => {
                    let (right, left) = (stack.pop()?, stack.pop()?);
                    left.zip(right)
                        .and_then(|(left, right)| fold(left, right, op))
                }
                Term::Choose => {
                    let (number, no, yes) = (stack.pop()?, stack.pop()?, stack.pop()?);
                    // Nothing depends on the path that is not taken.
                    number.and_then(|number| if number == 0 { no } else { yes })
                }
                Term::Address(_)
                | Term::AddressIn(..)
                | Term::ThreadPointer
                | Term::Tls
                | Term::KnownCaller => {
                    return None;
                }
            };
            stack.push(value);
        }
        if stack.len() == 1 { stack.pop()? } else { None }
    }

    /// Generates an operation, or an operation that only runs if a number is 0.
    fn step() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            6 => operation(),
            1 => operation().prop_map(|skipped| {
                let mut bytes = vec![gimli::DW_OP_bra.0, skipped.len() as u8, 0];
                bytes.extend(skipped);
                bytes
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn random_locations_come_to_the_same(
            operations in proptest::collection::vec(step(), 1..24),
            is_value in any::<bool>(),
        ) {
            // Initial operands, so that most expressions have a result.
            let mut bytes = vec![gimli::DW_OP_breg5.0, 1, gimli::DW_OP_lit9.0, gimli::DW_OP_breg3.0, 2];
            bytes.extend(operations.concat());
            if is_value {
                bytes.push(gimli::DW_OP_stack_value.0);
            }
            static MODULE: std::sync::OnceLock<Module> = std::sync::OnceLock::new();
            let module = MODULE.get_or_init(|| {
                Module::open(&std::env::current_exe().expect("own path")).expect("own binary opens")
            });
            let dies = module.dies();
            let unit = dies.any_unit().expect("a unit");
            let encoding = unit.unit.encoding();
            // The reader needs a copy with the lifetime of the module.
            let leaked: &'static [u8] = Box::leak(bytes.into_boxed_slice());
            let expected = by_gimli(leaked, encoding);
            let context = LocationContext::without_frame(&dies);
            let steps = std::cell::Cell::new(MAX_STEPS);
            let evaluator = LocationEvaluator { context: &context, unit, steps: &steps, depth: 0 };
            let place = evaluator.place(gimli::Expression(Slice::new(leaked, LittleEndian)));
            let sources = place.map(|place| place.pieces.into_iter().map(|p| p.source).collect::<Vec<_>>());
            if let (Some(expected), Ok([PieceSource::Memory(expr) | PieceSource::Value(expr)])) =
                (expected, sources.as_deref())
            {
                prop_assert_eq!(interpret(expr), Some(expected), "{} of {:x?}", expr, leaked);
            }
        }
    }
}
