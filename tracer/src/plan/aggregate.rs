//! Hits that the kernel adds up: which op makes the key, and what a key means.
//!
//! A number is a key by itself; a text and other small values are keys by
//! the bytes that a record would have had.

mod variants;

use std::sync::Arc;

use tracer_common::aggregate::KEY_BYTES;
use tracer_common::control::COUNTS;
use tracer_common::op::{
    APPEND, COMM, COPY_COUNTED, COPY_STRING, COUNT, EMIT, Op, TALLY, TALLY_RECORD, alu,
};
use tracer_common::record::{ChunkHeader, RecordHeader};

use super::asm::{Exits, SINK};
use super::capture::{Capture, Captured};
use super::decode::{Chunks, DecodeError, Decoder, View};
use super::expr::{Number, NumberKind, Operand, Resolver};
use super::ir::{Ir, Spots};
use super::shape::{Node, Slot, VariantsNode};
use super::texts::{TextParts, text_parts};
use super::{Asm, Compiler, PlanError, names, number_node};
use crate::debuginfo::types::{Language, TypeId, TypeKind};
use crate::lang::ast::{Action, Expr, ProbeSpec, Special};
use crate::redact::Redactor;
use crate::unavailable::Unavailable;
use crate::value::{Cut, Text, Value};
use variants::VariantKeys;

/// Bytes of a text that hits are told apart by; the rest of a longer one is cut.
const TEXT: u64 = 96;
/// Bytes of any other value that hits are counted by.
const BYTES: u64 = 96;
/// Fields of a struct that a hint looks at, and those that it names.
const FIELDS_LOOKED_AT: usize = 64;
const FIELDS_NAMED: usize = 6;

/// What the keys of one site mean.
#[derive(Clone, Debug)]
pub struct Key {
    /// The expression, as typed; empty where hits are only counted.
    pub expr: Arc<str>,
    /// Its type.
    pub ty: Arc<str>,
    kind: Kind,
    redactor: Redactor,
}

#[derive(Clone, Debug)]
enum Kind {
    /// There are none.
    Hits,
    /// A number of so many bytes.
    Number(u8, Node),
    /// The number of an enum's variant.
    Variant(VariantKeys),
    /// The chunk of a text.
    Text {
        slot: Slot,
        /// Bytes of its array.
        most: Option<u64>,
    },
    /// The chunk of a thread's name, filled up with zeroes.
    Thread(Slot),
    /// The chunks of a value.
    Record(Captured),
    /// Number of a bucket.
    Bucket(Buckets),
    /// Number of a time's bucket.
    Time,
}

/// How numbers fall into buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buckets {
    /// By powers of two: 0, 1, 2 to 3, 4 to 7, …, and the same below zero.
    Powers,
    /// By multiples of a width, from the multiple itself on.
    Steps(u64),
}

impl Buckets {
    /// Lowest and highest number of a bucket.
    #[must_use]
    pub fn range(self, bucket: i64) -> (i128, i128) {
        match self {
            Self::Steps(step) => {
                let low = i128::from(bucket) * i128::from(step);
                (low, low + i128::from(step) - 1)
            }
            Self::Powers if bucket == 0 => (0, 0),
            Self::Powers => {
                let bits = bucket.unsigned_abs().min(64) as u32;
                let (near, far) = (1i128 << (bits - 1), (1i128 << bits) - 1);
                if bucket > 0 {
                    (near, far)
                } else {
                    (-far, -near)
                }
            }
        }
    }
}

impl Key {
    /// Hits that are only counted.
    fn hits() -> Self {
        Self {
            expr: "".into(),
            ty: "".into(),
            kind: Kind::Hits,
            redactor: Redactor::nothing(),
        }
    }

    /// Times, in the buckets of [`tracer_common::timing`].
    pub(super) fn times(redactor: &Redactor) -> Self {
        Self {
            expr: "".into(),
            ty: "ns".into(),
            kind: Kind::Time,
            redactor: redactor.clone(),
        }
    }

    /// Whether they are times.
    #[must_use]
    pub const fn is_time(&self) -> bool {
        matches!(self.kind, Kind::Time)
    }

    /// How numbers fall into buckets; `None`: they are not put into any.
    #[must_use]
    pub const fn buckets(&self) -> Option<Buckets> {
        match self.kind {
            Kind::Bucket(buckets) => Some(buckets),
            _ => None,
        }
    }

    /// The value of a number's key; of a histogram, the number of the bucket.
    ///
    /// # Errors
    /// The key is none of this plan.
    pub fn of_number(&self, status: u32, value: u64) -> Result<Value, DecodeError> {
        let status = status.to_le_bytes()[0];
        let (size, node) = match &self.kind {
            Kind::Variant(keys) if status == 0 => return Ok(keys.value(value)),
            Kind::Number(size, node) => (*size, node.clone()),
            _ => (
                8,
                Node::Int {
                    size: 8,
                    signed: true,
                },
            ),
        };
        let data = if status == 0 {
            value
                .to_le_bytes()
                .get(..usize::from(size))
                .unwrap_or_default()
                .to_vec()
        } else {
            Vec::new()
        };
        let record = record(&[chunk(0, status, &data)]);
        let (_, mut chunks) = Chunks::of(&record)?;
        let bytes = match chunks.next(0)? {
            (Ok(bytes), _) => bytes,
            (Err(why), _) => return Ok(Value::Unavailable(why)),
        };
        let mut decoder = Decoder::new(chunks, None, &Captured::default());
        let mut value = decoder.value(&node, &View::row(bytes), 0)?;
        self.redactor.value(&mut value, 0);
        Ok(value)
    }

    /// The value of a key of bytes.
    ///
    /// # Errors
    /// The key is none of this plan.
    pub fn of_bytes(&self, bytes: &[u8]) -> Result<Value, DecodeError> {
        let record = record(&[bytes.to_vec()]);
        let (_, mut chunks) = Chunks::of(&record)?;
        match &self.kind {
            Kind::Record(captured) => {
                let mut decoder = Decoder::new(chunks, None, captured);
                let mut value = Value::Unavailable(Unavailable::OptimisedOut);
                for root in &captured.roots {
                    value = decoder.root(root, captured)?;
                }
                self.redactor.value(&mut value, 0);
                Ok(value)
            }
            Kind::Thread(slot) => Ok(match chunks.next(*slot)? {
                (Ok(bytes), _) => Value::Text(Text {
                    bytes: without_padding(bytes).to_vec(),
                    cut: None,
                }),
                (Err(why), _) => Value::Unavailable(why),
            }),
            Kind::Text { slot, most } => Ok(match chunks.next(*slot)? {
                (Ok(bytes), cut) => Value::Text(Text {
                    bytes: bytes.to_vec(),
                    // An array that is full has no zero byte, and is whole.
                    cut: (cut && *most != Some(bytes.len() as u64)).then_some(Cut { of: None }),
                }),
                (Err(why), _) => Value::Unavailable(why),
            }),
            _ => Ok(Value::Unavailable(Unavailable::OptimisedOut)),
        }
    }
}

/// The bytes up to the zeroes at their end.
fn without_padding(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0);
    end.and_then(|end| bytes.get(..=end)).unwrap_or_default()
}

fn chunk(slot: Slot, status: u8, data: &[u8]) -> Vec<u8> {
    let header = ChunkHeader {
        slot,
        status,
        reserved: 0,
        length: u32::try_from(data.len()).unwrap_or(0),
    };
    let mut bytes = bytemuck::bytes_of(&header).to_vec();
    bytes.extend_from_slice(data);
    bytes
}

fn record(chunks: &[Vec<u8>]) -> Vec<u8> {
    let length: usize = chunks.iter().map(Vec::len).sum();
    let header = RecordHeader {
        length: u32::try_from(size_of::<RecordHeader>() + length).unwrap_or(0),
        ..RecordHeader::default()
    };
    let mut bytes = bytemuck::bytes_of(&header).to_vec();
    chunks
        .iter()
        .for_each(|chunk| bytes.extend_from_slice(chunk));
    bytes
}

/// Writes the ops of an action that adds hits up; `None` when the action is none of these.
///
/// Gives the key and the site's flags.
pub(super) fn compile(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    spec: &ProbeSpec,
    redactor: &Redactor,
) -> Result<Option<(Key, u32)>, PlanError> {
    if let Action::Count { by: Some(expr) } | Action::Hist { value: expr, .. } = &spec.action
        && redactor.hides_expr(spec.text.get(expr.span.clone()).unwrap_or_default())
    {
        let error = PlanError::at(expr, "values of this name are redacted");
        return Err(error.hint(Some("`--no-redact` shows them".into())));
    }
    let (mut key, flags) = match &spec.action {
        Action::Count { by: None } => {
            // Without a condition there is nothing to run.
            let flags = if spec.condition.is_some() {
                end(asm, COUNT);
                0
            } else {
                COUNTS
            };
            (Key::hits(), flags)
        }
        Action::Count { by: Some(by) } => (count_by(compiler, asm, spec, by)?, 0),
        Action::Hist { value, step } => (histogram(compiler, asm, spec, value, *step)?, 0),
        _ => return Ok(None),
    };
    if let Some(template) = &spec.template {
        let message = format!("`{}` adds hits up and shows no message", spec.action.name());
        let _ = template;
        return Err(PlanError {
            message,
            hint: Some("leave the text out, or use `log`".into()),
            span: None,
        });
    }
    key.redactor = redactor.clone();
    Ok(Some((key, flags)))
}

fn end(asm: &mut Asm, code: u8) {
    asm.emit(Op {
        code,
        ..Op::default()
    });
}

fn count_by(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    spec: &ProbeSpec,
    by: &Expr,
) -> Result<Key, PlanError> {
    let expr: Arc<str> = spec.text.get(by.span.clone()).unwrap_or_default().into();
    let operand = Resolver::new(&compiler.builder, compiler.scope).operand(by)?;
    let (spots, ty) = match operand {
        Operand::Unknown(_, error) => return Err(error),
        Operand::Number(number) => {
            return number_key(asm, by, expr, (&number, compiler.scope.language));
        }
        Operand::Place(spots, ty) => (spots, ty),
        Operand::Special(Special::Thread) => return thread_key(compiler, asm, by, expr),
        Operand::Special(_) => {
            let number = Resolver::new(&compiler.builder, compiler.scope).number(by)?;
            return number_key(asm, by, expr, (&number, compiler.scope.language));
        }
        Operand::Text(_) | Operand::Null => {
            return Err(PlanError::at(by, "hits cannot be counted by this"));
        }
    };
    place_key(compiler, asm, by, expr, (spots, ty))
}

/// A key of the value at a place.
fn place_key(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    by: &Expr,
    expr: Arc<str>,
    (spots, ty): (Spots, TypeId),
) -> Result<Key, PlanError> {
    if let Some(parts) = text_parts(&compiler.builder, &spots, ty) {
        let parts = parts.map_err(|why| PlanError::at(by, why.to_string()))?;
        let name = type_name(compiler, ty);
        return text_key(compiler, asm, by, (expr, name), &parts);
    }
    value_key(compiler, asm, by, expr, (spots, ty))
}

fn type_name(compiler: &Compiler<'_>, ty: TypeId) -> Arc<str> {
    names::without_paths(&compiler.builder.resolve(ty).name).into()
}

/// A key of any value without pointers; of a reference, of what it refers to.
fn value_key(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    by: &Expr,
    expr: Arc<str>,
    (spots, ty): (Spots, TypeId),
) -> Result<Key, PlanError> {
    let size = compiler.builder.size(ty).unwrap_or(0);
    let node = compiler.builder.variable(ty);
    let name = type_name(compiler, ty);
    let pointer = matches!(compiler.builder.resolve(ty).kind, TypeKind::Pointer { .. });
    if pointer || node.follows() {
        let resolver = Resolver::new(&compiler.builder, compiler.scope);
        if let Some((spots, ty)) = resolver.owned(&spots, ty) {
            return place_key(compiler, asm, by, expr, (spots, ty));
        }
        // A pointer that is a number counts as one.
        if let Ok(number) = resolver.number_at(by, &spots, ty) {
            return number_key(asm, by, expr, (&number, compiler.scope.language));
        }
        if let Some(variants) = variants::of_node(&node) {
            return variant_key(asm, by, (expr, name), &spots, variants);
        }
        let message = format!("`{name}` has parts elsewhere, hits cannot be counted by it");
        let hint = part_hint(compiler, by, &spots, ty);
        return Err(PlanError::at(by, message).hint(hint));
    }
    if matches!(size, 1 | 2 | 4 | 8)
        && let Ok(ir) = spots.number()
    {
        tally(asm, by, &ir)?;
        return Ok(Key {
            expr,
            ty: name,
            kind: Kind::Number(size as u8, node),
            redactor: Redactor::nothing(),
        });
    }
    if size > BYTES {
        if let Some(variants) = variants::of_node(&node) {
            return variant_key(asm, by, (expr, name), &spots, variants);
        }
        let message = format!("`{name}` has {size} bytes, at most {BYTES} are counted by");
        let hint = part_hint(compiler, by, &spots, ty);
        return Err(PlanError::at(by, message).hint(hint));
    }
    let captured =
        Capture::new(asm, &mut compiler.builder).values(vec![(spots, node)], |asm, _| {
            end(asm, TALLY_RECORD);
        });
    Ok(Key {
        expr,
        ty: name,
        kind: Kind::Record(captured),
        redactor: Redactor::nothing(),
    })
}

/// A key of the variant of an enum, without its data.
fn variant_key(
    asm: &mut Asm,
    by: &Expr,
    (expr, ty): (Arc<str>, Arc<str>),
    spots: &Spots,
    variants: (u64, &VariantsNode),
) -> Result<Key, PlanError> {
    let (number, keys) =
        variants::key(spots, variants).map_err(|why| PlanError::at(by, why.to_string()))?;
    tally(asm, by, &number)?;
    Ok(Key {
        expr,
        ty,
        kind: Kind::Variant(keys),
        redactor: Redactor::nothing(),
    })
}

/// The fields of a struct that hits can be counted by, as they would be typed.
fn part_hint(compiler: &mut Compiler<'_>, by: &Expr, spots: &Spots, ty: TypeId) -> Option<String> {
    let typed = compiler.scope.text.get(by.span.clone()).unwrap_or_default();
    let resolved = compiler.builder.resolve(ty);
    let (TypeKind::Struct(body) | TypeKind::Union(body)) = &resolved.kind else {
        return None;
    };
    let mut fields = Vec::new();
    for member in body.members.iter().take(FIELDS_LOOKED_AT) {
        let size = compiler.builder.size(member.ty).unwrap_or(0);
        let place = spots.project(member.offset, size);
        if size > 0 && is_countable(compiler, &place, member.ty) {
            fields.push(format!("`{typed}.{}`", names::field(&member.name)));
        }
    }
    fields.truncate(FIELDS_NAMED);
    match &fields[..] {
        [] => Some("name one of its fields".into()),
        [one] => Some(format!("count by its field {one}")),
        _ => Some(format!("count by one of its fields: {}", fields.join(", "))),
    }
}

/// Whether hits can be counted by a value at a place.
fn is_countable(compiler: &mut Compiler<'_>, spots: &Spots, ty: TypeId) -> bool {
    if text_parts(&compiler.builder, spots, ty).is_some() {
        return true;
    }
    let resolver = Resolver::new(&compiler.builder, compiler.scope);
    if let Some((spots, ty)) = resolver.owned(spots, ty) {
        return text_parts(&compiler.builder, &spots, ty).is_some();
    }
    let node = compiler.builder.variable(ty);
    let pointer = matches!(compiler.builder.resolve(ty).kind, TypeKind::Pointer { .. });
    let plain = !pointer && !node.follows() && compiler.builder.size(ty) <= Some(BYTES);
    plain || variants::of_node(&node).is_some()
}

fn number_key(
    asm: &mut Asm,
    by: &Expr,
    expr: Arc<str>,
    (number, language): (&Number, Language),
) -> Result<Key, PlanError> {
    tally(asm, by, &number.ir)?;
    let (node, ty) = number_node(number, language);
    Ok(Key {
        expr,
        ty: ty.into(),
        kind: Kind::Number(number.size, node),
        redactor: Redactor::nothing(),
    })
}

/// Adds to the entry of a number; when it cannot be known, to the entry of the reason.
fn tally(asm: &mut Asm, expr: &Expr, ir: &Ir) -> Result<(), PlanError> {
    let mut exits = Exits::default();
    let register = asm
        .value(ir, &mut exits)
        .map_err(|why| PlanError::at(expr, why.to_string()))?;
    asm.emit(Op {
        code: TALLY,
        src: register,
        ..Op::default()
    });
    asm.give(register);
    for (failure, label) in exits.targets() {
        asm.place(*label);
        asm.constant(SINK, 0);
        asm.emit(Op {
            code: TALLY,
            src: SINK,
            a: *failure as u32,
            ..Op::default()
        });
    }
    Ok(())
}

fn text_key(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    by: &Expr,
    (expr, ty): (Arc<str>, Arc<str>),
    text: &TextParts,
) -> Result<Key, PlanError> {
    let failed = |why: Unavailable| PlanError::at(by, why.to_string());
    let slot = compiler.builder.slot().map_err(failed)?;
    let mut exits = Exits::default();
    let src = asm.value(&text.pointer, &mut exits).map_err(failed)?;
    let mut op = Op {
        code: COPY_STRING,
        dst: SINK,
        src,
        a: u32::from(slot),
        len: TEXT.min(text.most.unwrap_or(TEXT)) as u32,
        ..Op::default()
    };
    if let Some(length) = &text.length {
        op.size = asm.value(length, &mut exits).map_err(failed)?;
        op.code = COPY_COUNTED;
        op.offset = TEXT as i32;
        op.len = 1;
        asm.give(op.size);
    }
    asm.emit(op);
    asm.give(src);
    end(asm, TALLY_RECORD);
    for (failure, label) in exits.targets() {
        asm.place(*label);
        asm.emit(Op {
            code: tracer_common::op::MARK,
            dst: SINK,
            size: *failure as u8,
            a: u32::from(slot),
            ..Op::default()
        });
        end(asm, TALLY_RECORD);
    }
    Ok(Key {
        expr,
        ty,
        kind: Kind::Text {
            slot,
            most: text.most,
        },
        redactor: Redactor::nothing(),
    })
}

/// A key of the thread's name.
fn thread_key(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    by: &Expr,
    expr: Arc<str>,
) -> Result<Key, PlanError> {
    let slot = compiler.builder.slot();
    let slot = slot.map_err(|why| PlanError::at(by, why.to_string()))?;
    for (code, register) in [(EMIT, COMM), (APPEND, COMM + 1)] {
        asm.emit(Op {
            code,
            dst: SINK,
            src: register,
            size: 8,
            a: u32::from(slot),
            ..Op::default()
        });
    }
    end(asm, TALLY_RECORD);
    Ok(Key {
        expr,
        ty: "&str".into(),
        kind: Kind::Thread(slot),
        redactor: Redactor::nothing(),
    })
}

fn histogram(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    spec: &ProbeSpec,
    value: &Expr,
    step: Option<u64>,
) -> Result<Key, PlanError> {
    let number = Resolver::new(&compiler.builder, compiler.scope).number(value)?;
    if number.kind == NumberKind::Float {
        return Err(
            PlanError::at(value, "a float cannot be put into buckets in the kernel").hint(Some(
                "`hist … x as i64` has those of its integer part".into(),
            )),
        );
    }
    let (ty, signed) = (
        number_node(&number, compiler.scope.language).1,
        number.signed,
    );
    let (ir, buckets) = match step {
        None => {
            let operation = if signed { alu::SBITS } else { alu::BITS };
            (Ir::raw(operation, number.ir, Ir::Const(0)), Buckets::Powers)
        }
        Some(step) => {
            let operation = if signed { alu::FLOOR } else { alu::DIV };
            if signed && i64::try_from(step).is_err() {
                let message = format!("`step {step}` is more than a signed number can be");
                return Err(PlanError::at(value, message));
            }
            if !signed && step == 1 && number.size == 8 {
                let message = "`step 1` makes too many buckets for an unsigned number of 64 bits";
                let hint = "`step 2` or more, no `step` at all, or `count … by` for each value";
                return Err(PlanError::at(value, message).hint(Some(hint.to_owned())));
            }
            (
                Ir::raw(operation, number.ir, Ir::Const(step)),
                Buckets::Steps(step),
            )
        }
    };
    tally(asm, value, &ir)?;
    Ok(Key {
        expr: spec.text.get(value.span.clone()).unwrap_or_default().into(),
        ty: ty.into(),
        kind: Kind::Bucket(buckets),
        redactor: Redactor::nothing(),
    })
}

const _: () = assert!(TEXT as usize + size_of::<ChunkHeader>() <= KEY_BYTES);
const _: () = assert!(BYTES as usize + 3 * size_of::<ChunkHeader>() <= KEY_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_meet_without_gaps() {
        let mut next = -((1i128 << 64) - 1);
        for bucket in -64..=64 {
            let (low, high) = Buckets::Powers.range(bucket);
            assert_eq!(low, next, "bucket {bucket}");
            next = high + 1;
        }
        assert_eq!(next, 1i128 << 64);
    }

    #[test]
    fn steps_begin_at_multiples_below_zero_too() {
        assert_eq!(Buckets::Steps(10).range(0), (0, 9));
        assert_eq!(Buckets::Steps(10).range(-1), (-10, -1));
        assert_eq!(Buckets::Steps(10).range(3), (30, 39));
    }
}
