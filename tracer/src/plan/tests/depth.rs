//! How far values are followed, and what is left out first.

use super::fixture::{Fixture, int, member, structure};
use super::{at_frame, raw, run, stack};
use crate::debuginfo::types::{TypeId, TypeKind};

/// `Link { n: i32, next: *const Link }`.
fn link(fixture: &mut Fixture) -> TypeId {
    let link = fixture.reserve();
    let pointer = raw(fixture, link);
    let body = structure(vec![
        member("n", int(4, true), 0),
        member("next", pointer, 8),
    ]);
    fixture.define(link, "app::Link", Some(16), TypeKind::Struct(body));
    pointer
}

/// A pointer to five linked objects, shown with that many levels.
fn shown(depth: u32) -> String {
    let mut fixture = Fixture::default();
    fixture.limits.depth = depth;
    let pointer = link(&mut fixture);
    fixture.variable("p", pointer, at_frame(0));
    let mut memory = stack(&0x5000u64.to_le_bytes());
    for n in 0..5_u64 {
        let mut bytes = n.to_le_bytes().to_vec();
        bytes.extend((0x5100 + n * 0x100).to_le_bytes());
        memory.0.insert(0x5000 + n * 0x100, bytes);
    }
    run(&fixture, &memory)
}

#[test]
fn pointer_shows_its_object_and_each_level_more_of_it() {
    assert_eq!(shown(0), "p = 0x5000");
    assert_eq!(shown(1), "p = 0x5000 -> Link { n: 0, next: 0x5100 }");
    let second = "p = 0x5000 -> Link { n: 0, next: 0x5100 -> Link { n: 1, next: 0x5200 } }";
    assert_eq!((shown(2), shown(3)), (second.into(), second.into()));
    assert_eq!(
        shown(4),
        "p = 0x5000 -> Link { n: 0, next: 0x5100 -> Link { n: 1, next: 0x5200 -> Link { n: 2, next: 0x5300 } } }"
    );
}

#[test]
fn text_behind_the_last_pointer_is_shown() {
    let mut fixture = Fixture::default();
    fixture.limits.depth = 1;
    let text = fixture.str();
    let body = structure(vec![member("name", text, 0)]);
    let named = fixture.add("app::Named", 16, TypeKind::Struct(body));
    let reference = fixture.reference(named, "&app::Named");
    let holder = structure(vec![
        member("one", reference, 0),
        member("n", int(4, true), 8),
    ]);
    let holder = fixture.add("app::Holder", 16, TypeKind::Struct(holder));
    fixture.variable("h", holder, at_frame(0));
    let mut bytes = 0x5000u64.to_le_bytes().to_vec();
    bytes.extend(7u64.to_le_bytes());
    let mut memory = stack(&bytes);
    let mut named = 0x6000u64.to_le_bytes().to_vec();
    named.extend(2u64.to_le_bytes());
    memory.0.insert(0x5000, named);
    memory.0.insert(0x6000, b"hi".to_vec());
    assert_eq!(
        run(&fixture, &memory),
        "h = Holder { one: Named { name: \"hi\" }, n: 7 }"
    );
}

#[test]
fn what_is_too_large_is_left_out_and_what_is_near_is_shown() {
    let mut fixture = Fixture::default();
    fixture.limits.depth = 8;
    let pointer = link(&mut fixture);
    let members = (0..900).map(|n| member(&format!("m{n}"), pointer, n * 8));
    let wide = structure(members.collect());
    let wide = fixture.add("app::Wide", 7200, TypeKind::Struct(wide));
    let to_wide = raw(&mut fixture, wide);
    let top = structure(vec![member("wide", to_wide, 0), member("link", pointer, 8)]);
    let top = fixture.add("app::Top", 16, TypeKind::Struct(top));
    fixture.variable("t", top, at_frame(0));
    let mut bytes = 0x4000u64.to_le_bytes().to_vec();
    bytes.extend(0x5000u64.to_le_bytes());
    let mut memory = stack(&bytes);
    let mut object = 5u64.to_le_bytes().to_vec();
    object.extend([0; 8]);
    memory.0.insert(0x5000, object);
    assert_eq!(
        run(&fixture, &memory),
        "t = Top { wide: 0x4000, link: 0x5000 -> Link { n: 5, next: 0x0 } }"
    );
}

#[test]
fn light_fields_are_captured_first_and_shown_in_their_place() {
    let mut fixture = Fixture::default();
    let pointer = link(&mut fixture);
    let text = fixture.str();
    let members = vec![member("far", pointer, 0), member("near", text, 8)];
    let both = fixture.add("app::Both", 24, TypeKind::Struct(structure(members)));
    fixture.variable("b", both, at_frame(0));
    let mut bytes = 0x5000u64.to_le_bytes().to_vec();
    bytes.extend(0x6000u64.to_le_bytes());
    bytes.extend(2u64.to_le_bytes());
    let mut memory = stack(&bytes);
    let mut object = 5u64.to_le_bytes().to_vec();
    object.extend([0; 8]);
    memory.0.insert(0x5000, object);
    memory.0.insert(0x6000, b"hi".to_vec());
    assert_eq!(
        run(&fixture, &memory),
        "b = Both { far: 0x5000 -> Link { n: 5, next: 0x0 }, near: \"hi\" }"
    );
}

#[test]
fn string_that_shares_its_text_has_its_length_before_it() {
    let mut fixture = Fixture::default();
    let character = fixture.c_type("char", 1, TypeKind::Char { signed: true });
    let pointer = fixture.cpp_pointer(character);
    let inner = fixture.class(
        "std::basic_string<char>::_Alloc_hider",
        8,
        structure(vec![member("_M_p", pointer, 0)]),
    );
    let mut body = structure(vec![member("_M_dataplus", inner, 0)]);
    body.type_arguments = vec![("_CharT".into(), character)];
    let string = fixture.class("std::basic_string<char>", 8, body);
    fixture.variable("s", string, at_frame(0));
    let mut memory = stack(&0x5018u64.to_le_bytes());
    let mut rep = 3u64.to_le_bytes().to_vec();
    rep.extend([0; 16]);
    rep.extend(b"a\0b and more");
    memory.0.insert(0x5000, rep);
    assert_eq!(run(&fixture, &memory), "s = \"a\\0b\"");
}
