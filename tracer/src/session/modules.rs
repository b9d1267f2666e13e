//! The target's modules with their debug information, opened when first needed.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::clock::monotonic_ns;
use super::linker::Linker;
use crate::address::{Bias, FileOffset, LinkAddr, RunAddr};
use crate::debuginfo::site::FileId;
use crate::debuginfo::tls::TlsWord;
use crate::debuginfo::{DebugInfoError, DebugOptions, Module as DebugModule, Neighbour};
use crate::plan::TlsBlock;
use crate::plan::placement::CodeMap;
use crate::sources::Sources;
use crate::stack::Placed;
use crate::target::{Mapping, Module as MappedFile, Process, TargetError};

/// Modules that are not mapped any more and stay known.
const MAX_GONE: usize = 256;

/// One mapped file of the target.
pub(super) struct TargetModule {
    /// What the process has mapped.
    pub(super) file: MappedFile,
    options: DebugOptions,
    sources: Sources,
    linker: Arc<Linker>,
    debug: OnceLock<Result<Arc<DebugModule>, Arc<DebugInfoError>>>,
    biases: OnceLock<Vec<Bias>>,
    code: Arc<CodeMap>,
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

    /// Whether `address` is in the function that begins at `entry`.
    pub(super) fn is_in_function(&self, address: LinkAddr, entry: LinkAddr) -> bool {
        let code = self
            .debug()
            .ok()
            .and_then(|debug| debug.function_code_at(address));
        address == entry || code.is_some_and(|code| code.entry == entry)
    }

    /// Why it is not read any further, once that is so.
    pub(super) fn refusal(&self) -> Option<DebugInfoError> {
        self.debug.get()?.as_ref().ok()?.require_budget().err()
    }

    /// Allows for the work of another probe.
    pub(super) fn expect_probe(&self) {
        if let Some(Ok(debug)) = self.debug.get() {
            debug.expect_probe();
        }
    }

    /// What is known of its code.
    pub(super) fn code(&self) -> &CodeMap {
        &self.code
    }

    /// Run address minus link address; of a file that is mapped several times, of the first copy.
    pub(super) fn bias(&self) -> Option<Bias> {
        self.biases().first().copied()
    }

    /// Run address minus link address of each copy of the file.
    ///
    /// Taken from the executable mappings and the segments that they are parts of: linkers
    /// may choose another difference of address and file offset for each segment.
    pub(super) fn biases(&self) -> &[Bias] {
        self.biases.get_or_init(|| {
            let debug = self.debug();
            debug.map_or_else(|_| Vec::new(), |debug| biases_of(debug, &self.file))
        })
    }

    /// Run address minus link address of the copy that has a run address.
    ///
    /// `None` where a mapping of the file is none that a segment of it asks for.
    pub(super) fn bias_at(&self, address: RunAddr) -> Option<Bias> {
        let debug = self.debug().ok()?;
        let in_mapping = |mapping: &&Mapping| (mapping.start..mapping.end).contains(&address.0);
        let mapping = self.file.mappings.iter().find(in_mapping);
        let offset = mapping.map(|mapping| mapping.offset + (address.0 - mapping.start));
        let mut biases = self.biases().iter().copied();
        biases.find(|bias| debug.has_at(bias.link(address), offset.map(FileOffset)))
    }
}

impl TargetModule {
    /// The source that a debuginfod server has; `None`: none is asked, or none has it.
    ///
    /// # Errors
    /// Why an answer could not be used.
    pub(super) fn source_of_servers(&self, path: &Path) -> Result<Option<String>, String> {
        let servers = self.options.debuginfod.as_ref();
        let id = self.debug().ok().and_then(|debug| debug.build_id());
        match (servers, id) {
            (Some(servers), Some(id)) => servers.source(id, path),
            _ => Ok(None),
        }
    }

    /// Whether the line of source is blank, a comment or lone punctuation: nothing that a
    /// compiler could have made code from. False when the source is not there to be read.
    pub(super) fn has_no_statement(&self, debug: &DebugModule, file: FileId, line: u64) -> bool {
        debug
            .source_file(file)
            .and_then(|file| self.sources.read(&file.path).ok())
            .and_then(|source| source_line(&source.text, line).map(is_no_statement))
            .unwrap_or(false)
    }

    /// Where the thread-local storage of the copy at `bias` is in each thread, when that is certain.
    ///
    /// The executable's block ends at the thread pointer, aligned as its segment wants it (the
    /// x86-64 ABI's variant II). Where a library's block is only the dynamic linker knows, which
    /// tells the library by a word of its data.
    pub(super) fn tls(&self, bias: Bias) -> Option<TlsBlock> {
        let debug = self.debug().ok()?;
        if !self.file.main {
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
    biases_of(debug, file).first().copied()
}

/// See [`TargetModule::biases`].
fn biases_of(debug: &DebugModule, file: &MappedFile) -> Vec<Bias> {
    if file.mappings.is_empty() {
        // No process has it: it is looked at as it was linked.
        return vec![Bias(0)];
    }
    let mut biases = Vec::new();
    for mapping in file.mappings.iter().filter(|mapping| mapping.execute) {
        let length = mapping.end.saturating_sub(mapping.start);
        let bias = debug.bias(RunAddr(mapping.start), FileOffset(mapping.offset), length);
        if let Some(bias) = bias.filter(|bias| !biases.contains(bias)) {
            biases.push(bias);
        }
    }
    biases
}

impl TargetModule {
    /// The file as it is mapped now, with what is known of it already.
    fn mapped_as(&self, now: &Self) -> Self {
        let debug = OnceLock::new();
        if let Some(known) = self.debug.get() {
            let _new = debug.set(known.clone());
        }
        Self {
            file: now.file.clone(),
            options: now.options.clone(),
            sources: now.sources.clone(),
            linker: Arc::clone(&now.linker),
            debug,
            biases: OnceLock::new(),
            code: Arc::clone(&self.code),
        }
    }

    /// A run address is in one of its mappings, or in the zeroed memory behind one.
    pub(super) fn holds(&self, address: RunAddr) -> bool {
        let mut mappings = self.file.mappings.iter();
        let mut zeroed = self.file.zeroed.iter();
        mappings.any(|mapping| (mapping.start..mapping.end).contains(&address.0))
            || zeroed.any(|range| range.contains(&address.0))
    }
}

/// The modules of a process, as they were when last looked at.
pub(super) struct Modules {
    /// Those that are mapped, then those that were at an earlier look.
    all: Vec<Arc<TargetModule>>,
    /// How many of them are mapped.
    mapped: usize,
    /// When the last look began, in ns of `CLOCK_MONOTONIC`.
    looked_ns: AtomicU64,
    sources: Sources,
    /// The process that has them; `None`: none has.
    pid: Option<u32>,
}

impl Modules {
    /// Reads what `process` has mapped; the executable comes first.
    pub(super) fn read(process: &Process, options: &DebugOptions) -> Result<Self, TargetError> {
        let options = DebugOptions {
            root: Some(process.root()),
            ..options.clone()
        };
        let looked_ns = monotonic_ns();
        let files = process.modules()?;
        let linker = Arc::new(Linker::of(&files, &options));
        let sources = Sources::of_process(process, &options.sources);
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
                sources: sources.clone(),
                linker: Arc::clone(&linker),
                debug: OnceLock::new(),
                biases: OnceLock::new(),
                code: Arc::default(),
            })
        };
        let all: Vec<_> = files.into_iter().map(module).collect();
        Ok(Self {
            mapped: all.len(),
            all,
            sources,
            looked_ns: looked_ns.into(),
            pid: Some(process.pid()),
        })
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
            version: None,
            mappings: Vec::new(),
            zeroed: Vec::new(),
        };
        let sources = Sources::of_program(path, &options.sources);
        let module = TargetModule {
            file,
            options: options.clone(),
            sources: sources.clone(),
            linker: Arc::default(),
            debug: OnceLock::new(),
            biases: OnceLock::new(),
            code: Arc::default(),
        };
        Self {
            all: vec![Arc::new(module)],
            mapped: 1,
            looked_ns: monotonic_ns().into(),
            sources,
            pid: None,
        }
    }

    /// When the last look began, in ns of `CLOCK_MONOTONIC`.
    pub(super) fn looked_ns(&self) -> u64 {
        self.looked_ns.load(Ordering::Relaxed)
    }

    /// The module that has a run address: of those that are mapped, else of those that were.
    pub(super) fn holding(&self, address: RunAddr) -> Option<&Arc<TargetModule>> {
        self.all.iter().find(|module| module.holds(address))
    }

    /// The module that has a run address, and where it is.
    pub(super) fn placed(&self, address: RunAddr) -> Option<Placed> {
        let module = self.holding(address)?;
        Some(Placed {
            module: Arc::clone(module.debug().ok()?),
            bias: module.bias_at(address)?,
        })
    }

    /// What a later look found, and those that were there before; `None` when nothing has changed.
    pub(super) fn with(&self, now: Self) -> Option<Self> {
        self.looked_ns.store(now.looked_ns(), Ordering::Relaxed);
        let of_file = |file: &MappedFile| {
            let mut all = self.all.iter();
            all.find(|module| module.file.is_file_of(file))
        };
        let mut changed = now.all.len() != self.mapped;
        let mut all = Vec::new();
        for module in &now.all {
            let known = of_file(&module.file);
            let same = known.filter(|known| known.file.is_mapped_as(&module.file));
            changed |= !same.is_some_and(|same| self.is_mapped(same));
            all.push(match (same, known) {
                (Some(same), _) => Arc::clone(same),
                (None, Some(known)) => Arc::new(known.mapped_as(module)),
                (None, None) => Arc::clone(module),
            });
        }
        if !changed {
            return None;
        }
        let mapped = all.len();
        let is_there = |old: &&Arc<TargetModule>| {
            let mut there = now.all.iter();
            there.any(|module| module.file.is_file_of(&old.file))
        };
        let gone = self.all.iter().filter(|old| !is_there(old));
        all.extend(gone.take(MAX_GONE).cloned());
        Some(Self {
            all,
            mapped,
            looked_ns: now.looked_ns,
            sources: now.sources,
            pid: now.pid,
        })
    }

    /// The process that has them; `None`: none has.
    pub(super) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Those that were mapped at the last look.
    pub(super) fn mapped(&self) -> &[Arc<TargetModule>] {
        self.all.get(..self.mapped).unwrap_or_default()
    }

    /// Whether it was mapped at the last look.
    fn is_mapped(&self, module: &Arc<TargetModule>) -> bool {
        self.mapped().iter().any(|one| Arc::ptr_eq(one, module))
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Arc<TargetModule>] {
        &self.all
    }

    /// Their source files.
    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The others than `module`, with where they are; of those that cannot be read none.
    pub(super) fn neighbours(&self, module: &TargetModule) -> Vec<Neighbour> {
        let others = self.all.iter().filter(|other| other.file != module.file);
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
            return self.all.iter().collect();
        };
        let matches = |module: &&Arc<TargetModule>| {
            let behind = module.file.name.strip_prefix(name);
            module.file.path == Path::new(name)
                || behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['.', '-']))
        };
        self.all.iter().filter(matches).collect()
    }

    /// File names, for messages; at most a dozen.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self
            .all
            .iter()
            .take(12)
            .map(|module| &*module.file.name)
            .collect();
        names.join(", ")
    }
}

/// One line of a text; `None` beyond its end.
fn source_line(text: &str, line: u64) -> Option<&str> {
    let index = usize::try_from(line.checked_sub(1)?).ok()?;
    text.lines().nth(index)
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
