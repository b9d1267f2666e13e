//! The choice of processes in the terminal UI, when the command line names none.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;

use super::failure::CommandFailure;
use crate::base::diagnostic::Diagnostic;
use crate::target::select::{KnownContainers, ProcessFacts, Selector};
use crate::target::{ListedProcess, has_debug_info, list_processes};
use crate::tui::{self, KnownValues, Matching, ProcessEntry, ProcessLister, UiOptions};

/// Digits of a container's id that stand for it, as runtimes show it.
const SHORT_ID: usize = 12;
/// Executables that are remembered.
const EXECUTABLES: usize = 10_000;
/// Endings of the units of systemd that have processes.
const UNITS: [&str; 3] = [".service", ".scope", ".slice"];

/// Lets the user choose. `None` when they leave.
pub(super) fn choose(options: &UiOptions) -> Result<Option<Selector>, CommandFailure> {
    let lister = MachineProcesses {
        users: users(),
        ..MachineProcesses::default()
    };
    tui::pick_processes(lister, options)
        .map_err(|error| CommandFailure::new(crate::base::causes::chain(&error)))
}

/// The processes of this machine.
#[derive(Default)]
struct MachineProcesses {
    users: BTreeMap<u32, String>,
    /// CPU time of each process, with its start, at the last look.
    ticks: BTreeMap<(u32, u64), u64>,
    looked: Option<Instant>,
    /// Executables, by device, number and time of change, that were looked into.
    debug_info: BTreeMap<(u64, u64, i64), bool>,
}

impl ProcessLister for MachineProcesses {
    fn list(&mut self) -> (Vec<ProcessEntry>, KnownValues) {
        let listed = list_processes();
        let (known, mut places) = self.known(&listed);
        let hertz = clock_ticks_per_second() as f64;
        let since = self
            .looked
            .replace(Instant::now())
            .map(|then| then.elapsed());
        let before = std::mem::take(&mut self.ticks);
        let up = uptime();
        let mut entries = Vec::new();
        for process in listed {
            let key = (process.pid, process.start_ticks);
            self.ticks.insert(key, process.cpu_ticks);
            let used = before
                .get(&key)
                .map(|used| process.cpu_ticks.saturating_sub(*used));
            let cpu = used
                .zip(since)
                .map(|(used, since)| used as f64 / hertz / since.as_secs_f64());
            let started = Duration::from_secs_f64(process.start_ticks as f64 / hertz);
            entries.push(ProcessEntry {
                pid: process.pid,
                name: process.name,
                command: process.command,
                user: self.user(process.uid),
                debug_info: self.debug_info(process.pid),
                cpu,
                age: up.saturating_sub(started),
                threads: process.threads,
                place: places.remove(&process.pid).unwrap_or_default(),
            });
        }
        // Processes whose lines can be probed come first.
        entries.sort_by_key(|entry| entry.debug_info != Some(true));
        (entries, known)
    }

    fn matching(&mut self, selector: &Selector) -> Result<Matching, Diagnostic> {
        let missing = match selector.resolve() {
            Ok(selection) => {
                let found = selection.scan()?;
                if !found.is_empty() {
                    let pids = found.iter().map(|process| process.pid);
                    return Ok(Matching::Now(pids.collect()));
                }
                selection.nothing_matches()
            }
            Err(error) => error,
        };
        let awaited = Selector {
            wait: true,
            ..selector.clone()
        };
        match awaited.resolve() {
            Ok(selection) if selection.can_grow() => Ok(Matching::Later(missing)),
            _ => Err(missing),
        }
    }
}

impl MachineProcesses {
    fn user(&self, uid: u32) -> String {
        let name = self.users.get(&uid).cloned();
        name.unwrap_or_else(|| uid.to_string())
    }

    /// Looks into each executable once, until it changes.
    fn debug_info(&mut self, pid: u32) -> Option<bool> {
        let file = std::fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        let key = (file.dev(), file.ino(), file.mtime());
        if self.debug_info.len() > EXECUTABLES {
            self.debug_info.clear();
        }
        if let Some(known) = self.debug_info.get(&key) {
            return Some(*known);
        }
        // A process that ends meanwhile says nothing about its executable.
        let found = has_debug_info(pid)?;
        self.debug_info.insert(key, found);
        Some(found)
    }

    /// The values that processes have, and the container or unit of each process.
    fn known(&self, listed: &[ListedProcess]) -> (KnownValues, BTreeMap<u32, String>) {
        let mut places = BTreeMap::new();
        let containers = KnownContainers::read(Path::new("/"));
        let mut values: [BTreeSet<String>; 7] = Default::default();
        let [names, exes, units, cgroups, running, pods, users] = &mut values;
        for facts in listed.iter().filter_map(|one| ProcessFacts::read(one.pid)) {
            names.insert(facts.name());
            let path = facts.executable.path.to_string_lossy().into_owned();
            if !path.is_empty() && !facts.executable.deleted {
                exes.insert(path);
            }
            users.insert(self.user(facts.uid));
            let below_root = |path: &&str| *path != "/";
            cgroups.extend(facts.cgroup().filter(below_root).map(str::to_owned));
            let parts = facts.cgroups.iter().flat_map(|one| one.path.split('/'));
            let of_units = parts.filter(|part| UNITS.iter().any(|end| part.ends_with(end)));
            let of_units: Vec<&str> = of_units.collect();
            units.extend(of_units.iter().map(|unit| (*unit).to_owned()));
            // A slice is no more than a group of units.
            let unit = of_units.iter().rev().find(|unit| !unit.ends_with(".slice"));
            if let Some(unit) = unit {
                let unit = unit.strip_suffix(".service").unwrap_or(unit);
                places.insert(facts.pid, unit.to_owned());
            }
            let Some(id) = facts.container_id() else {
                continue;
            };
            let record = containers.get(id);
            let short = id.get(..SHORT_ID).unwrap_or(id);
            let container = record.map_or(short, |one| one.name()).to_owned();
            places.insert(facts.pid, container.clone());
            running.insert(container);
            let pod = record.and_then(|record| record.pod.as_ref());
            pods.extend(pod.map(|pod| pod.name.clone()));
        }
        let [names, exes, units, cgroups, containers, pods, users] =
            values.map(|values| values.into_iter().collect());
        let known = KnownValues {
            names,
            exes,
            units,
            cgroups,
            containers,
            pods,
            users,
        };
        (known, places)
    }
}

/// Time since the boot, as the starts of processes count it.
fn uptime() -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split(' ').next().and_then(|text| text.parse().ok());
    Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or_default()
}

/// Names of users by their ids, as the machine's own list has them.
fn users() -> BTreeMap<u32, String> {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    text.lines().filter_map(user).collect()
}
