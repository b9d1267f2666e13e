//! The wording of comments and pages, and the lines of pages.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::sources::{root, walk_all};

/// Folders with Rust sources of the project, tests included.
const SOURCES: [&str; 7] = [
    "cpython",
    "tracer",
    "tracer-common",
    "tracer-ebpf",
    "target-app",
    "xtask",
    "docs",
];
/// Folders with pages.
const PAGES: [&str; 3] = ["", "docs", "cpython"];
/// Characters that a line of a page may have, outside of code and tables.
const LINE: usize = 120;
/// Openings of a comment that hide its subject.
const OPENINGS: [&str; 6] = [
    "Whether ",
    "What ",
    "That which ",
    "Those that ",
    "Those of ",
    "The same",
];
/// Phrases that hide a noun.
const PHRASES: [&str; 4] = ["of which", "of what", "what is no", "is told of"];

/// Awkward wording by room.
#[derive(Default)]
pub(super) struct Prose {
    rooms: BTreeMap<String, Wording>,
}

/// Words, and the awkward openings and phrases among them.
#[derive(Default, Clone, Copy)]
struct Wording {
    words: usize,
    awkward: usize,
}

impl Prose {
    /// Awkward openings and phrases in 100,000 words of comments and pages.
    pub(super) fn awkward(&self) -> usize {
        let total = self
            .rooms
            .values()
            .fold(Wording::default(), |sum, room| Wording {
                words: sum.words + room.words,
                awkward: sum.awkward + room.awkward,
            });
        total.awkward * 100_000 / total.words.max(1)
    }
}

impl fmt::Display for Prose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "awkward wording in 100,000 words: {}", self.awkward())?;
        let mut rooms: Vec<_> = self
            .rooms
            .iter()
            .filter(|(_, room)| room.awkward > 0)
            .collect();
        rooms.sort_by_key(|(_, room)| std::cmp::Reverse(room.awkward));
        for (name, room) in rooms {
            write!(f, "\n  {name}: {} in {} words", room.awkward, room.words)?;
        }
        Ok(())
    }
}

pub(super) fn prose() -> Prose {
    let mut prose = Prose::default();
    for folder in SOURCES {
        walk_all(&root().join(folder), "rs", &mut |path| {
            let text = fs::read_to_string(path).expect("a source is readable");
            for block in comments(&text) {
                prose.add(path, &block);
            }
        });
    }
    for path in pages() {
        let text = fs::read_to_string(&path).expect("a page is readable");
        for paragraph in paragraphs(&text) {
            prose.add(&path, &paragraph);
        }
    }
    prose
}

impl Prose {
    fn add(&mut self, path: &Path, block: &str) {
        let room = self.rooms.entry(room_of(path)).or_default();
        room.words += block.split_whitespace().count();
        let opens = OPENINGS.iter().any(|opening| block.starts_with(opening));
        let phrases = PHRASES.iter().map(|phrase| block.matches(phrase).count());
        room.awkward += usize::from(opens) + phrases.sum::<usize>();
    }
}

/// The room of a path: `tracer/src/plan` for `tracer/src/plan/expr/floats.rs`. A page is its own
/// room.
fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix(root()).expect("it was found there");
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    parts[..parts.len().min(3)].join("/").replace(".rs", "")
}

/// Comments of a source. Consecutive lines are joined.
fn comments(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut before = "";
    for line in text.lines() {
        let line = line.trim_start();
        let marker = ["///", "//!", "//"]
            .into_iter()
            .find(|marker| line.starts_with(marker))
            .unwrap_or("");
        if !marker.is_empty() {
            let rest = line[marker.len()..].trim();
            match blocks.last_mut() {
                Some(block) if marker == before => {
                    block.push(' ');
                    block.push_str(rest);
                }
                _ => blocks.push(rest.to_owned()),
            }
        }
        before = marker;
    }
    blocks
}

/// Lines of a page with their numbers, without code, tables and comments.
pub(super) fn prose_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        if line.starts_with("```") {
            fenced = !fenced;
            return None;
        }
        let is_code = fenced || line.starts_with("    ");
        let is_prose = !is_code && !line.starts_with('|') && !line.starts_with("<!--");
        is_prose.then_some((at + 1, line))
    })
}

fn paragraphs(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for (_, line) in prose_lines(text) {
        let item = line.strip_prefix("- ");
        // An empty line and an item of a list begin a paragraph.
        if line.is_empty() || item.is_some() {
            all.push(String::new());
        }
        let paragraph = all.last_mut().expect("it begins with one");
        if !paragraph.is_empty() {
            paragraph.push(' ');
        }
        paragraph.push_str(item.unwrap_or(line));
    }
    all
}

pub(super) fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for folder in PAGES {
        for entry in fs::read_dir(root().join(folder)).expect("a folder of the project") {
            let path = entry.expect("as above").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// Lines of pages that are too long, such as `docs/output.md:12: 130 characters`.
pub(super) fn long_lines() -> Vec<String> {
    let mut long = Vec::new();
    for path in pages() {
        let text = fs::read_to_string(&path).expect("a page is readable");
        let inside = path.strip_prefix(root()).expect("it was found there");
        for (at, line) in prose_lines(&text) {
            let length = line.chars().count();
            if length > LINE {
                long.push(format!("{}:{at}: {length} characters", inside.display()));
            }
        }
    }
    long
}

#[test]
fn pages_have_lines_that_a_diff_can_show() {
    let long = long_lines();
    assert!(
        long.is_empty(),
        "lines over {LINE} characters:\n{}",
        long.join("\n")
    );
}

#[test]
fn comments_that_follow_each_other_are_one() {
    let source = "/// What a b\n/// of which c.\n//! Header.\nfn x() {\n    // Body\n}\n// Next\n";
    assert_eq!(
        comments(source),
        ["What a b of which c.", "Header.", "Body", "Next"]
    );
}

#[test]
fn code_and_tables_of_a_page_are_not_its_prose() {
    let page =
        "One\ntwo\n\n- three\n  four\n- five\n\n```text\ncode\n```\n| table |\n    code\nsix\n";
    let all = paragraphs(page);
    let all: Vec<_> = all.iter().filter(|text| !text.is_empty()).collect();
    assert_eq!(
        all,
        ["One two", "three   four", "five", " six"].map(str::trim_start)
    );
}
