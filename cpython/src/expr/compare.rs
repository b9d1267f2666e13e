//! Comparisons.

use std::cmp::Ordering;

use super::arithmetic::exact_order;
use super::error::{EvalError, Evaluated};
use super::operand::{PyNumber, PyOperand};
use super::overrides::{built_in, defines};
use super::syntax::CompareOp;
use crate::heap::Heap;
use crate::limits::{COMPARED_ELEMENTS, DICT_SEARCH, EXPRESSION_DEPTH};
use crate::native::Native;

/// `left op right`.
pub(super) fn compare(
    heap: &Heap<'_>,
    op: CompareOp,
    left: &PyOperand,
    right: &PyOperand,
) -> Evaluated<bool> {
    let is_ordered = |wanted: &[Ordering]| -> Evaluated<bool> {
        let order = order(heap, left, right, 0)?;
        Ok(order.is_some_and(|order| wanted.contains(&order)))
    };
    match op {
        CompareOp::Equal => equal(heap, left, right),
        CompareOp::NotEqual => Ok(!equal(heap, left, right)?),
        CompareOp::Less => is_ordered(&[Ordering::Less]),
        CompareOp::LessOrEqual => is_ordered(&[Ordering::Less, Ordering::Equal]),
        CompareOp::Greater => is_ordered(&[Ordering::Greater]),
        CompareOp::GreaterOrEqual => is_ordered(&[Ordering::Greater, Ordering::Equal]),
        CompareOp::Is => identical(heap, left, right),
        CompareOp::IsNot => Ok(!identical(heap, left, right)?),
        CompareOp::In => contains(heap, right, left),
        CompareOp::NotIn => Ok(!contains(heap, right, left)?),
    }
}

/// `left is right`.
fn identical(heap: &Heap<'_>, left: &PyOperand, right: &PyOperand) -> Evaluated<bool> {
    if let (PyOperand::Object(left), PyOperand::Object(right)) = (left, right) {
        return Ok(left == right);
    }
    match (left.singleton(heap), right.singleton(heap)) {
        (None, None) => Err(EvalError::Type(
            "a computed value has no identity: compare with ==".to_owned(),
        )),
        (left, right) => Ok(left == right),
    }
}

/// `left == right`.
pub(super) fn equal(heap: &Heap<'_>, left: &PyOperand, right: &PyOperand) -> Evaluated<bool> {
    equal_within(heap, left, right, 0)
}

fn equal_within(
    heap: &Heap<'_>,
    left: &PyOperand,
    right: &PyOperand,
    depth: usize,
) -> Evaluated<bool> {
    if depth > EXPRESSION_DEPTH {
        return Err(EvalError::TooLarge("a container"));
    }
    for operand in [left, right] {
        if let PyOperand::Object(object) = operand {
            built_in_equality(heap, *object)?;
        }
    }
    if let (Some(left), Some(right)) = (left.number(heap)?, right.number(heap)?) {
        return Ok(number_order(&left, &right) == Some(Ordering::Equal));
    }
    if let (Some(left), Some(right)) = (left.text(heap)?, right.text(heap)?) {
        return Ok(left == right);
    }
    if let (Some(left), Some(right)) = (left.bytes(heap)?, right.bytes(heap)?) {
        return Ok(left == right);
    }
    if let (Some(left), Some(right)) = (elements(heap, left)?, elements(heap, right)?) {
        if left.kind != right.kind || left.items.len() != right.items.len() {
            return Ok(false);
        }
        for (left, right) in left.items.iter().zip(&right.items) {
            if left != right && !equal_within(heap, left, right, depth + 1)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    if let (PyOperand::Object(left), PyOperand::Object(right)) = (left, right) {
        if left == right {
            return Ok(true);
        }
        let natives = [heap.type_of(*left)?.native, heap.type_of(*right)?.native];
        let is_by_identity = |native: &Native| {
            matches!(
                native,
                Native::Other | Native::Object | Native::Type | Native::Function | Native::Module
            )
        };
        // Containers of the same kind may be equal without being the same.
        if natives[0] == natives[1] && !is_by_identity(&natives[0]) {
            let class = heap.type_of(*left)?.name.clone();
            return Err(EvalError::Type(format!(
                "`{class}` objects cannot be compared here"
            )));
        }
        return Ok(false);
    }
    // Of a single object and anything else.
    Ok(left.singleton(heap).is_some() && left.singleton(heap) == right.singleton(heap))
}

/// Refuses classes that define equality by Python code, but not those of `enum`.
fn built_in_equality(heap: &Heap<'_>, object: u64) -> Evaluated<()> {
    let ty = heap.type_of(object)?;
    if defines(heap, &ty, "__eq__")? {
        return Err(EvalError::NeedsCode {
            class: ty.name.clone(),
            method: "__eq__".to_owned(),
        });
    }
    Ok(())
}

/// The order of two values. `None` if one of them is NaN.
fn order(
    heap: &Heap<'_>,
    left: &PyOperand,
    right: &PyOperand,
    depth: usize,
) -> Evaluated<Option<Ordering>> {
    for operand in [left, right] {
        if let PyOperand::Object(object) = operand {
            built_in(heap, *object, "__lt__")?;
        }
    }
    if let (Some(left), Some(right)) = (left.number(heap)?, right.number(heap)?) {
        return Ok(number_order(&left, &right));
    }
    if let (Some(left), Some(right)) = (left.text(heap)?, right.text(heap)?) {
        return Ok(Some(left.chars.cmp(&right.chars)));
    }
    if let (Some(left), Some(right)) = (left.bytes(heap)?, right.bytes(heap)?) {
        return Ok(Some(left.bytes.cmp(&right.bytes)));
    }
    if let (Some(left), Some(right)) = (elements(heap, left)?, elements(heap, right)?)
        && left.kind == right.kind
        && depth < EXPRESSION_DEPTH
    {
        for (left, right) in left.items.iter().zip(&right.items) {
            if left != right && !equal_within(heap, left, right, depth + 1)? {
                return order(heap, left, right, depth + 1);
            }
        }
        return Ok(Some(left.items.len().cmp(&right.items.len())));
    }
    Err(EvalError::Type(format!(
        "no order between `{}` and `{}`",
        left.class(heap),
        right.class(heap)
    )))
}

fn number_order(left: &PyNumber, right: &PyNumber) -> Option<Ordering> {
    match (left, right) {
        (PyNumber::Int(left), PyNumber::Int(right)) => Some(left.cmp(right)),
        (PyNumber::Float(left), PyNumber::Float(right)) => left.partial_cmp(right),
        (PyNumber::Int(left), PyNumber::Float(right)) => exact_order(left, *right),
        (PyNumber::Float(left), PyNumber::Int(right)) => {
            exact_order(right, *left).map(Ordering::reverse)
        }
    }
}

/// The elements of a tuple or list.
struct ComparedElements {
    kind: Native,
    items: Vec<PyOperand>,
}

fn elements(heap: &Heap<'_>, of: &PyOperand) -> Evaluated<Option<ComparedElements>> {
    let object = match of {
        PyOperand::Object(object) => *object,
        PyOperand::Tuple(items) => {
            return Ok(Some(ComparedElements {
                kind: Native::Tuple,
                items: items.clone(),
            }));
        }
        PyOperand::Computed(_) => return Ok(None),
    };
    let kind = heap.type_of(object)?.native;
    let found = match kind {
        Native::Tuple => heap.tuple(object, COMPARED_ELEMENTS)?,
        Native::List => heap.list(object, COMPARED_ELEMENTS)?,
        _ => return Ok(None),
    };
    if found.of > found.items.len() as u64 {
        return Err(EvalError::TooLarge("a container"));
    }
    Ok(Some(ComparedElements {
        kind,
        items: found.items.into_iter().map(PyOperand::Object).collect(),
    }))
}

/// `item in container`.
fn contains(heap: &Heap<'_>, container: &PyOperand, item: &PyOperand) -> Evaluated<bool> {
    let none = || {
        let class = container.class(heap);
        EvalError::Type(format!("`in` needs a container, not `{class}`"))
    };
    if let PyOperand::Object(object) = container {
        built_in(heap, *object, "__contains__")?;
    }
    if let Some(text) = container.text(heap)? {
        let Some(part) = item.text(heap)? else {
            let class = item.class(heap);
            let message = format!("`in` a text needs a text, not `{class}`");
            return Err(EvalError::Type(message));
        };
        let (text, part) = (text.to_lossy(), part.to_lossy());
        return Ok(text.contains(&part));
    }
    if let Some(found) = elements(heap, container)? {
        return any_equal(heap, found.items, item);
    }
    let PyOperand::Object(object) = container else {
        return Err(none());
    };
    let found = match heap.type_of(*object)?.native {
        Native::Dict | Native::OrderedDict | Native::DefaultDict => {
            return Ok(find_key(heap, *object, item)?.is_some());
        }
        Native::Set | Native::FrozenSet => heap.set(*object, COMPARED_ELEMENTS)?,
        Native::Deque => crate::value::deque_items(heap, *object, COMPARED_ELEMENTS)?,
        Native::DictKeys => {
            let dict = heap.pointer(*object, crate::heap::OB_HEAD)?;
            return Ok(find_key(heap, dict, item)?.is_some());
        }
        _ => return Err(none()),
    };
    if found.of > found.items.len() as u64 {
        return Err(EvalError::TooLarge("a container"));
    }
    any_equal(
        heap,
        found.items.into_iter().map(PyOperand::Object).collect(),
        item,
    )
}

fn any_equal(heap: &Heap<'_>, items: Vec<PyOperand>, wanted: &PyOperand) -> Evaluated<bool> {
    for item in items {
        if item == *wanted || equal(heap, &item, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The value of the entry whose key is equal.
pub(super) fn find_key(heap: &Heap<'_>, dict: u64, key: &PyOperand) -> Evaluated<Option<u64>> {
    let entries = heap.dict(dict, DICT_SEARCH)?;
    for (found, value) in entries.entries {
        if equal(heap, &PyOperand::Object(found), key)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}
