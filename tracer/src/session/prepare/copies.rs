//! The addresses of a site's code in the process: one in each mapped copy of its file. There are
//! none where the program has moved its text.

use tracer_common::limits::MAX_COPIES;

use crate::base::address::{Bias, LinkAddr};
use crate::plan::Plan;
use crate::session::sites::modules::{Modules, TargetModule};

/// Distance from a module's mappings within which a plan's number counts as an address of it.
const MARGIN: u64 = 16 << 20;

/// A plan for one copy of the site's file.
#[derive(Clone, Debug)]
pub(in crate::session) struct CopyPlan {
    /// Run address minus link address of the copy.
    pub(in crate::session) bias: Bias,
    pub(in crate::session) plan: Plan,
}

/// The contents of the addresses where a module's code should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instead {
    /// The file, without permission to execute it.
    NotExecutable,
    /// Other memory, or none.
    Other,
}

impl TargetModule {
    /// The copies of the file that have the code at `address`: run address minus link address of each.
    ///
    /// # Errors
    /// Why there is none.
    pub(in crate::session) fn copies_with(&self, address: LinkAddr) -> Result<Vec<Bias>, String> {
        let debug = self.debug().map_err(|error| error.to_string())?;
        let mappings = &self.file.mappings;
        if mappings.is_empty() {
            // No process has the module mapped.
            return Ok(vec![Bias(0)]);
        }
        let offset = debug.file_offset(address);
        let offset = offset.ok_or_else(|| format!("{address} is in no segment of the file"))?;
        let mut copies = Vec::new();
        let mut instead = Instead::Other;
        for mapping in mappings {
            let Some(distance) = offset.0.checked_sub(mapping.offset) else {
                continue;
            };
            if distance >= mapping.end - mapping.start {
                continue;
            }
            if !mapping.execute {
                // A segment without code may begin in the same page of the file.
                let link = address.0.wrapping_sub(distance);
                let bias = Bias(mapping.start.wrapping_sub(link));
                if self.biases().contains(&bias) || self.biases().is_empty() {
                    instead = Instead::NotExecutable;
                }
                continue;
            }
            let run = mapping.start + distance;
            copies.push(Bias(run.wrapping_sub(address.0)));
        }
        if copies.is_empty() {
            return Err(self.moved(address, instead));
        }
        Ok(copies)
    }

    fn moved(&self, address: LinkAddr, instead: Instead) -> String {
        let name = &self.file.name;
        match instead {
            Instead::NotExecutable => format!(
                "the code at {address} of `{name}` is no longer executable: it cannot be hit"
            ),
            Instead::Other => format!(
                "the code at {address} of `{name}` is in no executable mapping any more: the program moved \
                 or unmapped it, so its hits cannot be seen"
            ),
        }
    }

    /// Bytes of the file's code, and how many of them the process has mapped to execute them, of
    /// the copy that has most. `None` where the file cannot be read.
    pub(in crate::session) fn mapped_code(&self) -> Option<MappedCode> {
        let debug = self.debug().ok()?;
        if self.file.mappings.is_empty() {
            return None;
        }
        let segments = debug
            .segments()
            .iter()
            .filter(|segment| segment.executable());
        let segments: Vec<(u64, u64)> = segments
            .map(|segment| (segment.offset.0, segment.file_size))
            .collect();
        let total = segments.iter().map(|(_, size)| size).sum();
        let executable = self.file.mappings.iter().filter(|mapping| mapping.execute);
        let mut ranges: Vec<(u64, u64)> = executable
            .map(|mapping| {
                (
                    mapping.offset,
                    mapping.offset + (mapping.end - mapping.start),
                )
            })
            .collect();
        ranges.sort_unstable();
        let covered = |&(start, size): &(u64, u64)| {
            let (end, mut at, mut covered) = (start.saturating_add(size), start, 0);
            for &(first, last) in &ranges {
                let (first, last) = (first.max(at), last.min(end));
                if first < last {
                    covered += last - first;
                    at = last;
                }
            }
            covered
        };
        let mapped = segments.iter().map(covered).sum();
        Some(MappedCode { total, mapped })
    }
}

/// The part of a file's code that a process has mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct MappedCode {
    pub(in crate::session) total: u64,
    pub(in crate::session) mapped: u64,
}

/// Returns true if a plan depends on module addresses: one of its numbers may be such an address.
pub(in crate::session) fn is_bound(plan: &Plan, modules: &Modules) -> bool {
    let ranges: Vec<(u64, u64)> = modules
        .all()
        .iter()
        .flat_map(|module| &module.file.mappings)
        .map(|mapping| {
            (
                mapping.start.saturating_sub(MARGIN),
                mapping.end.saturating_add(MARGIN),
            )
        })
        .collect();
    let is_address = |value: u64| {
        ranges
            .iter()
            .any(|(start, end)| (*start..*end).contains(&value))
    };
    let constants = &plan.program.constants;
    constants.iter().any(|constant| is_address(constant.value))
}

/// The copies after the first that a site has plans for, and a note if there are more.
pub(in crate::session) fn others(copies: &[Bias]) -> (&[Bias], Option<String>) {
    let others = copies.get(1..).unwrap_or_default();
    let most = usize::try_from(MAX_COPIES).unwrap_or(usize::MAX);
    match others.get(..most) {
        Some(first) if first.len() < others.len() => {
            let note = format!(
                "the module is mapped {} times: hits in more than {} copies are lost",
                copies.len(),
                most + 1
            );
            (first, Some(note))
        }
        _ => (others, None),
    }
}
