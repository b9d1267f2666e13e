//! Builds the traced programs, once.
//!
//! Fixtures are compiled into cargo's folder for integration tests, under a name with a hash of all
//! their inputs.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::program::run;

/// Profiles of target-app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Not optimised.
    Dev,
    /// Optimised, with debug info.
    Release,
}

/// target-app of that profile. It is built now unless the environment names it.
pub(crate) fn target_app(profile: Profile) -> PathBuf {
    static BUILT: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
    let (built, variable, folder) = match profile {
        Profile::Dev => (&BUILT[0], "TRACER_TEST_TARGET_APP_DEV", "debug"),
        Profile::Release => (&BUILT[1], "TRACER_TEST_TARGET_APP_RELEASE", "release"),
    };
    let path = built.get_or_init(|| match std::env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => build_target_app(profile, folder),
    });
    path.clone()
}

fn build_target_app(profile: Profile, folder: &str) -> PathBuf {
    let mut arguments = vec!["-p", "target-app"];
    if profile == Profile::Release {
        arguments.push("--release");
    }
    let executable = build_member(&arguments);
    executable.unwrap_or_else(|| panic!("cargo named no {folder} build of target-app"))
}

/// The executable or the static library of a member of the workspace, which cargo builds now.
fn build_member(arguments: &[&str]) -> Option<PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(workspace());
    command.args(["build", "--quiet", "--locked", "--message-format=json"]);
    let output = command.args(arguments).output();
    let output = output.expect("cargo runs: it runs this test");
    assert!(
        output.status.success(),
        "cargo cannot build {arguments:?}: {output:?}"
    );
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let mut built = messages.filter_map(|message: serde_json::Value| {
        let is_library = message["target"]["kind"][0] == "staticlib";
        let library = is_library.then(|| message["filenames"][0].as_str());
        let file = message["executable"].as_str().or(library.flatten());
        file.map(PathBuf::from)
    });
    built.next()
}

/// The program that makes spans of its own, or the same without them.
pub(crate) fn own_spans(has_sdk: bool) -> PathBuf {
    let features: &[&str] = if has_sdk { &["--features", "sdk"] } else { &[] };
    own_spans_part(&[&["--bins"], features].concat())
}

/// The same program in C++.
pub(crate) fn own_spans_in_cpp(has_sdk: bool) -> PathBuf {
    let flags = ["-g", "-std=c++17", "-pthread"];
    let program = "own_spans/calls.cpp";
    if !has_sdk {
        return fixture("c++", "without-sdk", program, &flags);
    }
    let library = own_spans_part(&["--lib", "--features", "sdk"]);
    let library = library.to_str().expect("test paths are UTF-8");
    let flags = [&flags[..], &["-DSDK", library, "-ldl", "-lm"]].concat();
    fixture("c++", "with-sdk", program, &flags)
}

/// The program or the library of the package `own-spans`, under a name of its own: all builds have one place.
fn own_spans_part(arguments: &[&str]) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let built = build_member(&[&["-p", "own-spans"], arguments].concat());
    let built = built.expect("cargo names it");
    let mut hasher = DefaultHasher::new();
    let bytes = std::fs::read(&built).expect("cargo has made it");
    bytes.hash(&mut hasher);
    let name = built.file_name().expect("it is a file").to_string_lossy();
    let kept = scratch("own-spans").join(format!("{:016x}-{name}", hasher.finish()));
    once(&kept, || {
        std::fs::copy(&built, &kept).expect("cargo's folder for tests is writable");
    });
    kept
}

/// The workspace's folder.
pub(crate) fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package is in the workspace")
}

/// Path of a fixture's file.
pub(crate) fn source(name: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.join("tests").join("fixtures").join(name)
}

/// Number of the only line of `file` that contains `mark`.
#[track_caller]
pub(crate) fn line_of(file: &Path, mark: &str) -> u64 {
    let text = std::fs::read_to_string(file).expect("the source is there");
    let mut lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| line.contains(mark));
    let (number, _) = lines
        .next()
        .unwrap_or_else(|| panic!("no `{mark}` in {}", file.display()));
    assert_eq!(lines.next(), None, "`{mark}` stands in two lines");
    number
}

/// The line of a fixture that ends in the comment `PROBE name`.
#[track_caller]
pub(crate) fn probe_line(fixture: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(source(fixture)).expect("the source is there");
    let mark = format!("PROBE {name}");
    let found = (1..).zip(text.lines()).find(|(_, line)| {
        let line = line.trim_end().trim_end_matches("*/").trim_end();
        line.ends_with(&mark)
    });
    found
        .unwrap_or_else(|| panic!("no `{mark}` in {fixture}"))
        .0
}

/// A fixture compiled with `compiler flags… SOURCE -o OUT`.
///
/// `name` is the name of the program. Flags that name files must be absolute.
#[track_caller]
pub(crate) fn fixture(compiler: &str, name: &str, fixture: &str, flags: &[&str]) -> PathBuf {
    let path = source(fixture);
    let text = std::fs::read(&path).expect("the source is there");
    let mut hasher = DefaultHasher::new();
    (compiler, flags, text).hash(&mut hasher);
    let label = fixture.replace('/', "-");
    let folder = scratch(&format!("{label}-{:016x}", hasher.finish()));
    let out = folder.join(name);
    once(&out.clone(), || {
        // It is written under another name first, so an interrupted run leaves no partial program.
        let unfinished = folder.join(format!("{name}.{}", std::process::id()));
        let mut args: Vec<&std::ffi::OsStr> = flags.iter().map(std::ffi::OsStr::new).collect();
        let last = ["-o".as_ref(), unfinished.as_os_str()];
        args.insert(0, path.as_os_str());
        args.extend(last);
        run(compiler, args);
        std::fs::rename(&unfinished, &out).expect("the compiler made it");
    });
    out
}

/// A C fixture.
#[track_caller]
pub(crate) fn c(name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let mut all = vec!["-g", "-pthread"];
    all.extend(flags);
    fixture("cc", name, source, &all)
}

/// A Rust fixture.
#[track_caller]
pub(crate) fn rust(name: &str, source: &str, flags: &[&str]) -> PathBuf {
    rust_by(&rust_compiler(), name, source, flags)
}

/// The compiler beside cargo: a runner such as sudo may have changed the path.
pub(crate) fn rust_compiler() -> String {
    let beside = Path::new(env!("CARGO")).with_file_name("rustc");
    if beside.exists() {
        beside.to_str().expect("test paths are UTF-8").to_owned()
    } else {
        "rustc".to_owned()
    }
}

/// A Rust fixture, compiled by that compiler.
#[track_caller]
pub(crate) fn rust_by(compiler: &str, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    // Each file has its own name, so that modules of two variants do not look alike.
    let mut all = vec!["--edition=2021", "-g", "--crate-name", "fixture"];
    all.extend(flags);
    fixture(compiler, name, source, &all)
}

/// A folder with this name for the tests' files, which stays for the next run.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("end_to_end")
        .join(name);
    std::fs::create_dir_all(&folder).expect("cargo's folder for tests is writable");
    folder
}

/// Builds a file unless it exists, in one process at a time.
fn once(path: &Path, make: impl FnOnce()) {
    static LOCKS: OnceLock<Mutex<HashMap<PathBuf, Arc<Mutex<()>>>>> = OnceLock::new();
    let locks = LOCKS.get_or_init(Mutex::default);
    let lock = {
        let mut locks = locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(path.to_owned()).or_default())
    };
    let _one = lock.lock().unwrap_or_else(PoisonError::into_inner);
    if !path.exists() {
        make();
    }
}
