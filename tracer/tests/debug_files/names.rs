//! Functions by name. Units that are skipped have none with the name.

use std::collections::BTreeMap;

use super::*;

#[test]
fn every_function_is_found_by_its_name_however_names_are_stored() {
    let builds = [
        // The names are by offset, inline, by index, in a supplementary file, and over all units.
        "gcc -g -O2 -w -o app $FIXTURES/variables/c_types.c",
        "gcc -gdwarf-4 -O1 -w -o app $FIXTURES/lines.c",
        "clang -g -O1 -w -o app $FIXTURES/variables/c_types.c",
        "g++ -g -O1 -w -o app $FIXTURES/variables/cpp_types.cpp",
        "g++ -g -O1 -w -o app $FIXTURES/variables/cpp_types.cpp; cp app b; dwz -r -m c app b",
        "rustc --edition 2021 -g -C codegen-units=4 -O -o app $FIXTURES/lines.rs",
        "rustc --edition 2021 -g -C lto=fat -O -o app $FIXTURES/lines.rs",
        "gcc -g -gsplit-dwarf -O1 -w -o app $FIXTURES/lines.c",
    ];
    for build in builds {
        let bench = Bench::new();
        bench.run(build);
        let module = bench.module("app");
        let all = module.functions(None).expect("functions");
        assert!(all.len() > 5, "{build}");
        let mut by_name = BTreeMap::<_, usize>::new();
        for function in &all {
            *by_name.entry(function.name.as_str()).or_default() += 1;
        }
        // Rust's library has thousands of functions, so only the program's own are compared.
        let own = |name: &&str| !build.starts_with("rustc") || name.starts_with("lines::");
        for name in by_name.keys().filter(|name| own(name)) {
            let found = module.functions(Some(name)).expect("functions");
            let exact = found.iter().filter(|function| function.name == **name);
            assert_eq!(exact.count(), by_name[name], "{build}: {name}");
        }
    }
}

#[test]
fn name_that_is_missing_brings_near_functions_and_no_other_names() {
    let bench = Bench::new();
    bench.run("gcc -g -O1 -w -o app $FIXTURES/variables/c_types.c");
    let module = bench.module("app");
    let error = module.function_sites("all_typos").expect_err("no function");
    let hint = error.hint();
    assert_eq!(hint.as_deref(), Some("did you mean `all_types`?"));
    // A variable with a similar name is not a function.
    let error = module.function_sites("argumant").expect_err("no function");
    assert_eq!(error.hint(), None);
}

#[test]
fn function_is_found_by_the_name_of_a_symbol_that_leads_to_it() {
    let bench = Bench::new();
    let source = r#"
        int __work(int n) { return n * 3; }
        int work(int n) __attribute__((alias("__work")));
        int main(int argc, char **argv) { (void)argv; return work(argc); }
    "#;
    std::fs::write(bench.path("alias.c"), source).expect("source");
    bench.run("gcc -g -O0 -o app alias.c");
    let module = bench.module("app");
    let by_symbol = module.function_sites("work").expect("sites").sites;
    let by_name = module.function_sites("__work").expect("sites").sites;
    assert_eq!(by_symbol.len(), 1);
    assert_eq!(by_symbol[0].address, by_name[0].address);
    assert_eq!(by_symbol[0].function, "__work");
    let returns = module.return_sites("work").expect("returns");
    assert_eq!(returns.len(), 1);
}
