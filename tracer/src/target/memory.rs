//! Reads words of a process's memory from outside while it runs.
//!
//! Another process may serve a page and never deliver it (`userfaultfd`, FUSE). So a separate
//! thread does the reading, and nobody waits for that thread.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Time limit for a read. Memory of the machine itself is read in microseconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// Returns the words of 8 bytes at these run addresses. A word is `None` if it cannot be read in
/// time.
#[must_use]
pub fn read_words(pid: u32, addresses: &[u64]) -> Vec<Option<u64>> {
    let (send, receive) = channel();
    let asked = addresses.to_vec();
    let reader = thread::Builder::new().name("memory".into()).spawn(move || {
        let Ok(memory) = File::open(format!("/proc/{pid}/mem")) else {
            return;
        };
        for address in asked {
            let mut word = [0; 8];
            let read = memory.read_exact_at(&mut word, address);
            // Nobody listens any more if the read took too long.
            let _ = send.send(read.ok().map(|()| u64::from_le_bytes(word)));
        }
    });
    let mut words = Vec::new();
    if reader.is_ok() {
        while words.len() < addresses.len() {
            match receive.recv_timeout(PATIENCE) {
                Ok(word) => words.push(word),
                Err(_) => break,
            }
        }
    }
    words.resize(addresses.len(), None);
    words
}

#[cfg(test)]
mod tests {
    use super::read_words;

    #[test]
    fn words_that_cannot_be_read_leave_the_others() {
        let numbers = [0x1234_5678_9abc_def0_u64, 7];
        let here = numbers.as_ptr() as u64;
        let words = read_words(std::process::id(), &[here, 8, here + 8]);
        assert_eq!(words, [Some(numbers[0]), None, Some(7)]);
    }
}
