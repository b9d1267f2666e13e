//! The thread pointers of a process's threads, from the lists that glibc keeps for debuggers.
//!
//! All of it is the memory of the target, which changes while it is read. So each entry is checked: the descriptor of a
//! thread points to itself, and its thread is there.

use std::collections::BTreeMap;
use std::fs;

use crate::debuginfo::thread_db::ThreadList;
use crate::session::sites::modules::Modules;

/// Threads that are read of one process.
const MAX_THREADS: usize = 1 << 12;
/// Offset in the descriptor of a thread of the pointer to itself.
const SELF: u64 = 16;

/// A thread of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::session) struct FoundThread {
    /// Its id, as seen from our own pid namespace.
    pub(in crate::session) id: u32,
    /// The address of its thread-local storage.
    pub(in crate::session) pointer: u64,
}

/// The threads of a process. `None` if its C library has no such lists.
pub(in crate::session) fn threads(pid: u32, modules: &Modules) -> Option<Vec<FoundThread>> {
    let (mut list, mut linker) = (None, None);
    for module in modules.mapped() {
        let Ok(debug) = module.debug() else {
            continue;
        };
        list = list.or_else(|| debug.thread_list());
        let data = debug.linker_data().zip(module.bias());
        linker = linker.or(data.map(|(data, bias)| bias.run(data).0));
    }
    let (list, linker) = (list?, linker?);
    let ids = ids(pid);
    let word = |address: u64| modules.words(&[address]).into_iter().next().flatten();
    let mut found = Vec::new();
    for head in list.heads {
        let head = linker.wrapping_add(head);
        let mut element = word(head.wrapping_add(list.next));
        // Each step is counted, since the list may be a circle without its head by now.
        for _ in 0..MAX_THREADS {
            let Some(at) = element.filter(|at| *at != head) else {
                break;
            };
            found.extend(thread_at(at, &list, &ids, &word));
            element = word(at.wrapping_add(list.next));
        }
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

/// The thread with an element of the lists.
fn thread_at(
    element: u64,
    list: &ThreadList,
    ids: &BTreeMap<u32, u32>,
    word: &dyn Fn(u64) -> Option<u64>,
) -> Option<FoundThread> {
    let pointer = element.wrapping_sub(list.element);
    let itself = word(pointer.wrapping_add(SELF))?;
    let id = u32::try_from(word(pointer.wrapping_add(list.id))? & u64::from(u32::MAX)).ok()?;
    let id = *ids.get(&id).filter(|_| itself == pointer)?;
    Some(FoundThread { id, pointer })
}

/// The ids of a process's threads, sorted. Empty if it has ended.
pub(in crate::session) fn thread_ids(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let names = tasks.into_iter().flatten().flatten();
    let ids = names.filter_map(|task| task.file_name().to_str()?.parse().ok());
    let mut ids: Vec<u32> = ids.collect();
    ids.sort_unstable();
    ids
}

/// The ids of a process's threads: as seen from our own pid namespace, by those that the process itself sees.
fn ids(pid: u32) -> BTreeMap<u32, u32> {
    let ids = thread_ids(pid).into_iter().filter_map(|id| {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{id}/status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        Some((line.split_whitespace().next_back()?.parse().ok()?, id))
    });
    ids.collect()
}
