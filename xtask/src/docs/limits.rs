//! `cargo xtask limits`: writes docs/limits.md from the limits in the source.
//!
//! The page lists every constant of every file named `limits.rs`, with its value and its
//! documentation. A test fails while the page is out of date.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::support::failure::Failure;
use crate::support::workspace;

/// The page, from the workspace's root.
const PAGE: &str = "docs/limits.md";
/// Folders of the sources that users run.
const SOURCES: &[&str] = &["tracer-common/src", "tracer/src", "cpython/src"];

const HEADER: &str = "# Limits\n
This page lists every limit that you can run into, with its reason and its effect. Anything that a
limit cuts or leaves out is counted and shown. Nothing is dropped silently.\n
<!-- Written by `cargo xtask limits` from the files named below: edit those. -->\n";

#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_: &Args) -> Result<()> {
    let page = page()?;
    let file = workspace::root().join(PAGE);
    std::fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
    println!("wrote {PAGE}");
    Ok(())
}

/// One constant.
#[derive(Debug, PartialEq, Eq)]
struct DocumentedLimit {
    name: String,
    value: String,
    text: String,
}

fn page() -> Result<String> {
    let root = workspace::root();
    let mut files = Vec::new();
    for directory in SOURCES {
        find_files(&root.join(directory), &mut files)?;
    }
    files.sort();
    let mut page = HEADER.to_owned();
    for file in files {
        let source = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let shown = file.strip_prefix(&root).unwrap_or(&file).display();
        let (intro, limits) = parse(&source)
            .ok_or_else(|| Failure::new(format!("a limit in {shown} has no documentation")))?;
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {intro}\n\nSource: [`{shown}`](../{shown})\n");
        for limit in limits {
            let _ = write!(
                page,
                "\n### `{}` = {}\n\n{}\n",
                limit.name, limit.value, limit.text
            );
        }
    }
    Ok(page)
}

fn find_files(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let path = entry.context("cannot read a directory")?.path();
        if path.is_dir() {
            find_files(&path, found)?;
        } else if path.file_name().is_some_and(|name| name == "limits.rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// The file's first line and its constants. `None` if a constant has no documentation.
fn parse(source: &str) -> Option<(String, Vec<DocumentedLimit>)> {
    let intro = source.lines().find_map(|line| line.strip_prefix("//! "))?;
    let intro = intro.split([':', ';', '.']).next().unwrap_or(intro);
    let mut text = Vec::new();
    let mut limits = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if let Some(documentation) = line.strip_prefix("///") {
            text.push(documentation.trim());
        } else if let Some(constant) = constant(line) {
            let mut declaration = constant.to_owned();
            while !declaration.ends_with(';') {
                declaration.push(' ');
                declaration.push_str(lines.next()?.trim());
            }
            let (name, rest) = declaration.split_once(':')?;
            let (_, value) = rest.split_once('=')?;
            if text.is_empty() {
                return None;
            }
            limits.push(DocumentedLimit {
                name: name.trim().to_owned(),
                value: show_value(value.trim().trim_end_matches(';')),
                text: without_links(&text.join("\n")),
            });
            text.clear();
        } else if !line.starts_with("#[") {
            text.clear();
        }
    }
    Some((intro.to_owned(), limits))
}

fn constant(line: &str) -> Option<&str> {
    ["pub const ", "pub(crate) const ", "pub(super) const "]
        .iter()
        .find_map(|start| line.strip_prefix(start))
}

/// Formats a number with its thousands separated. Other values stay as in the source.
fn show_value(value: &str) -> String {
    match evaluate(value) {
        Some(number) => group(number),
        None => format!("`{value}`"),
    }
}

/// Evaluates numbers, products and shifts, which limits are written with.
fn evaluate(value: &str) -> Option<u64> {
    if let Some((left, right)) = value.split_once("<<") {
        return evaluate(left)?.checked_shl(u32::try_from(evaluate(right)?).ok()?);
    }
    if let Some((left, right)) = value.split_once('*') {
        return evaluate(left)?.checked_mul(evaluate(right)?);
    }
    value.trim().replace('_', "").parse().ok()
}

fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Replaces rustdoc's links to items by the last name of their path.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        let Some((path, after)) = after.split_once("`]") else {
            break;
        };
        let name = path.rsplit("::").next().unwrap_or(path);
        plain.push_str(before);
        plain.push('`');
        plain.push_str(name);
        plain.push('`');
        rest = match after
            .strip_prefix('(')
            .and_then(|link| link.split_once(')'))
        {
            Some((_, after)) => after,
            None => after,
        };
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_in_docs_is_current() {
        let written = std::fs::read_to_string(workspace::root().join(PAGE)).unwrap_or_default();
        assert!(
            page().is_ok_and(|page| page == written),
            "{PAGE} is not current: run `cargo xtask limits`"
        );
    }

    #[test]
    fn constant_with_documentation_is_listed() {
        let source = "//! Limits of x: why.\n\n/// Bytes, see\n/// [`crate::a::FLAG`].\n\
                      pub const MAX: u32 = 1 << 16;\n";
        let limit = DocumentedLimit {
            name: "MAX".to_owned(),
            value: "65,536".to_owned(),
            text: "Bytes, see\n`FLAG`.".to_owned(),
        };
        assert_eq!(parse(source), Some(("Limits of x".to_owned(), vec![limit])));
    }

    #[test]
    fn constant_without_documentation_is_refused() {
        assert_eq!(parse("//! Limits.\npub const MAX: u32 = 1;\n"), None);
    }

    #[test]
    fn value_that_is_no_number_is_shown_as_written() {
        assert_eq!(
            show_value("Duration::from_millis(5)"),
            "`Duration::from_millis(5)`"
        );
        assert_eq!(show_value("4 * 1024"), "4,096");
    }
}
