//! Rust, in both versions of DWARF.

use super::*;

const DEBUG: &str = "rustc --edition 2024 -Cdebuginfo=2 rust_types.rs";
const DWARF5: &str = "rustc --edition 2024 -Cdebuginfo=2 -Cdwarf-version=5 rust_types.rs";
const RELEASE: &str = "rustc --edition 2024 -Cdebuginfo=2 -O rust_types.rs";

fn variants(ty: &Type) -> Vec<(String, Vec<(u128, u128)>)> {
    let part = structure(ty).variants.as_ref().expect("variants");
    part.variants
        .iter()
        .map(|v| (v.name.clone(), v.values.clone()))
        .collect()
}

#[test]
fn enum_layouts_have_their_discriminants() {
    for command in [DEBUG, DWARF5] {
        let module = fixture(command);
        let found = variables(&module, "site_enums");
        let ty = |name: &str| type_of(&module, named(&found, name));
        let one = |value| vec![(value, value)];
        let shape = module.type_of(target(&module, named(&found, "shape").ty));
        assert_eq!(shape.name, "rust_types::shapes::Shape");
        let names = ["Circle", "Rect", "Empty"].map(str::to_owned);
        let expected: Vec<_> = names.into_iter().zip([one(0), one(1), one(2)]).collect();
        assert_eq!(variants(&shape), expected);
        let maybe = variants(&ty("maybe"));
        assert_eq!(
            maybe,
            [("None".to_owned(), one(0)), ("Some".to_owned(), vec![])]
        );
        assert_eq!(ty("maybe").name, "core::option::Option<&u32>");
        assert_eq!(variants(&ty("number")), maybe);
        let huge = variants(&ty("huge"));
        assert_eq!(huge[1], ("Big".to_owned(), one(1 << 100)), "{command}");
        let only = ty("only");
        let part = structure(&only).variants.as_ref().expect("variants");
        assert_eq!(
            (part.discriminant.is_none(), part.variants.len()),
            (true, 1)
        );
        let nested = ty("nested");
        assert_eq!(variants(&nested)[0].0, "None");
        assert_eq!(nested.size, Some(1));
        let TypeKind::Enum {
            signed: true,
            enumerators,
            size: 2,
        } = &ty("level").kind
        else {
            panic!("{:?}", ty("level"));
        };
        assert_eq!(
            *enumerators,
            [("Low".to_owned(), -1), ("High".to_owned(), 300)]
        );
    }
}

#[test]
fn names_are_those_of_the_source() {
    for command in [DEBUG, DWARF5] {
        let module = fixture(command);
        let found = variables(&module, "site_scalars");
        for (name, ty) in [
            ("pair", "rust_types::shapes::Pair<u8, &str>"),
            ("tuple", "(i16, char)"),
            ("array", "[[u8; 4]; 2]"),
            ("slice", "&[u32]"),
            ("big", "i128"),
            ("text", "alloc::string::String"),
            ("raw", "*const u8"),
            ("f", "fn(u8) -> u8"),
            ("shadowed", "u16"),
        ] {
            assert_eq!(type_of(&module, named(&found, name)).name, ty);
        }
        let outer = module.find_variable(site(&module, "site_scalars"), "shadowed", 2);
        assert_eq!(
            module
                .type_of(outer.expect("question").expect("outer").ty)
                .name,
            "u8"
        );
        assert!(
            found.iter().all(|v| v.name != "later"),
            "declared behind the site"
        );
        let array = type_of(&module, named(&found, "array"));
        assert_eq!(array.size, Some(8));
        let tuple = type_of(&module, named(&found, "tuple"));
        let character = structure(&tuple)
            .members
            .iter()
            .find(|m| m.name == "__1")
            .expect("field");
        assert!(matches!(
            module.type_of(character.ty).kind,
            TypeKind::Char { .. }
        ));
    }
}

#[test]
fn closure_shows_what_it_captured() {
    for command in [DEBUG, DWARF5] {
        let module = fixture(command);
        let found = variables(&module, "site_closure");
        for (name, kind) in [
            ("result", VariableKind::Local),
            ("n", VariableKind::Parameter),
            ("base", VariableKind::Captured),
            ("text", VariableKind::Captured),
        ] {
            assert_eq!(named(&found, name).kind, kind, "{name}");
        }
        assert_eq!(
            type_of(&module, named(&found, "text")).name,
            "alloc::string::String"
        );
    }
}

#[test]
fn coroutine_shows_its_variables_and_names_its_states() {
    for command in [DEBUG, DWARF5] {
        let module = fixture(command);
        let found = variables(&module, "site_async");
        for name in ["local", "got"] {
            assert!(!matches!(
                named(&found, name).place.pieces[0].source,
                PieceSource::Unavailable(_)
            ));
        }
        // Nothing needs the variable after the await.
        let lost = Place::unavailable(Unavailable::NotKeptAwaiting);
        assert_eq!(named(&found, "seed").place, lost);
        let state = module
            .type_named("work::{async_fn_env#0}", None)
            .expect("coroutine");
        let state = module.type_of(state);
        let part = structure(&state).variants.as_ref().expect("states");
        let names: Vec<_> = part
            .variants
            .iter()
            .map(|v| (v.name.as_str(), v.line))
            .collect();
        assert_eq!(names[0].0, "Unresumed");
        assert_eq!(names[3], ("Suspend0", Some(64)));
    }
}

#[test]
fn statics_are_found_by_path() {
    for command in [DEBUG, DWARF5, RELEASE] {
        let module = fixture(command);
        for path in ["COUNT", "rust_types::COUNT"] {
            let found = module.static_variable(path);
            assert_eq!(found.len(), 1, "{command}: {path}");
            assert_eq!(
                type_of(&module, &found[0]).name,
                "core::sync::atomic::AtomicU32"
            );
        }
        let tls = module.static_variable("__RUST_STD_INTERNAL_VAL");
        let own = tls
            .iter()
            .find(|v| v.name.starts_with("rust_types::LOCAL"))
            .expect("thread local");
        assert!(own.place.to_string().starts_with("tls+"), "{}", own.place);
    }
    let module = fixture(DEBUG);
    let limit = module.find_variable(site(&module, "site_enums"), "shapes::LIMIT", 1);
    assert_eq!(
        limit.expect("question").expect("static").name,
        "rust_types::shapes::LIMIT"
    );
}

#[test]
fn released_code_says_why_a_variable_is_gone() {
    let module = fixture(RELEASE);
    let found = variables(&module, "site_scalars");
    assert!(found.iter().any(|v| v.kind == VariableKind::Parameter));
    for variable in &found {
        let place = variable.place.to_string();
        assert!(!place.is_empty());
        assert!(
            !place.contains("bad debug information"),
            "{}: {place}",
            variable.name
        );
    }
}
