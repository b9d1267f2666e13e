//! C, by gcc and clang.

use super::*;

const GCC: &str = "gcc -g -O0 -w c_types.c";
const GCC_DWARF4: &str = "gcc -gdwarf-4 -fdebug-types-section -O0 -w c_types.c";
const GCC_O2: &str = "gcc -g -O2 -w c_types.c";
const CLANG: &str = "clang -g -O0 -w c_types.c";
const CLANG_NO_PIE: &str = "clang -gdwarf-4 -O0 -no-pie -w c_types.c";
const DEBUG: [&str; 4] = [GCC, GCC_DWARF4, CLANG, CLANG_NO_PIE];

#[test]
fn locals_in_block_are_innermost_first_with_shadows_counted() {
    for command in DEBUG {
        let module = fixture(command);
        let found = variables(&module, "site_locals");
        let names: Vec<_> = found.iter().map(|v| (v.name.as_str(), v.shadow)).collect();
        let (inner, outer) = names.split_at(2);
        assert_eq!(inner, [("before", 1), ("inner", 1)], "{command}");
        // clang lists statics first.
        let outer: Vec<_> = outer.iter().filter(|(name, _)| *name != "calls").collect();
        assert_eq!(
            outer,
            [
                &("argument", 1),
                &("where", 1),
                &("before", 2),
                &("copy", 1)
            ],
            "{command}"
        );
        assert_eq!(named(&found, "argument").kind, VariableKind::Parameter);
        assert_eq!(named(&found, "calls").kind, VariableKind::Static);
        assert_eq!(named(&found, "copy").kind, VariableKind::Local);
        assert_eq!(type_of(&module, named(&found, "inner")).name, "word");
        assert_eq!(type_of(&module, named(&found, "where")).name, "point *");
    }
}

#[test]
fn local_declared_behind_the_site_is_found_by_name_alone() {
    let module = fixture(GCC);
    let at = site(&module, "site_locals");
    assert!(
        variables(&module, "site_locals")
            .iter()
            .all(|v| v.name != "after")
    );
    let after = module.find_variable(at, "after", 1).expect("question");
    assert_eq!(after.expect("variable").kind, VariableKind::Local);
    let outer = module
        .find_variable(at, "before", 2)
        .expect("question")
        .expect("outer");
    let inner = module
        .find_variable(at, "before", 1)
        .expect("question")
        .expect("inner");
    assert_ne!(outer.place, inner.place);
    assert_eq!(
        module.find_variable(at, "before", 3).expect("question"),
        None
    );
}

#[test]
fn global_by_name_is_at_its_symbol() {
    for command in DEBUG {
        let module = fixture(command);
        let found = module.static_variable("global_counter");
        let address = site(&module, "global_counter");
        let place = Place::whole(PieceSource::Memory(LocationExpr(vec![Term::Address(
            address,
        )])));
        assert_eq!(found.len(), 1, "{command}");
        assert_eq!(found[0].place, place, "{command}");
        let at = site(&module, "site_after");
        let limit = module
            .find_variable(at, "limit", 1)
            .expect("question")
            .expect("limit");
        assert_eq!(type_of(&module, &limit).name, "const volatile word");
        assert!(module.static_variable("no_such_thing").is_empty());
    }
}

#[test]
fn thread_local_by_name_is_an_offset_in_its_block() {
    for command in DEBUG {
        let module = fixture(command);
        let found = module.static_variable("thread_counter");
        assert_eq!(found.len(), 1, "{command}");
        assert_eq!(found[0].place.to_string(), "tls+0", "{command}");
    }
}

#[test]
fn float_in_register_names_the_register() {
    let module = fixture(GCC_O2);
    let found = variables(&module, "site_floats");
    let why = |name: &str| match &named(&found, name).place.pieces[0].source {
        PieceSource::Unavailable(why) => why.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why("first"), Unavailable::Register("xmm0".to_owned()));
    assert_eq!(why("second"), Unavailable::Register("xmm1".to_owned()));
    assert_eq!(named(&found, "third").place.to_string(), "register rdi");
}

#[test]
fn array_of_variable_length_has_its_count_as_an_expression() {
    for command in DEBUG {
        let module = fixture(command);
        let at = site(&module, "site_sized");
        let found = variables(&module, "site_sized");
        for (name, dimensions, computed) in [
            ("values", vec![None], vec![true]),
            ("table", vec![None, Some(2)], vec![true, false]),
        ] {
            let variable = named(&found, name);
            let ty = stripped(&module, variable.ty);
            let TypeKind::Array {
                dimensions: found, ..
            } = &ty.kind
            else {
                panic!("{ty:?}");
            };
            assert_eq!(*found, dimensions, "{command}");
            assert_eq!(ty.size, None);
            let counts = module.array_counts(at, variable.ty).expect("counts");
            let found: Vec<_> = counts.iter().map(Option::is_some).collect();
            assert_eq!(found, computed, "{command}: {counts:?}");
        }
    }
}

#[test]
fn members_bit_fields_and_arrays_are_where_the_compiler_put_them() {
    for command in DEBUG {
        let module = fixture(command);
        let found = variables(&module, "site_types");
        let all = module.type_of(target(&module, named(&found, "all").ty));
        assert_eq!(
            (all.name.as_str(), all.size),
            ("everything", Some(96)),
            "{command}"
        );
        let members = &structure(&all).members;
        let member = |name: &str| members.iter().find(|m| m.name == name).expect("member");
        assert_eq!(member("color").offset, 24, "{command}");
        assert_eq!(module.type_of(member("call").ty).name, "callback");
        assert_eq!(
            stripped(&module, member("call").ty).name,
            "int (*)(int, char)"
        );
        assert_eq!(module.type_of(member("name").ty).name, "const char *");
        let grid = module.type_of(member("grid").ty);
        assert_eq!((grid.name.as_str(), grid.size), ("int [2][3]", Some(24)));
        assert_eq!(module.type_of(member("tail").ty).name, "char []");
        assert_eq!(module.type_of(member("").ty).name, "union {...}");
        let flags = module.type_of(member("flags").ty);
        let bits: Vec<_> = structure(&flags)
            .members
            .iter()
            .map(|m| {
                (
                    m.name.as_str(),
                    m.offset * 8 + m.bits.expect("bits").0,
                    m.bits.expect("bits").1,
                )
            })
            .collect();
        assert_eq!(
            bits,
            [
                ("first", 0, 3),
                ("second", 3, 7),
                ("third", 10, 5),
                ("wide", 15, 40),
                ("last", 59, 1)
            ],
            "{command}"
        );
        let hidden = module.type_of(target(&module, member("hidden").ty));
        assert_eq!(
            structure(&hidden).members.len(),
            1,
            "{command}: declared above, defined below"
        );
    }
}

#[test]
fn scalars_and_enums_are_told_apart() {
    for command in DEBUG {
        let module = fixture(command);
        let found = variables(&module, "site_types");
        let kind = |name: &str| stripped(&module, named(&found, name).ty).kind.clone();
        assert_eq!(kind("small"), TypeKind::Char { signed: true });
        assert_eq!(
            kind("wide"),
            TypeKind::Int { signed: true },
            "a typedef of int in C"
        );
        assert_eq!(kind("yes"), TypeKind::Bool);
        assert_eq!(kind("longer"), TypeKind::Float);
        let words = type_of(&module, named(&found, "words"));
        assert_eq!(words.name, "const char * const *", "{command}");
        let color = module.type_named("enum color", None).expect("color");
        let TypeKind::Enum {
            signed,
            enumerators,
            size,
        } = &module.type_of(color).kind
        else {
            panic!("no enum");
        };
        assert_eq!((*signed, *size), (false, 4));
        let red = |name: &str, value| (name.to_owned(), value);
        assert_eq!(
            *enumerators,
            [red("RED", 0), red("GREEN", 5), red("BLUE", 6)]
        );
    }
}

#[test]
fn type_named_with_stars_is_a_pointer() {
    let module = fixture(GCC);
    let at = Some(site(&module, "site_types"));
    let pointer = module.type_of(module.type_named("struct point *", at).expect("type"));
    assert_eq!(pointer.name, "point *");
    let again = module.type_named("struct point*", at);
    assert_eq!(module.type_named("point *", at), again);
    assert_eq!(module.type_named("no_such_type", at), None);
    assert!(matches!(
        pointer.kind,
        TypeKind::Pointer {
            kind: PointerKind::Raw,
            ..
        }
    ));
}

#[test]
fn inlined_copy_has_its_own_variables_and_the_outer_function_keeps_its() {
    for command in [GCC_O2, GCC, CLANG, "clang -g -O1 -w c_types.c"] {
        let module = fixture(command);
        let scopes = module
            .scopes_at(site(&module, "site_inlined"))
            .expect("scopes");
        let functions: Vec<_> = scopes.iter().map(|scope| scope.function.as_str()).collect();
        assert_eq!(functions, ["inlined", "outer"], "{command}");
        let inner = &scopes[0].variables;
        let mut names: Vec<_> = inner.iter().map(|v| v.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["left", "right", "sum"], "{command}");
        assert!(
            scopes[1].variables.iter().any(|v| v.name == "own"),
            "{command}"
        );
        let returns = module.function_return_type(site(&module, "site_inlined"));
        let returns = returns.expect("question").expect("a type");
        assert_eq!(module.type_of(returns).name, "int");
    }
}

#[test]
fn cfa_in_function_body_counts_from_a_register() {
    for command in [GCC, GCC_O2] {
        let module = fixture(command);
        let cfa = module.cfa_at(site(&module, "site_after")).expect("rule");
        assert!(
            matches!(
                cfa.0.as_slice(),
                [Term::Register(_), Term::Const(_), Term::Binary(Binary::Add)]
            ),
            "{cfa:?}"
        );
    }
    let module = fixture(GCC);
    assert!(module.cfa_at(LinkAddr(1)).is_err());
}

#[test]
fn parameter_that_is_gone_is_what_the_callers_passed() {
    for command in ["gcc -g -O1 -w c_calls.c", "gcc -gdwarf-4 -O2 -w c_calls.c"] {
        let module = fixture(command);
        let found = variables(&module, "site_passed");
        let constant = named(&found, "constant").place.to_string();
        // One caller passes a constant, the other a value that it keeps in a register.
        assert!(
            constant.contains("? -6 : (passed "),
            "{command}: {constant}"
        );
    }
}

#[test]
fn parameter_that_is_gone_is_what_callers_in_other_units_passed() {
    for command in ELSEWHERE {
        let module = fixture(command);
        let found = variables(&module, "site_elsewhere");
        let constant = named(&found, "constant").place.to_string();
        assert!(
            constant.contains("? -6 : (passed "),
            "{command}: {constant}"
        );
    }
}

/// Returns the place of a parameter whose value at the function's entry is unknown for this
/// reason.
fn no_entry_value(why: &str) -> Place {
    let why = format!("the value at the function's entry, {why}");
    Place::unavailable(Unavailable::Unsupported(why))
}

#[test]
fn parameter_that_a_library_passes_to_itself_through_the_linker_is_known() {
    // Each linker has its own stubs. Without stubs, the call itself names the word.
    let flags = [
        "",
        "-fuse-ld=lld",
        "-fuse-ld=mold",
        "-fno-plt",
        "-fcf-protection",
    ];
    for flags in flags {
        let command = format!("gcc -g -O1 -w -shared -fPIC {flags} c_called.c c_callers.c");
        let module = fixture(&command);
        let found = variables(&module, "site_elsewhere");
        let constant = named(&found, "constant").place.to_string();
        // Each value is shown where the return address and the content of the word prove it.
        let passed = constant.matches("(passed ").count();
        assert_eq!(passed, 3, "{command}: {constant}");
        assert!(constant.contains("(passed -6)"), "{command}: {constant}");
        assert!(!constant.contains("-9"), "{command}: {constant}");
    }
}

#[test]
fn parameter_that_another_module_passed_is_known_with_that_module() {
    let library = "gcc -g -O1 -w -shared -fPIC c_called.c";
    let at = site(&fixture(library), "site_elsewhere");
    let path = built(library).display().to_string();
    let at_bias = ModulePlace::At(Bias(0x7000_0000_0000));
    let constant_with = |neighbours: &[String], other: ModulePlace| {
        let open = |command: &String| Neighbour {
            module: Arc::new(fixture(command)),
            place: other,
            lasts: false,
        };
        let neighbours: Vec<Neighbour> = neighbours.iter().map(open).collect();
        let found = fixture(library).variables_in(at, &|| neighbours.clone());
        named(&found.expect("variables"), "constant").place.clone()
    };
    let constant = |neighbours: &[String]| constant_with(neighbours, at_bias);
    for flags in ["-g -O1", "-g -O1 -no-pie", "-gdwarf-4 -O2 -fno-plt"] {
        let program = format!("gcc {flags} -w c_callers.c {path}");
        let place = constant(std::slice::from_ref(&program));
        let text = place.to_string();
        assert!(text.contains("(passed -6)"), "{flags}: {text}");
        let PieceSource::Value(expr) = &place.pieces[0].source else {
            panic!("{flags}: {place:?}");
        };
        // Addresses of the other module are run addresses, not link addresses of this one.
        let in_process = |term: &&Term| matches!(term, Term::Const(at) if *at >> 44 == 7);
        assert_eq!(expr.0.iter().filter(in_process).count(), 6, "{expr:?}");
        // The build id shows whether it is still the same module.
        let id = fixture(&program).build_id().expect("a build id").to_vec();
        let id = Term::Const(u64::from_le_bytes(id[..8].try_into().expect("its length")));
        assert_eq!(
            expr.0.iter().filter(|term| **term == id).count(),
            2,
            "{expr:?}"
        );
        let own = |term: &&Term| matches!(term, Term::Address(_));
        let callee = Term::Address(fixture(library).symbols_named("callee")[0].address);
        assert!(expr.0.iter().filter(own).all(|term| *term == callee));
        // With a number in place of the address, whoever looks up the place checks the module.
        let number = ModuleNumber(4);
        let numbered = constant_with(&[program], ModulePlace::Numbered(number));
        let PieceSource::Value(numbered) = &numbered.pieces[0].source else {
            panic!("{flags}: {numbered:?}");
        };
        let in_process = |term: &&Term| matches!(term, Term::AddressIn(of, _) if *of == number);
        assert_eq!(numbered.0.iter().filter(in_process).count(), 4);
        assert!(!numbered.0.contains(&id), "{numbered:?}");
    }
    let why = "because no direct call of it is known";
    assert_eq!(constant(&[]), no_entry_value(why));
    assert_eq!(
        constant(&["gcc -g -w c_calls.c".to_owned()]),
        no_entry_value(why)
    );
    let why = "because the calling library has no build id";
    assert_eq!(
        constant(&[format!(
            "gcc -g -O1 -Wl,--build-id=none -w c_callers.c {path}"
        )]),
        no_entry_value(why)
    );
    let why = "because the calling module's debug information has no call sites";
    assert_eq!(
        constant(&[format!("gcc -O1 -w c_callers.c {path}")]),
        no_entry_value(why)
    );
}

#[test]
fn parameter_of_a_function_that_jumps_back_to_itself_is_not_known() {
    let module = fixture("gcc -g -O2 -w c_calls.c");
    let found = variables(&module, "site_mutual");
    let place = no_entry_value("because jumps may have led back to it");
    assert_eq!(named(&found, "tag").place, place);
    // Without those jumps the value is known.
    let module = fixture("gcc -g -O1 -w c_calls.c");
    let found = variables(&module, "site_mutual");
    let tag = named(&found, "tag").place.to_string();
    assert!(tag.contains("? 3 : (passed 3)"), "{tag}");
}

#[test]
fn place_with_a_condition_is_a_choice() {
    let module = fixture("gcc -g -O2 -w c_calls.c");
    let found = variables(&module, "site_conditional");
    let smaller = named(&found, "smaller").place.to_string();
    assert_eq!(smaller, "value (((rsi << 32) < (rdi << 32)) ? rsi : rdi)");
}

#[test]
fn static_whose_name_stands_in_another_unit_is_found() {
    // GCC's link-time optimiser writes the location in one unit and the name in another.
    let module = fixture("gcc -g -O0 -flto -w c_types.c");
    let found = module.static_variable("global_counter");
    assert_eq!(found.len(), 1, "{found:#?}");
    let symbol = module.symbols_named("global_counter");
    let place = Place::whole(PieceSource::Memory(LocationExpr(vec![Term::Address(
        symbol[0].address,
    )])));
    assert_eq!(found[0].place, place);
}

#[test]
fn static_array_of_which_a_part_is_gone_is_found() {
    let module = fixture("clang -g -O2 -w c_calls.c");
    let found = module.static_variable("halves");
    let kinds: Vec<_> = found.iter().map(|found| found.kind).collect();
    assert_eq!(kinds, [VariableKind::Static], "{found:#?}");
    let [gone, kept] = found[0].place.pieces.as_slice() else {
        panic!("{found:#?}");
    };
    let gone = &gone.source;
    assert_eq!(*gone, PieceSource::Unavailable(Unavailable::OptimisedOut));
    assert!(matches!(kept.source, PieceSource::Memory(_)));
}
