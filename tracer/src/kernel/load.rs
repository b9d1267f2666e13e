//! Loads the eBPF object: maps by aya, the program for multi-uprobe links by ourselves.
//!
//! aya knows no multi-uprobes, so the object is parsed once more and relocated
//! against the maps that aya made; two system calls do the rest.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use aya::maps::{Map, MapData, RingBuf};
use aya::programs::UProbe;
use aya::{Ebpf, EbpfLoader};
use aya_obj::Object;
use tracer_common::control::Settings;
use tracer_common::forks::TaskLayout;
use tracer_common::limits::{MAX_CPUS, SCRATCH_PER_CPU};

use super::bpf;
use super::diagnostics;
use super::error::KernelError;
use super::family::{self, Family};
use super::features;
use super::ring::Ring;
use super::task;

/// Name of the program in the object.
const PROGRAM: &str = "hit";
/// Inode number of the initial pid namespace (`PROC_PID_INIT_INO`).
const INITIAL_PID_NS: u64 = 0xEFFF_FFFC;
/// Bytes of the ring when nothing else is said: a tenth of a second of the cheapest hits, where
/// the reader looks every few milliseconds. All of it is resident, twice in our address space.
const DEFAULT_RING: u32 = 1 << 24;

/// The object, aligned as an ELF file wants to be.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("TRACER_EBPF_OBJECT"));

/// What the loader is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// Bytes of the ring, made a power of two and at least a page; 0 is the default, 16 MiB.
    pub ring_bytes: u32,
    /// Attach by perf events even where the kernel has multi-uprobe links.
    pub perf_events: bool,
    /// Have the kernel tell what processes fork.
    pub follow_forks: bool,
}

/// How sites are attached.
pub(super) enum Flavour {
    /// One link for all sites of a file.
    Multi(OwnedFd),
    /// One perf event for each site.
    PerfEvent,
}

/// All that was loaded.
pub(super) struct Loaded {
    pub(super) ebpf: Ebpf,
    pub(super) flavour: Flavour,
    pub(super) ops: MapData,
    pub(super) sites: MapData,
    pub(super) control: MapData,
    pub(super) state: MapData,
    pub(super) numbers: MapData,
    pub(super) values: MapData,
    pub(super) begun: MapData,
    pub(super) begun_kept: MapData,
    pub(super) time_state: MapData,
    pub(super) times: MapData,
    pub(super) counters: MapData,
    pub(super) ring: Option<Ring>,
    pub(super) family: Option<Family>,
    /// CPUs that the kernel keeps counters for.
    pub(super) cpus: usize,
}

/// Loads programs and maps.
pub(super) fn load(options: &LoadOptions) -> Result<Loaded, KernelError> {
    let mut settings = settings(options);
    let mut object = Cow::Borrowed(OBJECT);
    // Both read the kernel's megabytes of BTF: aya's loader without being asked to.
    let (mut loader, members) = std::thread::scope(|scope| {
        let members = scope.spawn(features::task_members);
        let loader = EbpfLoader::new();
        let members = members.join();
        (
            loader,
            members.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    });
    // Ids of another namespace are the kernel's to tell.
    if settings.pid_ns_ino == 0
        && let Some(members) = members
        && let Some(with_members) = task::with_members(OBJECT, members)
    {
        object = Cow::Owned(with_members);
        settings.task_members = 1;
    }
    let cpus = aya::util::nr_cpus().map_err(|(_, source)| KernelError::Call {
        what: "count the CPUs",
        source,
    })?;
    let with_scratch = u32::try_from(cpus).unwrap_or(MAX_CPUS).min(MAX_CPUS);
    let scratch = with_scratch.saturating_mul(SCRATCH_PER_CPU);
    let task_layout = if options.follow_forks {
        family::task_layout()?
    } else {
        TaskLayout::default()
    };
    let mut ebpf = loader
        // What the programs read of kernel structures is put in above: nothing to relocate.
        .btf(None)
        .override_global("SETTINGS", bytemuck::bytes_of(&settings), true)
        .override_global("TASK_LAYOUT", bytemuck::bytes_of(&task_layout), true)
        .map_max_entries("FAMILY_MESSAGES", family::ring_bytes(options.follow_forks))
        .map_max_entries("SCRATCH", scratch)
        .map_max_entries("EVENTS", ring_bytes(options))
        .override_global(aya_log::LEVEL, &diagnostics::level(), true)
        .map_max_entries(diagnostics::MAP, diagnostics::ring_bytes())
        .load(&object)
        .map_err(|error| load_error(&error))?;
    let flavour = match if options.perf_events {
        None
    } else {
        multi(&ebpf, &object)?
    } {
        Some(program) => Flavour::Multi(program),
        None => {
            perf_program(&mut ebpf)?
                .load()
                .map_err(|error| load_error(&error))?;
            Flavour::PerfEvent
        }
    };
    let ring = take(&mut ebpf, "EVENTS")?;
    let log = diagnostics::open(&mut ebpf)?;
    let family = options
        .follow_forks
        .then(|| Family::open(&mut ebpf))
        .transpose()?;
    Ok(Loaded {
        flavour,
        ops: take_array(&mut ebpf, "OPS")?,
        sites: take_array(&mut ebpf, "SITES")?,
        control: take_array(&mut ebpf, "PROBE_CONTROL")?,
        state: take_array(&mut ebpf, "PROBE_STATE")?,
        numbers: take_hash(&mut ebpf, "NUMBERS")?,
        values: take_hash(&mut ebpf, "VALUES")?,
        begun: take_hash(&mut ebpf, "BEGUN")?,
        begun_kept: take_hash(&mut ebpf, "BEGUN_KEPT")?,
        time_state: take_array(&mut ebpf, "TIME_STATE")?,
        times: take_per_cpu(&mut ebpf, "TIMES")?,
        counters: take_per_cpu(&mut ebpf, "PROBE_COUNTERS")?,
        ring: Some(Ring::new(
            RingBuf::try_from(ring).map_err(|_| unexpected("EVENTS"))?,
            log,
        )),
        family,
        cpus,
        ebpf,
    })
}

/// The program that perf-event uprobes run.
pub(super) fn perf_program(ebpf: &mut Ebpf) -> Result<&mut UProbe, KernelError> {
    ebpf.program_mut(PROGRAM)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| unexpected(PROGRAM))
}

/// The program for multi-uprobe links; `None` where the kernel does not have them.
fn multi(ebpf: &Ebpf, object: &[u8]) -> Result<Option<OwnedFd>, KernelError> {
    // The filter by pid takes threads for processes before Linux 6.10.
    if features::kernel_release() < features::MULTI_LINKS {
        return Ok(None);
    }
    let load = |reason: String| KernelError::Load { reason };
    let mut object = Object::parse(object).map_err(|error| load(error.to_string()))?;
    let known = aya::features();
    let btf = known
        .btf()
        .map(|features| object.fixup_and_sanitize_btf(features))
        .transpose();
    let btf = btf
        .map_err(|error| load(error.to_string()))?
        .flatten()
        .map(aya_obj::btf::Btf::to_bytes);
    let Some(btf) = btf else { return Ok(None) };
    let btf = bpf::load_btf(&btf).map_err(|error| KernelError::call("load BTF", error))?;
    let maps = std::mem::take(&mut object.maps);
    let fds = maps.iter().filter_map(|(name, map)| {
        Some((
            name.as_str(),
            map_data(ebpf.map(name)?)?.fd().as_fd().as_raw_fd(),
            map,
        ))
    });
    let sections: HashSet<usize> = object
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect();
    object
        .relocate_maps(fds, &sections)
        .map_err(|error| load(error.to_string()))?;
    object
        .relocate_calls(&sections)
        .map_err(|error| load(error.to_string()))?;
    object.sanitize_functions(known);
    let program = object
        .programs
        .get(PROGRAM)
        .ok_or_else(|| unexpected(PROGRAM))?;
    let function = object
        .functions
        .get(&program.function_key())
        .ok_or_else(|| unexpected(PROGRAM))?;
    match bpf::load_multi(function, &program.license, btf.as_fd()) {
        Ok(program) => Ok(Some(program)),
        // A kernel built without them refuses the attach type.
        Err((error, _)) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        Err((error, log)) if log.is_empty() => Err(KernelError::call("load eBPF programs", error)),
        Err((error, log)) => {
            let last: Vec<&str> = log.lines().rev().take(6).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            Err(load(format!("{error}: {}", last.join("; "))))
        }
    }
}

fn map_data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data) | Map::PerCpuArray(data) | Map::HashMap(data) | Map::RingBuf(data) => {
            Some(data)
        }
        _ => None,
    }
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, KernelError> {
    ebpf.take_map(name).ok_or_else(|| unexpected(name))
}

fn take_array(ebpf: &mut Ebpf, name: &'static str) -> Result<MapData, KernelError> {
    match take(ebpf, name)? {
        Map::Array(data) => Ok(data),
        _ => Err(unexpected(name)),
    }
}

fn take_per_cpu(ebpf: &mut Ebpf, name: &'static str) -> Result<MapData, KernelError> {
    match take(ebpf, name)? {
        Map::PerCpuArray(data) => Ok(data),
        _ => Err(unexpected(name)),
    }
}

fn take_hash(ebpf: &mut Ebpf, name: &'static str) -> Result<MapData, KernelError> {
    match take(ebpf, name)? {
        Map::HashMap(data) => Ok(data),
        _ => Err(unexpected(name)),
    }
}

/// The object is a part of this binary: what is not in it is a mistake in the build.
pub(super) fn unexpected(name: &str) -> KernelError {
    KernelError::Load {
        reason: format!("the object has no `{name}` of the right kind"),
    }
}

/// Finds the system call's answer in aya's errors.
pub(super) fn load_error(error: &(dyn std::error::Error + 'static)) -> KernelError {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(answer) = current.downcast_ref::<io::Error>()
            && let Some(code) = answer.raw_os_error()
        {
            return KernelError::call("load eBPF programs", io::Error::from_raw_os_error(code));
        }
        cause = current.source();
    }
    KernelError::Load {
        reason: error.to_string(),
    }
}

fn settings(options: &LoadOptions) -> Settings {
    let namespace = fs::metadata("/proc/self/ns/pid").ok();
    let (dev, ino) = match namespace {
        Some(namespace) if namespace.ino() != INITIAL_PID_NS => (namespace.dev(), namespace.ino()),
        _ => (0, 0),
    };
    Settings {
        pid_ns_dev: dev,
        pid_ns_ino: ino,
        wake_mark: u64::from(ring_bytes(options) / 4),
        task_members: 0,
    }
}

fn ring_bytes(options: &LoadOptions) -> u32 {
    let bytes = if options.ring_bytes == 0 {
        DEFAULT_RING
    } else {
        options.ring_bytes
    };
    bytes.clamp(4096, 1 << 30).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use aya_obj::Function;
    use aya_obj::generated::bpf_insn;

    use super::*;

    /// From this many bytes of stack on Linux 6.13 gives a function one stack for each CPU, and
    /// rounds up by 16 before it compares (`BPF_PRIV_STACK_MIN_SIZE`, kernel/bpf/verifier.c).
    const PRIVATE_STACK: i32 = 64 - 15;
    const FRAME_POINTER: u8 = 10;

    /// Bytes of stack that a function uses, by the offsets from the frame pointer in it.
    fn stack(function: &Function) -> i32 {
        let mut lowest = 0;
        let mut copies = [false; 16];
        for insn in &function.instructions {
            let (dst, src) = (insn.dst_reg(), insn.src_reg());
            let class = insn.code & 7;
            let (is_load, is_store) = (class == 1, class == 2 || class == 3);
            if (is_load && src == FRAME_POINTER) || (is_store && dst == FRAME_POINTER) {
                lowest = lowest.min(i32::from(insn.off));
            }
            let copied = copies.get_mut(usize::from(dst)).expect("a register");
            // `dst = r10`, then `dst += constant`.
            match insn.code {
                0xbf => *copied = src == FRAME_POINTER,
                0x07 if *copied => {
                    lowest = lowest.min(insn.imm);
                    *copied = false;
                }
                _ => {}
            }
        }
        -lowest
    }

    #[test]
    fn stack_of_each_function_is_too_small_to_be_shared_by_hits() {
        let object = Object::parse(OBJECT).expect("the object parses");
        assert!(object.functions.len() > 3);
        for ((section, address), function) in &object.functions {
            let used = stack(function);
            assert!(
                used < PRIVATE_STACK,
                "{} (section {section}, {address:#x}) has {used} bytes of stack",
                function.name
            );
        }
    }

    #[test]
    fn stack_of_a_function_is_found_by_its_lowest_offset() {
        let object = Object::parse(OBJECT).expect("the object parses");
        let mut function = object.functions.values().next().expect("one").clone();
        let insn = |code: u8, registers: u8, off: i16, imm: i32| {
            let mut insn = bpf_insn {
                code,
                off,
                imm,
                ..function.instructions[0]
            };
            insn.set_dst_reg(registers & 15);
            insn.set_src_reg(registers >> 4);
            insn
        };
        // `*(u64 *)(r10 - 24) = r1`, and `r2 = r10; r2 += -64`.
        let stored = insn(0x7b, 0x1a, -24, 0);
        let passed = [insn(0xbf, 0xa2, 0, 0), insn(0x07, 0x02, 0, -64)];
        function.instructions = vec![stored];
        assert_eq!(stack(&function), 24);
        function.instructions.extend(passed);
        assert_eq!(stack(&function), 64);
    }
}
