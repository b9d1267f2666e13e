//! Rust's trait objects. The vtable beside the address identifies the concrete type.

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::Implementer;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::{Arm, Field, Node, PointerNode, VariantsNode};

/// The shape of a pointer to `dyn Trait`. `(pointer, vtable)` are the offsets of its two words.
/// `counts` is the number of bytes before the value, which is aligned after them.
pub(in crate::plan) fn node(
    builder: &mut Builder<'_>,
    name: &str,
    pointer: u64,
    vtable: u64,
    counts: Option<u64>,
    depth: u32,
) -> Option<Node> {
    let plain = Node::Inside(
        pointer,
        Box::new(Node::Pointer(Box::new(PointerNode {
            transparent: false,
            target: Err(Unavailable::Unsupported("the type behind `dyn`".into())),
            addend: 0,
            vtable: Some(vtable.checked_sub(pointer)?),
        }))),
    );
    let implementers = trait_of(name).map(|of| builder.implementers(of));
    let implementers = implementers.unwrap_or_default();
    if implementers.is_empty() {
        return Some(plain);
    }
    let mut arms = vec![Arm {
        line: None,
        name: "0".into(),
        values: Vec::new(),
        fields: vec![Field {
            name: "0".into(),
            offset: 0,
            node: plain,
        }],
    }];
    for Implementer { ty, tables, align } in implementers {
        let target = builder.block(ty, depth);
        let addend = match counts {
            Some(counts) => i64::try_from(counts.checked_next_multiple_of(align)?).ok()?,
            None => 0,
        };
        let concrete = Node::Pointer(Box::new(PointerNode {
            transparent: !name.starts_with('*'),
            target,
            addend,
            vtable: None,
        }));
        arms.push(Arm {
            line: None,
            name: "0".into(),
            values: tables
                .iter()
                .map(|table| (u128::from(table.0), u128::from(table.0)))
                .collect(),
            fields: vec![Field {
                name: "0".into(),
                offset: pointer,
                node: concrete,
            }],
        });
    }
    Some(Node::Variants(Box::new(VariantsNode {
        name: "dyn".into(),
        tag: Some((vtable, 8)),
        arms,
        transparent: true,
        adds: true,
        of_addresses: true,
    })))
}

/// The trait in `&dyn Trait`, `Box<dyn Trait + Send, A>` and the like.
fn trait_of(name: &str) -> Option<&str> {
    let (_, rest) = name.split_once("dyn ")?;
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if rest.get(..at).is_some_and(|text| text.ends_with('-')) => {}
            '>' | ')' | ']' | ',' | '+' if depth == 0 => {
                return rest.get(..at).map(str::trim);
            }
            '>' | ')' | ']' => depth -= 1,
            _ => {}
        }
    }
    Some(rest.trim())
}

#[cfg(test)]
mod tests {
    use super::trait_of;

    #[test]
    fn trait_of_pointers_is_the_first_without_what_is_around() {
        assert_eq!(trait_of("&dyn a::Speak"), Some("a::Speak"));
        assert_eq!(
            trait_of("alloc::boxed::Box<dyn core::error::Error + core::marker::Send, A>"),
            Some("core::error::Error")
        );
        assert_eq!(
            trait_of("Box<dyn F<(fn(u8) -> u8), Output=u32>, A>"),
            Some("F<(fn(u8) -> u8), Output=u32>")
        );
        assert_eq!(trait_of("&u8"), None);
    }
}
