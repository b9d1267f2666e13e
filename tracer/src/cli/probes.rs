//! The probes of the command line: those of `-e`, then those of the files of `-f`, and the processes
//! that the files select.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::args::parse_target_line;
use super::failure::CommandFailure;
use crate::actions::{parse_probe, parse_probe_file};
use crate::base::cancel;
use crate::base::limits::{PROBE_FILE_BYTES, PROBE_FILE_WAIT, PROBES};
use crate::lang::ast::ProbeSpec;
use crate::lang::lines_of_targets;
use crate::target::select::Selector;

/// Between two looks whether a signal has come while a pipe is read.
const PIPE_LOOK: Duration = Duration::from_millis(50);

/// A probe, and where it was written.
#[derive(Debug)]
pub(super) struct WrittenProbe {
    /// The parsed probe.
    pub(super) spec: ProbeSpec,
    /// File and line, for messages. `None` if it is on the command line.
    pub(super) place: Option<String>,
}

/// All probes, and the processes that files select for them.
#[derive(Debug, Default)]
pub(super) struct WrittenProbes {
    pub(super) probes: Vec<WrittenProbe>,
    /// The lines `target …` of all files together. Empty if there are none.
    pub(super) target: Selector,
}

/// Reads all probes.
///
/// # Errors
/// Every mistake, in the order of the probes: nothing runs before all can be read.
pub(super) fn read(
    texts: &[String],
    files: &[impl AsRef<Path>],
) -> Result<WrittenProbes, Vec<CommandFailure>> {
    let WrittenProbes {
        mut probes,
        mut target,
    } = WrittenProbes::default();
    let mut failures = Vec::new();
    let read: Vec<_> = files.iter().map(|file| read_file(file.as_ref())).collect();
    let lines = read.iter().flatten().map(|text| count_probes(text));
    let count = texts.len() + lines.sum::<usize>();
    if count > PROBES {
        let why = format!("{count} probes are too many; the limit is {PROBES}");
        return Err(vec![CommandFailure::new(why)]);
    }
    for text in texts {
        match parse_probe(text) {
            Ok(spec) => probes.push(WrittenProbe { spec, place: None }),
            Err(error) => failures.push(CommandFailure::of_text(error, text)),
        }
    }
    for (file, read) in files.iter().zip(read) {
        match read {
            Ok(text) => {
                of_file(file.as_ref(), &text, &mut probes, &mut failures);
                targets_of_file(file.as_ref(), &text, &mut target, &mut failures);
            }
            Err(failure) => failures.push(failure),
        }
    }
    let mut names = BTreeSet::new();
    for WrittenProbe { spec, place } in &probes {
        if let Some(name) = &spec.options.name
            && !names.insert(name)
        {
            let failure = CommandFailure::new(format!("two probes have the name `{name}`"));
            let hint = "the output identifies probes by their names".to_owned();
            failures.push(failure.hint(hint).at(place.as_deref()));
        }
    }
    if failures.is_empty() {
        Ok(WrittenProbes { probes, target })
    } else {
        Err(failures)
    }
}

/// Reads the text of a file of probes: a regular file, or a pipe that ends.
///
/// # Errors
/// The file is too large, a device, or a pipe that does not end in time.
fn read_file(path: &Path) -> Result<String, CommandFailure> {
    // `-` is the usual name of stdin.
    let opened = if path == Path::new("-") {
        Path::new("/dev/stdin")
    } else {
        path
    };
    let cannot =
        |why: String| CommandFailure::new(format!("cannot read `{}`: {why}", path.display()));
    let kind = std::fs::metadata(opened)
        .map_err(|error| cannot(error.to_string()))?
        .file_type();
    if !kind.is_file() && !kind.is_fifo() {
        return Err(cannot("it is neither a regular file nor a pipe".into()));
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(opened)
        .map_err(|error| cannot(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| cannot(error.to_string()))?;
    let too_large = |length| format!("it has {length} bytes; the limit is {PROBE_FILE_BYTES}");
    let bytes = if metadata.is_file() {
        if metadata.len() > PROBE_FILE_BYTES {
            return Err(cannot(too_large(metadata.len().to_string())));
        }
        let mut bytes = Vec::new();
        file.take(PROBE_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map(|_| bytes)
    } else {
        read_pipe(&file, PROBE_FILE_WAIT)
    };
    let bytes = bytes.map_err(|error| cannot(error.to_string()))?;
    if bytes.len() as u64 > PROBE_FILE_BYTES {
        return Err(cannot(too_large(format!("more than {PROBE_FILE_BYTES}"))));
    }
    String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8 text".into()))
}

/// Reads a pipe to its end, or to one byte beyond the most that a file of probes may have.
fn read_pipe(mut pipe: &File, wait: Duration) -> io::Result<Vec<u8>> {
    let end = Instant::now() + wait;
    let mut bytes = Vec::new();
    let mut chunk = [0; 1 << 12];
    while bytes.len() as u64 <= PROBE_FILE_BYTES {
        if cancel::is_cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let seconds = wait.as_secs();
            let why = format!("it is a pipe that has not ended within {seconds} s");
            return Err(io::Error::other(why));
        }
        let time = Timespec::try_from(left.min(PIPE_LOOK)).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&time)) {
            // A signal has come: the loop asks whether it is meant for this process.
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            polled => polled?,
        };
        match pipe.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// Lines of a file that have a probe, or select processes.
fn count_probes(text: &str) -> usize {
    let has_probe = |line: &&str| !matches!(line.trim_start().as_bytes(), [] | [b'#', ..]);
    text.lines().filter(has_probe).count()
}

fn targets_of_file(
    path: &Path,
    text: &str,
    target: &mut Selector,
    failures: &mut Vec<CommandFailure>,
) {
    for (line, options) in lines_of_targets(text) {
        let added = parse_target_line(options).and_then(|selector| target.add_all(&selector));
        if let Err(error) = added {
            let place = format!("{}:{line}", path.display());
            failures.push(CommandFailure::of(error).at(Some(&place)));
        }
    }
}

fn of_file(
    path: &Path,
    text: &str,
    probes: &mut Vec<WrittenProbe>,
    failures: &mut Vec<CommandFailure>,
) {
    for (line, probe) in parse_probe_file(text) {
        let place = format!("{}:{line}", path.display());
        match probe {
            Ok(spec) => probes.push(WrittenProbe {
                spec,
                place: Some(place),
            }),
            Err(error) => {
                // Positions count from the first letter of the probe.
                let typed = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
                failures.push(CommandFailure::of_text(error, typed.trim_start()).at(Some(&place)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_gives_probes_in_order_with_their_places() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("probes");
        std::fs::write(&file, "# one\n\nlog main.rs:2 # why\n").unwrap();
        let probes = read(&["log main.rs:1".into()], &[&file]).unwrap().probes;
        let texts: Vec<&str> = probes.iter().map(|probe| probe.spec.text.trim()).collect();
        assert_eq!(texts[0], "log main.rs:1");
        assert!(texts[1].starts_with("log main.rs:2"), "{texts:?}");
        assert_eq!(probes[0].place, None);
        assert_eq!(probes[1].place, Some(format!("{}:3", file.display())));
    }

    #[test]
    fn read_refuses_two_probes_of_one_name() {
        let files: [&Path; 0] = [];
        let texts = |names: [&str; 2]| names.map(|name| format!("log main.rs:1 as {name}"));
        assert!(read(&texts(["a", "b"]), &files).is_ok());
        let failures = read(&texts(["a", "a"]), &files).unwrap_err();
        assert!(failures[0].message().contains("name `a`"), "{failures:?}");
    }

    #[test]
    fn read_tells_every_mistake() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("probes");
        std::fs::write(&file, "log main.rs:2\nlgo main.rs:3\n").unwrap();
        let missing = directory.path().join("none");
        let failures = read(&["log".into()], &[&file, &missing]).unwrap_err();
        let said: Vec<String> = failures
            .iter()
            .map(|failure| failure.render(false))
            .collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[1].contains("probes:2: "), "{said:?}");
        assert!(said[1].contains("  lgo main.rs:3\n  ^^^"), "{said:?}");
        assert!(said[2].contains("none"), "{said:?}");
    }

    #[test]
    fn read_gives_the_targets_of_all_files_and_their_mistakes_with_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let one = file("one", "target --unit web --wait\nlog a.c:1\n");
        let two = file(
            "two",
            "# why\ntarget --unit db # and this\ntarget --user 7\n",
        );
        let read_all = read(&[], &[&one, &two]).unwrap();
        assert_eq!(read_all.probes.len(), 1);
        assert_eq!(
            read_all.target.to_string(),
            "--unit web.service --unit db.service --user 7"
        );
        assert!(read_all.target.wait);
        let bad = file("bad", "log a.c:1\n\ntarget --unti web\n");
        let failures = read(&[], &[&bad]).unwrap_err();
        assert_eq!(failures.len(), 1);
        assert_eq!(
            failures[0].message(),
            format!("{}:3: the line `target` has no `--unti`", bad.display())
        );
        assert_eq!(failures[0].advice(), Some("did you mean `--unit`?"));
    }

    /// Why these files are refused.
    fn refused(files: &[&Path]) -> String {
        let failures = read(&[], files).unwrap_err();
        failures[0].message().to_owned()
    }

    #[test]
    fn read_refuses_devices_directories_and_large_files() {
        let directory = tempfile::tempdir().unwrap();
        let large = directory.path().join("large");
        let file = File::create(&large).unwrap();
        file.set_len(PROBE_FILE_BYTES + 1).unwrap();
        for device in ["/dev/zero", "/dev/null", "/"] {
            assert!(refused(&[Path::new(device)]).contains("neither a regular file"));
        }
        assert!(refused(&[&large]).contains("the limit is 1048576"));
        // A file of the kernel has no size.
        file.set_len(PROBE_FILE_BYTES).unwrap();
        assert!(!refused(&[&large]).contains("the limit is 1048576"));
    }

    #[test]
    fn read_refuses_more_probes_than_there_is_room_for_before_it_parses_them() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("probes");
        std::fs::write(&file, "# a comment\n\nnot a probe\n".repeat(PROBES)).unwrap();
        // Each is a mistake of its own.
        assert_eq!(read(&[], &[&file]).unwrap_err().len(), PROBES);
        let one = ["log a.c:1".to_owned()];
        let failures = read(&one, &[&file]).unwrap_err();
        assert_eq!(failures.len(), 1);
        assert!(failures[0].message().contains("1025 probes are too many"));
        assert!(refused(&[&file, &file]).contains("2048 probes are too many"));
    }

    #[test]
    fn read_takes_a_pipe_that_ends() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        let thread = std::thread::spawn(move || {
            for _ in 0..3 {
                rustix::io::write(&writer, b"log a.c:1\n").unwrap();
                std::thread::yield_now();
            }
        });
        assert_eq!(read(&[], &[Path::new(&path)]).unwrap().probes.len(), 3);
        thread.join().unwrap();
        // No process has it open for writing any more.
        assert_eq!(read(&[], &[Path::new(&path)]).unwrap().probes.len(), 0);
    }

    #[test]
    fn read_pipe_gives_up_on_one_that_does_not_end_or_is_endless() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::ioctl_fionbio(&reader, true).unwrap();
        let pipe = File::from(reader);
        let error = read_pipe(&pipe, Duration::from_millis(20)).unwrap_err();
        assert!(error.to_string().contains("has not ended"));
        let thread = std::thread::spawn(move || {
            // Until its reader is gone.
            while rustix::io::write(&writer, &[b'#'; 4096]).is_ok() {}
        });
        let bytes = read_pipe(&pipe, Duration::from_secs(60)).unwrap();
        assert!(bytes.len() as u64 > PROBE_FILE_BYTES);
        drop(pipe);
        thread.join().unwrap();
    }
}
