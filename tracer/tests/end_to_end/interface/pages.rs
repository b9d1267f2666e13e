//! Pages with examples: each command on them is run, and its output compared.
//!
//! The pages are docs/tutorial.md, docs/recipes.md, docs/opentelemetry.md, docs/recording.md and docs/watch.md. A
//! fenced `console` block has a command after `$ ` and its output. A comment on the line before a block says how it is
//! run:
//!
//! | comment | the block |
//! | --- | --- |
//! | none | is run to its end; a line `^C` in it is Ctrl-C, once the lines above are there |
//! | `<!-- check: starts NAME -->` | is started, and keeps running once its lines are there |
//! | `<!-- check: goes on NAME -->` | has the next lines of a running block |
//! | `<!-- check: screen ROWSxCOLUMNS, keys [TEXT]KEYS… -->` | is the terminal UI after these keys, each typed once TEXT is shown; `⏎` is Enter |
//! | `<!-- check: file NAME -->` | is written to that file |
//! | `<!-- check: not run, REASON -->` | is not run |
//!
//! `; varies PATTERN; PATTERN` after it names values that differ between runs: a word, words with
//! `|` between them, or `#` for a number. A comment may consist of this alone. A `rust` block is a
//! part of the shop's source. A line `…` in an output stands for omitted lines. [`alike`] compares
//! outputs.
//!
//! With `TRACER_REMAKE_PAGES=1`, which `cargo xtask pages` sets, outputs that differ are written
//! into the page.

mod alike;
mod markdown;
mod runner;

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::build::{scratch, workspace};
use crate::support::needs;
use runner::Runner;

/// The program of the pages.
const SHOP: &str = "docs/tutorial/shop.rs";

/// Runs all blocks of a page, in their order.
fn page(name: &str) {
    if !needs::kernel() || !needs::tools(&["jq", "curl", "zstdcat", "gcc"]) {
        return;
    }
    let path = workspace().join("docs").join(name);
    let text = fs::read_to_string(&path).expect("the page is there");
    let blocks = markdown::blocks(&text).unwrap_or_else(|error| panic!("docs/{name}: {error}"));
    let source = fs::read_to_string(workspace().join(SHOP)).expect("the shop is there");
    let mut runner = Runner::new(folder(name, &source), source);
    let mut remade = markdown::Page::new(&text);
    let mut wrong = Vec::new();
    for block in &blocks {
        let ran = runner.run(block);
        if let Some(reason) = ran.wrong {
            wrong.push(format!("docs/{name}:{}: {reason}", block.line));
        }
        if let Some(shown) = ran.shown {
            remade.replace(block, &shown);
        }
    }
    if wrong.is_empty() {
        return;
    }
    let (count, wrong) = (wrong.len(), wrong.join("\n"));
    if std::env::var_os("TRACER_REMAKE_PAGES").is_some_and(|value| value == "1") {
        // The whole page is updated, so that its outputs are from one run.
        fs::write(&path, remade.text()).expect("the page is writable");
        eprintln!("{wrong}\ndocs/{name} is written anew");
        return;
    }
    panic!("{wrong}\nnot as on the page: {count}; `cargo xtask pages` writes the page anew");
}

/// An empty folder with the shop's source.
fn folder(page: &str, source: &str) -> PathBuf {
    let folder = scratch(&format!("page-{page}"));
    fs::remove_dir_all(&folder).expect("it is ours");
    fs::create_dir_all(&folder).expect("it is ours");
    let name = Path::new(SHOP).file_name().expect("it is a file");
    fs::write(folder.join(name), source).expect("it is ours");
    folder
}

#[test]
fn tutorial_shows_what_the_tracer_prints() {
    page("tutorial.md");
}

#[test]
fn recipes_show_what_the_tracer_prints() {
    page("recipes.md");
}

#[test]
fn recordings_page_shows_what_the_tracer_prints() {
    page("recording.md");
}

#[test]
fn page_on_watching_shows_what_the_tracer_prints() {
    page("watch.md");
}

#[test]
fn opentelemetry_page_shows_what_the_tracer_prints() {
    page("opentelemetry.md");
}
