//! Finds the eBPF object that `tracer` embeds, or builds it.
//!
//! The object `ebpf/tracer-ebpf.o` is prebuilt, so users need no compiler for eBPF. Developers who
//! change its sources do: the programs are compiled if the sources differ from the record beside
//! the object, or if `TRACER_EBPF_BUILD` is set.

#[path = "build/instructions.rs"]
mod instructions;
#[path = "build/recipe.rs"]
#[expect(dead_code, reason = "xtask uses the rest of it")]
mod recipe;
#[path = "build/record.rs"]
#[expect(dead_code, reason = "xtask uses the rest of it")]
mod record;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use record::Record;

/// This variable forces a build of the programs.
const FORCE: &str = "TRACER_EBPF_BUILD";

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for file in ["build.rs", "build", "ebpf"] {
        println!("cargo::rerun-if-changed={}", manifest.join(file).display());
    }
    println!("cargo::rerun-if-env-changed={FORCE}");
    println!("cargo::rerun-if-env-changed=TRACER_BPF_LINKER");
    match object(&manifest, &out) {
        Ok(object) => println!("cargo::rustc-env=TRACER_EBPF_OBJECT={}", object.display()),
        Err(words) => {
            for line in words.lines() {
                println!("cargo::error={line}");
            }
        }
    }
}

/// The prebuilt object, or one that is built here.
fn object(manifest: &Path, out: &Path) -> Result<PathBuf, String> {
    let prebuilt = prebuilt(manifest)?;
    // A published package does not contain the sources of the programs.
    let Some(workspace) = workspace(manifest) else {
        return Ok(prebuilt.path);
    };
    for source in record::SOURCES {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(source).display()
        );
    }
    let sources = record::sources(workspace).map_err(|error| error.to_string())?;
    let changed = prebuilt.record.changed(&sources);
    if changed.is_empty() && env::var_os(FORCE).is_none() {
        return Ok(prebuilt.path);
    }
    build(workspace, out).map_err(|why| match changed.as_slice() {
        [] => format!("`{FORCE}` is set, and {why}"),
        changed => format!(
            "{} is not made from the present {}, and {why}",
            record::OBJECT,
            changed.join(", ")
        ),
    })
}

/// The object of the package.
struct Prebuilt {
    path: PathBuf,
    record: Record,
}

fn prebuilt(manifest: &Path) -> Result<Prebuilt, String> {
    let inside = |path: &str| manifest.join(path.trim_start_matches("tracer/"));
    let (path, record) = (inside(record::OBJECT), inside(record::RECORD));
    let read = |path: &Path| {
        fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let text = read(&record)?;
    let record = Record::parse(&String::from_utf8_lossy(&text))
        .map_err(|why| format!("{} cannot be used: {why}", record.display()))?;
    if record::sum(&read(&path)?) != record.object {
        return Err(format!(
            "{} is not the object that the record beside it names",
            path.display()
        ));
    }
    Ok(Prebuilt { path, record })
}

/// The workspace with the sources of the programs, if the package is a member of it.
fn workspace(manifest: &Path) -> Option<&Path> {
    let workspace = manifest.parent()?;
    let has = |source| workspace.join(source).exists();
    record::SOURCES.into_iter().all(has).then_some(workspace)
}

fn build(workspace: &Path, out: &Path) -> Result<PathBuf, String> {
    let toolchain = recipe::find(workspace).map_err(|missing| {
        let words: Vec<String> = missing.iter().map(ToString::to_string).collect();
        format!("{}; run `cargo xtask setup`", words.join("; "))
    })?;
    let object = recipe::build(&toolchain, workspace, recipe::TRACER, &out.join("ebpf"))
        .map_err(|error| error.to_string())?;
    let built = fs::read(&object).map_err(|error| error.to_string())?;
    instructions::check(&built).map_err(|why| {
        let compiler = toolchain.versions().map(|versions| versions.to_string());
        format!(
            "the kernel would refuse the eBPF programs that {} made: {why}; {} is known to work",
            compiler.unwrap_or_default(),
            recipe::KNOWN_COMPILER
        )
    })?;
    Ok(object)
}
