//! Names for the frames of a captured stack: functions with their inlined
//! copies, files and lines.

use std::sync::Arc;

use super::callers;
use super::modules::Modules;
use crate::address::RunAddr;
use crate::debuginfo::names::demangle;
use crate::debuginfo::site::{Site, SourceLine};
use crate::event::{Frame, Stack};
use crate::redact::Redactor;
use crate::stack::{CapturedStack, Placed, RawFrame, walk};

/// The call stack of a hit: at most `depth` frames that have code of their own, each with the
/// inlined copies in it; with the callers' variables, as redacted, when `variables` is set.
///
/// `(function, outside)` are those of the hit's site: the copies that it is not in are no part of
/// the stack.
pub(super) fn stack(
    modules: &Modules,
    captured: &CapturedStack,
    (function, outside): (&str, usize),
    depth: u32,
    variables: Option<&Redactor>,
) -> Stack {
    let depth = usize::try_from(depth).unwrap_or(usize::MAX);
    let walk = walk(captured, depth, &|address| modules.placed(address));
    Stack {
        frames: walk
            .frames
            .iter()
            .enumerate()
            .flat_map(|(index, raw)| {
                let mut frames = named(raw);
                // The site's function's are the event's own.
                if let Some(redactor) = variables {
                    let values = callers::values(raw, captured, redactor);
                    let own = if index == 0 { outside + 1 } else { 0 };
                    for (frame, values) in frames.iter_mut().zip(values).skip(own) {
                        frame.values = values;
                    }
                }
                let at_site = |frame: &Frame| frame.function.as_deref() == Some(function);
                if index == 0 && outside > 0 && frames.get(outside).is_some_and(at_site) {
                    frames.drain(..outside);
                }
                frames
            })
            .collect(),
        stopped: walk.stopped,
    }
}

impl Modules {
    /// The module that has code at a run address.
    fn placed(&self, address: RunAddr) -> Option<Placed> {
        let module = self.all().iter().find(|module| {
            let mut mappings = module.file.mappings.iter();
            mappings.any(|mapping| (mapping.start..mapping.end).contains(&address.0))
        })?;
        Some(Placed {
            module: Arc::clone(module.debug().ok()?),
            bias: module.bias()?,
        })
    }
}

/// A frame and the inlined copies in it, innermost first.
fn named(raw: &RawFrame) -> Vec<Frame> {
    let Some(placed) = &raw.placed else {
        return vec![unnamed(raw)];
    };
    match placed.module.site_at(raw.lookup) {
        Some(site) => of_site(raw, &site),
        None => match placed.module.symbol_at(raw.lookup) {
            Some(symbol) => vec![Frame {
                function: Some(demangle(symbol.name)),
                ..unnamed(raw)
            }],
            None => vec![unnamed(raw)],
        },
    }
}

fn unnamed(raw: &RawFrame) -> Frame {
    Frame {
        function: None,
        file: None,
        line: None,
        inlined: false,
        address: raw.address.0,
        values: Vec::new(),
    }
}

fn of_site(raw: &RawFrame, site: &Site) -> Vec<Frame> {
    let frame = |function: &str, at: Option<&SourceLine>, inlined| Frame {
        function: Some(function.to_owned()),
        file: at.map(|at| Arc::clone(&at.file)),
        // The compiler gives line 0 to code of its own.
        line: at.map(|at| at.line).filter(|line| *line != 0),
        inlined,
        address: raw.address.0,
        values: Vec::new(),
    };
    let outer = site.inlined_into.len();
    let mut frames = vec![frame(&site.function, Some(&site.source), outer > 0)];
    for (index, step) in (1..).zip(&site.inlined_into) {
        frames.push(frame(&step.function, step.call.as_ref(), index < outer));
    }
    frames
}
