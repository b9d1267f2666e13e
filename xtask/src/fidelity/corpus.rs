//! The programs of the corpus, and their builds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::support::failure::Failure;
use crate::support::workspace;

/// A built program.
pub(crate) struct CorpusProgram {
    /// Name of its source.
    pub(crate) name: String,
    /// `rust`, `c` or `c++`.
    pub(crate) language: &'static str,
    /// Compiler and flags.
    pub(crate) flags: String,
    /// The executable.
    pub(crate) exe: PathBuf,
    /// Arguments of the program.
    pub(crate) arguments: Vec<String>,
    /// Modules to look at, each with its files.
    pub(crate) modules: Vec<(PathBuf, Vec<String>)>,
    /// Maximum number of sites to look at.
    pub(crate) sites: usize,
}

/// One build of one source.
struct Variant {
    source: &'static str,
    compiler: &'static str,
    flags: &'static str,
    /// True if `cargo xtask test` runs it.
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
    quick("expected.cpp", "g++", "-std=c++23 -O0"),
    variant("expected.cpp", "g++", "-std=c++23 -O2"),
];

/// Maximum number of sites per program of the corpus.
const SITES: usize = 400;

/// Builds the corpus, or the quick part of it. Nothing else runs in parallel.
///
/// # Errors
/// Fails if a program cannot be built.
pub(crate) fn build(only_quick: bool, only: Option<&str>) -> Result<Vec<CorpusProgram>> {
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
            // Two builds run at a time, because compilers use much memory.
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

/// Returns true if the executable is newer than its source and this list.
fn is_built(variant: &Variant, program: &CorpusProgram) -> bool {
    let time = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
    let corpus = workspace::root().join("xtask/corpus");
    let newest = [variant.source, "shared.c"]
        .iter()
        .filter_map(|name| time(&corpus.join(name)))
        .max();
    time(&program.exe) > newest
}

/// Returns the commands that build a variant, and the result.
fn plan(variant: &Variant, out: &Path) -> (CorpusProgram, Vec<Command>) {
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
    // Each variant has a directory, because split debug information lies beside the objects.
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
            // Compiling and linking are separate, so that `.dwo` files have their own names.
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
            let mut arguments = vec!["-g", "-w", "-c", &source, "-o", "program.o"];
            if !variant.flags.contains("-std=") {
                arguments.push("-std=c++20");
            }
            compiler(&arguments);
            compiler(&["-g", "program.o", "-o", "program"]);
            "c++"
        }
    };
    let program = CorpusProgram {
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
