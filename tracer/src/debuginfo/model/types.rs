//! Types as DWARF describes them, without values.

use std::sync::Arc;

use crate::base::address::LinkAddr;

/// Identifies one type of one module: the DIE's offset in `.debug_info`. Bit 62 marks the
/// supplementary file, bit 63 a type that the tracer made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u64);

impl TypeId {
    /// `void`, which an absent type stands for.
    pub const VOID: Self = Self(1 << 63);
}

/// Source language of the unit that a type or function comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Language {
    Rust,
    C,
    Cpp,
    Other,
}

impl Language {
    /// Returns true for C and C++, which have the same arithmetic.
    #[must_use]
    pub const fn is_c(self) -> bool {
        matches!(self, Self::C | Self::Cpp)
    }
}

/// A type that implements a trait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Implementer {
    /// The type.
    pub ty: TypeId,
    /// Addresses of its virtual tables, which trait objects refer to.
    pub tables: Vec<LinkAddr>,
    /// Alignment of its values in bytes: a power of two.
    pub align: u64,
}

/// A class of C++ that derives from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Derived {
    /// The class.
    pub ty: TypeId,
    /// Its type information (`typeinfo for C`), to which the virtual tables of its objects point.
    pub info: LinkAddr,
}

/// A source of types by id. A module implements it; tests use a map.
pub trait TypeSource {
    /// Returns the type. It is read on first use and kept.
    ///
    /// A type that cannot be read is a [`TypeKind::Unsupported`], not an error, so that one bad
    /// DIE does not cost the rest of an event.
    fn type_of(&self, id: TypeId) -> Arc<Type>;

    /// Returns at most `most` types that implement a Rust trait, or none if there are more. Each
    /// has the link addresses of its virtual tables and its alignment in bytes.
    fn implementers(&self, of: &str, most: usize) -> Vec<Implementer> {
        let _ = (of, most);
        Vec::new()
    }

    /// Returns at most `most` C++ classes that derive from the class with this full name, at any
    /// level, or none if there are more.
    fn derived(&self, class: &str, most: usize) -> Vec<Derived> {
        let _ = (class, most);
        Vec::new()
    }

    /// Returns the version of the Rust compiler that made the module: `(1, 95)`.
    fn rust_version(&self) -> Option<(u32, u32)> {
        None
    }

    /// Returns a pointer to a type, for casts, or `None` if there are too many.
    fn pointer(&self, target: TypeId) -> Option<TypeId> {
        let _ = target;
        None
    }

    /// Returns the type with this full name, if the module defines it. It is for data behind
    /// pointers that have no type of their own.
    fn named(&self, name: &str) -> Option<TypeId> {
        let _ = name;
        None
    }
}

/// One type.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// Full name as written in the source: `alloc::vec::Vec<u8, alloc::alloc::Global>`,
    /// `std::map<int, foo>`, `point` for `struct point`, `&str`, `*const u8`, `[i32; 4]`.
    pub name: String,
    /// Size of a value in bytes; `None` for incomplete and variable-length types.
    pub size: Option<u64>,
    /// Language of its unit.
    pub language: Language,
    /// Its structure.
    pub kind: TypeKind,
}

/// The structure of a type.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeKind {
    /// `void`, the `()` of C.
    Void,
    /// A boolean of one or more bytes: zero or one.
    Bool,
    /// An integer, little-endian.
    Int {
        /// True for two's complement.
        signed: bool,
    },
    /// A float: IEEE (4, 8 bytes), x87 extended (10 in 12 or 16) or quad (16).
    Float,
    /// A character: `char` of Rust (4 bytes, a scalar value), C and C++ (1), `char16_t`,
    /// `char32_t`, `wchar_t`.
    Char {
        /// True for C's `signed char`, as a number.
        signed: bool,
    },
    /// An address; a `target` of `None` is `void *`.
    Pointer {
        /// Type that it points to.
        target: Option<TypeId>,
        /// Spelling in the source.
        kind: PointerKind,
    },
    /// A C++ pointer to member: data (an offset) or function.
    MemberPointer {
        /// Type of the member.
        target: Option<TypeId>,
        /// The class.
        class: TypeId,
    },
    /// A struct, class, tuple, Rust enum with data, closure or coroutine.
    Struct(StructType),
    /// A union of C or Rust.
    Union(StructType),
    /// Named integers: a C enum, C++ enum class or Rust C-like enum.
    Enum {
        /// Size of the underlying integer in bytes.
        size: u64,
        /// True if the underlying integer is signed.
        signed: bool,
        /// Names and values in source order.
        enumerators: Vec<(String, i128)>,
    },
    /// An array with one or more dimensions, row-major.
    Array {
        /// Type of the innermost element.
        element: TypeId,
        /// Number of elements of each dimension, outermost first; `None` is unknown (flexible, or
        /// counted by an expression).
        dimensions: Vec<Option<u64>>,
    },
    /// A function, as the target of a pointer.
    Function,
    /// A typedef, const, volatile, restrict or atomic type: the same bytes under another name.
    Alias(TypeId),
    /// A type that the reader does not support; the text names it.
    Unsupported(String),
}

/// The spelling of a pointer in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PointerKind {
    /// `*const T`, `T *`.
    Raw,
    /// `&T`, `&mut T`, C++ `T &`.
    Reference,
    /// C++ `T &&`.
    RvalueReference,
}

/// Members of a struct, class or union, and the variants of an enum with data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StructType {
    /// Data members in source order; tuple fields are named `__0`, `__1`, … as in rustc.
    pub members: Vec<StructMember>,
    /// C++ base classes, in order.
    pub bases: Vec<Base>,
    /// Variants of a Rust enum with data.
    pub variants: Option<VariantPart>,
    /// Generic arguments that are types: name and type.
    pub type_arguments: Vec<(String, TypeId)>,
    /// True if a vtable gives the dynamic type (C++).
    pub polymorphic: bool,
}

/// One data member.
#[derive(Clone, Debug, PartialEq)]
pub struct StructMember {
    /// Name; empty for anonymous structs and unions.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// Offset in bytes from the start of the containing value.
    pub offset: u64,
    /// For bit fields, the bit offset from the start of the byte at `offset`, counted from its
    /// least significant bit, and the number of bits.
    pub bits: Option<(u64, u64)>,
    /// True if the compiler made it (`_vptr`).
    pub artificial: bool,
}

/// One C++ base class.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// Its type.
    pub ty: TypeId,
    /// Its offset.
    pub offset: BaseOffset,
}

/// The offset of a base class in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseOffset {
    /// Offset in bytes from the start of the object.
    Fixed(u64),
    /// A virtual base. Its offset is in the vtable, this many bytes (negative) from the address
    /// in the object's vtable pointer.
    VtableSlot(i64),
}

/// The variants of a Rust enum with data.
#[derive(Clone, Debug, PartialEq)]
pub struct VariantPart {
    /// The discriminant (tag or niche); `None` if there is only one variant.
    pub discriminant: Option<StructMember>,
    /// The variants in source order.
    pub variants: Vec<VariantType>,
}

/// One variant.
#[derive(Clone, Debug, PartialEq)]
pub struct VariantType {
    /// Its name.
    pub name: String,
    /// Discriminant values (inclusive ranges, zero-extended) that select it. The variant without
    /// any is selected if no other one is.
    pub values: Vec<(u128, u128)>,
    /// Struct of its data. Offsets of the members count from the start of the enum.
    pub ty: TypeId,
    /// Line of `DW_AT_decl_line`: for a coroutine state, the line of the suspend point.
    pub line: Option<u64>,
}
