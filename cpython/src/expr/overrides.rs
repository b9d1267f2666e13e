//! Methods that Python code of a class defines in place of the built-in ones.

use super::error::{EvalError, Evaluated};
use crate::heap::{Heap, TypeInfo};
use crate::native::{Native, Singleton};

/// Refuses what Python code of a class defines.
pub(super) fn built_in(heap: &Heap<'_>, object: u64, method: &str) -> Evaluated<Native> {
    let ty = heap.type_of(object)?;
    if defines(heap, &ty, method)? {
        return Err(EvalError::NeedsCode {
            class: ty.name.clone(),
            method: method.to_owned(),
        });
    }
    Ok(ty.native)
}

/// Returns true if Python code of a class, or of a base, defines a method.
pub(super) fn defines(heap: &Heap<'_>, ty: &TypeInfo, method: &str) -> Evaluated<bool> {
    if !ty.is_heap_type() {
        return Ok(false);
    }
    let Some(found) = heap.class_attribute(ty, method)? else {
        return Ok(false);
    };
    // `__hash__ = None` and the like are no methods.
    if heap.singleton(found.value) == Some(Singleton::None) {
        return Ok(false);
    }
    Ok(!matches!(
        heap.type_of(found.value)?.native,
        Native::WrapperDescriptor | Native::MethodDescriptor | Native::Builtin
    ))
}
