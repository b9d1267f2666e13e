//! Plans of `time`: one for where it begins, one for where it ends, one for
//! where what has begun is over without an end.
//!
//! A template and a condition are taken apart: what names variables is known at
//! the beginning, and kept by the kernel side; `$elapsed` and `$return` are known at the end.

use tracer_common::control::{ALWAYS, BEGINS, ENDS, FORGETS, FS_BASE_SHIFT, TURNS};
use tracer_common::op::{COUNT, ENTER, FORGET, KEPT, LEAVE, Op, TARGET_REGISTERS};
use tracer_common::record::{ChunkHeader, FLAG_NO_ROOM, RecordHeader};

use super::aggregate::Key;
use super::asm::{Asm, Exits, Label};
use super::capture::Capture;
use super::condition;
use super::decode::DecodeError;
use super::expr::{Operand, Resolver};
use super::ir::{Ir, Spots};
use super::layout::{Entry, Part, Source};
use super::returned::{self, Returned};
use super::{Compiler, Plan, PlanError, PlanInput, ends, lost, scope, stack, value_of};
use crate::debuginfo::place::Expr as PlaceExpr;
use crate::debuginfo::variable::VariableKind;
use crate::lang::ast::{BinaryOp, Expr, ExprKind, ProbeSpec, Special, TemplatePart};
use crate::value::debug::DEBUG;

/// Machine register with the target's stack pointer.
const STACK_POINTER: u8 = TARGET_REGISTERS + 7;

/// What tells the frame of a call from all others: its canonical frame address.
#[derive(Clone, Debug)]
pub enum Frame {
    /// So many bytes above the stack pointer.
    Above(u64),
    /// By the call frame information of the site.
    Cfa(PlaceExpr),
}

/// Where something begins or ends that is timed.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The frame.
    pub frame: Frame,
    /// Tells inlined copies in one frame apart.
    pub group: u32,
}

/// Whether slow ones, or all, are shown as events.
#[must_use]
pub fn has_events(spec: &ProbeSpec) -> bool {
    spec.template.is_some() || conditions(spec).iter().any(|part| is_of_end(part))
}

/// Whether something that is known at the beginning is shown at the end.
#[must_use]
pub fn keeps(spec: &ProbeSpec) -> bool {
    has_events(spec)
        && spec.template.as_ref().is_none_or(|template| {
            template.parts.iter().any(|part| match part {
                TemplatePart::Text(_) => false,
                TemplatePart::Hole { expr, .. } => !is_of_end(expr) && !is_special(expr),
            })
        })
}

/// Whether anything at all is asked of the beginning, beside its time.
#[must_use]
pub fn reads_at_begin(spec: &ProbeSpec) -> bool {
    keeps(spec) || conditions(spec).iter().any(|part| !is_of_end(part))
}

/// What tells a call from another pass of the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// Each is a call.
    Calls,
    /// The entry is the head of a loop: all but those that a branch has told of ([`turn`]).
    NoTurns,
    /// The first one behind the entry, where [`forget`] has told of the call.
    First,
}

/// Where it begins. `returns`: what the function returns, where that will be known at the end.
///
/// # Errors
/// An expression makes no sense at the site.
pub fn begin(
    input: &PlanInput<'_>,
    moment: &Moment,
    passes: Passes,
    returns: Option<Returned>,
) -> Result<Plan, PlanError> {
    let scope = scope(input);
    let spec = &input.ordered()?;
    let mut compiler = Compiler::new(input, &scope);
    let mut asm = Asm::new();
    let (reject, fault) = (asm.label(), asm.label());
    let keeps = keeps(spec);
    let op = Op {
        code: ENTER,
        dst: u8::from(passes == Passes::First),
        size: u8::from(keeps),
        ..Op::default()
    };
    frame(&compiler, &mut asm, moment, op, fault)?;
    test(&compiler, &mut asm, spec, false, (reject, fault))?;
    if has_events(spec) {
        match &spec.template {
            Some(template) => compiler.begin_template(&spec.text, &template.parts)?,
            None => compiler.begin_default(returns),
        }
    }
    let values = std::mem::take(&mut compiler.values);
    let captured = Capture::new(&mut asm, &mut compiler.builder).values(values, |asm, _| {
        asm.emit(Op::default());
    });
    ends(&mut asm, reject, fault);
    let key = Some(Key::times(input.redactor));
    let flags = if passes == Passes::NoTurns {
        BEGINS | TURNS
    } else {
        BEGINS
    };
    Ok(compiler.finish(asm, (captured, None), (flags, key)))
}

/// Where it ends.
///
/// # Errors
/// An expression makes no sense at the site.
pub fn end(input: &PlanInput<'_>, moment: &Moment) -> Result<Plan, PlanError> {
    let mut scope = scope(input);
    let spec = &input.ordered()?;
    scope.elapsed = true;
    let mut compiler = Compiler::new(input, &scope);
    let mut asm = Asm::new();
    let (reject, fault) = (asm.label(), asm.label());
    let keeps = keeps(spec);
    let op = Op {
        code: LEAVE,
        size: u8::from(keeps),
        ..Op::default()
    };
    frame(&compiler, &mut asm, moment, op, fault)?;
    test(&compiler, &mut asm, spec, true, (reject, fault))?;
    let mut slots = None;
    let mut captured = super::Captured::default();
    if has_events(spec) {
        if keeps {
            code(&mut asm, KEPT);
        }
        match &spec.template {
            Some(template) => compiler.end_template(&spec.text, &template.parts)?,
            None => compiler.end_default(),
        }
        let values = std::mem::take(&mut compiler.values);
        let capture = Capture::new(&mut asm, &mut compiler.builder);
        captured = capture.values(values, |asm, builder| {
            if stack::depth(spec) > 0 {
                slots = stack::capture(asm, builder).ok();
            }
            asm.emit(Op::default());
        });
    } else {
        code(&mut asm, COUNT);
    }
    ends(&mut asm, reject, fault);
    let key = Some(Key::times(input.redactor));
    Ok(compiler.finish(asm, (captured, slots), (ENDS, key)))
}

/// Where what has begun in the frame cannot go on, in any of the groups up to the moment's: the entry
/// of a function, where `of_call` says what of it is a call, of which the place behind the prologue is told.
///
/// # Errors
/// The frame cannot be computed.
pub fn forget(
    input: &PlanInput<'_>,
    moment: &Moment,
    of_call: Option<Passes>,
) -> Result<Plan, PlanError> {
    let scope = scope(input);
    let compiler = Compiler::new(input, &scope);
    let mut asm = Asm::new();
    let (reject, fault) = (asm.label(), asm.label());
    let op = Op {
        code: FORGET,
        dst: u8::from(of_call.is_some()),
        size: u8::from(keeps(input.spec)),
        ..Op::default()
    };
    frame(&compiler, &mut asm, moment, op, fault)?;
    ends(&mut asm, reject, fault);
    let key = Some(Key::times(input.redactor));
    let flags = if of_call == Some(Passes::NoTurns) {
        FORGETS | TURNS
    } else {
        FORGETS
    };
    Ok(compiler.finish(asm, (super::Captured::default(), None), (flags, key)))
}

/// A branch to an entry that is the head of a loop, with the condition of its opcode.
#[must_use]
pub fn turn(input: &PlanInput<'_>, condition: Option<u8>) -> Plan {
    let scope = scope(input);
    let compiler = Compiler::new(input, &scope);
    let condition = condition.map_or(ALWAYS, u32::from);
    let flags = TURNS | condition << FS_BASE_SHIFT;
    let key = Some(Key::times(input.redactor));
    let nothing = (super::Captured::default(), None);
    compiler.finish(Asm::new(), nothing, (flags, key))
}

fn code(asm: &mut Asm, code: u8) {
    asm.emit(Op {
        code,
        ..Op::default()
    });
}

/// Writes the op that says which frame it is.
fn frame(
    compiler: &Compiler<'_>,
    asm: &mut Asm,
    moment: &Moment,
    op: Op,
    fault: Label,
) -> Result<(), PlanError> {
    let failed = |why: crate::unavailable::Unavailable| PlanError {
        message: format!("its frame cannot be told apart from others: {why}"),
        hint: None,
        span: None,
    };
    let ir = match &moment.frame {
        Frame::Above(bytes) => Ir::Register(STACK_POINTER).plus(*bytes),
        Frame::Cfa(expr) => Spots::of(&value_of(expr), 8, compiler.scope.process)
            .number()
            .map_err(failed)?,
    };
    let (src, offset) = asm.address(&ir, &mut Exits::to(fault)).map_err(failed)?;
    asm.emit(Op {
        src,
        offset,
        a: moment.group,
        ..op
    });
    asm.give(src);
    Ok(())
}

/// Writes the parts of the condition that are known at the end, or at the beginning.
fn test(
    compiler: &Compiler<'_>,
    asm: &mut Asm,
    spec: &ProbeSpec,
    at_end: bool,
    (reject, fault): (Label, Label),
) -> Result<(), PlanError> {
    for part in conditions(spec) {
        if is_of_end(part) != at_end {
            continue;
        }
        let mut resolver = Resolver::new(&compiler.builder, compiler.scope);
        let truth = condition::truth(&mut resolver, part)?;
        asm.test(&truth, reject, &mut Exits::to(fault))
            .map_err(|why| PlanError::at(part, why.to_string()))?;
    }
    Ok(())
}

impl Compiler<'_> {
    /// The whole message; what is known at the end is left for it.
    fn begin_template(&mut self, text: &str, parts: &[TemplatePart]) -> Result<(), PlanError> {
        let mut at_end = 0;
        for part in parts {
            match part {
                TemplatePart::Text(text) => self.parts.push(Part::Text(text.clone())),
                TemplatePart::Hole { expr, format } if is_of_end(expr) => {
                    self.end_entry(at_end, *format);
                    at_end += 1;
                }
                TemplatePart::Hole { expr, format } => {
                    self.hole(text, expr, *format)?;
                }
            }
        }
        Ok(())
    }

    /// `$elapsed = …, name = value, …, $return = …`.
    fn begin_default(&mut self, returns: Option<Returned>) {
        self.parts.push(Part::Text("$elapsed = ".into()));
        self.end_entry(0, DEBUG);
        let scope = self.scope;
        let has_parameters = returns.is_some();
        let shown = scope.variables.iter().filter(|variable| {
            let parameter = variable.kind == VariableKind::Parameter;
            !matches!(variable.kind, VariableKind::Static | VariableKind::Lost)
                && !variable.name.is_empty()
                && variable.shadow <= 1
                // At the start of a function its other variables have no values yet.
                && (parameter || !has_parameters)
        });
        for variable in shown {
            self.parts
                .push(Part::Text(format!(", {} = ", variable.name)));
            let operand = Resolver::new(&self.builder, scope).variable(variable);
            self.value(&variable.name, operand, DEBUG);
        }
        if returns.is_some_and(|returned| returned.ty.is_some()) {
            self.parts.push(Part::Text(", $return = ".into()));
            self.end_entry(1, DEBUG);
        }
    }

    fn end_entry(&mut self, index: usize, format: crate::lang::ast::Format) {
        self.parts.push(Part::Hole(self.entries.len(), format));
        self.entries.push(Entry {
            expr: "".into(),
            ty: "".into(),
            source: Source::End(index),
            // It was, or was not, where it ended.
            hidden: false,
        });
    }

    /// The values of the end that the message asks for, in its order.
    fn end_template(&mut self, text: &str, parts: &[TemplatePart]) -> Result<(), PlanError> {
        for part in parts {
            if let TemplatePart::Hole { expr, format } = part
                && is_of_end(expr)
            {
                self.hole(text, expr, *format)?;
            }
        }
        Ok(())
    }

    fn end_default(&mut self) {
        let scope = self.scope;
        let elapsed = Expr {
            kind: ExprKind::Special(Special::Elapsed),
            span: 0..0,
        };
        if let Ok(operand) = Resolver::new(&self.builder, scope).operand(&elapsed) {
            self.value("$elapsed", operand, DEBUG);
        }
        if let Some(returned @ Returned { ty: Some(ty), .. }) = scope.returned {
            let operand = Operand::Place(returned::place(&self.builder, ty, returned), ty);
            if let Some(why) = lost(&operand) {
                self.notes
                    .push(format!("`$return` is unavailable at a return: {why}"));
            }
            self.value("$return", operand, DEBUG);
        }
    }
}

/// The parts that all must hold.
fn conditions(spec: &ProbeSpec) -> Vec<&Expr> {
    let mut parts = Vec::new();
    let mut left: Vec<&Expr> = spec.condition.iter().collect();
    while let Some(expr) = left.pop() {
        match &expr.kind {
            ExprKind::Binary(BinaryOp::And, a, b) => left.extend([&**b, &**a]),
            _ => parts.push(expr),
        }
    }
    parts
}

/// Known to the header of the record that the end sends.
fn is_special(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Special(_))
}

/// Whether an expression needs what is known at the end only.
fn is_of_end(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Special(special) => {
            matches!(special, Special::Elapsed | Special::Return | Special::Hit)
        }
        _ => expr.parts().into_iter().any(is_of_end),
    }
}

/// Takes the record of an end apart: what was kept at the beginning, and the rest.
///
/// What was kept may be cut anywhere; the whole chunks of it are given.
pub(super) fn split(record: &[u8]) -> Result<(Vec<u8>, Vec<u8>), DecodeError> {
    let size = size_of::<RecordHeader>();
    let short = |need| DecodeError::Short {
        need,
        have: record.len(),
    };
    let header = record.get(..size).ok_or_else(|| short(size))?;
    let header: RecordHeader = bytemuck::pod_read_unaligned(header);
    let middle = size.saturating_add(header.begun_bytes as usize);
    let kept = record.get(size..middle).ok_or_else(|| short(middle))?;
    let rest = record.get(middle..header.length as usize);
    let rest = rest.ok_or_else(|| short(header.length as usize))?;
    let whole = whole_chunks(kept);
    let cut = if whole.len() < kept.len() {
        FLAG_NO_ROOM as u16
    } else {
        0
    };
    let with = |chunks: &[u8], flags| {
        let header = RecordHeader {
            length: u32::try_from(size + chunks.len()).unwrap_or(u32::MAX),
            flags,
            ..header
        };
        let mut bytes = bytemuck::bytes_of(&header).to_vec();
        bytes.extend_from_slice(chunks);
        bytes
    };
    Ok((with(whole, header.flags | cut), with(rest, header.flags)))
}

/// The chunks that are there to their end.
fn whole_chunks(bytes: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + size_of::<ChunkHeader>()) {
        let header: ChunkHeader = bytemuck::pod_read_unaligned(header);
        let length = (header.length as usize).next_multiple_of(8);
        let next = (at + size_of::<ChunkHeader>()).saturating_add(length);
        if next > bytes.len() {
            break;
        }
        at = next;
    }
    bytes.get(..at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::parse_probe;

    fn parts(text: &str) -> (bool, bool, bool) {
        let spec = parse_probe(text).expect("it parses");
        (has_events(&spec), keeps(&spec), reads_at_begin(&spec))
    }

    #[test]
    fn probe_keeps_what_its_message_shows_of_the_beginning() {
        assert_eq!(parts("time f"), (false, false, false));
        assert_eq!(parts("time f if x > 3"), (false, false, true));
        assert_eq!(parts("time f if $elapsed > 5ms"), (true, true, true));
        assert_eq!(parts("time f if x > 3 && $return == 0"), (true, true, true));
        assert_eq!(parts("time f \"{$elapsed} {$tid}\""), (true, false, false));
        assert_eq!(parts("time f \"{x.y}\""), (true, true, true));
    }

    fn chunk(slot: u16, data: &[u8]) -> Vec<u8> {
        let header = ChunkHeader {
            slot,
            length: u32::try_from(data.len()).expect("small"),
            ..ChunkHeader::default()
        };
        let mut bytes = bytemuck::bytes_of(&header).to_vec();
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn split_of_a_record_gives_the_whole_chunks_of_the_beginning() {
        let (first, second) = (chunk(0, &[1; 8]), chunk(1, &[2; 16]));
        let end = chunk(0, &[3; 8]);
        let kept = [&first[..], &second[..16]].concat();
        let length = size_of::<RecordHeader>() + kept.len() + end.len();
        let header = RecordHeader {
            length: u32::try_from(length).expect("small"),
            begun_bytes: u16::try_from(kept.len()).expect("small"),
            ..RecordHeader::default()
        };
        let record = [bytemuck::bytes_of(&header), &kept, &end].concat();
        let (begin, rest) = split(&record).expect("a record");
        assert_eq!(begin[size_of::<RecordHeader>()..], first);
        assert_eq!(rest[size_of::<RecordHeader>()..], end);
        let flags = |record: &[u8]| {
            let header: RecordHeader = bytemuck::pod_read_unaligned(&record[..64]);
            u32::from(header.flags)
        };
        assert_eq!((flags(&begin), flags(&rest)), (FLAG_NO_ROOM, 0));
        // Lengths are the target's as little as anything else: one that is wrong is no panic.
        for end in 0..record.len() {
            assert!(split(&record[..end]).is_err(), "{end}");
        }
    }
}
