//! Replays the inputs of `fuzz/corpus`, including those that once failed. Each must be read
//! without a panic, in limited time. The same holds for hostile files that grow in one dimension
//! each, smaller than those of `cargo xtask fuzz --bombs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracer::debuginfo::{DebugInfoError, SiteError};

#[path = "../fuzz/src/lib.rs"]
#[expect(
    unreachable_pub,
    reason = "a library of its own, beside being a part of this test"
)]
mod targets;

/// Time limit of one input. It is longer than in `cargo xtask fuzz`, because this build is
/// unoptimised and runs next to other tests.
const TIME: Duration = Duration::from_secs(10);

/// Size of each file.
const BOMB_BYTES: usize = 4 << 10;
/// Steps of work that are allowed for each byte of a file, and in addition.
const STEPS_PER_BYTE: u64 = 16;
const STEPS: u64 = 420_000_000;
/// Time limit of one file, unoptimised and next to other tests.
const BOMB_TIME: Duration = Duration::from_secs(60);

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory is in git");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    files.sort();
    files
}

/// Returns the inputs of a target. Targets that read ELF files share them.
fn seeds(target: &str) -> Vec<PathBuf> {
    let corpus = fuzz().join("corpus");
    let shared = match target {
        "lines" | "variables" => files(&corpus.join("elf")),
        _ => Vec::new(),
    };
    let own = corpus.join(target);
    let own = if own.is_dir() {
        files(&own)
    } else {
        Vec::new()
    };
    own.into_iter().chain(shared).collect()
}

#[test]
fn inputs_of_every_target_are_read_without_a_panic_and_in_time() {
    targets::programs::prepare();
    for (name, run) in targets::TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "no seeds for `{name}`");
        for seed in seeds {
            let bytes = fs::read(&seed).expect("a seed");
            let started = Instant::now();
            run(&bytes);
            let took = started.elapsed();
            assert!(took < TIME, "{name}: {} took {took:?}", seed.display());
        }
    }
}

#[test]
fn fuzzer_has_every_target() {
    let name = |path: &PathBuf| path.file_stem().map(|name| name.to_string_lossy().into());
    let built: BTreeSet<String> = files(&fuzz().join("fuzz_targets"))
        .iter()
        .filter_map(name)
        .collect();
    let there = targets::TARGETS.map(|(name, _)| name.to_owned());
    assert_eq!(built, BTreeSet::from(there));
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("a manifest");
    for name in built {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

#[test]
fn work_on_every_bomb_is_bounded_and_a_refusal_is_remembered() {
    for (name, make) in targets::bombs::BOMBS {
        let bytes = make(BOMB_BYTES);
        let started = Instant::now();
        let module = targets::open(&bytes).unwrap_or_else(|| panic!("{}: no module", name));
        targets::ask_all(&module);
        let took = started.elapsed();
        let (work, _) = module.spent();
        assert!(
            work <= STEPS + bytes.len() as u64 * STEPS_PER_BYTE,
            "{}: {work} steps",
            name
        );
        assert!(took < BOMB_TIME, "{}: {took:?}", name);
        if module.require_budget().is_err() {
            let again = Instant::now();
            assert!(
                matches!(
                    module.functions(None),
                    Err(SiteError::DebugInfo(DebugInfoError::OverBudget { .. }))
                ),
                "{}",
                name
            );
            assert!(again.elapsed() < TIME, "{}", name);
        }
    }
}
