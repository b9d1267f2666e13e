//! Reads hostile files that grow one dimension each, until the budget of work ends it.
//!
//! `cargo xtask fuzz --bombs` runs it. Each file is read by a process of its own, whose time
//! and memory are measured. It asks all that a session asks of a module.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use tracer::debuginfo::Module;

#[path = "../fuzz/src/lib.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "a library of its own, of which this program uses a part"
)]
mod targets;

use targets::bombs::{BOMBS, Make};

/// Time that one file may take; without optimisation everything takes ten times as long.
const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });
/// Memory that the reader of one file may touch, in KiB.
const MEMORY_KIB: u64 = 512 << 10;
/// The first size, and how much the next is larger.
const FIRST_BYTES: usize = 256 << 10;
const GROWTH: usize = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [word, path] if word == "read" => read(Path::new(path)),
        [word, directory, megabytes] if word == "make" => {
            make(Path::new(directory), megabytes.parse().unwrap_or(1))
        }
        [megabytes, named @ ..] => match megabytes.parse::<usize>() {
            Ok(megabytes) => grow_all(megabytes << 20, named),
            Err(_) => usage(),
        },
        [] => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: bombs MEGABYTES [DIMENSION…] | make DIRECTORY MEGABYTES");
    ExitCode::from(2)
}

/// Only makes the files.
fn make(directory: &Path, megabytes: usize) -> ExitCode {
    for (name, make) in BOMBS {
        let bytes = make(megabytes << 20);
        if let Err(error) = fs::write(directory.join(name), bytes) {
            eprintln!("{name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Reads one file, and says what that took.
fn read(path: &Path) -> ExitCode {
    let started = Instant::now();
    let outcome = match Module::open(path) {
        Err(error) => format!("refused: {error}"),
        Ok(module) => {
            targets::ask_all(&module);
            let (work, memory) = module.spent();
            let outcome = match module.require_budget() {
                Ok(()) => "read".to_owned(),
                Err(error) => error
                    .to_string()
                    .replace(&path.display().to_string(), "FILE"),
            };
            format!(
                "{:.1} M steps, {} MiB: {outcome}",
                work as f64 / 1e6,
                memory >> 20
            )
        }
    };
    println!("{}", started.elapsed().as_millis());
    println!("{outcome}");
    ExitCode::SUCCESS
}

/// Grows the dimensions that are named, or all.
fn grow_all(most: usize, named: &[String]) -> ExitCode {
    let mut failed = 0;
    let wanted =
        |(name, _): &&(&str, Make)| named.is_empty() || named.iter().any(|wanted| wanted == name);
    for (name, make) in BOMBS.iter().filter(wanted) {
        let mut bytes = FIRST_BYTES.min(most);
        loop {
            match try_one(name, *make, bytes) {
                Ok(row) => println!("{row}"),
                Err(why) => {
                    failed += 1;
                    println!("FAILED {name}, {bytes} bytes: {why}");
                }
            }
            if bytes == most {
                break;
            }
            bytes = (bytes * GROWTH).min(most);
        }
    }
    println!("bombs: {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

/// Has one file read by a process of its own.
fn try_one(name: &str, make: Make, bytes: usize) -> Result<String, String> {
    let said = |error: std::io::Error| error.to_string();
    let file = std::env::temp_dir().join(format!("tracer-bomb-{}", std::process::id()));
    fs::write(&file, make(bytes)).map_err(said)?;
    let own = std::env::current_exe().map_err(said)?;
    let mut reader = Command::new("/usr/bin/time");
    // The last line of its output has its peak of memory.
    reader.args(["-f", "%M"]).arg(own).arg("read").arg(&file);
    let output = reader.output().map_err(said);
    fs::remove_file(&file).map_err(said)?;
    let output = output?;
    let (out, errors) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    let mut lines = out.lines();
    let time = lines.next().and_then(|line| line.parse().ok());
    let (Some(time), Some(outcome)) = (time.map(Duration::from_millis), lines.next()) else {
        return Err(format!("the reader failed: {errors}"));
    };
    let peak: u64 = errors
        .lines()
        .last()
        .and_then(|line| line.trim().parse().ok())
        .ok_or("its memory is not known")?;
    let row = format!(
        "{name:<36} {:>5} KiB  {:>5} ms  {:>4} MiB  {outcome}",
        bytes >> 10,
        time.as_millis(),
        peak >> 10
    );
    if time > TIME || peak > MEMORY_KIB {
        return Err(row);
    }
    Ok(row)
}
