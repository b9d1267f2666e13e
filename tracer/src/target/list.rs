//! The processes of this machine, for the picker and for `--pid NAME`.

use std::fs;
use std::os::unix::fs::MetadataExt;

use object::Object as _;

use super::{TargetError, status_field};

/// One process that could be a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedProcess {
    /// Its pid.
    pub pid: u32,
    /// Its name, which it chooses itself (at most 15 bytes).
    pub name: String,
    /// Its arguments, joined by spaces; empty if they may not be read.
    pub command: String,
    /// Numeric id of the user that it runs as.
    pub uid: u32,
    /// Its threads.
    pub threads: u32,
    /// The CPU time that it has used, in clock ticks.
    pub cpu_ticks: u64,
    /// When it was started, in clock ticks after the boot.
    pub start_ticks: u64,
}

/// Returns every process with a program, by pid. Kernel threads and this process are left out.
#[must_use]
pub fn list_processes() -> Vec<ListedProcess> {
    let Ok(directory) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut entries: Vec<ListedProcess> = directory
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| pid != std::process::id())
        .filter_map(entry)
        .collect();
    entries.sort_by_key(|entry| entry.pid);
    entries
}

fn entry(pid: u32) -> Option<ListedProcess> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    // Kernel threads and zombies have no memory.
    status_field(&status, "VmSize")?;
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command: Vec<String> = command
        .split(|&byte| byte == 0)
        .filter(|argument| !argument.is_empty())
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name before it can have any character.
    let (_, numbers) = stat.rsplit_once(") ")?;
    let numbers: Vec<&str> = numbers.split(' ').collect();
    let number = |field: usize| numbers.get(field - 3)?.parse::<u64>().ok();
    Some(ListedProcess {
        threads: number(20)?.try_into().ok()?,
        cpu_ticks: number(14)?.saturating_add(number(15)?),
        start_ticks: number(22)?,
        pid,
        name: status_field(&status, "Name")?.to_owned(),
        command: command.join(" "),
        uid: fs::metadata(format!("/proc/{pid}")).ok()?.uid(),
    })
}

/// Returns the pid of the only process whose name or executable's file name is `name`.
///
/// # Errors
/// Fails if no process or more than one has the name.
pub fn process_by_name(name: &str) -> Result<u32, TargetError> {
    let matches = |entry: &ListedProcess| {
        entry.name == name || executable_name(entry.pid).as_deref() == Some(name)
    };
    let pids: Vec<u32> = list_processes()
        .iter()
        .filter(|entry| matches(entry))
        .map(|entry| entry.pid)
        .collect();
    match pids.as_slice() {
        [] => Err(TargetError::NoSuchName {
            name: name.to_owned(),
        }),
        [pid] => Ok(*pid),
        _ => Err(TargetError::AmbiguousName {
            name: name.to_owned(),
            pids,
        }),
    }
}

/// Returns true if the executable of a process contains DWARF, or `None` if the executable cannot
/// be read.
///
/// Only the section headers are read. Separate debug files are not looked for.
#[must_use]
pub fn has_debug_info(pid: u32) -> Option<bool> {
    let file = fs::File::open(format!("/proc/{pid}/exe")).ok()?;
    let cache = object::ReadCache::new(file);
    let elf = object::File::parse(&cache).ok()?;
    let there = |name| elf.section_by_name(name).is_some();
    Some(there(".debug_info") || there(".zdebug_info"))
}

fn executable_name(pid: u32) -> Option<String> {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(
        super::without_deleted(&exe)
            .file_name()?
            .to_str()?
            .to_owned(),
    )
}
