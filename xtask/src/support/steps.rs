//! Numbered steps of a command. Each is announced, and its time is printed at its end.

use std::time::Instant;

use anyhow::Result;

/// The steps of one command, with their total number.
pub(crate) struct Steps {
    command: &'static str,
    total: usize,
    done: usize,
}

impl Steps {
    /// Steps of a command.
    pub(crate) fn new(command: &'static str, total: usize) -> Self {
        Self {
            command,
            total,
            done: 0,
        }
    }

    /// Runs the next step, and prints a line before it and its time after it.
    ///
    /// # Errors
    /// Errors of the step.
    pub(crate) fn run<T>(&mut self, what: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        self.done += 1;
        let place = format!("{} {}/{}", self.command, self.done, self.total);
        println!("{place}: {what}");
        let started = Instant::now();
        let result = step()?;
        println!("{place}: done in {:.1} s", started.elapsed().as_secs_f64());
        Ok(result)
    }
}
