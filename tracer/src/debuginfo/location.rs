//! DWARF location descriptions to [`Place`]s, evaluated as far as that is
//! possible without a process.
//!
//! What only the target knows stays in the expression. Total on hostile bytes: steps, stack, depth and
//! length of expressions are bounded.

mod branch;
mod entry_value;
pub(super) mod symbolic;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use gimli::{AttributeValue, Operation, Reader as _};

use self::symbolic::{Kind, Operand, add, binary, normalise, then, typed};
use super::dies::{Attr, Die, DieId, Dies, Slice, UnitAt};
use super::place::{Binary, Expr, Piece, Place, Register, Source, Term};
use crate::address::LinkAddr;
use crate::unavailable::Unavailable;

/// Operations of one location, those of called and of other locations included.
const MAX_STEPS: u32 = 4096;
/// Operands on the stack.
const MAX_STACK: usize = 64;
/// Pieces of one location.
const MAX_PIECES: usize = 256;
/// Locations within locations (`DW_OP_call*`, implicit pointers, frame base).
const MAX_DEPTH: u32 = 8;
/// The last DWARF register that the kernel hands to eBPF (x86-64: the instruction pointer).
const LAST_REGISTER: u16 = 16;
/// Stands for the address of the object in a member's location.
pub(super) const OBJECT: Term = Term::Register(Register(u8::MAX));

type Result<T> = std::result::Result<T, Unavailable>;

/// What a location may refer to beside its own bytes.
pub(super) struct Context<'c, 'a> {
    /// Entries, for locations that refer to others.
    pub(super) dies: &'c Dies<'a>,
    /// Link address of the site.
    pub(super) address: u64,
    /// The function that has a frame at the site (inlined copies have none).
    pub(super) function: Option<&'c Die<'a>>,
    /// The canonical frame address at the site.
    pub(super) cfa: &'c dyn Fn(&Evaluator<'_, '_, 'a>) -> Result<Expr>,
}

impl<'c, 'a> Context<'c, 'a> {
    /// For what does not depend on a site.
    pub(super) fn without_frame(dies: &'c Dies<'a>) -> Self {
        Self {
            dies,
            address: 0,
            function: None,
            cfa: &|_| Err(Unavailable::BadDebugInfo("no frame".to_owned())),
        }
    }
}

/// Evaluates the locations of one unit at one site.
pub(super) struct Evaluator<'e, 'c, 'a> {
    context: &'e Context<'c, 'a>,
    unit: Rc<UnitAt<'a>>,
    steps: &'e std::cell::Cell<u32>,
    depth: u32,
}

/// Evaluates the attribute `value` of `die` (`DW_AT_location`, `DW_AT_frame_base`, …).
pub(super) fn place_of<'a>(context: &Context<'_, 'a>, die: &Die<'a>, value: Attr<'a>) -> Place {
    let steps = std::cell::Cell::new(MAX_STEPS);
    let evaluator = Evaluator {
        context,
        unit: Rc::clone(&die.unit),
        steps: &steps,
        depth: 0,
    };
    evaluator
        .attribute(value)
        .unwrap_or_else(Place::unavailable)
}

/// The expression that a location computes from an address on its stack.
pub(super) fn from_object<'a>(
    context: &Context<'_, 'a>,
    unit: &Rc<UnitAt<'a>>,
    bytecode: gimli::Expression<Slice<'a>>,
    object: Term,
) -> Result<Expr> {
    let steps = std::cell::Cell::new(MAX_STEPS);
    let evaluator = Evaluator {
        context,
        unit: Rc::clone(unit),
        steps: &steps,
        depth: 0,
    };
    let mut run = Run::default();
    run.stack.push(Operand::generic(Expr(vec![object])));
    evaluator.run(bytecode.0, unit.unit.encoding(), &mut run)?;
    run.stack.pop().map(|top| top.expr).ok_or_else(underflow)
}

/// The number that an expression computes without a frame of its own to refer to.
pub(super) fn from_bytecode<'a>(
    dies: &Dies<'a>,
    bytecode: gimli::Expression<Slice<'a>>,
    encoding: gimli::Encoding,
) -> Result<Expr> {
    let mut run = Run::default();
    let context = Context::without_frame(dies);
    let unit = dies.any_unit().ok_or_else(missing)?;
    let steps = std::cell::Cell::new(MAX_STEPS);
    let evaluator = Evaluator {
        context: &context,
        unit,
        steps: &steps,
        depth: 0,
    };
    evaluator.run(bytecode.0, encoding, &mut run)?;
    run.pop().map(|top| top.expr)
}

/// The number that an attribute is, or that its expression computes, at the site.
pub(super) fn number_of<'a>(
    context: &Context<'_, 'a>,
    die: &Die<'a>,
    value: Attr<'a>,
) -> Option<Expr> {
    if let Some(number) = value
        .sdata_value()
        .or_else(|| value.udata_value().map(|n| n as i64))
    {
        return Some(Expr(vec![Term::Const(number as u64)]));
    }
    if let Some(id) = context.dies.resolve(&die.unit, value) {
        let steps = std::cell::Cell::new(MAX_STEPS);
        let evaluator = Evaluator {
            context,
            unit: Rc::clone(&die.unit),
            steps: &steps,
            depth: 0,
        };
        return evaluator.value_of(id).ok();
    }
    match place_of(context, die, value).pieces.as_slice() {
        // The attribute is an expression whose result is the number itself.
        [
            Piece {
                source: Source::Memory(expr) | Source::Value(expr),
                ..
            },
        ] => Some(expr.clone()),
        [
            Piece {
                source: Source::Register(register),
                ..
            },
        ] => Some(Expr(vec![Term::Register(*register)])),
        _ => None,
    }
}

/// State of one evaluation.
#[derive(Default)]
struct Run<'a> {
    stack: Vec<Operand>,
    /// What a completing operation said of the piece.
    complete: Option<Complete<'a>>,
    pieces: Vec<Piece>,
    depth: u32,
    /// Conditions on the way here that only the target can decide.
    forks: u32,
}

enum Complete<'a> {
    Register(gimli::Register),
    Bytes(Slice<'a>),
    Value,
    Pointer(DieId, i64),
}

impl<'a> Run<'a> {
    fn push(&mut self, operand: Operand) -> Result<()> {
        if self.stack.len() >= MAX_STACK {
            return Err(Unavailable::Unsupported(
                "a location this complex".to_owned(),
            ));
        }
        self.stack.push(operand);
        Ok(())
    }

    fn pop(&mut self) -> Result<Operand> {
        self.stack.pop().ok_or_else(underflow)
    }
}

impl<'a> Evaluator<'_, '_, 'a> {
    /// The same for a place that this one refers to.
    fn deeper(&self, unit: &Rc<UnitAt<'a>>) -> Result<Evaluator<'_, '_, 'a>> {
        if self.depth >= MAX_DEPTH {
            return Err(Unavailable::BadDebugInfo(
                "locations that refer to each other".to_owned(),
            ));
        }
        Ok(Evaluator {
            context: self.context,
            unit: Rc::clone(unit),
            steps: self.steps,
            depth: self.depth + 1,
        })
    }

    /// An expression, or the entry of a location list that holds at the site.
    fn attribute(&self, value: Attr<'a>) -> Result<Place> {
        if let Some(expression) = value.exprloc_value() {
            return self.place(expression);
        }
        match self.listed(value)? {
            Some(expression) => self.place(expression),
            None => Ok(Place::unavailable(Unavailable::OptimisedOut)),
        }
    }

    fn listed(&self, value: Attr<'a>) -> Result<Option<gimli::Expression<Slice<'a>>>> {
        let bad = |error: gimli::Error| Unavailable::BadDebugInfo(error.to_string());
        let file = self.unit.section.file;
        let dwarf = self.context.dies.dwarf(file).ok_or_else(missing)?;
        let Some(mut list) = dwarf.attr_locations(&self.unit.unit, value).map_err(bad)? else {
            return Err(Unavailable::Unsupported(
                "this form of a location".to_owned(),
            ));
        };
        let address = self.context.address;
        while let Some(entry) = list.next().map_err(bad)? {
            if !self.context.dies.spend() {
                let why = "location lists without end".to_owned();
                return Err(Unavailable::BadDebugInfo(why));
            }
            if entry.range.begin <= address && address < entry.range.end {
                return Ok(Some(entry.data));
            }
        }
        Ok(None)
    }

    /// Evaluates a whole location description.
    pub(super) fn place(&self, bytecode: gimli::Expression<Slice<'a>>) -> Result<Place> {
        let mut run = Run::default();
        if bytecode.0.is_empty() {
            return Ok(Place::unavailable(Unavailable::OptimisedOut));
        }
        self.run(bytecode.0, self.unit.unit.encoding(), &mut run)?;
        if !run.pieces.is_empty() {
            return Ok(Place { pieces: run.pieces });
        }
        let source = self.source(&mut run)?;
        Ok(Place::whole(source))
    }

    /// Evaluates an expression that leaves an address or number.
    pub(super) fn expr(
        &self,
        bytecode: gimli::Expression<Slice<'a>>,
        encoding: gimli::Encoding,
    ) -> Result<Expr> {
        let mut run = Run::default();
        self.run(bytecode.0, encoding, &mut run)?;
        run.pop().map(|top| top.expr)
    }

    fn step(&self) -> Result<()> {
        let left = self.steps.get().checked_sub(1);
        let left = left
            .ok_or_else(|| Unavailable::BadDebugInfo("a location that does not end".to_owned()))?;
        self.steps.set(left);
        Ok(())
    }

    /// Runs all operations; pieces that cannot be had do not cost the others.
    fn run(&self, code: Slice<'a>, encoding: gimli::Encoding, run: &mut Run<'a>) -> Result<()> {
        self.run_from(code, code, encoding, run)
    }

    /// The same for what is left of them.
    fn run_from(
        &self,
        code: Slice<'a>,
        mut rest: Slice<'a>,
        encoding: gimli::Encoding,
        run: &mut Run<'a>,
    ) -> Result<()> {
        while !rest.is_empty() {
            self.step()?;
            let operation = Operation::parse(&mut rest, encoding).map_err(unknown)?;
            let done = match operation {
                Operation::Skip { target } => jump(code, &mut rest, target),
                Operation::Bra { target } => {
                    match self.branch(run, code, &mut rest, target, encoding) {
                        Ok(true) => return Ok(()),
                        Ok(false) => Ok(()),
                        Err(why) => Err(why),
                    }
                }
                Operation::Piece {
                    size_in_bits,
                    bit_offset,
                } => self.piece(run, size_in_bits, bit_offset),
                other => self.operation(run, other),
            };
            if let Err(why) = done {
                self.lost_piece(run, why, &mut rest, encoding)?;
            }
        }
        Ok(())
    }

    /// Goes on behind the piece that could not be had; fails when there are no pieces.
    fn lost_piece(
        &self,
        run: &mut Run<'a>,
        why: Unavailable,
        rest: &mut Slice<'a>,
        encoding: gimli::Encoding,
    ) -> Result<()> {
        while !rest.is_empty() {
            self.step()?;
            let operation = Operation::parse(rest, encoding).map_err(unknown)?;
            if let Operation::Piece { size_in_bits, .. } = operation
                && size_in_bits.is_multiple_of(8)
                && run.pieces.len() < MAX_PIECES
            {
                run.stack.clear();
                run.complete = None;
                run.pieces.push(Piece {
                    size: Some(size_in_bits / 8),
                    source: Source::Unavailable(why),
                });
                return Ok(());
            }
        }
        Err(why)
    }

    fn operation(&self, run: &mut Run<'a>, operation: Operation<Slice<'a>>) -> Result<()> {
        match operation {
            Operation::Drop => drop(run.pop()?),
            Operation::Pick { index } => {
                let from_top = run.stack.len().checked_sub(usize::from(index) + 1);
                let picked = from_top.and_then(|at| run.stack.get(at)).cloned();
                run.push(picked.ok_or_else(underflow)?)?;
            }
            Operation::Swap => {
                let (top, second) = (run.pop()?, run.pop()?);
                run.stack.extend([top, second]);
            }
            Operation::Rot => {
                let (top, second, third) = (run.pop()?, run.pop()?, run.pop()?);
                run.stack.extend([top, third, second]);
            }
            Operation::Nop | Operation::Uninitialized => {}
            Operation::UnsignedConstant { value } => run.push(Operand::constant(value))?,
            Operation::SignedConstant { value } => run.push(Operand::constant(value as u64))?,
            Operation::PlusConstant { value } => {
                let top = run.pop()?;
                let sum = typed(
                    top.clone(),
                    Operand {
                        kind: top.kind,
                        ..Operand::constant(value)
                    },
                    Binary::Add,
                )?;
                run.push(sum)?;
            }
            Operation::Register { register } => run.complete = Some(Complete::Register(register)),
            Operation::ImplicitValue { data } => run.complete = Some(Complete::Bytes(data)),
            Operation::StackValue => run.complete = Some(Complete::Value),
            Operation::ImplicitPointer { value, byte_offset } => {
                let section = super::dies::SectionKey {
                    file: self.unit.section.file,
                    types: false,
                };
                let id = DieId::new(section, value.0 as u64);
                run.complete = Some(Complete::Pointer(id, byte_offset));
            }
            other => return self.arithmetic(run, other),
        }
        Ok(())
    }

    fn arithmetic(&self, run: &mut Run<'a>, operation: Operation<Slice<'a>>) -> Result<()> {
        let op = match operation {
            Operation::And => Binary::And,
            Operation::Or => Binary::Or,
            Operation::Xor => Binary::Xor,
            Operation::Plus => Binary::Add,
            Operation::Minus => Binary::Sub,
            Operation::Mul => Binary::Mul,
            Operation::Div => Binary::Div,
            Operation::Mod => Binary::Mod,
            Operation::Shl => Binary::Shl,
            Operation::Shr => Binary::Shr,
            Operation::Shra => Binary::Sar,
            Operation::Eq => Binary::Eq,
            Operation::Ne => Binary::Ne,
            Operation::Lt => Binary::Lt,
            Operation::Le => Binary::Le,
            Operation::Gt => Binary::Gt,
            Operation::Ge => Binary::Ge,
            Operation::Abs | Operation::Neg | Operation::Not => {
                let top = run.pop()?;
                return run.push(unary(top, &operation)?);
            }
            other => return self.leaf(run, other),
        };
        let (right, left) = (run.pop()?, run.pop()?);
        run.push(typed(left, right, op)?)
    }

    /// Operations that push what registers, memory or other entries hold.
    fn leaf(&self, run: &mut Run<'a>, operation: Operation<Slice<'a>>) -> Result<()> {
        let operand = match operation {
            Operation::Deref {
                base_type,
                size,
                space: false,
            } => self.deref(run.pop()?, base_type, size)?,
            Operation::RegisterOffset {
                register,
                offset,
                base_type,
            } => self.register_offset(register, offset, base_type)?,
            Operation::FrameOffset { offset } => {
                Operand::generic(add(self.frame_base()?, offset as u64)?)
            }
            Operation::CallFrameCFA => {
                Operand::generic((self.context.cfa)(&self.deeper(&self.unit)?)?)
            }
            Operation::Address { address } => self.object(address)?,
            Operation::AddressIndex { index } => self.object(self.indexed(index)?)?,
            Operation::ConstantIndex { index } => Operand::constant(self.indexed(index)?),
            Operation::TLS => Operand::generic(then(run.pop()?.expr, Term::Tls)?),
            Operation::TypedLiteral { base_type, value } => self.literal(base_type, value)?,
            Operation::Convert { base_type } => self.convert(run.pop()?, base_type)?,
            Operation::Reinterpret { base_type } => {
                let kind = self.kind(base_type)?;
                let top = run.pop()?;
                Operand {
                    expr: normalise(top.expr, kind)?,
                    kind,
                }
            }
            Operation::Call { offset } => return self.call(run, offset),
            Operation::VariableValue { offset } => {
                let section = super::dies::SectionKey {
                    file: self.unit.section.file,
                    types: false,
                };
                let id = DieId::new(section, offset.0 as u64);
                Operand::generic(self.value_of(id)?)
            }
            Operation::EntryValue { expression } => self.entry_value(expression)?,
            Operation::ParameterRef { offset } => self.parameter(offset)?,
            other => return Err(Unavailable::Unsupported(name_of(&other).to_owned())),
        };
        run.push(operand)
    }

    fn deref(&self, top: Operand, base_type: gimli::UnitOffset, size: u8) -> Result<Operand> {
        if !(1..=8).contains(&size) {
            return Err(Unavailable::Unsupported(format!(
                "a read of {size} bytes in a location"
            )));
        }
        let kind = self.kind(base_type)?;
        let read = then(top.expr, Term::Deref(size))?;
        let expr = match kind {
            Kind::Int { signed: true, .. } => normalise(read, kind)?,
            _ => read,
        };
        Ok(Operand { expr, kind })
    }

    fn register_offset(
        &self,
        register: gimli::Register,
        offset: i64,
        base_type: gimli::UnitOffset,
    ) -> Result<Operand> {
        let term = Term::Register(visible(register)?);
        let kind = self.kind(base_type)?;
        let expr = add(normalise(Expr(vec![term]), kind)?, offset as u64)?;
        Ok(Operand { expr, kind })
    }

    /// The address of a static. A linker that drops an object leaves 0 or another address where
    /// nothing can be in its debug information, which must not pass for the object.
    fn object(&self, address: u64) -> Result<Operand> {
        if self.context.dies.module.is_dropped(LinkAddr(address)) {
            return Err(Unavailable::OptimisedOut);
        }
        Ok(Operand::generic(Expr(vec![Term::Address(LinkAddr(
            address,
        ))])))
    }

    fn indexed(&self, index: gimli::DebugAddrIndex) -> Result<u64> {
        let dwarf = self
            .context
            .dies
            .dwarf(self.unit.section.file)
            .ok_or_else(missing)?;
        dwarf
            .address(&self.unit.unit, index)
            .map_err(|error| Unavailable::BadDebugInfo(error.to_string()))
    }

    /// Type of a base type entry; offset 0 is the generic type.
    fn kind(&self, base_type: gimli::UnitOffset) -> Result<Kind> {
        if base_type.0 == 0 {
            return Ok(Kind::Generic);
        }
        let entry = self.unit.unit.entry(base_type).map_err(unknown)?;
        let size = entry
            .attr_value(gimli::DW_AT_byte_size)
            .and_then(|size| size.udata_value());
        let Some(AttributeValue::Encoding(encoding)) = entry.attr_value(gimli::DW_AT_encoding)
        else {
            return Err(Unavailable::BadDebugInfo(
                "a base type without encoding".to_owned(),
            ));
        };
        let signed = matches!(encoding, gimli::DW_ATE_signed | gimli::DW_ATE_signed_char);
        match (encoding, size.and_then(|size| u8::try_from(size).ok())) {
            (gimli::DW_ATE_float, Some(4 | 8)) => Ok(Kind::Opaque),
            (gimli::DW_ATE_float, _) => Err(Unavailable::Unsupported(
                "a wide float in a location".to_owned(),
            )),
            (_, Some(size @ 1..=8)) => Ok(Kind::Int { signed, size }),
            _ => Err(Unavailable::Unsupported(
                "a wide integer in a location".to_owned(),
            )),
        }
    }

    fn literal(&self, base_type: gimli::UnitOffset, value: Slice<'a>) -> Result<Operand> {
        let kind = self.kind(base_type)?;
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(value.slice()) {
            *to = *from;
        }
        let expr = Expr(vec![Term::Const(u64::from_le_bytes(bytes))]);
        Ok(Operand {
            expr: normalise(expr, kind)?,
            kind,
        })
    }

    fn convert(&self, top: Operand, base_type: gimli::UnitOffset) -> Result<Operand> {
        let kind = self.kind(base_type)?;
        if top.kind == kind {
            return Ok(top);
        }
        if kind == Kind::Opaque || top.kind == Kind::Opaque {
            let why = "floating-point arithmetic in a location".to_owned();
            return Err(Unavailable::Unsupported(why));
        }
        Ok(Operand {
            expr: normalise(top.expr, kind)?,
            kind,
        })
    }

    fn call(&self, run: &mut Run<'a>, target: gimli::DieReference) -> Result<()> {
        let value = match target {
            gimli::DieReference::UnitRef(offset) => AttributeValue::UnitRef(offset),
            gimli::DieReference::DebugInfoRef(offset) => AttributeValue::DebugInfoRef(offset),
        };
        let die = self.context.dies.resolve(&self.unit, value);
        let die = die
            .and_then(|id| self.context.dies.die(id))
            .ok_or_else(missing)?;
        let Some(location) = die.attr(gimli::DW_AT_location) else {
            return Ok(());
        };
        let evaluator = self.deeper(&die.unit)?;
        let code = match location.exprloc_value() {
            Some(code) => Some(code),
            None => evaluator.listed(location)?,
        };
        let Some(code) = code else {
            return Ok(());
        };
        run.depth += 1;
        if run.depth > MAX_DEPTH {
            return Err(Unavailable::BadDebugInfo(
                "locations that refer to each other".to_owned(),
            ));
        }
        let done = evaluator.run(code.0, die.unit.unit.encoding(), run);
        run.depth -= 1;
        done
    }

    /// The address that `DW_OP_fbreg` counts from.
    fn frame_base(&self) -> Result<Expr> {
        let none = || Unavailable::BadDebugInfo("no frame base".to_owned());
        let function = self.context.function.ok_or_else(none)?;
        let value = function.attr(gimli::DW_AT_frame_base).ok_or_else(none)?;
        let place = self.deeper(&function.unit)?.attribute(value)?;
        match place.pieces.into_iter().next().map(|piece| piece.source) {
            Some(Source::Memory(expr) | Source::Value(expr)) => Ok(expr),
            Some(Source::Register(register)) => Ok(Expr(vec![Term::Register(register)])),
            Some(Source::Unavailable(why)) => Err(why),
            _ => Err(none()),
        }
    }

    /// The place of another variable.
    fn place_of_die(&self, id: DieId) -> Result<Place> {
        let die = self.context.dies.die(id).ok_or_else(missing)?;
        let evaluator = self.deeper(&die.unit)?;
        if let Some((owner, value)) = self.context.dies.inherited(&die, gimli::DW_AT_location) {
            return self.deeper(&owner.unit)?.attribute(value);
        }
        match die.attr(gimli::DW_AT_const_value) {
            Some(value) => Ok(Place::whole(constant(value).ok_or_else(missing)?)),
            None => Ok(evaluator.gone()),
        }
    }

    fn gone(&self) -> Place {
        Place::unavailable(Unavailable::OptimisedOut)
    }

    /// The number that another variable holds.
    fn value_of(&self, id: DieId) -> Result<Expr> {
        let place = self.place_of_die(id)?;
        let die = self.context.dies.die(id).ok_or_else(missing)?;
        let kind = self.kind_of_variable(&die).unwrap_or(Kind::Int {
            signed: false,
            size: 8,
        });
        let Kind::Int { size, .. } = kind else {
            return Err(Unavailable::Unsupported(
                "a count that is no integer".to_owned(),
            ));
        };
        let expr = match place.pieces.into_iter().next().map(|piece| piece.source) {
            Some(Source::Memory(expr)) => then(expr, Term::Deref(size))?,
            Some(Source::Value(expr)) => expr,
            Some(Source::Register(register)) => Expr(vec![Term::Register(register)]),
            Some(Source::Bytes(bytes)) => {
                let number = bytes
                    .iter()
                    .rev()
                    .take(8)
                    .fold(0, |n, b| n << 8 | u64::from(*b));
                Expr(vec![Term::Const(number)])
            }
            Some(Source::Unavailable(why)) => return Err(why),
            _ => return Err(Unavailable::OptimisedOut),
        };
        normalise(expr, kind)
    }

    /// Integer type of a variable, through typedefs and qualifiers.
    fn kind_of_variable(&self, die: &Die<'a>) -> Option<Kind> {
        let mut ty = self.context.dies.die(self.context.dies.type_of(die)?)?;
        for _ in 0..MAX_DEPTH {
            if ty.tag() == gimli::DW_TAG_base_type {
                let evaluator = self.deeper(&ty.unit).ok()?;
                return evaluator.kind(ty.entry.offset()).ok();
            }
            ty = self.context.dies.die(self.context.dies.type_of(&ty)?)?;
        }
        None
    }

    fn piece(&self, run: &mut Run<'a>, bits: u64, bit_offset: Option<u64>) -> Result<()> {
        let offset = bit_offset.unwrap_or(0);
        if !bits.is_multiple_of(8) || !offset.is_multiple_of(8) {
            let why = "pieces that are not whole bytes".to_owned();
            return Err(Unavailable::Unsupported(why));
        }
        if run.pieces.len() >= MAX_PIECES {
            return Err(Unavailable::Unsupported(
                "a location this complex".to_owned(),
            ));
        }
        let source = match self.source(run) {
            Ok(source) => shifted(source, offset)?,
            Err(why) => Source::Unavailable(why),
        };
        run.stack.clear();
        run.pieces.push(Piece {
            size: Some(bits / 8),
            source,
        });
        Ok(())
    }

    /// What the operations since the last piece add up to.
    fn source(&self, run: &mut Run<'a>) -> Result<Source> {
        match run.complete.take() {
            Some(Complete::Register(register)) => Ok(Source::Register(visible(register)?)),
            Some(Complete::Bytes(bytes)) => Ok(Source::Bytes(bytes.slice().to_vec())),
            Some(Complete::Value) => Ok(Source::Value(run.pop()?.expr)),
            Some(Complete::Pointer(id, offset)) => {
                let place = self.place_of_die(id).unwrap_or_else(Place::unavailable);
                Ok(Source::ImplicitPointer(Box::new(place), offset))
            }
            None => match run.stack.pop() {
                Some(top) => Ok(Source::Memory(top.expr)),
                None => Ok(Source::Unavailable(Unavailable::OptimisedOut)),
            },
        }
    }
}

/// The bytes of a source from `bits` on.
fn shifted(source: Source, bits: u64) -> Result<Source> {
    if bits == 0 {
        return Ok(source);
    }
    let shift = || Expr(vec![Term::Const(bits)]);
    Ok(match source {
        Source::Memory(expr) => Source::Memory(add(expr, bits / 8)?),
        Source::Register(register) => {
            let whole = Expr(vec![Term::Register(register)]);
            Source::Value(binary(whole, shift(), Binary::Shr)?)
        }
        Source::Value(expr) => Source::Value(binary(expr, shift(), Binary::Shr)?),
        Source::Bytes(bytes) => {
            let from = usize::try_from(bits / 8)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            Source::Bytes(bytes[from..].to_vec())
        }
        other => other,
    })
}

/// Absolute value, negation or complement.
fn unary(top: Operand, operation: &Operation<Slice<'_>>) -> Result<Operand> {
    let kind = top.kind;
    if kind == Kind::Opaque {
        let why = "floating-point arithmetic in a location".to_owned();
        return Err(Unavailable::Unsupported(why));
    }
    let number = |value: u64| Expr(vec![Term::Const(value)]);
    let expr = match operation {
        Operation::Neg => binary(number(0), top.expr, Binary::Sub)?,
        Operation::Not => binary(top.expr, number(u64::MAX), Binary::Xor)?,
        // |x| = (x ^ s) - s, where s is all ones for a negative x.
        _ if matches!(kind, Kind::Int { signed: false, .. }) => top.expr,
        _ => {
            let sign = binary(top.expr.clone(), number(63), Binary::Sar)?;
            let flipped = binary(top.expr, sign.clone(), Binary::Xor)?;
            binary(flipped, sign, Binary::Sub)?
        }
    };
    Ok(Operand {
        expr: normalise(expr, kind)?,
        kind,
    })
}

/// The bytes of a `DW_AT_const_value`, as many as its form has.
pub(super) fn constant(value: Attr<'_>) -> Option<Source> {
    Some(match value {
        AttributeValue::Block(bytes) | AttributeValue::Exprloc(gimli::Expression(bytes)) => {
            Source::Bytes(bytes.slice().to_vec())
        }
        AttributeValue::Data16(number) => Source::Bytes(number.to_le_bytes().to_vec()),
        AttributeValue::Sdata(number) => {
            let sign = if number < 0 { u64::MAX } else { 0 };
            let mut bytes = number.to_le_bytes().to_vec();
            bytes.extend(sign.to_le_bytes());
            Source::Bytes(bytes)
        }
        AttributeValue::Addr(address) => {
            Source::Value(Expr(vec![Term::Address(LinkAddr(address))]))
        }
        other => {
            let mut bytes = other.udata_value()?.to_le_bytes().to_vec();
            bytes.extend([0; 8]);
            Source::Bytes(bytes)
        }
    })
}

/// A register that the kernel hands to eBPF.
pub(super) fn visible(register: gimli::Register) -> Result<Register> {
    if register.0 <= LAST_REGISTER {
        return Ok(Register(register.0 as u8));
    }
    let name = gimli::X86_64::register_name(register);
    let name = name.map_or_else(|| format!("number {}", register.0), str::to_owned);
    Err(Unavailable::Register(name))
}

fn jump<'a>(code: Slice<'a>, rest: &mut Slice<'a>, target: i16) -> Result<()> {
    let bad = || Unavailable::BadDebugInfo("a branch out of a location".to_owned());
    let at = (code.len() as i64 - rest.len() as i64).checked_add(i64::from(target));
    let at = at.and_then(|at| usize::try_from(at).ok()).ok_or_else(bad)?;
    let mut moved = code;
    moved.skip(at).map_err(|_| bad())?;
    *rest = moved;
    Ok(())
}

fn underflow() -> Unavailable {
    Unavailable::BadDebugInfo("a location that takes what it did not give".to_owned())
}

fn missing() -> Unavailable {
    Unavailable::BadDebugInfo("a location that refers to nothing".to_owned())
}

fn unknown(error: gimli::Error) -> Unavailable {
    match error {
        gimli::Error::InvalidExpression(op) => Unavailable::Unsupported(op.to_string()),
        other => Unavailable::BadDebugInfo(other.to_string()),
    }
}

fn name_of(operation: &Operation<Slice<'_>>) -> &'static str {
    match operation {
        Operation::PushObjectAddress => "DW_OP_push_object_address",
        Operation::Deref { .. } => "DW_OP_xderef",
        _ => "an operation for another machine",
    }
}
