//! The search for all code objects of a process.

use std::rc::Rc;

use super::identity::CodeIdentity;
use super::lines::line_table;
use super::sites::{CodeSite, CodeSiteKind, sites};
use crate::heap::{Heap, Read, TypeInfo};
use crate::interpreter::Interpreter;
use crate::limits::{CODE_OBJECTS, CONSTANTS, DICT_SEARCH, GC_OBJECTS, HEAP_READS, MODULE_OBJECTS};
use crate::memory::{CachedMemory, Numbers as _, TargetMemory};
use crate::native::Native;
use crate::threads::{frames, threads};

/// A code object: a function, a class body, a module or a comprehension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeObject {
    /// Its address.
    pub address: u64,
    /// `co_filename`.
    pub file: Rc<str>,
    /// `co_qualname`, or `co_name` before 3.11.
    pub name: String,
    /// `co_firstlineno`.
    pub first_line: u32,
    /// Address of the dict with its global variables. Zero if no function and no frame of it was
    /// found.
    pub globals: u64,
    /// Its identity.
    pub identity: CodeIdentity,
}

/// All code objects that were found in a process at one time.
#[derive(Clone, Debug, Default)]
pub struct CodeIndex {
    /// The code objects, by file and line.
    pub codes: Vec<CodeObject>,
    /// Set if the search has seen all lists to their end, within the limits.
    pub is_complete: bool,
    /// Objects of the garbage collector's lists that were looked at.
    pub objects: usize,
}

/// Looks at lists again that were changed while they were read.
const TRIES: usize = 5;
/// Size of the collector's header before an object.
const COLLECTOR_HEADER: u64 = 16;
/// Bits of a link of the collector's lists that are flags.
const LINK_FLAGS: u64 = 3;

struct CodeSearch<'a, 'm> {
    heap: &'a Heap<'m>,
    function_type: u64,
    code_type: u64,
    /// The code objects, with their global variables.
    seen: foldhash::HashMap<u64, u64>,
    codes: Vec<u64>,
    is_complete: bool,
    objects: usize,
}

impl CodeIndex {
    /// Searches a process.
    ///
    /// The process runs on meanwhile: code objects that are made or freed during the search may or
    /// may not be found, and a code object that was found may be gone. Its identity tells.
    #[must_use]
    pub fn search(memory: &dyn TargetMemory, python: &Interpreter) -> Self {
        Self::search_with_reads(memory, python, HEAP_READS)
    }

    /// As [`Self::search`], with another number of reads after which the search ends.
    #[must_use]
    pub fn search_with_reads(memory: &dyn TargetMemory, python: &Interpreter, reads: u64) -> Self {
        let cache = CachedMemory::new(memory);
        let heap = Heap::with_reads(&cache, python, reads);
        let mut search = CodeSearch {
            heap: &heap,
            function_type: python.type_of(Native::Function).unwrap_or(0),
            code_type: python.type_of(Native::Code).unwrap_or(0),
            seen: foldhash::HashMap::default(),
            codes: Vec::new(),
            is_complete: true,
            objects: 0,
        };
        search.frames();
        for head in &python.collector {
            search.list(memory, *head);
        }
        search.modules();
        search.index()
    }

    /// Code objects of files whose path ends with these components.
    pub fn in_file<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a CodeObject> {
        self.codes
            .iter()
            .filter(move |code| is_path_of(&code.file, path))
    }

    /// Paths of all files.
    #[must_use]
    pub fn files(&self) -> Vec<Rc<str>> {
        let mut files: Vec<Rc<str>> = self
            .codes
            .iter()
            .map(|code| Rc::clone(&code.file))
            .collect();
        files.dedup();
        files
    }

    /// The sites of a line in files whose path ends with these components, and the nearest lines
    /// that have some.
    #[must_use]
    pub fn line(&self, heap: &Heap<'_>, path: &str, line: u32) -> LineSites {
        let mut found = LineSites::default();
        for code in self.in_file(path) {
            found.has_file = true;
            // A code object that is gone has no lines.
            let Ok(all) = sites(heap, code.address) else {
                continue;
            };
            for (other, sites) in all {
                if other == line {
                    found.sites.extend(sites);
                } else if other < line {
                    found.before = found.before.max(Some(other));
                } else if found.after.is_none_or(|after| other < after) {
                    found.after = Some(other);
                }
            }
        }
        found
            .sites
            .sort_by_key(|site| (site.kind, site.code, site.offset));
        found
    }

    /// Lines of a file that have sites.
    #[must_use]
    pub fn lines(&self, heap: &Heap<'_>, path: &str) -> Vec<u32> {
        let mut lines = std::collections::BTreeSet::new();
        for code in self.in_file(path) {
            if let Ok(table) = line_table(heap, code.address) {
                lines.extend(table.iter().filter_map(|entry| entry.line));
            }
        }
        lines.into_iter().filter(|line| *line > 0).collect()
    }
}

/// The sites of a line.
#[derive(Clone, Debug, Default)]
pub struct LineSites {
    /// Its sites. None if the line has no code.
    pub sites: Vec<CodeSite>,
    /// The nearest line before it that has code.
    pub before: Option<u32>,
    /// The nearest line behind it that has code.
    pub after: Option<u32>,
    /// Set if any code of this file is known.
    pub has_file: bool,
}

impl LineSites {
    /// The sites at which the line is reached or, if there are none, its function begins.
    ///
    /// The line of a `def` has both: the statement runs in the enclosing code, often only once.
    #[must_use]
    pub fn of_kind(&self, kind: CodeSiteKind) -> Vec<&CodeSite> {
        self.sites.iter().filter(|site| site.kind == kind).collect()
    }
}

/// Returns true if the last components of a path are these.
fn is_path_of(file: &str, path: &str) -> bool {
    let path = path.strip_prefix("./").unwrap_or(path);
    file.strip_suffix(path).is_some_and(|rest| {
        rest.is_empty() || rest.ends_with('/') || path.starts_with('/') && rest.is_empty()
    }) && !path.is_empty()
}

impl CodeSearch<'_, '_> {
    /// Adds a code object and those in its constants, which have the same global variables.
    fn add(&mut self, code: u64, globals: u64) {
        let mut work = vec![code];
        while let Some(code) = work.pop() {
            if self.codes.len() >= CODE_OBJECTS {
                self.is_complete = false;
                return;
            }
            if self.heap.type_address(code) != Ok(self.code_type) {
                continue;
            }
            match self.seen.get_mut(&code) {
                // A function may be found after the code that it is in.
                Some(known) if *known != 0 || globals == 0 => continue,
                Some(known) => *known = globals,
                None => {
                    self.seen.insert(code, globals);
                    self.codes.push(code);
                }
            }
            let constants = self.heap.offsets().code_consts;
            let constants = self.heap.pointer(code, constants);
            let constants = constants.and_then(|tuple| self.heap.tuple(tuple, CONSTANTS));
            for constant in constants.map(|found| found.items).unwrap_or_default() {
                if self.heap.type_address(constant) == Ok(self.code_type) {
                    work.push(constant);
                }
            }
        }
    }

    /// Adds the code of a function.
    fn function(&mut self, function: u64) {
        let offsets = self.heap.offsets();
        let globals = self
            .heap
            .word(function.wrapping_add(offsets.function_globals));
        if let Ok(code) = self.heap.pointer(function, offsets.function_code) {
            self.add(code, globals.unwrap_or(0));
        }
    }

    /// Adds what runs.
    fn frames(&mut self) {
        let (memory, python) = (self.heap.memory(), self.heap.python());
        for thread in threads(memory, python) {
            for frame in frames(memory, python, thread.state) {
                let globals = frame.frame.wrapping_add(self.heap.offsets().frame_globals);
                self.add(frame.code, self.heap.word(globals).unwrap_or(0));
            }
        }
    }

    /// Adds the functions of a list of the collector.
    fn list(&mut self, memory: &dyn TargetMemory, head: u64) {
        for attempt in 0..TRIES {
            let reached_end = if attempt == 0 {
                self.walk(self.heap.memory(), head)
            } else {
                // The blocks of the first attempt are from different moments.
                self.walk(&CachedMemory::new(memory), head)
            };
            if reached_end {
                return;
            }
        }
        self.is_complete = false;
    }

    /// Walks along a list. Returns true if its end was reached.
    fn walk(&mut self, memory: &dyn TargetMemory, head: u64) -> bool {
        let next = |node: u64| Some(memory.word(node).ok()? & !LINK_FLAGS);
        let Some(mut node) = next(head) else {
            return false;
        };
        // A list that was changed meanwhile may have become a circle without its head.
        let (mut landmark, mut steps, mut lap) = (head, 0usize, 1usize);
        while node != head {
            if node == 0 || node == landmark || self.objects >= GC_OBJECTS {
                return false;
            }
            self.objects += 1;
            let Ok([link, _, _, ty]) = memory.array::<32>(node).map(four_words) else {
                return false;
            };
            if ty == self.function_type {
                self.function(node.wrapping_add(COLLECTOR_HEADER));
            }
            steps += 1;
            if steps == lap {
                (landmark, steps, lap) = (node, 0, lap.saturating_mul(2));
            }
            node = link & !LINK_FLAGS;
        }
        true
    }

    /// Adds the functions of modules and of their classes.
    fn modules(&mut self) {
        let heap = self.heap;
        let mut seen = foldhash::HashSet::default();
        let mut work = Vec::new();
        for state in &heap.python().states {
            let modules = state.wrapping_add(heap.offsets().interpreter_modules);
            let modules = heap
                .word(modules)
                .and_then(|dict| heap.dict(dict, DICT_SEARCH));
            let modules = modules.map(|found| found.entries).unwrap_or_default();
            work.extend(modules.into_iter().map(|(_, module)| module));
        }
        while let Some(object) = work.pop() {
            if seen.len() >= MODULE_OBJECTS {
                self.is_complete = false;
                return;
            }
            let Ok(ty) = heap.type_address(object) else {
                continue;
            };
            match heap.python().known.native(ty) {
                Some(Native::Function) => self.function(object),
                Some(Native::Code) => self.add(object, 0),
                Some(Native::Module) if seen.insert(object) => {
                    let dict = heap.pointer(object, heap.offsets().module_dict);
                    work.extend(dict.map(|dict| values(heap, dict)).unwrap_or_default());
                }
                // The callable is the first field of both, and of a property the getter.
                Some(Native::StaticMethod | Native::ClassMethod | Native::Property) => {
                    work.extend(heap.pointer(object, crate::heap::OB_HEAD));
                }
                Some(Native::Int | Native::Str | Native::Float | Native::Builtin) => {}
                _ => {
                    let class = heap.type_at(ty).ok().filter(is_metaclass);
                    if class.is_some() && seen.insert(object) {
                        let dict = heap.pointer(object, heap.offsets().type_dict);
                        work.extend(dict.map(|dict| values(heap, dict)).unwrap_or_default());
                    }
                }
            }
        }
    }

    fn index(self) -> CodeIndex {
        let mut files: foldhash::HashMap<u64, Rc<str>> = foldhash::HashMap::default();
        let mut codes: Vec<CodeObject> = self
            .codes
            .iter()
            .filter_map(|code| {
                let globals = self.seen.get(code).copied().unwrap_or(0);
                describe(self.heap, *code, globals, &mut files).ok()
            })
            .collect();
        codes.sort_by(|a, b| (&a.file, a.first_line).cmp(&(&b.file, b.first_line)));
        CodeIndex {
            codes,
            is_complete: self.is_complete && !self.heap.is_exhausted(),
            objects: self.objects,
        }
    }
}

fn values(heap: &Heap<'_>, dict: u64) -> Vec<u64> {
    let entries = heap.dict(dict, DICT_SEARCH).unwrap_or_default().entries;
    entries.into_iter().map(|(_, value)| value).collect()
}

fn is_metaclass(ty: &Rc<TypeInfo>) -> bool {
    ty.native == Native::Type
}

fn four_words(bytes: [u8; 32]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|at| words.get(at).map_or(0, |word| u64::from_le_bytes(*word)))
}

fn describe(
    heap: &Heap<'_>,
    code: u64,
    globals: u64,
    files: &mut foldhash::HashMap<u64, Rc<str>>,
) -> Read<CodeObject> {
    let offsets = heap.offsets();
    let file = heap.pointer(code, offsets.code_filename)?;
    let file = match files.get(&file) {
        Some(known) => Rc::clone(known),
        None => {
            let path: Rc<str> = heap.name(file)?.into();
            files.insert(file, Rc::clone(&path));
            path
        }
    };
    let name = offsets.code_qualname.unwrap_or(offsets.code_name);
    Ok(CodeObject {
        address: code,
        file,
        name: heap.name(heap.pointer(code, name)?)?,
        first_line: heap.number(code, offsets.code_first_line)?,
        globals,
        identity: CodeIdentity::of(heap, code)?,
    })
}
