//! Compiles the target programs of `xtask/soak`, once per compiler and optimisation level.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::places::{Language, Place};
use super::probes::Sites;
use crate::support::command::run as run_command;
use crate::support::failure::Failure;
use crate::support::workspace;

/// Folder of the sources, from the workspace's root.
const SOURCES: &str = "xtask/soak";
/// The code that all targets share.
const CONTROL: &str = "control.c";
/// The library's source.
const PLUGIN: &str = "plugin.c";
/// File name of the library, which probes use.
const PLUGIN_FILE: &str = "libsoak_plugin.so";

/// Compiler and options of a target.
#[derive(Clone, Copy, Debug, Hash)]
struct Recipe {
    name: &'static str,
    source: &'static str,
    compiler: &'static str,
    level: &'static str,
}

/// All variants: each language, each compiler, with and without optimisation.
const RECIPES: [Recipe; 10] = [
    recipe("c-gcc-O0", "pass.c", "gcc", "-O0"),
    recipe("c-gcc-O2", "pass.c", "gcc", "-O2"),
    recipe("c-clang-O0", "pass.c", "clang", "-O0"),
    recipe("c-clang-O2", "pass.c", "clang", "-O2"),
    recipe("cpp-gcc-O0", "pass.cpp", "g++", "-O0"),
    recipe("cpp-gcc-O2", "pass.cpp", "g++", "-O2"),
    recipe("cpp-clang-O0", "pass.cpp", "clang++", "-O0"),
    recipe("cpp-clang-O2", "pass.cpp", "clang++", "-O2"),
    recipe("rust-O0", "pass.rs", "rustc", "-O0"),
    recipe("rust-O2", "pass.rs", "rustc", "-O2"),
];

const fn recipe(
    name: &'static str,
    source: &'static str,
    compiler: &'static str,
    level: &'static str,
) -> Recipe {
    Recipe {
        name,
        source,
        compiler,
        level,
    }
}

/// A compiled target.
#[derive(Clone, Debug)]
pub(super) struct TargetProgram {
    /// Language, compiler and level.
    pub(super) name: &'static str,
    /// The file.
    pub(super) path: PathBuf,
    /// True if the compiler may have dropped values.
    pub(super) optimised: bool,
    /// Its places.
    pub(super) sites: Sites,
}

/// The programs for the rounds.
#[derive(Clone, Debug)]
pub(super) struct SoakPrograms {
    /// The tracer.
    pub(super) tracer: PathBuf,
    /// True if the tracer is the release build, to which time limits apply.
    pub(super) release: bool,
    /// The targets.
    pub(super) targets: Vec<TargetProgram>,
    /// The library that the targets load.
    pub(super) plugin: PathBuf,
}

/// Returns the folder for the soak's files.
///
/// # Errors
/// Fails if the folder cannot be created.
pub(super) fn directory() -> Result<PathBuf> {
    let directory = workspace::target().join("soak");
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// Compiles the programs that are missing.
///
/// # Errors
/// Fails if a compiler fails.
pub(super) fn build(release: bool) -> Result<SoakPrograms> {
    let sources = workspace::root().join(SOURCES);
    let out = directory()?
        .join("programs")
        .join(format!("{:016x}", hash(&sources)?));
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let targets = RECIPES.iter().map(|recipe| target(recipe, &sources, &out));
    let targets = targets.collect::<Result<Vec<TargetProgram>>>()?;
    let plugin = out.join(PLUGIN_FILE);
    once(&plugin, |unfinished| {
        let mut compiler = Command::new("gcc");
        compiler
            .args(["-g", "-O0", "-shared", "-fPIC"])
            .arg(sources.join(PLUGIN))
            .args(["-Wl,-soname", PLUGIN_FILE, "-o"])
            .arg(unfinished);
        run_command(&mut compiler)
    })?;
    Ok(SoakPrograms {
        tracer: workspace::binary("tracer", release),
        release,
        targets,
        plugin,
    })
}

fn target(recipe: &Recipe, sources: &Path, out: &Path) -> Result<TargetProgram> {
    let language = match recipe.compiler {
        "rustc" => Language::Rust,
        "g++" | "clang++" => Language::Cpp,
        _ => Language::C,
    };
    // Each variant has its own file name, which is also the name of its threads.
    let path = out.join(recipe.name);
    once(&path, |unfinished| {
        compile(recipe, language, sources, unfinished)
    })?;
    let source = sources.join(recipe.source);
    let lines = [
        (Place::Work, source.clone()),
        (Place::Look, source.clone()),
        (Place::Maybe, source.clone()),
        (Place::Signal, sources.join(CONTROL)),
        (Place::Plugin, sources.join(PLUGIN)),
    ];
    let lines = lines
        .iter()
        .map(|(place, file)| Ok((*place, marked_line(file, *place)?)));
    Ok(TargetProgram {
        name: recipe.name,
        path,
        optimised: recipe.level != "-O0",
        sites: Sites {
            language,
            source,
            lines: lines.collect::<Result<_>>()?,
        },
    })
}

/// Compiles and links the passes and the shared code.
fn compile(recipe: &Recipe, language: Language, sources: &Path, to: &Path) -> Result<()> {
    let control = to.with_extension("control.o");
    let passes = to.with_extension("passes.o");
    let c_compiler = match recipe.compiler {
        "clang" | "clang++" => "clang",
        _ => "gcc",
    };
    let mut compiler = Command::new(c_compiler);
    compiler.args(["-g", recipe.level, "-pthread", "-c", "-o"]);
    run_command(compiler.arg(&control).arg(sources.join(CONTROL)))?;
    let source = sources.join(recipe.source);
    if language == Language::Rust {
        let level = recipe.level.trim_start_matches("-O");
        let mut compiler = Command::new(rustc());
        compiler
            .args(["--edition", "2024", "-g", "--crate-name", "soak"])
            .args(["-C", &format!("opt-level={level}"), "-o"]);
        run_command(compiler.arg(&passes).arg(&source))?;
    } else {
        let mut compiler = Command::new(recipe.compiler);
        compiler.args(["-g", recipe.level, "-pthread", "-c"]);
        if recipe.compiler == "clang++" {
            // Without this option, clang describes no type that the standard library instantiates.
            compiler.arg("-fstandalone-debug");
        }
        run_command(compiler.arg("-o").arg(&passes).arg(&source))?;
    }
    let linker = if language == Language::Cpp {
        "g++"
    } else {
        "gcc"
    };
    let mut linker = Command::new(linker);
    linker.args([&control, &passes]);
    run_command(linker.args(["-pthread", "-ldl", "-lm", "-o"]).arg(to))?;
    for part in [control, passes] {
        std::fs::remove_file(&part).with_context(|| format!("cannot remove {}", part.display()))?;
    }
    Ok(())
}

/// Returns the compiler that cargo uses.
fn rustc() -> PathBuf {
    let named = std::env::var_os("RUSTC").map(PathBuf::from);
    let beside = std::env::var_os("CARGO").map(|cargo| Path::new(&cargo).with_file_name("rustc"));
    named
        .or(beside)
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from("rustc"))
}

/// Builds a file unless it exists. A partial file of an interrupted run is built again.
fn once(path: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!("-{}", std::process::id()));
    let unfinished = path.with_file_name(name);
    make(&unfinished)?;
    std::fs::rename(&unfinished, path).with_context(|| format!("cannot make {}", path.display()))
}

/// Returns a hash of the sources and the compiler's command.
fn hash(sources: &Path) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    RECIPES.hash(&mut hasher);
    let mut files: Vec<PathBuf> = std::fs::read_dir(sources)
        .with_context(|| format!("cannot read {}", sources.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    for file in files {
        let text =
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        text.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// Returns the line of a source with the mark of a place, from 1.
fn marked_line(file: &Path, place: Place) -> Result<u64> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mark = format!("PROBE {}", format!("{place:?}").to_lowercase());
    let found = (1..).zip(text.lines()).find(|(_, line)| {
        let line = line.trim_end().trim_end_matches("*/").trim_end();
        line.ends_with(&mark)
    });
    let (line, _) =
        found.ok_or_else(|| Failure::new(format!("no `{mark}` in {}", file.display())))?;
    Ok(line)
}
