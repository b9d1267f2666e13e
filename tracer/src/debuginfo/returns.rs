//! Where functions return: their `ret` instructions, and the jumps by which they leave.
//!
//! All instructions of a function's ranges are read. Where one of them could
//! leave unseen (an indirect jump, bytes that are no code) the returns are not
//! known, and that is said rather than some of them observed.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};
use rayon::prelude::*;

use super::code::{Scope, ScopeKind, function_name};
use super::module::Module;
use super::resolve::SiteError;
use super::site::{Exit, Site};
use super::starts::Concerned;
use crate::address::LinkAddr;

/// Bytes of one function that are looked through.
const MAX_FUNCTION: u64 = 1 << 20;

impl Module {
    /// Every place at which the functions return whose path ends with `pattern`.
    ///
    /// # Errors
    /// No function has that name, or one of them could leave unseen.
    pub fn return_sites(&self, pattern: &str) -> Result<Vec<Site>, SiteError> {
        self.exits_or_entries(pattern, exits)
    }

    /// The first instruction of each function whose path ends with `pattern`: where its return
    /// address is on top of the stack, as it is at its returns.
    ///
    /// # Errors
    /// No function has that name and code of its own.
    pub fn entry_sites(&self, pattern: &str) -> Result<Vec<Site>, SiteError> {
        self.exits_or_entries(pattern, |_, scope| {
            Ok(vec![(LinkAddr(scope.entry), Exit::Return)])
        })
        .map(|mut sites| {
            sites.iter_mut().for_each(|site| site.exit = None);
            sites
        })
    }

    /// The same as a place to wait for each return to the caller from, by the kernel's trampoline:
    /// whatever way the function takes to there, tail calls and jumps that are not understood included.
    ///
    /// # Errors
    /// No function has that name and code of its own.
    pub fn trampoline_sites(&self, pattern: &str) -> Result<Vec<Site>, SiteError> {
        let mut sites = self.entry_sites(pattern)?;
        sites
            .iter_mut()
            .for_each(|site| site.exit = Some(Exit::Trampoline));
        Ok(sites)
    }

    fn exits_or_entries(
        &self,
        pattern: &str,
        find: impl Fn(&Self, &Scope) -> Result<Vec<(LinkAddr, Exit)>, String> + Sync,
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
        // It never returns, or has inlined copies, which return nowhere, or there is none.
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
        concerned: &Concerned,
        functions: &[u32],
        find: &(impl Fn(&Self, &Scope) -> Result<Vec<(LinkAddr, Exit)>, String> + Sync),
    ) -> Result<Vec<Site>, SiteError> {
        let mut sites = Vec::new();
        for &index in functions {
            let Some(scope) = concerned.code.scope(index) else {
                continue;
            };
            if scope.kind != ScopeKind::Function {
                continue;
            }
            let name = function_name(self, &concerned.code, scope.origin).name;
            let places = find(self, scope).map_err(|why| SiteError::Returns {
                name: name.to_string(),
                why,
            })?;
            for (address, exit) in places {
                let Some(mut site) = concerned.site_at(self, address) else {
                    continue;
                };
                // Whatever was inlined there: it is the function that returns.
                site.function = name.to_string();
                site.inlined_into = Vec::new();
                site.exit = Some(exit);
                sites.push(site);
            }
        }
        Ok(sites)
    }
}

/// The instructions by which a function is left.
fn exits(module: &Module, scope: &Scope) -> Result<Vec<(LinkAddr, Exit)>, String> {
    // The ranges are all of its code: what is outside is another function.
    exits_of(module, &scope.ranges, |_| true)
}

/// The instructions by which a function is left that has its code in `ranges`; `is_function` says
/// whether another one begins at an address outside.
pub(super) fn exits_of(
    module: &Module,
    ranges: &[(u64, u64)],
    is_function: impl Fn(u64) -> bool,
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
                "it has {length} bytes, at most {MAX_FUNCTION} are looked through"
            ));
        }
        let bytes = module
            .initial_bytes(LinkAddr(begin), usize::try_from(length).unwrap_or(0))
            .filter(|bytes| bytes.len() as u64 == length)
            .ok_or_else(|| format!("its code at {begin:#x} is not in the file"))?;
        let mut decoder = Decoder::with_ip(64, bytes, begin, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            let address = instruction.ip();
            if instruction.is_invalid() {
                return Err(format!("the bytes at {address:#x} are not code"));
            }
            match instruction.flow_control() {
                FlowControl::Return => exits.push((LinkAddr(address), Exit::Return)),
                FlowControl::UnconditionalBranch if !inside(instruction.near_branch_target()) => {
                    if !is_function(instruction.near_branch_target()) {
                        return Err(format!(
                            "the jump at {address:#x} leaves its symbol, and no other begins there: \
                             it may go on elsewhere"
                        ));
                    }
                    exits.push((LinkAddr(address), Exit::Jump));
                }
                FlowControl::ConditionalBranch if !inside(instruction.near_branch_target()) => {
                    return Err(format!(
                        "the conditional jump at {address:#x} leaves it, and not every time"
                    ));
                }
                FlowControl::IndirectBranch => {
                    return Err(format!(
                        "the jump at {address:#x} goes where a register says, maybe out of it"
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(exits)
}
