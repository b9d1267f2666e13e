//! Feeds damaged programs to everything that reads a module, for a while.
//!
//! `cargo xtask fuzz --damaged` runs it. The process that is started watches workers: a worker
//! that panics, hangs or takes too much memory ends, and the input that it was at is
//! kept. Inputs are damaged copies of programs that the compilers at hand build, and of
//! the fuzzer's seeds; they are larger than what the fuzzer tries, and no code is counted.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

#[path = "../fuzz/src/lib.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "a library of its own, of which this program uses a part"
)]
mod targets;

#[path = "damage/copy.rs"]
mod copy;
#[path = "../tests/kernel/support/random.rs"]
mod random;

use copy::{damaged, soft_parts};
use random::Random;

/// Time that one input may take.
const INPUT_TIME: Duration = Duration::from_secs(2);
/// Memory that a worker may have touched, in KiB.
const MEMORY_KIB: u64 = 512 << 10;
/// The fuzz targets that read a module.
const READ_MODULES: [&str; 3] = ["elf", "lines", "variables"];

/// Reads the bytes of a module.
fn read(bytes: &[u8]) {
    for (name, run) in targets::TARGETS {
        if READ_MODULES.contains(&name) {
            run(bytes);
        }
    }
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

fn index(random: &mut Random, length: usize) -> usize {
    let index = random.below(length.max(1) as u64);
    usize::try_from(index).expect("an index")
}

/// Runs inputs until the time is over; the input is in `directory` before it is read.
fn work(seeds: &[PathBuf], directory: &Path, seed: u64, time: Duration) -> u64 {
    let began = Instant::now();
    let mut random = Random::new(seed);
    let input = directory.join("input");
    let seeds: Vec<_> = seeds
        .iter()
        .filter_map(|path| fs::read(path).ok())
        .map(|bytes| (soft_parts(&bytes), bytes))
        .collect();
    let mut count = 0;
    while began.elapsed() < time {
        let Some((parts, seed)) = seeds.get(index(&mut random, seeds.len())) else {
            break;
        };
        let bytes = damaged(seed, parts, &mut random);
        fs::write(&input, &bytes).expect("the input can be written");
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| read(&bytes)));
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

fn seeds(directory: &Path) -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/elf");
    let files = fs::read_dir(corpus);
    let mut seeds: Vec<PathBuf> = files
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    seeds.sort();
    seeds.extend(programs(directory));
    seeds
}

/// Watches one worker after the other; gives the number of inputs that failed.
fn watch(seconds: u64, first_seed: u64) -> usize {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let seeds = seeds(directory.path());
    assert!(!seeds.is_empty(), "no program to damage");
    let kept = std::env::current_dir()
        .unwrap_or_default()
        .join("target/fuzz/artifacts/damaged");
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
            .args(["--worker", &seed.to_string(), &slice.to_string()])
            .arg(directory.path())
            .args(&seeds)
            .output()
            .expect("a worker starts");
        seed += 1;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        inputs += text.trim().parse::<u64>().unwrap_or(0);
        if !output.status.success() {
            failures += 1;
            let path = kept.join((seed - 1).to_string());
            let saved = fs::create_dir_all(&kept)
                .and_then(|()| fs::copy(directory.path().join("input"), &path));
            eprintln!(
                "{}: {}\n  input: {} ({saved:?})",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim_end(),
                path.display()
            );
        }
    }
    println!(
        "{inputs} damaged copies of {} programs in {seconds} s, {failures} failed",
        seeds.len()
    );
    failures
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--worker", seed, seconds, directory, seeds @ ..] => {
            let seeds: Vec<PathBuf> = seeds.iter().map(PathBuf::from).collect();
            let seed: u64 = seed.parse().expect("a number");
            let seconds = seconds.parse().expect("a number");
            let time = Duration::from_secs(seconds);
            println!("{}", work(&seeds, Path::new(directory), seed, time));
            ExitCode::SUCCESS
        }
        ["--input", path] => {
            let bytes = fs::read(path).expect("the input");
            let started = Instant::now();
            read(&bytes);
            println!("{:?}, {} KiB", started.elapsed(), peak_kib());
            ExitCode::SUCCESS
        }
        [seconds, seed] => {
            let seconds = seconds.parse().expect("seconds");
            let seed = seed.parse().expect("a seed");
            if watch(seconds, seed) == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        _ => {
            eprintln!("damage SECONDS SEED | damage --input FILE");
            ExitCode::from(2)
        }
    }
}
