//! Attributes, looked up as Python does, without running code.

use super::error::{EvalError, Evaluated};
use super::operand::PyOperand;
use super::overrides::defines;
use crate::heap::{Heap, OB_HEAD, PyMissing, TypeInfo};
use crate::limits::DICT_SEARCH;
use crate::memory::Numbers as _;
use crate::native::Native;
use crate::value::PyValue;

/// `_tuplegetter.index` of `Modules/_collectionsmodule.c`: a field of a named tuple.
const FIELD_INDEX: u64 = OB_HEAD;
/// `T_INT`, `T_LONG`, `T_DOUBLE` and `T_PYSSIZET` of members that are no pointers.
const MEMBER_INT: u32 = 1;
const MEMBER_LONG: u32 = 2;
const MEMBER_DOUBLE: u32 = 4;
const MEMBER_SIZE: u32 = 19;

/// `of.name`.
pub(super) fn attribute(heap: &Heap<'_>, of: &PyOperand, name: &str) -> Evaluated<PyOperand> {
    let PyOperand::Object(object) = of else {
        return Err(EvalError::NoAttribute {
            class: of.class(heap),
            name: name.to_owned(),
        });
    };
    let lookup = Lookup {
        heap,
        object: *object,
        ty: heap.type_of(*object)?,
        name,
    };
    match lookup.ty.native {
        Native::Type => lookup.of_class(),
        Native::Module => lookup.of_module(),
        _ => lookup.of_instance(),
    }
}

/// The lookup of one attribute.
struct Lookup<'a, 'm> {
    heap: &'a Heap<'m>,
    object: u64,
    ty: std::rc::Rc<TypeInfo>,
    name: &'a str,
}

impl Lookup<'_, '_> {
    fn none(&self) -> EvalError {
        EvalError::NoAttribute {
            class: self.ty.name.clone(),
            name: self.name.to_owned(),
        }
    }

    fn needs_code(&self, method: &str) -> EvalError {
        EvalError::NeedsCode {
            class: self.ty.name.clone(),
            method: method.to_owned(),
        }
    }

    fn property(&self, class: u64) -> EvalError {
        let class = self.heap.type_at(class);
        EvalError::Property {
            class: class.map_or_else(|_| self.ty.name.clone(), |class| class.name.clone()),
            name: self.name.to_owned(),
        }
    }

    /// Returns true if Python code of the class, or of a base, defines a method.
    fn is_overridden(&self, method: &str) -> Evaluated<bool> {
        defines(self.heap, &self.ty, method)
    }

    fn of_instance(&self) -> Evaluated<PyOperand> {
        if self.is_overridden("__getattribute__")? {
            return Err(self.needs_code("__getattribute__"));
        }
        if let Some(value) = self.built_in()? {
            return Ok(value);
        }
        let found = self.heap.class_attribute(&self.ty, self.name)?;
        // Descriptors that can be set go before the attributes of the object.
        if let Some(found) = found
            && let Some(value) = self.data_descriptor(found.class, found.value)?
        {
            return Ok(value);
        }
        let attributes = self.heap.attributes(self.object, &self.ty, DICT_SEARCH)?;
        let own = attributes
            .entries
            .iter()
            .find(|(key, _)| self.heap.text_is(*key, self.name));
        if let Some((_, value)) = own {
            return Ok(PyOperand::Object(*value));
        }
        match found {
            Some(found) => self.class_value(found.class, found.value),
            None if self.is_overridden("__getattr__")? => Err(self.needs_code("__getattr__")),
            None => Err(self.none()),
        }
    }

    /// The value of a property, slot or another descriptor that sets attributes as well.
    fn data_descriptor(&self, class: u64, value: u64) -> Evaluated<Option<PyOperand>> {
        let heap = self.heap;
        let ty = heap.type_of(value)?;
        match ty.native {
            Native::Property | Native::GetSetDescriptor => return Err(self.property(class)),
            Native::MemberDescriptor => return self.member(value).map(Some),
            _ => {}
        }
        match ty.full_name().as_str() {
            "collections._tuplegetter" | "_collections._tuplegetter" => {
                let index = heap.word(value.wrapping_add(FIELD_INDEX))?;
                let items = heap.tuple(self.object, DICT_SEARCH)?;
                let item = usize::try_from(index)
                    .ok()
                    .and_then(|at| items.items.get(at));
                return item
                    .map(|item| Some(PyOperand::Object(*item)))
                    .ok_or_else(|| self.none());
            }
            // The name and value of a member of an enumeration.
            "enum.property" | "types.DynamicClassAttribute" => {
                if !matches!(self.name, "name" | "value") {
                    return Err(self.property(class));
                }
                let stored = format!("_{}_", self.name);
                let stored = heap.attribute(self.object, &stored)?;
                return Ok(stored.map(PyOperand::Object));
            }
            _ => {}
        }
        let sets = heap.class_attribute(&ty, "__set__")?.is_some();
        if sets && heap.class_attribute(&ty, "__get__")?.is_some() {
            return Err(self.property(class));
        }
        Ok(None)
    }

    /// The value of a slot or another member of a structure.
    fn member(&self, descriptor: u64) -> Evaluated<PyOperand> {
        let heap = self.heap;
        let offsets = heap.offsets();
        if let Some(offset) = heap.member_offset(descriptor)? {
            return match heap.word(self.object.wrapping_add(offset))? {
                0 => Err(PyMissing::Unbound.into()),
                value => Ok(PyOperand::Object(value)),
            };
        }
        let definition = heap.pointer(descriptor, offsets.member_definition)?;
        let kind = heap.number(definition, offsets.member_type)?;
        let offset = heap.word(definition.wrapping_add(offsets.member_offset))?;
        let at = self.object.wrapping_add(offset);
        let memory = heap.memory();
        let value = match kind {
            MEMBER_INT => PyValue::int(memory.half(at).map_err(PyMissing::from)?.cast_signed()),
            MEMBER_LONG | MEMBER_SIZE => PyValue::int(memory.signed(at).map_err(PyMissing::from)?),
            MEMBER_DOUBLE => PyValue::Float(f64::from_bits(heap.word(at)?)),
            _ => return Err(self.none()),
        };
        Ok(PyOperand::Computed(value))
    }

    /// An attribute of the class, as an instance sees it.
    fn class_value(&self, class: u64, value: u64) -> Evaluated<PyOperand> {
        let heap = self.heap;
        let ty = heap.type_of(value)?;
        match ty.native {
            Native::Function => {
                let offset = heap.offsets().function_qualname;
                let of = crate::value::decode(heap, self.object, Default::default());
                Ok(PyOperand::Computed(PyValue::Method {
                    function: heap.name(heap.pointer(value, offset)?)?,
                    of: Box::new(of),
                }))
            }
            Native::StaticMethod => Ok(PyOperand::Object(heap.pointer(value, OB_HEAD)?)),
            Native::ClassMethod | Native::MethodDescriptor | Native::WrapperDescriptor => {
                Err(EvalError::Type(format!("`{}` is a method", self.name)))
            }
            _ if heap.class_attribute(&ty, "__get__")?.is_some() => Err(self.property(class)),
            _ => Ok(PyOperand::Object(value)),
        }
    }

    /// An attribute of a class itself.
    fn of_class(&self) -> Evaluated<PyOperand> {
        let heap = self.heap;
        let class = heap.type_at(self.object)?;
        if let Some(found) = heap.class_attribute(&self.ty, self.name)?
            && matches!(heap.type_of(found.value)?.native, Native::Property)
        {
            return Err(self.property(found.class));
        }
        match self.name {
            "__name__" => return Ok(PyOperand::Computed(PyValue::text(&class.name))),
            "__qualname__" => return Ok(PyOperand::Computed(PyValue::text(&class.qualname))),
            "__module__" => return Ok(PyOperand::Computed(PyValue::text(&class.module))),
            _ => {}
        }
        let Some(found) = heap.class_attribute(&class, self.name)? else {
            return Err(EvalError::NoAttribute {
                class: class.name.clone(),
                name: self.name.to_owned(),
            });
        };
        match heap.type_of(found.value)?.native {
            Native::StaticMethod => Ok(PyOperand::Object(heap.pointer(found.value, OB_HEAD)?)),
            Native::ClassMethod => Err(EvalError::Type(format!("`{}` is a method", self.name))),
            _ => Ok(PyOperand::Object(found.value)),
        }
    }

    fn of_module(&self) -> Evaluated<PyOperand> {
        let heap = self.heap;
        let dict = heap.pointer(self.object, heap.offsets().module_dict)?;
        match heap.lookup(dict, self.name)? {
            Some(value) => Ok(PyOperand::Object(value)),
            None if heap.lookup(dict, "__getattr__")?.is_some() => {
                Err(self.needs_code("__getattr__"))
            }
            None => Err(self.none()),
        }
    }

    /// Attributes of built-in types whose values are known without their code.
    fn built_in(&self) -> Evaluated<Option<PyOperand>> {
        let heap = self.heap;
        let offsets = heap.offsets();
        let pointer = |offset: u64| -> Evaluated<Option<PyOperand>> {
            Ok(Some(PyOperand::Object(heap.pointer(self.object, offset)?)))
        };
        let computed = |value: PyValue| Ok(Some(PyOperand::Computed(value)));
        if self.name == "__class__" {
            return Ok(Some(PyOperand::Object(self.ty.address)));
        }
        if self.ty.is_exception() && self.name == "args" {
            return pointer(offsets.exception_args);
        }
        let order = |names: [&str; 3]| names.iter().position(|name| *name == self.name);
        match self.ty.native {
            Native::Complex => {
                let at = match self.name {
                    "real" => 0,
                    "imag" => 8,
                    _ => return Ok(None),
                };
                let at = self.object.wrapping_add(offsets.complex_value + at);
                computed(PyValue::Float(f64::from_bits(heap.word(at)?)))
            }
            Native::Slice | Native::Range => match order(["start", "stop", "step"]) {
                Some(at) if self.ty.native == Native::Slice => {
                    pointer(offsets.slice_start + 8 * at as u64)
                }
                Some(at) => pointer(OB_HEAD + 8 * at as u64),
                None => Ok(None),
            },
            Native::Function if matches!(self.name, "__name__" | "__qualname__") => {
                let name = heap.name(heap.pointer(self.object, offsets.function_qualname)?)?;
                let name = match (self.name, name.rsplit_once('.')) {
                    ("__name__", Some((_, last))) => last,
                    _ => &name,
                };
                computed(PyValue::text(name))
            }
            Native::DateTime | Native::Date | Native::Time | Native::TimeDelta => {
                let part = crate::value::date_part(heap, self.object, self.ty.native, self.name)?;
                Ok(part.map(|part| PyOperand::Computed(PyValue::int(part))))
            }
            _ => Ok(None),
        }
    }
}
