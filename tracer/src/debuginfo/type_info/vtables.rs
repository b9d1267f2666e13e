//! Virtual tables of Rust's trait objects, and the types that they belong to.
//!
//! rustc describes every table as a static `<Type as Trait>::{vtable}` whose
//! type names the concrete type.

use crate::base::address::LinkAddr;
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::Dies;
use crate::debuginfo::dwarf::name_lookup::index_of_names;
use crate::debuginfo::model::types::{Implementer, TypeSource as _};
use crate::debuginfo::module::Module;

/// Tables of one module that are read.
const MAX_TABLES: usize = 1 << 16;
/// Offset in a table of size and alignment, after the pointer to the destructor.
const SIZE_AT: u64 = 8;

/// Returns the types that implement a trait; see
/// [`crate::debuginfo::model::types::TypeSource::implementers`].
pub(in crate::debuginfo) fn implementers(
    module: &Module,
    of: &str,
    most: usize,
) -> Vec<Implementer> {
    let dies = module.dies();
    let index = index_of_names(&dies);
    let suffix = format!(" as {}>::{{vtable}}", without_bindings(of));
    let mut found: Vec<Implementer> = Vec::new();
    for id in index.vtables.iter().take(MAX_TABLES) {
        let Some((implementer, address)) = table(module, &dies, *id, &suffix) else {
            continue;
        };
        let known = found.iter_mut().find(|known| known.ty == implementer.ty);
        if let Some(known) = known {
            known.tables.push(address);
        } else if found.len() < most {
            found.push(implementer);
        } else {
            return Vec::new();
        }
    }
    found
}

/// Returns the type of one table of the trait, and the table's address.
fn table<'a>(
    module: &'a Module,
    dies: &Dies<'a>,
    id: DieId,
    suffix: &str,
) -> Option<(Implementer, LinkAddr)> {
    let die = dies.die(id)?;
    if !dies.name(&die)?.ends_with(suffix) {
        return None;
    }
    let shape = dies.die(dies.type_of(&die)?)?;
    let ty = dies
        .reference(&shape, gimli::DW_AT_containing_type)?
        .as_type();
    let location = die.attr(gimli::DW_AT_location)?.exprloc_value()?;
    let mut operations = location.operations(die.unit.unit.encoding());
    let address = match operations.next().ok()?? {
        gimli::Operation::Address { address } => LinkAddr(address),
        gimli::Operation::AddressIndex { index } => {
            let dwarf = dies.dwarf_of(&die)?;
            LinkAddr(dwarf.address(&die.unit.unit, index).ok()?)
        }
        _ => return None,
    };
    let number = |offset: u64| {
        let at = LinkAddr(address.0.checked_add(offset)?);
        let bytes = module.initial_bytes(at, 8)?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    };
    let (size, align) = (number(SIZE_AT)?, number(SIZE_AT + 8)?);
    // The table contains the size of its values. A table that contradicts the type is ignored.
    let fits = align.is_power_of_two() && module.type_of(ty).size == Some(size);
    let tables = vec![address];
    fits.then_some((Implementer { ty, tables, align }, address))
}

/// Returns a trait without the associated types that a trait object names: `Fn<(u32)>` for
/// `Fn<(u32), Output=u32>`.
fn without_bindings(name: &str) -> String {
    let Some((path, arguments)) = name.split_once('<') else {
        return name.to_owned();
    };
    let arguments = arguments.strip_suffix('>').unwrap_or(arguments);
    let (mut depth, mut from, mut kept) = (0_usize, 0, Vec::new());
    let ends = arguments
        .char_indices()
        .chain(std::iter::once((arguments.len(), ',')));
    for (at, c) in ends {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' if !arguments.get(..at).is_some_and(|text| text.ends_with('-')) => {
                depth = depth.saturating_sub(1);
            }
            ',' if depth == 0 => {
                let argument = arguments.get(from..at).unwrap_or_default().trim();
                if !is_binding(argument) {
                    kept.push(argument);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
    if kept.is_empty() {
        return path.to_owned();
    }
    format!("{path}<{}>", kept.join(", "))
}

/// Returns true for `Name=…`.
fn is_binding(argument: &str) -> bool {
    argument.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trait_with_bindings_loses_them_alone() {
        assert_eq!(without_bindings("a::Speak"), "a::Speak");
        assert_eq!(without_bindings("Fn<(u32), Output=u32>"), "Fn<(u32)>");
        assert_eq!(without_bindings("Iterator<Item=Vec<u8, A>>"), "Iterator");
        assert_eq!(without_bindings("T<fn(u8) -> u8, X>"), "T<fn(u8) -> u8, X>");
    }
}
