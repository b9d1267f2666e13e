//! Names for the frames of a captured stack: functions with their inlined
//! copies and the tail calls between them, files and lines.

use std::sync::Arc;

use crate::base::address::RunAddr;
use crate::debuginfo::site::{Site, SourceLine};
use crate::debuginfo::{TailCall, TailCallSearch};
use crate::event::{FrameKind, SIGNAL_FRAME, Stack, StackFrame};
use crate::session::reader::callers;
use crate::stack::{CapturedStack, PlacedModule, RawFrame, walk};
use crate::value::redact::Redactor;

/// Options for reading the stack of a hit.
#[derive(Clone, Copy)]
pub(in crate::session) struct WantedStack<'w> {
    /// The site of the hit, which is the place of the first frame. `None` if the hit is elsewhere,
    /// as at the return of a function by the kernel's trampoline.
    pub(in crate::session) site: Option<&'w Site>,
    /// Frames that have code of their own.
    pub(in crate::session) depth: u32,
    /// Show the callers' variables, redacted so.
    pub(in crate::session) variables: Option<&'w Redactor>,
}

/// The call stack of a hit: at most so many frames that have code of their own, each with the
/// inlined copies in it and the tail calls between it and its caller.
pub(in crate::session) fn stack(
    captured: &CapturedStack,
    wanted: WantedStack<'_>,
    find: &dyn Fn(RunAddr) -> Option<PlacedModule>,
) -> Stack {
    let depth = usize::try_from(wanted.depth).unwrap_or(usize::MAX);
    let mut walk = walk(captured, depth, find);
    let mut site = wanted.site;
    if let (Some(site), Some(first)) = (site, walk.frames.first_mut()) {
        // The probed instruction may differ from that of the line.
        first.lookup = site.address;
    }
    let mut frames = Vec::new();
    for (index, raw) in walk.frames.iter().enumerate() {
        let own = if index == 0 { site.take() } else { None };
        let mut named = match own {
            Some(site) => of_site(raw, site),
            None => named(raw),
        };
        if let Some(redactor) = wanted.variables {
            let values = callers::values(raw, captured, redactor);
            // The site's function's are the event's own, and copies at its address that it is not
            // in are no part of the stack.
            let outside = own.map_or(0, |site| site.scope.outside);
            let values = values.into_iter().skip(outside);
            let skipped = usize::from(index == 0);
            for (frame, values) in named.iter_mut().zip(values).skip(skipped) {
                frame.values = values;
            }
        }
        frames.append(&mut named);
        if let Some(caller) = walk.frames.get(index + 1) {
            frames.extend(tail_calls(raw, caller));
        }
    }
    Stack {
        frames,
        stopped: walk.stopped,
    }
}

/// The functions between a frame and its caller that left the stack by a jump, innermost first.
fn tail_calls(raw: &RawFrame, caller: &RawFrame) -> Vec<StackFrame> {
    let (Some(placed), Some(called_by)) = (&raw.placed, &caller.placed) else {
        return Vec::new();
    };
    if raw.signal || caller.interrupted {
        return Vec::new();
    }
    let search = TailCallSearch {
        callee: &placed.module,
        caller: &called_by.module,
    };
    let calls = search.between(raw.lookup, called_by.bias.link(caller.address));
    let frame = |call: TailCall| {
        let placed = if call.in_callee { placed } else { called_by };
        let raw = RawFrame {
            address: placed.bias.run(call.jump),
            lookup: call.jump,
            placed: Some(placed.clone()),
            ..raw.clone()
        };
        let mut frames = named(&raw);
        // Copies in it are inlined; the function itself is the one that jumped.
        if let Some(last) = frames.last_mut() {
            last.kind = FrameKind::TailCall;
        }
        frames
    };
    calls.into_iter().flat_map(frame).collect()
}

/// A frame and the inlined copies in it, innermost first.
fn named(raw: &RawFrame) -> Vec<StackFrame> {
    if raw.signal {
        return vec![StackFrame {
            function: Some(SIGNAL_FRAME.to_owned()),
            kind: FrameKind::Signal,
            ..unnamed(raw)
        }];
    }
    let Some(placed) = &raw.placed else {
        return vec![unnamed(raw)];
    };
    match placed.module.site_at(raw.lookup) {
        Some(site) => of_site(raw, &site),
        None => vec![StackFrame {
            function: placed.module.name_at(raw.lookup).map(|(name, _)| name),
            ..unnamed(raw)
        }],
    }
}

fn unnamed(raw: &RawFrame) -> StackFrame {
    StackFrame {
        function: None,
        file: None,
        line: None,
        kind: FrameKind::Function,
        address: raw.address.0,
        values: Vec::new(),
    }
}

fn of_site(raw: &RawFrame, site: &Site) -> Vec<StackFrame> {
    let frame = |function: &str, at: Option<&SourceLine>, inlined| {
        let at = at.filter(|at| !at.file.as_os_str().is_empty());
        StackFrame {
            function: Some(function.to_owned()),
            file: at.map(|at| Arc::clone(&at.file)),
            // The compiler marks its own code with line 0.
            line: at.map(|at| at.line).filter(|line| *line != 0),
            kind: if inlined {
                FrameKind::Inlined
            } else {
                FrameKind::Function
            },
            address: raw.address.0,
            values: Vec::new(),
        }
    };
    let outer = site.inlined_into.len();
    let mut frames = vec![frame(&site.function, site.source.as_ref(), outer > 0)];
    for (index, step) in (1..).zip(&site.inlined_into) {
        frames.push(frame(&step.function, step.call.as_ref(), index < outer));
    }
    frames
}
