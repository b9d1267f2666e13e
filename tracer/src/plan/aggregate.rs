//! Hits that the kernel adds up: which op makes the key, and what a key means.
//!
//! A number is a key by itself; a text and other small values are keys by
//! the bytes that a record would have had.

mod variants;

use std::sync::Arc;

use tracer_common::aggregate::KEY_BYTES;
use tracer_common::control::COUNTS;
use tracer_common::op::{COMM, alu};
use tracer_common::record::{ChunkHeader, RecordHeader};

use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{Language, TypeId, TypeKind};
use crate::lang::ast::{Expr, Special};
use crate::plan::capture::{Capture, Captured};
use crate::plan::decode::{Chunks, DecodeError, Decoder, View};
use crate::plan::expr::{Number, NumberKind, Operand, Resolver};
use crate::plan::methods::texts::{TextParts, text_parts};
use crate::plan::ops::asm::{Exits, SINK};
use crate::plan::ops::ir::Ir;
use crate::plan::ops::spots::Spots;
use crate::plan::shape::display_names;
use crate::plan::shape::shape_cache::NumberedShape;
use crate::plan::shape::{Node, Slot, VariantsNode};
use crate::plan::{Asm, Compiler, number_node};
use crate::program::Op;
use crate::value::redact::Redactor;
use crate::value::{Cut, Text, Value};
use variants::VariantKeys;

/// Bytes of a text that hits are told apart by; the rest of a longer one is cut.
const TEXT: u64 = 96;
/// Bytes of any other value that hits are counted by.
const BYTES: u64 = 96;
/// Fields of a struct that a hint looks at, and those that it names.
const FIELDS_LOOKED_AT: usize = 64;
const FIELDS_NAMED: usize = 6;

/// The meaning of the keys of one site.
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
    Bucket,
    /// The kernel's account of each process, by what userspace knows of the process.
    Process(Special),
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
            kind: Kind::Bucket,
            redactor: redactor.clone(),
        }
    }

    /// The special name that hits are counted by, if it is one of the process. Then no key tells the
    /// values, but the accounts of processes do.
    #[must_use]
    pub fn process(&self) -> Option<Special> {
        match self.kind {
            Kind::Process(special) => Some(special),
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
                decoder.origin(captured)?;
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

/// The key by which the kernel counts hits.
#[derive(Clone, Copy, Debug)]
pub enum TallyBy<'a> {
    /// Hits are only counted.
    Nothing,
    /// The value of an expression.
    Value(&'a Expr),
    /// The bucket of a number.
    Bucket(&'a Expr, Buckets),
}

impl TallyBy<'_> {
    /// The expression that makes the key.
    pub(super) const fn expr(&self) -> Option<&Expr> {
        match self {
            Self::Nothing => None,
            Self::Value(expr) | Self::Bucket(expr, _) => Some(expr),
        }
    }
}

/// Writes the ops that count a hit. Returns the key and the site's flags.
///
/// # Errors
/// The key's expression makes no sense at the site, or its value is redacted.
pub(super) fn compile(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    by: TallyBy<'_>,
    has_condition: bool,
) -> Result<(Key, u32), Diagnostic> {
    if let Some(expr) = by.expr() {
        let mut resolver = Resolver::new(&compiler.builder, compiler.scope);
        // An expression without a meaning is refused below.
        if resolver.operand(expr).is_ok() && resolver.tells_redacted() {
            let error = Diagnostic::at(&expr.span, "values of this name are redacted");
            return Err(match compiler.builder.limits().confined {
                // No option is an assistant's to set.
                true => error,
                false => error.hint("`--no-redact` shows them"),
            });
        }
    }
    let (mut key, flags) = match by {
        TallyBy::Nothing if has_condition => {
            asm.emit(Op::Count);
            (Key::hits(), 0)
        }
        // Without a condition there is nothing to run.
        TallyBy::Nothing => (Key::hits(), COUNTS),
        TallyBy::Value(by) => {
            let key = count_by(compiler, asm, by, has_condition)?;
            // Hits of a process are counted in its account, without ops.
            let is_bare = key.process().is_some() && !has_condition;
            (key, if is_bare { COUNTS } else { 0 })
        }
        TallyBy::Bucket(value, buckets) => (histogram(compiler, asm, value, buckets)?, 0),
    };
    key.redactor = compiler.redactor.clone();
    Ok((key, flags))
}

/// An expression as the user typed it.
fn typed<'t>(compiler: &Compiler<'t>, expr: &Expr) -> &'t str {
    compiler
        .scope
        .text
        .get(expr.span.clone())
        .unwrap_or_default()
}

fn count_by(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    by: &Expr,
    has_condition: bool,
) -> Result<Key, Diagnostic> {
    let expr: Arc<str> = typed(compiler, by).into();
    let operand = Resolver::new(&compiler.builder, compiler.scope).operand(by)?;
    let (spots, ty) = match operand {
        Operand::Unknown(_, error) => return Err(error),
        Operand::Number(number) => {
            return number_key(asm, by, expr, &number, compiler.scope.language);
        }
        Operand::Place(spots, ty) => (spots, ty),
        Operand::Special(special) if special.is_of_process() => {
            return Ok(process_key(asm, expr, special, has_condition));
        }
        Operand::Special(Special::Thread) => return thread_key(compiler, asm, by, expr),
        Operand::Special(_) => {
            let number = Resolver::new(&compiler.builder, compiler.scope).number(by)?;
            return number_key(asm, by, expr, &number, compiler.scope.language);
        }
        Operand::Text(_) | Operand::Null => {
            return Err(Diagnostic::at(
                &by.span,
                "hits cannot be counted by this value",
            ));
        }
    };
    place_key(compiler, asm, by, expr, spots, ty)
}

/// A key of the value at a place.
fn place_key(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    by: &Expr,
    expr: Arc<str>,
    spots: Spots,
    ty: TypeId,
) -> Result<Key, Diagnostic> {
    if let Some(parts) = text_parts(&compiler.builder, &spots, ty) {
        let parts = parts.map_err(|why| Diagnostic::at(&by.span, why.to_string()))?;
        let name = type_name(compiler, ty);
        return text_key(compiler, asm, by, expr, name, &parts);
    }
    value_key(compiler, asm, by, expr, spots, ty)
}

fn type_name(compiler: &Compiler<'_>, ty: TypeId) -> Arc<str> {
    display_names::without_paths(&compiler.builder.resolve(ty).name).into()
}

/// A key of any value without pointers. A reference gives the key of its target.
fn value_key(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    by: &Expr,
    expr: Arc<str>,
    spots: Spots,
    ty: TypeId,
) -> Result<Key, Diagnostic> {
    let size = compiler.builder.size(ty).unwrap_or(0);
    let node = compiler.builder.variable(ty);
    let name = type_name(compiler, ty);
    let pointer = matches!(compiler.builder.resolve(ty).kind, TypeKind::Pointer { .. });
    if pointer || node.follows() {
        let resolver = Resolver::new(&compiler.builder, compiler.scope);
        if let Some((spots, ty)) = resolver.owned(&spots, ty) {
            return place_key(compiler, asm, by, expr, spots, ty);
        }
        // A pointer that is a number counts as one.
        if let Ok(number) = resolver.number_at(by, &spots, ty) {
            return number_key(asm, by, expr, &number, compiler.scope.language);
        }
        if let Some((at, variants)) = variants::of_node(&node) {
            return variant_key(asm, by, expr, name, &spots, at, variants);
        }
        let message =
            format!("`{name}` has data outside of the value, so hits cannot be counted by it");
        let hint = part_hint(compiler, by, &spots, ty);
        return Err(Diagnostic::at(&by.span, message).maybe_hint(hint));
    }
    if node.has_redacted(compiler.redactor) {
        if let Some((at, variants)) = variants::of_node(&node) {
            return variant_key(asm, by, expr, name, &spots, at, variants);
        }
        let message = format!("`{name}` has redacted parts, so hits cannot be counted by it");
        let hint = part_hint(compiler, by, &spots, ty);
        return Err(Diagnostic::at(&by.span, message).maybe_hint(hint));
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
        if let Some((at, variants)) = variants::of_node(&node) {
            return variant_key(asm, by, expr, name, &spots, at, variants);
        }
        let message = format!("`{name}` has {size} bytes; the limit to count by is {BYTES}");
        let hint = part_hint(compiler, by, &spots, ty);
        return Err(Diagnostic::at(&by.span, message).maybe_hint(hint));
    }
    let captured = Capture::new(asm, &mut compiler.builder).values(
        vec![(spots, NumberedShape::alone(node))],
        |asm, _| {
            asm.emit(Op::TallyRecord);
        },
    );
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
    expr: Arc<str>,
    ty: Arc<str>,
    spots: &Spots,
    at: u64,
    node: &VariantsNode,
) -> Result<Key, Diagnostic> {
    let (number, keys) =
        variants::key(spots, at, node).map_err(|why| Diagnostic::at(&by.span, why.to_string()))?;
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
        if compiler.hides(&member.name) {
            continue;
        }
        let size = compiler.builder.size(member.ty).unwrap_or(0);
        let place = spots.project(member.offset, size);
        if size > 0 && is_countable(compiler, &place, member.ty) {
            fields.push(format!("`{typed}.{}`", display_names::field(&member.name)));
        }
    }
    fields.truncate(FIELDS_NAMED);
    match &fields[..] {
        [] => Some("name one of its fields".into()),
        [one] => Some(format!("count by its field {one}")),
        _ => Some(format!("count by one of its fields: {}", fields.join(", "))),
    }
}

/// Returns true if hits can be counted by a value at a place.
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
    number: &Number,
    language: Language,
) -> Result<Key, Diagnostic> {
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
fn tally(asm: &mut Asm, expr: &Expr, ir: &Ir) -> Result<(), Diagnostic> {
    let mut exits = Exits::default();
    let register = asm
        .value(ir, &mut exits)
        .map_err(|why| Diagnostic::at(&expr.span, why.to_string()))?;
    asm.emit(Op::Tally {
        status: 0,
        src: register,
    });
    asm.give(register);
    for (failure, label) in exits.targets() {
        asm.place(*label);
        asm.constant(SINK, 0);
        asm.emit(Op::Tally {
            status: *failure as u32,
            src: SINK,
        });
    }
    Ok(())
}

fn text_key(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    by: &Expr,
    expr: Arc<str>,
    ty: Arc<str>,
    text: &TextParts,
) -> Result<Key, Diagnostic> {
    let failed = |why: Unavailable| Diagnostic::at(&by.span, why.to_string());
    let slot = compiler.builder.slot().map_err(failed)?;
    let mut exits = Exits::default();
    let src = asm.value(&text.pointer, &mut exits).map_err(failed)?;
    let op = match &text.length {
        Some(length) => {
            let count = asm.value(length, &mut exits).map_err(failed)?;
            asm.give(count);
            Op::CopyCounted {
                slot,
                dst: SINK,
                base: src,
                count,
                stride: 1,
                limit: TEXT as u32,
            }
        }
        None => Op::CopyString {
            slot,
            dst: SINK,
            base: src,
            offset: 0,
            limit: TEXT.min(text.most.unwrap_or(TEXT)) as u32,
        },
    };
    asm.emit(op);
    asm.give(src);
    asm.emit(Op::TallyRecord);
    for (failure, label) in exits.targets() {
        asm.place(*label);
        let status = *failure as u8;
        asm.emit(Op::Mark { slot, status });
        asm.emit(Op::TallyRecord);
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
) -> Result<Key, Diagnostic> {
    let slot = compiler.builder.slot();
    let slot = slot.map_err(|why| Diagnostic::at(&by.span, why.to_string()))?;
    asm.emit_words(slot, COMM..COMM + 2);
    asm.emit(Op::TallyRecord);
    Ok(Key {
        expr,
        ty: "&str".into(),
        kind: Kind::Thread(slot),
        redactor: Redactor::nothing(),
    })
}

/// A key by a fact on the process. The kernel counts the events of each process anyway.
fn process_key(asm: &mut Asm, expr: Arc<str>, special: Special, has_condition: bool) -> Key {
    if has_condition {
        asm.emit(Op::Count);
    }
    Key {
        expr,
        ty: "&str".into(),
        kind: Kind::Process(special),
        redactor: Redactor::nothing(),
    }
}

fn histogram(
    compiler: &mut Compiler<'_>,
    asm: &mut Asm,
    value: &Expr,
    buckets: Buckets,
) -> Result<Key, Diagnostic> {
    let number = Resolver::new(&compiler.builder, compiler.scope).number(value)?;
    if number.kind == NumberKind::Float {
        return Err(
            Diagnostic::at(&value.span, "a float cannot be sorted into buckets")
                .hint("write `hist … x as i64` for its integer part"),
        );
    }
    let (ty, signed) = (
        number_node(&number, compiler.scope.language).1,
        number.signed,
    );
    let ir = match buckets {
        Buckets::Powers => {
            let operation = if signed { alu::SBITS } else { alu::BITS };
            Ir::raw(operation, number.ir, Ir::Const(0))
        }
        Buckets::Steps(step) => {
            let operation = if signed { alu::FLOOR } else { alu::DIV };
            if signed && i64::try_from(step).is_err() {
                let message = format!("`step {step}` is larger than any signed number");
                return Err(Diagnostic::at(&value.span, message));
            }
            if !signed && step == 1 && number.size == 8 {
                let message = "`step 1` makes too many buckets for an unsigned number of 64 bits";
                let hint = "`step 2` or more, no `step` at all, or `count … by` for each value";
                return Err(Diagnostic::at(&value.span, message).hint(hint));
            }
            Ir::raw(operation, number.ir, Ir::Const(step))
        }
    };
    tally(asm, value, &ir)?;
    Ok(Key {
        expr: typed(compiler, value).into(),
        ty: ty.into(),
        kind: Kind::Bucket,
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
