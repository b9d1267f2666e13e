//! Plans, run by a machine in plain Rust and decoded: golden texts.

mod aggregated;
mod asked;
mod c_numbers;
mod casts;
mod classes;
mod depth;
mod divisions;
mod fast;
mod fixture;
mod floats;
mod moved;
mod nested;
mod own;
mod presenters;
mod random;
#[path = "../../tests/kernel/support/recognised.rs"]
mod recognised;
mod redacted;
mod shared_shapes;
mod shifts;
mod strings;
mod wide;

use crate::program::Runner;
use crate::program::reference::{Outcome, ReferenceMachine, Regions};
use fixture::{Fixture, hole, int, name, point, raw};

use crate::base::address::{LinkAddr, ModuleNumber};
use crate::base::unavailable::Unavailable;
use crate::debuginfo::place::{
    Binary, LocationExpr as PlaceExpr, Piece, PieceSource, Place, Register, Term,
};
use crate::debuginfo::types::{Language, TypeKind};
use crate::lang::ast::{Action, BinaryOp, CountAction, Expr, ExprKind, HistAction, Special};
use crate::plan::{Context, DecodeScratch, EventBuffers};
use crate::value::{Value, debug};
use tracer_common::op;
use tracer_common::places::{ModuleMark, NOT_LOADED, PLACED};

/// DWARF number of `rbp`.
const RBP: u8 = 6;
const STACK: u64 = 0x7fff_0000;

fn at_frame(offset: i64) -> Place {
    Place::whole(PieceSource::Memory(PlaceExpr(vec![
        Term::Register(Register(RBP)),
        Term::Const(offset as u64),
        Term::Binary(Binary::Add),
    ])))
}

fn stack(bytes: &[u8]) -> Regions {
    let mut memory = Regions::default();
    memory.0.insert(STACK, bytes.to_vec());
    memory
}

fn run(fixture: &Fixture, memory: &Regions) -> String {
    let plan = fixture.plan().expect("compiles");
    match ReferenceMachine::new(memory)
        .with(RBP, STACK)
        .with(0, 5)
        .run(&plan.program.ops)
    {
        Outcome::Sent(record) => plan.layout.decode(&record).expect("decodes").message,
        other => format!("{other:?}"),
    }
}

#[test]
fn two_integers_off_one_register_cost_one_copy() {
    let mut fixture = Fixture::default();
    fixture.variable("a", int(4, true), at_frame(0));
    fixture.variable("b", int(2, false), at_frame(12));
    let plan = fixture.plan().expect("compiles");
    let codes: Vec<u8> = plan.program.ops.iter().map(|op| op.code).collect();
    assert_eq!(codes, [op::COPY, op::END]);
    let mut bytes = (-3i32).to_le_bytes().to_vec();
    bytes.extend([0; 8]);
    bytes.extend(640u16.to_le_bytes());
    assert_eq!(run(&fixture, &stack(&bytes)), "a = -3, b = 640");
}

#[test]
fn integers_far_apart_are_copied_one_by_one() {
    let mut fixture = Fixture::default();
    fixture.variable("a", int(4, true), at_frame(0));
    fixture.variable("b", int(4, true), at_frame(-400));
    let plan = fixture.plan().expect("compiles");
    assert_eq!(plan.program.ops.len(), 3);
}

#[test]
fn struct_behind_a_reference_is_shown_as_rust_writes_it() {
    let mut fixture = Fixture::default();
    let ty = point(&mut fixture);
    let reference = fixture.reference(ty, "&app::Pointer");
    fixture.variable("current", reference, at_frame(0));
    let mut memory = stack(&0x5000u64.to_le_bytes());
    let mut bytes = 812i16.to_le_bytes().to_vec();
    bytes.extend(402i16.to_le_bytes());
    memory.0.insert(0x5000, bytes);
    assert_eq!(
        run(&fixture, &memory),
        "current = Pointer { x: 812, y: 402 }"
    );
}

#[test]
fn pointee_that_is_unreadable_costs_only_itself() {
    let mut fixture = Fixture::default();
    let ty = point(&mut fixture);
    let reference = fixture.reference(ty, "&app::Pointer");
    fixture.variable("p", reference, at_frame(0));
    fixture.variable("n", int(1, false), at_frame(8));
    let mut bytes = 0x5000u64.to_le_bytes().to_vec();
    bytes.push(9);
    assert_eq!(
        run(&fixture, &stack(&bytes)),
        "p = <memory at 0x5000 not readable>, n = 9"
    );
}

#[test]
fn raw_pointer_shows_its_address_and_one_level() {
    let mut fixture = Fixture::default();
    let ty = point(&mut fixture);
    let pointer = raw(&mut fixture, ty);
    fixture.variable("p", pointer, at_frame(0));
    fixture.variable("q", pointer, at_frame(8));
    let mut bytes = 0x5000u64.to_le_bytes().to_vec();
    bytes.extend([0; 8]);
    let mut memory = stack(&bytes);
    memory.0.insert(0x5000, vec![1, 0, 2, 0]);
    assert_eq!(
        run(&fixture, &memory),
        "p = 0x5000 -> Pointer { x: 1, y: 2 }, q = 0x0"
    );
}

#[test]
fn reference_to_what_has_no_type_shows_its_address() {
    let mut fixture = Fixture::default();
    let unit = fixture.reserve();
    let reference = fixture.reference(unit, "&()");
    fixture.variable("nothing", reference, at_frame(0));
    let bytes = 0x5000u64.to_le_bytes();
    assert_eq!(run(&fixture, &stack(&bytes)), "nothing = 0x5000");
}

#[test]
fn pieces_show_what_is_there() {
    let mut fixture = Fixture::default();
    let ty = point(&mut fixture);
    let pieces = vec![
        Piece {
            size: Some(2),
            source: PieceSource::Register(Register(0)),
        },
        Piece {
            size: Some(2),
            source: PieceSource::Unavailable(Unavailable::OptimisedOut),
        },
    ];
    fixture.variable("p", ty, Place { pieces });
    assert_eq!(
        run(&fixture, &Regions::default()),
        "p = Pointer { x: 5, y: <optimised out> }"
    );
}

#[test]
fn address_in_another_module_is_that_of_the_process() {
    let mut fixture = Fixture::default();
    let module = ModuleNumber(2);
    let at = |address| vec![Term::AddressIn(module, LinkAddr(address)), Term::Deref(8)];
    computed(&mut fixture, "x", at(0x40));
    let plan = fixture.plan().expect("compiles");
    assert_eq!(plan.program.modules, [2]);
    assert_eq!(plan.program.constants, []);
    let mut memory = Regions::default();
    memory.0.insert(0x7000_0000, vec![0; 0x40]);
    memory.0.insert(0x7000_0040, 812_u64.to_le_bytes().to_vec());
    let shown = |places: &[(u32, u64)], mark: u64| {
        let marks = [ModuleMark { at: 8, is: mark }; 3];
        let machine = ReferenceMachine::new(&memory).with_modules(&marks, places);
        match machine.run(&plan.program.ops) {
            Outcome::Sent(record) => plan.layout.decode(&record).expect("decodes").message,
            other => format!("{other:?}"),
        }
    };
    let here = [(2, 0x7000_0000 | PLACED)];
    assert_eq!(shown(&here, 0), "x = 812");
    let why = "the address of a module that it needs is not known in this process yet";
    assert_eq!(shown(&[], 0), format!("x = <{why}>"));
    // Another build is there, or the module is not loaded.
    assert_eq!(shown(&here, 5), "x = <memory not readable>");
    assert_eq!(shown(&[(2, NOT_LOADED)], 0), "x = <memory not readable>");
}

/// A value of eight bytes that is computed.
fn computed(fixture: &mut Fixture, name: &str, terms: Vec<Term>) {
    let place = Place::whole(PieceSource::Value(PlaceExpr(terms)));
    fixture.variable(name, int(8, false), place);
}

#[test]
fn choice_computes_only_what_is_taken() {
    let mut fixture = Fixture::default();
    let rax = || Term::Register(Register(0));
    // The alternative that is not taken is unreadable memory.
    let unreadable = [Term::Const(16), Term::Deref(8)];
    let is_five = |number| [rax(), Term::Const(number), Term::Binary(Binary::Eq)];
    let chosen = |number| {
        let mut terms = vec![rax()];
        terms.extend(unreadable);
        terms.extend(is_five(number));
        terms.push(Term::Choose);
        terms
    };
    computed(&mut fixture, "yes", chosen(5));
    computed(&mut fixture, "no", chosen(6));
    let mut within = chosen(5);
    within.extend([Term::Const(7), Term::Binary(Binary::Add)]);
    computed(&mut fixture, "within", within);
    assert_eq!(
        run(&fixture, &Regions::default()),
        "yes = 5, no = <memory not readable>, within = 12"
    );
}

#[test]
fn value_that_a_caller_passed_is_known_for_that_caller_only() {
    let mut fixture = Fixture::default();
    let back = [Term::Register(Register(RBP)), Term::Deref(8)];
    let from = |site: u64| {
        let mut terms = back.to_vec();
        terms.extend([Term::Const(site), Term::Binary(Binary::Eq)]);
        terms
    };
    let mut terms = vec![Term::Const(41), Term::Const(42)];
    terms.extend(from(0x1000));
    terms.push(Term::KnownCaller);
    terms.extend(from(0x2000));
    terms.push(Term::Choose);
    computed(&mut fixture, "passed", terms);
    let at = |site: u64| run(&fixture, &stack(&site.to_le_bytes()));
    assert_eq!(at(0x2000), "passed = 41");
    assert_eq!(at(0x1000), "passed = 42");
    assert_eq!(
        at(0x3000),
        "passed = <not supported: the value at the function's entry, called from there>"
    );
}

#[test]
fn constants_need_no_ops() {
    let mut fixture = Fixture::default();
    fixture.variable(
        "k",
        int(4, true),
        Place::whole(PieceSource::Bytes(vec![7, 0, 0, 0])),
    );
    assert_eq!(fixture.plan().expect("compiles").program.ops.len(), 1);
    assert_eq!(run(&fixture, &Regions::default()), "k = 7");
}

#[test]
fn str_is_read_up_to_its_length_and_cut_at_the_limit() {
    let mut fixture = Fixture::default();
    let ty = fixture.str();
    fixture.variable("s", ty, at_frame(0));
    fixture.limits.string_bytes = 4;
    let mut bytes = 0x5000u64.to_le_bytes().to_vec();
    bytes.extend(11u64.to_le_bytes());
    let mut memory = stack(&bytes);
    memory.0.insert(0x5000, b"hello\nworld".to_vec());
    assert_eq!(run(&fixture, &memory), "s = \"hell\"… 11 bytes in all");
    fixture.limits.string_bytes = 64;
    assert_eq!(run(&fixture, &memory), "s = \"hello\\nworld\"");
}

#[test]
fn str_of_absurd_length_is_invalid() {
    let mut fixture = Fixture::default();
    let ty = fixture.str();
    fixture.variable("s", ty, at_frame(0));
    let mut bytes = 0x5000u64.to_le_bytes().to_vec();
    bytes.extend(u64::MAX.to_le_bytes());
    let mut memory = stack(&bytes);
    memory.0.insert(0x5000, vec![b'x'; 4096]);
    assert_eq!(
        run(&fixture, &memory),
        format!("s = <invalid value: a length of {}>", u64::MAX)
    );
}

#[test]
fn enum_follows_the_active_variant_only() {
    let mut fixture = Fixture::default();
    let ty = fixture.option_of_reference();
    fixture.variable("a", ty, at_frame(0));
    fixture.variable("b", ty, at_frame(8));
    let mut bytes = 0x5000u64.to_le_bytes().to_vec();
    bytes.extend([0; 8]);
    let mut memory = stack(&bytes);
    memory.0.insert(0x5000, vec![1, 0, 2, 0]);
    assert_eq!(
        run(&fixture, &memory),
        "a = Some(Pointer { x: 1, y: 2 }), b = None"
    );
}

#[test]
fn template_reads_fields_through_references() {
    let mut fixture = Fixture::default();
    let ty = point(&mut fixture);
    let reference = fixture.reference(ty, "&app::Pointer");
    fixture.variable("last", reference, at_frame(0));
    let field = Expr {
        kind: ExprKind::Field(Box::new(name("last")), "y".into()),
        span: 0..0,
    };
    let thread = Expr {
        kind: ExprKind::Special(Special::Thread),
        span: 0..0,
    };
    fixture.template(vec![hole(field, debug::DEBUG), hole(thread, debug::DEBUG)]);
    let mut memory = stack(&0x5000u64.to_le_bytes());
    memory.0.insert(0x5000, vec![1, 0, 2, 0]);
    assert_eq!(run(&fixture, &memory), "2\"Monitor\"");
}

#[test]
fn unknown_names_are_answered_with_near_ones() {
    let mut fixture = Fixture::default();
    let ty = point(&mut fixture);
    fixture.variable("current", ty, at_frame(0));
    fixture.template(vec![hole(name("curent"), debug::DEBUG)]);
    let error = fixture.plan().expect_err("no such name");
    assert_eq!(error.message, "no `curent` in scope here");
    assert_eq!(error.hint.as_deref(), Some("did you mean `current`?"));
    let field = Expr {
        kind: ExprKind::Field(Box::new(name("current")), "z".into()),
        span: 3..8,
    };
    fixture.template(vec![hole(field, debug::DEBUG)]);
    let error = fixture.plan().expect_err("no such field");
    assert_eq!(error.message, "no field `z` in `Pointer`");
    assert_eq!(error.span, Some(3..8));
}

fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    Expr {
        kind: ExprKind::Binary(op, Box::new(left), Box::new(right)),
        span: 0..0,
    }
}

#[test]
fn condition_decides_before_anything_is_copied() {
    let mut fixture = Fixture::default();
    fixture.variable("n", int(4, true), at_frame(0));
    let number = |value| Expr {
        kind: ExprKind::Int(value),
        span: 0..0,
    };
    let above = binary(BinaryOp::Gt, name("n"), number(10));
    let small = binary(BinaryOp::Lt, name("n"), number(100));
    fixture.condition(binary(BinaryOp::And, above, small));
    assert_eq!(run(&fixture, &stack(&50i32.to_le_bytes())), "n = 50");
    assert_eq!(run(&fixture, &stack(&5i32.to_le_bytes())), "Rejected");
    assert_eq!(run(&fixture, &stack(&(-5i32).to_le_bytes())), "Rejected");
    assert_eq!(run(&fixture, &stack(&500i32.to_le_bytes())), "Rejected");
    assert_eq!(run(&fixture, &Regions::default()), "Faulted");
}

#[test]
fn condition_compares_texts_and_variants() {
    let mut fixture = Fixture::default();
    let text = fixture.str();
    let option = fixture.option_of_reference();
    fixture.variable("s", text, at_frame(0));
    fixture.variable("o", option, at_frame(16));
    let literal = Expr {
        kind: ExprKind::Str("hello".into()),
        span: 0..0,
    };
    let none = binary(BinaryOp::Eq, name("o"), name("None"));
    fixture.condition(binary(
        BinaryOp::And,
        binary(BinaryOp::Eq, name("s"), literal),
        none,
    ));
    fixture.template(vec![]);
    let case = |text: &[u8], option: u64| {
        let mut bytes = 0x5000u64.to_le_bytes().to_vec();
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(option.to_le_bytes());
        let mut memory = stack(&bytes);
        memory.0.insert(0x5000, text.to_vec());
        run(&fixture, &memory)
    };
    assert_eq!(case(b"hello", 0), "");
    assert_eq!(case(b"hello", 0x5000), "Rejected");
    assert_eq!(case(b"hellp", 0), "Rejected");
    assert_eq!(case(b"hello!", 0), "Rejected");
}

#[test]
fn event_in_the_room_of_another_has_nothing_of_it() {
    let bytes: Vec<u8> = (1..=16).collect();
    let memory = stack(&bytes);
    let plan_of = |names: &[&str]| {
        let mut fixture = Fixture::default();
        for (index, name) in names.iter().enumerate() {
            fixture.variable(name, int(4, true), at_frame(4 * index as i64));
        }
        let plan = fixture.plan().expect("compiles");
        let Outcome::Sent(record) = ReferenceMachine::new(&memory)
            .with(RBP, STACK)
            .run(&plan.program.ops)
        else {
            panic!("sent");
        };
        (plan.layout, record)
    };
    let plans = [&["a"][..], &["b", "c", "d"], &["a", "b"]].map(plan_of);
    let mut scratch = DecodeScratch::default();
    for (before, record_before) in &plans {
        for (layout, record) in &plans {
            let used = before.decode(record_before).expect("decodes");
            let room = EventBuffers {
                message: used.message,
                values: used.values,
            };
            let context = Context::default();
            let shown = layout.decode_into(record, &context, room, &mut scratch);
            assert_eq!(shown, layout.decode(record));
        }
    }
}

#[test]
fn foreign_records_are_errors() {
    let mut fixture = Fixture::default();
    fixture.variable("a", int(4, true), at_frame(0));
    let plan = fixture.plan().expect("compiles");
    let memory = stack(&[0; 16]);
    let Outcome::Sent(record) = ReferenceMachine::new(&memory)
        .with(RBP, STACK)
        .run(&plan.program.ops)
    else {
        panic!("sent");
    };
    for end in 0..record.len() {
        assert!(plan.layout.decode(&record[..end]).is_err(), "cut at {end}");
    }
    for at in 64..72 {
        let mut other = record.clone();
        other[at] ^= 0x55;
        let decoded = plan.layout.decode(&other);
        assert!(decoded.is_err() || at == 67, "byte {at}: {decoded:?}");
    }
}

#[test]
fn type_that_contains_itself_ends() {
    let mut fixture = Fixture::default();
    let ty = fixture.reserve();
    let member = fixture::member("inner", ty, 0);
    fixture.define(
        ty,
        "Loop",
        Some(8),
        TypeKind::Struct(fixture::structure(vec![member.clone(), member])),
    );
    fixture.variable("l", ty, at_frame(0));
    let text = run(&fixture, &stack(&[0; 8]));
    assert!(
        text.contains("not supported"),
        "{}",
        &text[..200.min(text.len())]
    );
}

/// Evaluates a condition over the text `t`. `None` stands for a fault.
fn text_holds(condition: &str, text: &[u8]) -> Option<bool> {
    let mut fixture = Fixture::default();
    let ty = fixture.str();
    fixture.variable("t", ty, at_frame(0));
    let probe = format!("log 0x0 \"hit\" if {condition}");
    let parsed = crate::actions::parse_probe(&probe).expect("parses");
    fixture.condition(parsed.condition.expect("one"));
    fixture.template(Vec::new());
    let plan = fixture.plan().expect("compiles");
    let mut bytes = 0x5000_u64.to_le_bytes().to_vec();
    bytes.extend((text.len() as u64).to_le_bytes());
    let mut memory = stack(&bytes);
    memory.0.insert(0x5000, text.to_vec());
    let machine = ReferenceMachine::new(&memory).with(RBP, STACK);
    match machine
        .with_thread(41, 42, 7, "worker-1")
        .run(&plan.program.ops)
    {
        Outcome::Sent(_) => Some(true),
        Outcome::Rejected => Some(false),
        _ => None,
    }
}

#[test]
fn text_is_found_anywhere_and_only_where_it_is() {
    let text = b"GET /index.html HTTP/1.1";
    for part in [
        "GET",
        "/index.html",
        "1.1",
        "",
        "G",
        "GET /index.html HTTP/1.1",
    ] {
        assert_eq!(
            text_holds(&format!("t.contains(\"{part}\")"), text),
            Some(true),
            "{part}"
        );
    }
    for part in ["get", "1.12", "GET /index.html HTTP/1.1 ", "zz"] {
        assert_eq!(
            text_holds(&format!("t.contains(\"{part}\")"), text),
            Some(false),
            "{part}"
        );
    }
    assert_eq!(
        text_holds("t.contains(\"x\")", &[b'.'; 5000]),
        None,
        "too long to say no"
    );
    assert_eq!(text_holds("t.contains(\"x\")", b""), Some(false));
}

#[test]
fn text_is_matched_by_patterns() {
    let text = b"GET /api/v2/users?id=17 HTTP/1.1";
    for (condition, expected) in [
        ("t.matches(/^GET /)", true),
        ("t.matches(/^get /)", false),
        ("t.matches(/^get /i)", true),
        (r"t.matches(/\/api\/v\d+\/(users|orders)/)", true),
        (r"t.matches(/\/api\/v\d+\/orders/)", false),
        (r"matches(t, /id=\d+ HTTP\/1\.[01]$/)", true),
        ("t.matches(\"id=[0-9]+$\")", false),
        ("!t.matches(/id/)", false),
        ("t.matches(/users/) && !t.matches(/orders/)", true),
        ("t.matches(/orders/) || t.contains(\"id=17\")", true),
    ] {
        assert_eq!(text_holds(condition, text), Some(expected), "{condition}");
    }
    assert_eq!(text_holds("t.matches(/^$/)", b""), Some(true));
    assert_eq!(
        text_holds("t.matches(/x/)", &[b'.'; 5000]),
        None,
        "too long to say no"
    );
    assert_eq!(
        text_holds("t.matches(/^x/)", &[b'.'; 5000]),
        Some(false),
        "the first byte decides"
    );
}

/// All searches of a hit share its steps. A search without an outcome counts as unreadable.
#[test]
fn searches_share_the_steps_of_a_hit() {
    let long = vec![b'a'; 800];
    let two = "!t.contains(\"x\") && !t.contains(\"y\")";
    assert_eq!(text_holds("!t.contains(\"x\")", &long), Some(true));
    assert_eq!(text_holds(two, &long[..300]), Some(true));
    let many = ["!t.contains(\"x\")"; 12].join(" && ");
    assert_eq!(text_holds(&many, &long), None);
    assert_eq!(text_holds(&many, b"a"), Some(true));
    // As many bytes alike as there can be before each place differs.
    let needle = "a".repeat(199) + "b";
    assert_eq!(
        text_holds(&format!("t.contains(\"{needle}\")"), &long),
        Some(false)
    );
    let mut found = long.clone();
    found[750] = b'b';
    assert_eq!(
        text_holds(&format!("t.contains(\"{needle}\")"), &found),
        Some(true)
    );
}

/// Evaluates a condition over an array of characters that other bytes follow.
fn array_holds(condition: &str, size: u64, bytes: &[u8]) -> Option<bool> {
    let mut fixture = Fixture::default();
    let char = fixture.add("char", 1, TypeKind::Char { signed: true });
    let array = TypeKind::Array {
        element: char,
        dimensions: vec![Some(size)],
    };
    let ty = fixture.add("char[]", size, array);
    fixture.variable("t", ty, at_frame(0));
    let parsed = crate::actions::parse_probe(&format!("log 0x0 \"hit\" if {condition}"));
    fixture.condition(parsed.expect("parses").condition.expect("one"));
    fixture.template(Vec::new());
    let plan = fixture.plan().expect("compiles");
    let memory = stack(bytes);
    let machine = ReferenceMachine::new(&memory).with(RBP, STACK);
    match machine
        .with_thread(41, 42, 7, "worker-1")
        .run(&plan.program.ops)
    {
        Outcome::Sent(_) => Some(true),
        Outcome::Rejected => Some(false),
        _ => None,
    }
}

/// `strncpy` leaves an array that is full without a zero byte.
#[test]
fn array_without_a_zero_byte_ends_with_its_last_character() {
    let full = b"abcdefgh";
    for (condition, expected) in [
        ("t == \"abcd\"", true),
        ("t == \"abcde\"", false),
        ("t == \"abc\"", false),
        ("t.starts_with(\"abcd\")", true),
        ("t.starts_with(\"abcde\")", false),
        ("t.ends_with(\"cd\")", true),
        ("t.ends_with(\"gh\")", false),
        ("t.contains(\"e\")", false),
        ("t.matches(/d$/)", true),
        ("t.matches(/ab\0/)", false),
    ] {
        assert_eq!(
            array_holds(condition, 4, full),
            Some(expected),
            "{condition}"
        );
    }
    for (condition, expected) in [
        ("t == \"ab\"", true),
        ("t.ends_with(\"b\")", true),
        ("t.contains(\"c\")", false),
    ] {
        assert_eq!(
            array_holds(condition, 4, b"ab\0cdefg"),
            Some(expected),
            "{condition}"
        );
    }
}

#[test]
fn text_ends_with_its_last_bytes_and_no_others() {
    let text = b"GET /index.html";
    for part in ["", "l", "html", "GET /index.html"] {
        let condition = format!("t.ends_with(\"{part}\")");
        assert_eq!(text_holds(&condition, text), Some(true), "{part}");
    }
    for part in ["GET", "htm", "xhtml", " GET /index.html", "HTML"] {
        let condition = format!("t.ends_with(\"{part}\")");
        assert_eq!(text_holds(&condition, text), Some(false), "{part}");
    }
    assert_eq!(text_holds("t.ends_with(\"\")", b""), Some(true));
    assert_eq!(text_holds("t.ends_with(\"x\")", b""), Some(false));
    assert_eq!(text_holds("t.is_empty()", b""), Some(true));
    assert_eq!(text_holds("t.is_empty()", b"x"), Some(false));
}

#[test]
fn tests_of_a_text_in_registers_leave_these_as_they_are() {
    let mut fixture = Fixture::default();
    let ty = fixture.str();
    let piece = |register| Piece {
        size: Some(8),
        source: PieceSource::Register(Register(register)),
    };
    let pieces = Place {
        pieces: vec![piece(3), piece(12)],
    };
    fixture.variable("t", ty, pieces);
    let template =
        "{t.ends_with(\"ml\")} {t.starts_with(\"in\")} {t.contains(\"ex\")} {t} {t.len()}";
    fixture.probe(&format!("log 0x0 \"{template}\" if t.ends_with(\"html\")"));
    let plan = fixture.plan().expect("compiles");
    let mut memory = Regions::default();
    memory.0.insert(0x5000, b"index.html".to_vec());
    let machine = ReferenceMachine::new(&memory).with(3, 0x5000).with(12, 10);
    let Outcome::Sent(record) = machine.run(&plan.program.ops) else {
        panic!("rejected");
    };
    let decoded = plan.layout.decode(&record).expect("decodes");
    assert_eq!(decoded.message, "true true true index.html 10");
}

#[test]
fn thread_and_numbers_of_the_hit_are_known_to_conditions() {
    for (condition, wanted) in [
        ("$pid == 41 && $tid == 42 && $hit == 7", true),
        ("$hit % 2 == 0", false),
        ("$thread == \"worker-1\"", true),
        ("$thread == \"worker-\"", false),
        ("$thread != \"worker-12\"", true),
        ("$thread.starts_with(\"worker-\")", true),
        ("$thread.starts_with(\"worker-12\")", false),
        ("$thread == \"a name of more than fifteen\"", false),
    ] {
        assert_eq!(text_holds(condition, b""), Some(wanted), "{condition}");
    }
}

#[test]
fn exclamation_mark_turns_the_bits_of_a_rust_integer() {
    let mut fixture = Fixture::default();
    fixture.variable("n", int(1, false), at_frame(0));
    let probe = crate::actions::parse_probe("log 0x0 \"{!n}\"").expect("parses");
    fixture.template(probe.template.expect("one").parts);
    assert_eq!(run(&fixture, &stack(&[5])), "250");
}
