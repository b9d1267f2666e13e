//! Casts to enums and pointers by their names.

use super::fixture::{Fixture, int, member, point, structure};
use super::{Outcome, RBP, ReferenceMachine, STACK, at_frame, stack};
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::{PointerKind, TypeId, TypeKind};
use crate::plan::Plan;

fn colours() -> TypeKind {
    let enumerators = [("RED", 0), ("GREEN", 5), ("BLUE", -1)];
    TypeKind::Enum {
        size: 4,
        signed: true,
        enumerators: enumerators.map(|(name, value)| (name.into(), value)).into(),
    }
}

fn node(fixture: &mut Fixture, value: TypeId) -> TypeId {
    let next = fixture.reserve();
    let body = structure(vec![member("value", value, 0), member("next", next, 8)]);
    let node = fixture.c_type("node", 16, TypeKind::Struct(body));
    let pointer = TypeKind::Pointer {
        target: Some(node),
        kind: PointerKind::Raw,
    };
    fixture.define(next, "node *", Some(8), pointer);
    node
}

/// `n` is an `int` of C, 5; `raw` an address of 64 bits, `list` a pointer to bytes: both of a node at
/// 32 in the frame, whose value is 7, with one at 48 behind it, whose value is 9. Of Rust, `here` is a
/// reference to the number 7.
fn fixture() -> Fixture {
    let mut fixture = Fixture::default();
    let c_int = fixture.c_int("int", 4, true);
    let byte = fixture.c_int("unsigned char", 1, false);
    fixture.c_type("colour", 4, colours());
    fixture.c_type("shade", 4, colours());
    let node = node(&mut fixture, c_int);
    fixture.c_type("list", 16, TypeKind::Alias(node));
    let kind = TypeKind::Pointer {
        target: Some(byte),
        kind: PointerKind::Raw,
    };
    let bytes = fixture.c_type("unsigned char *", 8, kind);
    let array = TypeKind::Array {
        element: byte,
        dimensions: vec![Some(32)],
    };
    let array = fixture.c_type("unsigned char [32]", 32, array);
    // Rust's.
    let plain = TypeKind::Enum {
        size: 1,
        signed: false,
        enumerators: vec![("Idle".into(), 0), ("Busy".into(), 5)],
    };
    fixture.add("State", 1, plain);
    point(&mut fixture);
    let number = fixture.add("u16", 2, TypeKind::Int { signed: false });
    let reference = fixture.reference(number, "&u16");
    for (name, ty, at) in [
        ("n", c_int, 0),
        ("raw", int(8, false), 8),
        ("list", bytes, 16),
        ("here", reference, 24),
        ("buffer", array, 32),
    ] {
        fixture.variable(name, ty, at_frame(at));
    }
    fixture
}

fn plan_of(mut fixture: Fixture, text: &str) -> Result<Plan, Diagnostic> {
    fixture.probe(text);
    fixture.plan()
}

fn outcome(text: &str) -> String {
    let plan = plan_of(fixture(), text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut frame = vec![0; 64];
    frame[0] = 5;
    for at in [8, 16, 24] {
        frame[at..at + 8].copy_from_slice(&(STACK + 32).to_le_bytes());
    }
    frame[32] = 7;
    frame[40..48].copy_from_slice(&(STACK + 48).to_le_bytes());
    frame[48] = 9;
    let memory = stack(&frame);
    match ReferenceMachine::new(&memory)
        .with(RBP, STACK)
        .run(&plan.program.ops)
    {
        Outcome::Sent(record) => plan.layout.decode(&record).expect("decodes").message,
        other => format!("{other:?}"),
    }
}

fn shown(expression: &str) -> String {
    outcome(&format!("log 0x0 \"{{{expression}}}\""))
}

fn refused(fixture: Fixture, expression: &str) -> (String, String) {
    let text = format!("log 0x0 \"{{{expression}}}\"");
    let error = plan_of(fixture, &text).expect_err(&text);
    assert_eq!(error.span.map(|span| &text[span]), Some(expression));
    (error.message, error.hint.expect("a hint"))
}

#[test]
fn numbers_cast_to_an_enum_are_its_variants() {
    for (expression, wanted) in [
        ("(enum colour)n", "GREEN"),
        ("(enum colour)(n - 6)", "BLUE"),
        ("(enum colour)0xffffffff", "BLUE"),
        ("n as colour", "GREEN"),
        ("n as State", "Busy"),
        ("(n + 256) as State", "Busy"),
        ("(enum colour)n << 2", "20"),
        ("(enum colour)n == GREEN", "true"),
        ("(enum colour)n == RED", "false"),
        ("(n as State) == State::Busy", "true"),
    ] {
        assert_eq!(shown(expression), wanted, "{expression}");
    }
    // In Rust, a number that is not a variant is not a value. In C an enum may have any number.
    assert!(shown("(n + 1) as State").starts_with("<invalid value"));
    assert_eq!(shown("(enum colour)6"), "6");
    let hit = outcome("log 0x0 \"hit\" if (enum colour)n == GREEN hits 3");
    assert_eq!(hit, "hit");
}

#[test]
fn numbers_cast_to_a_pointer_are_followed() {
    for (expression, wanted) in [
        ("((struct node *)raw)->value", "7"),
        ("((struct node *)list)->next->value", "9"),
        ("((const struct node *)list)->value", "7"),
        ("((list *)raw)->value", "7"),
        ("((struct node *)buffer)->next->value", "9"),
        ("((struct node *)raw + 1)->value", "9"),
        ("((struct node *)raw + 2 - 1)->value", "9"),
        ("(*(struct node **)(raw + 8))->value", "9"),
        ("*(unsigned char *)raw", "7"),
        ("*(int *)&buffer[16]", "9"),
        ("(void *)list == raw", "true"),
        ("(struct node *)raw == list", "true"),
        ("((struct node *)0)->value", "<null pointer>"),
        ("*(raw as *const u16)", "7"),
        ("(raw as *const Pointer).x", "7"),
        // A reference is an address, and not the number that it refers to.
        ("*(here as *const u16)", "7"),
        ("(here as *mut Pointer).x", "7"),
    ] {
        let expression = expression.replace("Pointer)", "app::Pointer)");
        assert_eq!(shown(&expression), wanted, "{expression}");
    }
}

#[test]
fn casts_that_are_not_possible_say_what_is() {
    for (expression, message, hint) in [
        (
            "(struct nod *)raw",
            "no cast to `struct nod *`",
            "the debug information here has no type `nod`; casts are to integers, floats, enums and pointers",
        ),
        (
            "(struct colour *)raw",
            "no cast to `struct colour *`",
            "the debug information here has no type `colour`; casts are to integers, floats, enums and pointers",
        ),
        (
            "(struct node)raw",
            "no cast to `struct node`",
            "as in C, cast to a pointer instead: `*(struct node *)p`",
        ),
        (
            "raw as app::Pointer",
            "no cast to `app::Pointer`",
            "cast to a pointer instead: `*(p as *const app::Pointer)`",
        ),
        (
            "raw as &u16",
            "no cast to `&u16`",
            "casts are to integers, floats, enums and pointers: `u64`, `f64`, `enum colour`, `struct node *`, `*const Node`",
        ),
    ] {
        let wanted = (message.to_owned(), hint.to_owned());
        assert_eq!(refused(fixture(), expression), wanted, "{expression}");
    }
}

#[test]
fn name_of_several_types_is_cast_to_when_they_are_the_same() {
    let expression = "((struct node *)raw)->value";
    let text = format!("log 0x0 \"{{{expression}}}\"");
    let mut twice = fixture();
    let c_int = twice.c_int("int", 4, true);
    node(&mut twice, c_int);
    assert!(plan_of(twice, &text).is_ok());
    let mut other = fixture();
    let short = other.c_int("short int", 2, true);
    node(&mut other, short);
    let error = plan_of(other, &text).expect_err("which?");
    assert_eq!(error.message, "no cast to `struct node *`");
    let hint = "several different types are named `node`; write the whole path";
    assert_eq!(error.hint.as_deref(), Some(hint));
}
