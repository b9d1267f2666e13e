//! C++, by gcc and clang.

use super::*;

const GCC: &str = "g++ -g -O0 -w cpp_types.cpp";
const CLANG: &str = "clang++ -g -O0 -w cpp_types.cpp";
const GCC_TYPE_UNITS: &str = "g++ -gdwarf-5 -fdebug-types-section -O0 -w cpp_types.cpp";
const CLANG_SIMPLE_NAMES: &str = "clang++ -gdwarf-4 -gsimple-template-names -O0 -w cpp_types.cpp";
const ALL: [&str; 4] = [GCC, CLANG, GCC_TYPE_UNITS, CLANG_SIMPLE_NAMES];

#[test]
fn types_in_namespaces_and_templates_have_full_names() {
    for command in ALL {
        let module = fixture(command);
        let found = variables(&module, "site_use");
        let name = |name: &str| type_of(&module, named(&found, name)).name.clone();
        assert_eq!(name("box"), "geometry::Box<int, 3> &", "{command}");
        assert_eq!(name("moved"), "geometry::Box<double, 2> &&", "{command}");
        assert_eq!(name("side"), "geometry::Side", "{command}");
        assert_eq!(
            name("hidden"),
            "geometry::(anonymous namespace)::Hidden",
            "{command}"
        );
        assert_eq!(name("member"), "int Holder::*", "{command}");
        let size = |name: &str| type_of(&module, named(&found, name)).size;
        assert_eq!(
            (size("member"), size("method"), size("nothing")),
            (Some(8), Some(16), Some(8))
        );
        let moved = type_of(&module, named(&found, "moved"));
        assert!(matches!(
            moved.kind,
            TypeKind::Pointer {
                kind: PointerKind::RvalueReference,
                ..
            }
        ));
        let side = type_of(&module, named(&found, "side"));
        assert!(
            matches!(&side.kind, TypeKind::Enum { size: 1, signed: false, enumerators }
            if enumerators[1] == ("Right".to_owned(), 200))
        );
        let arguments = module.type_of(target(&module, named(&found, "box").ty));
        assert_eq!(structure(&arguments).type_arguments[0].0, "T");
        assert_eq!(
            structure(&arguments).members.len(),
            1,
            "{command}: static members have no place"
        );
    }
}

#[test]
fn virtual_base_is_found_through_the_vtable() {
    for command in ALL {
        let module = fixture(command);
        let found = variables(&module, "site_use");
        let diamond = module.type_of(target(&module, named(&found, "diamond").ty));
        let bases: Vec<_> = structure(&diamond)
            .bases
            .iter()
            .map(|base| base.offset)
            .collect();
        assert_eq!(
            bases,
            [BaseOffset::Fixed(0), BaseOffset::Fixed(16)],
            "{command}"
        );
        let a = module.type_of(structure(&diamond).bases[0].ty);
        assert_eq!(a.name, "geometry::A");
        let offsets: Vec<_> = structure(&a).bases.iter().map(|base| base.offset).collect();
        assert_eq!(
            offsets,
            [BaseOffset::VtableSlot(-24)],
            "{command}: {a:#?} {diamond:#?}"
        );
        assert!(structure(&a).polymorphic);
    }
}

#[test]
fn polymorphic_class_is_told_from_a_plain_one() {
    for command in ALL {
        let module = fixture(command);
        let found = variables(&module, "site_area");
        let this = named(&found, "this");
        let square = module.type_of(target(&module, this.ty));
        let square = stripped(
            &module,
            match square.kind {
                TypeKind::Alias(id) => id,
                _ => target(&module, this.ty),
            },
        );
        assert_eq!(square.name, "geometry::Square", "{command}");
        let square = structure(&square);
        assert!(square.polymorphic);
        let bases: Vec<_> = square
            .bases
            .iter()
            .map(|base| (module.type_of(base.ty).name.clone(), base.offset))
            .collect();
        assert_eq!(
            bases[0],
            ("geometry::Shape".to_owned(), BaseOffset::Fixed(0))
        );
        assert_eq!(
            bases[1],
            ("geometry::Named".to_owned(), BaseOffset::Fixed(16))
        );
        assert!(!structure(&module.type_of(square.bases[1].ty)).polymorphic);
    }
}

#[test]
fn member_of_this_is_found_by_its_bare_name() {
    for command in ALL {
        let module = fixture(command);
        let at = site(&module, "site_member");
        let held = module
            .find_variable(at, "held", 1)
            .expect("question")
            .expect("member");
        assert_eq!(held.kind, VariableKind::Captured);
        assert!(
            held.place.to_string().starts_with("*("),
            "{command}: {}",
            held.place
        );
    }
}

#[test]
fn static_member_and_namespace_static_are_found_by_path() {
    for command in ALL {
        let module = fixture(command);
        for path in ["geometry::counter", "counter"] {
            assert_eq!(
                module.static_variable(path)[0].name,
                "geometry::counter",
                "{command}"
            );
        }
        let made = module.static_variable("geometry::Box<int, 3>::made");
        assert_eq!(made.len(), 1, "{command}");
        assert!(made[0].place.to_string().starts_with("static 0x"));
    }
}

#[test]
fn captures_of_lambda_are_variables() {
    for command in ALL {
        let module = fixture(command);
        let found = variables(&module, "site_lambda");
        for name in ["by", "factor", "base"] {
            assert!(
                !matches!(
                    named(&found, name).place.pieces[0].source,
                    PieceSource::Unavailable(_)
                ),
                "{command}"
            );
        }
    }
}

#[test]
fn classes_that_derive_from_another_are_found_by_their_type_information() {
    for command in ALL {
        let module = fixture(command);
        let derived = module.derived("geometry::Shape", 8);
        let names: Vec<_> = derived
            .iter()
            .map(|derived| module.type_of(derived.ty).name.clone())
            .collect();
        assert_eq!(names, ["geometry::Square"], "{command}");
        let info = module.symbols_named("_ZTIN8geometry6SquareE");
        assert_eq!(derived[0].info, info[0].address);
        assert_eq!(module.derived("geometry::Square", 8), []);
        assert_eq!(module.derived("geometry::Shape", 0), []);
    }
}

#[test]
fn class_of_an_anonymous_namespace_is_that_of_its_own_unit() {
    for flags in ["-O0", "-O1 -gdwarf-4 -fdebug-types-section", "-O2 -no-pie"] {
        for compiler in ["g++", "clang++"] {
            let units = "cpp_hidden.cpp cpp_hidden_other.cpp";
            let command = format!("{compiler} -g {flags} -w {units}");
            let module = fixture(&command);
            let derived = module.derived("Base", 8);
            let mut found: Vec<(String, Option<u64>)> = derived
                .iter()
                .map(|class| {
                    let ty = module.type_of(class.ty);
                    let own = structure(&ty).members.last().expect("a member");
                    (own.name.clone(), ty.size)
                })
                .collect();
            found.sort();
            let expected = [
                ("first".to_owned(), Some(16)),
                ("second".to_owned(), Some(32)),
            ];
            assert_eq!(found, expected, "{command}");
            // Each has the type information that its own table names.
            let infos = module.symbols_named("_ZTIN12_GLOBAL__N_14ImplE");
            assert_eq!(infos.len(), 2, "{command}");
            for class in &derived {
                assert!(infos.iter().any(|info| info.address == class.info));
            }
            assert_ne!(derived[0].info, derived[1].info);
        }
    }
}
