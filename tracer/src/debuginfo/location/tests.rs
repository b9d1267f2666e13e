use super::symbolic::fold;
use super::*;

fn register(number: u8) -> Expr {
    Expr(vec![Term::Register(Register(number))])
}

fn number(value: u64) -> Expr {
    Expr(vec![Term::Const(value)])
}

fn typed_as(kind: Kind, left: u64, right: u64, op: Binary) -> Option<u64> {
    let operand = |value| Operand {
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
    assert_eq!(sum, Ok(Expr(expected.to_vec())));
    let back = add(register(6), 16).and_then(|sum| binary(sum, number(16), Binary::Sub));
    assert_eq!(back, Ok(register(6)));
}

#[test]
fn additions_to_an_address_move_it() {
    let address = Expr(vec![Term::Address(LinkAddr(0x1000))]);
    let moved = Expr(vec![Term::Address(LinkAddr(0x1010))]);
    assert_eq!(add(address, 0x10), Ok(moved));
}

#[test]
fn typed_division_and_remainder_follow_the_type() {
    let signed = Kind::Int {
        signed: true,
        size: 4,
    };
    let unsigned = Kind::Int {
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
        typed_as(Kind::Generic, u64::MAX, 10, Binary::Mod),
        Some(u64::MAX % 10)
    );
    assert_eq!(typed_as(unsigned, 1, u64::MAX, Binary::Lt), Some(1));
    assert_eq!(typed_as(Kind::Generic, 1, u64::MAX, Binary::Lt), Some(0));
    assert_eq!(typed_as(signed, 1, 0, Binary::Div), None);
}

#[test]
fn narrow_results_wrap_in_their_width() {
    let byte = |signed| Kind::Int { signed, size: 1 };
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
