//! A target that runs: its commands, its counters, its end.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::counters::{Counters, FILE_BYTES};
use super::findings::{Class, Findings, Hang};
use super::lines::Lines;
use super::places::{PassKind, SlotRange};
use super::programs::Program;
use super::residue::text::Text;

/// No command of a target, and no end, may take longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what nobody tells of.
pub(super) const LOOK: Duration = Duration::from_millis(2);

/// A running target.
pub(super) struct Target {
    /// What runs.
    pub(super) program: Program,
    child: Child,
    input: Option<ChildStdin>,
    output: Lines,
    said: usize,
    counters: PathBuf,
    /// Its code, as it was before anything was attached.
    pub(super) text: Text,
}

impl Target {
    /// Starts it in a directory of the round; `marker` is in its environment.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn start(
        program: &Program,
        directory: &Path,
        marker: (&str, &str),
        number: usize,
    ) -> Result<Self> {
        let counters = directory.join(format!("counters-{number}"));
        let file = fs::File::create(&counters).context("cannot make the counters of a target")?;
        file.set_len(FILE_BYTES)?;
        let mut child = Command::new(&program.path)
            .arg(&counters)
            .env(marker.0, marker.1)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.path.display()))?;
        let output = child.stdout.take().context("a target has no output")?;
        let input = child.stdin.take();
        let output = Lines::read(output);
        output
            .wait(PATIENCE, 0, "start of a target", |line| line == "ready")?
            .context("a target ended at its start")?;
        let text = Text::of(child.id())?;
        Ok(Self {
            program: program.clone(),
            child,
            input,
            output,
            said: 1,
            counters,
            text,
        })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives it a command whose answer nobody waits for.
    pub(super) fn say(&mut self, command: &str) {
        if let Some(input) = &mut self.input {
            // It may have been killed: its end is looked at later.
            let _ = writeln!(input, "{command}");
        }
    }

    /// Gives it a command and waits until it is done; gives what it said, without `done`.
    ///
    /// # Errors
    /// It is not done in time, or ended.
    pub(super) fn tell(&mut self, command: &str) -> Result<Vec<String>> {
        self.tell_until(command, "done")
    }

    /// The same for a command that is done when `last` is said.
    ///
    /// # Errors
    /// It is not done in time, or ended.
    pub(super) fn tell_until(&mut self, command: &str, last: &str) -> Result<Vec<String>> {
        self.say(command);
        let is_last = |line: &str| line == last || line.starts_with(&format!("{last} "));
        let what = format!("answer to `{command}`");
        let at = self.output.wait(PATIENCE, self.said, &what, is_last)?;
        let lines = self.output.all();
        let at =
            at.with_context(|| format!("the target ended at `{command}`: {:?}", lines.last()))?;
        let said = lines.get(self.said..=at).unwrap_or_default().to_vec();
        self.said = at + 1;
        if let Some(failed) = said.iter().find(|line| line.starts_with("failed ")) {
            anyhow::bail!("the target says `{failed}` at `{command}`");
        }
        Ok(said)
    }

    /// Its counters now.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn counters(&self) -> Result<Counters> {
        Counters::read(&self.counters)
    }

    /// The counters once no signal is on its way to the target or being handled, while no command is.
    ///
    /// # Errors
    /// They cannot be read, or a signal is not handled in time.
    pub(super) fn quiet_counters(&self) -> Result<Counters> {
        let end = Instant::now() + PATIENCE;
        loop {
            let pending = has_pending_signal(self.pid());
            let counters = self.counters()?;
            if !pending && counters.no_signal_in_progress() {
                return Ok(counters);
            }
            if Instant::now() > end {
                return Err(Hang::new("a signal to a target is not handled").into());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Runs a command that passes, and gives the passes; what the target counted is checked.
    ///
    /// # Errors
    /// It is not done in time, or ended.
    pub(super) fn pass(
        &mut self,
        command: &str,
        kind: PassKind,
        findings: &mut Findings,
    ) -> Result<Vec<SlotRange>> {
        let before = self.quiet_counters()?;
        let said = self.tell(command)?;
        self.passed(&before, kind, &said, findings)
    }

    /// The passes since `before`, and whether the target says that all went well.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub(super) fn passed(
        &self,
        before: &Counters,
        kind: PassKind,
        said: &[String],
        findings: &mut Findings,
    ) -> Result<Vec<SlotRange>> {
        let after = self.quiet_counters()?;
        let passes = after.passes_since(before, kind);
        for text in after.contradictions(before, &passes) {
            findings.add(Class::Harm, format!("{}: {text}", self.program.name));
        }
        let harmed = said.iter().find_map(|line| line.strip_prefix("done "));
        findings.check(Class::Harm, harmed.is_none_or(|count| count == "0"), || {
            format!("forked processes that were harmed: {harmed:?}")
        });
        Ok(passes)
    }

    /// Where a file is mapped first.
    pub(super) fn base_of(&self, path: &Path) -> Option<u64> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid())).ok()?;
        let path = path.to_str()?;
        let line = maps.lines().find(|line| line.ends_with(path))?;
        u64::from_str_radix(line.split_once('-')?.0, 16).ok()
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end in time.
    pub(super) fn wait(&mut self) -> Result<ExitStatus> {
        wait(&mut self.child, PATIENCE, "a target")
    }

    /// Tells it to exit with a code, and checks that it does.
    ///
    /// # Errors
    /// It does not end in time.
    pub(super) fn exit(&mut self, code: i32, findings: &mut Findings) -> Result<()> {
        self.say(&format!("exit {code}"));
        let status = self.wait()?;
        findings.check(Class::Harm, status.code() == Some(code), || {
            format!(
                "a target ended with {status} (signal {:?}), not {code}",
                status.signal()
            )
        });
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process of ours, which has not been waited for.
pub(super) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It fails only when the process has ended.
        let _ = kill_process(pid, signal);
    }
}

/// Waits for the end of a child; one that does not end is killed.
///
/// # Errors
/// It did not end in time.
pub(super) fn wait(child: &mut Child, patience: Duration, what: &str) -> Result<ExitStatus> {
    let end = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > end {
            let (state, stack) = (state(child.id()), kernel_stack(child.id()));
            // It fails only when the process has ended.
            let _ = child.kill();
            let text = format!("{what} did not end within {patience:?} (state {state}){stack}");
            return Err(Hang::new(text).into());
        }
        std::thread::sleep(LOOK);
    }
}

/// Where the threads of a process are in the kernel, for the reader of a failure.
fn kernel_stack(pid: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let stacks = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stack")).ok());
    stacks.map(|stack| format!("\n{stack}")).collect()
}

/// The state of a process: `R`, `S`, `D`, `Z`, …
pub(super) fn state(pid: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.trim_start().chars().next().unwrap_or('-')
}

fn has_pending_signal(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mut pending = status.lines().filter_map(|line| {
        line.strip_prefix("SigPnd:")
            .or(line.strip_prefix("ShdPnd:"))
    });
    pending.any(|mask| mask.trim().chars().any(|digit| digit != '0'))
}
