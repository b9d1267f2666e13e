//! Loads the parts of the eBPF object that a session needs.

pub(super) mod diagnostics;
pub(super) mod object;
pub(super) mod programs;
mod task;

use std::fs;
use std::os::unix::fs::MetadataExt;

use aya::maps::{Map, RingBuf};
use tracer_common::control::Settings;
use tracer_common::forks::{RuleLayout, TaskLayout};
use tracer_common::limits::{MAX_ACCOUNTS, MAX_CPUS, SCRATCH_PER_CPU};

use self::object::{Image, OBJECT};
use self::programs::Programs;
use super::error::KernelError;
use super::features::layout::KernelLayout;
use super::maps::Maps;
use super::options::{LoadOptions, Processes};
use super::places::PlaceMaps;
use super::ring::Ring;
use super::selection::{self, ProcessSelection};

/// Inode number of the initial pid namespace (`PROC_PID_INIT_INO`).
const INITIAL_PID_NS: u64 = 0xEFFF_FFFC;
/// Default size of the ring in bytes: a tenth of a second of the cheapest hits, and the reader polls
/// every few milliseconds. All of it is resident, twice in our address space.
const DEFAULT_RING: u32 = 1 << 24;

/// The loaded maps and programs.
pub(super) struct Loaded {
    pub(super) maps: Maps,
    pub(super) programs: Programs,
    pub(super) ring: Ring,
    pub(super) selection: Option<ProcessSelection>,
    pub(super) places: PlaceMaps,
}

/// Loads programs and maps.
pub(super) fn load(options: &LoadOptions) -> Result<Loaded, KernelError> {
    let settings = settings(options);
    // Ids of another namespace come from the kernel's helpers.
    let wants_members = settings.pid_ns_ino == 0;
    let cpus = aya::util::nr_cpus().map_err(|(_, source)| KernelError::Call {
        what: "count the CPUs",
        source,
    })?;
    let with_scratch = u32::try_from(cpus).unwrap_or(MAX_CPUS).min(MAX_CPUS);
    let task_layout = if options.processes.are_reported() {
        selection::task_layout()?
    } else {
        TaskLayout::default()
    };
    let rule_layout = match options.processes {
        Processes::Selected(_) => selection::rule_layout()?,
        Processes::One | Processes::Family(_) => RuleLayout::default(),
    };
    let (log, messages) = diagnostics::open(OBJECT)?.unzip();
    let areas = with_scratch.saturating_mul(SCRATCH_PER_CPU);
    let accounts = options.accounts.clamp(1, MAX_ACCOUNTS);
    let mut entries = vec![
        ("SCRATCH", areas),
        ("EVENTS", ring_bytes(options)),
        ("ACCOUNTS", accounts),
    ];
    entries.extend(selection::entries(options.processes, areas));
    // The kernel's BTF has megabytes, and the ring has pages to clear. Both run in parallel.
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
        ("RULE_LAYOUT", bytemuck::bytes_of(&rule_layout)),
        (
            "SELECTION",
            bytemuck::bytes_of(&options.processes.settings()),
        ),
        (aya_log::LEVEL, &diagnostics::level()),
    ])?;
    let mut ring = |name| {
        let ring = Map::RingBuf(object.take(name)?);
        RingBuf::try_from(ring).map_err(|_| KernelError::unexpected(name))
    };
    let (events, misses) = (ring("EVENTS")?, ring("MISSES")?);
    let selection = (options.processes)
        .are_reported()
        .then(|| ProcessSelection::open(&mut object, options.processes))
        .transpose()?;
    Ok(Loaded {
        maps: Maps::take(&mut object, cpus)?,
        ring: Ring::new(events, misses, log),
        places: PlaceMaps::take(&mut object)?,
        selection,
        programs: Programs::load(object, options)?,
    })
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

    /// Smallest stack in bytes for which Linux 6.13 gives a function one stack for each CPU. It
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
            let is_event = section == "RawTracePoint" || section == "PerfEvent";
            assert!(uprobe || is_event, "{name}: {section}");
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
