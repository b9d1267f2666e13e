//! System calls that aya does not make, or makes only with its own loader: programs, links,
//! maps by the batch, statistics.

use std::ffi::CStr;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use aya_obj::Function;
use aya_obj::generated::{
    bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_prog_info, bpf_prog_type, bpf_stats_type,
};

/// Makes the call, and returns the kernel's answer unless it is an error.
fn call(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<i64> {
    #[expect(unsafe_code, reason = "bpf has no safe wrapper")]
    // SAFETY: the attributes are a whole, initialised union of the given size, and the callers
    // borrow the memory behind its pointers for the time of the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as u32,
            std::ptr::from_mut(attributes),
            size_of::<bpf_attr>(),
        )
    };
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

/// For commands that give a new file descriptor.
fn call_fd(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<OwnedFd> {
    let fd = call(command, attributes)?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "takes ownership of the descriptor")]
    // SAFETY: the kernel just made it for this call, and it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn attributes() -> bpf_attr {
    #[expect(unsafe_code, reason = "a union of plain numbers")]
    // SAFETY: all zeroes are a value of every member of the union.
    unsafe {
        mem::zeroed()
    }
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// Loads BTF.
pub(super) fn load_btf(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut attributes = attributes();
    attributes.__bindgen_anon_7.btf = bytes.as_ptr() as u64;
    attributes.__bindgen_anon_7.btf_size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    call_fd(bpf_cmd::BPF_BTF_LOAD, &mut attributes)
}

/// The kind of program to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProgramKind {
    /// Multi-uprobe links (Linux 6.6).
    MultiUprobe,
    /// Perf-event uprobes.
    Uprobe,
    /// A tracepoint of the kernel.
    RawTracepoint,
    /// Perf events of another kind.
    PerfEvent,
}

/// Loads a program. It may not sleep, so the verifier refuses every helper that does.
///
/// # Errors
/// The kernel's error, and the verifier's log if it has one.
pub(super) fn load(
    function: &Function,
    license: &CStr,
    btf: Option<BorrowedFd<'_>>,
    kind: ProgramKind,
) -> Result<OwnedFd, (io::Error, String)> {
    let func_info = function.func_info.func_info_bytes();
    let line_info = function.line_info.line_info_bytes();
    let load = |log: &mut [u8]| {
        let mut attributes = attributes();
        #[expect(unsafe_code, reason = "a union of plain numbers")]
        // SAFETY: the union was made of zeroes, which are a value of this member.
        let load = unsafe { &mut attributes.__bindgen_anon_3 };
        load.prog_type = match kind {
            ProgramKind::MultiUprobe | ProgramKind::Uprobe => bpf_prog_type::BPF_PROG_TYPE_KPROBE,
            ProgramKind::RawTracepoint => bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT,
            ProgramKind::PerfEvent => bpf_prog_type::BPF_PROG_TYPE_PERF_EVENT,
        } as u32;
        if kind == ProgramKind::MultiUprobe {
            load.expected_attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
        }
        let instructions: &[bpf_insn] = &function.instructions;
        load.insns = instructions.as_ptr() as u64;
        load.insn_cnt = u32::try_from(instructions.len()).map_err(io::Error::other)?;
        load.license = license.as_ptr() as u64;
        if let Some(btf) = btf {
            load.prog_btf_fd = raw(btf);
            load.func_info = func_info.as_ptr() as u64;
            load.func_info_cnt =
                u32::try_from(function.func_info.len()).map_err(io::Error::other)?;
            load.func_info_rec_size =
                u32::try_from(function.func_info_rec_size).map_err(io::Error::other)?;
            load.line_info = line_info.as_ptr() as u64;
            load.line_info_cnt =
                u32::try_from(function.line_info.len()).map_err(io::Error::other)?;
            load.line_info_rec_size =
                u32::try_from(function.line_info_rec_size).map_err(io::Error::other)?;
        }
        // The last byte ends the name.
        let name = b"tracer_".iter().chain(function.name.as_bytes()).take(15);
        for (to, from) in load.prog_name.iter_mut().zip(name) {
            *to = std::ffi::c_char::from_ne_bytes([*from]);
        }
        if !log.is_empty() {
            load.log_level = 1;
            load.log_buf = log.as_mut_ptr() as u64;
            load.log_size = u32::try_from(log.len()).map_err(io::Error::other)?;
        }
        call_fd(bpf_cmd::BPF_PROG_LOAD, &mut attributes)
    };
    load(&mut []).map_err(|error| {
        // Again, with the verifier's log.
        let mut log = vec![0; 1 << 20];
        let _ = load(&mut log);
        let text = log.split(|&byte| byte == 0).next().unwrap_or_default();
        (error, String::from_utf8_lossy(text).into_owned())
    })
}

/// Runs a program at a tracepoint of the kernel, for as long as the link is open.
pub(super) fn link_raw_tracepoint(program: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let mut attributes = attributes();
    attributes.raw_tracepoint.name = name.as_ptr() as u64;
    attributes.raw_tracepoint.prog_fd = raw(program);
    call_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attributes)
}

/// Runs a program for a tracepoint once, in this thread, with these arguments (Linux 5.10). Returns
/// its answer.
pub(super) fn run_raw_tracepoint(program: BorrowedFd<'_>, arguments: &[u64]) -> io::Result<u32> {
    let mut attributes = attributes();
    attributes.test.prog_fd = raw(program);
    attributes.test.ctx_in = arguments.as_ptr() as u64;
    attributes.test.ctx_size_in =
        u32::try_from(size_of_val(arguments)).map_err(io::Error::other)?;
    call(bpf_cmd::BPF_PROG_TEST_RUN, &mut attributes)?;
    #[expect(unsafe_code, reason = "a union of plain numbers")]
    // SAFETY: the kernel wrote this member.
    Ok(unsafe { attributes.test.retval })
}

/// Makes a map read-only for user space. The verifier then treats its contents as constants.
pub(super) fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = attributes();
    attributes.__bindgen_anon_2.map_fd = raw(map);
    call(bpf_cmd::BPF_MAP_FREEZE, &mut attributes).map(drop)
}

/// Writes the one element of a map of globals.
pub(super) fn write_globals(map: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    let key = 0_u32;
    let mut attributes = attributes();
    attributes.__bindgen_anon_2.map_fd = raw(map);
    attributes.__bindgen_anon_2.key = std::ptr::from_ref(&key) as u64;
    attributes.__bindgen_anon_2.__bindgen_anon_1.value = bytes.as_ptr() as u64;
    call(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attributes).map(drop)
}

/// Flag of a multi-uprobe link for the returns of the functions at the offsets.
const BPF_F_UPROBE_MULTI_RETURN: u32 = 1;

/// The places of a multi-uprobe link. Each list has an element for each place.
#[derive(Default)]
pub(super) struct MultiPlaces {
    /// Their file offsets.
    pub(super) offsets: Vec<u64>,
    /// Their attach cookies.
    pub(super) cookies: Vec<u64>,
    /// File offsets of their counters, or 0.
    pub(super) counters: Vec<u64>,
}

/// One link for many sites of one file, or for returns of the functions that begin there (Linux 6.6).
pub(super) fn link_multi(
    program: BorrowedFd<'_>,
    path: &CStr,
    returns: bool,
    pid: u32,
    places: &MultiPlaces,
) -> io::Result<OwnedFd> {
    let MultiPlaces {
        offsets,
        cookies,
        counters,
    } = places;
    debug_assert!(offsets.len() == cookies.len() && offsets.len() == counters.len());
    let mut attributes = attributes();
    attributes.link_create.__bindgen_anon_1.prog_fd = raw(program);
    attributes.link_create.attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    attributes.link_create.__bindgen_anon_3.uprobe_multi.path = path.as_ptr() as u64;
    attributes.link_create.__bindgen_anon_3.uprobe_multi.offsets = offsets.as_ptr() as u64;
    attributes.link_create.__bindgen_anon_3.uprobe_multi.cookies = cookies.as_ptr() as u64;
    if counters.iter().any(|counter| *counter != 0) {
        attributes
            .link_create
            .__bindgen_anon_3
            .uprobe_multi
            .ref_ctr_offsets = counters.as_ptr() as u64;
    }
    attributes.link_create.__bindgen_anon_3.uprobe_multi.cnt =
        u32::try_from(offsets.len()).map_err(io::Error::other)?;
    attributes.link_create.__bindgen_anon_3.uprobe_multi.pid = pid;
    if returns {
        attributes.link_create.__bindgen_anon_3.uprobe_multi.flags = BPF_F_UPROBE_MULTI_RETURN;
    }
    call_fd(bpf_cmd::BPF_LINK_CREATE, &mut attributes)
}

/// Runs a program at an event for as long as the link is open. The event may be closed (Linux
/// 5.15).
pub(super) fn link_event(
    program: BorrowedFd<'_>,
    event: BorrowedFd<'_>,
    cookie: u64,
) -> io::Result<OwnedFd> {
    let mut attributes = attributes();
    attributes.link_create.__bindgen_anon_1.prog_fd = raw(program);
    attributes.link_create.__bindgen_anon_2.target_fd = raw(event);
    attributes.link_create.attach_type = bpf_attach_type::BPF_PERF_EVENT as u32;
    attributes
        .link_create
        .__bindgen_anon_3
        .perf_event
        .bpf_cookie = cookie;
    call_fd(bpf_cmd::BPF_LINK_CREATE, &mut attributes)
}

/// Writes `values` to the elements of an array map from `first` on.
pub(super) fn update_array<T: bytemuck::Pod>(
    map: BorrowedFd<'_>,
    first: u32,
    values: &[T],
) -> io::Result<()> {
    let count = u32::try_from(values.len()).map_err(io::Error::other)?;
    let keys: Vec<u32> = (first..first.saturating_add(count)).collect();
    let mut attributes = attributes();
    attributes.batch.map_fd = raw(map);
    attributes.batch.keys = keys.as_ptr() as u64;
    attributes.batch.values = values.as_ptr() as u64;
    attributes.batch.count = count;
    if count > 0 {
        call(bpf_cmd::BPF_MAP_UPDATE_BATCH, &mut attributes)?;
    }
    Ok(())
}

/// An element of an array map.
pub(super) fn read_array<T: bytemuck::Pod>(map: BorrowedFd<'_>, key: u32) -> io::Result<T> {
    let mut value = [T::zeroed()];
    element(bpf_cmd::BPF_MAP_LOOKUP_ELEM, map, key, &mut value)?;
    let [value] = value;
    Ok(value)
}

/// The value of a key of a hash map. `None` if it is not there.
pub(super) fn find<K: bytemuck::Pod, V: bytemuck::Pod>(
    map: BorrowedFd<'_>,
    key: &K,
) -> io::Result<Option<V>> {
    let mut value = V::zeroed();
    let mut attributes = attributes();
    attributes.__bindgen_anon_2.map_fd = raw(map);
    attributes.__bindgen_anon_2.key = std::ptr::from_ref(key) as u64;
    attributes.__bindgen_anon_2.__bindgen_anon_1.value = std::ptr::from_mut(&mut value) as u64;
    match call(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attributes) {
        Ok(_) => Ok(Some(value)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All entries of a hash map of at most `most`, as far as they stay while they are read.
pub(super) fn entries<K: bytemuck::Pod, V: bytemuck::Pod>(
    map: BorrowedFd<'_>,
    most: u32,
) -> io::Result<Vec<(K, V)>> {
    let room = most as usize;
    let (mut keys, mut values) = (vec![K::zeroed(); room], vec![V::zeroed(); room]);
    let mut next = 0_u64;
    let mut attributes = attributes();
    attributes.batch.map_fd = raw(map);
    attributes.batch.out_batch = std::ptr::from_mut(&mut next) as u64;
    attributes.batch.keys = keys.as_mut_ptr() as u64;
    attributes.batch.values = values.as_mut_ptr() as u64;
    attributes.batch.count = most;
    // The end of the map is an error by name.
    match call(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attributes) {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
        _ => {}
    }
    #[expect(unsafe_code, reason = "a union of plain numbers")]
    // SAFETY: the kernel wrote this member: how many entries there are.
    let count = unsafe { attributes.batch.count };
    keys.truncate(count as usize);
    Ok(keys.into_iter().zip(values).collect())
}

/// All keys of a hash map, at most `most`, as far as they stay while they are read.
pub(super) fn keys<K: bytemuck::Pod>(map: BorrowedFd<'_>, most: u32) -> io::Result<Vec<K>> {
    let mut found: Vec<K> = Vec::new();
    while found.len() < most as usize {
        let mut next = K::zeroed();
        let mut attributes = attributes();
        attributes.__bindgen_anon_2.map_fd = raw(map);
        // Without a key, the first one.
        attributes.__bindgen_anon_2.key = found
            .last()
            .map_or(0, |last| std::ptr::from_ref(last) as u64);
        attributes.__bindgen_anon_2.__bindgen_anon_1.next_key =
            std::ptr::from_mut(&mut next) as u64;
        match call(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attributes) {
            Ok(_) => found.push(next),
            // The end of the map is an error by name.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Treatment of a key that is in the map already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insert {
    /// Its value is replaced.
    Any = 0,
    /// The call fails.
    New = 1,
}

/// Writes an entry of a hash map.
pub(super) fn insert<K: bytemuck::Pod, V: bytemuck::Pod>(
    map: BorrowedFd<'_>,
    key: &K,
    value: &V,
    how: Insert,
) -> io::Result<()> {
    let mut attributes = attributes();
    attributes.__bindgen_anon_2.map_fd = raw(map);
    attributes.__bindgen_anon_2.key = std::ptr::from_ref(key) as u64;
    attributes.__bindgen_anon_2.__bindgen_anon_1.value = std::ptr::from_ref(value) as u64;
    attributes.__bindgen_anon_2.flags = how as u64;
    call(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attributes).map(drop)
}

/// Removes entries of a hash map; those that are not there are no error.
pub(super) fn remove<K: bytemuck::Pod>(map: BorrowedFd<'_>, keys: &[K]) -> io::Result<()> {
    for key in keys {
        let mut attributes = attributes();
        // The batch ends at the first key that is missing, so one by one.
        attributes.batch.map_fd = raw(map);
        attributes.batch.keys = std::ptr::from_ref(key) as u64;
        attributes.batch.count = 1;
        match call(bpf_cmd::BPF_MAP_DELETE_BATCH, &mut attributes) {
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// An element of a per-CPU array map: one value for each possible CPU.
pub(super) fn read_cpus<T: bytemuck::Pod>(
    map: BorrowedFd<'_>,
    key: u32,
    cpus: usize,
) -> io::Result<Vec<T>> {
    let mut values = vec![T::zeroed(); cpus];
    element(bpf_cmd::BPF_MAP_LOOKUP_ELEM, map, key, &mut values)?;
    Ok(values)
}

/// Writes an element of a per-CPU array map: one value for each possible CPU.
pub(super) fn write_cpus<T: bytemuck::Pod>(
    map: BorrowedFd<'_>,
    key: u32,
    values: &mut [T],
) -> io::Result<()> {
    element(bpf_cmd::BPF_MAP_UPDATE_ELEM, map, key, values)
}

/// Passes the values of one element: of a per-CPU array one for each possible CPU.
fn element<T: bytemuck::Pod>(
    command: bpf_cmd,
    map: BorrowedFd<'_>,
    key: u32,
    values: &mut [T],
) -> io::Result<()> {
    // The kernel rounds each up to 8 bytes.
    const { assert!(size_of::<T>().is_multiple_of(8)) };
    let mut attributes = attributes();
    attributes.__bindgen_anon_2.map_fd = raw(map);
    attributes.__bindgen_anon_2.key = std::ptr::from_ref(&key) as u64;
    attributes.__bindgen_anon_2.__bindgen_anon_1.value = values.as_mut_ptr() as u64;
    call(command, &mut attributes).map(drop)
}

/// Makes the kernel count runs and run time of all programs while the descriptor is open.
pub(super) fn enable_run_time_stats() -> io::Result<OwnedFd> {
    let mut attributes = attributes();
    attributes.enable_stats.type_ = bpf_stats_type::BPF_STATS_RUN_TIME as u32;
    call_fd(bpf_cmd::BPF_ENABLE_STATS, &mut attributes)
}

/// Runs of a program and the time that they took together, ns, while statistics were on.
pub(super) fn run_time(program: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    #[expect(unsafe_code, reason = "a struct of plain numbers")]
    // SAFETY: all zeroes are a value of it.
    let mut info: bpf_prog_info = unsafe { mem::zeroed() };
    let mut attributes = attributes();
    attributes.info.bpf_fd = raw(program);
    attributes.info.info_len =
        u32::try_from(size_of::<bpf_prog_info>()).map_err(io::Error::other)?;
    attributes.info.info = std::ptr::from_mut(&mut info) as u64;
    call(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attributes)?;
    Ok((info.run_cnt, info.run_time_ns))
}
