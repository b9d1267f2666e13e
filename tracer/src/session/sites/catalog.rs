//! Lists the things to probe in a process or a file: source files, lines, variables, functions.
//! Attaches nothing, and needs only the right to read the files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::names::without_generics;
use crate::debuginfo::place::{PieceSource, Place};
use crate::debuginfo::site::{FileId, Site, SourceLine};
use crate::debuginfo::types::TypeSource as _;
use crate::debuginfo::usdt::UsdtProbe;
use crate::debuginfo::variable::{Variable, VariableKind};
use crate::debuginfo::{
    DebugFileLookup, DebugInfoError, DebugOptions, FunctionInfo, SourceFileInfo, SplitUnits,
};
use crate::lang::ast::Location;
use crate::session::sites::modules::{Modules, TargetModule};
use crate::session::sites::own_modules::is_own_module;
use crate::session::sites::resolve::{
    Resolved, file_of, missing_split, program_without_dwarf, resolve, with_dwarf,
};
use crate::session::{LineInfo, OutlineEntry, SiteCost, SourceFile, VariableInfo};
use crate::sources::{SourceError, SourceText, is_own_source};
use crate::target::{Process, TargetError};

/// The things to probe, without a session.
pub struct Catalog {
    modules: Arc<Modules>,
}

/// The sites of one location.
#[derive(Debug)]
pub struct LocatedSites {
    /// File name of the module that has them.
    pub module: Arc<str>,
    /// Never empty; in the order of addresses.
    pub sites: Vec<Site>,
    /// Notes for the user: the line was moved.
    pub notes: Vec<String>,
}

/// A function, and whether it is the program's own.
#[derive(Clone, Debug)]
pub struct FoundFunction {
    /// The function.
    pub info: FunctionInfo,
    /// Not a library's, a package's, or the compiler's.
    pub own: bool,
}

/// A USDT probe of a module.
#[derive(Clone, Debug)]
pub struct FoundUsdtProbe {
    /// Its places, by address. Never empty.
    pub places: Vec<Arc<UsdtProbe>>,
    /// File name of the module that has it.
    pub module: Arc<str>,
    /// The module is not a library's or a package's.
    pub own: bool,
}

/// One mapped file, and whether it can be read at source level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleInfo {
    /// Path in the process's view.
    pub path: PathBuf,
    /// It is the executable.
    pub main: bool,
    /// Another file, or none, is at its path by now.
    pub replaced: bool,
    /// Bytes of its code that the process has not mapped for execution, and of all its code. Probes
    /// in unmapped code see no hit. `None` if all code is mapped.
    pub unmapped_code: Option<(u64, u64)>,
    /// Build id in hexadecimal. `None` if it has none.
    pub build_id: Option<String>,
    /// Reason why its source lines cannot be probed. `None` if they can.
    pub problem: Option<String>,
    /// The searched places for debug information, with their results, in search order.
    pub looked: Vec<DebugFileLookup>,
    /// The search results for its split units.
    pub split: SplitUnits,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

impl Catalog {
    /// Catalog of all files that a process has mapped.
    ///
    /// # Errors
    /// The process is gone or may not be read.
    pub fn of_process(process: &Process, options: &DebugOptions) -> Result<Self, TargetError> {
        Ok(Self {
            modules: Arc::new(Modules::read(process, options)?),
        })
    }

    /// Catalog of one file that need not run.
    ///
    /// # Errors
    /// The file is not a readable ELF file.
    pub fn of_file(path: &Path, options: &DebugOptions) -> Result<Self, Arc<DebugInfoError>> {
        let modules = Modules::of_file(path, options);
        for module in modules.all() {
            module.debug().map_err(Arc::clone)?;
        }
        Ok(Self {
            modules: Arc::new(modules),
        })
    }

    /// Catalog of modules that a session has read.
    pub(in crate::session) const fn of_modules(modules: Arc<Modules>) -> Self {
        Self { modules }
    }

    /// Allows for the work of another question. A command asks few questions; a server is asked for days.
    pub fn expect_question(&self) {
        for module in self.modules.all() {
            module.expect_question();
        }
    }

    pub(in crate::session) fn modules_of(&self) -> &Modules {
        &self.modules
    }

    /// Every source file. The program's own come first, and of them those on disk.
    ///
    /// # Errors
    /// No module has debug information.
    pub fn source_files(&self) -> Result<Vec<SourceFile>, Diagnostic> {
        let all: Vec<&Arc<TargetModule>> = self.modules.all().iter().collect();
        with_dwarf(&all)?;
        let files = self.modules.source_files();
        self.require_main()?;
        Ok(files)
    }

    /// Fails when the executable, or the one file that is looked at, is not read any further.
    fn require_main(&self) -> Result<(), Diagnostic> {
        let main = self.modules.all().first();
        match main.and_then(|module| module.refusal()) {
            Some(error) => Err(Diagnostic::from(&error)),
            None => Ok(()),
        }
    }

    /// Modules that are not read any further, each with the reason. Lists lack their contents.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        let all = self.modules.all().iter();
        all.filter_map(|module| module.refusal())
            .map(|error| error.to_string())
            .collect()
    }

    /// Reason why the program itself has no lines and variables, with advice. `None` if it has
    /// them.
    #[must_use]
    pub fn program_without_debug_info(&self) -> Option<(String, Option<String>)> {
        let all: Vec<_> = self.modules.all().iter().collect();
        let (_, fault) = program_without_dwarf(&all)?;
        Some((fault.message, fault.hint))
    }

    /// The one source file whose path ends with `suffix`.
    ///
    /// # Errors
    /// No file matches, or several do; or no module has debug information.
    pub fn find_file(&self, suffix: &str) -> Result<SourceFile, Diagnostic> {
        let (module, path) = file_of(&self.modules, suffix)?;
        let on_disk = self.modules.sources().is_there(&path);
        let own = is_own_module(&module.file) && is_own_source(&path);
        Ok(SourceFile {
            path,
            module: module.file.name.as_str().into(),
            on_disk,
            own,
        })
    }

    /// The lines of a file that have code, by line.
    ///
    /// # Errors
    /// The debug information cannot be read.
    pub fn lines(&self, file: &SourceFile) -> Result<Vec<LineInfo>, Diagnostic> {
        self.modules.lines(file)
    }

    /// The text of a source file. `None` if there is no such file.
    ///
    /// # Errors
    /// The reason why an existing file is not shown.
    pub fn source_text(&self, file: &SourceFile) -> Result<Option<SourceText>, Diagnostic> {
        self.modules.source_text(file)
    }

    /// The functions that are declared in a source file, by line.
    #[must_use]
    pub fn outline(&self, file: &SourceFile) -> Vec<OutlineEntry> {
        self.modules.outline(file)
    }

    /// The sites of a location.
    ///
    /// # Errors
    /// Nothing, or more than one thing, fits it.
    pub fn locate(&self, location: &Location) -> Result<LocatedSites, Diagnostic> {
        let Resolved {
            module,
            sites,
            notes,
        } = resolve(&self.modules, location)?;
        Ok(LocatedSites {
            module: module.file.name.as_str().into(),
            sites,
            notes,
        })
    }

    /// The cost of a probe that reads nothing at a site of a module.
    #[must_use]
    pub fn cost(&self, module: &str, site: &Site) -> Option<SiteCost> {
        let has_it = |candidate: &&Arc<TargetModule>| candidate.file.name == module;
        let module = self.modules.all().iter().find(has_it)?;
        let debug = module.debug().ok()?;
        Some(crate::session::prepare::placing::cost(
            module.code(),
            debug,
            site.address,
        ))
    }

    /// The names that may stand at a location, given as probes write it: variables, or the members of the
    /// expression `owner` if there is one.
    ///
    /// # Errors
    /// The location or the expression has no meaning.
    pub fn names_at(&self, location: &str, owner: &str) -> Result<Vec<VariableInfo>, Diagnostic> {
        self.modules.names_at(location, owner)
    }

    /// The variables in scope at a site of a module.
    ///
    /// # Errors
    /// The debug information cannot be read.
    pub fn variables(&self, module: &str, site: &Site) -> Result<Vec<VariableInfo>, Diagnostic> {
        self.modules
            .all()
            .iter()
            .find(|candidate| candidate.file.name == module)
            .map_or(Ok(Vec::new()), |module| self.modules.at(module, site))
    }

    /// The functions whose name contains `pattern`, or all functions without one. Case matters if
    /// the pattern has capital letters.
    ///
    /// The program's own functions come first, then those whose last component fits the pattern
    /// best.
    ///
    /// # Errors
    /// No module has debug information, or it cannot be read.
    pub fn functions(&self, pattern: Option<&str>) -> Result<Vec<FoundFunction>, Diagnostic> {
        let pattern = pattern.unwrap_or_default();
        let fits = |name: &str| fits_name(name, pattern);
        let all: Vec<&Arc<TargetModule>> = self.modules.all().iter().collect();
        let mut functions = Vec::new();
        let mut first_error = None;
        for module in &all {
            let Ok(debug) = module.debug() else {
                continue;
            };
            if pattern.is_empty() && !module.file.main {
                // The exports of libraries are not part of the program.
                continue;
            }
            let bare = debug.bare_functions(fits).into_iter();
            if module.refusal().is_some() {
                continue;
            }
            // In a program without debug information, symbols are all that is known of it.
            let own = module.file.main && debug.require_dwarf().is_err();
            let found = |(entry, name)| FoundFunction {
                info: FunctionInfo {
                    name,
                    declared: None,
                    addresses: vec![entry],
                    inlined: Vec::new(),
                },
                own,
            };
            functions.extend(bare.map(found));
        }
        let described = match with_dwarf(&all) {
            Ok(described) => described,
            // Symbols are all that there is.
            Err(_) if !functions.is_empty() => Vec::new(),
            Err(fault) => return Err(fault),
        };
        for (module, debug) in described {
            let own_module = is_own_module(&module.file);
            let entries = debug.entries_of_symbol(pattern);
            let begins_there = |function: &FunctionInfo| {
                let mut addresses = function.addresses.iter();
                addresses.any(|address| entries.contains(address))
            };
            match debug.functions(None) {
                Ok(found) => {
                    let wanted = |one: &FunctionInfo| fits(&one.name) || begins_there(one);
                    let found = found.into_iter().filter(wanted).map(|info| {
                        let own_source = |line: &SourceLine| is_own_source(&line.file);
                        let own = own_module && info.declared.as_ref().is_some_and(own_source);
                        FoundFunction { info, own }
                    });
                    functions.extend(found);
                }
                Err(error) => {
                    first_error.get_or_insert(Diagnostic::from(error));
                }
            }
        }
        self.require_main()?;
        match first_error {
            Some(error) if functions.is_empty() => Err(error),
            _ => {
                functions.sort_by_cached_key(|one| {
                    let fit = fit(&one.info.name, pattern);
                    (!one.own, fit, one.info.name.clone())
                });
                Ok(functions)
            }
        }
    }

    /// The USDT probes whose location contains `pattern`, or those of the program without one.
    #[must_use]
    pub fn usdt_probes(&self, pattern: Option<&str>) -> Vec<FoundUsdtProbe> {
        let fits = |probe: &&Arc<UsdtProbe>| {
            let pattern = pattern.unwrap_or_default();
            pattern.is_empty() || fits_name(&probe.location(), pattern)
        };
        let mut found = Vec::new();
        for module in self.modules.all() {
            let Ok(debug) = module.debug() else {
                continue;
            };
            if pattern.is_none() && !module.file.main {
                continue;
            }
            let own = is_own_module(&module.file);
            let probes: Vec<&Arc<UsdtProbe>> = debug.usdt_probes().iter().filter(fits).collect();
            let same = |a: &&Arc<UsdtProbe>, b: &&Arc<UsdtProbe>| {
                (&a.provider, &a.name) == (&b.provider, &b.name)
            };
            found.extend(probes.chunk_by(same).map(|places| FoundUsdtProbe {
                places: places.iter().map(|place| Arc::clone(place)).collect(),
                module: module.file.name.as_str().into(),
                own,
            }));
        }
        found
    }

    /// Names near to one that no function has.
    #[must_use]
    pub fn near_functions(&self, pattern: &str) -> Vec<String> {
        let all: Vec<&Arc<TargetModule>> = self.modules.all().iter().collect();
        let near = |debug: &crate::debuginfo::Module| match debug.function_sites(pattern) {
            Err(crate::debuginfo::SiteError::NoFunction { near, .. }) => near,
            _ => Vec::new(),
        };
        let found = with_dwarf(&all).unwrap_or_default();
        found
            .into_iter()
            .map(|(_, debug)| near(debug))
            .find(|near| !near.is_empty())
            .unwrap_or_default()
    }

    /// Every mapped file with code. The executable comes first.
    #[must_use]
    pub fn modules(&self) -> Vec<ModuleInfo> {
        self.modules
            .all()
            .par_iter()
            .map(|module| module_info(module))
            .collect()
    }
}

fn module_info(module: &TargetModule) -> ModuleInfo {
    let mut info = ModuleInfo {
        path: module.file.path.clone(),
        main: module.file.main,
        replaced: module.file.replaced,
        unmapped_code: module
            .mapped_code()
            .filter(|code| code.mapped < code.total)
            .map(|code| (code.total - code.mapped, code.total)),
        build_id: None,
        problem: None,
        looked: Vec::new(),
        split: SplitUnits::default(),
    };
    match module.debug() {
        Ok(debug) => {
            info.build_id = debug
                .build_id()
                .map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect());
            info.problem = debug.require_dwarf().err().map(|error| error.to_string());
            info.split = debug.split_units();
            info.looked = debug.looked().to_vec();
            info.looked.extend(debug.looked_for_split_units());
        }
        Err(error) => info.problem = Some(crate::base::causes::chain(&**error)),
    }
    info
}

impl Modules {
    /// Every source file of every module: the program's own first, and of them those on disk.
    pub(in crate::session) fn source_files(&self) -> Vec<SourceFile> {
        let mut files: Vec<SourceFile> = self
            .all()
            .par_iter()
            .filter_map(|module| Some((module, module.debug().ok()?)))
            .flat_map_iter(|(module, debug)| {
                let name: Arc<str> = module.file.name.as_str().into();
                let own_module = is_own_module(&module.file);
                let files = debug.source_files();
                // The list may lack files of a module that is not read any further.
                let files = match debug.require_budget() {
                    Ok(()) => files,
                    Err(_) => &[],
                };
                let paths = files.iter().map(|file| Arc::clone(&file.path)).collect();
                let there = self.sources().are_there(paths);
                let file = move |(file, on_disk): (&SourceFileInfo, bool)| SourceFile {
                    path: Arc::clone(&file.path),
                    module: Arc::clone(&name),
                    on_disk,
                    own: own_module && is_own_source(&file.path),
                };
                files.iter().zip(there).map(file)
            })
            .collect();
        files.sort_by(|a, b| {
            let rank = |file: &SourceFile| (!file.own, !file.on_disk);
            rank(a).cmp(&rank(b)).then_with(|| a.path.cmp(&b.path))
        });
        files
    }

    /// The text of a source file, on this machine or else from a debuginfod server. `None` if it is
    /// not found.
    pub(in crate::session) fn source_text(
        &self,
        file: &SourceFile,
    ) -> Result<Option<SourceText>, Diagnostic> {
        let error = match self.sources().read(&file.path) {
            Ok(text) => return Ok(Some(text)),
            Err(error) => error,
        };
        if !error.is_absent() {
            return Err(unreadable(file, &error));
        }
        let Some((module, _)) = self.file(file) else {
            return Ok(None);
        };
        match module.source_of_servers(&file.path) {
            Ok(text) => Ok(text.map(|text| SourceText {
                text,
                elsewhere: Some("debuginfod".into()),
            })),
            Err(why) => {
                Err(unreadable(file, &error)
                    .hint(format!("no debuginfod server has sent it: {why}")))
            }
        }
    }

    /// The path of a source file among the files of this machine.
    pub(in crate::session) fn source_path(&self, file: &SourceFile) -> Result<PathBuf, Diagnostic> {
        let sources = self.sources();
        sources
            .path(&file.path)
            .map_err(|error| unreadable(file, &error))
    }

    /// The functions that are declared in a source file, by line.
    pub(in crate::session) fn outline(&self, file: &SourceFile) -> Vec<OutlineEntry> {
        let Some((module, _)) = self.file(file) else {
            return Vec::new();
        };
        let debug = module.debug().ok();
        // A file without functions has an empty outline, and so has one that is not understood: the
        // lines say why.
        let functions = debug.and_then(|debug| debug.functions(None).ok());
        let mut entries: Vec<OutlineEntry> = functions
            .unwrap_or_default()
            .into_iter()
            .filter_map(|function| {
                let declared = function.declared.filter(|line| line.file == file.path)?;
                Some(OutlineEntry {
                    line: declared.line,
                    function: function.name,
                })
            })
            .collect();
        entries.sort_by(|a, b| (a.line, &a.function).cmp(&(b.line, &b.function)));
        entries.dedup_by_key(|entry| entry.line);
        entries
    }

    /// The lines of a file that have code, by line.
    pub(in crate::session) fn lines(&self, file: &SourceFile) -> Result<Vec<LineInfo>, Diagnostic> {
        let (module, id) = self.file(file).ok_or_else(|| no_such_file(file))?;
        let debug = module.debug().map_err(Diagnostic::new)?;
        let lines = debug.lines(id).map_err(|error| Diagnostic::new(&error))?;
        let info = |(line, sites): (&u64, &usize)| LineInfo {
            line: *line,
            sites: u32::try_from(*sites).unwrap_or(u32::MAX),
        };
        Ok(lines.iter().map(info).collect())
    }

    /// The variables in scope at the first site of a line.
    pub(in crate::session) fn variables(
        &self,
        file: &SourceFile,
        line: u64,
    ) -> Result<Vec<VariableInfo>, Diagnostic> {
        let (module, id) = self.file(file).ok_or_else(|| no_such_file(file))?;
        let debug = module.debug().map_err(Diagnostic::new)?;
        let sites = debug
            .sites(id, line)
            .map_err(|error| Diagnostic::new(&error))?;
        match sites.sites.first() {
            Some(site) => self.at(&module, site),
            None => Err(Diagnostic::new("the line has no code")),
        }
    }

    /// The variables in scope at a site, and the statics of its function.
    pub(super) fn at(
        &self,
        module: &TargetModule,
        site: &Site,
    ) -> Result<Vec<VariableInfo>, Diagnostic> {
        let debug = module.debug().map_err(Diagnostic::new)?;
        let variables = self.names_of(module, site, None)?;
        if let Some(file) = debug.missing_split_file(site.address) {
            return Err(Diagnostic::new(missing_split(&file))
                .hint("it contains the variables; pass its directory with `--debug-dir`"));
        }
        let shown = variables
            .iter()
            .filter(|variable| variable.kind != VariableKind::Lost);
        let refused = || {
            debug
                .require_budget()
                .map_err(|error| Diagnostic::from(&error))
        };
        let info = |variable| {
            let info = variable_info(variable, &debug.type_of(variable.ty).name);
            match site.exit {
                // The frame is gone, so its places in the debug information are not valid.
                Some(_) => VariableInfo {
                    place: String::new(),
                    unavailable: Some("no longer known at a return".into()),
                    ..info
                },
                None => info,
            }
        };
        let shown = shown.map(info).collect();
        // The types were read last.
        refused()?;
        Ok(shown)
    }

    /// The module that has code from a file, and the file's number in it.
    fn file(&self, file: &SourceFile) -> Option<(Arc<TargetModule>, FileId)> {
        self.all()
            .iter()
            .filter(|module| *module.file.name == *file.module)
            .find_map(|module| {
                let id = module.debug().ok()?.file_of_path(&file.path)?;
                Some((Arc::clone(module), id))
            })
    }
}

/// Returns true if a name contains a pattern. Case matters if the pattern has capital letters.
fn fits_name(name: &str, pattern: &str) -> bool {
    match pattern.chars().any(char::is_uppercase) {
        true => name.contains(pattern),
        false => name.to_lowercase().contains(pattern),
    }
}

/// Rank of a function's name for a pattern, best first. The last component, or the path up to its
/// end, equals the pattern; the last component begins with it; the last component contains it;
/// another part contains it.
fn fit(name: &str, pattern: &str) -> u8 {
    let (name, pattern) = (name.to_lowercase(), pattern.to_lowercase());
    let plain = without_generics(&name);
    let last = plain.rsplit("::").next().unwrap_or(plain);
    if last == pattern || plain.ends_with(&format!("::{pattern}")) {
        0
    } else if last.starts_with(&pattern) {
        1
    } else if last.contains(&pattern) {
        2
    } else {
        3
    }
}

/// The error for a source that is not shown.
pub(in crate::session) fn unreadable(file: &SourceFile, error: &SourceError) -> Diagnostic {
    Diagnostic::new(format!("cannot read `{}`: {error}", file.path.display())).hint(error.hint())
}

/// The entry of a variable whose file is not found.
fn variable_info(variable: &Variable, ty: &str) -> VariableInfo {
    let name = match variable.shadow {
        0 | 1 => variable.name.clone(),
        shadow => format!("{}#{shadow}", variable.name),
    };
    VariableInfo {
        name,
        ty: ty.to_owned(),
        kind: kind_name(variable.kind),
        place: variable.place.to_string(),
        unavailable: wholly_unavailable(&variable.place),
    }
}

/// The word for a kind of variable.
const fn kind_name(kind: VariableKind) -> &'static str {
    match kind {
        VariableKind::Parameter => "parameter",
        VariableKind::Local => "local",
        VariableKind::Captured => "captured",
        VariableKind::Static => "static",
        VariableKind::Lost => "lost",
    }
}

/// Reason why no byte of a place can be read. `None` if some can.
fn wholly_unavailable(place: &Place) -> Option<String> {
    let mut reasons = place.pieces.iter().map(|piece| match &piece.source {
        PieceSource::Unavailable(why) => Some(why.to_string()),
        _ => None,
    });
    let first = reasons.next()??;
    reasons.all(|reason| reason.is_some()).then_some(first)
}

fn no_such_file(file: &SourceFile) -> Diagnostic {
    Diagnostic::new(format!(
        "no debug information names `{}`",
        file.path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fit_of_the_last_component_comes_before_other_parts() {
        let mut names = [
            "<alloc::collections::btree::node::Handle<K, V>>::deref",
            "orders::handle::parse",
            "orders::router::rehandle",
            "orders::router::handle_request",
            "orders::handle",
        ];
        names.sort_by_key(|name| fit(name, "handle"));
        assert_eq!(
            names[..3],
            [
                "orders::handle",
                "orders::router::handle_request",
                "orders::router::rehandle"
            ]
        );
        assert_eq!(fit("orders::router::handle<u8>", "router::handle"), 0);
    }
}
