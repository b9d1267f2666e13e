//! Plans that the kernel side decides or captures without the machine.

use crate::base::address::LinkAddr;
use crate::debuginfo::place::{LocationExpr, PieceSource, Place, Register, Term};
use crate::plan::tests::fixture::{Fixture, int, point};
use crate::plan::tests::{RBP, at_frame};
use crate::program::{Program, Runner};

/// DWARF number of `rdi`.
const RDI: u8 = 5;

/// `n`, `m` and `text` on the stack; `r` in `rdi`; `p` a reference on the stack, `q` one in `rdi`;
/// `f` a float; `s` a static, and `t` a static reference.
fn variables() -> Fixture {
    let mut fixture = Fixture::default();
    let in_register = |register| Place::whole(PieceSource::Register(Register(register)));
    fixture.variable("n", int(4, true), at_frame(-8));
    fixture.variable("m", int(2, false), at_frame(-200));
    fixture.variable("r", int(8, false), in_register(RDI));
    fixture.variable("b", int(1, true), in_register(RBP));
    let point = point(&mut fixture);
    let reference = fixture.reference(point, "&app::Point");
    fixture.variable("p", reference, at_frame(-16));
    fixture.variable("q", reference, in_register(RDI));
    let text = fixture.str();
    fixture.variable("text", text, at_frame(-48));
    let float = fixture.add("f64", 8, crate::debuginfo::types::TypeKind::Float);
    fixture.variable("f", float, at_frame(-64));
    fixture.variable("s", int(4, true), at_address(0x4010));
    fixture.variable("t", reference, at_address(0x4018));
    fixture
}

/// At a link address.
fn at_address(address: u64) -> Place {
    let address = Term::Address(LinkAddr(address));
    Place::whole(PieceSource::Memory(LocationExpr(vec![address])))
}

fn program(text: &str) -> Program {
    let mut fixture = variables();
    fixture.probe(text);
    fixture.plan().expect(text).program
}

/// Text of a probe, whether it has a guard, the chunks that are fetched, and the program that runs it.
#[rustfmt::skip]
const PROBES: [(&str, bool, u32, Runner); 30] = [
    ("log 0x0 \"{n}\"", false, 1, Runner::Plain),
    ("log 0x0 \"{n} {r} {b}\"", false, 3, Runner::Plain),
    ("log 0x0 \"{n} {m} {r} {b}\"", false, 4, Runner::Plain),
    ("log 0x0 \"{n} {m} {r} {b} {f}\"", false, 0, Runner::Whole),
    ("log 0x0 \"{p.x}\"", false, 1, Runner::Whole),
    ("log 0x0 \"{q.y} {p.x}\"", false, 2, Runner::Whole),
    ("log 0x0 \"{text}\"", false, 0, Runner::Whole),
    ("log 0x0 \"{s}\"", false, 1, Runner::Plain),
    ("log 0x0 \"{n} {s} {r}\"", false, 3, Runner::Plain),
    ("log 0x0 \"{n}\" if s > 3", true, 1, Runner::Whole),
    ("log 0x0 \"{t.x}\"", false, 1, Runner::Whole),
    ("count 0x0 if s == 1", true, 0, Runner::Whole),
    ("log 0x0 \"{n}\" if n > 3", true, 1, Runner::Whole),
    ("log 0x0 \"{r}\" if !(r != 7)", false, 0, Runner::Whole),
    ("log 0x0 \"{p.x}\" if b < -2", true, 1, Runner::Whole),
    ("log 0x0 \"{r}\" if b == 3", true, 1, Runner::Whole),
    ("log 0x0 \"{n}\" if n > 3 && m < 9", true, 0, Runner::Whole),
    ("log 0x0 \"{n}\" if n > 3 || m < 9", false, 0, Runner::Whole),
    ("log 0x0 \"{n}\" if n > m", false, 0, Runner::Whole),
    ("log 0x0 \"{n}\" if p.x == 3", false, 0, Runner::Whole),
    ("log 0x0 \"{n}\" if q.x == 3", true, 1, Runner::Whole),
    ("log 0x0 \"{n}\" if f > 1.5", false, 0, Runner::Whole),
    ("log 0x0 \"{n + 1}\"", false, 0, Runner::Whole),
    ("log 0x0 \"{f * 2.0}\"", false, 0, Runner::Computing),
    ("log 0x0 \"{$tid}\" if n == 1", true, 0, Runner::Whole),
    ("count 0x0", false, 0, Runner::Plain),
    ("count 0x0 if n == 1", true, 0, Runner::Whole),
    ("count 0x0 by m if m != 0", true, 0, Runner::Whole),
    ("hist 0x0 r if r > 9", false, 0, Runner::Whole),
    ("snapshot 0x0", false, 0, Runner::Whole),
];

#[test]
fn plans_keep_their_fast_ways() {
    for (text, is_guarded, fetched, runner) in PROBES {
        let program = program(text);
        let found = (
            program.guard.is_some(),
            program.fetches.map_or(0, |fetches| fetches.count),
            program.runner,
        );
        assert_eq!(found, (is_guarded, fetched, runner), "{text}");
    }
}
