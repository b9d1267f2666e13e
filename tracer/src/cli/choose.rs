//! The choice of processes in the terminal UI, when the command line names none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::failure::CommandFailure;
use crate::base::diagnostic::Diagnostic;
use crate::target::select::{KnownContainers, ProcessFacts, Selector};
use crate::target::{ListedProcess, has_debug_info, list_processes};
use crate::tui::{self, KnownValues, Matching, ProcessEntry, ProcessLister, UiOptions};

/// Digits of a container's id that stand for it, as runtimes show it.
const SHORT_ID: usize = 12;
/// Endings of the units of systemd that have processes.
const UNITS: [&str; 3] = [".service", ".scope", ".slice"];

/// Lets the user choose. `None` when they leave.
pub(super) fn choose(options: &UiOptions) -> Result<Option<Selector>, CommandFailure> {
    let lister = MachineProcesses { users: users() };
    tui::pick_processes(lister, options)
        .map_err(|error| CommandFailure::new(crate::base::causes::chain(&error)))
}

/// The processes of this machine.
struct MachineProcesses {
    users: BTreeMap<u32, String>,
}

impl ProcessLister for MachineProcesses {
    fn list(&mut self) -> (Vec<ProcessEntry>, KnownValues) {
        let listed = list_processes();
        let known = self.known(&listed);
        let entry = |process: ListedProcess| ProcessEntry {
            pid: process.pid,
            name: process.name,
            command: process.command,
            user: self.user(process.uid),
            debug_info: has_debug_info(process.pid),
        };
        let mut entries: Vec<ProcessEntry> = listed.into_iter().map(entry).collect();
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

    /// The values that processes have.
    fn known(&self, listed: &[ListedProcess]) -> KnownValues {
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
            units.extend(of_units.map(str::to_owned));
            let Some(id) = facts.container_id() else {
                continue;
            };
            let record = containers.get(id);
            let short = id.get(..SHORT_ID).unwrap_or(id);
            running.insert(record.map_or(short, |one| one.name()).to_owned());
            let pod = record.and_then(|record| record.pod.as_ref());
            pods.extend(pod.map(|pod| pod.name.clone()));
        }
        let [names, exes, units, cgroups, containers, pods, users] =
            values.map(|values| values.into_iter().collect());
        KnownValues {
            names,
            exes,
            units,
            cgroups,
            containers,
            pods,
            users,
        }
    }
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
