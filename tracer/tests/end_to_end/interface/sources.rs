//! Source files are shown only if the target's own user could have read them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::build::{c, source};
use crate::support::needs;
use crate::support::program::{Program, run};
use crate::support::tracer::{Finished, tracer};

/// A program whose functions claim to be from different files.
fn program(folder: &Path, sources: &[&str]) -> String {
    let mut text = String::new();
    for (number, path) in sources.iter().enumerate() {
        text += &format!("#line 1 \"{path}\"\nint f{number}(int n)\n{{\n    return n + 1;\n}}\n");
    }
    text += "#line 1 \"/main.c\"\nint main(void)\n{\n    return 0;\n}\n";
    let file = folder.join("program.c");
    fs::write(&file, text).expect("a file");
    let out = folder.join("program");
    let paths = [file.as_os_str(), "-o".as_ref(), out.as_os_str()];
    let flags = ["-g", "-O0"].map(AsRef::as_ref);
    run("cc", flags.iter().copied().chain(paths));
    out.to_str().expect("UTF-8").to_owned()
}

/// The shown text of a source file in which each line contains this word.
fn shown(finished: &Finished, word: &str) -> bool {
    finished.assert_code(0);
    finished.text().contains(word)
}

fn write(path: &Path, mode: u32) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, "WORD1\nWORD2\nWORD3\nWORD4\n").expect("a file");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn program_file_names_no_file_that_is_not_for_everyone() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for (name, mode) in [("open.c", 0o644), ("private.c", 0o600)] {
        write(&at(name), mode);
    }
    symlink("private.c", at("link.c")).expect("a link");
    symlink("/proc/self/status", at("status.c")).expect("a link");
    let made = Command::new("mkfifo").arg(at("pipe.c")).status();
    assert!(made.expect("mkfifo").success());
    let paths: Vec<String> = ["open.c", "private.c", "link.c", "status.c", "pipe.c"]
        .map(|name| at(name).to_str().expect("UTF-8").to_owned())
        .into();
    let mut sources: Vec<&str> = paths.iter().map(String::as_str).collect();
    sources.extend([
        "/etc/shadow",
        "/../../../../etc/gshadow",
        "/proc/self/environ",
    ]);
    sources.extend(["/dev/zero", "/sys/kernel/tracing/trace_pipe"]);
    let exe = program(folder.path(), &sources);
    // Root's permissions do not count for others. Another owner may read their own file.
    let owner = fs::metadata(&exe).map(|file| std::os::unix::fs::MetadataExt::uid(&file));
    let is_root = owner.expect("it is built") == 0;

    let list = tracer(&["lines", "--exe", &exe, "--json"]);
    let listed = list.json();
    let on_disk = |path: &str| {
        let files = listed.as_array().expect("one object a line");
        let file = files.iter().find(|file| file["file"] == path);
        file.unwrap_or_else(|| panic!("no {path} in {list}"))["on_disk"] == true
    };
    for (number, path) in sources.iter().enumerate() {
        let expected = number == 0 || (!is_root && (number == 1 || number == 2));
        // The tables are read without the `..` of their paths.
        let path = path.replace("/../../../..", "");
        assert_eq!(on_disk(&path), expected, "{path}: {list}");
        let lines = tracer(&["lines", "--exe", &exe, &path]);
        assert_eq!(shown(&lines, "WORD"), expected, "{lines}");
        for secret in ["root:", "PATH=", "Name:"] {
            assert!(!shown(&lines, secret), "{lines}");
        }
    }
    let refused = tracer(&["lines", "--exe", &exe, "/proc/self/environ"]);
    refused.assert_says(&["note: cannot read `/proc/self/environ`: it is a file of the kernel"]);
    let refused = tracer(&["lines", "--exe", &exe, "pipe.c"]);
    refused.assert_says(&["it is not a regular file"]);
    if is_root {
        let refused = tracer(&["lines", "--exe", &exe, "private.c"]);
        refused.assert_says(&["may read it", "hint: ", "chmod o+r"]);
    }
}

/// Starts the fixture with a root directory of its own, as a user without rights.
fn start(root: &Path) -> Program {
    fs::copy(
        c("loop-static", "e2e_loop.c", &["-O0", "-static"]),
        root.join("loop"),
    )
    .expect("the fixture is built");
    chown(root.join("loop"), Some(65534), Some(65534)).expect("it is ours to give away");
    fs::set_permissions(root, Permissions::from_mode(0o755)).expect("a mode");
    let root = root.to_str().expect("UTF-8");
    let user = "--userspec=65534:65534";
    let args = [user, root, "/loop", "1", "0", "1000"];
    let program = Program::start(Path::new("chroot"), &args);
    let ready = |line: &str| line == "ready";
    program.stdout.wait_line("`ready`", 0, ready);
    program
}

#[test]
fn process_shows_sources_below_its_root_that_its_user_may_read() {
    if !needs::kernel() {
        return;
    }
    let root = tempfile::tempdir().expect("a folder");
    let program = start(root.path());
    let pid = program.pid().to_string();
    let lines = || tracer(&["lines", "--pid", &pid, "e2e_loop.c"]);
    let host = source("e2e_loop.c");
    assert!(host.exists(), "the host has it");
    let inside = root.path().join(host.strip_prefix("/").expect("absolute"));
    // The host's file at that path is not the target's.
    assert!(!shown(&lines(), "pair.number"), "{}", lines());
    let folder = inside.parent().expect("a folder");
    fs::create_dir_all(folder).expect("a folder");
    for ancestor in folder.ancestors().take_while(|path| *path != root.path()) {
        fs::set_permissions(ancestor, Permissions::from_mode(0o755)).expect("a mode");
    }
    // A link leads to a path below the root, where there is no file.
    symlink(&host, folder.join("real.c")).expect("a link");
    symlink("real.c", &inside).expect("a link");
    assert!(!shown(&lines(), "pair.number"), "{}", lines());
    fs::remove_file(&inside).expect("the link");
    // The file is readable for root alone.
    fs::copy(&host, &inside).expect("a copy");
    fs::set_permissions(&inside, Permissions::from_mode(0o600)).expect("a mode");
    let refused = lines();
    assert!(!shown(&refused, "pair.number"), "{refused}");
    refused.assert_says(&["neither the process's user nor"]);
    fs::set_permissions(&inside, Permissions::from_mode(0o644)).expect("a mode");
    assert!(shown(&lines(), "pair.number"), "{}", lines());
    fs::set_permissions(folder, Permissions::from_mode(0o700)).expect("a mode");
    assert!(!shown(&lines(), "pair.number"), "{}", lines());
}

/// `tracer lines` of a file of the program, with more options.
fn lines_of(program: &str, options: &[&str], file: &str) -> Finished {
    let asked = ["lines", "--exe", program];
    tracer(&[&asked[..], options, &[file]].concat())
}

#[test]
fn sources_of_another_machine_are_found_where_the_user_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = program(folder.path(), &["/build/app/src/part.c"]);
    write(&folder.path().join("here/src/part.c"), 0o600);
    let here = folder.path().join("here");
    let here = here.to_str().expect("UTF-8");

    let nowhere = lines_of(&program, &[], "part.c");
    assert!(!shown(&nowhere, "WORD"), "{}", nowhere.text());
    assert!(
        nowhere.text().contains("in f0, line "),
        "{}",
        nowhere.text()
    );

    let map = format!("/build/app={here}");
    for options in [["--source-dir", here], ["--map-source", &map]] {
        let found = lines_of(&program, &options, "part.c");
        assert!(shown(&found, "WORD2"), "{options:?}: {}", found.text());
        let place = format!("note: the source is {here}/src/part.c");
        assert!(found.stderr.contains(&place), "{:?}", found.stderr);
    }
    let absent = lines_of(&program, &["--source-dir", "/no/such/place"], "part.c");
    absent.assert_code(2);
    let said = absent.stderr.join("\n");
    assert!(said.contains("No such file"), "{said}");
}
