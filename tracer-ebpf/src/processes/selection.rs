//! Decides which processes are members: at each executed program, and at each hit.
//!
//! The file and the name of a program are checked when it is executed. Cgroup and user may change
//! while it runs, so each hit checks them. A running process that is not a member is checked at its
//! hits, so its first hit counts, too: a process that was there before the session, one that has
//! just changed its cgroup, user or name, or a rule that has just been added. The verdict on files
//! and names is remembered until the process executes another program, changes its name, or rules
//! are added.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{
    bpf_find_vma, bpf_get_current_ancestor_cgroup_id, bpf_get_current_cgroup_id,
    bpf_get_current_task_btf, bpf_loop, bpf_probe_read_kernel,
};
use aya_ebpf::macros::{map, raw_tracepoint};
use aya_ebpf::maps::{Array, HashMap, LruHashMap};
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::forks::{EXECUTED, FOUND, MATCHED};
use tracer_common::limits::{
    MAX_CGROUP_DEPTH, MAX_CGROUP_VERDICTS, MAX_CGROUPS, MAX_EXES, MAX_NAMES, MAX_REJECTED,
    MAX_USERS,
};
use tracer_common::selection::{
    BY_CGROUP, BY_EXE, BY_NAME, BY_PID, BY_USER, CHOSEN, InodeKey, Member, RULES, Rejection,
    SelectionState, UNMATCHED,
};

use super::members::{self, Change, Joined, MEMBERS};
use super::names::{self, Match};
use super::places;
use super::running::{
    current, initial, layout, leader, number_of, read_half, read_word, rule, thread,
};

/// Magic number of overlayfs (`OVERLAYFS_SUPER_MAGIC`).
const OVERLAYFS: u32 = 0x794c_7630;

/// State of the rules.
#[map(name = "SELECTION_STATE")]
static STATE: Array<SelectionState> = Array::with_max_entries(1, 0);

/// Files to select by.
#[map(name = "EXES")]
static EXES: HashMap<InodeKey, u32> = HashMap::with_max_entries(MAX_EXES, 0);

/// Cgroups to select by, with those below them.
#[map(name = "CGROUPS")]
static CGROUPS: HashMap<u64, u32> = HashMap::with_max_entries(MAX_CGROUPS, 0);

/// Users to select by.
#[map(name = "USERS")]
static USERS: HashMap<u32, u32> = HashMap::with_max_entries(MAX_USERS, 0);

/// Processes whose program matches no file or no name. The loader sets the size.
#[map(name = "REJECTED")]
static REJECTED: LruHashMap<u32, Rejection> = LruHashMap::with_max_entries(MAX_REJECTED, 0);

/// Verdicts on cgroups: twice the generation, plus 1 if the cgroup matches. The loader sets the
/// size.
#[map(name = "CGROUP_VERDICTS")]
static VERDICTS: LruHashMap<u64, u64> = LruHashMap::with_max_entries(MAX_CGROUP_VERDICTS, 0);

/// The answer of [`identify`].
#[map(name = "IDENTITY")]
static IDENTITY: Array<InodeKey> = Array::with_max_entries(1, 0);

/// True if the session asks for processes by this kind of rule.
#[inline(always)]
fn asks(kinds: u32) -> bool {
    members::selection().kinds & kinds != 0
}

/// True if the hits of the current process count.
#[inline(never)]
pub fn is_member() -> bool {
    let process = current();
    if members::selection().mode != RULES {
        return members::contains(process);
    }
    match MEMBERS.get_ptr_mut(process) {
        Some(member) => holds(member),
        None => !asks(BY_PID) && found(process),
    }
}

/// True if a member is in a cgroup and has a user of the rules.
#[inline(always)]
fn holds(member: *mut Member) -> bool {
    // SAFETY: a map value. Other threads may write the same fields, each with one store, and only
    // values that match.
    unsafe {
        if asks(BY_PID) && (*member).flags & UNMATCHED != 0 {
            return false;
        }
        if asks(BY_CGROUP) {
            let cgroup = bpf_get_current_cgroup_id();
            if cgroup != (&raw const (*member).cgroup).read_volatile() {
                if !cgroup_matches(cgroup) {
                    return false;
                }
                (&raw mut (*member).cgroup).write_volatile(cgroup);
            }
        }
        if asks(BY_USER) {
            let user = current_user();
            if user != (&raw const (*member).user).read_volatile() {
                if !user_matches(user) {
                    return false;
                }
                (&raw mut (*member).user).write_volatile(user);
            }
        }
    }
    true
}

/// Checks a process that is not a member. Returns true if it has become one.
#[inline(never)]
fn found(process: u32) -> bool {
    if process == 0 || generation() == 0 || !changing_rules_match() {
        return false;
    }
    match program_matches(process) {
        Match::Yes => {}
        Match::No => return false,
        Match::Unknown => {
            members::miss_hit();
            return false;
        }
    }
    if members::join(0, &change(FOUND, process)) == Joined::No {
        members::miss_hit();
        return false;
    }
    true
}

/// Decides about a process that has executed a program. Runs before the program does.
#[inline(never)]
pub fn executed(process: u32) {
    if process == 0 {
        return;
    }
    forget(process);
    let flags = members::flags(process);
    if flags.is_some() {
        // The modules of the new program are elsewhere.
        places::forget(process);
    }
    let is_chosen = flags.is_some_and(|flags| flags & CHOSEN != 0);
    let matches = (is_chosen || !asks(BY_PID))
        && (asks(BY_PID) || generation() != 0)
        && changing_rules_match()
        && program_matches(process) == Match::Yes;
    if let Some(flags) = flags
        && is_chosen
    {
        stay(process, flags, matches);
        return;
    }
    members::leave(process);
    if matches {
        // If there is no room, the program's hits find out whether there is some then.
        let _joined = members::join(0, &change(MATCHED, process));
    } else if flags.is_some() && !members::send(&change(EXECUTED, process)) {
        members::miss_process();
    }
}

/// Notes whether the new program of a chosen process matches.
#[inline(always)]
fn stay(process: u32, flags: u32, matches: bool) {
    if let Some(member) = MEMBERS.get_ptr_mut(process) {
        let matched = if matches { 0 } else { UNMATCHED };
        // SAFETY: a map value. The process has no other thread that could write it.
        unsafe { (*member).flags = flags & !UNMATCHED | matched };
    }
    let kind = if matches { MATCHED } else { EXECUTED };
    if !members::send(&change(kind, process)) {
        members::miss_process();
    }
}

/// A change of the current process.
#[inline(always)]
fn change(kind: u32, process: u32) -> Change {
    Change {
        kind,
        process,
        initial: initial(),
        parent: if kind == EXECUTED { 0 } else { parent() },
    }
}

/// Id of the parent of the current process in the tracer's pid namespace; 0 if it has none there.
#[inline(never)]
fn parent() -> u32 {
    number_of(read_word(leader(), rule!(real_parent)))
}

/// True if a verdict on the process is remembered.
#[inline(always)]
pub fn is_rejected(process: u32) -> bool {
    // SAFETY: the value is not read.
    asks(BY_EXE | BY_NAME) && unsafe { REJECTED.get(process) }.is_some()
}

/// Forgets the verdict on a process.
#[inline(always)]
pub fn forget(process: u32) {
    if asks(BY_EXE | BY_NAME) {
        let _gone = REJECTED.remove(process);
    }
}

/// Increases with each added rule; 0 before the rules are in force.
#[inline(always)]
fn generation() -> u64 {
    STATE.get(0).map_or(0, |state| state.generation)
}

/// True if the cgroup and the user of the current process match.
#[inline(never)]
fn changing_rules_match() -> bool {
    if asks(BY_USER) && !user_matches(current_user()) {
        return false;
    }
    // SAFETY: the helper takes no arguments.
    !asks(BY_CGROUP) || cgroup_matches(unsafe { bpf_get_current_cgroup_id() })
}

/// True if the file and the name of the current process's program match.
#[inline(never)]
fn program_matches(process: u32) -> Match {
    if !asks(BY_EXE | BY_NAME) {
        return if asks(BY_CGROUP | BY_USER | BY_PID) {
            Match::Yes
        } else {
            Match::No
        };
    }
    let Some(state) = STATE.get(0) else {
        return Match::Unknown;
    };
    let mut verdict = Rejection {
        generation: state.generation,
        comm: [0; 2],
    };
    if verdict.generation == 0 {
        return Match::No;
    }
    if asks(BY_NAME) {
        let comm = leader().wrapping_add(u64::from(rule!(comm)));
        // SAFETY: two words have the 16 bytes of a `comm`. The kernel checks the address.
        unsafe {
            bpf_probe_read_kernel((&raw mut verdict.comm).cast(), 16, comm as *const _);
        }
    }
    if is_remembered(process, &verdict) {
        return Match::No;
    }
    let mut matches = if asks(BY_EXE) {
        exe_matches()
    } else {
        Match::Yes
    };
    if asks(BY_NAME) && matches == Match::Yes {
        matches = names::current_matches((state.names as u32).min(MAX_NAMES));
    }
    if matches == Match::No {
        remember(process, &verdict);
    }
    matches
}

/// True if this is the last verdict on the process.
#[inline(never)]
fn is_remembered(process: u32, verdict: &Rejection) -> bool {
    // SAFETY: the value is read at once.
    unsafe { REJECTED.get(process) }.is_some_and(|last| last == verdict)
}

/// Remembers a verdict. Without room, the rules are asked again.
#[inline(never)]
fn remember(process: u32, verdict: &Rejection) {
    let _remembered = REJECTED.insert(process, verdict, 0);
}

/// True if the current process executes a file of the rules.
#[inline(never)]
fn exe_matches() -> Match {
    let mut key = InodeKey::default();
    if !current_exe(&mut key) {
        return Match::Unknown;
    }
    // SAFETY: the value is not read.
    if unsafe { EXES.get(key) }.is_some() {
        Match::Yes
    } else {
        Match::No
    }
}

/// Gets the file that the current process executes. On overlayfs, that is the file below, which the
/// process has mapped. Never waits: returns false while the mappings change.
#[inline(always)]
fn current_exe(key: &mut InodeKey) -> bool {
    let mm = read_word(thread(), layout!(mm));
    let inode = read_word(read_word(mm, rule!(exe_file)), rule!(f_inode));
    let system = read_word(inode, rule!(i_sb));
    if read_half(system, rule!(s_magic)) == OVERLAYFS {
        return mapped_file(read_word(mm, rule!(start_code)), key);
    }
    describe(inode, key);
    true
}

/// Gets the identity of an inode.
#[inline(always)]
fn describe(inode: u64, key: &mut InodeKey) {
    key.inode = read_word(inode, rule!(i_ino));
    key.device = u64::from(read_half(read_word(inode, rule!(i_sb)), rule!(s_dev)));
}

/// Gets the file that the current process has mapped at an address.
#[inline(always)]
fn mapped_file(address: u64, key: &mut InodeKey) -> bool {
    // SAFETY: the callback has the signature that the kernel expects, and gets the key.
    let found = unsafe {
        bpf_find_vma(
            bpf_get_current_task_btf(),
            address,
            file_of as *mut c_void,
            core::ptr::from_mut(key).cast(),
            0,
        )
    };
    found == 0
}

/// The kernel calls this with the mapping that it found.
unsafe extern "C" fn file_of(_task: *mut c_void, mapping: u64, key: *mut InodeKey) -> i64 {
    let inode = read_word(read_word(mapping, rule!(vm_file)), rule!(f_inode));
    // SAFETY: the kernel passes on the argument of `bpf_find_vma`.
    describe(inode, unsafe { &mut *key });
    0
}

/// Effective user of the current process, by its first thread as in `/proc/PID/status`.
#[inline(always)]
fn current_user() -> u32 {
    read_half(read_word(leader(), rule!(real_cred)), rule!(euid))
}

/// True if the rules name the user.
#[inline(always)]
fn user_matches(user: u32) -> bool {
    // SAFETY: the value is not read.
    unsafe { USERS.get(user) }.is_some()
}

/// True if the rules name the cgroup of the current process, or one above it.
#[inline(never)]
fn cgroup_matches(cgroup: u64) -> bool {
    let generation = generation();
    // SAFETY: the value is read at once.
    if let Some(&verdict) = unsafe { VERDICTS.get(cgroup) }
        && verdict >> 1 == generation
    {
        return verdict & 1 != 0;
    }
    let mut matches = 0_u64;
    // SAFETY: the callback has the signature that the kernel expects, and gets the number.
    let now = unsafe {
        bpf_loop(
            MAX_CGROUP_DEPTH,
            ancestor as *mut _,
            (&raw mut matches).cast(),
            0,
        );
        bpf_get_current_cgroup_id()
    };
    // The process may have just moved.
    if now == cgroup {
        let _remembered = VERDICTS.insert(cgroup, generation << 1 | matches, 0);
    }
    matches != 0
}

/// The kernel calls this for each level, from the root on. 1 ends its loop.
unsafe extern "C" fn ancestor(level: u32, matches: *mut u64) -> i64 {
    // SAFETY: the helper takes any number. The value is not read. The kernel passes on the argument
    // of `bpf_loop`.
    unsafe {
        let cgroup = bpf_get_current_ancestor_cgroup_id(level as i32);
        if cgroup == 0 {
            return 1;
        }
        if CGROUPS.get(cgroup).is_some() {
            *matches = 1;
            return 1;
        }
    }
    0
}

/// Gets the identity of the file that the tracer has mapped at an address. Userspace runs this
/// program, which is attached to nothing.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn identify(ctx: RawTracePointContext) -> i32 {
    let address: u64 = ctx.arg(0);
    let mut key = InodeKey::default();
    if !mapped_file(address, &mut key) {
        return 1;
    }
    let Some(identity) = IDENTITY.get_ptr_mut(0) else {
        return 1;
    };
    // SAFETY: a map value. Userspace runs one such program at a time.
    unsafe { *identity = key };
    0
}
