//! Loads what a session needs of the eBPF object.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use aya::maps::{Map, MapData, RingBuf};
use tracer_common::control::Settings;
use tracer_common::forks::TaskLayout;
use tracer_common::limits::{MAX_CPUS, SCRATCH_PER_CPU};

use super::diagnostics;
use super::error::KernelError;
use super::family::{self, Family};
use super::features::KernelLayout;
use super::object::Image;
use super::programs::Programs;
use super::ring::Ring;

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
    /// What becomes of processes that are forked.
    pub forks: Forks,
    /// Probes of any kind may come later: what the kernel has to verify for them is begun now.
    pub more_probes: bool,
}

/// What becomes of the processes that the target forks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forks {
    /// They are left alone.
    #[default]
    Left,
    /// The kernel tells of them, and they are attached a moment after their start.
    Told,
    /// The kernel tells of them, and has them probed from their first instruction on: sites are in
    /// all processes that run the file.
    Exact,
}

impl Forks {
    /// The kernel tells of them.
    #[must_use]
    pub const fn are_told(self) -> bool {
        !matches!(self, Self::Left)
    }
}

/// All that was loaded.
pub(super) struct Loaded {
    pub(super) programs: Programs,
    pub(super) ops: MapData,
    pub(super) sites: MapData,
    pub(super) control: MapData,
    pub(super) state: MapData,
    pub(super) numbers: MapData,
    pub(super) values: MapData,
    pub(super) begun: MapData,
    pub(super) begun_kept: MapData,
    pub(super) underway: MapData,
    pub(super) known_threads: MapData,
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
    let settings = settings(options);
    // Ids of another namespace are the kernel's to tell.
    let wants_members = settings.pid_ns_ino == 0;
    let cpus = aya::util::nr_cpus().map_err(|(_, source)| KernelError::Call {
        what: "count the CPUs",
        source,
    })?;
    let with_scratch = u32::try_from(cpus).unwrap_or(MAX_CPUS).min(MAX_CPUS);
    let task_layout = if options.forks.are_told() {
        family::task_layout()?
    } else {
        TaskLayout::default()
    };
    let (log, messages) = diagnostics::open(OBJECT)?.unzip();
    let entries = [
        (
            "FAMILY_MESSAGES",
            family::ring_bytes(options.forks.are_told()),
        ),
        ("SCRATCH", with_scratch.saturating_mul(SCRATCH_PER_CPU)),
        ("EVENTS", ring_bytes(options)),
    ];
    // The kernel's BTF has megabytes, and the ring pages to be cleared: side by side.
    let (object, layout) = std::thread::scope(|scope| {
        let layout = scope.spawn(KernelLayout::read);
        let object = Image::new(OBJECT, &entries, messages);
        let layout = layout.join();
        (
            object,
            layout.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    });
    let mut object = object?;
    let members = layout.task.filter(|_| wants_members);
    let has_members = members.is_some_and(|members| object.put_members(members));
    let settings = Settings {
        task_members: u64::from(has_members),
        vma_flags: u64::from(layout.vma_flags),
        ..settings
    };
    object.set_globals(&[
        ("SETTINGS", bytemuck::bytes_of(&settings)),
        ("TASK_LAYOUT", bytemuck::bytes_of(&task_layout)),
        (aya_log::LEVEL, &diagnostics::level()),
    ])?;
    let mut ring = |name| {
        let ring = Map::RingBuf(object.take(name)?);
        RingBuf::try_from(ring).map_err(|_| unexpected(name))
    };
    let (events, misses) = (ring("EVENTS")?, ring("MISSES")?);
    let family = options
        .forks
        .are_told()
        .then(|| Family::open(&mut object))
        .transpose()?;
    Ok(Loaded {
        ops: object.take("OPS")?,
        sites: object.take("SITES")?,
        control: object.take("PROBE_CONTROL")?,
        state: object.take("PROBE_STATE")?,
        numbers: object.take("NUMBERS")?,
        values: object.take("VALUES")?,
        begun: object.take("BEGUN")?,
        begun_kept: object.take("BEGUN_KEPT")?,
        underway: object.take("UNDERWAY")?,
        known_threads: object.take("KNOWN_THREADS")?,
        time_state: object.take("TIME_STATE")?,
        times: object.take("TIMES")?,
        counters: object.take("PROBE_COUNTERS")?,
        ring: Some(Ring::new(events, misses, log)),
        family,
        cpus,
        programs: Programs::load(object, options)?,
    })
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
        vma_flags: 0,
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
    use aya_obj::generated::bpf_insn;
    use aya_obj::{Function, Object};

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
    fn no_program_asks_for_the_right_to_sleep() {
        let object = Object::parse(OBJECT).expect("the object parses");
        for (name, program) in &object.programs {
            let section = format!("{:?}", program.section);
            let uprobe = section.starts_with("UProbe") && section.contains("sleepable: false");
            assert!(uprobe || section == "RawTracePoint", "{name}: {section}");
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
