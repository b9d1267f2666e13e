//! Types as DWARF describes them, without any byte of a value.

use std::sync::Arc;

use crate::address::LinkAddr;

/// Names one type of one module: the DIE's offset in `.debug_info`
/// (bit 62 set: in the supplementary file, bit 63: a type of our own making).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u64);

impl TypeId {
    /// `void`: what an absent type stands for.
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
    /// Whether it computes as C does: C or C++.
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
    /// Where the virtual tables are that trait objects of it refer to.
    pub tables: Vec<LinkAddr>,
    /// Of its values, in bytes: a power of two.
    pub align: u64,
}

/// A class of C++ that derives from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Derived {
    /// The class.
    pub ty: TypeId,
    /// Its type information (`typeinfo for C`), which the virtual tables of its objects name.
    pub info: LinkAddr,
}

/// Gives types by id. Implemented by a module; by a map in tests.
pub trait TypeSource {
    /// The type, read on first use and kept.
    ///
    /// A type that cannot be read is a [`TypeKind::Unsupported`], not an error:
    /// one bad DIE must not cost the rest of an event.
    fn type_of(&self, id: TypeId) -> Arc<Type>;

    /// The types that implement a Rust trait, as its virtual tables say: each
    /// with the link addresses of its tables and its alignment in bytes.
    /// At most `most` types, or none when there are more.
    fn implementers(&self, of: &str, most: usize) -> Vec<Implementer> {
        let _ = (of, most);
        Vec::new()
    }

    /// The classes of C++ that derive from the one of that full name, at any
    /// level: at most `most`, or none when there are more.
    fn derived(&self, class: &str, most: usize) -> Vec<Derived> {
        let _ = (class, most);
        Vec::new()
    }

    /// Version of the Rust compiler that made the module: `(1, 95)`.
    fn rust_version(&self) -> Option<(u32, u32)> {
        None
    }

    /// A pointer to a type, as casts make it; `None`: there are too many.
    fn pointer(&self, target: TypeId) -> Option<TypeId> {
        let _ = target;
        None
    }

    /// The type of that full name, where the module defines one: for what is
    /// reached by pointers without a type of their own.
    fn named(&self, name: &str) -> Option<TypeId> {
        let _ = name;
        None
    }
}

/// One type.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// Full name as the source writes it: `alloc::vec::Vec<u8, alloc::alloc::Global>`,
    /// `std::map<int, foo>`, `struct point`'s `point`, `&str`, `*const u8`, `[i32; 4]`.
    pub name: String,
    /// Bytes of a value; `None` for incomplete and variable-length types.
    pub size: Option<u64>,
    /// Language of its unit.
    pub language: Language,
    /// What it is made of.
    pub kind: TypeKind,
}

/// What a type is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeKind {
    /// `void`, `()` as C knows it.
    Void,
    /// One byte or more, zero or one.
    Bool,
    /// An integer, little-endian.
    Int {
        /// Two's complement.
        signed: bool,
    },
    /// IEEE (4, 8), x87 extended (10 in 12 or 16) or quad (16).
    Float,
    /// `char`: of Rust (4 bytes, a scalar value), C and C++ (1), `char16_t`, `char32_t`, `wchar_t`.
    Char {
        /// C's `signed char`, as a number.
        signed: bool,
    },
    /// An address; `target` `None` is `void *`.
    Pointer {
        /// What it points to.
        target: Option<TypeId>,
        /// How the source writes it.
        kind: PointerKind,
    },
    /// Pointer to member of C++: data (an offset) or function.
    MemberPointer {
        /// Type of the member.
        target: Option<TypeId>,
        /// The class.
        class: TypeId,
    },
    /// struct, class, tuple, Rust enum with data, closure, coroutine.
    Struct(StructType),
    /// C union, Rust union.
    Union(StructType),
    /// Named integers: C enum, C++ enum class, Rust C-like enum.
    Enum {
        /// The integer below.
        size: u64,
        /// Whether that integer is signed.
        signed: bool,
        /// Name and value, in the source's order.
        enumerators: Vec<(String, i128)>,
    },
    /// Array with one or more dimensions, row-major.
    Array {
        /// Type of the innermost element.
        element: TypeId,
        /// Elements of each dimension, outermost first; `None` is unknown
        /// (flexible, or counted by an expression).
        dimensions: Vec<Option<u64>>,
    },
    /// A function, as the target of a pointer.
    Function,
    /// typedef, const, volatile, restrict, atomic: the same bytes under another name.
    Alias(TypeId),
    /// What the reader does not know; the text says what.
    Unsupported(String),
}

/// How the source writes a pointer.
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
    /// Data members in the source's order; tuple fields are named `__0`, `__1`, … as rustc does.
    pub members: Vec<Member>,
    /// C++ base classes, in order.
    pub bases: Vec<Base>,
    /// Variants of a Rust enum with data.
    pub variants: Option<VariantPart>,
    /// Generic arguments that are types: name and type.
    pub type_arguments: Vec<(String, TypeId)>,
    /// The dynamic type can be told by a vtable (C++).
    pub polymorphic: bool,
}

/// One data member.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its name; empty for anonymous structs and unions.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// Bytes from the start of the containing value.
    pub offset: u64,
    /// Set for bit fields: (bit offset from the start of the byte at `offset`,
    /// counted from its least significant bit, and bits).
    pub bits: Option<(u64, u64)>,
    /// Made by the compiler (`_vptr`).
    pub artificial: bool,
}

/// One C++ base class.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// Its type.
    pub ty: TypeId,
    /// Where it is.
    pub offset: BaseOffset,
}

/// Where a base class is in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseOffset {
    /// Bytes from the start of the object.
    Fixed(u64),
    /// A virtual base: the distance is in the vtable, this many bytes (negative)
    /// from the address that the object's vtable pointer has.
    VtableSlot(i64),
}

/// The variants of a Rust enum with data.
#[derive(Clone, Debug, PartialEq)]
pub struct VariantPart {
    /// Where the discriminant (tag or niche) is; `None` when there is only one variant.
    pub discriminant: Option<Member>,
    /// The variants, in the source's order.
    pub variants: Vec<Variant>,
}

/// One variant.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// Discriminant values (inclusive ranges, zero-extended) that select it;
    /// empty: it is selected when no other one is.
    pub values: Vec<(u128, u128)>,
    /// The struct of its data; its members' offsets count from the start of the enum.
    pub ty: TypeId,
    /// Line of `DW_AT_decl_line`, for coroutine states: the suspend point.
    pub line: Option<u64>,
}
