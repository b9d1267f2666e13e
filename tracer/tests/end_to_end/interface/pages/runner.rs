//! Runs the blocks of a page, in one folder and with one shop.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::alike::{common, common_screen, occurs};
use super::markdown::{Block, Kind, Screen};
use crate::support::build::rust_compiler;
use crate::support::output::Output;
use crate::support::pty::Terminal;
use crate::support::telemetry::free_port;
use crate::support::tracer::TRACER;
use crate::support::{PATIENCE, wait_for};

/// The reader's folder on the pages.
const HOME: &str = "/home/ada/shop";

/// The port of metrics on the pages. The test takes a free one.
const METRICS_PORT: &str = "9464";

/// Prefix of lines that no page may have, because commands on the pages work.
const FAILED: &str = "failed: ";

/// The result of a block.
#[derive(Default)]
pub(super) struct Ran {
    /// Why it differs from the page.
    pub(super) wrong: Option<String>,
    /// Its output now. `None` if it has none.
    pub(super) shown: Option<Vec<String>>,
}

impl From<String> for Ran {
    fn from(wrong: String) -> Self {
        Self {
            wrong: Some(wrong),
            shown: None,
        }
    }
}

/// A running command, in its own process group.
struct Running {
    child: Child,
    output: Output,
    /// Number of its lines that were compared.
    compared: usize,
}

impl Running {
    fn signal(&self, signal: Signal) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // The command may have ended.
        let _ = kill_process_group(group.expect("a pid of a child"), signal);
    }

    /// Waits for its end and returns all of its lines. The last one reports a failure.
    fn finish(mut self) -> Vec<String> {
        let status = wait_for("the command's end", || {
            self.child.try_wait().expect("it is our child")
        });
        // Its background processes may hold the pipe.
        self.signal(Signal::KILL);
        let empty = Output::read("nothing", std::io::empty());
        let mut lines = std::mem::replace(&mut self.output, empty).finish();
        if !status.success() {
            lines.push(format!("{FAILED}{status}"));
        }
        lines
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Runs blocks one after another.
pub(super) struct Runner {
    folder: PathBuf,
    source: String,
    metrics_port: String,
    running: HashMap<String, Running>,
}

impl Runner {
    /// Runs in `folder`, which contains the shop's `source`.
    pub(super) fn new(folder: PathBuf, source: String) -> Self {
        let programs = folder.join(".bin");
        fs::create_dir(&programs).expect("the folder is empty");
        symlink(TRACER, programs.join("tracer")).expect("the folder is empty");
        // The test runs as root, so it does not need `sudo`.
        let sudo = programs.join("sudo");
        fs::write(&sudo, "#!/bin/sh\nexec \"$@\"\n").expect("the folder is empty");
        fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self {
            folder,
            source,
            metrics_port: free_port().to_string(),
            running: HashMap::new(),
        }
    }

    /// Runs a block and compares its output.
    pub(super) fn run(&mut self, block: &Block) -> Ran {
        self.try_run(block).unwrap_or_else(Ran::from)
    }

    fn try_run(&mut self, block: &Block) -> Result<Ran, String> {
        let shown = match &block.kind {
            Kind::NotRun(_) => return Ok(Ran::default()),
            Kind::Source => return self.source_has(&block.shown),
            Kind::File(name) => {
                let text = block.shown.join("\n") + "\n";
                fs::write(self.folder.join(name), text).expect("the folder is ours");
                return Ok(Ran::default());
            }
            Kind::Screen(screen) => return self.screen(screen, block),
            Kind::Run => {
                let mut running = self.start(block)?;
                Self::until_interrupted(&mut running, &block.shown);
                with_interrupt(running.finish(), &block.shown)
            }
            Kind::Starts(name) => {
                let mut running = self.start(block)?;
                let lines = Self::next_lines(&mut running, block.shown.len());
                self.running.insert(name.clone(), running);
                lines
            }
            Kind::GoesOn(name) => self.go_on(name, block)?,
        };
        Ok(compared(block, self.at_home(shown), common))
    }

    fn source_has(&self, lines: &[String]) -> Result<Ran, String> {
        let is_there = self.source.contains(&lines.join("\n"));
        let wrong = "this is not in the shop's source";
        if is_there {
            Ok(Ran::default())
        } else {
            Err(wrong.to_owned())
        }
    }

    /// Starts the command of a block.
    fn start(&self, block: &Block) -> Result<Running, String> {
        let command = block.command.as_deref().unwrap_or_default();
        let is_text = ["-o ", "--output ", "--check"]
            .iter()
            .any(|how| command.contains(how));
        if command.contains("attach") && !is_text {
            return Err("in a terminal this is no text: `-o text`".to_owned());
        }
        let mut command = self
            .with_pid(command)
            .replace(METRICS_PORT, &self.metrics_port);
        if matches!(block.kind, Kind::Starts(_)) || block.is_interrupted() {
            // `exec` replaces the shell, so pid and exit status are known.
            command.insert_str(0, "exec ");
        }
        let (reader, writer) = std::io::pipe().expect("a pipe can be had");
        let errors = writer.try_clone().expect("a pipe can be had");
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(&self.folder);
        shell.env("PATH", self.path()).env_remove("RUST_LOG");
        shell.stdin(Stdio::null()).stdout(writer).stderr(errors);
        let child = shell.process_group(0).spawn().expect("there is a shell");
        // The command holds the other end of the pipe.
        drop(shell);
        Ok(Running {
            child,
            output: Output::read("the command", reader),
            compared: 0,
        })
    }

    /// The command with the pid of this page's shop, because the machine may run others.
    fn with_pid(&self, command: &str) -> String {
        match self.running.get("shop") {
            Some(shop) => command.replace("--pid shop", &format!("--pid {}", shop.child.id())),
            None => command.to_owned(),
        }
    }

    fn path(&self) -> std::ffi::OsString {
        let compiler = PathBuf::from(rust_compiler());
        let compiler = compiler.parent().unwrap_or(Path::new("")).to_owned();
        let others = std::env::var_os("PATH").unwrap_or_default();
        let others = std::env::split_paths(&others);
        let all = [self.folder.join(".bin"), compiler]
            .into_iter()
            .chain(others);
        std::env::join_paths(all).expect("no colon in a path")
    }

    /// Sends Ctrl-C once the lines above `^C` are there.
    fn until_interrupted(running: &mut Running, page: &[String]) {
        let Some(above) = page.iter().position(|line| line == "^C") else {
            return;
        };
        let from = running.compared;
        running.output.wait(&format!("{above} lines"), |lines| {
            (lines.len() >= from + above).then_some(())
        });
        running.signal(Signal::INT);
    }

    fn next_lines(running: &mut Running, count: usize) -> Vec<String> {
        let from = running.compared;
        running.compared += count;
        running.output.wait(&format!("{count} lines"), |lines| {
            Some(lines.get(from..from + count)?.to_vec())
        })
    }

    fn go_on(&mut self, name: &str, block: &Block) -> Result<Vec<String>, String> {
        let running = self.running.remove(name);
        let mut running = running.ok_or_else(|| format!("`{name}` does not run"))?;
        if block.is_interrupted() {
            Self::until_interrupted(&mut running, &block.shown);
            let from = running.compared;
            let rest = running.finish().split_off(from);
            return Ok(with_interrupt(rest, &block.shown));
        }
        let lines = Self::next_lines(&mut running, block.shown.len());
        self.running.insert(name.to_owned(), running);
        Ok(lines)
    }

    /// Types the keys, and waits for the screen of the page.
    fn screen(&self, screen: &Screen, block: &Block) -> Result<Ran, String> {
        let command = self.with_pid(block.command.as_deref().unwrap_or_default());
        let arguments = command
            .strip_prefix("sudo tracer ")
            .ok_or_else(|| "a screen is one of `sudo tracer …`".to_owned())?;
        let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
        let mut terminal = Terminal::start(&arguments, screen.rows, screen.columns);
        for step in &screen.keys {
            terminal.wait_text(&step.once_shown);
            terminal.keys(&step.keys);
        }
        let expected = common_screen(&block.shown, &block.varies);
        let end = Instant::now() + PATIENCE;
        let mut lines;
        loop {
            let shown = terminal
                .text()
                .lines()
                .map(|line| line.trim_end().to_owned())
                .collect();
            lines = self.at_home(shown);
            if common_screen(&lines, &block.varies) == expected || Instant::now() >= end {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        terminal.keys("q");
        terminal.assert_restored();
        let width = usize::from(screen.columns);
        let lines = lines.into_iter().map(|line| filled(line, width)).collect();
        Ok(compared(block, lines, common_screen))
    }

    /// Replaces the test's folder and port by those of the pages.
    fn at_home(&self, lines: Vec<String>) -> Vec<String> {
        let folder = self.folder.to_str().expect("test paths are UTF-8");
        let address = |port: &str| format!("127.0.0.1:{port}");
        let (ours, shown) = (address(&self.metrics_port), address(METRICS_PORT));
        let lines = lines.into_iter();
        lines
            .map(|line| line.replace(folder, HOME).replace(&ours, &shown))
            .collect()
    }
}

/// Compares a block's output with the page.
fn compared(
    block: &Block,
    shown: Vec<String>,
    common: fn(&[String], &[String]) -> Vec<String>,
) -> Ran {
    let shown = shortened(shown, &block.shown);
    let page = common(&block.shown, &block.varies);
    let run = common(&shown, &block.varies);
    let command = block.command.as_deref().unwrap_or("what goes on");
    let wrong = difference(&page, &run).or_else(|| stale(block));
    Ran {
        wrong: wrong.map(|wrong| format!("{command}\n{wrong}")),
        shown: Some(shown),
    }
}

/// Why a run is wrong.
fn difference(page: &[String], run: &[String]) -> Option<String> {
    let failed = |line: &&String| line.starts_with("tracer: ") || line.starts_with(FAILED);
    if let Some(line) = run.iter().find(failed) {
        return Some(line.clone());
    }
    let (page, run) = (page.join("\n"), run.join("\n"));
    (page != run).then(|| format!("the page:\n{page}\nthe run:\n{run}\n"))
}

/// A pattern that matches nothing any more.
fn stale(block: &Block) -> Option<String> {
    let text = block.shown.join("\n");
    let stale = block
        .varies
        .iter()
        .find(|pattern| !occurs(pattern, &text))?;
    Some(format!("nothing on the page varies as `{stale}`"))
}

/// Extends a border to the width of the screen, because the original path was longer.
fn filled(mut line: String, width: usize) -> String {
    if let Some(border) = line
        .chars()
        .next_back()
        .filter(|last| ['━', '─'].contains(last))
    {
        let missing = width.saturating_sub(line.chars().count());
        line.extend(std::iter::repeat_n(border, missing));
    }
    line
}

/// The lines of a run, with `^C` as on the page.
fn with_interrupt(mut lines: Vec<String>, page: &[String]) -> Vec<String> {
    if let Some(at) = page.iter().position(|line| line == "^C") {
        lines.insert(at.min(lines.len()), "^C".to_owned());
    }
    lines
}

/// The lines of a run, with `…` for the lines that the page leaves out.
fn shortened(mut lines: Vec<String>, page: &[String]) -> Vec<String> {
    if let Some(head) = page.iter().position(|line| line == "…") {
        let tail = page.len() - head - 1;
        if lines.len() > head + tail {
            lines.splice(head..lines.len() - tail, ["…".to_owned()]);
        }
    }
    lines
}
