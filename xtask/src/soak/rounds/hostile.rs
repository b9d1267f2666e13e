//! Damaged files and texts. The tracer answers or refuses, within limits of time and memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::soak::copy::{damaged, soft_parts};
use crate::soak::findings::Class;
use crate::soak::random::Random;
use crate::soak::round::Round;
use crate::soak::target::LOOK;
use crate::support::workspace;

/// Time for one input: CPU time or wall clock time, whichever is less, so that other work on the
/// machine does not matter.
const TIME: Duration = Duration::from_secs(2);
/// Time after which the tracer counts as hanging.
const HANG: Duration = Duration::from_secs(30);
/// Bytes of its own memory. The kernel refuses more.
const DATA: u64 = 512 << 20;
/// Inputs of a round.
const INPUTS: u64 = 12;
/// Largest program that is damaged, in bytes.
const LARGEST: u64 = 8 << 20;
/// Ticks per second of the kernel's CPU times. The number is the same everywhere.
const TICKS: u64 = 100;

/// Runs the round.
///
/// # Errors
/// Fails if an input cannot be created.
pub(in crate::soak) fn run(round: &mut Round<'_>) -> Result<()> {
    let seeds = seeds(round)?;
    let probes = corpus("probe")?;
    for _ in 0..INPUTS {
        let arguments = if round.random.one_in(5) {
            probe_input(round, &probes)?
        } else {
            file_input(round, &seeds)?
        };
        input(round, &arguments)?;
    }
    Ok(())
}

/// Returns the programs of the corpora, and the targets.
fn seeds(round: &Round<'_>) -> Result<Vec<PathBuf>> {
    let mut seeds = corpus("elf")?;
    let targets = round.programs.targets.iter().map(|target| &target.path);
    seeds.extend(targets.chain([&round.programs.plugin]).cloned());
    seeds.retain(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() <= LARGEST));
    Ok(seeds)
}

/// Returns the seeds of a fuzz target, in a stable order.
fn corpus(name: &str) -> Result<Vec<PathBuf>> {
    let directory = workspace::root().join("tracer/fuzz/corpus").join(name);
    let entries =
        fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    Ok(files)
}

fn pick<'a>(from: &'a [PathBuf], random: &mut Random) -> Result<&'a Path> {
    let index = usize::try_from(random.below(from.len().max(1) as u64))?;
    let path = from.get(index).context("there is no seed")?;
    Ok(path)
}

/// Returns a program, damaged or intact, and a command that reads it.
fn file_input(round: &mut Round<'_>, seeds: &[PathBuf]) -> Result<Vec<String>> {
    let seed = pick(seeds, &mut round.random)?;
    let bytes = fs::read(seed).with_context(|| format!("cannot read {}", seed.display()))?;
    let bytes = if round.random.one_in(10) {
        bytes
    } else {
        damaged(&bytes, &soft_parts(&bytes), &mut round.random)
    };
    let input = round.directory.join("input");
    fs::write(&input, bytes).context("cannot write an input")?;
    let exe = input.display().to_string();
    let words: Vec<&str> = match round.random.below(8) {
        0 => vec!["lines", "--exe", &exe],
        1 => vec!["lines", "--exe", &exe, "pass.c"],
        2 => vec!["lines", "--exe", &exe, "main.rs:10", "--json"],
        3 => vec!["vars", "--exe", &exe, "main"],
        4 => vec!["vars", "--exe", &exe, "work", "--json"],
        5 => vec!["funcs", "--exe", &exe],
        6 => vec!["funcs", "--exe", &exe, "a", "--json"],
        _ => {
            let mut words = vec!["attach", "--check", "--exe", &exe, "-e", "log main"];
            words.extend(["-e", "time work", "-e", "snapshot leaf%return"]);
            words
        }
    };
    Ok(words.into_iter().map(str::to_owned).collect())
}

/// Returns a file of probes, damaged or intact.
fn probe_input(round: &mut Round<'_>, probes: &[PathBuf]) -> Result<Vec<String>> {
    let seed = pick(probes, &mut round.random)?;
    let bytes = fs::read(seed).with_context(|| format!("cannot read {}", seed.display()))?;
    let bytes = damaged(&bytes, &soft_parts(&bytes), &mut round.random);
    let input = round.directory.join("input");
    fs::write(&input, bytes).context("cannot write an input")?;
    let target = &round.programs.targets[0].path;
    let words = ["attach", "--check", "--exe"].map(str::to_owned);
    let mut words: Vec<String> = words.into();
    words.extend([
        target.display().to_string(),
        "-f".to_owned(),
        input.display().to_string(),
    ]);
    Ok(words)
}

/// The cost of a run.
#[derive(Clone, Copy, Debug)]
struct Cost {
    clock: Duration,
    cpu: Duration,
    /// The highest memory use, in KiB, including pages of files.
    seen_kib: u64,
}

/// Runs the tracer with an input, and checks its exit and its cost.
fn input(round: &mut Round<'_>, arguments: &[String]) -> Result<()> {
    let errors = round.directory.join("input-errors");
    let start = round.start_of(arguments.to_vec());
    let tracer = start.command();
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--data={DATA}"))
        .arg("--core=0")
        .arg("--")
        .arg(tracer.get_program())
        .args(tracer.get_args())
        .env_clear()
        .envs(
            tracer
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(&start.home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&errors).context("cannot make a file")?);
    let mut child = command.spawn().context("cannot run `prlimit`")?;
    let (status, cost) = watch(&mut child)?;
    round.findings.count("hostile inputs", 1);
    let shown = arguments.join(" ");
    round.findings.took(cost.clock.min(cost.cpu), &shown);
    let said = fs::read(&errors).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let good = status.code().is_some_and(|code| [0, 1, 2].contains(&code));
    let within = !round.programs.release || cost.clock.min(cost.cpu) <= TIME;
    let small = cost.seen_kib <= DATA >> 10;
    round
        .findings
        .check(Class::Tracer, good && !said.contains("panicked at"), || {
            format!("`{shown}` ended with {status}: {said}")
        });
    round.findings.check(Class::Hostile, within && small, || {
        format!("`{shown}` took {cost:?}")
    });
    if !(good && within && small) {
        keep(round)?;
    }
    Ok(())
}

/// Keeps an input that the next one would overwrite.
fn keep(round: &Round<'_>) -> Result<()> {
    let names = (0..).map(|number| round.directory.join(format!("failed-input-{number}")));
    let Some(free) = names.into_iter().find(|path| !path.exists()) else {
        return Ok(());
    };
    fs::copy(round.directory.join("input"), free).context("cannot keep an input")?;
    Ok(())
}

/// Waits for the process to end, and measures its cost. A hanging process is killed.
fn watch(child: &mut Child) -> Result<(ExitStatus, Cost)> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.context("a process has no number")?;
    let began = Instant::now();
    let mut seen_kib = 0;
    loop {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let has_ended = waitid(WaitId::Pid(pid), options)?.is_some();
        let clock = began.elapsed();
        if has_ended || clock > HANG {
            // The call fails only if the process has ended.
            let _ = child.kill();
            let cpu = cpu_time(child.id());
            let cost = Cost {
                clock,
                cpu: if has_ended { cpu } else { clock },
                seen_kib,
            };
            return Ok((child.wait()?, cost));
        }
        seen_kib = seen_kib.max(peak_kib(child.id()));
        std::thread::sleep(LOOK);
    }
}

fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Returns the CPU time of a process that has ended and not been waited for, in user and kernel
/// mode.
fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // Fields 14 and 15 of the line.
    let fields = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}
