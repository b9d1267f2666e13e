//! Runs a program twice from the same start, once under gdb and once under `tracer`. Returns the
//! values of each at the first hit of each site.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::corpus::CorpusProgram;
use crate::support::failure::Failure;
use crate::support::workspace;

/// Time limit for one step of a program.
const DEADLINE: Duration = Duration::from_secs(120);
/// gdb's side.
const SCRIPT: &str = include_str!("gdb.py");

/// True if the release build of `tracer` is tested.
static RELEASE: AtomicBool = AtomicBool::new(false);

/// Uses the release build from now on. It has the same code and is faster.
pub(super) fn use_release() {
    RELEASE.store(true, Ordering::Relaxed);
}

fn tracer() -> PathBuf {
    workspace::binary("tracer", RELEASE.load(Ordering::Relaxed))
}

/// One address to look at.
pub(crate) struct ComparedSite {
    pub(crate) module: PathBuf,
    /// Link address, as hexadecimal text.
    pub(crate) address: String,
    pub(crate) file: String,
    pub(crate) line: u64,
    pub(crate) function: String,
}

impl ComparedSite {
    /// Returns the location in readable form.
    pub(crate) fn location(&self) -> String {
        let file = self.file.rsplit('/').next().unwrap_or(&self.file);
        format!(
            "{file}:{} ({} in {})",
            self.line, self.address, self.function
        )
    }

    /// Returns the location of a probe.
    pub(super) fn probe(&self) -> String {
        let module = self
            .module
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        format!("{module}!{}", self.address)
    }
}

/// Returns the sites of a program that can be probed, evenly chosen if there are too many.
///
/// # Errors
/// Fails if `tracer lines` fails.
pub(crate) fn sites(program: &CorpusProgram) -> Result<Vec<ComparedSite>> {
    let mut sites = Vec::new();
    for (module, files) in &program.modules {
        for file in files {
            let lines = list(module, std::slice::from_ref(file))?;
            let locations: Vec<String> = lines
                .iter()
                .map(|line| format!("{}:{}", text(&line["file"]), line["line"]))
                .collect();
            for chunk in locations.chunks(500) {
                for site in list(module, chunk)? {
                    sites.push(ComparedSite {
                        module: module.clone(),
                        address: text(&site["address"]),
                        file: text(&site["file"]),
                        line: site["line"].as_u64().unwrap_or(0),
                        function: text(&site["function"]),
                    });
                }
            }
        }
    }
    // One address may be the site of copies of several lines.
    let mut seen = std::collections::HashSet::new();
    sites.retain(|site| seen.insert((site.module.clone(), site.address.clone())));
    let every = sites.len().div_ceil(program.sites.max(1)).max(1);
    Ok(sites.into_iter().step_by(every).collect())
}

/// Returns the source files of a program that are on disk and do not belong to a library.
///
/// # Errors
/// Fails if `tracer lines` fails.
pub(crate) fn own_sources(exe: &Path) -> Result<Vec<String>> {
    let foreign = ["/usr/", "/rustc/", "/.cargo/", "/rustlib/"];
    let files = list(exe, &[])?;
    let own = files.iter().filter(|file| file["on_disk"] == true);
    let own = own.map(|file| text(&file["file"]));
    Ok(own
        .filter(|file| !foreign.iter().any(|part| file.contains(part)))
        .collect())
}

/// Returns the output of `tracer lines` for these locations.
fn list(module: &Path, locations: &[String]) -> Result<Vec<Value>> {
    let mut command = Command::new(tracer());
    command
        .args(["lines", "--json", "--exe"])
        .arg(module)
        .args(locations);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run tracer")?;
    if !output.status.success() {
        let what = format!("`tracer lines` of {} failed", module.display());
        return Err(Failure::new(what).into());
    }
    let lines = String::from_utf8(output.stdout)?;
    let lines = lines.lines().map(|line| Ok(serde_json::from_str(line)?));
    lines.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A program that waits for a line on its stdin, with the same addresses in every run.
struct PausedProgram(Child);

impl PausedProgram {
    fn start(program: &CorpusProgram) -> Result<Self> {
        let mut command = Command::new("setarch");
        command.arg("-R").arg(&program.exe).args(&program.arguments);
        let child = command
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.exe.display()))?;
        let target = Self(child);
        target.wait_until_it_waits(&program.exe)?;
        Ok(target)
    }

    /// Waits until the process runs the program itself, and sleeps.
    fn wait_until_it_waits(&self, exe: &Path) -> Result<()> {
        let (own, wanted) = (format!("/proc/{}/exe", self.0.id()), exe.canonicalize()?);
        let stat = format!("/proc/{}/stat", self.0.id());
        let asleep = || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            stat.rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" S"))
        };
        let until = Instant::now() + DEADLINE;
        let mut seen = 0;
        while Instant::now() < until {
            let is_it = std::fs::read_link(&own).is_ok_and(|exe| exe == wanted);
            // It must be asleep several times in a row, so that it sleeps in its read and not in
            // a page fault before.
            seen = if is_it && asleep() { seen + 1 } else { 0 };
            if seen >= 5 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Failure::new(format!("{} does not wait for its input", exe.display())).into())
    }

    fn go(&mut self) -> Result<()> {
        if let Some(mut stdin) = self.0.stdin.take() {
            stdin.write_all(b"go\n")?;
        }
        Ok(())
    }
}

impl Drop for PausedProgram {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a child to end, and kills it if that takes too long.
fn finish(child: &mut Child, what: &str) -> Result<()> {
    let until = Instant::now() + DEADLINE;
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure::new(format!("{what} does not end")).into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Returns gdb's values by number of the site. Statics are those of the last site that was hit.
pub(crate) fn gdb(
    program: &CorpusProgram,
    sites: &[ComparedSite],
) -> Result<BTreeMap<usize, Value>> {
    let list: Vec<Value> = sites
        .iter()
        .enumerate()
        .map(|(id, site)| {
            let module = site.module.canonicalize().unwrap_or_else(|_| site.module.clone());
            json!({"id": id, "module": module, "address": site.address, "statics": wants_statics(site)})
        })
        .collect();
    let mut seen = BTreeMap::new();
    for report in gdb_reports(program, json!({"sites": list}))? {
        if let Some(id) = report["id"].as_u64() {
            seen.insert(id as usize, report);
        }
    }
    Ok(seen)
}

/// Runs a program from its start to its end under gdb. Returns the reports of gdb's side of a job.
pub(super) fn gdb_reports(program: &CorpusProgram, mut work: Value) -> Result<Vec<Value>> {
    let directory = program_directory(program)?;
    let (job, out) = (directory.join("job.json"), directory.join("gdb.json"));
    let script = directory.join("gdb.py");
    std::fs::write(&script, SCRIPT)?;
    let _ = std::fs::remove_file(&out);
    let mut target = PausedProgram::start(program)?;
    work["pid"] = target.0.id().into();
    std::fs::write(&job, work.to_string())?;
    let mut gdb = Command::new("gdb")
        .args(["-nx", "-batch", "-x"])
        .arg(&script)
        .env("FIDELITY_JOB", &job)
        .env("FIDELITY_OUT", &out)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(directory.join("gdb.err"))?)
        .spawn()
        .context("cannot run gdb")?;
    let ready = || std::fs::read_to_string(&out).is_ok_and(|text| text.contains("ready"));
    wait_for(&mut gdb, "gdb", ready)?;
    target.go()?;
    finish(&mut gdb, "gdb")?;
    let reports = std::fs::read_to_string(&out)?;
    let reports = reports
        .lines()
        .map(|line| serde_json::from_str(line).context("gdb's report"));
    let mut reports: Vec<Value> = reports.collect::<Result<_>>()?;
    reports.retain(|report| report["ready"] != true);
    Ok(reports)
}

/// Returns the functions of a program, as `tracer funcs` lists them.
pub(super) fn functions(program: &CorpusProgram) -> Result<Vec<Value>> {
    let output = Command::new(tracer())
        .args(["funcs", "--json", "--exe"])
        .arg(&program.exe)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run tracer")?;
    let lines = String::from_utf8(output.stdout)?;
    let lines = lines.lines().map(|line| Ok(serde_json::from_str(line)?));
    lines.collect()
}

/// Returns true if statics are read at a site: at the start of the program, and in its library.
fn wants_statics(site: &ComparedSite) -> bool {
    site.function == "main"
        || site.function == "shared_call"
        || site.function.ends_with("::main")
        || site.function.starts_with("main(")
}

fn program_directory(program: &CorpusProgram) -> Result<PathBuf> {
    let directory = match program.exe.parent() {
        Some(parent) if parent.starts_with(workspace::target().join("fidelity")) => {
            parent.to_owned()
        }
        _ => workspace::target().join("fidelity/other"),
    };
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Waits until a condition holds while a child runs.
fn wait_for(child: &mut Child, what: &str, ready: impl Fn() -> bool) -> Result<()> {
    let until = Instant::now() + DEADLINE;
    while !ready() {
        if child.try_wait()?.is_some() {
            return Err(Failure::new(format!("{what} ended before it was ready")).into());
        }
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure::new(format!("{what} is not ready")).into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Our values by name of the probe: `s` and the number of the site for its variables, `v` and the
/// number for the requested statics.
#[derive(Default)]
pub(crate) struct Ours {
    /// Values by name, by probe.
    pub(crate) events: BTreeMap<String, BTreeMap<String, Value>>,
}

/// Traces the program. `statics` are names that are requested at the sites, besides the variables
/// in scope.
pub(crate) fn ours(
    program: &CorpusProgram,
    sites: &[ComparedSite],
    statics: &BTreeMap<usize, Vec<String>>,
) -> Result<Ours> {
    let directory = program_directory(program)?;
    let mut probes = String::new();
    for (id, site) in sites.iter().enumerate() {
        probes.push_str(&format!("log {} hits 1 as s{id}\n", site.probe()));
        for (number, name) in statics.get(&id).into_iter().flatten().enumerate() {
            probes.push_str(&format!(
                "log {} \"{{{name}}}\" hits 1 as v{id}.{number}\n",
                site.probe()
            ));
        }
    }
    let file = directory.join("probes");
    std::fs::write(&file, probes)?;
    let arguments = ["-f".into(), file.into_os_string()];
    let mut ours = Ours::default();
    for event in trace(program, &arguments)? {
        if event["type"] != "event" {
            continue;
        }
        let values = event["values"].as_array().into_iter().flatten();
        let values = values.map(|value| (text(&value["expr"]), value["value"].clone()));
        ours.events.insert(text(&event["probe"]), values.collect());
    }
    Ok(ours)
}

/// Traces a run of the program from its start to its end, with `arguments` as probes. Returns
/// tracer's JSON.
pub(super) fn trace(program: &CorpusProgram, arguments: &[OsString]) -> Result<Vec<Value>> {
    let mut target = PausedProgram::start(program)?;
    let mut tracer = Command::new(tracer())
        .args([
            "attach",
            "--max-depth",
            "6",
            "--no-redact",
            "--output",
            "json",
            "--pid",
        ])
        .arg(target.0.id().to_string())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run tracer")?;
    let said = lines(tracer.stderr.take());
    let wrote = lines(tracer.stdout.take());
    let attached = || said.try_iter().any(|line| line.starts_with("tracing "));
    wait_for(&mut tracer, "tracer", attached)?;
    target.go()?;
    finish(&mut tracer, "tracer")?;
    let values = all(&wrote, "what tracer writes")?;
    let values = values
        .iter()
        .map(|line| serde_json::from_str(line).context("a line of tracer"));
    values.collect()
}

/// Returns the output of `attach --check` for probes in the program.
pub(super) fn check(program: &CorpusProgram, arguments: &[OsString]) -> Result<Vec<Value>> {
    let output = Command::new(tracer())
        .args(["attach", "--max-depth", "6", "--check", "--output", "json"])
        .arg("--exe")
        .arg(&program.exe)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .context("cannot run tracer")?;
    let lines = String::from_utf8(output.stdout)?;
    let values = lines
        .lines()
        .map(|line| serde_json::from_str(line).context("a line of tracer"));
    values.collect()
}

/// Reads lines in a thread, so that no pipe fills up.
fn lines(from: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (to, lines) = mpsc::channel();
    if let Some(from) = from {
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(std::io::Result::ok) {
                if to.send(line).is_err() {
                    break;
                }
            }
        });
    }
    lines
}

/// Returns all lines of a child's output, to its end.
fn all(lines: &Receiver<String>, what: &str) -> Result<Vec<String>> {
    let mut all = Vec::new();
    loop {
        match lines.recv_timeout(DEADLINE) {
            Ok(line) => all.push(line),
            Err(RecvTimeoutError::Disconnected) => return Ok(all),
            Err(RecvTimeoutError::Timeout) => {
                return Err(Failure::new(format!("{what} does not end")).into());
            }
        }
    }
}
