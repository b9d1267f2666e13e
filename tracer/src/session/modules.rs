//! The target's modules with their debug information, opened when first needed.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::linker::Linker;
use crate::address::{Bias, FileOffset, RunAddr};
use crate::debuginfo::site::FileId;
use crate::debuginfo::tls::TlsWord;
use crate::debuginfo::{DebugInfoError, DebugOptions, Module as DebugModule, Neighbour};
use crate::plan::TlsBlock;
use crate::plan::placement::CodeMap;
use crate::target::{Module as MappedFile, Process, TargetError};

/// Bytes of a source file that are read.
pub(super) const MAX_SOURCE: u64 = 8 << 20;

/// One mapped file of the target.
pub(super) struct TargetModule {
    /// What the process has mapped.
    pub(super) file: MappedFile,
    options: DebugOptions,
    linker: Arc<Linker>,
    debug: OnceLock<Result<Arc<DebugModule>, Arc<DebugInfoError>>>,
    code: CodeMap,
}

impl TargetModule {
    /// Its ELF file and debug information, opened on first use.
    pub(super) fn debug(&self) -> Result<&Arc<DebugModule>, &Arc<DebugInfoError>> {
        let open = || {
            DebugModule::open_as(&self.file.open_path, &self.file.path, &self.options)
                .map(Arc::new)
                .map_err(Arc::new)
        };
        self.debug.get_or_init(open).as_ref()
    }

    /// What is known of its code.
    pub(super) fn code(&self) -> &CodeMap {
        &self.code
    }

    /// Run address minus link address.
    ///
    /// Taken from an executable mapping and the segment that it is a part of: linkers
    /// may choose another difference of address and file offset for each segment.
    pub(super) fn bias(&self) -> Option<Bias> {
        bias_of(self.debug().ok()?, &self.file)
    }
}

impl TargetModule {
    /// Whether the line of source is blank, a comment or lone punctuation: nothing that a
    /// compiler could have made code from. False when the source is not there to be read.
    pub(super) fn has_no_statement(&self, debug: &DebugModule, file: FileId, line: u64) -> bool {
        let root = self.options.root.as_deref().unwrap_or(Path::new("/"));
        debug
            .source_file(file)
            .and_then(|file| readable_source(root, &file.path))
            .and_then(|path| source_line(&path, line))
            .is_some_and(|text| is_no_statement(&text))
    }

    /// Where its thread-local storage is in each thread, when that is certain.
    ///
    /// The executable's block ends at the thread pointer, aligned as its segment wants it (the
    /// x86-64 ABI's variant II). Where a library's block is only the dynamic linker knows, which
    /// tells the library by a word of its data.
    pub(super) fn tls(&self) -> Option<TlsBlock> {
        let debug = self.debug().ok()?;
        if !self.file.main {
            let bias = self.bias()?;
            return Some(match debug.tls_word()? {
                TlsWord::Module(word) => TlsBlock::Vector {
                    word: bias.run(word).0,
                    tables: self.linker.tables(bias),
                },
                // Whose number it is, the linker must say.
                TlsWord::ModuleOf(word) => TlsBlock::Vector {
                    word: bias.run(word).0,
                    tables: Some(self.linker.tables(bias)?),
                },
                TlsWord::Distance { word, of } => TlsBlock::Distance {
                    word: bias.run(word).0,
                    of,
                },
            });
        }
        let segment = debug.tls()?;
        let align = segment.align.max(1);
        let misaligned = segment.memory_size.wrapping_add(segment.address.0) % align;
        let padding = if misaligned == 0 {
            0
        } else {
            align - misaligned
        };
        let distance = i64::try_from(segment.memory_size.checked_add(padding)?).ok()?;
        Some(TlsBlock::Static(-distance))
    }
}

/// See [`TargetModule::bias`].
pub(super) fn bias_of(debug: &DebugModule, file: &MappedFile) -> Option<Bias> {
    if file.mappings.is_empty() {
        // No process has it: it is looked at as it was linked.
        return Some(Bias(0));
    }
    let mut code = file.mappings.iter().filter(|mapping| mapping.execute);
    code.find_map(|mapping| {
        let length = mapping.end.checked_sub(mapping.start)?;
        debug.bias(RunAddr(mapping.start), FileOffset(mapping.offset), length)
    })
}

/// The modules of a process, as they were when last looked at.
pub(super) struct Modules(Vec<Arc<TargetModule>>);

impl Modules {
    /// Reads what `process` has mapped; the executable comes first.
    pub(super) fn read(process: &Process, options: &DebugOptions) -> Result<Self, TargetError> {
        let options = DebugOptions {
            root: Some(process.root()),
            ..options.clone()
        };
        let files = process.modules()?;
        let linker = Arc::new(Linker::of(&files, &options));
        let module = |file| {
            // A debug file that the user named belongs to the executable.
            let mut options = options.clone();
            let file: MappedFile = file;
            if !file.main {
                options.debug_file = None;
            }
            Arc::new(TargetModule {
                file,
                options,
                linker: Arc::clone(&linker),
                debug: OnceLock::new(),
                code: CodeMap::default(),
            })
        };
        Ok(Self(files.into_iter().map(module).collect()))
    }

    /// One file that no process has mapped.
    pub(super) fn of_file(path: &Path, options: &DebugOptions) -> Self {
        let name = path.file_name().unwrap_or_default();
        let file = MappedFile {
            path: path.to_owned(),
            name: name.to_string_lossy().into_owned(),
            open_path: path.to_owned(),
            main: true,
            replaced: false,
            identity: (0, 0),
            mappings: Vec::new(),
        };
        Self(vec![Arc::new(TargetModule {
            file,
            options: options.clone(),
            linker: Arc::default(),
            debug: OnceLock::new(),
            code: CodeMap::default(),
        })])
    }

    /// These, and those of `now` that are new; `None` when none is.
    pub(super) fn with(&self, now: Self) -> Option<Self> {
        let known = |module: &Arc<TargetModule>| {
            self.0.iter().any(|old| {
                old.file.identity == module.file.identity
                    && old.file.mappings == module.file.mappings
            })
        };
        let new: Vec<_> = now.0.into_iter().filter(|module| !known(module)).collect();
        if new.is_empty() {
            return None;
        }
        // A module that was mapped anew replaces what it was.
        let replaced = |old: &&Arc<TargetModule>| {
            new.iter()
                .any(|module| module.file.identity == old.file.identity)
        };
        let kept = self.0.iter().filter(|old| !replaced(old)).cloned();
        let mut all: Vec<_> = kept.chain(new.iter().cloned()).collect();
        all.sort_by_key(|module| !module.file.main);
        Some(Self(all))
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Arc<TargetModule>] {
        &self.0
    }

    /// The others than `module`, with where they are; of those that cannot be read none.
    pub(super) fn neighbours(&self, module: &TargetModule) -> Vec<Neighbour> {
        let others = self.0.iter().filter(|other| other.file != module.file);
        let neighbour = |other: &Arc<TargetModule>| {
            Some(Neighbour {
                module: Arc::clone(other.debug().ok()?),
                bias: other.bias()?,
                lasts: other.file.main,
            })
        };
        others.filter_map(neighbour).collect()
    }

    /// Those whose path or file name is `name`, or whose file name is `name` with
    /// a version behind it (`libfoo` for `libfoo.so.1`); all without a name.
    pub(super) fn named(&self, name: Option<&str>) -> Vec<&Arc<TargetModule>> {
        let Some(name) = name else {
            return self.0.iter().collect();
        };
        let matches = |module: &&Arc<TargetModule>| {
            let behind = module.file.name.strip_prefix(name);
            module.file.path == Path::new(name)
                || behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['.', '-']))
        };
        self.0.iter().filter(matches).collect()
    }

    /// File names, for messages; at most a dozen.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self
            .0
            .iter()
            .take(12)
            .map(|module| &*module.file.name)
            .collect();
        names.join(", ")
    }
}

/// One line of a text file; `None` beyond its end, or beyond what is read of it.
fn source_line(path: &Path, line: u64) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    let lines = BufReader::new(file.take(MAX_SOURCE)).split(b'\n');
    let index = usize::try_from(line.checked_sub(1)?).ok()?;
    let bytes = lines.map_while(Result::ok).nth(index)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Blank, a whole-line comment, or nothing but punctuation.
fn is_no_statement(text: &str) -> bool {
    let text = text.trim();
    let comment = ["//", "/*", "*/", "* "]
        .iter()
        .any(|start| text.starts_with(start));
    // Code may stand behind a comment that ends on its line.
    let code_behind = text
        .rsplit_once("*/")
        .is_some_and(|(_, behind)| !behind.trim().is_empty());
    (comment && !code_behind) || !text.chars().any(char::is_alphanumeric)
}

/// A source file's path in the target's root, then in ours: the first that is there.
pub(super) fn readable_source(root: &Path, path: &Path) -> Option<PathBuf> {
    let inside = root.join(path.strip_prefix("/").unwrap_or(path));
    [inside, path.to_path_buf()]
        .into_iter()
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_no_statement_of_comments_blanks_and_braces() {
        for text in [
            "",
            "  \t",
            "// x = 1;",
            "/* x */",
            " * more of it",
            "}",
            "});",
            "*/",
        ] {
            assert!(is_no_statement(text), "{text:?}");
        }
        for text in [
            "let x = 1;",
            "*x = 1;",
            "/* why */ x = 1;",
            "} else {",
            "x += 1; // why",
        ] {
            assert!(!is_no_statement(text), "{text:?}");
        }
    }
}
