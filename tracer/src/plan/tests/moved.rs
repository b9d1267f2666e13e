//! Moved probes against execution: programs run under `ptrace`, stopped at the
//! site and at the place of each probe that was moved. What its plan sends must
//! be the same at both, byte by byte, and one must follow the other every time.
#![expect(unsafe_code, reason = "ptrace has no safe wrapper here")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rayon::prelude::*;
use tracer_common::op::{EncodedOp, FLAGS_REGISTER, TARGET_REGISTERS, THREAD_POINTER};

use crate::actions::compile;
use crate::actions::parse_probe;
use crate::arch::INSTRUCTION_POINTER;
use crate::base::address::{Bias, FileOffset, LinkAddr, RunAddr};
use crate::debuginfo::module::Module;
use crate::debuginfo::site::FileId;
use crate::debuginfo::types::{TypeKind, TypeSource as _};
use crate::debuginfo::variable::VariableKind;
use crate::placement::{CodeMap, PlacementRules, SiteKind};
use crate::plan::{AddressBase, Limits, PlanInput};
use crate::program::Program;
use crate::program::reference::{Memory, ReferenceMachine};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/placement");

/// Times that each pair is compared.
const TIMES: u32 = 12;
/// Steps after which the other end of a pair must have been reached.
const STEPS: u32 = 64;

/// A probe that was moved.
struct Pair {
    /// The one of site and place that is executed first.
    start: u64,
    end: u64,
    site: LinkAddr,
    /// The address of the site in the process.
    run: RunAddr,
    ops: Vec<EncodedOp>,
    compared: u32,
}

/// The outcome of a traced run.
#[derive(Default)]
struct Seen {
    pairs: usize,
    reached: BTreeSet<usize>,
    compared: u64,
    wrong: Vec<String>,
}

/// Sites of a program: every `stride`th of the lines of files that are `wanted`.
fn moved(
    module: &Module,
    bias: Bias,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    stride: usize,
) -> Vec<Pair> {
    let map = CodeMap::default();
    let mut lines = Vec::new();
    for (id, file) in (0..).zip(module.source_files()) {
        if wanted(&file.path.to_string_lossy()) {
            let found = module.lines(FileId(id)).unwrap_or_default();
            lines.extend(found.keys().map(|line| (FileId(id), *line)));
        }
    }
    let chosen: Vec<_> = lines.into_iter().step_by(stride).collect();
    let of_line = |&(file, line): &(FileId, u64)| {
        let sites = module.sites(file, line).map(|sites| sites.sites);
        let addresses = sites
            .unwrap_or_default()
            .into_iter()
            .map(|site| site.address);
        addresses
            .take(40)
            .flat_map(|site| pairs_at(module, bias, &map, site))
            .collect::<Vec<_>>()
    };
    chosen.par_iter().flat_map_iter(of_line).collect()
}

/// The plans that are moved off a site: two integers, all variables, nothing.
fn pairs_at(module: &Module, bias: Bias, map: &CodeMap, site: LinkAddr) -> Vec<Pair> {
    if CodeMap::kind(module, site, true) == Some(SiteKind::OneTrap) {
        return Vec::new();
    }
    let variables = module.variables_at(site).unwrap_or_default();
    let integers: Vec<_> = variables
        .iter()
        .filter(|variable| {
            variable.kind != VariableKind::Static
                && matches!(module.type_of(variable.ty).kind, TypeKind::Int { .. })
        })
        .map(|variable| format!("{{{}}}", variable.name))
        .take(2)
        .collect();
    let texts = [
        format!("log {site} \"{}\"", integers.join(" ")),
        format!("log {site}"),
    ];
    let plan = |text: &String| {
        let spec = parse_probe(text).ok()?;
        let input = PlanInput {
            source: module,
            language: module.language_at(site),
            base: AddressBase::Site(site),
            neighbours: &Vec::new,
            tls: None,
            variables: &variables,
            statics: &|_| None,
            types: &|_| Vec::new(),
            spec: &spec,
            limits: Limits::default(),
            shapes: &crate::plan::ShapeCache::default(),
            returned: None,
            redactor: &crate::value::redact::Redactor::default(),
            has_spans: false,
        };
        let plan = compile(&input).ok()?;
        Some(plan.program)
    };
    let mut plans: Vec<Program> = texts.iter().filter_map(plan).collect();
    plans.push(Program::default());
    let rules = PlacementRules {
        calls: true,
        rewrites_nops: true,
        passable: &|_, _| true,
        free: &|_| true,
    };
    let place = |program: Program| {
        let placed = map.place(module, site, &program.reads, &rules);
        let (a, b) = (bias.run(site).0, bias.run(placed.address).0);
        let before = |to: LinkAddr| map.precedes(module, to, site);
        (placed.stays.is_none()).then(|| {
            let (start, end) = if before(placed.address) {
                (b, a)
            } else {
                (a, b)
            };
            Pair {
                start,
                end,
                site,
                run: bias.run(site),
                ops: program.ops,
                compared: 0,
            }
        })
    };
    plans.into_iter().filter_map(place).collect()
}

/// A stopped child.
struct Traced {
    child: Child,
    pid: i32,
    memory: File,
    /// The bytes that the breakpoints replaced.
    original: BTreeMap<u64, u8>,
}

impl Memory for Traced {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        if self.memory.read_exact_at(bytes, address).is_err() {
            return false;
        }
        let end = address.saturating_add(bytes.len() as u64);
        for (at, byte) in self.original.range(address..end) {
            bytes[(at - address) as usize] = *byte;
        }
        true
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Traced {
    /// Starts a program and stops it before its first instruction.
    fn start(command: &mut Command) -> Self {
        // SAFETY: between fork and exec only an async-signal-safe system call is made.
        unsafe {
            command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            });
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let pid = i32::try_from(child.id()).expect("a pid");
        let memory = OpenOptions::new()
            .read(true)
            .write(true)
            .open(format!("/proc/{pid}/mem"))
            .expect("its memory opens");
        let traced = Self {
            child,
            pid,
            memory,
            original: BTreeMap::new(),
        };
        assert_eq!(traced.wait(), Some(libc::SIGTRAP), "stopped at exec");
        traced
    }

    /// The signal it stopped at; `None`: it ended.
    fn wait(&self) -> Option<i32> {
        let mut status = 0;
        // SAFETY: the status is a local that outlives the call.
        let pid = unsafe { libc::waitpid(self.pid, &raw mut status, libc::__WALL) };
        assert_eq!(pid, self.pid, "{}", std::io::Error::last_os_error());
        libc::WIFSTOPPED(status).then(|| libc::WSTOPSIG(status))
    }

    fn resume(&self, request: u32, signal: i32) {
        // SAFETY: these requests read nothing of ours but their arguments.
        let result = unsafe { libc::ptrace(request, self.pid, 0, i64::from(signal)) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    fn registers(&self) -> libc::user_regs_struct {
        // SAFETY: all zeroes are valid registers, and the kernel writes no more than them.
        unsafe {
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            let result = libc::ptrace(libc::PTRACE_GETREGS, self.pid, 0, &raw mut registers);
            assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
            registers
        }
    }

    fn set_address(&self, mut registers: libc::user_regs_struct, address: u64) {
        registers.rip = address;
        // SAFETY: the kernel reads the registers from a local that outlives the call.
        let result =
            unsafe { libc::ptrace(libc::PTRACE_SETREGS, self.pid, 0, &raw const registers) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    fn write(&self, address: u64, byte: u8) {
        self.memory
            .write_all_at(&[byte], address)
            .expect("code is written");
    }

    fn set(&mut self, address: u64) {
        if self.original.contains_key(&address) {
            return;
        }
        let mut byte = [0];
        self.memory
            .read_exact_at(&mut byte, address)
            .expect("code is read");
        self.original.insert(address, byte[0]);
        self.write(address, 0xcc);
    }

    fn clear(&mut self, address: u64) {
        if let Some(byte) = self.original.remove(&address) {
            self.write(address, byte);
        }
    }

    /// One instruction, whether or not there is a breakpoint on it.
    fn step(&self, address: u64) -> Option<i32> {
        let original = self.original.get(&address).copied();
        if let Some(byte) = original {
            self.write(address, byte);
        }
        self.resume(libc::PTRACE_SINGLESTEP, 0);
        let stopped = self.wait();
        if original.is_some() && stopped.is_some() {
            self.write(address, 0xcc);
        }
        stopped
    }

    /// The values that a plan sends, as of now.
    fn record(&self, pair: &Pair, registers: &libc::user_regs_struct) -> String {
        let r = registers;
        let values = [
            r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11,
            r.r12, r.r13, r.r14, r.r15,
        ];
        let mut machine = ReferenceMachine::new(self);
        for (number, value) in (0..).zip(values) {
            machine = machine.with(number, value);
        }
        machine = machine.with(INSTRUCTION_POINTER, pair.run.0);
        // Without the flags that single steps set.
        machine = machine.with(FLAGS_REGISTER - TARGET_REGISTERS, r.eflags & !0x1_0100);
        machine = machine.with(THREAD_POINTER - TARGET_REGISTERS, r.fs_base);
        format!("{:x?}", machine.run(&pair.ops))
    }
}

fn bias_of(pid: i32, path: &Path, module: &Module) -> Bias {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("maps");
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let executable = words.next()?.contains('x');
        let offset = hex(words.next()?)?;
        let here = line.ends_with(&*path.to_string_lossy());
        let (start, end) = (hex(start)?, hex(end)?);
        let bias = || module.bias(RunAddr(start), FileOffset(offset), end - start);
        (executable && here).then(bias).flatten()
    };
    maps.lines().find_map(parse).expect("it is mapped")
}

/// Pairs whose first end alone the run has passed only the first end.
#[derive(Default)]
struct Pending(Vec<(usize, String, u32)>);

/// Runs a program to its end and compares at all pairs.
fn run(
    command: &mut Command,
    path: &Path,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    stride: usize,
) -> Seen {
    let module = Module::open(path).expect("the program opens");
    let mut traced = Traced::start(command);
    let bias = bias_of(traced.pid, path, &module);
    let mut pairs = moved(&module, bias, wanted, stride);
    let mut ends: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, pair) in pairs.iter().enumerate() {
        for address in [pair.start, pair.end] {
            traced.set(address);
            ends.entry(address).or_default().push(index);
        }
    }
    let mut seen = Seen {
        pairs: pairs.len(),
        ..Seen::default()
    };
    let mut pending = Pending::default();
    traced.resume(libc::PTRACE_CONT, 0);
    let mut stopped = traced.wait();
    let mut stepped = false;
    while let Some(signal) = stopped {
        let registers = traced.registers();
        let mut address = registers.rip;
        if signal != libc::SIGTRAP {
            // Whatever the handler does, the run is no straight one.
            pending.0.clear();
            traced.resume(libc::PTRACE_CONT, signal);
            (stopped, stepped) = (traced.wait(), false);
            continue;
        }
        if !stepped {
            address -= 1;
            traced.set_address(registers, address);
        }
        at(
            &mut traced,
            address,
            &registers,
            &mut pairs,
            &mut ends,
            &mut pending,
            &mut seen,
        );
        stopped = traced.step(address);
        stepped = true;
        if stopped == Some(libc::SIGTRAP) && pending.0.is_empty() {
            let next = traced.registers().rip;
            if !traced.original.contains_key(&next) {
                traced.resume(libc::PTRACE_CONT, 0);
                (stopped, stepped) = (traced.wait(), false);
            }
        }
    }
    seen
}

/// The program is about to execute what is at `address`.
fn at(
    traced: &mut Traced,
    address: u64,
    registers: &libc::user_regs_struct,
    pairs: &mut [Pair],
    ends: &mut BTreeMap<u64, Vec<usize>>,
    pending: &mut Pending,
    seen: &mut Seen,
) {
    let here = ends.get(&address).cloned().unwrap_or_default();
    for index in here {
        let pair = &mut pairs[index];
        if pair.end == address {
            match pending.0.iter().position(|(other, ..)| *other == index) {
                None => seen
                    .wrong
                    .push(format!("{}: entered in between", pair.site)),
                Some(waiting) => {
                    let (_, before, _) = pending.0.swap_remove(waiting);
                    let now = traced.record(pair, registers);
                    if before != now {
                        seen.wrong.push(format!("{}: {before} is {now}", pair.site));
                    }
                    seen.compared += 1;
                    seen.reached.insert(index);
                    pair.compared += 1;
                }
            }
        }
        if pair.start == address {
            if pending.0.iter().any(|(other, ..)| *other == index) {
                seen.wrong.push(format!("{}: left in between", pair.site));
            }
            if pair.compared < TIMES {
                let record = traced.record(pair, registers);
                pending.0.push((index, record, 0));
            } else {
                for end in [pair.start, pair.end] {
                    let left = ends.entry(end).or_default();
                    left.retain(|other| *other != index);
                    if left.is_empty() {
                        traced.clear(end);
                    }
                }
            }
        }
    }
    for (_, _, steps) in &mut pending.0 {
        *steps += 1;
    }
    if let Some(lost) = pending.0.iter().position(|(_, _, steps)| *steps > STEPS) {
        let (index, ..) = pending.0.swap_remove(lost);
        seen.wrong
            .push(format!("{}: left in between", pairs[index].site));
    }
}

/// Compiles a program of the fixtures.
fn built(directory: &Path, command: &str) -> PathBuf {
    let path = directory.join("program");
    let mut words = command.split_whitespace();
    let status = Command::new(words.next().expect("a compiler"))
        .args(words)
        .arg("-o")
        .arg(&path)
        .current_dir(SOURCES)
        .status();
    assert!(status.expect("the compiler runs").success(), "{command}");
    path
}

/// Compiles and runs; wants that many comparisons at least.
fn compare(command: &str, wanted: &(dyn Fn(&str) -> bool + Sync), least: u64) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = built(directory.path(), command);
    let seen = run(&mut Command::new(&path), &path, wanted, 1);
    check(command, &seen, least);
}

fn check(what: &str, seen: &Seen, least: u64) {
    println!(
        "{what}: {} moved probes, {} reached, {} comparisons",
        seen.pairs,
        seen.reached.len(),
        seen.compared
    );
    let shown = &seen.wrong[..seen.wrong.len().min(5)];
    assert!(
        shown.is_empty(),
        "{what}: {} wrong: {shown:#?}",
        seen.wrong.len()
    );
    assert!(seen.compared >= least, "{what}: {} compared", seen.compared);
}

#[test]
fn moved_probes_of_c_see_the_same() {
    for flags in ["-O0", "-O2", "-O2 -no-pie"] {
        compare(&format!("cc -g {flags} work.c"), &|_| true, 300);
    }
}

#[test]
fn moved_probes_of_cpp_see_the_same() {
    let own = |file: &str| file.ends_with("work.cpp") || file.ends_with("basic_string.h");
    for flags in ["-O0", "-O2"] {
        compare(&format!("c++ -std=c++17 -g {flags} work.cpp"), &own, 200);
    }
}

#[test]
fn moved_probes_of_rust_see_the_same() {
    let own = |file: &str| file.ends_with("work.rs") || file.contains("/core/src/str/");
    for flags in ["", "-O"] {
        compare(
            &format!("rustc --edition=2024 -g {flags} work.rs"),
            &own,
            200,
        );
    }
}

/// Every line of every program, the tests themselves too: takes minutes.
#[test]
#[ignore = "takes minutes"]
fn moved_probes_of_all_lines_see_the_same() {
    for flags in [
        "-O0",
        "-O1",
        "-O2",
        "-O3 -fomit-frame-pointer",
        "-O2 -no-pie",
    ] {
        compare(&format!("cc -g {flags} work.c"), &|_| true, 100);
    }
    for flags in ["-O0", "-O2"] {
        compare(
            &format!("c++ -std=c++17 -g {flags} work.cpp"),
            &|_| true,
            100,
        );
    }
    for flags in ["", "-Copt-level=1", "-O", "-O -Cforce-frame-pointers=yes"] {
        compare(
            &format!("rustc --edition=2024 -g {flags} work.rs"),
            &|_| true,
            200,
        );
    }
    let path = std::env::current_exe().expect("own path");
    let mut command = Command::new(&path);
    command.args(["--test-threads=1", "lang::"]);
    let wanted = |file: &str| file.contains("/src/lang/") || file.contains("/alloc/src/");
    let seen = run(&mut command, &path, &wanted, 3);
    check("own tests", &seen, 500);
}
