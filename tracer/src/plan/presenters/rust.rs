//! Types of Rust's standard library, shown as `{:?}` shows them.
//!
//! A type is chosen by its name and by its members in the debug information. If these are not as
//! expected the raw fields are shown.

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{Language, StructType, Type, TypeId, TypeKind};
use crate::plan::presenters::counted::counted;
use crate::plan::presenters::rust_parts::{MOST, argument, at_offset, inner_at, seq, text};
use crate::plan::presenters::set_once;
use crate::plan::presenters::trait_objects;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;
use crate::plan::shape::presenter::Presenter;
use crate::plan::shape::{
    ChainNode, ChainStep, Field, Node, PointerNode, SeqLen, TableNode, TreeNode, TreePart,
};

/// Presenters of Rust's libraries, by the crate that defines the type.
pub(in crate::plan) const ALL: [Presenter; 4] = [
    presenter(&["*"], fat_pointer),
    presenter(&OF_ALLOC, of_alloc),
    presenter(&OF_CORE, of_core),
    presenter(&OF_STD, of_std),
];

const OF_ALLOC: [&str; 13] = [
    "alloc::string::String",
    "alloc::ffi::c_str::CString",
    "alloc::vec::Vec",
    "alloc::collections::vec_deque::VecDeque",
    "alloc::rc::Rc",
    "alloc::sync::Arc",
    "alloc::rc::Weak",
    "alloc::sync::Weak",
    "alloc::collections::binary_heap::BinaryHeap",
    "alloc::collections::linked_list::LinkedList",
    "alloc::boxed::Box",
    "alloc::collections::btree::map::BTreeMap",
    "alloc::collections::btree::set::BTreeSet",
];

const OF_CORE: [&str; 19] = [
    "core::cell::once::OnceCell",
    "core::cell::lazy::LazyCell",
    "core::cell::Ref",
    "core::cell::RefMut",
    "core::cell::Cell",
    "core::cell::RefCell",
    "core::pin::Pin",
    "core::cell::UnsafeCell",
    "core::mem::manually_drop::ManuallyDrop",
    "core::mem::maybe_dangling::MaybeDangling",
    "core::sync::atomic::Atomic*",
    "core::num::nonzero::NonZero*",
    "core::num::wrapping::Wrapping",
    "core::num::saturating::Saturating",
    "core::ptr::non_null::NonNull",
    "core::ptr::unique::Unique",
    "core::marker::PhantomData",
    "core::time::Duration",
    "core::ops::range::Range",
];

const OF_STD: [&str; 12] = [
    "std::path::PathBuf",
    "std::ffi::os_str::OsString",
    "std::sync::once_lock::OnceLock",
    "std::sync::lazy_lock::LazyLock",
    "std::sync::*::MutexGuard",
    "std::sync::*::RwLockWriteGuard",
    "std::sync::*::Mutex",
    "std::sync::*::RwLock",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::collections::hash::map::HashMap",
    "std::collections::hash::set::HashSet",
];

const fn presenter(
    types: &'static [&'static str],
    present: fn(&mut Builder<'_>, &Type, &StructType, u32) -> Option<Node>,
) -> Presenter {
    Presenter {
        language: Language::Rust,
        name: struct_path,
        types,
        present,
    }
}

/// The path of a struct. `None` for enums.
fn struct_path(ty: &Type) -> Option<&str> {
    let is_struct = matches!(&ty.kind, TypeKind::Struct(body) | TypeKind::Union(body) if body.variants.is_none());
    is_struct.then(|| display_names::path(&ty.name))
}

/// Texts, vectors, owners and trees.
fn of_alloc(builder: &mut Builder<'_>, ty: &Type, body: &StructType, depth: u32) -> Option<Node> {
    match display_names::path(&ty.name) {
        "alloc::string::String" => {
            let (at, vec) = builder.find(body, &["vec"])?;
            text_of_vec(builder, at, vec)
        }
        "alloc::ffi::c_str::CString" => {
            let (at, inner) = builder.find(body, &["inner"])?;
            let TypeKind::Struct(inner) = &builder.resolve(inner).kind else {
                return None;
            };
            let (pointer, len) = (
                inner_at(builder, inner, "data_ptr")?,
                inner_at(builder, inner, "length")?,
            );
            text(builder, at + pointer, 0, at + len, 1)
        }
        "alloc::vec::Vec" => vec(builder, body, depth),
        "alloc::collections::vec_deque::VecDeque" => deque(builder, body, depth),
        "alloc::rc::Rc" | "alloc::sync::Arc" => counted(builder, ty, body, depth),
        "alloc::rc::Weak" | "alloc::sync::Weak" => Some(Node::Struct("(Weak)".into(), Vec::new())),
        "alloc::collections::binary_heap::BinaryHeap" => {
            let (offset, data) = builder.find(body, &["data"])?;
            let node = builder.node(data, depth);
            Some(at_offset(offset, node))
        }
        "alloc::collections::linked_list::LinkedList" => linked_list(builder, body, depth),
        "alloc::boxed::Box" => sole(builder, body, depth),
        "alloc::collections::btree::map::BTreeMap" => tree(builder, body, 0, true, depth),
        "alloc::collections::btree::set::BTreeSet" => {
            let (at, map) = builder.find(body, &["map"])?;
            let map = builder.resolve(map);
            let TypeKind::Struct(map) = &map.kind else {
                return None;
            };
            tree(builder, map, at, false, depth)
        }
        _ => None,
    }
}

/// Cells, numbers and pointers.
fn of_core(builder: &mut Builder<'_>, ty: &Type, body: &StructType, depth: u32) -> Option<Node> {
    match display_names::path(&ty.name) {
        "core::cell::once::OnceCell" => set_once::cell(builder, body, depth),
        "core::cell::lazy::LazyCell" => set_once::lazy_cell(builder, body, depth),
        "core::cell::Ref" | "core::cell::RefMut" => {
            let (offset, value) = builder.find(body, &["value"])?;
            let (more, pointer) = builder.peel(value);
            reference(builder, offset + more, pointer, depth)
        }
        "core::cell::Cell" => renamed(builder, ty, body, "value", depth),
        "core::cell::RefCell" => renamed(builder, ty, body, "value", depth),
        "core::pin::Pin"
        | "core::cell::UnsafeCell"
        | "core::mem::manually_drop::ManuallyDrop"
        | "core::mem::maybe_dangling::MaybeDangling" => sole(builder, body, depth),
        path if path.starts_with("core::sync::atomic::Atomic") => atomic(builder, ty, body, depth),
        path if path.starts_with("core::num::nonzero::NonZero")
            || path == "core::num::wrapping::Wrapping"
            || path == "core::num::saturating::Saturating" =>
        {
            inner_number(builder, body, depth)
        }
        "core::ptr::non_null::NonNull" | "core::ptr::unique::Unique" => sole(builder, body, depth),
        "core::marker::PhantomData" => {
            let inner = ty.name.split_once('<').map_or("", |(_, inner)| inner);
            Some(Node::Struct(
                format!("PhantomData<{inner}").into(),
                Vec::new(),
            ))
        }
        "core::time::Duration" => duration(builder, body),
        "core::ops::range::Range" => {
            let mut fields = builder.fields(&body.members, ty.language, depth);
            fields.sort_by_key(|field| field.name.to_string() != "start");
            <[Field; 2]>::try_from(fields)
                .ok()
                .map(|bounds| Node::Range(Box::new(bounds)))
        }
        _ => None,
    }
}

/// Paths, hash tables, locks and times.
fn of_std(builder: &mut Builder<'_>, ty: &Type, body: &StructType, depth: u32) -> Option<Node> {
    match display_names::path(&ty.name) {
        "std::path::PathBuf" | "std::ffi::os_str::OsString" => {
            let (at, vec) = vec_inside(builder, body, 0)?;
            text_of_vec(builder, at, vec)
        }
        "std::sync::once_lock::OnceLock" => {
            set_once::lock(builder, body, "OnceLock", "value", depth)
        }
        "std::sync::lazy_lock::LazyLock" => {
            set_once::lock(builder, body, "LazyLock", "data", depth)
        }
        path if path.ends_with("::MutexGuard") || path.ends_with("::RwLockWriteGuard") => {
            guard(builder, body, depth)
        }
        path if path.ends_with("::Mutex") || path.ends_with("::RwLock") => {
            locked(builder, ty, body, depth)
        }
        "std::time::Instant" | "std::time::SystemTime" => instant(builder, ty, body),
        "std::collections::hash::map::HashMap" => {
            let (at, table) = builder.find(body, &["base", "table"])?;
            hash_table(builder, at, table, true, depth)
        }
        "std::collections::hash::set::HashSet" => {
            let (at, table) = builder
                .find(body, &["base", "map", "table"])
                .or_else(|| builder.find(body, &["map", "base", "table"]))?;
            hash_table(builder, at, table, false, depth)
        }
        _ => None,
    }
}

/// Wide pointers: `&str`, `&[T]`, `Box<[T]>`, `&Path`, `&dyn Trait`.
fn fat_pointer(
    builder: &mut Builder<'_>,
    ty: &Type,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    if body.members.len() != 2 {
        return None;
    }
    if let (Some(pointer), Some(vtable)) = (
        inner_at(builder, body, "pointer"),
        inner_at(builder, body, "vtable"),
    ) {
        return trait_objects::node(builder, &ty.name, pointer, vtable, None, depth);
    }
    let (pointer, data) = builder.find(body, &["data_ptr"])?;
    let (len, _) = builder.find(body, &["length"])?;
    if ty.name.starts_with('*') {
        return None;
    }
    let TypeKind::Pointer {
        target: Some(element),
        ..
    } = builder.resolve(data).kind
    else {
        return None;
    };
    let name = &ty.name;
    let ends = |what: &str| {
        name.ends_with(what)
            || name.contains(&format!("<{what},"))
            || name.contains(&format!("<{what}>"))
    };
    if ends("str") && !ends("[str") || ends("std::path::Path") || ends("std::ffi::os_str::OsStr") {
        return text(builder, pointer, 0, len, 0);
    }
    if ends("core::ffi::c_str::CStr") {
        return text(builder, pointer, 0, len, 1);
    }
    if name.contains('[') {
        return seq(builder, pointer, 0, SeqLen::Count(len), element, depth);
    }
    None
}

/// Offsets of a `Vec`'s pointer and its length.
fn vec_parts(builder: &Builder<'_>, body: &StructType) -> Option<(u64, u64)> {
    let (len, _) = builder.find(body, &["len"])?;
    Some((raw_pointer(builder, body)?, len))
}

/// Offset of the pointer in the `buf` of a `Vec` or `VecDeque`.
fn raw_pointer(builder: &Builder<'_>, body: &StructType) -> Option<u64> {
    let (at, ty) = builder
        .find(body, &["buf", "inner", "ptr"])
        .or_else(|| builder.find(body, &["buf", "ptr"]))?;
    let (more, inner) = builder.peel(ty);
    matches!(builder.resolve(inner).kind, TypeKind::Pointer { .. }).then_some(at + more)
}

fn text_of_vec(builder: &mut Builder<'_>, at: u64, vec: TypeId) -> Option<Node> {
    let ty = builder.resolve(vec);
    let TypeKind::Struct(body) = &ty.kind else {
        return None;
    };
    let (pointer, len) = vec_parts(builder, body)?;
    text(builder, at + pointer, 0, at + len, 0)
}

/// Offset and type of the only `Vec` in nested structs (`PathBuf`, `OsString`).
fn vec_inside(builder: &Builder<'_>, body: &StructType, level: u32) -> Option<(u64, TypeId)> {
    body.members.iter().find_map(|member| {
        let ty = builder.resolve(member.ty);
        if display_names::path(&ty.name) == "alloc::vec::Vec" {
            return Some((member.offset, member.ty));
        }
        match &ty.kind {
            TypeKind::Struct(inner) if level < 6 => {
                let (offset, vec) = vec_inside(builder, inner, level + 1)?;
                Some((member.offset + offset, vec))
            }
            _ => None,
        }
    })
}

fn vec(builder: &mut Builder<'_>, body: &StructType, depth: u32) -> Option<Node> {
    let element = argument(body, "T")?;
    let (pointer, len) = vec_parts(builder, body)?;
    seq(builder, pointer, 0, SeqLen::Count(len), element, depth)
}

fn deque(builder: &mut Builder<'_>, body: &StructType, depth: u32) -> Option<Node> {
    let element = argument(body, "T")?;
    let pointer = raw_pointer(builder, body)?;
    let (len, _) = builder.find(body, &["len"])?;
    let (head, _) = builder.find(body, &["head"])?;
    let (cap, cap_type) = builder
        .find(body, &["buf", "inner", "cap"])
        .or_else(|| builder.find(body, &["buf", "cap"]))?;
    let (more, _) = builder.peel(cap_type);
    let cap = cap + more;
    let slot = builder.slot().ok()?;
    let ring = SeqLen::Ring {
        len,
        head,
        cap,
        slot,
    };
    seq(builder, pointer, 0, ring, element, depth)
}

/// The only member with bytes, in place of the struct.
fn sole(builder: &mut Builder<'_>, body: &StructType, depth: u32) -> Option<Node> {
    let mut filled = body
        .members
        .iter()
        .filter(|member| builder.size(member.ty) != Some(0));
    let (only, None) = (filled.next()?, filled.next()) else {
        return None;
    };
    let (offset, ty) = (only.offset, only.ty);
    let node = builder.node(ty, depth);
    Some(at_offset(offset, node))
}

/// A pointer that is shown as its target.
fn reference(builder: &mut Builder<'_>, offset: u64, pointer: TypeId, depth: u32) -> Option<Node> {
    let TypeKind::Pointer {
        target: Some(target),
        ..
    } = builder.resolve(pointer).kind
    else {
        return None;
    };
    let block = builder.block(target, depth);
    let node = builder.pointer_to(block, true);
    Some(at_offset(offset, node))
}

/// The guard of a lock, shown as the locked value.
fn guard(builder: &mut Builder<'_>, body: &StructType, depth: u32) -> Option<Node> {
    let (at, lock) = builder.find(body, &["lock"])?;
    let TypeKind::Pointer {
        target: Some(lock), ..
    } = builder.resolve(lock).kind
    else {
        return None;
    };
    let lock = builder.resolve(lock);
    let TypeKind::Struct(lock) = &lock.kind else {
        return None;
    };
    let (data, value) = builder.find(lock, &["data"])?;
    let target = builder.block(value, depth);
    let node = Node::Pointer(Box::new(PointerNode {
        transparent: true,
        target,
        addend: i64::try_from(data).ok()?,
        vtable: None,
    }));
    Some(at_offset(at, node))
}

/// Elements of a doubly linked list.
fn linked_list(builder: &mut Builder<'_>, body: &StructType, depth: u32) -> Option<Node> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Some(Node::Missing(Unavailable::Depth));
    };
    let (first, head) = builder.find(body, &["head"])?;
    let (count, _) = builder.find(body, &["len"])?;
    let node = some_pointer_target(builder, head)?;
    let TypeKind::Struct(node) = &node.kind else {
        return None;
    };
    let (next, _) = builder.find(node, &["next"])?;
    let (payload, element) = builder.find(node, &["element"])?;
    let stride = builder
        .size(element)
        .filter(|size| (1..=MOST).contains(size))?;
    Some(Node::Chain(Box::new(ChainNode {
        first,
        count: Some(count),
        last: None,
        step: ChainStep::Next(next),
        payload,
        stride,
        key: (0, builder.element(element, deeper)),
        value: None,
        set: false,
        limit: builder.limits().elements,
        slot: builder.slot().ok()?,
        end: builder.slot().ok()?,
    })))
}

/// The target of an `Option<NonNull<T>>` of eight bytes.
fn some_pointer_target(builder: &Builder<'_>, option: TypeId) -> Option<std::sync::Arc<Type>> {
    let option = builder.resolve(option);
    let TypeKind::Struct(body) = &option.kind else {
        return None;
    };
    let variants = body.variants.as_ref().filter(|_| option.size == Some(8))?;
    let some = variants
        .variants
        .iter()
        .find(|variant| variant.name == "Some")?;
    let some = builder.resolve(some.ty);
    let TypeKind::Struct(some) = &some.kind else {
        return None;
    };
    let (0, pointer) = builder.find(some, &["__0"])? else {
        return None;
    };
    let (0, pointer) = builder.peel(pointer) else {
        return None;
    };
    match builder.resolve(pointer).kind {
        TypeKind::Pointer {
            target: Some(target),
            ..
        } => Some(builder.resolve(target)),
        _ => None,
    }
}

/// The number in nested wrappers.
fn inner_number(builder: &mut Builder<'_>, body: &StructType, depth: u32) -> Option<Node> {
    let [only] = &body.members[..] else {
        return None;
    };
    let (more, ty) = builder.peel(only.ty);
    let offset = only.offset.checked_add(more)?;
    let node = builder.node(ty, depth);
    Some(at_offset(offset, node))
}

/// `Cell { value: … }`: one member of the struct, without its wrappers.
fn renamed(
    builder: &mut Builder<'_>,
    ty: &Type,
    body: &StructType,
    name: &str,
    depth: u32,
) -> Option<Node> {
    let (offset, inner) = builder.find(body, &[name])?;
    let field = Field {
        name: name.into(),
        offset,
        node: builder.node(inner, depth),
    };
    Some(Node::Struct(
        display_names::short(&ty.name).into(),
        vec![field],
    ))
}

fn atomic(builder: &mut Builder<'_>, ty: &Type, body: &StructType, depth: u32) -> Option<Node> {
    let (offset, inner) = builder
        .find(body, &["v"])
        .or_else(|| builder.find(body, &["p"]))?;
    let (more, inner) = builder.peel(inner);
    let boolean =
        display_names::short(&ty.name) == "AtomicBool" || ty.name.ends_with("Atomic<bool>");
    let node = if boolean {
        Node::Bool {
            size: 1,
            strict: true,
        }
    } else {
        builder.node(inner, depth)
    };
    Some(at_offset(offset + more, node))
}

/// `Mutex { data: …, poisoned: false, .. }`. The data is shown even while the mutex is locked.
fn locked(builder: &mut Builder<'_>, ty: &Type, body: &StructType, depth: u32) -> Option<Node> {
    let (data, inner) = builder.find(body, &["data"])?;
    let mut fields = vec![Field {
        name: "data".into(),
        offset: data,
        node: builder.node(inner, depth),
    }];
    if let Some((offset, flag)) = builder.find(body, &["poison", "failed"]) {
        let (more, _) = builder.peel(flag);
        fields.push(Field {
            name: "poisoned".into(),
            offset: offset + more,
            node: Node::Bool {
                size: 1,
                strict: true,
            },
        });
    }
    Some(Node::Partial(display_names::short(&ty.name).into(), fields))
}

fn duration(builder: &Builder<'_>, body: &StructType) -> Option<Node> {
    let (secs, _) = builder.find(body, &["secs"])?;
    let (nanos, inner) = builder.find(body, &["nanos"])?;
    let (more, _) = builder.peel(inner);
    Some(Node::Duration {
        secs,
        nanos: nanos + more,
    })
}

fn instant(builder: &Builder<'_>, ty: &Type, body: &StructType) -> Option<Node> {
    let first = body.members.first()?;
    let (at, spec) = builder.peel(first.ty);
    let spec = builder.resolve(spec);
    let TypeKind::Struct(spec) = &spec.kind else {
        return None;
    };
    let (secs, _) = builder.find(spec, &["tv_sec"])?;
    let (nanos, inner) = builder.find(spec, &["tv_nsec"])?;
    let (more, _) = builder.peel(inner);
    let base = first.offset + at;
    let field = |name: &str, offset, size, signed| Field {
        name: name.into(),
        offset,
        node: Node::Int { size, signed },
    };
    let fields = vec![
        field("tv_sec", base + secs, 8, true),
        field("tv_nsec", base + nanos + more, 4, false),
    ];
    Some(Node::Struct(display_names::short(&ty.name).into(), fields))
}

/// A `hashbrown::raw::RawTable<T, A>` at an offset.
fn hash_table(
    builder: &mut Builder<'_>,
    at: u64,
    table: TypeId,
    map: bool,
    depth: u32,
) -> Option<Node> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Some(Node::Missing(Unavailable::Depth));
    };
    let ty = builder.resolve(table);
    let TypeKind::Struct(body) = &ty.kind else {
        return None;
    };
    let entry = argument(body, "T")?;
    let stride = builder.size(entry)?;
    let (ctrl, pointer) = builder.find(body, &["table", "ctrl"])?;
    let (more, _) = builder.peel(pointer);
    let (mask, _) = builder.find(body, &["table", "bucket_mask"])?;
    let (items, _) = builder.find(body, &["table", "items"])?;
    let entry_type = builder.resolve(entry);
    let TypeKind::Struct(entry_body) = &entry_type.kind else {
        return None;
    };
    let mut part = |name| {
        let (offset, ty) = builder.find(entry_body, &[name])?;
        Some((offset, builder.element(ty, deeper)))
    };
    let key = part("__0")?;
    let value = if map { Some(part("__1")?) } else { None };
    let limits = builder.limits();
    if stride > MOST || stride == 0 {
        return None;
    }
    Some(Node::Table(Box::new(TableNode {
        ctrl: at + ctrl + more,
        mask: at + mask,
        items: at + items,
        buckets: limits.buckets.min(MOST),
        limit: limits.elements,
        stride,
        ctrl_slot: builder.slot().ok()?,
        slot: builder.slot().ok()?,
        key,
        value,
    })))
}

/// A `BTreeMap` at an offset.
fn tree(
    builder: &mut Builder<'_>,
    body: &StructType,
    at: u64,
    map: bool,
    depth: u32,
) -> Option<Node> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Some(Node::Missing(Unavailable::Depth));
    };
    let (length, _) = builder.find(body, &["length"])?;
    let (root, root_type) = builder.find(body, &["root"])?;
    let (node_at, height_at, leaf) = tree_root(builder, root_type)?;
    let leaf_type = builder.resolve(leaf);
    let TypeKind::Struct(leaf_body) = &leaf_type.kind else {
        return None;
    };
    let (keys_at, keys) = builder.find(leaf_body, &["keys"])?;
    let (values_at, values) = builder.find(leaf_body, &["vals"])?;
    let (key, value) = (cells(builder, keys)?, cells(builder, values)?);
    let internal = internal_node(builder, leaf_body)?;
    let mut part = |offset, ty: TypeId| {
        let stride = builder.size(ty).filter(|size| *size <= MOST)?;
        let slot = builder.slot().ok()?;
        let node = builder.element(ty, deeper);
        Some(TreePart {
            offset,
            stride,
            node,
            slot,
        })
    };
    let key = part(keys_at, key)?;
    let value = if map {
        Some(part(values_at, value)?)
    } else {
        None
    };
    Some(Node::Tree(Box::new(TreeNode {
        root: at + root + node_at,
        height: at + root + height_at,
        length: at + length,
        parent: builder.find(leaf_body, &["parent"])?.0,
        parent_index: builder.find(leaf_body, &["parent_idx"])?.0,
        entries: builder.find(leaf_body, &["len"])?.0,
        edges: internal,
        limit: builder.limits().elements,
        key,
        value,
        end: builder.slot().ok()?,
    })))
}

/// In an `Option<NodeRef<…>>`: offsets of node and height, and the leaf's type.
fn tree_root(builder: &Builder<'_>, root: TypeId) -> Option<(u64, u64, TypeId)> {
    let root = builder.resolve(root);
    let TypeKind::Struct(option) = &root.kind else {
        return None;
    };
    let some = option
        .variants
        .as_ref()?
        .variants
        .iter()
        .find(|variant| variant.name == "Some")?;
    let some = builder.resolve(some.ty);
    let TypeKind::Struct(some) = &some.kind else {
        return None;
    };
    let (height, _) = builder.find(some, &["__0", "height"])?;
    let (node, pointer) = builder.find(some, &["__0", "node"])?;
    let (more, pointer) = builder.peel(pointer);
    match builder.resolve(pointer).kind {
        TypeKind::Pointer {
            target: Some(leaf), ..
        } => Some((node + more, height, leaf)),
        _ => None,
    }
}

/// The type in `[MaybeUninit<K>; 11]`.
fn cells(builder: &Builder<'_>, array: TypeId) -> Option<TypeId> {
    let TypeKind::Array { element, .. } = builder.resolve(array).kind else {
        return None;
    };
    match &builder.resolve(element).kind {
        TypeKind::Union(cell) => argument(cell, "T"),
        _ => None,
    }
}

/// Offset of the edges in an internal node. A leaf's parent pointer has that type.
fn internal_node(builder: &Builder<'_>, leaf: &StructType) -> Option<u64> {
    let (_, parent) = builder.find(leaf, &["parent"])?;
    let parent = builder.resolve(parent);
    let TypeKind::Struct(option) = &parent.kind else {
        return None;
    };
    let variants = option.variants.as_ref()?;
    let some = variants.variants.iter().find(|v| v.name == "Some")?;
    let some = builder.resolve(some.ty);
    let TypeKind::Struct(some) = &some.kind else {
        return None;
    };
    let (_, pointer) = builder.find(some, &["__0"])?;
    let (_, pointer) = builder.peel(pointer);
    let TypeKind::Pointer {
        target: Some(internal),
        ..
    } = builder.resolve(pointer).kind
    else {
        return None;
    };
    match &builder.resolve(internal).kind {
        TypeKind::Struct(internal) => builder.find(internal, &["edges"]).map(|(at, _)| at),
        _ => None,
    }
}
