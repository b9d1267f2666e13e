//! The bytes that a value needs, and the order in which reads of them are merged.

use crate::plan::ops::spots::{Spot, Spots};
use crate::plan::shape::Node;
use crate::plan::shape::shape_cache::{NumberedShape, Shape};

/// A reference to an object without an address is replaced by the object.
pub(super) fn implicit(spots: Spots, numbered: NumberedShape) -> (Spots, NumberedShape) {
    if let ([(8, Spot::Implicit(object, offset))], Node::Pointer(pointer)) =
        (&spots.0[..], numbered.node())
        && pointer.transparent
        && let Ok(block) = &pointer.target
        && let Some(from) = offset.checked_add(pointer.addend)
        && let Ok(from) = u64::try_from(from)
    {
        let end = block
            .segments
            .iter()
            .map(|segment| segment.offset.saturating_add(segment.len))
            .max()
            .unwrap_or(0);
        let target = NumberedShape {
            first: numbered.first,
            ..NumberedShape::alone(block.node.clone())
        };
        return implicit(object.project(from, end), target);
    }
    (spots, numbered)
}

/// The byte ranges that a shape needs, each with its spot.
pub(super) fn wanted(spots: &Spots, shape: &Shape) -> Vec<(u64, u64, Spot)> {
    let ranges = &shape.ranges;
    let mut out = Vec::new();
    let mut at = 0u64;
    for (size, spot) in &spots.0 {
        let end = at.saturating_add(*size);
        match spot {
            Spot::Memory(address) => {
                for (offset, len) in ranges {
                    let from = at.max(*offset);
                    let to = end.min(offset.saturating_add(*len));
                    if from < to {
                        let place = Spot::Memory(address.clone().plus(from - at));
                        out.push((from, to - from, place));
                    }
                }
            }
            spot => {
                let used = ranges
                    .iter()
                    .any(|(offset, len)| *offset < end && offset.saturating_add(*len) > at);
                if used && *size > 0 {
                    out.push((at, *size, spot.clone()));
                }
            }
        }
        at = end;
    }
    out
}

/// Register and offset of a spot whose read may be merged with others.
pub(super) fn shareable(spot: &Spot) -> Option<(u8, i64)> {
    match spot {
        Spot::Memory(address) => {
            let (register, offset) = address.simple_address()?;
            Some((register, i64::from(offset)))
        }
        _ => None,
    }
}

/// Maps signed offsets to unsigned numbers in the same order.
pub(super) fn biased(offset: i64) -> u64 {
    (offset as u64) ^ (1 << 63)
}

pub(super) fn unbiased(offset: u64) -> i64 {
    (offset ^ (1 << 63)) as i64
}
