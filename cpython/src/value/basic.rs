//! Objects of the built-in types.

use super::decode::ValueDecoder;
use super::{PyCall, PyEntries, PyItems, PyValue};
use crate::heap::{DictEntries, Elements, OB_HEAD, PyInt, Read, TypeInfo};
use crate::native::Native;

impl ValueDecoder<'_, '_> {
    /// An object of a built-in type, or of a subclass that is shown like it.
    pub(super) fn native(&self, object: u64, ty: &TypeInfo, native: Native) -> Read<PyValue> {
        let heap = self.heap;
        let limit = self.limits.elements;
        Ok(match native {
            Native::Bool | Native::Int => match heap.int(object)? {
                PyInt::Exact(value) => PyValue::Int(value),
                PyInt::Huge { digits } => PyValue::HugeInt { digits },
            },
            Native::Float => PyValue::Float(heap.float(object)?),
            Native::Complex => {
                let at = object.wrapping_add(heap.offsets().complex_value);
                PyValue::Complex {
                    real: f64::from_bits(heap.word(at)?),
                    imaginary: f64::from_bits(heap.word(at.wrapping_add(8))?),
                }
            }
            Native::Str => PyValue::Str(heap.text(object, self.limits.text)?),
            Native::Bytes => PyValue::Bytes(heap.bytes(object, self.limits.text)?),
            Native::ByteArray => {
                let bytes = PyValue::Bytes(heap.bytearray(object, self.limits.text)?);
                PyCall::of_values(ty.name.clone(), [bytes]).into()
            }
            Native::List => self.inside(object, "[...]", || {
                Ok(PyValue::List(self.items(&heap.list(object, limit)?)))
            })?,
            Native::Tuple => self.inside(object, "(...)", || {
                Ok(PyValue::Tuple(self.items(&heap.tuple(object, limit)?)))
            })?,
            Native::Set | Native::FrozenSet => self.set(object, ty, native)?,
            Native::Dict => self.inside(object, "{...}", || {
                Ok(PyValue::Dict(self.entries(&heap.dict(object, limit)?)))
            })?,
            Native::OrderedDict => self.ordered_dict(object, ty)?,
            Native::DefaultDict => self.default_dict(object, ty)?,
            Native::DictKeys | Native::DictValues | Native::DictItems => {
                self.dict_view(object, ty, native)?
            }
            Native::MappingProxy => self.inside(object, "mappingproxy({...})", || {
                let of = self.value(heap.pointer(object, OB_HEAD)?);
                Ok(PyCall::of_values("mappingproxy", [of]).into())
            })?,
            Native::Range | Native::Slice => self.range(object, native)?,
            _ => return self.other_native(object, ty, native),
        })
    }

    fn other_native(&self, object: u64, ty: &TypeInfo, native: Native) -> Read<PyValue> {
        match native {
            Native::Deque
            | Native::Decimal
            | Native::DateTime
            | Native::Date
            | Native::Time
            | Native::TimeDelta
            | Native::TimeZone
            | Native::ZoneInfo
            | Native::Array => self.library(object, ty, native),
            Native::NdArray => self.nd_array(object),
            Native::MemoryView => Ok(PyValue::Described(format!("<memory at {object:#x}>"))),
            _ => self.described(object, ty, native),
        }
    }

    fn set(&self, object: u64, ty: &TypeInfo, native: Native) -> Read<PyValue> {
        let recursion = format!("{}(...)", ty.name);
        self.inside(object, &recursion, || {
            let items = self.items(&self.heap.set(object, self.limits.elements)?);
            let is_exact = self.heap.python().type_of(native) == Some(ty.address);
            Ok(if items.of == 0 {
                PyCall::of_values(ty.name.clone(), []).into()
            } else if is_exact && native == Native::Set {
                PyValue::Set(items)
            } else {
                PyCall::of_values(ty.name.clone(), [PyValue::Set(items)]).into()
            })
        })
    }

    pub(super) fn entries(&self, found: &DictEntries) -> PyEntries {
        let entries = found.entries.iter();
        PyEntries {
            entries: entries
                .map(|&(key, value)| (self.value(key), self.value(value)))
                .collect(),
            of: found.of,
        }
    }

    /// `dict.keys()` and so on: the dict is the first field.
    fn dict_view(&self, object: u64, ty: &TypeInfo, native: Native) -> Read<PyValue> {
        self.inside(object, "...", || {
            let dict = self.heap.pointer(object, OB_HEAD)?;
            let found = self.heap.dict(dict, self.limits.elements)?;
            let pair = |key: u64, value: u64| match native {
                Native::DictKeys => self.value(key),
                Native::DictValues => self.value(value),
                _ => PyValue::Tuple(self.items(&Elements {
                    items: vec![key, value],
                    of: 2,
                })),
            };
            let items = PyItems {
                items: found
                    .entries
                    .iter()
                    .map(|(key, value)| pair(*key, *value))
                    .collect(),
                of: found.of,
            };
            Ok(PyCall::of_values(ty.name.clone(), [PyValue::List(items)]).into())
        })
    }

    /// A range or a slice: start, stop and step. `rangeobject` is in no header.
    fn range(&self, object: u64, native: Native) -> Read<PyValue> {
        let first = match native {
            Native::Range => OB_HEAD,
            _ => self.heap.offsets().slice_start,
        };
        let part = |at: u64| self.heap.pointer(object, first + at * 8);
        let [start, stop, step] = [part(0)?, part(1)?, part(2)?];
        self.inside(object, "...", || {
            let mut parts = vec![self.value(start), self.value(stop)];
            let name = if native == Native::Range {
                if self.heap.small_int(step) != Some(1) {
                    parts.push(self.value(step));
                }
                "range"
            } else {
                parts.push(self.value(step));
                "slice"
            };
            Ok(PyCall::of_values(name, parts).into())
        })
    }
}

impl From<PyCall> for PyValue {
    fn from(call: PyCall) -> Self {
        Self::Call(call)
    }
}
