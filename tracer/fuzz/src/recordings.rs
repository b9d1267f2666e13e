//! Recordings that are made of foreign bytes.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use tracer::sink::export::replay;
use tracer::sink::export::{ExportLooks, FORMATS};
use tracer::sink::recording::container::BlockHeader;
use tracer::sink::recording::reader::{Recording, entries};

/// Bytes of lines in one raw block of zstd.
const RAW_BLOCK: usize = 1 << 16;
/// The description of a session.
const SESSION: &[u8] = concat!(
    r#"{"type":"recording","version":1,"tracer":"0.1.0","target":"app (42)","pid":42,"#,
    r#""targets":[{"pid":42,"exe":"/app"}],"time":"2025-11-30T08:00:00Z","clock":"CLOCK_MONOTONIC","redacted":[]}"#,
    "\n",
)
.as_bytes();

/// A file in memory, and its path.
fn file(bytes: &[u8]) -> Option<(File, PathBuf)> {
    let file = rustix::fs::memfd_create("recording", rustix::fs::MemfdFlags::CLOEXEC).ok()?;
    let mut file = File::from(file);
    file.write_all(bytes).ok()?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Some((file, path))
}

/// Reads a file as a recording.
pub(crate) fn open(bytes: &[u8]) {
    let Some((_file, path)) = file(bytes) else {
        return;
    };
    let Ok(recording) = Recording::open(&path) else {
        return;
    };
    black_box(recording.problems());
    for number in 0..recording.index().blocks.len() {
        black_box(recording.block(number)).ok();
    }
}

/// Reads lines, and exports a recording that has them.
pub(crate) fn export(lines: &[u8]) {
    if black_box(entries(lines)).is_err() {
        return;
    }
    let mut bytes = block(SESSION);
    bytes.extend(block(lines));
    let Some((_file, path)) = file(&bytes) else {
        return;
    };
    let Ok(recording) = Recording::open(&path) else {
        return;
    };
    for (_, format) in FORMATS {
        let out = Box::new(io::sink());
        black_box(replay::export(
            &recording,
            format,
            ExportLooks::default(),
            out,
        ))
        .ok();
    }
}

/// A block of a recording, whose frame is not compressed.
fn block(lines: &[u8]) -> Vec<u8> {
    let lines = lines.get(..RAW_BLOCK).unwrap_or(lines);
    let size = lines.len() as u32;
    // The magic number, a descriptor that wants four bytes of the content's size, and one last raw block.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend(size.to_le_bytes());
    frame.extend(&(size << 3 | 1).to_le_bytes()[..3]);
    frame.extend(lines);
    let header = BlockHeader {
        compressed: frame.len() as u64,
        bytes: lines.len() as u64,
        ..BlockHeader::default()
    };
    [header.encode().to_vec(), frame].concat()
}
