//! Selectors by pid, name, executable and user.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use super::*;
use crate::target::tests::{Waiting, start};

#[test]
fn name_matches_all_processes_of_a_pattern_and_no_others() {
    let (_one, first) = program("selected-abc");
    let (_two, second) = program("selected-abd");
    let children = [
        Waiting::start(&first),
        Waiting::start(&first),
        Waiting::start(&second),
    ];
    let pids: Vec<u32> = children.iter().map(|child| child.0.id()).collect();
    assert_eq!(pids_of(&[(SelectorKind::Name, "selected-abc")]), pids[..2]);
    assert_eq!(pids_of(&[(SelectorKind::Name, "selected-ab?")]), pids);
    let several = [
        (SelectorKind::Name, "selected-abd"),
        (SelectorKind::Name, "*-abc"),
    ];
    assert_eq!(pids_of(&several), pids);
    let line = resolve(&several).unwrap();
    let found = line.scan().unwrap();
    assert_eq!(
        line.report(&found).to_string(),
        format!(
            "3 processes match --name selected-abd --name '*-abc': {} selected-abc, {} selected-abc, {} selected-abd",
            pids[0], pids[1], pids[2]
        )
    );
}

#[test]
fn kinds_narrow_and_one_that_excludes_all_is_named() {
    let (_directory, path) = program("narrowed");
    let (_other, elsewhere) = program("narrowed");
    let child = Waiting::start(&path);
    let _second = Waiting::start(&elsewhere);
    let by_name = (SelectorKind::Name, "narrowed");
    assert_eq!(
        pids_of(&[by_name, (SelectorKind::Exe, text(&path))]),
        [child.0.id()]
    );
    let none = resolve(&[by_name, (SelectorKind::User, "4000000000")]).unwrap();
    assert!(scanned(&none).is_empty());
    let why = none.nothing_matches();
    assert_eq!(
        why.message,
        "no process matches `--name narrowed --user 4000000000`"
    );
    let hint = why.hint.unwrap();
    assert!(
        hint.contains("not `--user`") && hint.contains("--wait"),
        "{hint}"
    );
}

#[test]
fn long_names_are_matched_by_the_executable_and_the_script() {
    let (directory, first) = program("a-service-with-a-long-name-1");
    let _second = Waiting::start(&first);
    let (_other, second) = program("a-service-with-a-long-name-2");
    let child = Waiting::start(&second);
    let name = (SelectorKind::Name, "a-service-with-a-long-name-2");
    assert_eq!(pids_of(&[name]), [child.0.id()]);
    // A script's processes run the interpreter, and the kernel cuts the script's name.
    let script = directory.path().join("another-service-of-a-long-name");
    let mut file = fs::File::create(&script).unwrap();
    writeln!(file, "#!/bin/sh\nwhile read -r line; do :; done").unwrap();
    file.set_permissions(fs::Permissions::from_mode(0o755))
        .unwrap();
    drop(file);
    let _same = Waiting::spawn(Command::new("/bin/sh").args(["-c", "cat; :"]));
    let mut script = Command::new(&script);
    let mut script = start(script.stdin(std::process::Stdio::piped()));
    let by_name = resolve(&[(SelectorKind::Name, "another-service-of-a-long-name")]).unwrap();
    while ProcessFacts::read(script.id()).is_none_or(|facts| facts.comm != "another-service") {
        std::thread::yield_now();
    }
    let found = by_name.scan().unwrap();
    script.kill().unwrap();
    script.wait().unwrap();
    let [found] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(found.pid, script.id());
    assert_eq!(found.name(), "another-service-of-a-long-name");
}

#[test]
fn executable_is_matched_by_inode_whatever_its_path() {
    let (directory, path) = program("by-inode");
    let link = directory.path().join("another-name");
    fs::hard_link(&path, &link).unwrap();
    let child = Waiting::start(&link);
    let copy = directory.path().join("copy");
    fs::copy(&path, &copy).unwrap();
    let _other = Waiting::start(&copy);
    let selection = resolve(&[(SelectorKind::Exe, text(&path))]).unwrap();
    assert_eq!(scanned(&selection), [child.0.id()]);
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(selection.files(), [InodeId::from(&metadata)]);
}

#[test]
fn executable_that_is_replaced_keeps_its_old_processes_and_gets_the_new() {
    let (directory, path) = program("rolling");
    let old = Waiting::start(&path);
    let mut before = resolve(&[(SelectorKind::Exe, text(&path))]).unwrap();
    let new = directory.path().join("new");
    fs::copy("/bin/cat", &new).unwrap();
    fs::rename(&new, &path).unwrap();
    let young = Waiting::start(&path);
    assert_eq!(scanned(&before), [old.0.id()]);
    assert!(before.refresh());
    assert!(!before.refresh());
    let both = [old.0.id(), young.0.id()];
    assert_eq!(scanned(&before), both);
    assert_eq!(before.files().len(), 2);
    // Selected after the upgrade, when the old file has no path any more.
    let after = resolve(&[(SelectorKind::Exe, text(&path))]).unwrap();
    assert_eq!(scanned(&after), both);
    fs::remove_file(&path).unwrap();
    assert!(!before.refresh());
    assert_eq!(scanned(&before), both);
}

#[test]
fn executable_behind_a_link_follows_the_link_to_the_next_version() {
    let directory = tempfile::tempdir().unwrap();
    let version = |name: &str| {
        let path = directory.path().join(name).join("app");
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::copy("/bin/cat", &path).unwrap();
        path
    };
    let (first, second) = (version("v1"), version("v2"));
    let current = directory.path().join("current");
    symlink("v1", &current).unwrap();
    let old = Waiting::start(&first);
    let new = Waiting::start(&second);
    let path = current.join("app");
    let mut selection = resolve(&[(SelectorKind::Exe, text(&path))]).unwrap();
    assert_eq!(scanned(&selection), [old.0.id()]);
    fs::remove_file(&current).unwrap();
    symlink("v2", &current).unwrap();
    assert!(selection.refresh());
    assert_eq!(scanned(&selection), [old.0.id(), new.0.id()]);
}

#[test]
fn deleted_executable_of_another_mount_namespace_is_another_file() {
    if !is_root() {
        return;
    }
    let (directory, path) = program("elsewhere");
    // A container with a file of its own at the same path, deleted since.
    let script = format!(
        "mount -t tmpfs none {0} && cp /bin/cat {1} && exec {1}",
        directory.path().display(),
        path.display()
    );
    let mut command = Command::new("unshare");
    let inside = Waiting::spawn(command.args(["-m", "sh", "-c", &script]));
    let pid = inside.0.id();
    fs::remove_file(format!("/proc/{pid}/root{}", path.display())).unwrap();
    let found = ProcessFacts::read(pid).unwrap();
    assert!(found.executable.deleted, "{found:?}");
    assert_eq!(found.executable.path, path);
    assert!(pids_of(&[(SelectorKind::Exe, text(&path))]).is_empty());
    assert_eq!(pids_of(&[(SelectorKind::Name, "elsewhere")]), [pid]);
}

#[test]
fn executable_whose_name_looks_deleted_is_not() {
    let (_directory, path) = program("odd (deleted)");
    let child = Waiting::start(&path);
    let facts = ProcessFacts::read(child.0.id()).unwrap();
    assert!(!facts.executable.deleted);
    assert_eq!(facts.executable.path, path);
    assert_eq!(pids_of(&[(SelectorKind::Exe, text(&path))]), [child.0.id()]);
    let (_other, plain) = program("odd");
    assert!(pids_of(&[(SelectorKind::Exe, text(&plain))]).is_empty());
}

#[test]
fn executable_that_is_absent_or_none_is_refused_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent");
    let exe = [(SelectorKind::Exe, text(&absent))];
    let error = resolve(&exe).unwrap_err();
    assert!(error.message.starts_with("cannot read `"), "{error}");
    assert!(error.hint.unwrap().contains("--wait"));
    let waiting = Selector {
        wait: true,
        ..selector(&exe)
    };
    let mut waiting = waiting.resolve().unwrap();
    assert!(scanned(&waiting).is_empty());
    assert_eq!(
        waiting.waiting().to_string(),
        format!("waiting for a process that runs {}", absent.display())
    );
    fs::copy("/bin/cat", &absent).unwrap();
    let child = Waiting::start(&absent);
    assert!(waiting.refresh());
    assert_eq!(scanned(&waiting), [child.0.id()]);

    let error = resolve(&[(SelectorKind::Exe, "/tmp")]).unwrap_err();
    assert_eq!(error.message, "`/tmp` is not a program");
    let script = directory.path().join("script.py");
    fs::write(&script, "#! /usr/bin/env python3\n").unwrap();
    let error = resolve(&[(SelectorKind::Exe, text(&script))]).unwrap_err();
    assert!(
        error.message.ends_with("its processes run `/usr/bin/env`"),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("`--name script.py`"));
}

#[test]
fn user_is_named_or_numbered() {
    if !is_root() {
        return;
    }
    let (directory, path) = program("of-nobody");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory.path(), mode).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--clear-groups"])
        .arg(&path);
    let child = Waiting::spawn(&mut command);
    let _of_root = Waiting::start(&path);
    let name = (SelectorKind::Name, "of-nobody");
    for user in ["65534", "nobody"] {
        assert_eq!(pids_of(&[name, (SelectorKind::User, user)]), [child.0.id()]);
    }
    let error = resolve(&[(SelectorKind::User, "no-such-user")]).unwrap_err();
    assert_eq!(error.message, "no user is named `no-such-user`");
    assert!(error.hint.is_some());
}

#[test]
fn pid_is_that_process_and_no_later_one() {
    let (_directory, path) = program("by-pid");
    let child = Waiting::start(&path);
    let other = Waiting::start(&path);
    let pids = [child.0.id(), other.0.id()].map(|pid| pid.to_string());
    let both = resolve(&[
        (SelectorKind::Pid, &*pids[0]),
        (SelectorKind::Pid, &*pids[1]),
    ]);
    let both = both.unwrap();
    assert_eq!(scanned(&both), [child.0.id(), other.0.id()]);
    let mut facts = ProcessFacts::read(child.0.id()).unwrap();
    assert!(both.matches(&facts));
    facts.start_time += 1;
    assert!(!both.matches(&facts));
    assert!(selector(&[(SelectorKind::Pid, &*pids[0])]).is_one_pid());
    assert!(!both.selector().is_one_pid());
}

#[test]
fn pid_of_no_process_is_refused_as_attach_does() {
    let mut child = Waiting::start(std::path::Path::new("/bin/cat"));
    let process = crate::target::Process::open(child.0.id()).unwrap();
    child.0.kill().unwrap();
    while process.is_alive() {
        std::thread::yield_now();
    }
    let exited = child.0.id().to_string();
    let own = std::process::id().to_string();
    for (pid, message) in [
        ("1073741823", "no process has pid 1073741823".to_owned()),
        ("2", "pid 2 (`kthreadd`) is a kernel thread".to_owned()),
        (&*exited, format!("process {exited} has exited already")),
        (&*own, format!("pid {own} is this tracer itself")),
    ] {
        let error = resolve(&[(SelectorKind::Pid, pid)]).unwrap_err();
        assert_eq!(error.message, message);
    }
    for text in ["0", "", "99999999999", "7,0"] {
        assert!(Selector::default().add(SelectorKind::Pid, text).is_err());
    }
}

#[test]
fn name_given_as_a_pid_stands_for_the_processes_of_now() {
    let (_directory, path) = program("named-as-a-pid");
    let first = Waiting::start(&path);
    let other = Waiting::start(std::path::Path::new("/bin/cat"));
    let pid = other.0.id().to_string();
    let selection = resolve(&[
        (SelectorKind::Pid, "named-as-a-pid"),
        (SelectorKind::Pid, &pid),
    ]);
    let selection = selection.unwrap();
    let _later = Waiting::start(&path);
    let mut pids = [first.0.id(), other.0.id()];
    pids.sort_unstable();
    assert_eq!(scanned(&selection), pids);
    assert!(!selection.can_grow());
    assert!(
        resolve(&[(SelectorKind::Name, "named-as-a-pid")])
            .unwrap()
            .can_grow()
    );
    let error = resolve(&[(SelectorKind::Pid, "no-such-name")]).unwrap_err();
    assert_eq!(error.message, "no process is named `no-such-name`");
    assert!(error.hint.unwrap().contains("`--wait --name no-such-name`"));
    let several = selector(&[(SelectorKind::Pid, "801,823 7")]);
    assert_eq!(several.pids, [801, 823, 7]);
}

#[test]
fn pattern_of_kernel_threads_alone_is_told_so() {
    let selection = resolve(&[(SelectorKind::Name, "kthreadd")]).unwrap();
    assert!(scanned(&selection).is_empty());
    let why = selection.nothing_matches();
    assert_eq!(
        why.message,
        "`--name kthreadd` matches only pid 2 (`kthreadd`), a kernel thread"
    );
    let many = resolve(&[(SelectorKind::Name, "kworker/*")]);
    // The name is a path for a shell, but a kernel thread may have it.
    assert!(many.is_ok());
}

#[test]
fn this_process_exited_ones_and_kernel_threads_are_left_out() {
    let mut child = Waiting::start(std::path::Path::new("/bin/cat"));
    let process = crate::target::Process::open(child.0.id()).unwrap();
    child.0.kill().unwrap();
    while process.is_alive() {
        std::thread::yield_now();
    }
    let all = pids_of(&[(SelectorKind::Name, "*")]);
    assert!(!all.contains(&std::process::id()));
    assert!(!all.contains(&child.0.id()));
    assert!(!all.contains(&2));
    assert!(all.contains(&1));
}

#[test]
fn scan_survives_processes_that_come_and_go() {
    let (_directory, path) = program("coming-and-going");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let stopped = || stop.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stopped() {
                let null = || std::process::Stdio::null();
                let mut child = start(Command::new(&path).stdin(null()).stdout(null()));
                assert!(child.wait().unwrap().success());
            }
        });
        let selection = resolve(&[(SelectorKind::Exe, text(&path))]).unwrap();
        let by_name = resolve(&[(SelectorKind::Name, "coming-and-going")]).unwrap();
        for _ in 0..50 {
            for found in selection.scan().unwrap() {
                // Never half of one program and half of the next.
                assert!(by_name.matches(&found), "{found:?}");
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn scan_of_others_finds_all_but_the_known() {
    let (_directory, path) = program("of-others");
    let known = Waiting::start(&path);
    let selection = resolve(&[(SelectorKind::Exe, text(&path))]).unwrap();
    let others = |known: u32| -> Vec<u32> {
        let others = selection.scan_others(&|pid| pid == known).unwrap();
        others.iter().map(|process| process.pid).collect()
    };
    assert!(others(known.0.id()).is_empty());
    // A file that was deleted before it was selected is recognised by its path.
    let second = Waiting::start(&path);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let selection = resolve(&[(SelectorKind::Exe, text(&path))]).unwrap();
    let others = selection.scan_others(&|pid| pid == known.0.id()).unwrap();
    assert_eq!(others.len(), 1, "{others:?}");
    assert_eq!(others[0].pid, second.0.id());
    assert_eq!(others[0], *selection.scan().unwrap().last().unwrap());
}

#[test]
fn nothing_selected_and_too_much_are_refused() {
    let error = Selector::default().resolve().unwrap_err();
    assert_eq!(error.message, "no process is selected");
    assert!(error.hint.is_some());
    let mut many = Selector::default();
    for pid in 1..=1024 {
        many.add(SelectorKind::Pid, &pid.to_string()).unwrap();
    }
    assert!(many.add(SelectorKind::Pid, "7").is_err());
}

#[test]
fn hostile_names_are_shown_as_escapes() {
    let (_directory, path) = program("x\u{1b}[2J y");
    let child = Waiting::start(&path);
    let selection = resolve(&[(SelectorKind::Name, "x\u{1b}*")]).unwrap();
    let found = selection.scan().unwrap();
    assert_eq!(
        selection.report(&found).to_string(),
        format!(
            "1 process matches --name 'x\\u{{1b}}*': {} x\\u{{1b}}[2J y",
            child.0.id()
        )
    );
}
