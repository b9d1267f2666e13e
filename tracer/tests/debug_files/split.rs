//! Split DWARF: `.dwo` files and `.dwp` packages, by gcc, clang and rustc.

use super::*;

const C: &str = "$FIXTURES/variables/c_types.c";
/// clang encodes conversions differently in split files, unless told not to.
const CLANG: &str = "clang -g -mllvm -dwarf-op-convert=Disable";
const RUST: &str = "$FIXTURES/lines.rs";

#[test]
fn dwo_files_of_c_compilers_are_found() {
    for compiler in [
        "gcc -g",
        "gcc -gdwarf-4",
        "gcc -g -fdebug-types-section",
        CLANG,
        "clang -gdwarf-4",
    ] {
        let bench = Bench::new();
        bench.run(&format!("{compiler} -O1 -w -o whole {C}"));
        bench.run(&format!("{compiler} -O1 -w -gsplit-dwarf -o app {C}"));
        let module = bench.module("app");
        assert!(module.units().iter().any(|unit| unit.split.is_some()));
        println!("{compiler}");
        assert_same(&module, &bench.module("whole"));
        assert_eq!(module.split_units().missing, 0);
    }
}

#[test]
fn dwo_file_that_was_moved_is_found_beside_the_program_or_where_the_user_says() {
    let bench = Bench::new();
    bench.run(&format!("gcc -g -O1 -w -o whole {C}"));
    bench.run(&format!(
        "mkdir build; cd build; gcc -g -O1 -w -gsplit-dwarf -o app {C}"
    ));
    bench.run("mkdir moved symbols; mv build/app build/*.dwo moved/; rmdir build");
    let whole = bench.module("whole");
    assert_same(&bench.module("moved/app"), &whole);
    bench.run("mv moved/*.dwo symbols/");
    let options = DebugOptions {
        debug_dirs: vec![bench.path("symbols")],
        ..DebugOptions::default()
    };
    let module = bench.module_with("moved/app", &options).expect("opens");
    assert_same(&module, &whole);
}

#[test]
fn dwo_file_that_is_missing_or_of_another_build_leaves_the_lines() {
    let bench = Bench::new();
    bench.run(&format!("gcc -g -O1 -w -gsplit-dwarf -o app {C}"));
    bench.run(&format!("gcc -g -O2 -w -gsplit-dwarf -o other {C}"));
    bench.run("mv app-c_types.dwo kept; cp other-c_types.dwo app-c_types.dwo");
    let module = bench.module("app");
    let split = module.split_units();
    assert_eq!((split.units, split.missing), (1, 1), "{split:?}");
    assert!(split.missing_files[0].ends_with("app-c_types.dwo"));
    let looked = module.looked_for_split_units();
    let refused = looked.iter().find(
        |looked| matches!(&looked.outcome, LookupOutcome::Refused(why) if why.contains("no unit")),
    );
    assert!(refused.is_some(), "{looked:?}");
    let main = module.symbols_named("main")[0].address;
    let missing = module.missing_split_file(main);
    assert!(missing.is_some_and(|file| file.ends_with("app-c_types.dwo")));
    bench.run("mv kept app-c_types.dwo");
    assert_eq!(bench.module("app").missing_split_file(main), None);
    let file = module.find_files("c_types.c")[0];
    assert!(module.lines(file).expect("lines").len() > 20);
}

#[test]
fn packages_of_dwp_and_llvm_dwp_are_found() {
    for (compiler, packer) in [
        // dwp of binutils only supports DWARF 4.
        ("gcc -gdwarf-4", "dwp"),
        ("gcc -g", "llvm-dwp"),
        ("clang -gdwarf-4", "llvm-dwp"),
        (CLANG, "llvm-dwp"),
    ] {
        let bench = Bench::new();
        bench.run(&format!("{compiler} -O1 -w -o whole {C}"));
        bench.run(&format!("{compiler} -O1 -w -gsplit-dwarf -o app {C}"));
        bench.run(&format!("{packer} -e app -o app.dwp; rm *.dwo"));
        println!("{compiler} {packer}");
        let module = bench.module("app");
        assert_same(&module, &bench.module("whole"));
        let looked = module.looked_for_split_units();
        let package = looked
            .iter()
            .find(|looked| looked.wanted == WantedFile::Package)
            .expect("package");
        assert_eq!(package.outcome, LookupOutcome::Used);
    }
}

#[test]
fn rust_split_debuginfo_packed_and_unpacked_are_read() {
    let bench = Bench::new();
    let rustc = "rustc --edition 2021 -g -C codegen-units=4 -C opt-level=1";
    // The file name is the same in each, because symbols are derived from it.
    bench.run(&format!("mkdir a b c; {rustc} -o a/lines {RUST}"));
    bench.run(&format!(
        "{rustc} -C split-debuginfo=packed -o b/lines {RUST}"
    ));
    bench.run(&format!(
        "{rustc} -C split-debuginfo=unpacked -o c/lines {RUST}"
    ));
    let own = |module: &Module| {
        let ours = |line: &String| line.contains("lines::") || line.starts_with("self ");
        let view = view(module).into_iter().filter(ours);
        // Code of the standard library has other addresses if it has debug information of its own.
        view.map(|line| {
            line.split(" [LinkAddr")
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect::<BTreeSet<_>>()
    };
    let whole = own(&bench.module("a/lines"));
    assert!(whole.len() > 10, "{whole:#?}");
    for name in ["b/lines", "c/lines"] {
        let module = bench.module(name);
        assert!(
            module.units().iter().any(|unit| unit.split.is_some()),
            "{name}"
        );
        assert_eq!(own(&module), whole, "{name}");
        let split = module.split_units();
        assert_eq!(split.missing, 0, "{name}: {split:?}");
    }
}
