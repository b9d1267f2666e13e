//! Stripped programs and their debug files.

use super::*;

/// Builds `whole`, `app` (stripped) and `app.debug` in the bench.
const SEPARATE: &str = "
    gcc -g -O1 -w -Wl,--build-id -o whole $FIXTURES/variables/c_types.c
    objcopy --only-keep-debug whole app.debug
    objcopy --strip-all whole app";

const LINK: &str = "objcopy --add-gnu-debuglink=app.debug app";

fn separate() -> Bench {
    let bench = Bench::new();
    bench.run(SEPARATE);
    bench
}

fn with_directory(directory: &Path) -> DebugOptions {
    DebugOptions {
        debug_dirs: vec![directory.to_owned()],
        ..DebugOptions::default()
    }
}

#[test]
fn stripped_program_without_debug_file_says_where_it_looked() {
    let bench = separate();
    bench.run("rm app.debug");
    let module = bench.module("app");
    assert!(module.is_stripped());
    let place = |end: &str| {
        let absent = |looked: &&DebugFileLookup| looked.outcome == LookupOutcome::Absent;
        let mut looked = module.looked().iter().filter(absent);
        looked.any(|looked| looked.place.to_string_lossy().contains(end))
    };
    assert!(place("/usr/lib/debug/.build-id/"), "{:?}", module.looked());
    assert!(matches!(
        module.require_dwarf(),
        Err(DebugInfoError::NoDebugInfo { .. })
    ));
}

#[test]
fn debug_link_file_beside_or_in_dot_debug_is_found() {
    let bench = separate();
    bench.run(LINK);
    let whole = bench.module("whole");
    assert_same(&bench.module("app"), &whole);
    bench.run("mkdir .debug; mv app.debug .debug/");
    let module = bench.module("app");
    let place = used(&module, WantedFile::DebugFile).expect("found");
    assert!(place.ends_with(".debug/app.debug"), "{place:?}");
    assert_same(&module, &whole);
}

#[test]
fn debug_link_to_file_with_other_bytes_is_refused() {
    let bench = separate();
    bench.run(LINK);
    bench.run("printf x >> app.debug");
    let module = bench.module("app");
    assert!(module.is_stripped());
    let refused = refused(&module);
    assert!(refused[0].contains("checksum"), "{refused:?}");
}

#[test]
fn build_id_file_in_the_users_directory_is_found() {
    let bench = separate();
    let whole = bench.module("whole");
    let directory = bench.path("symbols");
    fs::rename(bench.path("app.debug"), by_build_id(&whole, &directory)).expect("moved");
    assert!(bench.module("app").is_stripped());
    let module = bench
        .module_with("app", &with_directory(&directory))
        .expect("opens");
    assert_same(&module, &whole);
}

#[test]
fn targets_root_is_searched_before_ours_and_not_left() {
    let bench = separate();
    let whole = bench.module("whole");
    bench.run("mkdir -p root/opt root/usr/lib/debug; cp app root/opt/app");
    let debug = by_build_id(&whole, &bench.path("root/usr/lib/debug"));
    // An absolute path in the target's view: below its root.
    fs::rename(bench.path("app.debug"), bench.path("root/opt/app.debug")).expect("moved");
    std::os::unix::fs::symlink("/opt/app.debug", &debug).expect("link");
    let options = DebugOptions {
        root: Some(bench.path("root")),
        ..DebugOptions::default()
    };
    let open = || Module::open_as(&bench.path("app"), Path::new("/opt/app"), &options);
    let module = open().expect("opens");
    let first = module.looked().first().expect("looked");
    assert!(
        first.in_target && first.outcome == LookupOutcome::Used,
        "{first:?}"
    );
    assert_same(&module, &whole);
    fs::remove_file(&debug).expect("removed");
    // A link to one of our own files is broken there.
    fs::rename(
        bench.path("root/opt/app.debug"),
        bench.path("outside.debug"),
    )
    .expect("moved");
    std::os::unix::fs::symlink(bench.path("outside.debug"), &debug).expect("link");
    assert!(open().expect("opens").is_stripped());
}

#[test]
fn debug_file_of_another_build_is_refused_unless_told_otherwise() {
    let bench = separate();
    bench.run("gcc -g -O2 -w -Wl,--build-id -o other $FIXTURES/variables/c_types.c");
    let whole = bench.module("whole");
    let mut options = DebugOptions {
        debug_file: Some(bench.path("other")),
        ..DebugOptions::default()
    };
    assert!(matches!(
        bench.module_with("app", &options),
        Err(DebugInfoError::Mismatch { .. })
    ));
    options.ignore_build_id = true;
    assert!(
        !bench
            .module_with("app", &options)
            .expect("opens")
            .is_stripped()
    );
    let named = DebugOptions {
        debug_file: Some(bench.path("app.debug")),
        ..DebugOptions::default()
    };
    assert_same(&bench.module_with("app", &named).expect("opens"), &whole);
    // A file that is found by name is refused too.
    let directory = bench.path("symbols");
    fs::copy(bench.path("other"), by_build_id(&whole, &directory)).expect("copied");
    let module = bench
        .module_with("app", &with_directory(&directory))
        .expect("opens");
    assert!(module.is_stripped());
    assert!(
        refused(&module)[0].contains("build id"),
        "{:?}",
        refused(&module)
    );
}

#[test]
fn supplementary_file_of_dwz_is_found_by_name_and_by_build_id() {
    for flags in ["", "-gdwarf-4"] {
        let bench = Bench::new();
        bench.run(&format!(
            "gcc -g {flags} -O1 -w -Wl,--build-id -o whole $FIXTURES/variables/c_types.c
             cp whole one; cp whole two
             dwz -r -m common.debug one two
             objcopy --only-keep-debug one app.debug; objcopy --strip-all one app
             {LINK}"
        ));
        let whole = bench.module("whole");
        let module = bench.module("one");
        let place = used(&module, WantedFile::Supplementary);
        assert!(place.is_some_and(|place| place.ends_with("common.debug")));
        assert_same(&module, &whole);
        assert_same(&bench.module("app"), &whole);
        let directory = bench.path("symbols");
        let common = bench.module("common.debug");
        fs::rename(bench.path("common.debug"), by_build_id(&common, &directory)).expect("moved");
        let module = bench
            .module_with("app", &with_directory(&directory))
            .expect("opens");
        assert_same(&module, &whole);
    }
}

#[test]
fn supplementary_file_of_another_build_is_refused() {
    let bench = Bench::new();
    bench.run(
        "gcc -g -O1 -w -Wl,--build-id -o whole $FIXTURES/variables/c_types.c
         gcc -g -O2 -w -Wl,--build-id -o other $FIXTURES/variables/c_types.c
         cp whole one; cp whole two; dwz -r -m common.debug one two
         cp other three; cp other four; dwz -r -m common.debug three four",
    );
    let module = bench.module("one");
    assert_eq!(used(&module, WantedFile::Supplementary), None);
    assert!(
        refused(&module)[0].contains("build id"),
        "{:?}",
        refused(&module)
    );
}

#[test]
fn compressed_sections_are_read_as_plain_ones() {
    let bench = separate();
    let whole = bench.module("whole");
    for kind in ["zlib", "zlib-gnu", "zstd"] {
        bench.run(&format!(
            "objcopy --compress-debug-sections={kind} whole {kind}"
        ));
        let sizes = |name: &str| fs::metadata(bench.path(name)).expect("file").len();
        assert!(sizes(kind) < sizes("whole"), "{kind}");
        assert_same(&bench.module(kind), &whole);
    }
}
