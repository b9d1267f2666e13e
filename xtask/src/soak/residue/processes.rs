//! Finds processes that sessions leave, and kernel messages about them.

use std::fs;

use crate::soak::target::{Marker, state};

/// Returns the processes with the marker in their environment, and their states.
///
/// The tracer's children inherit the marker. Zombies of ours have been waited for.
pub(super) fn marked(marker: &Marker) -> Vec<String> {
    let wanted = format!("{}={}", marker.name, marker.value);
    let all = fs::read_dir("/proc").into_iter().flatten();
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let marked = pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|variable| variable == wanted.as_bytes())
    });
    marked
        .map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!(
                "process {pid} (`{}`, state {}) still runs",
                name.trim(),
                state(pid)
            )
        })
        .collect()
}

/// Returns the ptrace tracer of a process, or `None` if the process is gone.
pub(super) fn tracer_pid(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn marked_process_is_found_until_it_ends() {
        let marker = Marker {
            name: "SOAK_TEST_MARK",
            value: format!("{}-test", std::process::id()),
        };
        let mut child = Command::new("cat")
            .env(marker.name, &marker.value)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cat is there");
        // The kernel shows the environment only once the program is loaded, which its answer
        // proves.
        let (mut to, mut from) = (child.stdin.take(), child.stdout.take());
        to.as_mut()
            .expect("a pipe")
            .write_all(b"x")
            .expect("it reads");
        let mut answer = [0];
        from.as_mut()
            .expect("a pipe")
            .read_exact(&mut answer)
            .expect("it writes");
        let found = marked(&marker);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(tracer_pid(child.id()), Some(0));
        child.kill().expect("it runs");
        child.wait().expect("it was killed");
        assert!(marked(&marker).is_empty());
    }
}
