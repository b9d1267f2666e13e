//! Gives up the privileges that no command needs, before any data of the target is read.
//!
//! A mistake in a parser of the target's files then does not have all of root's power. The
//! remaining privileges include those for later probes: the terminal UI and files of probes add
//! them at any time.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

use crate::base::user_thread::{ThreadUser, UserThread};
use crate::kernel::{MULTI_LINKS, kernel_release};
use crate::target::launch::LaunchUser;

/// Capabilities that commands need: eBPF, uprobes, `/proc` of other users' processes, files that
/// only their owner may read, and the files that a process has mapped (`map_files`).
const KEPT: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::CHECKPOINT_RESTORE);

/// Writes files for the user who called `sudo`, `pkexec` or `doas`.
static USER: OnceLock<Arc<UserThread>> = OnceLock::new();

/// Starts the thread that writes files for the user who had this process run as root, if somebody did. To be called while this
/// process may still become that user. Without it, files are written with what is left of root's rights.
pub(super) fn start_user_thread() {
    let Ok(Some(user)) = LaunchUser::of_invoker() else {
        return;
    };
    let home = user.home().map(PathBuf::from);
    let started = UserThread::start(ThreadUser {
        uid: user.uid,
        gid: user.gid,
        groups: user.groups,
        home,
    });
    match started {
        Ok(thread) => drop(USER.set(Arc::new(thread))),
        Err(error) => tracing::debug!(%error, "files will be those of root"),
    }
}

/// The thread, if there is one.
pub(super) fn user_thread() -> Option<Arc<UserThread>> {
    USER.get().cloned()
}

/// Keeps the privileges that commands need, of those that this process has. Only the calling thread
/// loses the others, and the threads that it starts later. The thread for the user's files is there
/// already, and has those of the user. A program that was launched as another user is sent
/// `signals`.
pub(super) fn give_up(perf_events: bool, signals: bool) {
    // Perf events want it.
    let kept = if perf_events || kernel_release() < MULTI_LINKS {
        KEPT | CapabilitySet::SYS_ADMIN
    } else {
        KEPT
    };
    let kept = match signals {
        true => kept | CapabilitySet::KILL,
        false => kept,
    };
    if let Err(error) = keep(kept) {
        // The privileges stay as they were: more than needed, and nothing fails for it.
        tracing::debug!(%error, "privileges are kept");
    }
}

fn keep(kept: CapabilitySet) -> rustix::io::Result<()> {
    // The process executes no program that could need more.
    set_no_new_privs(true)?;
    let now = capabilities(None)?;
    // Only SETPCAP may change the bounding set. Without it there is no privilege to gain either.
    if now.effective.contains(CapabilitySet::SETPCAP) {
        for number in 0..u64::BITS {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            if kept.contains(capability) {
                continue;
            }
            match remove_capability_from_bounding_set(capability) {
                // The kernel knows no more of them.
                Err(Errno::INVAL) => break,
                result => result?,
            }
        }
    }
    set_capabilities(
        None,
        CapabilitySets {
            effective: now.effective & kept,
            permitted: now.permitted & kept,
            inheritable: now.inheritable & kept,
        },
    )
}
