//! Processor time to compile probes on many lines of one source file, as `attach --check` does.
//!
//!     cargo run --release --workspace --example check_lines -- PROGRAM SOURCE COUNT [TEMPLATE]
//!
//! `attach --check` accepts as many probes as a session has room for. This example accepts any
//! number, and picks lines with code evenly from the whole file.

use std::path::Path;
use std::time::Instant;

use tracer::actions::parse_probe;
use tracer::debuginfo::Module;
use tracer::lang::ast::ProbeSpec;
use tracer::session::{Catalog, SessionOptions};

/// Ticks of `/proc/self/stat` in a second.
const TICKS: f64 = 100.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, source, count, template @ ..] = &arguments[..] else {
        return Err("usage: check_lines PROGRAM SOURCE COUNT [TEMPLATE]".into());
    };
    let lines = lines_with_code(Path::new(program), source)?;
    let count: usize = count.parse()?;
    let template = template
        .first()
        .map_or_else(String::new, |text| format!(" \"{text}\""));
    let step = (lines.len() / count).max(1);
    let specs: Vec<ProbeSpec> = lines
        .iter()
        .step_by(step)
        .take(count)
        .map(|line| parse_probe(&format!("log {source}:{line}{template}")))
        .collect::<Result<_, _>>()?;
    let specs: Vec<&ProbeSpec> = specs.iter().collect();

    let (before, start) = (processor_seconds()?, Instant::now());
    let options = SessionOptions::default();
    let catalog = Catalog::of_file(Path::new(program), &options.debug)?;
    let checked = catalog.check(None, &specs, &options);
    let seconds = processor_seconds()? - before;

    let accepted: Vec<_> = checked.iter().flatten().collect();
    let sites: usize = accepted.iter().map(|probe| probe.sites.len()).sum();
    println!(
        "{} of {} probes accepted, {sites} sites: {seconds:.2} s of processor time, {:.2} s elapsed",
        accepted.len(),
        checked.len(),
        start.elapsed().as_secs_f64(),
    );
    if let Some(error) = checked.iter().find_map(|probe| probe.as_ref().err()) {
        println!("first error: {error}");
    }
    Ok(())
}

/// Lines of a source file with code, in order.
fn lines_with_code(program: &Path, source: &str) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let module = Module::open(program)?;
    let file = module
        .source_files()
        .iter()
        .position(|file| file.path.ends_with(source))
        .ok_or("no such source file")?;
    let file = tracer::debuginfo::site::FileId(u32::try_from(file)?);
    Ok(module.lines(file)?.keys().copied().collect())
}

/// User and system time of this process.
fn processor_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The command's name may contain spaces.
    let (_, fields) = stat.rsplit_once(')').ok_or("no command in `stat`")?;
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = times.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(ticks as f64 / TICKS)
}
