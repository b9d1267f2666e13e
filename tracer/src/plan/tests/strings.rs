//! Strings of libstdc++ that the debug information does not describe whole.

use super::fixture::{Fixture, int, member, structure};
use super::{at_frame, run, stack};
use crate::debuginfo::types::{TypeId, TypeKind};

/// Variations in the description of a string.
#[derive(Clone, Copy)]
struct Described {
    arguments: &'static str,
    size: u64,
    pointer_at: u64,
    length_at: u64,
    length_bytes: u64,
    local_at: u64,
    character: &'static str,
    character_bytes: u64,
    local_characters: u64,
}

/// A string as clang describes it in C++17.
const USUAL: Described = Described {
    arguments: "char, std::char_traits<char>, std::allocator<char> ",
    size: 32,
    pointer_at: 0,
    length_at: 8,
    length_bytes: 8,
    local_at: 16,
    character: "char",
    character_bytes: 1,
    local_characters: 16,
};

const NAME: &str =
    "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >";

impl Described {
    fn class(self, fixture: &mut Fixture) -> TypeId {
        let kind = TypeKind::Char { signed: true };
        let character = fixture.c_type(self.character, self.character_bytes, kind);
        let local = TypeKind::Array {
            element: character,
            dimensions: vec![Some(self.local_characters)],
        };
        let bytes = self.local_characters * self.character_bytes;
        let local = fixture.c_type("char[]", bytes, local);
        let hider = fixture.declared_class("_Alloc_hider");
        let mut body = structure(vec![
            member("_M_dataplus", hider, self.pointer_at),
            member(
                "_M_string_length",
                int(self.length_bytes, false),
                self.length_at,
            ),
            member("_M_local_buf", local, self.local_at),
        ]);
        body.type_arguments = vec![("_CharT".into(), character)];
        let name = format!("std::__cxx11::basic_string<{}>", self.arguments);
        fixture.class(&name, self.size, body)
    }
}

/// A fixture with the variable `s`, and a probe.
fn with(probe: &str, class: impl FnOnce(&mut Fixture) -> TypeId) -> Fixture {
    let mut fixture = Fixture::default();
    let string = class(&mut fixture);
    fixture.variable("s", string, at_frame(0));
    fixture.probe(probe);
    fixture
}

/// The result of a probe on the text `hello`, or the error.
fn said(fixture: &Fixture) -> String {
    if let Err(error) = fixture.plan() {
        return error.message;
    }
    let mut bytes = 0x5000u64.to_le_bytes().to_vec();
    bytes.extend(5u64.to_le_bytes());
    bytes.extend([0; 16]);
    let mut memory = stack(&bytes);
    memory.0.insert(0x5000, b"hello\0\0\0".to_vec());
    run(fixture, &memory)
}

const ASKED: &str =
    r#"log 0x0 "{s} {s.len()} {s == "hello"} {s.contains("x")} {s.is_empty()} {s[1]}""#;

#[test]
fn string_whose_pointer_is_only_declared_is_read_by_its_abi() {
    let fixture = with(ASKED, |fixture| USUAL.class(fixture));
    assert_eq!(said(&fixture), "hello 5 true false false e");
}

#[test]
fn string_that_is_only_declared_is_read_by_its_abi() {
    let declared = |fixture: &mut Fixture| {
        fixture.c_type("char", 1, TypeKind::Char { signed: true });
        fixture.declared_class(NAME)
    };
    // An element needs the type of a character, which the fixture does not find by name.
    let asked = ASKED.replace(" {s[1]}", "");
    assert_eq!(said(&with(&asked, declared)), "hello 5 true false false");
}

#[test]
fn string_that_differs_from_its_abi_is_not_read() {
    let different = [
        Described { size: 40, ..USUAL },
        Described {
            pointer_at: 16,
            ..USUAL
        },
        Described {
            length_at: 16,
            ..USUAL
        },
        Described {
            length_bytes: 4,
            ..USUAL
        },
        Described {
            local_at: 8,
            ..USUAL
        },
        Described {
            local_characters: 15,
            ..USUAL
        },
        Described {
            character_bytes: 2,
            local_characters: 8,
            ..USUAL
        },
        Described {
            arguments: "char, std::char_traits<char>, Shared<char> ",
            ..USUAL
        },
        Described {
            arguments: "char, ci_traits, std::allocator<char> ",
            ..USUAL
        },
    ];
    for (number, described) in different.into_iter().enumerate() {
        let class = |fixture: &mut Fixture| described.class(fixture);
        let shown = said(&with("log 0x0 \"{s}\"", class));
        let reason = "`_Alloc_hider` is only declared; compile with -fstandalone-debug";
        assert!(shown.contains(reason), "{number}: {shown}");
        for probe in ["log 0x0 \"{s.len()}\"", "log 0x0 \"\" if s == \"hello\""] {
            let refused = with(probe, class).plan().is_err();
            assert!(refused, "{number}: {probe}");
        }
    }
}

#[test]
fn text_of_wide_characters_is_not_compared() {
    let arguments = "wchar_t, std::char_traits<wchar_t>, std::allocator<wchar_t> ";
    let wide = Described {
        arguments,
        character: "wchar_t",
        character_bytes: 4,
        local_characters: 4,
        ..USUAL
    };
    let class = |fixture: &mut Fixture| wide.class(fixture);
    assert_eq!(said(&with("log 0x0 \"{s.len()}\"", class)), "5");
    let refused = said(&with("log 0x0 \"\" if s == \"hello\"", class));
    assert!(refused.ends_with("is not a text"), "{refused}");
    let declared = format!("std::__cxx11::basic_string<{arguments}>");
    let class = |fixture: &mut Fixture| fixture.declared_class(&declared);
    let refused = said(&with("log 0x0 \"\" if s == \"hello\"", class));
    assert!(refused.ends_with("is not a text"), "{refused}");
}
