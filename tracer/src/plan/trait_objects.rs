//! Shapes of Rust's trait objects: the concrete type is told by the virtual
//! table that stands beside the address.

use super::build::Builder;
use super::shape::{Arm, Field, Node, PointerNode, VariantsNode};
use crate::unavailable::Unavailable;

/// The shape of a pointer to `dyn Trait`; `(pointer, vtable)` are the offsets
/// of its two words, `counts` the bytes of what stands before the value, which
/// itself is aligned behind that.
pub(super) fn node(
    builder: &mut Builder<'_>,
    name: &str,
    (pointer, vtable): (u64, u64),
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
        name: "0".into(),
        values: Vec::new(),
        fields: vec![Field {
            name: "0".into(),
            offset: 0,
            node: plain,
        }],
    }];
    for (ty, tables, align) in implementers {
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
            name: "0".into(),
            values: tables
                .iter()
                .map(|table| (u128::from(*table), u128::from(*table)))
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
