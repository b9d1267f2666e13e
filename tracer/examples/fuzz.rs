//! Feeds damaged input to everything that reads a stranger's bytes, for a while.
//!
//! `cargo xtask fuzz` runs it. The process that is started watches workers: a worker
//! that panics, hangs or takes too much memory ends, and the input that it was at is
//! kept. Inputs are damaged copies of seeds: programs that the compilers at hand build,
//! and the files of the corpus.

use std::fs;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use tracer::address::LinkAddr;
use tracer::debuginfo::Module;
use tracer::debuginfo::types::TypeSource as _;

/// Time that one input may take.
const INPUT_TIME: Duration = Duration::from_secs(2);
/// Memory that a worker may have touched, in KiB.
const MEMORY_KIB: u64 = 512 << 10;
/// Functions of one damaged program whose variables are read.
const MAX_FUNCTIONS: usize = 40;
/// Lines of one damaged program whose sites are looked for.
const MAX_LINES: usize = 40;

/// One parser of foreign bytes.
struct Target {
    name: &'static str,
    /// Reads one input, which is also in the file.
    run: fn(&[u8], &Path),
}

const TARGETS: [Target; 4] = [
    Target {
        name: "elf",
        run: elf,
    },
    Target {
        name: "maps",
        run: |bytes, _| {
            black_box(tracer::target::parse_maps(bytes));
        },
    },
    Target {
        name: "probe",
        run: |bytes, _| {
            let text = String::from_utf8_lossy(bytes);
            black_box(tracer::lang::parse_probe(&text)).ok();
            black_box(tracer::lang::parse_probe_file(&text));
        },
    },
    Target {
        name: "names",
        run: |bytes, _| {
            let name = tracer::debuginfo::names::demangle(bytes);
            let pattern = tracer::debuginfo::names::NamePattern::new(&name);
            black_box(pattern.matches(&name));
        },
    },
];

/// An ELF file with its debug information: asks all that a session asks.
fn elf(_: &[u8], path: &Path) {
    let Ok(module) = Module::open(path) else {
        return;
    };
    black_box(module.symbols().count());
    let functions = module.functions(None).unwrap_or_default();
    for function in functions.iter().take(MAX_FUNCTIONS) {
        black_box(module.function_sites(&function.name)).ok();
        for &address in function.addresses.iter().take(2) {
            ask_at(&module, address);
            ask_at(&module, address.add(9));
        }
    }
    black_box(module.derived("geometry::Shape", 8));
    for file in module.source_files().iter().take(4) {
        let lines = module.lines(file.id).unwrap_or_default();
        for line in lines.keys().take(MAX_LINES) {
            for site in module
                .sites(file.id, *line)
                .map(|sites| sites.sites)
                .unwrap_or_default()
            {
                ask_at(&module, site.address);
            }
        }
    }
    black_box(module.static_variable("global"));
    black_box(module.type_named("everything", None));
}

fn ask_at(module: &Module, address: LinkAddr) {
    black_box(module.site_at(address));
    black_box(module.cfa_at(address)).ok();
    for variable in module.variables_at(address).unwrap_or_default() {
        black_box(variable.place.to_string());
        black_box(module.type_of(variable.ty));
    }
}

/// Random numbers (xorshift64*), the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % end.max(1)
    }
}

/// Parts of a file where damage is of interest: all of it, when it is no ELF file.
fn soft_parts(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    use object::{Object as _, ObjectSection as _};
    use std::iter::once;
    let Ok(file) = object::File::parse(bytes) else {
        return once(0..bytes.len()).collect();
    };
    let of_interest = |name: &str| {
        ["debug", "note", "eh_frame"]
            .iter()
            .any(|part| name.contains(part))
    };
    let sections = file
        .sections()
        .filter(|section| section.name().is_ok_and(of_interest))
        .filter_map(|section| section.file_range())
        .filter_map(|(start, size)| {
            let start = usize::try_from(start).ok()?;
            let end = start.checked_add(usize::try_from(size).ok()?)?;
            (start < end && end <= bytes.len()).then_some(start..end)
        });
    let section_headers = bytes.len().saturating_sub(2048)..bytes.len();
    once(0..64)
        .chain(sections)
        .chain(once(section_headers))
        .collect()
}

/// A damaged copy.
fn damaged(seed: &[u8], parts: &[std::ops::Range<usize>], random: &mut Random) -> Vec<u8> {
    const NUMBERS: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x20, 0x40];
    let mut bytes = seed.to_vec();
    if bytes.is_empty() {
        return bytes;
    }
    for _ in 0..=random.below(24) {
        let Some(part) = parts.get(random.below(parts.len())) else {
            break;
        };
        let at = part.start + random.below(part.len());
        let length = (1 + random.below(8)).min(bytes.len().saturating_sub(at));
        let from = random.below(bytes.len() - length.min(bytes.len() - 1));
        match random.below(6) {
            0 | 1 => bytes[at.min(seed.len() - 1)] ^= 1 << random.below(8),
            2 => bytes[at..at + length].fill(NUMBERS[random.below(8)]),
            3 => bytes[at.min(seed.len() - 1)] = NUMBERS[random.below(8)],
            4 => bytes.copy_within(from..from + length, at),
            _ => {
                let number = random.next().to_le_bytes();
                bytes[at..at + length].copy_from_slice(&number[..length]);
            }
        }
    }
    if random.below(8) == 0 {
        bytes.truncate(random.below(bytes.len()));
    }
    bytes
}

/// Most memory that this process has had, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Runs inputs until the time is over; the input is in `directory` before it is read.
fn work(target: &Target, seeds: &[PathBuf], directory: &Path, seed: u64, time: Duration) -> u64 {
    let began = Instant::now();
    let mut random = Random(seed | 1);
    let input = directory.join("input");
    let seeds: Vec<_> = seeds
        .iter()
        .filter_map(|path| fs::read(path).ok())
        .map(|bytes| (soft_parts(&bytes), bytes))
        .collect();
    let mut count = 0;
    while began.elapsed() < time {
        let Some((parts, seed)) = seeds.get(random.below(seeds.len())) else {
            break;
        };
        let bytes = damaged(seed, parts, &mut random);
        fs::write(&input, &bytes).expect("the input can be written");
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| (target.run)(&bytes, &input)));
        if result.is_err() {
            std::process::exit(3);
        }
        if started.elapsed() > INPUT_TIME {
            eprintln!("took {:?}", started.elapsed());
            std::process::exit(4);
        }
        if peak_kib() > MEMORY_KIB {
            eprintln!("has {} KiB", peak_kib());
            std::process::exit(5);
        }
        count += 1;
    }
    count
}

/// Builds programs to damage.
fn programs(directory: &Path) -> Vec<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let commands = [
        "gcc -g -O1 -w variables/c_types.c",
        "gcc -gdwarf-4 -fdebug-types-section -O2 -w variables/c_types.c",
        "gcc -g -gz=zlib -O1 -w variables/c_types.c",
        "clang -g -O1 -w variables/c_types.c",
        "clang -gdwarf-4 -O0 -no-pie -w variables/c_types.c",
        "g++ -g -fdebug-types-section -O1 -w variables/cpp_types.cpp",
    ];
    let mut built = Vec::new();
    for (number, command) in commands.iter().enumerate() {
        let path = directory.join(format!("program{number}"));
        let mut words = command.split_whitespace();
        let Some(compiler) = words.next() else {
            continue;
        };
        let status = Command::new(compiler)
            .args(words)
            .arg("-o")
            .arg(&path)
            .current_dir(&sources)
            .status();
        if status.is_ok_and(|status| status.success()) {
            built.push(path);
        }
    }
    built
}

fn seeds(target: &Target, directory: &Path) -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let files = fs::read_dir(corpus.join(target.name));
    let mut seeds: Vec<PathBuf> = files
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    seeds.sort();
    if target.name == "elf" {
        seeds.extend(programs(directory));
    }
    seeds
}

/// Watches one worker after the other on a target; gives the number of inputs that failed.
fn watch(target: &Target, seconds: u64, first_seed: u64) -> usize {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let seeds = seeds(target, directory.path());
    assert!(!seeds.is_empty(), "no seeds for `{}`", target.name);
    let kept = std::env::current_dir()
        .unwrap_or_default()
        .join("target/fuzz");
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut failures, mut inputs, mut seed) = (0, 0_u64, first_seed);
    while Instant::now() < end {
        let left = end
            .saturating_duration_since(Instant::now())
            .as_secs()
            .max(1);
        let own = std::env::current_exe().expect("own path");
        // Slices of time: a hanging worker is ended by `timeout`, from outside.
        let slice = left.min(20);
        let output = Command::new("timeout")
            .arg((slice + 10).to_string())
            .arg(own)
            .args([
                "--worker",
                target.name,
                &seed.to_string(),
                &slice.to_string(),
            ])
            .arg(directory.path())
            .args(&seeds)
            .output()
            .expect("a worker starts");
        seed += 1;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        inputs += text.trim().parse::<u64>().unwrap_or(0);
        if !output.status.success() {
            failures += 1;
            let path = kept.join(format!("{}-{}", target.name, seed - 1));
            let saved = fs::create_dir_all(&kept)
                .and_then(|()| fs::copy(directory.path().join("input"), &path));
            eprintln!(
                "{}: {}: {}\n  input: {} ({saved:?})",
                target.name,
                output.status,
                String::from_utf8_lossy(&output.stderr).trim_end(),
                path.display()
            );
        }
    }
    println!(
        "{}: {inputs} inputs of {} seeds in {seconds} s, {failures} failed",
        target.name,
        seeds.len()
    );
    failures
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let find = |name: &str| TARGETS.iter().find(|target| target.name == name);
    match words.as_slice() {
        ["--worker", name, seed, seconds, directory, seeds @ ..] => {
            let target = find(name).expect("a target");
            let seeds: Vec<PathBuf> = seeds.iter().map(PathBuf::from).collect();
            let seed: u64 = seed.parse().expect("a number");
            let seconds = seconds.parse().expect("a number");
            let mix = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let time = Duration::from_secs(seconds);
            println!("{}", work(target, &seeds, Path::new(directory), mix, time));
            ExitCode::SUCCESS
        }
        ["--input", name, path] => {
            let bytes = fs::read(path).expect("the input");
            let started = Instant::now();
            (find(name).expect("a target").run)(&bytes, Path::new(path));
            println!("{:?}, {} KiB", started.elapsed(), peak_kib());
            ExitCode::SUCCESS
        }
        [seconds, seed, names @ ..] => {
            let seconds = seconds.parse().expect("seconds for each target");
            let seed = seed.parse().expect("a seed");
            let wanted = |target: &&Target| names.is_empty() || names.contains(&target.name);
            let failures: usize = TARGETS
                .iter()
                .filter(wanted)
                .map(|target| watch(target, seconds, seed))
                .sum();
            if failures == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        _ => {
            eprintln!("fuzz SECONDS SEED [TARGET]... | fuzz --input TARGET FILE");
            ExitCode::from(2)
        }
    }
}
