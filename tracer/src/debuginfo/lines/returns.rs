//! The places at which functions return: their `ret` instructions, and the jumps that leave them.
//!
//! All instructions of a function's ranges are read. If the function could be left without notice
//! (by an indirect jump, or through bytes that are not code), its returns are unknown. That is an
//! error, because observing only some of them would be wrong.

use rayon::prelude::*;

use super::line_starts::UnitSites;
use super::resolve::SiteError;
use crate::arch::{Flow, decode};
use crate::base::address::LinkAddr;
use crate::debuginfo::files::Files;
use crate::debuginfo::functions::unit_code::{CodeScope, ScopeKind};
use crate::debuginfo::model::site::{Exit, Site};
use crate::debuginfo::module::Module;

/// Bytes of one function that are searched.
const MAX_FUNCTION: u64 = 1 << 20;

/// The places at which a function is known to be left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownExits {
    /// The instructions, by address.
    pub exits: Vec<(LinkAddr, Exit)>,
    /// Why it may also be left elsewhere. `None` if these are all.
    pub unknown: Option<String>,
}

impl Module {
    /// Returns every place at which the functions whose path ends with `pattern` return.
    ///
    /// # Errors
    /// Fails if no function has that name, or if one of them could be left without notice.
    pub fn return_sites(&self, pattern: &str) -> Result<Vec<Site>, SiteError> {
        self.exits_or_entries(pattern, exits)
    }

    /// Returns the first instruction of each function whose path ends with `pattern`. There the
    /// return address is on top of the stack, as it is at the returns.
    ///
    /// # Errors
    /// Fails if no function with code of its own has that name.
    pub fn entry_sites(&self, pattern: &str) -> Result<Vec<Site>, SiteError> {
        self.exits_or_entries(pattern, |_, scope| {
            Ok(vec![(LinkAddr(scope.entry), Exit::Return)])
        })
        .map(|mut sites| {
            sites.iter_mut().for_each(|site| site.exit = None);
            sites
        })
    }

    /// Returns the entry of each function whose path ends with `pattern`, as a site for the
    /// kernel's return trampoline. The trampoline sees each return to the caller, including
    /// returns through tail calls and through jumps that are not understood.
    ///
    /// # Errors
    /// Fails if no function with code of its own has that name.
    pub fn trampoline_sites(&self, pattern: &str) -> Result<Vec<Site>, SiteError> {
        let mut sites = self.entry_sites(pattern)?;
        sites
            .iter_mut()
            .for_each(|site| site.exit = Some(Exit::Trampoline));
        Ok(sites)
    }

    /// Returns the instructions that are known to leave the function that begins at `entry`.
    ///
    /// # Errors
    /// Fails if its code cannot be read.
    pub fn known_exits_at(&self, entry: LinkAddr) -> Result<KnownExits, String> {
        let code = self
            .function_code_at(entry)
            .ok_or_else(|| "its code is not known".to_owned())?;
        let ranges: Vec<(u64, u64)> = code.ranges.iter().map(|(a, b)| (a.0, b.0)).collect();
        let mut unknown = None;
        let exits = walk_exits(
            &self.files,
            &ranges,
            |_| true,
            |why| {
                unknown.get_or_insert(why);
                Ok(())
            },
        )?;
        Ok(KnownExits { exits, unknown })
    }

    fn exits_or_entries(
        &self,
        pattern: &str,
        find: impl Fn(&Files, &CodeScope) -> Result<Vec<(LinkAddr, Exit)>, String> + Sync,
    ) -> Result<Vec<Site>, SiteError> {
        self.require_dwarf()?;
        let found: Vec<Vec<Site>> = self
            .functions_called(pattern)
            .par_iter()
            .map(|(concerned, functions)| self.places_of(concerned, functions, &find))
            .collect::<Result<_, SiteError>>()?;
        self.require_intact()?;
        let mut sites: Vec<Site> = found.into_iter().flatten().collect();
        sites.sort_by_key(|site| site.address);
        sites.dedup_by_key(|site| site.address);
        if !sites.is_empty() {
            return Ok(sites);
        }
        // The function never returns, has only inlined copies, which do not return, or does not
        // exist.
        match self.function_sites(pattern) {
            Ok(entries) => {
                let own = entries
                    .sites
                    .iter()
                    .any(|site| site.inlined_into.is_empty());
                let why = if own {
                    "it has no instruction that returns"
                } else {
                    "it has only inlined copies, which have no return of their own"
                };
                Err(SiteError::Returns {
                    name: pattern.to_owned(),
                    why: why.into(),
                })
            }
            Err(error) => Err(error),
        }
    }

    fn places_of(
        &self,
        concerned: &UnitSites,
        functions: &[u32],
        find: &(impl Fn(&Files, &CodeScope) -> Result<Vec<(LinkAddr, Exit)>, String> + Sync),
    ) -> Result<Vec<Site>, SiteError> {
        let mut sites = Vec::new();
        for &index in functions {
            let Some(scope) = concerned.code.scope(index) else {
                continue;
            };
            if scope.kind != ScopeKind::Function {
                continue;
            }
            let name = self
                .code()
                .function_name(&concerned.code, scope.origin)
                .name;
            let places = find(&self.files, scope).map_err(|why| SiteError::Returns {
                name: name.to_string(),
                why,
            })?;
            for (address, exit) in places {
                let Some(mut site) = concerned.site_at(self.code(), address) else {
                    continue;
                };
                // The function itself returns, even if the code was inlined from another one.
                site.function = name.to_string();
                site.inlined_into = Vec::new();
                site.exit = Some(exit);
                sites.push(site);
            }
        }
        Ok(sites)
    }
}

/// Returns the instructions that leave a function.
fn exits(files: &Files, scope: &CodeScope) -> Result<Vec<(LinkAddr, Exit)>, String> {
    // The ranges are all of the function's code, so an address outside of them is in another
    // function.
    exits_of(files, &scope.ranges, |_| true)
}

/// Returns the instructions that leave the function with its code in `ranges`. `is_function`
/// returns true if another function begins at an address outside.
pub(in crate::debuginfo) fn exits_of(
    files: &Files,
    ranges: &[(u64, u64)],
    is_function: impl Fn(u64) -> bool,
) -> Result<Vec<(LinkAddr, Exit)>, String> {
    walk_exits(files, ranges, is_function, Err)
}

/// Like [`exits_of`], and asks `elsewhere` about each instruction that may leave the function without notice.
fn walk_exits(
    files: &Files,
    ranges: &[(u64, u64)],
    is_function: impl Fn(u64) -> bool,
    mut elsewhere: impl FnMut(String) -> Result<(), String>,
) -> Result<Vec<(LinkAddr, Exit)>, String> {
    let inside = |address: u64| {
        let mut ranges = ranges.iter();
        ranges.any(|&(begin, end)| (begin..end).contains(&address))
    };
    let mut exits = Vec::new();
    for &(begin, end) in ranges {
        let length = end.saturating_sub(begin);
        if length > MAX_FUNCTION {
            return Err(format!(
                "it has {length} bytes; the limit is {MAX_FUNCTION}"
            ));
        }
        let bytes = files
            .initial_bytes(LinkAddr(begin), usize::try_from(length).unwrap_or(0))
            .filter(|bytes| bytes.len() as u64 == length)
            .ok_or_else(|| format!("its code at {begin:#x} is not in the file"))?;
        for instruction in decode(bytes, begin) {
            let address = instruction.address();
            if !instruction.is_valid() {
                return Err(format!("the bytes at {address:#x} are not code"));
            }
            match instruction.flow() {
                Flow::Return => exits.push((LinkAddr(address), Exit::Return)),
                Flow::Jump if !inside(instruction.target().unwrap_or(0)) => {
                    if !is_function(instruction.target().unwrap_or(0)) {
                        return Err(format!(
                            "the jump at {address:#x} leaves its symbol for code without a symbol, \
                             which may go on elsewhere"
                        ));
                    }
                    exits.push((LinkAddr(address), Exit::Jump));
                }
                Flow::ConditionalJump if !inside(instruction.target().unwrap_or(0)) => {
                    elsewhere(format!(
                        "the conditional jump at {address:#x} leaves it, but not every time"
                    ))?;
                }
                Flow::IndirectJump => {
                    elsewhere(format!(
                        "the jump at {address:#x} goes to an address in a register, maybe out of it"
                    ))?;
                }
                _ => {}
            }
        }
    }
    Ok(exits)
}
