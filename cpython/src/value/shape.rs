//! How objects of a class are shown: by the layout of their type, or by what a `__repr__` of the
//! standard library would write.

use crate::heap::{ClassAttribute, Heap, TypeInfo};
use crate::limits::ENUM_MEMBERS;
use crate::native::Native;

/// A way to show objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReprShape {
    /// As the built-in type does.
    Native(Native),
    /// A named tuple with these fields.
    NamedTuple(Vec<String>),
    /// A dataclass: the fields that its `__repr__` shows.
    DataClass(Vec<String>),
    /// A member of an enumeration.
    Member,
    /// `collections.Counter`.
    Counter,
    /// `fractions.Fraction`.
    Fraction,
    /// `types.SimpleNamespace` and `argparse.Namespace`: the name, and all attributes.
    Namespace(String),
    /// An exception.
    Exception,
    /// A numpy scalar: its name, such as `float64`.
    NumpyScalar(String),
    /// A pandas object: its name, such as `DataFrame`.
    Pandas(String),
    /// Any other object.
    Plain {
        /// The class has a `__repr__` of its own.
        has_own_repr: bool,
    },
}

/// The `__repr__` of a class: the file and the class that define it.
struct OwnRepr {
    file: String,
    class: String,
}

impl ReprShape {
    pub(super) fn of(heap: &Heap<'_>, ty: &TypeInfo) -> Self {
        if ty.native == Native::Type {
            return Self::Native(Native::Type);
        }
        let own = own_repr(heap, ty);
        if let Some(own) = &own
            && let Some(shape) = Self::of_library(heap, ty, own)
        {
            return shape;
        }
        if ty.module.starts_with("numpy") && ty.native != Native::NdArray && !ty.is_heap_type() {
            return Self::NumpyScalar(ty.name.clone());
        }
        if ty.is_exception() {
            return Self::Exception;
        }
        match ty.native {
            Native::Other | Native::Object if ty.full_name() == "types.SimpleNamespace" => {
                Self::Namespace("namespace".to_owned())
            }
            Native::Other | Native::Object => Self::Plain {
                has_own_repr: own.is_some(),
            },
            native => Self::Native(native),
        }
    }

    /// Classes whose `__repr__` is of the standard library, and known.
    fn of_library(heap: &Heap<'_>, ty: &TypeInfo, own: &OwnRepr) -> Option<Self> {
        let file = own.file.as_str();
        let is_of = |name: &str| file.ends_with(name);
        if is_of("collections/__init__.py") || is_of("typing.py") {
            if own.class == "Counter" {
                return Some(Self::Counter);
            }
            if ty.native == Native::Tuple {
                return Some(Self::NamedTuple(named_fields(heap, ty)?));
            }
        }
        if is_of("dataclasses.py") || is_of("reprlib.py") {
            return Some(Self::DataClass(dataclass_fields(heap, ty)?));
        }
        if is_of("enum.py") {
            return Some(Self::Member);
        }
        if is_of("fractions.py") {
            return Some(Self::Fraction);
        }
        if is_of("argparse.py") && own.class == "_AttributeHolder" {
            return Some(Self::Namespace(ty.name.clone()));
        }
        let is_pandas = file.contains("/pandas/core/");
        (is_pandas && matches!(ty.name.as_str(), "DataFrame" | "Series"))
            .then(|| Self::Pandas(ty.name.clone()))
    }
}

/// The `__repr__` that Python code defines for a class, if it comes before the built-in one.
fn own_repr(heap: &Heap<'_>, ty: &TypeInfo) -> Option<OwnRepr> {
    if !ty.is_heap_type() {
        return None;
    }
    let ClassAttribute { class, value } = heap.class_attribute(ty, "__repr__").ok()??;
    if !heap.is(value, Native::Function) {
        return None;
    }
    let offsets = heap.offsets();
    let code = heap.pointer(value, offsets.function_code).ok()?;
    let file = heap.pointer(code, offsets.code_filename).ok()?;
    Some(OwnRepr {
        file: heap.name(file).ok()?,
        class: heap.type_at(class).ok()?.name.clone(),
    })
}

fn named_fields(heap: &Heap<'_>, ty: &TypeInfo) -> Option<Vec<String>> {
    let fields = heap.class_attribute(ty, "_fields").ok()??.value;
    heap.expect(fields, Native::Tuple, "tuple").ok()?;
    let fields = heap.tuple(fields, ENUM_MEMBERS).ok()?;
    fields
        .items
        .iter()
        .map(|name| heap.name(*name).ok())
        .collect()
}

/// The fields that `dataclasses` shows: all but class variables, and those with `repr=False`.
fn dataclass_fields(heap: &Heap<'_>, ty: &TypeInfo) -> Option<Vec<String>> {
    let fields = heap.class_attribute(ty, "__dataclass_fields__").ok()??;
    let fields = heap.dict(fields.value, ENUM_MEMBERS).ok()?;
    let mut shown = Vec::new();
    for (name, field) in fields.entries {
        let attribute = |name: &str| heap.attribute(field, name).ok().flatten();
        let kind = attribute("_field_type").and_then(|kind| heap.attribute(kind, "name").ok()?);
        let is_field = kind.is_some_and(|kind| heap.text_is(kind, "_FIELD"));
        let is_hidden = attribute("repr").and_then(|repr| heap.singleton(repr))
            == Some(crate::native::Singleton::False);
        if is_field && !is_hidden {
            shown.push(heap.name(name).ok()?);
        }
    }
    Some(shown)
}
