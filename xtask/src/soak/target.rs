//! Runs a target: its commands, its counters, its end.

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
use super::programs::TargetProgram;
use super::residue::text::Text;

/// Time that a command or the end of a target may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks at states without a notification.
pub(super) const LOOK: Duration = Duration::from_millis(2);

/// A variable in the environment of all processes of a round, by which they are found.
#[derive(Clone, Debug)]
pub(super) struct Marker {
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// A running target.
pub(super) struct SoakTarget {
    /// The program.
    pub(super) program: TargetProgram,
    child: Child,
    input: Option<ChildStdin>,
    output: Lines,
    said: usize,
    counters: PathBuf,
    /// Its code before anything was attached.
    pub(super) text: Text,
}

impl SoakTarget {
    /// Starts it in a directory of the round, with `marker` in its environment.
    ///
    /// # Errors
    /// Fails if the target does not start.
    pub(super) fn start(
        program: &TargetProgram,
        directory: &Path,
        marker: &Marker,
        number: usize,
    ) -> Result<Self> {
        let counters = directory.join(format!("counters-{number}"));
        let file = fs::File::create(&counters).context("cannot make the counters of a target")?;
        file.set_len(FILE_BYTES)?;
        let mut child = Command::new(&program.path)
            .arg(&counters)
            .env(marker.name, &marker.value)
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

    /// Returns the process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a command without waiting for the answer.
    pub(super) fn say(&mut self, command: &str) {
        if let Some(input) = &mut self.input {
            // The target may have been killed. Its end is checked later.
            let _ = writeln!(input, "{command}");
        }
    }

    /// Sends a command and waits until it is done. Returns the answer without `done`.
    ///
    /// # Errors
    /// Fails if the command is not done in time, or if the target ended.
    pub(super) fn tell(&mut self, command: &str) -> Result<Vec<String>> {
        self.tell_until(command, "done")
    }

    /// Sends a command and waits for the answer `last`.
    ///
    /// # Errors
    /// Fails if the answer does not come in time, or if the target ended.
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

    /// Reads its counters.
    ///
    /// # Errors
    /// Fails if the counters cannot be read.
    pub(super) fn counters(&self) -> Result<Counters> {
        Counters::read(&self.counters)
    }

    /// Reads the counters once all signals to the target are handled. No command is running.
    ///
    /// # Errors
    /// Fails if the counters cannot be read, or if a signal is not handled in time.
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

    /// Runs a command that passes, checks the target's counters, and returns the passes.
    ///
    /// # Errors
    /// Fails if the command is not done in time, or if the target ended.
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

    /// Returns the passes since `before`, and whether the target reports success.
    ///
    /// # Errors
    /// Fails if the counters cannot be read.
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

    /// Returns the first mapping of a file.
    pub(super) fn base_of(&self, path: &Path) -> Option<u64> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid())).ok()?;
        let path = path.to_str()?;
        let line = maps.lines().find(|line| line.ends_with(path))?;
        u64::from_str_radix(line.split_once('-')?.0, 16).ok()
    }

    /// Sends the target a signal.
    pub(super) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Waits for the target to end.
    ///
    /// # Errors
    /// Fails if the target does not end in time.
    pub(super) fn wait(&mut self) -> Result<ExitStatus> {
        wait(&mut self.child, PATIENCE, "a target")
    }

    /// Orders the target to exit with a code, and checks that it does.
    ///
    /// # Errors
    /// Fails if the target does not end in time.
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

impl Drop for SoakTarget {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a child process that has not been waited for.
pub(super) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // The call fails only if the process has ended.
        let _ = kill_process(pid, signal);
    }
}

/// Waits for the end of a child. A child that does not end is killed.
///
/// # Errors
/// Fails if the child does not end in time.
pub(super) fn wait(child: &mut Child, patience: Duration, what: &str) -> Result<ExitStatus> {
    let end = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > end {
            let (state, stack) = (state(child.id()), kernel_stack(child.id()));
            // The call fails only if the process has ended.
            let _ = child.kill();
            let text = format!("{what} did not end within {patience:?} (state {state}){stack}");
            return Err(Hang::new(text).into());
        }
        std::thread::sleep(LOOK);
    }
}

/// Returns kernel positions of a process's threads, for the message of a failure.
fn kernel_stack(pid: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let stacks = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stack")).ok());
    stacks.map(|stack| format!("\n{stack}")).collect()
}

/// Returns the state of a process: `R`, `S`, `D`, `Z`, …
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
