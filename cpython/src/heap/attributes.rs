//! Attributes of objects, as far as they are data.

use super::{Heap, Read, TypeInfo};
use crate::limits::{BASES, DICT_SEARCH};
use crate::native::Native;

/// A slot of a class: an attribute at an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstanceSlot {
    /// Its name.
    pub(crate) name: String,
    /// Offset of the pointer in an instance.
    pub(crate) offset: u64,
}

/// `T_OBJECT`, later `_Py_T_OBJECT`: a pointer, null for `None`.
const OBJECT: u32 = 6;
/// `T_OBJECT_EX`, later `Py_T_OBJECT_EX`: a pointer, null for an attribute that is not set.
const OBJECT_EX: u32 = 16;
/// Slots of all classes of an object.
const SLOTS: usize = 4096;

impl Heap<'_> {
    /// The offset of the pointer that a member descriptor stands for.
    pub(crate) fn member_offset(&self, descriptor: u64) -> Read<Option<u64>> {
        if !self.is(descriptor, Native::MemberDescriptor) {
            return Ok(None);
        }
        let offsets = self.offsets();
        let definition = self.pointer(descriptor, offsets.member_definition)?;
        let kind = self.number(definition, offsets.member_type)?;
        let offset = self.word(definition.wrapping_add(offsets.member_offset))?;
        Ok(matches!(kind, OBJECT | OBJECT_EX).then_some(offset))
    }

    /// The slots of a class and its bases that Python code defines, those of bases first.
    pub(crate) fn slots(&self, ty: &TypeInfo) -> Vec<InstanceSlot> {
        let mut slots = Vec::new();
        for class in ty.mro.iter().rev().take(BASES) {
            let Ok(class) = self.type_at(*class) else {
                continue;
            };
            if !class.is_heap_type() || class.dict == 0 {
                continue;
            }
            let entries = self.dict(class.dict, DICT_SEARCH).unwrap_or_default();
            for (name, value) in entries.entries {
                if slots.len() < SLOTS
                    && let Ok(Some(offset)) = self.member_offset(value)
                    && let Ok(name) = self.name(name)
                {
                    slots.push(InstanceSlot { name, offset });
                }
            }
        }
        slots
    }

    /// The value of an instance's attribute: of a slot, or in its dict. Class attributes are not
    /// looked at.
    ///
    /// # Errors
    ///
    /// [`super::PyMissing`] if the memory cannot be read or is damaged.
    pub fn attribute(&self, object: u64, name: &str) -> Read<Option<u64>> {
        let ty = self.type_of(object)?;
        if let Some(found) = self.class_attribute(&ty, name)?
            && let Some(offset) = self.member_offset(found.value)?
        {
            let value = self.word(object.wrapping_add(offset))?;
            return Ok((value != 0).then_some(value));
        }
        let attributes = self.attributes(object, &ty, DICT_SEARCH)?;
        let found = attributes
            .entries
            .iter()
            .find(|(key, _)| self.text_is(*key, name));
        Ok(found.map(|(_, value)| *value))
    }
}
