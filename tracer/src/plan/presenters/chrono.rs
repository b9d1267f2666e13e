//! `std::chrono`: durations with their unit, time points with their distance from the clock's
//! epoch.

use std::sync::Arc;

use crate::debuginfo::types::{StructType, TypeId, TypeKind};
use crate::plan::presenters::structure;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;
use crate::plan::shape::{Field, Node};

/// Length of a unit in seconds, as a fraction, and the unit's name.
const UNITS: &[(u64, u64, &str)] = &[
    (1, 1_000_000_000, "nanoseconds"),
    (1, 1_000_000, "microseconds"),
    (1, 1000, "milliseconds"),
    (1, 1, "seconds"),
    (60, 1, "minutes"),
    (3600, 1, "hours"),
    (86_400, 1, "days"),
    (604_800, 1, "weeks"),
    (2_629_746, 1, "months"),
    (31_556_952, 1, "years"),
];

/// `milliseconds(1500)`, `system_clock(seconds(1000))`. `number` and `distance` are the library's
/// names of the number in a duration and of the duration in a time point.
pub(in crate::plan::presenters) fn present(
    builder: &mut Builder<'_>,
    plain: &str,
    body: &StructType,
    number: &str,
    distance: &str,
) -> Option<Node> {
    let (name, member): (Arc<str>, &str) = match plain {
        "chrono::duration" => (unit(builder, body)?, number),
        "chrono::time_point" => {
            let (_, clock) = body.type_arguments.first()?;
            let clock = builder.resolve_name(*clock);
            (display_names::short(&clock).into(), distance)
        }
        _ => return None,
    };
    let (offset, inner) = builder.find(body, &[member])?;
    only_number(builder, inner).then_some(())?;
    let field = Field {
        name: "0".into(),
        offset,
        node: builder.node(inner, 0),
    };
    Some(Node::Struct(name, vec![field]))
}

fn only_number(builder: &Builder<'_>, ty: TypeId) -> bool {
    match &builder.resolve(ty).kind {
        TypeKind::Int { .. } | TypeKind::Float => true,
        TypeKind::Struct(body) => body.members.len() == 1,
        _ => false,
    }
}

fn unit(builder: &Builder<'_>, body: &StructType) -> Option<Arc<str>> {
    let (_, ratio) = body.type_arguments.get(1)?;
    structure(builder, *ratio)?;
    let name = builder.resolve_name(*ratio);
    let (seconds, parts) = ratio_of(&name)?;
    let known = UNITS
        .iter()
        .find(|(known, of, _)| (*known, *of) == (seconds, parts));
    Some(match known {
        Some((_, _, unit)) => (*unit).into(),
        None => format!("duration<ratio<{seconds}, {parts}>>").into(),
    })
}

/// The two numbers of `std::ratio<1, 1000>`.
fn ratio_of(name: &str) -> Option<(u64, u64)> {
    let (path, arguments) = name.split_once('<')?;
    let arguments = arguments.trim_end().strip_suffix('>')?;
    if !path.ends_with("::ratio") {
        return None;
    }
    let mut numbers = arguments.split(',').map(|number| {
        let digits = number.trim().trim_end_matches(['l', 'L', 'u', 'U']);
        digits.parse::<u64>().ok()
    });
    let first = numbers.next()??;
    let second = match numbers.next() {
        Some(second) => second?,
        None => 1,
    };
    Some((first, second))
}

#[cfg(test)]
mod tests {
    use super::ratio_of;

    #[test]
    fn ratios_are_read_as_each_compiler_writes_them() {
        assert_eq!(ratio_of("std::ratio<1, 1000>"), Some((1, 1000)));
        assert_eq!(ratio_of("std::__1::ratio<3600L, 1L>"), Some((3600, 1)));
        assert_eq!(ratio_of("std::ratio<60>"), Some((60, 1)));
        assert_eq!(ratio_of("std::ratio<-1, 2>"), None);
        assert_eq!(ratio_of("ratio<1, 2>"), None);
    }
}
