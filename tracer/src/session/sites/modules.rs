//! The target's modules with their debug information, opened when first needed.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::arch::static_tls_block;
use crate::base::address::{Bias, FileOffset, LinkAddr, ModulePlace, RunAddr};
use crate::base::pool_cell::PoolCell;
use crate::debuginfo::site::FileId;
use crate::debuginfo::tls::TlsWord;
use crate::debuginfo::{DebugInfoError, DebugOptions, Module as DebugModule, Neighbour};
use crate::placement::CodeMap;
use crate::plan::{ShapeCache, TlsBlock};
use crate::session::reader::clock::monotonic_ns;
use crate::session::sites::biases::biases_of;
use crate::session::sites::linker::Linker;
use crate::session::sites::module_numbers::ModuleNumbers;
use crate::sources::Sources;
use crate::stack::PlacedModule;
use crate::target::{
    ExecutableFile, MappedModule as MappedFile, Mapping, Process, TargetError, has_exited,
    read_words,
};

/// Modules that are not mapped any more and stay known.
const MAX_GONE: usize = 256;

/// One mapped file of the target.
pub(in crate::session) struct TargetModule {
    /// The file as the process has it mapped.
    pub(in crate::session) file: MappedFile,
    /// The file held open: no process may have it mapped any more, and another may be at its path.
    held: Option<Arc<OwnedFd>>,
    /// The process that has it mapped. `None` for a file that is read from its path alone.
    process: Option<Arc<OwnedFd>>,
    options: DebugOptions,
    sources: Sources,
    linker: Arc<Linker>,
    opened: PoolCell<Result<OpenedFile, Arc<DebugInfoError>>>,
    /// This file in another process, whose debug information serves for both.
    same: Option<Arc<TargetModule>>,
    biases: OnceLock<Vec<Bias>>,
    code: Arc<CodeMap>,
}

/// A file's debug information, and the finished shapes of its types.
///
/// They belong together: the file may have changed when it is opened again.
#[derive(Clone)]
struct OpenedFile {
    debug: Arc<DebugModule>,
    shapes: Arc<ShapeCache>,
}

impl TargetModule {
    /// Its ELF file and debug information, opened on first use.
    pub(in crate::session) fn debug(&self) -> Result<&Arc<DebugModule>, &Arc<DebugInfoError>> {
        self.opened().map(|opened| &opened.debug)
    }

    /// Finished shapes of the types of that debug information.
    pub(in crate::session) fn shapes(&self) -> Result<&ShapeCache, &Arc<DebugInfoError>> {
        self.opened().map(|opened| &*opened.shapes)
    }

    fn opened(&self) -> Result<&OpenedFile, &Arc<DebugInfoError>> {
        let open = || {
            if let Some(Ok(known)) = self.same.as_ref().map(|same| same.opened()) {
                return Ok(known.clone());
            }
            let debug = DebugModule::open_as(&self.open_path(), &self.file.path, &self.options)?;
            if self.is_of_another() {
                return Err(DebugInfoError::Exited {
                    path: self.file.path.clone(),
                });
            }
            Ok(OpenedFile {
                debug: Arc::new(debug),
                shapes: Arc::default(),
            })
        };
        self.opened
            .get_or_init(|| open().map_err(Arc::new))
            .as_ref()
    }

    /// A path at which exactly this file can be opened.
    pub(in crate::session) fn open_path(&self) -> PathBuf {
        match &self.held {
            Some(held) => PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd())),
            None => self.file.open_path.clone(),
        }
    }

    /// Returns true if what was opened may belong to another process, which has the pid by now.
    fn is_of_another(&self) -> bool {
        let is_by_pid = self.held.is_none();
        is_by_pid
            && self
                .process
                .as_ref()
                .is_some_and(|process| has_exited(process))
    }

    /// Returns true if `address` is in the function that begins at `entry`.
    pub(in crate::session) fn is_in_function(&self, address: LinkAddr, entry: LinkAddr) -> bool {
        let code = self
            .debug()
            .ok()
            .and_then(|debug| debug.function_code_at(address));
        address == entry || code.is_some_and(|code| code.entry == entry)
    }

    /// Why it is not read any further, once that is so.
    pub(in crate::session) fn refusal(&self) -> Option<DebugInfoError> {
        let opened = self.opened.get()?.as_ref().ok()?;
        opened.debug.require_budget().err()
    }

    /// Allows for the work of another probe.
    pub(in crate::session) fn expect_probe(&self) {
        if let Some(Ok(opened)) = self.opened.get() {
            opened.debug.expect_probe();
        }
    }

    /// Allows for the work of another question of a server.
    pub(in crate::session) fn expect_question(&self) {
        if let Some(Ok(opened)) = self.opened.get() {
            opened.debug.expect_question();
        }
    }

    /// The map of its code.
    pub(in crate::session) fn code(&self) -> &CodeMap {
        &self.code
    }

    /// Run address minus link address; for a file that is mapped several times, of the first copy.
    pub(in crate::session) fn bias(&self) -> Option<Bias> {
        self.biases().first().copied()
    }

    /// Run address minus link address of each copy of the file.
    ///
    /// Taken from the executable mappings and the segments that they are parts of: linkers
    /// may choose another difference of address and file offset for each segment.
    pub(in crate::session) fn biases(&self) -> &[Bias] {
        self.biases.get_or_init(|| {
            let debug = self.debug();
            debug.map_or_else(|_| Vec::new(), |debug| biases_of(debug, &self.file))
        })
    }

    /// Run address minus link address of the copy that has a run address.
    ///
    /// `None` where a mapping of the file is none that a segment of it asks for.
    pub(in crate::session) fn bias_at(&self, address: RunAddr) -> Option<Bias> {
        let debug = self.debug().ok()?;
        let in_mapping = |mapping: &&Mapping| (mapping.start..mapping.end).contains(&address.0);
        let mapping = self.file.mappings.iter().find(in_mapping);
        let offset = mapping.map(|mapping| mapping.offset + (address.0 - mapping.start));
        let mut biases = self.biases().iter().copied();
        biases.find(|bias| debug.has_at(bias.link(address), offset.map(FileOffset)))
    }
}

impl TargetModule {
    /// The source from a debuginfod server. `None` if no server is asked, or none has it.
    ///
    /// # Errors
    /// The reason why an answer could not be used.
    pub(in crate::session) fn source_of_servers(
        &self,
        path: &Path,
    ) -> Result<Option<String>, String> {
        let servers = self.options.debuginfod.as_ref();
        let id = self.debug().ok().and_then(|debug| debug.build_id());
        match (servers, id) {
            (Some(servers), Some(id)) => servers.source(id, path),
            _ => Ok(None),
        }
    }

    /// Returns true if the line of source is blank, a comment or lone punctuation, from which a
    /// compiler cannot make code. False if the source cannot be read.
    pub(in crate::session) fn has_no_statement(
        &self,
        debug: &DebugModule,
        file: FileId,
        line: u64,
    ) -> bool {
        debug
            .source_file(file)
            .and_then(|file| self.sources.read(&file.path).ok())
            .and_then(|source| source_line(&source.text, line).map(is_no_statement))
            .unwrap_or(false)
    }

    /// The place of its thread-local storage in each thread, if it is certain.
    ///
    /// The executable's block ends at the thread pointer, aligned as its segment demands (the
    /// x86-64 ABI's variant II). Only the dynamic linker knows the place of a library's block, and
    /// a word in the library's data identifies the library to it.
    /// `numbers` are those of a session of several processes.
    pub(in crate::session) fn tls(&self, numbers: Option<&ModuleNumbers>) -> Option<TlsBlock> {
        let debug = self.debug().ok()?;
        if !self.file.main {
            return Some(match debug.tls_word()? {
                TlsWord::Module(word) => TlsBlock::Vector {
                    word,
                    tables: self.linker.tables(numbers),
                },
                // Only the linker can tell which module has this number.
                TlsWord::ModuleOf(word) => TlsBlock::Vector {
                    word,
                    tables: Some(self.linker.tables(numbers)?),
                },
                TlsWord::Distance { word, of } => TlsBlock::Distance { word, of },
            });
        }
        let segment = debug.tls()?;
        let block = static_tls_block(segment.memory_size, segment.align, segment.address.0)?;
        Some(TlsBlock::Static(block))
    }
}

impl TargetModule {
    /// The file with its present mappings, and the earlier knowledge of it.
    fn mapped_as(&self, now: &Self) -> Self {
        let opened = PoolCell::new();
        if let Some(known) = self.opened.get()
            && !matches!(known, Err(error) if matches!(**error, DebugInfoError::Exited { .. }))
        {
            opened.get_or_init(|| known.clone());
        }
        Self {
            file: now.file.clone(),
            held: self.held.clone().or_else(|| now.held.clone()),
            process: now.process.clone(),
            options: now.options.clone(),
            sources: now.sources.clone(),
            linker: Arc::clone(&now.linker),
            opened,
            same: None,
            biases: OnceLock::new(),
            code: Arc::clone(&self.code),
        }
    }

    /// Returns true if a run address is in one of its mappings, or in the zeroed memory after one.
    pub(in crate::session) fn holds(&self, address: RunAddr) -> bool {
        let mut mappings = self.file.mappings.iter();
        let mut zeroed = self.file.zeroed.iter();
        mappings.any(|mapping| (mapping.start..mapping.end).contains(&address.0))
            || zeroed.any(|range| range.contains(&address.0))
    }
}

/// Returns true if the debug information of the program names its sources.
pub(in crate::session) fn has_sources(modules: &Modules) -> bool {
    let main = modules.all().first();
    main.and_then(|main| main.debug().ok())
        .is_some_and(|debug| !debug.source_files().is_empty())
}

/// The modules of a process, as they were when last looked at.
pub(in crate::session) struct Modules {
    /// The mapped modules, then those of earlier looks.
    all: Vec<Arc<TargetModule>>,
    /// Number of mapped modules.
    mapped: usize,
    /// When the last look began, in ns of `CLOCK_MONOTONIC`.
    looked_ns: AtomicU64,
    sources: Sources,
    /// The process that has them mapped. `None` if there is none.
    pid: Option<u32>,
}

impl Modules {
    /// Reads the mapped files of `process`. The executable comes first.
    pub(in crate::session) fn read(
        process: &Process,
        options: &DebugOptions,
    ) -> Result<Self, TargetError> {
        let options = DebugOptions {
            root: Some(process.root()),
            ..options.clone()
        };
        let looked_ns = monotonic_ns();
        let files = process.modules()?;
        let linker = Arc::new(Linker::of(&files, &options));
        let sources = Sources::of_process(process, &options.sources);
        let pidfd = process.held().map(Arc::new)?;
        let module = |file| {
            // A debug file that the user named belongs to the executable.
            let mut options = options.clone();
            let file: MappedFile = file;
            if !file.main {
                options.debug_file = None;
            }
            Arc::new(TargetModule {
                file,
                held: None,
                process: Some(Arc::clone(&pidfd)),
                options,
                sources: sources.clone(),
                linker: Arc::clone(&linker),
                opened: PoolCell::new(),
                same: None,
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
    pub(in crate::session) fn of_file(path: &Path, options: &DebugOptions) -> Self {
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
            held: None,
            process: None,
            options: options.clone(),
            sources: sources.clone(),
            linker: Arc::default(),
            opened: PoolCell::new(),
            same: None,
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

    /// A program file that no process runs yet.
    pub(in crate::session) fn of_program(
        path: &Path,
        file: ExecutableFile,
        options: &DebugOptions,
    ) -> Self {
        let mut this = Self::of_file(path, options);
        if let Some(main) = this.all.first_mut().and_then(Arc::get_mut) {
            let (identity, version) = file.mapped();
            main.file.identity = identity;
            main.file.version = Some(version);
        }
        this
    }

    /// The executable held open, so that it can be read whatever becomes of its process and its path.
    pub(in crate::session) fn holding_main(mut self, file: OwnedFd) -> Self {
        if let Some(main) = self.all.first_mut() {
            *main = Arc::new(TargetModule {
                held: Some(Arc::new(file)),
                ..main.mapped_as(main)
            });
        }
        self
    }

    /// No modules: those of a process that is gone.
    pub(in crate::session) fn none(options: &DebugOptions) -> Self {
        Self {
            all: Vec::new(),
            mapped: 0,
            looked_ns: monotonic_ns().into(),
            sources: Sources::of_program(Path::new(""), &options.sources),
            pid: None,
        }
    }

    /// These mappings, with what is known of the same files in another process.
    pub(in crate::session) fn with_files_of(self, known: &Self) -> Self {
        let shared = |module: Arc<TargetModule>| {
            let mut all = known.all.iter();
            match all.find(|known| known.file.is_file_of(&module.file)) {
                Some(known) => Arc::new(TargetModule {
                    same: Some(Arc::clone(known)),
                    ..known.mapped_as(&module)
                }),
                None => module,
            }
        };
        Self {
            all: self.all.into_iter().map(shared).collect(),
            ..self
        }
    }

    /// When the last look began, in ns of `CLOCK_MONOTONIC`.
    pub(in crate::session) fn looked_ns(&self) -> u64 {
        self.looked_ns.load(Ordering::Relaxed)
    }

    /// The module that has a run address: of those that are mapped, else of those that were.
    pub(in crate::session) fn holding(&self, address: RunAddr) -> Option<&Arc<TargetModule>> {
        self.all.iter().find(|module| module.holds(address))
    }

    /// The module that has a run address, and where it is.
    pub(in crate::session) fn placed(&self, address: RunAddr) -> Option<PlacedModule> {
        let module = self.holding(address)?;
        Some(PlacedModule {
            module: Arc::clone(module.debug().ok()?),
            bias: module.bias_at(address)?,
        })
    }

    /// The modules of a later look, then the earlier ones. `None` if they are unchanged.
    pub(in crate::session) fn with(&self, now: Self) -> Option<Self> {
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

    /// The process that has them mapped. `None` if there is none.
    pub(in crate::session) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Words of the process that has them mapped. Nothing once it has exited.
    pub(in crate::session) fn words(&self, addresses: &[u64]) -> Vec<Option<u64>> {
        let process = self.mapped().first().and_then(|main| main.process.as_ref());
        let (Some(pid), Some(process)) = (self.pid, process) else {
            return Vec::new();
        };
        let words = read_words(pid, addresses);
        // Another process may have the pid by now.
        match has_exited(process) {
            false => words,
            true => Vec::new(),
        }
    }

    /// The modules that were mapped at the last look.
    pub(in crate::session) fn mapped(&self) -> &[Arc<TargetModule>] {
        self.all.get(..self.mapped).unwrap_or_default()
    }

    /// Returns true if it was mapped at the last look.
    fn is_mapped(&self, module: &Arc<TargetModule>) -> bool {
        self.mapped().iter().any(|one| Arc::ptr_eq(one, module))
    }

    /// All of them.
    pub(in crate::session) fn all(&self) -> &[Arc<TargetModule>] {
        &self.all
    }

    /// Their source files.
    pub(in crate::session) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The modules other than `module`, with their addresses, without unreadable ones. With `numbers`,
    /// they have these in place of addresses, and those without a number are left out.
    pub(in crate::session) fn neighbours(
        &self,
        module: &TargetModule,
        numbers: Option<&ModuleNumbers>,
    ) -> Vec<Neighbour> {
        let others = self.all.iter().filter(|other| other.file != module.file);
        let neighbour = |other: &Arc<TargetModule>| {
            let debug = other.debug().ok()?;
            Some(Neighbour {
                module: Arc::clone(debug),
                place: match numbers {
                    None => ModulePlace::At(other.bias()?),
                    Some(numbers) => ModulePlace::Numbered(numbers.number_of(&other.file, debug)?),
                },
                lasts: other.file.main,
            })
        };
        others.filter_map(neighbour).collect()
    }

    /// The modules whose path or file name is `name`, with or without a version after it (`libfoo`
    /// for `libfoo.so.1`). All modules without a name.
    pub(in crate::session) fn named(&self, name: Option<&str>) -> Vec<&Arc<TargetModule>> {
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

    /// File names, for messages. At most a dozen.
    pub(in crate::session) fn names(&self) -> String {
        let names: Vec<&str> = self
            .all
            .iter()
            .take(12)
            .map(|module| &*module.file.name)
            .collect();
        names.join(", ")
    }
}

/// One line of a text. `None` after its end.
fn source_line(text: &str, line: u64) -> Option<&str> {
    let index = usize::try_from(line.checked_sub(1)?).ok()?;
    text.lines().nth(index)
}

/// Returns true for a blank line, a whole-line comment, or lone punctuation.
fn is_no_statement(text: &str) -> bool {
    let text = text.trim();
    let comment = ["//", "/*", "*/", "* "]
        .iter()
        .any(|start| text.starts_with(start));
    // Code may follow a comment that ends on its line.
    let code_behind = text
        .rsplit_once("*/")
        .is_some_and(|(_, behind)| !behind.trim().is_empty());
    (comment && !code_behind) || !text.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses of a module's debug information and of the shapes of its types.
    fn opened(module: &TargetModule) -> (*const DebugModule, *const ShapeCache) {
        let debug = module.debug().expect("the file opens");
        let shapes = module.shapes().expect("the file opens");
        (Arc::as_ptr(debug), std::ptr::from_ref(shapes))
    }

    #[test]
    fn shapes_are_shared_with_the_debug_information_that_they_are_of() {
        let file = std::env::current_exe().expect("the test runs");
        let modules = Modules::of_file(&file, &DebugOptions::default());
        let [module] = modules.all() else {
            panic!("one file is one module");
        };
        let unopened = module.mapped_as(module);
        let first = opened(module);
        let later = module.mapped_as(module);
        assert_eq!(opened(&later), first);
        let other = opened(&unopened);
        assert_ne!(other.0, first.0);
        assert_ne!(
            other.1, first.1,
            "another reading of the file has other shapes"
        );
    }

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
