//! `--audit FILE`: all that an assistant has asked, and all that it was shown.
//!
//! A line is in the file before the answer leaves. If it cannot be written, nothing is answered any more.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::base::private;
use crate::sink::json::write_object;

/// The file of `--audit`.
#[derive(Debug)]
pub struct AuditFile {
    file: Mutex<File>,
    requests: AtomicU64,
}

/// A line of the file.
#[derive(Serialize)]
struct AuditLine<'l> {
    time: jiff::Timestamp,
    /// The process that wrote it: several servers may write to one file.
    server: u32,
    /// Number of the request, from 1. Its answer has the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<u64>,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'l str>,
    content: &'l Value,
}

impl AuditFile {
    /// Opens the file, to write behind its last line.
    ///
    /// # Errors
    /// It cannot be written, or it is a link of somebody else.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = private::append_named(path)?;
        if is_torn(&file)? {
            file.write_all(b"\n")?;
        }
        Ok(Self {
            file: Mutex::new(file),
            requests: AtomicU64::new(0),
        })
    }

    /// Writes a request. Returns its number.
    pub(super) fn asked(&self, method: &str, params: &Value) -> io::Result<u64> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        self.write(&AuditLine {
            time: jiff::Timestamp::now(),
            server: std::process::id(),
            request: Some(number),
            r#type: "asked",
            method: Some(method),
            content: params,
        })?;
        Ok(number)
    }

    /// Writes the answer to a request.
    pub(super) fn shown(&self, request: u64, answer: &Value) -> io::Result<()> {
        self.write(&AuditLine {
            time: jiff::Timestamp::now(),
            server: std::process::id(),
            request: Some(request),
            r#type: "shown",
            method: None,
            content: answer,
        })
    }

    /// Writes something that has happened without a request.
    pub(super) fn happened(&self, what: &Value) -> io::Result<()> {
        self.write(&AuditLine {
            time: jiff::Timestamp::now(),
            server: std::process::id(),
            request: None,
            r#type: "happened",
            method: None,
            content: what,
        })
    }

    /// Writes a line at once, and has the system write it to the disk.
    fn write(&self, line: &AuditLine<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        write_object(&mut bytes, line)?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&bytes)?;
        match file.sync_data() {
            // Pipes and terminals have no disk.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => synced,
        }
    }
}

/// Returns true if the last line of a file has no end: whoever wrote it was killed, or the disk was full.
fn is_torn(file: &File) -> io::Result<bool> {
    let facts = file.metadata()?;
    if !facts.is_file() || facts.len() == 0 {
        return Ok(false);
    }
    // The file itself is only open for writing.
    let again = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let mut last = [0];
    again.read_exact_at(&mut last, facts.len() - 1)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_and_escaped_and_only_for_the_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let outside = tempfile::tempdir().expect("a directory");
        let path = outside.path().join("audit.jsonl");
        for _ in 0..2 {
            let audit = AuditFile::open(&path).expect("opened");
            let number = audit
                .asked("tools/call", &Value::from("a\nb\u{202e}"))
                .expect("written");
            audit.shown(number, &Value::Null).expect("written");
        }
        let text = std::fs::read_to_string(&path).expect("a file");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(
            (&lines[0]["type"], &lines[3]["type"]),
            (&"asked".into(), &"shown".into())
        );
        assert!(!text.contains('\u{202e}'));
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn line_without_an_end_stays_one_of_its_own() {
        let outside = tempfile::tempdir().expect("a directory");
        let path = outside.path().join("audit.jsonl");
        for (before, lines) in [("{\"torn", 2), ("{}\n", 2), ("", 1)] {
            std::fs::write(&path, before).expect("a file");
            let audit = AuditFile::open(&path).expect("opened");
            audit.asked("ping", &Value::Null).expect("written");
            let text = std::fs::read_to_string(&path).expect("a file");
            assert_eq!(text.lines().count(), lines, "{text}");
            let last = text.lines().last().expect("a line");
            serde_json::from_str::<Value>(last).expect("JSON");
        }
    }

    #[test]
    fn full_disk_is_told() {
        let audit = AuditFile::open(Path::new("/dev/full")).expect("opened");
        assert!(audit.asked("ping", &Value::Null).is_err());
    }
}
