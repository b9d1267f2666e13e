//! Virtual bases and dynamic types of C++: golden texts.

use super::fixture::{Fixture, hole, int, member, name};
use super::{RBP, STACK, at_frame, run, stack};
use crate::base::address::LinkAddr;
use crate::debuginfo::place::{LocationExpr, PieceSource, Place, Register, Term};
use crate::debuginfo::types::{Base, BaseOffset, Derived, StructMember, StructType, TypeId};
use crate::lang::ast::{Expr as LangExpr, ExprKind};
use crate::program::reference::Regions;
use crate::value::debug::DEBUG;

/// Where the virtual table of an object points to.
const TABLE: u64 = 0x9000;
/// Where the distance to the virtual base stands, from there.
const SLOT: i64 = -24;

fn body(members: Vec<StructMember>, bases: Vec<Base>) -> StructType {
    StructType {
        members,
        bases,
        polymorphic: true,
        ..StructType::default()
    }
}

/// `struct Left : virtual Root`: a table, `left`; `Root` has `root` at 8.
fn left(fixture: &mut Fixture) -> TypeId {
    let root = fixture.class(
        "Root",
        16,
        body(vec![member("root", int(4, true), 8)], vec![]),
    );
    let base = Base {
        ty: root,
        offset: BaseOffset::VtableSlot(SLOT),
    };
    let members = vec![member("left", int(4, true), 8)];
    fixture.class("Left", 32, body(members, vec![base]))
}

/// Bytes of an object of `Left`, its base 16 bytes on.
fn object(left: i32, root: i32) -> Vec<u8> {
    let mut bytes = TABLE.to_le_bytes().to_vec();
    bytes.extend(left.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend([0; 8]);
    bytes.extend(root.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

/// A table: distance to the virtual base, distance to the top, type information.
fn table(memory: &mut Regions, base: i64, top: i64, info: u64) {
    let mut bytes = base.to_le_bytes().to_vec();
    bytes.extend(top.to_le_bytes());
    bytes.extend(info.to_le_bytes());
    memory.0.insert(TABLE - 24, bytes);
}

#[test]
fn virtual_base_is_where_the_table_says() {
    let mut fixture = Fixture::default();
    let left = left(&mut fixture);
    fixture.variable("x", left, at_frame(0));
    let mut memory = stack(&object(6, 5));
    table(&mut memory, 16, 0, 0);
    assert_eq!(
        run(&fixture, &memory),
        "x = Left { Root: Root { root: 5 }, left: 6 }"
    );
}

#[test]
fn virtual_base_without_a_table_costs_only_itself() {
    let mut fixture = Fixture::default();
    let left = left(&mut fixture);
    fixture.variable("x", left, at_frame(0));
    fixture.variable("n", int(4, true), at_frame(8));
    assert_eq!(
        run(&fixture, &stack(&object(6, 5))),
        "x = Left { Root: <memory not readable>, left: 6 }, n = 6"
    );
}

#[test]
fn virtual_base_behind_an_address_that_is_read_is_found() {
    let mut fixture = Fixture::default();
    let left = left(&mut fixture);
    let place = Place::whole(PieceSource::Memory(LocationExpr(vec![
        Term::Register(Register(RBP)),
        Term::Deref(8),
    ])));
    fixture.variable("x", left, place);
    let mut memory = stack(&(STACK + 64).to_le_bytes());
    memory.0.insert(STACK + 64, object(6, 5));
    table(&mut memory, 16, 0, 0);
    assert_eq!(
        run(&fixture, &memory),
        "x = Left { Root: Root { root: 5 }, left: 6 }"
    );
    memory.0.remove(&STACK);
    assert_eq!(
        run(&fixture, &memory),
        "x = Left { Root: <memory not readable>, left: <memory not readable> }"
    );
}

#[test]
fn virtual_base_of_elements_is_found_for_each() {
    let mut fixture = Fixture::default();
    let left = left(&mut fixture);
    let kind = crate::debuginfo::types::TypeKind::Array {
        element: left,
        dimensions: vec![Some(2)],
    };
    let array = fixture.add("Left[2]", 64, kind);
    fixture.variable("x", array, at_frame(0));
    let mut bytes = object(1, 2);
    bytes.extend(object(3, 4));
    let mut memory = stack(&bytes);
    table(&mut memory, 16, 0, 0);
    assert_eq!(
        run(&fixture, &memory),
        "x = [Left { Root: Root { root: 2 }, left: 1 }, Left { Root: Root { root: 4 }, left: 3 }]"
    );
}

#[test]
fn member_of_a_virtual_base_is_found_by_its_bare_name() {
    let mut fixture = Fixture::default();
    let left = left(&mut fixture);
    // A class that has it as a base of its own.
    let inherited = Base {
        ty: left,
        offset: BaseOffset::Fixed(0),
    };
    let lower = fixture.class("Lower", 32, body(vec![], vec![inherited]));
    fixture.variable("x", lower, at_frame(0));
    let root = ExprKind::Field(Box::new(name("x")), "root".into());
    let root = hole(
        LangExpr {
            kind: root,
            span: 0..0,
        },
        DEBUG,
    );
    fixture.template(vec![root]);
    let mut memory = stack(&object(6, 5));
    table(&mut memory, 16, 0, 0);
    assert_eq!(run(&fixture, &memory), "5");
    memory.0.remove(&(TABLE - 24));
    assert_eq!(run(&fixture, &memory), "<memory not readable>");
}

/// `struct Base { vptr; int base; }`, and `struct Derived : …, Base` with the base at 16.
fn derived(fixture: &mut Fixture, info: u64) -> TypeId {
    let base = fixture.class(
        "Base",
        16,
        body(vec![member("base", int(4, true), 8)], vec![]),
    );
    let inherited = Base {
        ty: base,
        offset: BaseOffset::Fixed(16),
    };
    let members = vec![member("own", int(4, true), 8)];
    let ty = fixture.class("Derived", 32, body(members, vec![inherited]));
    let derived = Derived {
        ty,
        info: LinkAddr(info),
    };
    fixture.derived.push(("Base", derived));
    fixture.cpp_pointer(base)
}

#[test]
fn pointer_to_a_base_shows_the_class_that_the_table_names() {
    let mut fixture = Fixture::default();
    let pointer = derived(&mut fixture, 0x7000);
    fixture.variable("p", pointer, at_frame(0));
    fixture.variable("n", int(1, false), at_frame(8));
    // The pointer is to the base within the object.
    let mut bytes = (STACK + 80).to_le_bytes().to_vec();
    bytes.push(9);
    let mut memory = stack(&bytes);
    memory.0.insert(STACK + 64, object(7, 8));
    memory.0.insert(
        STACK + 80,
        [TABLE.to_le_bytes(), 8_u64.to_le_bytes()].concat(),
    );
    table(&mut memory, 0, -16, 0x7000);
    assert_eq!(
        run(&fixture, &memory),
        format!(
            "p = {:#x} -> Derived {{ Base: Base {{ base: 8 }}, own: 7 }}, n = 9",
            STACK + 80
        )
    );
    // Another class, which is not known: what it is at least.
    table(&mut memory, 0, -16, 0x7010);
    assert_eq!(
        run(&fixture, &memory),
        format!("p = {:#x} -> Base {{ base: 8 }}, n = 9", STACK + 80)
    );
    // A table that cannot be read.
    memory.0.remove(&(TABLE - 24));
    assert_eq!(
        run(&fixture, &memory),
        format!("p = {:#x} -> Base {{ base: 8 }}, n = 9", STACK + 80)
    );
}
