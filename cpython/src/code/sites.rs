//! The places at which a line begins.
//!
//! A watchpoint on the argument byte of a code unit fires once each time that the unit runs: to
//! dispatch the instruction, the interpreter reads this byte, and nothing else of it changes or
//! reads it. So a line has sites: each pass over the line runs exactly one of them.
//!
//! The units are those that can be entered from another line, from an exception, or by a jump
//! backwards. That is when `sys.settrace` reports the line as well. If a site is followed by
//! another one in straight line, the second one stands for both: `for` is entered at its first
//! instruction once, and at `FOR_ITER` for each element.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

use super::identity::CodeIdentity;
use super::instruction_bytes;
use super::lines::{LineEntry, line_table};
use super::ops::{Handler, OpClass, PyInstruction, decode, handlers};
use crate::heap::{Heap, Read};
use crate::limits::FLOW_STEPS;

/// A code unit at which a pass over a line begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeSite {
    /// Address of the code object.
    pub code: u64,
    /// Its identity: compare it at each hit.
    pub identity: CodeIdentity,
    /// The line.
    pub line: u32,
    /// Offset of the code unit in the instructions, in bytes.
    pub offset: usize,
    /// Address of the code unit.
    pub unit: u64,
    /// The kind of pass that begins here.
    pub kind: CodeSiteKind,
}

impl CodeSite {
    /// Address of the argument byte: the one byte to watch.
    #[must_use]
    pub fn watch_address(&self) -> u64 {
        self.unit.wrapping_add(1)
    }
}

/// A kind of site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodeSiteKind {
    /// The line is reached.
    Line,
    /// The function begins: the line is that of its `def`, which has no other instructions.
    /// `sys.settrace` reports a call instead of a line.
    Entry,
}

/// The instructions of a code object with their lines.
struct CodeFlow {
    minor: u8,
    instructions: Vec<(PyInstruction, Option<u32>)>,
    /// Steps that are left.
    steps: Cell<usize>,
    /// The ways into each instruction.
    predecessors: Vec<Vec<Origin>>,
}

/// The way into an instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// From the instruction before.
    Falls(usize),
    /// By a jump of this instruction.
    Jumps(usize),
    /// By an exception of this instruction.
    Raises(usize),
    /// From the caller.
    Outside,
}

/// The sites of all lines of a code object, by line.
///
/// # Errors
///
/// [`crate::heap::PyMissing`] if the code object cannot be read or is damaged.
pub fn sites(heap: &Heap<'_>, code: u64) -> Read<BTreeMap<u32, Vec<CodeSite>>> {
    let (start, _) = instruction_bytes(heap, code)?;
    let identity = CodeIdentity::of(heap, code)?;
    let table = line_table(heap, code)?;
    let minor = heap.python().version.minor;
    let instructions = decode(heap, code)?;
    let handlers = handlers(heap, code, &instructions)?;
    let flow = CodeFlow::new(minor, instructions, &table, &handlers);
    let mut found: BTreeMap<u32, Vec<CodeSite>> = BTreeMap::new();
    for (line, offset, kind) in flow.starts() {
        found.entry(line).or_default().push(CodeSite {
            code,
            identity: identity.clone(),
            line,
            offset,
            unit: start.wrapping_add(offset as u64),
            kind,
        });
    }
    Ok(found)
}

impl CodeFlow {
    fn new(minor: u8, all: Vec<PyInstruction>, table: &[LineEntry], handlers: &[Handler]) -> Self {
        let mut entries = table.iter().peekable();
        let instructions: Vec<(PyInstruction, Option<u32>)> = all
            .into_iter()
            .map(|instruction| {
                while entries
                    .next_if(|entry| entry.end <= instruction.start)
                    .is_some()
                {}
                let entry = entries.peek();
                let entry = entry.filter(|entry| entry.start <= instruction.start);
                (instruction, entry.and_then(|entry| entry.line))
            })
            .collect();
        let index_of = |offset: usize| {
            instructions
                .binary_search_by_key(&offset, |(instruction, _)| instruction.start)
                .ok()
        };
        let mut predecessors = vec![Vec::new(); instructions.len()];
        let mut add = |index: Option<usize>, origin: Origin| {
            if let Some(origins) = index.and_then(|index| predecessors.get_mut(index)) {
                origins.push(origin);
            }
        };
        add(Some(0), Origin::Outside);
        let mut steps = FLOW_STEPS;
        for handler in handlers {
            let target = index_of(handler.target);
            let from = instructions.partition_point(|(one, _)| one.start < handler.start);
            let to = instructions.partition_point(|(one, _)| one.start < handler.end);
            // One instruction of each line is enough. Those without a line only prepare.
            let mut line = None;
            steps = steps.saturating_sub(to.saturating_sub(from));
            if steps == 0 {
                break;
            }
            for (index, (_, of)) in instructions.iter().enumerate().take(to).skip(from) {
                if of.is_some() && *of != line {
                    add(target, Origin::Raises(index));
                    line = *of;
                }
            }
        }
        let mut thrown = false;
        for (index, (instruction, _)) in instructions.iter().enumerate() {
            let class = instruction.class;
            let was_thrown = std::mem::replace(&mut thrown, class == OpClass::Throw);
            if !matches!(class, OpClass::Jump | OpClass::Wait | OpClass::End) {
                add(Some(index + 1), Origin::Falls(index));
            }
            let origin = match class {
                // Waiting is a part of the pass.
                OpClass::Wait => Origin::Falls(index),
                OpClass::Jump if was_thrown => Origin::Falls(index),
                _ => Origin::Jumps(index),
            };
            if let Some(target) = instruction.target
                && class != OpClass::Setup
            {
                add(index_of(target), origin);
            }
        }
        Self {
            minor,
            steps: Cell::new(steps),
            instructions,
            predecessors,
        }
    }

    fn line(&self, index: usize) -> Option<u32> {
        self.instructions.get(index).and_then(|(_, line)| *line)
    }

    /// Returns true if a pass over the line can begin at an instruction of it.
    fn is_entered(&self, index: usize, line: u32) -> bool {
        // Instructions without a line belong to the line before them, as for sys.settrace.
        let mut seen = vec![index];
        let mut work = vec![index];
        while let Some(at) = work.pop() {
            for origin in self.predecessors.get(at).into_iter().flatten() {
                let Some(left) = self.steps.get().checked_sub(1) else {
                    return false;
                };
                self.steps.set(left);
                let from = match origin {
                    Origin::Outside => return true,
                    // A loop within the line.
                    Origin::Jumps(from) if *from >= at => return true,
                    Origin::Jumps(from) | Origin::Falls(from) | Origin::Raises(from) => *from,
                };
                match self.line(from) {
                    Some(other) if other != line => return true,
                    Some(_) => {}
                    None if seen.len() < 64 && !seen.contains(&from) => {
                        seen.push(from);
                        work.push(from);
                    }
                    None => {}
                }
            }
        }
        false
    }

    /// Line, offset and kind of all sites.
    fn starts(&self) -> Vec<(u32, usize, CodeSiteKind)> {
        let mut starts = Vec::new();
        let mut index = 0;
        while index < self.instructions.len() {
            let Some(line) = self.line(index) else {
                index += 1;
                continue;
            };
            let mut end = index + 1;
            while end < self.instructions.len() && self.line(end) == Some(line) {
                end += 1;
            }
            self.starts_of_run(&(index..end), line, &mut starts);
            index = end;
        }
        starts
    }

    /// The sites in a run of instructions of the same line.
    fn starts_of_run(
        &self,
        range: &Range<usize>,
        line: u32,
        starts: &mut Vec<(u32, usize, CodeSiteKind)>,
    ) {
        let first = range.start;
        let mut entered: Option<usize> = None;
        let run = self.instructions.get(range.clone()).unwrap_or_default();
        let resume = run.iter().position(|(instruction, _)| {
            instruction.class == OpClass::Resume && instruction.argument & 3 == 0
        });
        let is_entry =
            first == self.first_with_line() && resume.is_some_and(|at| at + 1 == run.len());
        if is_entry && let Some((resume, _)) = resume.and_then(|at| run.get(at)) {
            starts.push((line, resume.start, CodeSiteKind::Entry));
            return;
        }
        for (at, (instruction, _)) in run.iter().enumerate() {
            let may_begin = self.minor >= 10 || at == 0 || self.may_begin_within(first + at);
            if may_begin && self.is_entered(first + at, line) {
                // Earlier entries of the same straight line pass here as well.
                entered = Some(instruction.start);
            }
            let is_straight = matches!(
                instruction.class,
                OpClass::Plain
                    | OpClass::Resume
                    | OpClass::Throw
                    | OpClass::Setup
                    | OpClass::PopBlock
            );
            let is_last = at + 1 == run.len();
            if (!is_straight || is_last)
                && let Some(start) = entered.take()
            {
                starts.push((line, start, CodeSiteKind::Line));
            }
        }
    }

    /// Returns true for the target of a jump backwards and for a handler.
    ///
    /// Line tables up to 3.9 are coarse: cleanup is on the line before it. Other jumps into the
    /// middle of a line are no passes over it, and `sys.settrace` does not report them.
    fn may_begin_within(&self, index: usize) -> bool {
        let mut origins = self.predecessors.get(index).into_iter().flatten();
        origins.any(|origin| match origin {
            Origin::Jumps(from) => *from >= index,
            Origin::Raises(_) => self.minor >= 9,
            _ => false,
        })
    }

    /// The first instruction that has a line.
    fn first_with_line(&self) -> usize {
        let first = self
            .instructions
            .iter()
            .position(|(_, line)| line.is_some());
        first.unwrap_or(0)
    }
}
