//! Bad input gets one clear message, a hint and an exit code, without a panic, a hang or a leftover
//! probe.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::build::{c, probe_line, scratch, source};
use crate::support::needs;
use crate::support::program::{Program, run, status_field};
use crate::support::text::Text;
use crate::support::tracer::{Finished, Tracer, attach_args, copy_for_everyone, tracer, value};

/// Bad usage or input.
const BAD: i32 = 2;
/// A privilege or a feature of the kernel is missing.
const MISSING: i32 = 77;

const SOURCE: &str = "e2e_inline.c";

/// A running fixture, and its code before the test.
fn running(level: &str) -> (Program, Text) {
    let path = c(&format!("inline{level}"), SOURCE, &[level]);
    let program = Program::ready(&path, &[]);
    let text = Text::of_exe(program.pid());
    (program, text)
}

/// Attaches an invalid probe, and checks the common expectations.
#[track_caller]
fn refused(pid: u32, probe: &str) -> Finished {
    let finished = Tracer::attach(pid, "json", &[probe], &[]).finish();
    assert_refusal(&finished, BAD);
    finished
}

/// Checks for one message, optional hints, an empty stdout, and the exit code.
#[track_caller]
fn assert_refusal(finished: &Finished, code: i32) {
    finished.assert_code(code);
    assert_eq!(finished.stdout, Vec::<String>::new(), "{finished}");
    let messages = finished
        .stderr
        .iter()
        .filter(|line| line.starts_with("tracer: "));
    assert_eq!(messages.count(), 1, "one message:\n{finished}");
    let said = finished.stderr.join("\n");
    for noise in ["backtrace", "Error {", "Os {", "unwrap"] {
        assert!(!said.contains(noise), "{finished}");
    }
    assert!(finished.took.as_secs() < 20, "{finished}");
}

#[test]
fn pid_of_nobody_is_refused() {
    let mut program = Program::start(Path::new("true"), &[]);
    program.wait();
    let finished = refused(program.pid(), "log main.c:1");
    finished.assert_says(&["no process has pid", &program.pid().to_string(), "hint:"]);
}

#[test]
fn name_of_nobody_is_refused() {
    let finished = Tracer::attach("no-such-name-17", "json", &["log main.c:1"], &[]).finish();
    assert_refusal(&finished, BAD);
    finished.assert_says(&["no-such-name-17"]);
}

#[test]
fn pid_of_kernel_thread_is_refused() {
    let processes = fs::read_dir("/proc").expect("/proc is there");
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let threads = pids.filter(|&pid: &u32| {
        let kthread = status_field(pid, "Kthread");
        let state = status_field(pid, "State").unwrap_or_default();
        kthread.as_deref() == Some("1")
            || (status_field(pid, "VmSize").is_none() && !state.starts_with(['Z', 'X']))
    });
    // A container shows no such process, so there is nothing to refuse.
    let Some(pid) = threads.into_iter().next() else {
        eprintln!("skipped: no kernel thread is visible here");
        return;
    };
    refused(pid, "log main.c:1").assert_says(&["kernel thread"]);
}

#[test]
fn id_of_thread_names_its_process() {
    let path = c("loop", "e2e_loop.c", &["-O0"]);
    let mut program = Program::ready(&path, &["2", "0", "1000"]);
    program.say("go");
    program.stdout.wait_line("`tick`", 0, |line| line == "tick");
    let tasks = fs::read_dir(format!("/proc/{}/task", program.pid())).expect("it runs");
    let tids = tasks.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let tid = tids.into_iter().find(|&tid: &u32| tid != program.pid());
    let finished = refused(tid.expect("it has threads"), "log main.c:1");
    finished.assert_says(&["thread", &program.pid().to_string()]);
}

#[test]
fn name_of_two_selects_both() {
    if !needs::kernel() {
        return;
    }
    let path = c("two-of-this-name", SOURCE, &["-O1"]);
    let (first, second) = (Program::ready(&path, &[]), Program::ready(&path, &[]));
    // The kernel keeps 15 bytes of a name.
    let tracer = Tracer::attach("two-of-this-nam", "json", &["log main"], &[]);
    tracer.wait_tracing();
    let finished = tracer.interrupt();
    let (first, second) = (first.pid().to_string(), second.pid().to_string());
    finished.assert_says(&["2 processes match", "two-of-this-nam", &first, &second]);
}

/// Runs the tracer as nobody, from a folder that nobody may not enter.
fn as_nobody(args: &[String]) -> Finished {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), open).expect("it is ours");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command
        .arg(copy_for_everyone(folder.path()))
        .args(args)
        .current_dir("/");
    Tracer::spawn(command).finish()
}

#[test]
fn user_without_privilege_is_told_so() {
    if !needs::kernel() || !needs::tools(&["setpriv"]) {
        return;
    }
    let (program, text) = running("-O0");
    let finished = as_nobody(&attach_args(program.pid(), "json", &["log scopes"], &[]));
    assert_refusal(&finished, MISSING);
    finished.assert_says(&["hint:", "sudo"]);
    assert!(text.changed().is_empty());
    // `doctor` reports the same, and still works.
    let doctor = as_nobody(&["doctor".to_owned()]);
    assert!(doctor.text().to_lowercase().contains("root"), "{doctor}");
}

#[test]
fn own_process_of_unprivileged_user_is_refused_too() {
    if !needs::kernel() || !needs::tools(&["setpriv"]) {
        return;
    }
    // The process may be read, but the kernel does not allow eBPF.
    let mut sleeper = Command::new("setpriv");
    sleeper.args([
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "cat",
    ]);
    let mut sleeper = sleeper.stdin(Stdio::piped()).spawn().expect("setpriv runs");
    let finished = as_nobody(&attach_args(sleeper.id(), "json", &["log main"], &[]));
    sleeper.kill().expect("it is our child");
    sleeper.wait().expect("it is our child");
    assert_refusal(&finished, MISSING);
}

#[test]
fn root_without_capabilities_is_told_which() {
    if !needs::kernel() || !needs::tools(&["setpriv"]) {
        return;
    }
    let (program, text) = running("-O0");
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-sys_admin,-bpf,-perfmon"]);
    command.args(["--inh-caps", "-sys_admin,-bpf,-perfmon"]);
    command.arg(crate::support::tracer::TRACER);
    command.args(attach_args(program.pid(), "json", &["log scopes"], &[]));
    let finished = Tracer::spawn(command).finish();
    assert_refusal(&finished, MISSING);
    finished.assert_says(&["CAP_", "hint:"]);
    assert!(text.changed().is_empty());
}

#[test]
fn file_that_nothing_names_is_refused() {
    let (program, text) = running("-O0");
    let finished = refused(program.pid(), "log e2e_inlin.c:10");
    finished.assert_says(&["e2e_inlin.c", "hint:", "e2e_inline.c"]);
    let finished = tracer(&["lines", "--pid", &program.pid().to_string(), "nowhere.c"]);
    assert_refusal(&finished, BAD);
    finished.assert_says(&["nowhere.c"]);
    assert!(text.changed().is_empty());
}

#[test]
fn line_without_code_names_the_nearest() {
    let (program, text) = running("-O0");
    let empty = crate::support::build::line_of(&source(SOURCE), "a line without code");
    let finished = refused(program.pid(), &format!("log {SOURCE}:{empty}"));
    finished.assert_says(&[
        "no code",
        &empty.to_string(),
        "hint:",
        &(empty + 1).to_string(),
    ]);
    refused(program.pid(), &format!("log {SOURCE}:99999")).assert_says(&["99999"]);
    refused(program.pid(), &format!("log {SOURCE}:0"));
    refused(program.pid(), &format!("log {SOURCE}:18446744073709551616"));
    assert!(text.changed().is_empty());
}

#[test]
fn function_that_is_not_there_names_a_near_one() {
    let (program, _) = running("-O0");
    refused(program.pid(), "log scopez").assert_says(&["scopez", "hint:", "scopes"]);
}

#[test]
fn stripped_binary_is_refused_with_the_reason() {
    let path = c("stripped", SOURCE, &["-O0", "-s"]);
    let program = Program::ready(&path, &[]);
    let line = probe_line(SOURCE, "outer");
    let finished = refused(program.pid(), &format!("log {SOURCE}:{line}"));
    finished.assert_says(&["no debug info", "hint:"]);
    let finished = tracer(&["lines", "--exe", path.to_str().expect("UTF-8")]);
    assert_refusal(&finished, BAD);
    finished.assert_says(&["no debug info"]);
}

#[test]
fn binary_replaced_on_disk_is_traced_as_it_runs() {
    if !needs::kernel() {
        return;
    }
    let original = c("loop", "e2e_loop.c", &["-O0"]);
    let path = scratch("replaced").join(format!("loop-{}", std::process::id()));
    fs::copy(&original, &path).expect("the fixture is built");
    let mut program = Program::ready(&path, &["1", "0", "1000"]);
    program.say("go");
    // Another program replaces the file, as in an upgrade.
    fs::remove_file(&path).expect("it is there");
    fs::copy(c("inline-O2", SOURCE, &["-O2"]), &path).expect("the fixture is built");
    let text = Text::of(program.pid(), path.to_str().expect("UTF-8"));
    let line = probe_line("e2e_loop.c", "work");
    let probe = format!(r#"log e2e_loop.c:{line} "{{number}} {{twice}}""#);
    let tracer = Tracer::json(program.pid(), &[&probe]);
    let events = tracer.wait_events(3);
    let finished = tracer.interrupt();
    fs::remove_file(&path).expect("it is there");
    finished.assert_code(0).assert_says(&["replaced"]);
    for event in events {
        let number = value(&event, "number").as_i64().expect("a number");
        assert_eq!(value(&event, "twice"), 2 * number);
    }
    text.wait_restored();
}

#[test]
fn deleted_binary_is_traced_as_it_runs() {
    if !needs::kernel() {
        return;
    }
    let original = c("inline-O0", SOURCE, &["-O0"]);
    let path = scratch("deleted").join(format!("inline-{}", std::process::id()));
    fs::copy(&original, &path).expect("the fixture is built");
    let program = Program::ready(&path, &[]);
    fs::remove_file(&path).expect("it is there");
    let tracer = Tracer::json(program.pid(), &[r#"log scopes "{number}""#]);
    let events = tracer.wait_events(2);
    assert_eq!(value(&events[0], "number"), 4);
    tracer.interrupt().assert_code(0);
}

#[test]
fn variable_that_does_not_exist_names_near_ones() {
    let (program, text) = running("-O0");
    let line = probe_line(SOURCE, "outer");
    let finished = refused(
        program.pid(),
        &format!(r#"log {SOURCE}:{line} "{{numbre}}""#),
    );
    // The mistake is underlined in the user's text.
    finished.assert_says(&["numbre", "^", "hint:", "`number`"]);
    assert!(text.changed().is_empty());
}

#[test]
fn field_that_does_not_exist_names_the_fields() {
    let path = c("values-O0", "e2e_values.c", &["-O0"]);
    let program = Program::ready(&path, &[]);
    let line = probe_line("e2e_values.c", "look");
    let probe = format!(r#"log e2e_values.c:{line} "{{first.lable}}""#);
    refused(program.pid(), &probe).assert_says(&["lable", "label"]);
    // A number has no fields.
    let probe = format!(r#"log e2e_values.c:{line} "{{i32.x}}""#);
    refused(program.pid(), &probe).assert_says(&["i32"]);
}

#[test]
fn variable_out_of_scope_is_said_to_be_so() {
    let (program, text) = running("-O0");
    let line = probe_line(SOURCE, "outer");
    let finished = refused(
        program.pid(),
        &format!(r#"log {SOURCE}:{line} "{{only_here}}""#),
    );
    finished.assert_says(&["only_here", "scope"]);
    assert!(text.changed().is_empty());
}

#[test]
fn variable_optimised_out_is_said_to_be_so() {
    if !needs::kernel() {
        return;
    }
    let (program, text) = running("-O2");
    let line = probe_line(SOURCE, "outer");
    let probe = format!(r#"log {SOURCE}:{line} "{{gone}}""#);
    let tracer = Tracer::attach(program.pid(), "text", &[&probe], &["--for", "300ms"]);
    let finished = tracer.finish();
    let said = format!("{}{}", finished.text(), finished.stderr.join("\n"));
    assert!(said.contains("optimised out"), "{finished}");
    text.wait_restored();
    let pid = program.pid().to_string();
    let vars =
        crate::support::tracer::tracer(&["vars", "--pid", &pid, &format!("{SOURCE}:{line}")]);
    let gone = vars.stdout.iter().find(|line| line.contains("gone"));
    assert!(
        gone.is_some_and(|line| line.contains("optimised out")),
        "{vars}"
    );
}

/// A program of two files with one name.
fn two_files() -> PathBuf {
    let folder = scratch("two-files");
    let body = "int NAME(int number)\n{\n    number += 1;\n    return number;\n}\n";
    for side in ["left", "right"] {
        fs::create_dir_all(folder.join(side)).expect("writable");
        let text = body.replace("NAME", side);
        fs::write(folder.join(side).join("same.c"), text).expect("writable");
    }
    let main = "#include <stdio.h>\n#include <unistd.h>\nint left(int); int right(int);\nint main(void)\n{\n    \
                puts(\"ready\");\n    fflush(stdout);\n    for (;;) { left(1); right(2); usleep(1000); }\n}\n";
    fs::write(folder.join("main.c"), main).expect("writable");
    let out = folder.join(format!("two-files-{}", std::process::id()));
    let files = ["main.c", "left/same.c", "right/same.c"].map(|file| folder.join(file));
    let mut args = vec![
        "-g".into(),
        "-O0".into(),
        "-o".into(),
        out.clone().into_os_string(),
    ];
    args.extend(files.map(PathBuf::into_os_string));
    run("cc", args);
    out
}

#[test]
fn name_of_two_files_lists_both() {
    let path = two_files();
    let program = Program::ready(&path, &[]);
    let text = Text::of_exe(program.pid());
    let finished = refused(program.pid(), r#"log same.c:3 "{number}""#);
    finished.assert_says(&["same.c", "left/same.c", "right/same.c"]);
    assert!(text.changed().is_empty());
    if needs::kernel() {
        // With its folder, the name is unique.
        let tracer = Tracer::json(program.pid(), &[r#"log right/same.c:3 "{number}""#]);
        let events = tracer.wait_events(2);
        assert_eq!(value(&events[0], "number"), 2);
        tracer.interrupt().assert_code(0);
    }
    fs::remove_file(path).expect("it is there");
}

#[test]
fn template_with_open_brace_is_refused() {
    let (program, text) = running("-O0");
    let line = probe_line(SOURCE, "outer");
    let probe = format!(r#"log {SOURCE}:{line} "number {{number""#);
    let finished = refused(program.pid(), &probe);
    finished.assert_says(&["{number", "^", "`}`"]);
    assert!(text.changed().is_empty());
}

#[test]
fn probes_that_are_not_probes_are_refused() {
    let (program, text) = running("-O0");
    let deep = format!(
        "log scopes \"{{{}number{}}}\"",
        "(".repeat(5000),
        ")".repeat(5000)
    );
    let probes = [
        "",
        "log",
        "lgo scopes",
        "log scopes \"",
        "log scopes \"{}\"",
        "log scopes \"{number}\" nonsense",
        "log scopes rate",
        "log scopes hits -1",
        "log scopes \"\u{7}\u{1b}[31m{number\"",
        deep.as_str(),
    ];
    for probe in probes {
        let finished = refused(program.pid(), probe);
        assert!(!finished.stderr.join("").contains('\x1b'), "{finished}");
    }
    assert!(text.changed().is_empty());
}

#[test]
fn json_without_probe_is_refused() {
    let (program, _) = running("-O0");
    for output in ["json", "text"] {
        let finished = Tracer::attach(program.pid(), output, &[], &[]).finish();
        assert_refusal(&finished, BAD);
        finished.assert_says(&["probe"]);
    }
}

#[test]
fn probe_file_is_read_and_its_mistakes_are_placed() {
    let (program, text) = running("-O0");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("probes.txt");
    let name = file.to_str().expect("UTF-8");
    let more = ["-f", name];
    let finished = Tracer::attach(program.pid(), "json", &[], &more).finish();
    assert_refusal(&finished, BAD);
    finished.assert_says(&["probes.txt"]);
    fs::write(
        &file,
        "# a comment\n\nlog scopes \"{number}\"\nlog scopes \"{number\"\n",
    )
    .expect("writable");
    let finished = Tracer::attach(program.pid(), "json", &[], &more).finish();
    finished.assert_says(&["probes.txt", "4"]);
    assert_ne!(finished.code, Some(0));
    assert!(text.changed().is_empty());
    if needs::kernel() {
        fs::write(
            &file,
            "# a comment\n\nlog scopes \"{number}\" as mine # why\n",
        )
        .expect("writable");
        let tracer = Tracer::attach(program.pid(), "json", &[], &more);
        assert_eq!(tracer.wait_events(1)[0]["probe"], "mine");
        tracer.interrupt().assert_code(0);
    }
}

#[test]
fn bad_usage_is_exit_code_2() {
    for args in [
        &["attach", "--pid"] as &[&str],
        &["attach", "--nonsense"],
        &["nonsense"],
        &["lines"],
        &["attach", "--pid", "1", "--for", "soon", "-e", "log main"],
        &["attach", "--pid", "1", "--output", "xml", "-e", "log main"],
    ] {
        let finished = tracer(args);
        finished.assert_code(BAD);
        assert!(!finished.stderr.is_empty(), "{finished}");
    }
}

#[test]
fn program_of_32_bits_is_refused() {
    let path = scratch("32-bit").join(format!("program-{}", std::process::id()));
    let source = source("e2e_freestanding.c");
    let flags = ["-g", "-m32", "-nostdlib", "-static", "-o"];
    let args = flags.iter().map(AsRef::as_ref);
    run("cc", args.chain([path.as_os_str(), source.as_os_str()]));
    let finished = tracer(&["lines", "--exe", path.to_str().expect("UTF-8")]);
    assert_refusal(&finished, BAD);
    finished.assert_says(&["32"]);
    // A kernel may lack these features. The others are in every supported kernel.
    let program = Program::start(&path, &[]);
    let finished = refused(program.pid(), "log _start");
    finished.assert_says(&["32"]);
    drop(program);
    fs::remove_file(path).expect("it is there");
}

#[test]
fn files_that_are_no_programs_are_refused() {
    let text = source("e2e_loop.c");
    for path in [
        "/",
        "/dev/null",
        "/no/such/file",
        text.to_str().expect("UTF-8"),
    ] {
        for command in ["lines", "funcs"] {
            let finished = tracer(&[command, "--exe", path]);
            assert_refusal(&finished, BAD);
            finished.assert_says(&[path]);
        }
    }
}
