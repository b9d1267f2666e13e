//! Objects of classes that Python code defines.

use num_bigint::BigInt;

use super::decode::ValueDecoder;
use super::shape::ReprShape;
use super::{PyArgument, PyCall, PyEntries, PyInstance, PyMember, PyValue};
use crate::heap::{PyMissing, Read, TypeInfo};
use crate::limits::ENUM_MEMBERS;
use crate::native::{Native, Singleton};

impl ValueDecoder<'_, '_> {
    /// An object, in the shape of its class.
    pub(super) fn shaped(&self, object: u64, ty: &TypeInfo, shape: &ReprShape) -> Read<PyValue> {
        match shape {
            ReprShape::Native(native) => self.native(object, ty, *native),
            ReprShape::NamedTuple(fields) => {
                self.inside(object, &format!("{}(...)", ty.name), || {
                    let items = self.heap.tuple(object, self.limits.elements)?;
                    let arguments = items
                        .items
                        .iter()
                        .enumerate()
                        .map(|(at, &item)| PyArgument {
                            name: fields.get(at).cloned(),
                            value: self.value(item),
                        });
                    Ok(PyValue::Call(PyCall {
                        name: ty.name.clone(),
                        arguments: arguments.collect(),
                        of: items.of,
                    }))
                })
            }
            ReprShape::DataClass(fields) => self.inside(object, "...", || {
                let argument = |name: &String| PyArgument {
                    name: Some(name.clone()),
                    value: self.attribute_or_default(object, ty, name),
                };
                let arguments = fields.iter().take(self.limits.elements).map(argument);
                Ok(PyValue::Call(PyCall {
                    name: ty.qualname.clone(),
                    arguments: arguments.collect(),
                    of: fields.len() as u64,
                }))
            }),
            ReprShape::Member => self.member(object, ty),
            ReprShape::Counter => self.counter(object, ty),
            ReprShape::Fraction => {
                let part = |name| self.attribute_or_default(object, ty, name);
                let parts = [part("_numerator"), part("_denominator")];
                Ok(PyCall::of_values(ty.name.clone(), parts).into())
            }
            ReprShape::Namespace(name) => self.namespace(object, ty, name),
            ReprShape::Exception => self.exception(object, ty),
            ReprShape::NumpyScalar(name) => self.numpy_scalar(object, ty, name),
            ReprShape::Pandas(name) => self.pandas(object, name),
            ReprShape::Plain { has_own_repr } => self.plain(object, ty, *has_own_repr),
        }
    }

    /// An attribute of an instance or, for defaults, of its class.
    fn attribute_or_default(&self, object: u64, ty: &TypeInfo, name: &str) -> PyValue {
        let heap = self.heap;
        let found = heap.attribute(object, name).and_then(|found| match found {
            Some(value) => Ok(value),
            None => {
                let class = heap.class_attribute(ty, name)?;
                Ok(class.ok_or(PyMissing::Unbound)?.value)
            }
        });
        found.map_or_else(PyValue::Unavailable, |value| self.value(value))
    }

    fn plain(&self, object: u64, ty: &TypeInfo, has_own_repr: bool) -> Read<PyValue> {
        let here = PyValue::Described(format!("<{} object at {object:#x}>", ty.full_name()));
        self.inside(object, &here.to_string(), || {
            let heap = self.heap;
            let limit = self.limits.elements;
            let mut fields = Vec::new();
            for slot in heap.slots(ty) {
                let value = heap.word(object.wrapping_add(slot.offset))?;
                if value != 0 {
                    fields.push((slot.name, value));
                }
            }
            let attributes = heap.attributes(object, ty, limit)?;
            let of = fields.len() as u64 + attributes.of;
            for (name, value) in attributes.entries {
                fields.push((heap.name(name)?, value));
            }
            fields.truncate(limit);
            let field = |(name, value)| (name, self.value(value));
            Ok(PyValue::Instance(PyInstance {
                class: ty.full_name(),
                address: object,
                fields: fields.into_iter().map(field).collect(),
                of,
                has_own_repr,
            }))
        })
        .map(|value| match value {
            // The text of a plain object has nothing of its parts.
            PyValue::Omitted => here,
            value => value,
        })
    }

    fn namespace(&self, object: u64, ty: &TypeInfo, name: &str) -> Read<PyValue> {
        self.inside(object, &format!("{name}(...)"), || {
            let found = self.heap.attributes(object, ty, self.limits.elements)?;
            let mut arguments = Vec::new();
            for (key, value) in found.entries {
                arguments.push(PyArgument {
                    name: Some(self.heap.name(key)?),
                    value: self.value(value),
                });
            }
            Ok(PyValue::Call(PyCall {
                name: name.to_owned(),
                arguments,
                of: found.of,
            }))
        })
    }

    fn exception(&self, object: u64, ty: &TypeInfo) -> Read<PyValue> {
        self.inside(object, "...", || {
            let args = self
                .heap
                .pointer(object, self.heap.offsets().exception_args)?;
            self.heap.expect(args, Native::Tuple, "tuple")?;
            let items = self.items(&self.heap.tuple(args, self.limits.elements)?);
            Ok(PyValue::Call(PyCall {
                name: ty.name.clone(),
                of: items.of,
                arguments: items.items.into_iter().map(PyArgument::from).collect(),
            }))
        })
    }

    fn counter(&self, object: u64, ty: &TypeInfo) -> Read<PyValue> {
        self.inside(object, "...", || {
            let found = self
                .heap
                .dict(object, ENUM_MEMBERS.max(self.limits.elements))?;
            let mut entries: Vec<(u64, u64, Option<i64>)> = found
                .entries
                .iter()
                .map(|(key, count)| (*key, *count, self.heap.small_int(*count)))
                .collect();
            // The most common first. Counts that do not compare stay as they are.
            if entries.iter().all(|(_, _, count)| count.is_some()) {
                entries.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
            }
            entries.truncate(self.limits.elements);
            let shown = PyEntries {
                entries: entries
                    .iter()
                    .map(|(key, count, _)| (self.value(*key), self.value(*count)))
                    .collect(),
                of: found.of,
            };
            let arguments = (found.of > 0).then_some(PyValue::Dict(shown));
            Ok(PyCall::of_values(ty.name.clone(), arguments).into())
        })
    }

    fn member(&self, object: u64, ty: &TypeInfo) -> Read<PyValue> {
        self.inside(object, "...", || {
            let heap = self.heap;
            let value = heap
                .attribute(object, "_value_")?
                .ok_or(PyMissing::Unbound)?;
            let name = heap
                .attribute(object, "_name_")?
                .ok_or(PyMissing::Unbound)?;
            let mut class = ty.name.clone();
            let mut shown = None;
            if heap.singleton(name) != Some(Singleton::None) {
                shown = Some(heap.name(name)?);
            } else if heap.python().version.minor < 11 {
                shown = Some(self.flags(ty, value)?);
            } else {
                // Unknown bits alone: `<Flags: 8>`.
                class = ty.name.clone();
            }
            Ok(PyValue::Member(PyMember {
                class,
                name: shown,
                value: Box::new(self.value(value)),
            }))
        })
    }

    /// The names of a combination of flags before 3.11, as `enum._decompose` orders them.
    fn flags(&self, ty: &TypeInfo, value: u64) -> Read<String> {
        let heap = self.heap;
        let Some(value) = heap.small_int(value) else {
            return Ok("?".to_owned());
        };
        let members = heap.class_attribute(ty, "_member_map_")?;
        let members = members.ok_or(PyMissing::Unbound)?.value;
        let mut found = Vec::new();
        for (name, member) in heap.dict(members, ENUM_MEMBERS)?.entries {
            let bits = heap.attribute(member, "_value_")?;
            if let Some(bits) = bits.and_then(|bits| heap.small_int(bits))
                && bits != 0
                && bits & value == bits
            {
                found.push((bits, heap.name(name)?));
            }
        }
        found.sort_by_key(|(bits, _)| std::cmp::Reverse(*bits));
        let known = found.iter().fold(0, |all, (bits, _)| all | bits);
        let mut names: Vec<String> = found.into_iter().map(|(_, name)| name).collect();
        if names.is_empty() || known != value {
            names.push(BigInt::from(value & !known).to_string());
        }
        Ok(names.join("|"))
    }
}
