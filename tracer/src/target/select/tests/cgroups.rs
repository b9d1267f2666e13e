//! Selectors by cgroup and unit, on cgroups that the tests make.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::target::tests::Waiting;

/// A cgroup that a test made, removed with all below it when dropped.
pub(super) struct MadeCgroup {
    /// The first directory that was made.
    top: PathBuf,
    /// The last.
    directory: PathBuf,
    /// Path as in `/proc/PID/cgroup`.
    pub(super) path: String,
}

/// Makes a cgroup in a mounted hierarchy. `{}` in its path becomes a number that no other test has.
/// `None` if this machine lets nobody make one.
pub(super) fn make(hierarchy: &str, path: &str) -> Option<MadeCgroup> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = path.replace("{}", &format!("{}x{number}", std::process::id()));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let found = line.contains(hierarchy) && fields[3] == "/";
        found.then(|| PathBuf::from(fields[4]))
    })?;
    let directory = mount.join(&path[1..]);
    let first = path.split('/').nth(1).unwrap();
    match fs::create_dir_all(&directory) {
        Ok(()) => Some(MadeCgroup {
            top: mount.join(first),
            directory,
            path,
        }),
        Err(error) => {
            eprintln!("skipped: cannot make {}: {error}", directory.display());
            None
        }
    }
}

/// Hierarchies that systemd may use, as lines of mounts show them.
const UNIFIED: &str = " - cgroup2 ";
const SYSTEMD: &str = ",name=systemd";

impl MadeCgroup {
    pub(super) fn take(&self, child: &Waiting) {
        let procs = self.directory.join("cgroup.procs");
        fs::write(procs, child.0.id().to_string()).unwrap();
    }
}

impl Drop for MadeCgroup {
    fn drop(&mut self) {
        let mut directory = self.directory.as_path();
        loop {
            // A process that was killed is gone when its parent has waited for it.
            let _ = fs::remove_dir(directory);
            if directory == self.top {
                return;
            }
            directory = directory.parent().unwrap();
        }
    }
}

#[test]
fn cgroup_matches_what_is_in_it_and_below_by_path_and_by_directory() {
    let Some(outer) = make(UNIFIED, "/tracer-{}") else {
        return;
    };
    let name = outer.path.clone();
    let inner = make(UNIFIED, &format!("{name}/below/deep")).unwrap();
    let beside = make(UNIFIED, &format!("{name}-beside")).unwrap();
    let cat = Path::new("/bin/cat");
    let children = [
        Waiting::start(cat),
        Waiting::start(cat),
        Waiting::start(cat),
    ];
    for (cgroup, child) in [&outer, &inner, &beside].into_iter().zip(&children) {
        cgroup.take(child);
    }
    let pids: Vec<u32> = children.iter().map(|child| child.0.id()).collect();
    let slash = format!("{name}/");
    for text in [&*name, &slash, &name[1..], text(&outer.directory)] {
        assert_eq!(
            pids_of(&[(SelectorKind::Cgroup, text)]),
            pids[..2],
            "{text}"
        );
    }
    assert_eq!(pids_of(&[(SelectorKind::Cgroup, &inner.path)]), pids[1..2]);
    let selection = resolve(&[(SelectorKind::Cgroup, &name)]).unwrap();
    let directories = selection.cgroup_directories(SelectorKind::Cgroup);
    let [directory] = directories.as_slice() else {
        panic!("{directories:?}");
    };
    assert_eq!(directory.path, name);
    assert_eq!(directory.directory, outer.directory);
    let metadata = fs::metadata(&outer.directory).unwrap();
    assert_eq!(directory.id, InodeId::from(&metadata).ino);
    let facts = ProcessFacts::read(pids[1]).unwrap();
    assert_eq!(facts.cgroup(), Some(&*inner.path));
    let [.., last] = children;
    drop(last);
    drop(beside);
}

#[test]
fn cgroup_that_is_made_later_can_be_waited_for() {
    let Some(parent) = make(UNIFIED, "/tracer-{}") else {
        return;
    };
    let path = format!("{}/later", parent.path);
    let error = resolve(&[(SelectorKind::Cgroup, &path)]).unwrap_err();
    assert_eq!(error.message, format!("there is no cgroup `{path}`"));
    assert!(error.hint.unwrap().contains("--wait"));
    let waiting = Selector {
        wait: true,
        ..selector(&[(SelectorKind::Cgroup, &path)])
    };
    let mut waiting = waiting.resolve().unwrap();
    let later = make(UNIFIED, &path).unwrap();
    let child = Waiting::start(Path::new("/bin/cat"));
    later.take(&child);
    assert!(scanned(&waiting).is_empty());
    assert!(waiting.refresh());
    assert_eq!(scanned(&waiting), [child.0.id()]);
    drop(child);
    drop(later);
}

#[test]
fn paths_that_leave_the_tree_are_refused() {
    for text in ["", "/a/../b", "/./x", "a\nb"] {
        let added = Selector::default().add(SelectorKind::Cgroup, text);
        assert!(added.is_err(), "{text}");
    }
    // The tests do not run in a directory of a hierarchy.
    for text in ["..", "a/../b"] {
        let found = resolve(&[(SelectorKind::Cgroup, text)]);
        assert!(found.is_err(), "{text}");
    }
}

/// Starts a process in a unit, and checks that the selector finds it in this hierarchy.
fn unit_is_found(hierarchy: &str) {
    let path = "/tracer{}.slice/web@one.service/worker";
    let Some(cgroup) = make(hierarchy, path) else {
        return;
    };
    let child = Waiting::start(Path::new("/bin/cat"));
    cgroup.take(&child);
    let slice = cgroup.path.split('/').nth(1).unwrap();
    for unit in ["web@one.service", "web@one", "web@", "web@*.service", slice] {
        let selection = resolve(&[(SelectorKind::Unit, unit)]).unwrap();
        // The other tests have units of this name, too.
        assert!(scanned(&selection).contains(&child.0.id()), "{unit}");
    }
    let selection = resolve(&[
        (SelectorKind::Unit, "web@one"),
        (SelectorKind::Cgroup, &cgroup.path),
    ]);
    let selection = selection.unwrap();
    assert_eq!(scanned(&selection), [child.0.id()]);
    let unit = cgroup.path.strip_suffix("/worker").unwrap();
    let directories = selection.cgroup_directories(SelectorKind::Unit);
    let found = directories.iter().find(|one| one.path == unit).unwrap();
    assert_eq!(found.directory, cgroup.directory.parent().unwrap());
    assert!(!pids_of(&[(SelectorKind::Unit, "web@two")]).contains(&child.0.id()));
    drop(child);
}

#[test]
fn unit_is_found_in_cgroup_v2() {
    unit_is_found(UNIFIED);
}

#[test]
fn unit_is_found_in_the_hierarchy_of_systemd() {
    unit_is_found(SYSTEMD);
}

#[test]
fn unit_that_does_not_run_matches_nothing_and_says_so() {
    let selection = resolve(&[(SelectorKind::Unit, "tracer-none")]).unwrap();
    assert!(scanned(&selection).is_empty());
    let why = selection.nothing_matches();
    assert_eq!(
        why.message,
        "no process matches `--unit tracer-none.service`"
    );
    assert_eq!(
        selection.waiting().to_string(),
        "waiting for a process in unit tracer-none.service"
    );
}

#[test]
fn process_in_namespaces_of_its_own_is_seen_from_here() {
    if !is_root() {
        return;
    }
    let Some(cgroup) = make(UNIFIED, "/tracer-{}/inside") else {
        return;
    };
    let (_directory, path) = program("in-namespaces");
    // The shell enters the cgroup before its namespace begins there.
    let script = format!(
        "echo $$ > {}/cgroup.procs && exec unshare -m -p -u -C --fork {}",
        cgroup.directory.display(),
        path.display()
    );
    let child = Waiting::spawn(Command::new("sh").args(["-c", &script]));
    let found = resolve(&[
        (SelectorKind::Cgroup, &cgroup.path),
        (SelectorKind::Exe, text(&path)),
    ]);
    let found = found.unwrap().scan().unwrap();
    let [found] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(found.parent, child.0.id());
    // `unshare` alone would leave it running.
    let pid = found.pid.to_string();
    let killed = Command::new("kill").args(["-9", &pid]).status();
    assert!(killed.unwrap().success());
    let mut child = child;
    child.0.wait().unwrap();
}
