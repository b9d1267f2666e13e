//! The operations of locations that leave an operand: constants, arithmetic, registers, reads.

use gimli::{AttributeValue, Operation};

use super::symbolic::{OperandType, SymbolicOperand, add, binary, normalise, then, typed};
use super::{
    Completion, EvaluationState, LocationEvaluator, Result, missing, underflow, unknown, visible,
};
use crate::base::address::LinkAddr;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::dwarf::die_id::{DieId, SectionKey};
use crate::debuginfo::dwarf::dies::Slice;
use crate::debuginfo::model::place::{Binary, LocationExpr, Term};

impl<'a> LocationEvaluator<'_, '_, 'a> {
    pub(super) fn operation(
        &self,
        run: &mut EvaluationState<'a>,
        operation: Operation<Slice<'a>>,
    ) -> Result<()> {
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
            Operation::UnsignedConstant { value } => run.push(SymbolicOperand::constant(value))?,
            Operation::SignedConstant { value } => {
                run.push(SymbolicOperand::constant(value as u64))?
            }
            Operation::PlusConstant { value } => {
                let top = run.pop()?;
                let sum = typed(
                    top.clone(),
                    SymbolicOperand {
                        kind: top.kind,
                        ..SymbolicOperand::constant(value)
                    },
                    Binary::Add,
                )?;
                run.push(sum)?;
            }
            Operation::Register { register } => run.complete = Some(Completion::Register(register)),
            Operation::ImplicitValue { data } => run.complete = Some(Completion::Bytes(data)),
            Operation::StackValue => run.complete = Some(Completion::Value),
            Operation::ImplicitPointer { value, byte_offset } => {
                let section = SectionKey {
                    file: self.unit.section.file,
                    types: false,
                };
                let id = DieId::new(section, value.0 as u64);
                run.complete = Some(Completion::Pointer(id, byte_offset));
            }
            other => return self.arithmetic(run, other),
        }
        Ok(())
    }

    fn arithmetic(
        &self,
        run: &mut EvaluationState<'a>,
        operation: Operation<Slice<'a>>,
    ) -> Result<()> {
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

    /// Runs the operations that push the values of registers, memory or other entries.
    fn leaf(&self, run: &mut EvaluationState<'a>, operation: Operation<Slice<'a>>) -> Result<()> {
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
                SymbolicOperand::generic(add(self.frame_base()?, offset as u64)?)
            }
            Operation::CallFrameCFA => {
                SymbolicOperand::generic((self.context.cfa)(&self.deeper(&self.unit)?)?)
            }
            Operation::Address { address } => self.object(address)?,
            Operation::AddressIndex { index } => self.object(self.indexed(index)?)?,
            Operation::ConstantIndex { index } => SymbolicOperand::constant(self.indexed(index)?),
            Operation::TLS => SymbolicOperand::generic(then(run.pop()?.expr, Term::Tls)?),
            Operation::TypedLiteral { base_type, value } => self.literal(base_type, value)?,
            Operation::Convert { base_type } => self.convert(run.pop()?, base_type)?,
            Operation::Reinterpret { base_type } => {
                let kind = self.kind(base_type)?;
                let top = run.pop()?;
                SymbolicOperand {
                    expr: normalise(top.expr, kind)?,
                    kind,
                }
            }
            Operation::Call { offset } => return self.call(run, offset),
            Operation::VariableValue { offset } => {
                let section = SectionKey {
                    file: self.unit.section.file,
                    types: false,
                };
                let id = DieId::new(section, offset.0 as u64);
                SymbolicOperand::generic(self.value_of(id)?)
            }
            Operation::EntryValue { expression } => self.entry_value(expression)?,
            Operation::ParameterRef { offset } => self.parameter(offset)?,
            other => return Err(Unavailable::Unsupported(name_of(&other).to_owned())),
        };
        run.push(operand)
    }

    fn deref(
        &self,
        top: SymbolicOperand,
        base_type: gimli::UnitOffset,
        size: u8,
    ) -> Result<SymbolicOperand> {
        if !(1..=8).contains(&size) {
            return Err(Unavailable::Unsupported(format!(
                "a read of {size} bytes in a location"
            )));
        }
        let kind = self.kind(base_type)?;
        let read = then(top.expr, Term::Deref(size))?;
        let expr = match kind {
            OperandType::Int { signed: true, .. } => normalise(read, kind)?,
            _ => read,
        };
        Ok(SymbolicOperand { expr, kind })
    }

    fn register_offset(
        &self,
        register: gimli::Register,
        offset: i64,
        base_type: gimli::UnitOffset,
    ) -> Result<SymbolicOperand> {
        let term = Term::Register(visible(register)?);
        let kind = self.kind(base_type)?;
        let expr = add(normalise(LocationExpr(vec![term]), kind)?, offset as u64)?;
        Ok(SymbolicOperand { expr, kind })
    }

    /// Returns the address of a static. A linker that drops an object leaves 0 or an address
    /// outside of all sections in its debug information. Such an address is refused.
    fn object(&self, address: u64) -> Result<SymbolicOperand> {
        if self.context.dies.files.is_dropped(LinkAddr(address)) {
            return Err(Unavailable::OptimisedOut);
        }
        Ok(SymbolicOperand::generic(LocationExpr(vec![Term::Address(
            LinkAddr(address),
        )])))
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

    /// Returns the type of a base type entry. Offset 0 is the generic type.
    pub(super) fn kind(&self, base_type: gimli::UnitOffset) -> Result<OperandType> {
        if base_type.0 == 0 {
            return Ok(OperandType::Generic);
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
            (gimli::DW_ATE_float, Some(4 | 8)) => Ok(OperandType::Opaque),
            (gimli::DW_ATE_float, _) => Err(Unavailable::Unsupported(
                "a wide float in a location".to_owned(),
            )),
            (_, Some(size @ 1..=8)) => Ok(OperandType::Int { signed, size }),
            _ => Err(Unavailable::Unsupported(
                "a wide integer in a location".to_owned(),
            )),
        }
    }

    fn literal(&self, base_type: gimli::UnitOffset, value: Slice<'a>) -> Result<SymbolicOperand> {
        let kind = self.kind(base_type)?;
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(value.slice()) {
            *to = *from;
        }
        let expr = LocationExpr(vec![Term::Const(u64::from_le_bytes(bytes))]);
        Ok(SymbolicOperand {
            expr: normalise(expr, kind)?,
            kind,
        })
    }

    fn convert(
        &self,
        top: SymbolicOperand,
        base_type: gimli::UnitOffset,
    ) -> Result<SymbolicOperand> {
        let kind = self.kind(base_type)?;
        if top.kind == kind {
            return Ok(top);
        }
        if kind == OperandType::Opaque || top.kind == OperandType::Opaque {
            let why = "floating-point arithmetic in a location".to_owned();
            return Err(Unavailable::Unsupported(why));
        }
        Ok(SymbolicOperand {
            expr: normalise(top.expr, kind)?,
            kind,
        })
    }
}

/// Computes the absolute value, negation or complement.
fn unary(top: SymbolicOperand, operation: &Operation<Slice<'_>>) -> Result<SymbolicOperand> {
    let kind = top.kind;
    if kind == OperandType::Opaque {
        let why = "floating-point arithmetic in a location".to_owned();
        return Err(Unavailable::Unsupported(why));
    }
    let number = |value: u64| LocationExpr(vec![Term::Const(value)]);
    let expr = match operation {
        Operation::Neg => binary(number(0), top.expr, Binary::Sub)?,
        Operation::Not => binary(top.expr, number(u64::MAX), Binary::Xor)?,
        // |x| = (x ^ s) - s, where s is all ones for a negative x.
        _ if matches!(kind, OperandType::Int { signed: false, .. }) => top.expr,
        _ => {
            let sign = binary(top.expr.clone(), number(63), Binary::Sar)?;
            let flipped = binary(top.expr, sign.clone(), Binary::Xor)?;
            binary(flipped, sign, Binary::Sub)?
        }
    };
    Ok(SymbolicOperand {
        expr: normalise(expr, kind)?,
        kind,
    })
}

fn name_of(operation: &Operation<Slice<'_>>) -> &'static str {
    match operation {
        Operation::PushObjectAddress => "DW_OP_push_object_address",
        Operation::Deref { .. } => "DW_OP_xderef",
        _ => "an operation for another machine",
    }
}
