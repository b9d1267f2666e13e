//! Functions, classes, modules and other objects that are described.

use super::decode::ValueDecoder;
use super::{PyCall, PyValue};
use crate::heap::{OB_HEAD, PyMissing, Read, TypeInfo};
use crate::native::{Native, Singleton};

impl ValueDecoder<'_, '_> {
    /// An object that is only described.
    pub(super) fn described(&self, object: u64, ty: &TypeInfo, native: Native) -> Read<PyValue> {
        let heap = self.heap;
        let offsets = heap.offsets();
        let named = |offset: u64| heap.name(heap.pointer(object, offset)?);
        let text = match native {
            Native::Function => {
                format!(
                    "<function {} at {object:#x}>",
                    named(offsets.function_qualname)?
                )
            }
            Native::Generator => {
                format!(
                    "<generator object {} at {object:#x}>",
                    named(offsets.generator_qualname)?
                )
            }
            Native::Coroutine => {
                format!(
                    "<coroutine object {} at {object:#x}>",
                    named(offsets.generator_qualname)?
                )
            }
            Native::AsyncGenerator => format!(
                "<async_generator object {} at {object:#x}>",
                named(offsets.generator_qualname)?
            ),
            Native::Code => format!(
                "<code object {} at {object:#x}, file \"{}\", line {}>",
                named(offsets.code_name)?,
                named(offsets.code_filename)?,
                heap.number(object, offsets.code_first_line)?
            ),
            Native::Builtin => self.builtin(object)?,
            Native::Type => self.class(object, ty)?,
            Native::Module => self.module(object)?,
            Native::MemberDescriptor => self.descriptor(object, "member")?,
            Native::GetSetDescriptor => self.descriptor(object, "attribute")?,
            Native::MethodDescriptor => self.descriptor(object, "method")?,
            Native::WrapperDescriptor => self.descriptor(object, "slot wrapper")?,
            Native::Cell => self.cell(object)?,
            Native::Method => return self.method(object),
            Native::StaticMethod | Native::ClassMethod if heap.python().version.minor >= 10 => {
                return self.inside(object, "...", || {
                    let inner = self.value(heap.pointer(object, OB_HEAD)?);
                    let call = PyValue::from(PyCall::of_values(ty.name.clone(), [inner]));
                    Ok(PyValue::Described(format!("<{call}>")))
                });
            }
            _ => format!("<{} object at {object:#x}>", ty.full_name()),
        };
        Ok(PyValue::Described(text))
    }

    fn method(&self, object: u64) -> Read<PyValue> {
        let heap = self.heap;
        let offsets = heap.offsets();
        let function = heap.pointer(object, offsets.method_function)?;
        let of = heap.pointer(object, offsets.method_self)?;
        let name = if heap.is(function, Native::Function) {
            heap.name(heap.pointer(function, offsets.function_qualname)?)?
        } else {
            // Any callable can be bound. One without a name is shown like this.
            "?".to_owned()
        };
        self.inside(object, "...", || {
            Ok(PyValue::Method {
                function: name,
                of: Box::new(self.value(of)),
            })
        })
    }

    fn builtin(&self, object: u64) -> Read<String> {
        let heap = self.heap;
        let offsets = heap.offsets();
        let definition = heap.pointer(object, offsets.builtin_definition)?;
        // The name is the first field of `PyMethodDef`.
        let name = heap.c_text(heap.word(definition)?)?;
        let of = heap.word(object.wrapping_add(offsets.builtin_self))?;
        if of == 0 || heap.is(of, Native::Module) {
            return Ok(format!("<built-in function {name}>"));
        }
        let ty = heap.type_of(of)?;
        let class = if ty.is_heap_type() || ty.module == "builtins" {
            ty.name.clone()
        } else {
            ty.full_name()
        };
        Ok(format!(
            "<built-in method {name} of {class} object at {of:#x}>"
        ))
    }

    fn class(&self, object: u64, metaclass: &TypeInfo) -> Read<String> {
        let ty = self.heap.type_at(object)?;
        let is_enum = matches!(metaclass.name.as_str(), "EnumMeta" | "EnumType");
        if is_enum && metaclass.module == "enum" {
            let is_flag = self.heap.python().version.minor >= 11
                && ty.mro.iter().any(|base| {
                    let base = self.heap.type_at(*base);
                    base.is_ok_and(|base| base.full_name() == "enum.Flag")
                });
            let kind = if is_flag { "flag" } else { "enum" };
            return Ok(format!("<{kind} '{}'>", ty.name));
        }
        Ok(format!("<class '{}'>", ty.full_name()))
    }

    fn descriptor(&self, object: u64, kind: &str) -> Read<String> {
        let heap = self.heap;
        let name = heap.name(heap.pointer(object, heap.offsets().descriptor_name)?)?;
        let class = heap.type_at(heap.pointer(object, OB_HEAD)?)?;
        let is_object = heap.python().type_of(Native::Object) == Some(class.address);
        let is_of_object = is_object && kind == "slot wrapper";
        if is_of_object && heap.python().version.minor >= 15 {
            return Ok(format!("<{kind} '{name}'>"));
        }
        let class = if class.is_heap_type() || class.module == "builtins" {
            class.name.clone()
        } else {
            class.full_name()
        };
        Ok(format!("<{kind} '{name}' of '{class}' objects>"))
    }

    fn cell(&self, object: u64) -> Read<String> {
        let value = self.heap.pointer(object, self.heap.offsets().cell_ref);
        match value {
            Ok(value) => {
                let ty = self.heap.type_of(value)?;
                Ok(format!(
                    "<cell at {object:#x}: {} object at {value:#x}>",
                    ty.name
                ))
            }
            Err(PyMissing::Unbound) => Ok(format!("<cell at {object:#x}: empty>")),
            Err(missing) => Err(missing),
        }
    }

    /// A module, as `importlib._bootstrap._module_repr` shows it.
    fn module(&self, object: u64) -> Read<String> {
        let heap = self.heap;
        let dict = heap.pointer(object, heap.offsets().module_dict)?;
        let is_none = |object: u64| heap.singleton(object) == Some(Singleton::None);
        let entry = |name: &str| -> Read<Option<u64>> {
            Ok(heap.lookup(dict, name)?.filter(|value| !is_none(*value)))
        };
        if let Some(spec) = entry("__spec__")? {
            let part = |name: &str| -> Read<Option<u64>> {
                Ok(heap.attribute(spec, name)?.filter(|value| !is_none(*value)))
            };
            let name = part("name")?.ok_or(PyMissing::Unbound)?;
            let name = self.value(name);
            let Some(origin) = part("origin")? else {
                let loader = part("loader")?.map(|loader| self.value(loader).to_string());
                return Ok(match loader.as_deref() {
                    // Up to 3.11, this loader has a text of its own for its modules.
                    Some("<class '_frozen_importlib.BuiltinImporter'>")
                        if heap.python().version.minor < 12 =>
                    {
                        format!("<module {name} (built-in)>")
                    }
                    Some(loader) => format!("<module {name} ({loader})>"),
                    None => format!("<module {name}>"),
                });
            };
            let has_location = part("_set_fileattr")?;
            let has_location =
                has_location.is_some_and(|set| heap.singleton(set) == Some(Singleton::True));
            return Ok(if has_location {
                format!("<module {name} from {}>", self.value(origin))
            } else {
                format!("<module {name} ({})>", heap.name(origin)?)
            });
        }
        let name = entry("__name__")?.map_or(PyValue::text("?"), |name| self.value(name));
        if let Some(file) = heap.lookup(dict, "__file__")? {
            return Ok(format!("<module {name} from {}>", self.value(file)));
        }
        Ok(match entry("__loader__")? {
            Some(loader) => format!("<module {name} ({})>", self.value(loader)),
            None => format!("<module {name}>"),
        })
    }
}
