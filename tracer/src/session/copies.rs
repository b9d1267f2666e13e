//! Where the code of a site is in the process: in each copy of its file that is mapped, or, where the
//! program has moved its text, in none.

use tracer_common::limits::MAX_COPIES;
use tracer_common::op::{ALU_CONST, CONST, JUMP_IF_CONST, Op};

use super::modules::{Modules, TargetModule};
use crate::address::{Bias, LinkAddr};
use crate::plan::Plan;

/// How far beside a module's mappings an address of it may be that a plan reaches it from.
const MARGIN: u64 = 16 << 20;

/// A plan for one copy of the site's file.
#[derive(Clone, Debug)]
pub(super) struct CopyPlan {
    /// Run address minus link address of the copy.
    pub(super) bias: Bias,
    pub(super) plan: Plan,
}

/// What is at the addresses where a module's code should be.
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
    pub(super) fn copies_with(&self, address: LinkAddr) -> Result<Vec<Bias>, String> {
        let debug = self.debug().map_err(|error| error.to_string())?;
        let mappings = &self.file.mappings;
        if mappings.is_empty() {
            // No process has it.
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
                "the code at {address} of `{name}` may not be executed any more: hits there cannot come"
            ),
            Instead::Other => format!(
                "no executable mapping of `{name}` has the code at {address} any more: the program has moved \
                 its text to memory of its own, or unmapped it, and hits there cannot be seen"
            ),
        }
    }

    /// Bytes of the file's code, and how many of them the process has mapped to execute them, of
    /// the copy that has most. `None` where the file cannot be read.
    pub(super) fn mapped_code(&self) -> Option<MappedCode> {
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

/// How much of a file's code a process has mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MappedCode {
    pub(super) total: u64,
    pub(super) mapped: u64,
}

/// Whether a plan knows where modules are: it has a number that may be an address of one.
pub(super) fn is_bound(plan: &Plan, modules: &Modules) -> bool {
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
    let numbers = |op: &&Op| matches!(op.code, CONST | ALU_CONST | JUMP_IF_CONST);
    let is_address = |value: u64| {
        ranges
            .iter()
            .any(|(start, end)| (*start..*end).contains(&value))
    };
    plan.ops
        .iter()
        .filter(numbers)
        .any(|op| is_address(op.wide()))
}

/// The copies beside the first that a site has plans for, and what to say where there are more.
pub(super) fn others(copies: &[Bias]) -> (&[Bias], Option<String>) {
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
