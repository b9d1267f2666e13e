//! The arguments of USDT probes as variables: `$arg1`, `$arg2` and so on.
//!
//! An operand that is not understood, or that has no place at a hit, is a variable without a place.

use crate::arch::{AssemblerOperand, MemorySum, SymbolReference, parse_operand};
use crate::base::address::LinkAddr;
use crate::base::unavailable::Unavailable;
use crate::base::visible::Visible;
use crate::debuginfo::file::symbols::SymbolKind;
use crate::debuginfo::model::place::{Binary, LocationExpr, PieceSource, Place, Register, Term};
use crate::debuginfo::model::site::Site;
use crate::debuginfo::model::types::{Language, Type, TypeId, TypeKind};
use crate::debuginfo::model::usdt::{UsdtArgument, UsdtType};
use crate::debuginfo::model::variable::{Variable, VariableKind};
use crate::debuginfo::module::Module;

/// Most bytes of a number that a register or an immediate has.
const NUMBER_BYTES: u8 = 8;
/// Reason for an argument whose bytes are not known.
const UNSIZED: &str = "an argument without a known size";
/// Bytes of an operand that a message shows.
const SHOWN_BYTES: usize = 64;

impl Module {
    /// Returns the arguments of a site's USDT probe. The list is empty if it has none, or if the
    /// site is not one of a USDT probe.
    #[must_use]
    pub fn usdt_arguments(&self, site: &Site) -> Vec<Variable> {
        let arguments = site.usdt.iter().flat_map(|probe| &probe.arguments);
        let mut variables = Vec::new();
        for (number, argument) in (1_usize..).zip(arguments) {
            let Some(ty) = self.type_of_argument(argument) else {
                continue;
            };
            variables.push(Variable {
                name: format!("$arg{number}"),
                ty,
                kind: VariableKind::Parameter,
                place: self.place_of_argument(argument),
                line: 0,
                counts: Vec::new(),
                shadow: 1,
            });
        }
        variables
    }

    fn type_of_argument(&self, argument: &UsdtArgument) -> Option<TypeId> {
        let Some(ty) = argument.ty else {
            let why = match argument.operand.is_empty() {
                true => "an argument on which two notes disagree",
                false => UNSIZED,
            };
            return self.caches.types.make(Type {
                name: "?".to_owned(),
                size: None,
                language: Language::C,
                kind: TypeKind::Unsupported(why.to_owned()),
            });
        };
        self.caches.types.make(Type {
            name: ty.to_string(),
            size: Some(ty.size().into()),
            language: Language::C,
            kind: match ty {
                UsdtType::Signed(_) => TypeKind::Int { signed: true },
                UsdtType::Unsigned(_) => TypeKind::Int { signed: false },
                UsdtType::Float(_) => TypeKind::Float,
            },
        })
    }

    fn place_of_argument(&self, argument: &UsdtArgument) -> Place {
        match self.source_of_argument(argument) {
            Ok(source) => Place::whole(source),
            Err(why) => Place::unavailable(why),
        }
    }

    fn source_of_argument(&self, argument: &UsdtArgument) -> Result<PieceSource, Unavailable> {
        let UsdtArgument { ty, operand } = argument;
        let size = ty.ok_or_else(|| bad(UNSIZED))?.size();
        let is_float = matches!(ty, Some(UsdtType::Float(_)));
        let unknown = || {
            let shown = operand.get(..SHOWN_BYTES).unwrap_or(operand);
            Unavailable::Unsupported(format!("the operand `{}`", Visible(shown)))
        };
        match parse_operand(operand).ok_or_else(unknown)? {
            AssemblerOperand::Memory(memory) => Ok(PieceSource::Memory(self.address_of(&memory)?)),
            AssemblerOperand::NotCaptured(name) => Err(Unavailable::Register(name.to_owned())),
            // No compiler passes a float so.
            AssemblerOperand::Immediate { .. } | AssemblerOperand::Register { .. } if is_float => {
                Err(unknown())
            }
            AssemblerOperand::Immediate {
                symbol: None,
                value,
            } => constant(value, size),
            AssemblerOperand::Immediate {
                symbol: Some(symbol),
                value,
            } if size <= NUMBER_BYTES => {
                let mut sum = self.symbol_terms(symbol)?;
                sum.extend(plus(value));
                Ok(PieceSource::Value(LocationExpr(sum)))
            }
            AssemblerOperand::Register {
                number,
                shift,
                size: width,
            } if size <= width => {
                let register = Register(number);
                Ok(match shift {
                    0 => PieceSource::Register(register),
                    shift => PieceSource::Value(LocationExpr(vec![
                        Term::Register(register),
                        Term::Const(shift.into()),
                        Term::Binary(Binary::Shr),
                    ])),
                })
            }
            AssemblerOperand::Immediate { .. } | AssemblerOperand::Register { .. } => {
                Err(bad(&format!("{size} bytes in `{}`", Visible(operand))))
            }
        }
    }

    /// The address of memory.
    fn address_of(&self, memory: &MemorySum<'_>) -> Result<LocationExpr, Unavailable> {
        let mut sum = match memory.symbol {
            Some(symbol) => self.symbol_terms(symbol)?,
            None => Vec::new(),
        };
        let mut add = |terms: &[Term]| {
            let is_first = sum.is_empty();
            sum.extend(terms);
            if !is_first {
                sum.push(Term::Binary(Binary::Add));
            }
        };
        if memory.of_thread {
            add(&[Term::ThreadPointer]);
        }
        if let Some(base) = memory.base {
            add(&[Term::Register(Register(base))]);
        }
        if let Some(index) = memory.index {
            add(&[
                Term::Register(Register(index.register)),
                Term::Const(index.scale.into()),
                Term::Binary(Binary::Mul),
            ]);
        }
        if sum.is_empty() {
            return match self.position_independent() {
                // The loader does not adjust the number of a note.
                true => Err(bad("a fixed address in a file that is loaded anywhere")),
                false => Ok(LocationExpr(vec![Term::Const(
                    memory.displacement.cast_unsigned(),
                )])),
            };
        }
        sum.extend(plus(memory.displacement));
        Ok(LocationExpr(sum))
    }

    /// The address of a symbol, or its distance from the thread pointer.
    fn symbol_terms(&self, symbol: SymbolReference<'_>) -> Result<Vec<Term>, Unavailable> {
        let SymbolReference { name, of_thread } = symbol;
        let mut found: Option<LinkAddr> = None;
        for candidate in self.symbols() {
            let is_of_thread = candidate.kind == SymbolKind::Tls;
            if is_of_thread != of_thread || candidate.unversioned() != name.as_bytes() {
                continue;
            }
            if found.is_some_and(|found| found != candidate.address) {
                let shown = name.get(..SHOWN_BYTES).unwrap_or(name);
                let which = format!("several symbols are named `{}`", Visible(shown));
                return Err(Unavailable::Several(which));
            }
            found = Some(candidate.address);
        }
        let Some(address) = found else {
            let shown = name.get(..SHOWN_BYTES).unwrap_or(name);
            return Err(Unavailable::Unsupported(format!(
                "the place of `{}`, which the file's symbols do not have",
                Visible(shown)
            )));
        };
        Ok(match of_thread {
            false => vec![Term::Address(address)],
            true => vec![
                Term::Const(address.0),
                Term::Tls,
                Term::ThreadPointer,
                Term::Binary(Binary::Sub),
            ],
        })
    }
}

/// Terms that add a constant.
fn plus(number: i64) -> Vec<Term> {
    match number {
        0 => Vec::new(),
        number => vec![
            Term::Const(number.cast_unsigned()),
            Term::Binary(Binary::Add),
        ],
    }
}

/// The bytes of a constant. The assembler writes large unsigned numbers as negative ones too.
fn constant(value: i64, size: u8) -> Result<PieceSource, Unavailable> {
    let bits = u32::from(size) * 8;
    let fits = bits >= i64::BITS || {
        let (lowest, highest) = (-(1_i64 << (bits - 1)), 1_i64 << bits);
        (lowest..highest).contains(&value)
    };
    if !fits || size > NUMBER_BYTES {
        return Err(bad(&format!("the number {value} in {size} bytes")));
    }
    let bytes = value.to_le_bytes();
    let bytes = bytes.get(..usize::from(size)).unwrap_or(&bytes);
    Ok(PieceSource::Bytes(bytes.to_vec()))
}

fn bad(what: &str) -> Unavailable {
    Unavailable::BadDebugInfo(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_have_the_bytes_of_their_size() {
        for (value, size, wanted) in [
            (5, 1, &[5][..]),
            (-1, 4, &[0xff; 4]),
            (255, 1, &[255]),
            (-128, 1, &[128]),
            (0x1234, 2, &[0x34, 0x12]),
            (-2, 8, &[0xfe, 255, 255, 255, 255, 255, 255, 255]),
        ] {
            let bytes = PieceSource::Bytes(wanted.to_vec());
            assert_eq!(constant(value, size), Ok(bytes), "{value} in {size}");
        }
        for (value, size) in [(256, 1), (-129, 1), (1 << 32, 4), (5, 16)] {
            assert!(constant(value, size).is_err(), "{value} in {size}");
        }
    }
}
