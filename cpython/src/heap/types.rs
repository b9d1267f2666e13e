//! Types: their names, bases and layout.

use std::rc::Rc;

use super::{Heap, PyMissing, Read};
use crate::limits::{BASES, TYPES};
use crate::memory::words;
use crate::native::{NAMES, Native};

/// A type, as far as its objects need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeInfo {
    /// Its address.
    pub address: u64,
    /// `__name__`.
    pub name: String,
    /// `__qualname__`.
    pub qualname: String,
    /// `__module__`.
    pub module: String,
    /// `tp_flags`.
    pub flags: u64,
    /// The types in which an attribute is looked up, beginning with this one.
    pub mro: Vec<u64>,
    /// The nearest type whose layout is known.
    pub native: Native,
    /// The address of the type's namespace, zero if the type object does not have it.
    pub(crate) dict: u64,
    pub(crate) basicsize: u64,
    pub(crate) itemsize: u64,
    pub(crate) dictoffset: i64,
}

/// `Py_TPFLAGS_INLINE_VALUES`, from 3.13 on.
const INLINE_VALUES: u64 = 1 << 2;
/// `Py_TPFLAGS_MANAGED_DICT`, from 3.11 on.
const MANAGED_DICT: u64 = 1 << 4;
/// `Py_TPFLAGS_HEAPTYPE`.
const HEAP_TYPE: u64 = 1 << 9;
/// `Py_TPFLAGS_LONG_SUBCLASS` and so on: the types that most objects are of.
const SUBCLASSES: [(u64, Native); 8] = [
    (1 << 24, Native::Int),
    (1 << 25, Native::List),
    (1 << 26, Native::Tuple),
    (1 << 27, Native::Bytes),
    (1 << 28, Native::Str),
    (1 << 29, Native::Dict),
    (1 << 31, Native::Type),
    (0, Native::Other),
];
/// `Py_TPFLAGS_BASE_EXC_SUBCLASS`.
const EXCEPTION: u64 = 1 << 30;

impl TypeInfo {
    /// Returns true for a class that Python code defines, and for a type that a C module makes at
    /// run time.
    #[must_use]
    pub fn is_heap_type(&self) -> bool {
        self.flags & HEAP_TYPE != 0
    }

    /// Returns true for exceptions.
    #[must_use]
    pub fn is_exception(&self) -> bool {
        self.flags & EXCEPTION != 0
    }

    pub(crate) fn has_managed_dict(&self) -> bool {
        self.flags & MANAGED_DICT != 0
    }

    pub(crate) fn has_inline_values(&self, minor: u8) -> bool {
        minor >= 13 && self.flags & INLINE_VALUES != 0
    }

    /// The name that `repr()` of a plain object has: `module.Class`, or `int`.
    #[must_use]
    pub fn full_name(&self) -> String {
        if self.module == "builtins" || self.module.is_empty() {
            return self.qualname.clone();
        }
        format!("{}.{}", self.module, self.qualname)
    }
}

impl Heap<'_> {
    /// The type of an object.
    ///
    /// # Errors
    ///
    /// [`PyMissing`] if there is no object at the address.
    pub fn type_of(&self, object: u64) -> Read<Rc<TypeInfo>> {
        self.type_at(self.type_address(object)?)
    }

    /// The type at an address.
    ///
    /// # Errors
    ///
    /// [`PyMissing`] if there is no type at the address.
    pub fn type_at(&self, address: u64) -> Read<Rc<TypeInfo>> {
        if let Some(known) = self.types.borrow().get(&address) {
            return Ok(Rc::clone(known));
        }
        let ty = Rc::new(self.read_type(address)?);
        let mut types = self.types.borrow_mut();
        if types.len() >= TYPES {
            types.clear();
        }
        types.insert(address, Rc::clone(&ty));
        Ok(ty)
    }

    fn read_type(&self, address: u64) -> Read<TypeInfo> {
        let offsets = self.offsets();
        let body = self.read(address, offsets.type_size as usize)?;
        let field = |offset: u64| {
            let from = body.get(offset as usize..).unwrap_or_default();
            words(from).next().unwrap_or(0)
        };
        let not_a_type = PyMissing::NotA {
            expected: "type",
            address,
        };
        // The type of a type is a type: what has no such flag is another object.
        let metatype = field(super::OB_TYPE);
        let metaflags = self.word(metatype.wrapping_add(offsets.type_flags))?;
        if metaflags >> 31 & 1 == 0 {
            return Err(not_a_type);
        }
        let flags = field(offsets.type_flags);
        let c_name = self.c_text(field(offsets.type_name))?;
        let dict = field(offsets.type_dict);
        let (name, qualname, module) = self.type_names(address, flags, &c_name, dict);
        let mut mro = match field(offsets.type_mro) {
            0 => Vec::new(),
            tuple => self.tuple(tuple, BASES)?.items,
        };
        if mro.first() != Some(&address) {
            mro.insert(0, address);
        }
        let native = self.native_of(&mro, flags, &c_name);
        Ok(TypeInfo {
            address,
            name,
            qualname,
            module,
            flags,
            mro,
            native,
            dict,
            basicsize: field(offsets.type_basicsize),
            itemsize: field(offsets.type_itemsize),
            dictoffset: field(offsets.type_dictoffset).cast_signed(),
        })
    }

    /// Name, qualified name and module of a type.
    fn type_names(
        &self,
        address: u64,
        flags: u64,
        c_name: &str,
        dict: u64,
    ) -> (String, String, String) {
        let offsets = self.offsets();
        if flags & HEAP_TYPE != 0 {
            let name = self.pointer(address, offsets.heap_type_name);
            let name = name.and_then(|name| self.name(name));
            let qualname = self.pointer(address, offsets.heap_type_qualname);
            let qualname = qualname.and_then(|name| self.name(name));
            let module = self.lookup(dict, "__module__").ok().flatten();
            let module = module.and_then(|module| self.name(module).ok());
            if let (Ok(name), Ok(qualname)) = (name, qualname) {
                return (name, qualname, module.unwrap_or_default());
            }
        }
        let (module, name) = c_name.rsplit_once('.').unwrap_or(("builtins", c_name));
        (name.to_owned(), name.to_owned(), module.to_owned())
    }

    /// The nearest type whose layout is known.
    fn native_of(&self, mro: &[u64], flags: u64, c_name: &str) -> Native {
        let known = &self.python().known;
        for (at, base) in mro.iter().enumerate() {
            let native = known.native(*base);
            if let Some(native) = native
                && native != Native::Object
            {
                return native;
            }
            let name = if at == 0 {
                Some(c_name.to_owned())
            } else {
                let name = self.pointer(*base, self.offsets().type_name);
                name.and_then(|name| self.c_text(name)).ok()
            };
            let named = |name: String| NAMES.iter().find(|(known, _)| **known == name);
            if let Some((_, native)) = name.and_then(named) {
                return *native;
            }
        }
        // Without a readable list of bases, the flags still tell of the most common ones.
        let by_flag = SUBCLASSES.iter().find(|(flag, _)| flags & flag != 0);
        by_flag.map_or(Native::Other, |(_, native)| *native)
    }

    /// An attribute of a class that is not of an instance: in its own namespace or in a base's.
    ///
    /// # Errors
    ///
    /// [`PyMissing`] if a namespace cannot be read.
    pub fn class_attribute(&self, ty: &TypeInfo, name: &str) -> Read<Option<ClassAttribute>> {
        for base in &ty.mro {
            let dict = self.word(base.wrapping_add(self.offsets().type_dict))?;
            if dict == 0 {
                continue;
            }
            if let Some(value) = self.lookup(dict, name)? {
                return Ok(Some(ClassAttribute {
                    class: *base,
                    value,
                }));
            }
        }
        Ok(None)
    }
}

/// An attribute that was found in a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassAttribute {
    /// The class that defines it.
    pub class: u64,
    /// Its value.
    pub value: u64,
}
