//! Sites of lines, compared with gdb's breakpoints: every line of every fixture, in builds by gcc,
//! clang and rustc. Differences are listed with their reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use tracer::base::address::LinkAddr;
use tracer::debuginfo::Module;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// The builds and their sources.
const BUILDS: [(&str, &str); 14] = [
    ("gcc -g -O0 -w", "lines.c"),
    ("gcc -g -O2 -w", "lines.c"),
    ("gcc -gdwarf-4 -O1 -w", "lines.c"),
    ("clang -g -O0 -w", "lines.c"),
    ("clang -g -O2 -w", "lines.c"),
    ("g++ -g -O0 -w", "lines.cpp"),
    ("g++ -g -O2 -w", "lines.cpp"),
    ("clang++ -g -O1 -w", "lines.cpp"),
    ("gcc -g -O2 -w", "variables/c_types.c"),
    ("g++ -g -O0 -w", "variables/cpp_types.cpp"),
    ("g++ -g -O2 -w", "variables/cpp_types.cpp"),
    ("rustc --edition 2021 -g --cap-lints allow", "lines.rs"),
    ("rustc --edition 2021 -g -O --cap-lints allow", "lines.rs"),
    (
        "rustc --edition 2021 -g --cap-lints allow",
        "variables/rust_types.rs",
    ),
];

type Addresses = BTreeMap<u64, BTreeSet<u64>>;

fn built(directory: &Path, number: usize, command: &str, source: &str) -> PathBuf {
    let path = directory.join(format!("build{number}"));
    let mut words = command.split_whitespace();
    let status = Command::new(words.next().expect("compiler"))
        .args(words)
        .arg(source)
        .arg("-o")
        .arg(&path)
        .current_dir(FIXTURES)
        .status();
    assert!(status.expect("the compiler runs").success(), "{command}");
    path
}

/// Returns the addresses of `break FILE:LINE` for each line.
fn gdb(path: &Path, file: &str, lines: u64) -> Addresses {
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-ex", "set breakpoint pending off"]);
    gdb.args(["-ex", "set width 0", "-ex", "set height 0"]);
    for line in 1..=lines {
        gdb.arg("-ex").arg(format!("echo line {line}\\n"));
        gdb.arg("-ex").arg(format!("break {file}:{line}"));
    }
    let output = gdb
        .args(["-ex", "info breakpoints"])
        .arg(path)
        .output()
        .expect("gdb runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (mut line, mut numbers, mut found) = (0, BTreeMap::new(), Addresses::new());
    let number = |text: &str| text.parse::<u64>().ok();
    for row in text.lines() {
        let words: Vec<&str> = row.split_whitespace().collect();
        match words.as_slice() {
            ["line", next] => line = number(next).expect("a line"),
            ["Breakpoint", id, "at", ..] => {
                numbers.insert(number(id).expect("a number"), line);
            }
            [id, rest @ ..] => {
                let id = id.split('.').next().and_then(number);
                let address = rest.iter().find_map(|word| word.strip_prefix("0x"));
                let address = address.and_then(|hex| u64::from_str_radix(hex, 16).ok());
                if let (Some(line), Some(address)) = (id.and_then(|id| numbers.get(&id)), address) {
                    found.entry(*line).or_default().insert(address);
                }
            }
            [] => {}
        }
    }
    assert!(found.len() > 10, "{text}");
    found
}

fn ours(module: &Module, file: &str, lines: u64) -> Addresses {
    let name = file.rsplit('/').next().expect("a name");
    let id = module.find_files(name)[0];
    let sites = |line| {
        let found = module.sites(id, line).ok()?;
        Some(found.sites.iter().map(|site| site.address.0).collect())
    };
    (1..=lines)
        .filter_map(|line| Some((line, sites(line)?)))
        .collect()
}

/// gdb moves the line into a function that is declared on a later line. A type, an attribute or a
/// comment before the function does not belong to it.
const BEFORE_FUNCTION: &str = "the line is before the function that gdb moves it into";

/// The other differences: build, source, line, reason.
const LISTED: [(&str, &str, u64, &str); 16] = [
    ("g++ -g -O2 -w", "lines.cpp", 23, BEHIND_INLINED),
    ("clang++ -g -O1 -w", "lines.cpp", 23, BEHIND_INLINED),
    ("clang++ -g -O1 -w", "lines.cpp", 24, BEHIND_INLINED),
    ("g++ -g -O2 -w", "lines.cpp", 51, SHARED_ADDRESS),
    ("clang++ -g -O1 -w", "lines.cpp", 46, MARKED_END),
    ("clang++ -g -O1 -w", "lines.cpp", 47, MARKED_END),
    ("clang -g -O2 -w", "lines.c", 27, INLINED_AWAY),
    ("g++ -g -O2 -w", "lines.cpp", 24, INLINED_AWAY),
    ("g++ -g -O2 -w", "lines.cpp", 25, INLINED_AWAY),
    ("g++ -g -O2 -w", "variables/cpp_types.cpp", 32, INLINED_AWAY),
    (
        "rustc --edition 2021 -g -O --cap-lints allow",
        "lines.rs",
        21,
        INLINED_AWAY,
    ),
    (
        "rustc --edition 2021 -g -O --cap-lints allow",
        "lines.rs",
        37,
        INLINED_AWAY,
    ),
    (
        "rustc --edition 2021 -g -O --cap-lints allow",
        "lines.rs",
        67,
        INLINED_AWAY,
    ),
    (
        "rustc --edition 2021 -g -O --cap-lints allow",
        "lines.rs",
        72,
        INLINED_AWAY,
    ),
    (
        "rustc --edition 2021 -g -O --cap-lints allow",
        "lines.rs",
        74,
        INLINED_AWAY,
    ),
    (
        "rustc --edition 2021 -g --cap-lints allow",
        "variables/rust_types.rs",
        94,
        INLINED_AWAY,
    ),
];

/// The function starts with an inlined copy that has rows at its entry too. We stay at the line's
/// own row, gdb moves to the next line of the same file.
const BEHIND_INLINED: &str = "gdb skips an inlined copy that begins with the function";

/// The line's row is one of many at its address. gdb uses the row of the next line.
const SHARED_ADDRESS: &str = "gdb loses the line's row among others at its address";

/// The compiler marks the end of the prologue at a row of an inlined copy. We use it, because
/// parameters are in place there. gdb stays at the entry.
const MARKED_END: &str = "gdb does not see a prologue's end that is in an inlined copy";

/// The line, or the line in one of its functions, has no row. gdb moves to the next one with a row,
/// or omits the function. We use the start of its inlined calls.
const INLINED_AWAY: &str = "gdb does not see that a line calls what was inlined";

/// Returns the lines on which functions are declared, by the address of their code.
fn declared_lines(module: &Module) -> BTreeMap<String, u64> {
    let functions = module.functions(None).expect("functions");
    functions
        .into_iter()
        .filter_map(|function| Some((function.name, function.declared?.line)))
        .collect()
}

/// Returns the reason why we differ at a line, or `None` if there is no good one.
fn reason(
    module: &Module,
    declared: &BTreeMap<String, u64>,
    line: u64,
    gdb: &BTreeSet<u64>,
    ours: &BTreeSet<u64>,
) -> Option<&'static str> {
    let later = |address: &u64| {
        let site = module.site_at(LinkAddr(*address));
        let function = site.map(|site| {
            let outermost = site.inlined_into.last();
            outermost.map_or(site.function.clone(), |step| step.function.clone())
        });
        function
            .and_then(|function| declared.get(&function).copied())
            .is_some_and(|declared| line < declared)
    };
    if ours.is_subset(gdb) && gdb.difference(ours).all(later) {
        return Some(BEFORE_FUNCTION);
    }
    None
}

#[test]
fn sites_of_all_lines_are_where_gdb_breaks() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let (mut same, mut listed, mut wrong) = (0, BTreeMap::<_, usize>::new(), Vec::new());
    for (number, (command, source)) in BUILDS.into_iter().enumerate() {
        let path = built(directory.path(), number, command, source);
        let text = std::fs::read_to_string(Path::new(FIXTURES).join(source)).expect("source");
        let lines = text.lines().count() as u64;
        let theirs = gdb(&path, source, lines);
        let module = Module::open(&path).expect("build opens");
        let ours = ours(&module, source, lines);
        let declared = declared_lines(&module);
        for line in 1..=lines {
            let none = BTreeSet::new();
            let (gdb, ours) = (
                theirs.get(&line).unwrap_or(&none),
                ours.get(&line).unwrap_or(&none),
            );
            if gdb == ours {
                same += 1;
            } else if let Some(reason) = reason(&module, &declared, line, gdb, ours) {
                *listed.entry(reason).or_default() += 1;
            } else if let Some((.., reason)) = LISTED
                .iter()
                .find(|listed| (listed.0, listed.1, listed.2) == (command, source, line))
            {
                *listed.entry(*reason).or_default() += 1;
            } else {
                wrong.push(format!(
                    "{command} {source}:{line}: gdb {gdb:x?}, ours {ours:x?}"
                ));
            }
        }
    }
    println!("same: {same}, listed: {listed:#?}");
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}
