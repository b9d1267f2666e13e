//! The programs of the corpus, and the ways in which they are built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::failure::Failure;
use crate::workspace;

/// A program to look into, built.
pub(crate) struct Program {
    /// Name of its source.
    pub(crate) name: String,
    /// `rust`, `c` or `c++`.
    pub(crate) language: &'static str,
    /// Compiler and flags.
    pub(crate) flags: String,
    /// The executable.
    pub(crate) exe: PathBuf,
    /// Arguments.
    pub(crate) arguments: Vec<String>,
    /// Modules with code that is looked into, each with the files that are.
    pub(crate) modules: Vec<(PathBuf, Vec<String>)>,
    /// Sites at most.
    pub(crate) sites: usize,
}

/// One way to build one source.
struct Variant {
    source: &'static str,
    compiler: &'static str,
    flags: &'static str,
    /// Part of what `cargo xtask test` runs.
    quick: bool,
}

const fn variant(source: &'static str, compiler: &'static str, flags: &'static str) -> Variant {
    Variant {
        source,
        compiler,
        flags,
        quick: false,
    }
}

const fn quick(source: &'static str, compiler: &'static str, flags: &'static str) -> Variant {
    Variant {
        quick: true,
        ..variant(source, compiler, flags)
    }
}

const VARIANTS: &[Variant] = &[
    quick("values.rs", "rustc", "-C opt-level=0"),
    variant("values.rs", "rustc", "-C opt-level=1"),
    quick("values.rs", "rustc", "-C opt-level=2"),
    variant("values.rs", "rustc", "-C opt-level=3"),
    variant("values.rs", "rustc", "-C opt-level=s"),
    variant(
        "values.rs",
        "rustc",
        "-C opt-level=3 -C lto=fat -C codegen-units=1",
    ),
    variant("values.rs", "rustc", "-C opt-level=0 -C dwarf-version=5"),
    variant(
        "values.rs",
        "rustc",
        "-C opt-level=0 -C split-debuginfo=packed",
    ),
    variant(
        "values.rs",
        "rustc",
        "-C opt-level=0 -C split-debuginfo=unpacked",
    ),
    variant(
        "values.rs",
        "rustc",
        "-C opt-level=0 -C link-arg=-fuse-ld=bfd -C relocation-model=static",
    ),
    variant(
        "values.rs",
        "rustc",
        "-C opt-level=1 -C link-arg=-fuse-ld=mold",
    ),
    quick("code.rs", "rustc", "-C opt-level=0"),
    variant("code.rs", "rustc", "-C opt-level=1"),
    quick("code.rs", "rustc", "-C opt-level=2"),
    variant("code.rs", "rustc", "-C opt-level=3"),
    variant("code.rs", "rustc", "-C opt-level=s"),
    variant(
        "code.rs",
        "rustc",
        "-C opt-level=2 -C lto=fat -C codegen-units=1",
    ),
    variant("code.rs", "rustc", "-C opt-level=2 -C dwarf-version=5"),
    variant(
        "code.rs",
        "rustc",
        "-C opt-level=2 -C split-debuginfo=packed",
    ),
    variant(
        "code.rs",
        "rustc",
        "-C opt-level=2 -C link-arg=-fuse-ld=mold",
    ),
    quick("types.c", "gcc", "-O0"),
    variant("types.c", "gcc", "-Og"),
    variant("types.c", "gcc", "-O1"),
    quick("types.c", "gcc", "-O2"),
    variant("types.c", "gcc", "-O3"),
    variant("types.c", "gcc", "-O0 -gdwarf-4"),
    variant("types.c", "gcc", "-O2 -gdwarf-4 -fno-omit-frame-pointer"),
    variant("types.c", "gcc", "-O2 -no-pie"),
    variant("types.c", "gcc", "-O0 -gsplit-dwarf"),
    variant("types.c", "gcc", "-O2 -gsplit-dwarf -gdwarf-4"),
    variant("types.c", "gcc", "-O2 -flto"),
    quick("types.c", "clang", "-O0"),
    variant("types.c", "clang", "-O1"),
    quick("types.c", "clang", "-O2"),
    variant("types.c", "clang", "-O3"),
    variant("types.c", "clang", "-O2 -gdwarf-4 -fuse-ld=lld"),
    variant("types.c", "clang", "-O0 -fuse-ld=mold -no-pie"),
    quick("types.cpp", "g++", "-O0"),
    variant("types.cpp", "g++", "-Og"),
    quick("types.cpp", "g++", "-O2"),
    variant("types.cpp", "g++", "-O3"),
    variant("types.cpp", "g++", "-O0 -gdwarf-4 -fdebug-types-section"),
    variant("types.cpp", "clang++", "-O0"),
    variant("types.cpp", "clang++", "-O1"),
    variant("types.cpp", "clang++", "-O2"),
    variant("types.cpp", "clang++", "-O2 -gdwarf-4 -fstandalone-debug"),
];

/// How many sites of each program of the corpus are looked at.
const SITES: usize = 400;

/// Builds the corpus, or the quick part of it; in parallel with nothing else.
///
/// # Errors
/// A program cannot be built.
pub(crate) fn build(only_quick: bool, only: Option<&str>) -> Result<Vec<Program>> {
    let out = workspace::target().join("fidelity");
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let chosen = VARIANTS.iter().filter(|variant| {
        let words = format!("{} {} {}", variant.source, variant.compiler, variant.flags);
        (variant.quick || !only_quick) && only.is_none_or(|only| words.contains(only))
    });
    let mut running = Vec::new();
    let mut programs = Vec::new();
    for variant in chosen {
        let (program, commands) = plan(variant, &out);
        if !is_built(variant, &program) {
            running.push(std::thread::spawn(move || {
                commands
                    .into_iter()
                    .try_for_each(|mut command| compile(&mut command))
            }));
            // Two at a time: compilers are large.
            if running.len() >= 2 {
                join(running.remove(0))?;
            }
        }
        programs.push(program);
    }
    running.into_iter().try_for_each(join)?;
    Ok(programs)
}

fn join(compilation: std::thread::JoinHandle<Result<()>>) -> Result<()> {
    match compilation.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Whether the executable is newer than its source and this list.
fn is_built(variant: &Variant, program: &Program) -> bool {
    let time = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
    let corpus = workspace::root().join("xtask/corpus");
    let newest = [variant.source, "shared.c"]
        .iter()
        .filter_map(|name| time(&corpus.join(name)))
        .max();
    time(&program.exe) > newest
}

/// What to run to build a variant, and what comes of it.
fn plan(variant: &Variant, out: &Path) -> (Program, Vec<Command>) {
    let corpus = workspace::root().join("xtask/corpus");
    let words = format!("{} {} {}", variant.source, variant.compiler, variant.flags);
    let name: String = words
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '_'
            }
        })
        .collect();
    // A directory for each: split debug information lies beside the objects.
    let directory = out.join(name);
    let exe = directory.join("program");
    let _ = std::fs::create_dir_all(&directory);
    let mut modules = vec![(exe.clone(), vec![variant.source.to_owned()])];
    let mut commands = Vec::new();
    let mut compiler = |arguments: &[&str]| {
        let mut command = Command::new(variant.compiler);
        command
            .current_dir(&directory)
            .args(variant.flags.split_whitespace());
        command.args(arguments);
        commands.push(command);
    };
    let source = corpus.join(variant.source).display().to_string();
    let language = match variant.compiler {
        "rustc" => {
            compiler(&["--edition", "2024", "-g", &source, "-o", "program"]);
            "rust"
        }
        "gcc" | "clang" => {
            let library = corpus.join("shared.c").display().to_string();
            compiler(&[
                "-g",
                "-w",
                "-fPIC",
                "-shared",
                &library,
                "-o",
                "libshared.so",
            ]);
            // Compiled and linked apart, so that `.dwo` files have names of their own.
            compiler(&["-g", "-w", "-c", &source, "-o", "program.o"]);
            let rpath = format!("-Wl,-rpath,{}", directory.display());
            compiler(&[
                "-g",
                "program.o",
                "-o",
                "program",
                "-L.",
                "-lshared",
                &rpath,
            ]);
            modules.push((directory.join("libshared.so"), vec!["shared.c".to_owned()]));
            "c"
        }
        _ => {
            compiler(&["-std=c++20", "-g", "-w", "-c", &source, "-o", "program.o"]);
            compiler(&["-g", "program.o", "-o", "program"]);
            "c++"
        }
    };
    let program = Program {
        name: variant.source.to_owned(),
        language,
        flags: format!("{} {}", variant.compiler, variant.flags),
        exe,
        arguments: Vec::new(),
        modules,
        sites: SITES,
    };
    (program, commands)
}

fn compile(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Failure::new(format!("{shown} failed: {said}")).into())
}
