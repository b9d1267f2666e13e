//! Makes the shape of a value from its type, within the limits.
//!
//! Types that all languages have are here. The presenters make the shapes of library types.

mod arrays;
mod breadth;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{
    BaseOffset, Derived, Implementer, Language, PointerKind, StructMember, StructType, Type,
    TypeId, TypeKind, TypeSource, VariantPart,
};
use crate::debuginfo::{Module, Neighbours};
use crate::plan::limits;
use crate::plan::limits::{FOLLOWED_OPS, Limits, NESTING, RAW_LEVELS};
use crate::plan::ops::addresses::AddressBase;
use crate::plan::shape::display_names;
use crate::plan::shape::shape_cache::{NumberedShape, Shape, ShapeCache, ShapeKey};
use crate::plan::shape::{
    Arm, BesideNode, Block, EnumNode, Field, NO_DISCRIMINANT, Node, PointerNode, Segment, Slot,
    TextNode, VariantsNode, merged,
};
use breadth::{LaterPart, so_many_parts};

/// Prefix of rustc's names for the states of a waiting coroutine.
const SUSPENDED: &str = "Suspend";

/// Largest offset of a member that presenters look at. Sums of such offsets cannot overflow.
pub(in crate::plan) const FURTHEST: u64 = 1 << 32;

/// The source of types.
#[derive(Clone)]
pub(in crate::plan) enum Types<'a> {
    /// The module of the site.
    Own(&'a dyn TypeSource),
    /// Another module of the process.
    Other(Arc<Module>),
}

/// Makes shapes and numbers the chunks of a plan.
pub(in crate::plan) struct Builder<'a> {
    pub(in crate::plan) types: Types<'a>,
    /// The base of the addresses of the module of `types`, if that is not the site's.
    pub(in crate::plan) elsewhere: Option<AddressBase>,
    /// Types and base of the site's module, even while another module's types are in use.
    pub(in crate::plan) own: (&'a dyn TypeSource, AddressBase),
    pub(in crate::plan) neighbours: Neighbours<'a>,
    pub(in crate::plan) presenters: &'static dyn LibraryTypes,
    limits: Limits,
    /// Shapes that earlier plans made.
    shapes: &'a ShapeCache,
    /// The current shape depends on the process: on addresses of modules, or on other modules.
    of_process: Cell<bool>,
    /// Number of the plan's slots before the current shape, which counts its own slots from 0.
    first: u32,
    slots: u32,
    nodes: u32,
    nesting: u32,
    /// An attempt is running. Attempts do not nest.
    attempting: bool,
    /// Pointers that may still be followed without using up a level.
    spine: u32,
    /// Pointers and containers around the current part.
    level: u32,
    /// Within a union. Its active member is unknown, so no pointer is followed.
    unsure: bool,
    /// Parts that are made after the value that refers to them.
    later: Vec<LaterPart<'a>>,
    /// Definitions of classes by name. True stands for the site's own module.
    pub(in crate::plan) definitions: RefCell<HashMap<(bool, String), Option<TypeId>>>,
}

/// The inputs of a builder.
pub(in crate::plan) struct BuilderInput<'a> {
    /// Types of the module of the site.
    pub(in crate::plan) source: &'a dyn TypeSource,
    /// The base of that module's addresses.
    pub(in crate::plan) base: AddressBase,
    /// The other modules of the process.
    pub(in crate::plan) neighbours: Neighbours<'a>,
    pub(in crate::plan) limits: Limits,
    /// Finished shapes of the module.
    pub(in crate::plan) shapes: &'a ShapeCache,
    pub(in crate::plan) presenters: &'static dyn LibraryTypes,
}

/// Shapes of library types, which show the content of a value rather than its members.
pub(in crate::plan) trait LibraryTypes {
    /// The shape of a struct, with `depth` levels of pointers left. `None` if it is not a library
    /// type.
    fn present(
        &self,
        builder: &mut Builder<'_>,
        ty: &Type,
        body: &StructType,
        depth: u32,
    ) -> Option<Node>;

    /// The shape of a class that the debug information only declares.
    fn present_declared(&self, builder: &mut Builder<'_>, ty: &Type) -> Option<Node>;

    /// Bytes of an object of a class that the debug information only declares.
    fn declared_size(&self, builder: &Builder<'_>, ty: &Type) -> Option<u64>;
}

impl<'a> Builder<'a> {
    pub(in crate::plan) fn new(of: BuilderInput<'a>) -> Self {
        let BuilderInput {
            source,
            base,
            neighbours,
            limits,
            shapes,
            presenters,
        } = of;
        // Most bytes of one copy. A text that is read up to its zero byte needs one byte more than
        // its limit.
        let copy = u64::from(tracer_common::limits::MAX_COPY);
        Self {
            types: Types::Own(source),
            elsewhere: None,
            own: (source, base),
            neighbours,
            presenters,
            limits: Limits {
                string_bytes: limits.string_bytes.min(copy - 1),
                buckets: limits.buckets.min(copy),
                value_bytes: limits.value_bytes.min(copy * 4),
                elements: limits.elements.min(copy),
                ..limits
            },
            shapes,
            of_process: Cell::new(false),
            first: 0,
            slots: 0,
            nodes: 0,
            nesting: 0,
            attempting: false,
            spine: 0,
            level: 0,
            unsure: false,
            later: Vec::new(),
            definitions: RefCell::default(),
        }
    }

    fn source(&self) -> &dyn TypeSource {
        match &self.types {
            Types::Own(source) => *source,
            Types::Other(module) => &**module,
        }
    }

    /// Numbers another chunk. Chunks of a shared shape are numbered from 0.
    pub(in crate::plan) fn slot(&mut self) -> Result<Slot, Unavailable> {
        let number = Slot::try_from(self.first + self.slots);
        if number.is_err() {
            // A plan with fewer chunks before the shape would have room.
            self.depends_on_process();
            return Err(Unavailable::NoRoom);
        }
        let slot = Slot::try_from(self.slots).map_err(|_| Unavailable::NoRoom)?;
        self.slots += 1;
        Ok(slot)
    }

    /// Notes that the current shape is for this plan only.
    pub(in crate::plan) fn depends_on_process(&self) {
        self.of_process.set(true);
    }

    pub(in crate::plan) fn limits(&self) -> Limits {
        self.limits
    }

    /// The type behind its aliases, with the name that the source uses.
    pub(in crate::plan) fn resolve(&self, id: TypeId) -> Arc<Type> {
        let first = self.source().type_of(id);
        let mut ty = first.clone();
        for _ in 0..NESTING {
            let TypeKind::Alias(next) = ty.kind else {
                let anonymous = ty.name.is_empty() || ty.name.ends_with("{...}");
                if anonymous && !first.name.is_empty() {
                    let mut named = (*ty).clone();
                    named.name.clone_from(&first.name);
                    return Arc::new(named);
                }
                return ty;
            };
            ty = self.source().type_of(next);
        }
        Arc::new(Type {
            name: first.name.clone(),
            size: None,
            language: first.language,
            kind: TypeKind::Unsupported("an alias of itself".into()),
        })
    }

    /// The name of the type behind its aliases.
    pub(in crate::plan) fn resolve_name(&self, id: TypeId) -> String {
        self.resolve(id).name.clone()
    }

    /// Types of the site's module that implement a trait.
    pub(in crate::plan) fn implementers(&self, of: &str) -> Vec<Implementer> {
        match self.types {
            Types::Own(source) => source.implementers(of, limits::IMPLEMENTERS),
            // Records tell the place of the site's module alone.
            Types::Other(_) => Vec::new(),
        }
    }

    /// Classes of the current module that derive from `class`.
    pub(in crate::plan) fn derived(&self, class: &str) -> Vec<Derived> {
        self.source().derived(class, limits::IMPLEMENTERS)
    }

    /// Runs `make` with half of the nodes that are left. `None` if they do not suffice; then no
    /// node is used up.
    pub(in crate::plan) fn attempt<T>(
        &mut self,
        make: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if self.attempting {
            return None;
        }
        self.attempting = true;
        let (nodes, slots, later) = (self.nodes, self.slots, self.later.len());
        let share = nodes / 2;
        self.nodes = share;
        let made = make(self).filter(|_| self.nodes > 0);
        let used = share - self.nodes;
        self.nodes = nodes;
        match made {
            Some(_) => self.nodes -= used,
            None => {
                self.slots = slots;
                self.later.truncate(later);
            }
        }
        self.attempting = false;
        made
    }

    /// Version of the Rust compiler.
    pub(in crate::plan) fn rust_version(&self) -> Option<(u32, u32)> {
        self.source().rust_version()
    }

    /// A pointer type to `target`, even if the program has none.
    pub(in crate::plan) fn raw_pointer(&self, target: TypeId) -> Option<TypeId> {
        self.source().pointer(target)
    }

    /// The kind of a type itself, without following aliases.
    pub(in crate::plan) fn declared(&self, id: TypeId) -> TypeKind {
        self.source().type_of(id).kind.clone()
    }

    /// The type of a full name.
    pub(in crate::plan) fn named(&self, name: &str) -> Option<TypeId> {
        self.source().named(name)
    }

    /// Bytes of a value of the type.
    pub(in crate::plan) fn size(&self, id: TypeId) -> Option<u64> {
        let known = self.declared_size(id);
        known.or_else(|| self.size_elsewhere(&self.resolve(id)))
    }

    /// Bytes of a value, as the type or its aliases declare them.
    pub(in crate::plan) fn declared_size(&self, id: TypeId) -> Option<u64> {
        let ty = self.source().type_of(id);
        ty.size.or_else(|| self.resolve(id).size)
    }

    /// The shape of one variable, within a number of ops. Plans of the module share it, unless it
    /// depends on the process.
    pub(in crate::plan) fn shape(&mut self, ty: TypeId, ops: usize) -> NumberedShape {
        let limits = self.limits;
        let key = ShapeKey { ty, ops, limits };
        let first = self.slots;
        let fits = |slots: u32| first + slots <= u32::from(Slot::MAX);
        if let Some(shape) = self.shapes.get(&key).filter(|shape| fits(shape.slots)) {
            return self.numbered(shape);
        }
        (self.first, self.slots) = (first, 0);
        self.of_process.set(false);
        let node = self.value_within(ty, ops);
        let name = display_names::without_paths(&self.resolve(ty).name);
        let shape = Shape::new(node, self.slots, name.into());
        (self.first, self.slots) = (0, first);
        let shape = match self.of_process.get() {
            true => Arc::new(shape),
            false => self.shapes.keep(key, shape),
        };
        self.numbered(shape)
    }

    /// The shape of a value, without anything that its pointers lead to.
    pub(in crate::plan) fn shape_without_targets(&mut self, ty: TypeId) -> NumberedShape {
        let limits = self.limits;
        self.limits.depth = 0;
        let shape = self.shape(ty, 0);
        self.limits = limits;
        shape
    }

    /// Numbers the slots of a shape.
    fn numbered(&mut self, shape: Arc<Shape>) -> NumberedShape {
        // `slot` has checked each number.
        let first = Slot::try_from(self.slots).unwrap_or(Slot::MAX);
        self.slots += shape.slots;
        NumberedShape { shape, first }
    }

    /// The shape of one variable, with slots of this plan.
    pub(in crate::plan) fn variable(&mut self, ty: TypeId) -> Node {
        self.value_within(ty, FOLLOWED_OPS)
    }

    fn value_within(&mut self, ty: TypeId, ops: usize) -> Node {
        match self.variable_within(ty, ops) {
            // A flexible array member may be left out. A variable needs a value or a reason.
            Node::Flexible => Node::Missing(Unavailable::Unsupported(
                "an array of unknown length".into(),
            )),
            node => node,
        }
    }

    /// Returns true if pointers to texts are followed here.
    pub(in crate::plan) fn reads_texts(&self) -> bool {
        !self.unsure && self.limits.depth > 0
    }

    /// The segments that must be read for a shape.
    pub(in crate::plan) fn block_of(&mut self, node: Node) -> Result<Block, Unavailable> {
        let mut ranges = Vec::new();
        node.ranges(0, &mut ranges);
        let most = u64::from(tracer_common::limits::MAX_COPY);
        let segments = merged(ranges, limits::MERGE_GAP, most)
            .into_iter()
            .map(|(offset, len)| {
                let slot = self.slot()?;
                Ok(Segment { offset, len, slot })
            })
            .collect::<Result<Vec<_>, Unavailable>>()?;
        Ok(Block { segments, node })
    }

    /// The shape of a value, with `depth` levels of pointers left.
    pub(in crate::plan) fn node(&mut self, id: TypeId, depth: u32) -> Node {
        if self.nodes == 0 {
            return Node::Missing(so_many_parts());
        }
        self.nodes -= 1;
        if self.nesting >= NESTING {
            return Node::Missing(Unavailable::BadDebugInfo("types nested too deeply".into()));
        }
        self.nesting += 1;
        let ty = self.resolve(id);
        let node = match self.defined_elsewhere(&ty, depth) {
            Some(node) => node,
            None => self.kind(&ty, depth),
        };
        self.nesting -= 1;
        node
    }

    fn kind(&mut self, ty: &Type, depth: u32) -> Node {
        match &ty.kind {
            TypeKind::Void => Node::Unit,
            TypeKind::Bool => match small(ty.size, 8) {
                Some(size) => Node::Bool {
                    size,
                    strict: ty.language == Language::Rust,
                },
                None => unsized_value(),
            },
            TypeKind::Int { signed } => match small(ty.size, 16) {
                Some(size) => Node::Int {
                    size,
                    signed: *signed,
                },
                None if ty.size == Some(0) => Node::Unit,
                None => unsized_value(),
            },
            TypeKind::Float => match ty.size {
                Some(size @ (4 | 8)) => Node::Float { size: size as u8 },
                Some(10 | 12 | 16) if ty.name.contains("long double") => Node::Float { size: 10 },
                Some(size) => {
                    Node::Missing(Unavailable::Unsupported(format!("a float of {size} bytes")))
                }
                None => unsized_value(),
            },
            TypeKind::Char { signed } => char_node(ty, *signed),
            TypeKind::Pointer { target, kind } => self.pointer(ty, *target, *kind, depth),
            TypeKind::MemberPointer { .. } => match small(ty.size, 16) {
                Some(size) => Node::Int { size, signed: true },
                None => unsized_value(),
            },
            TypeKind::Struct(body) => self.structure(ty, body, depth),
            TypeKind::Union(body) => self.union(ty, body, depth),
            TypeKind::Enum {
                size,
                signed,
                enumerators,
            } => match small(Some(*size), 16) {
                Some(size) => Node::Enum(Arc::new(EnumNode {
                    name: display_names::short(&ty.name).into(),
                    size,
                    signed: *signed,
                    names: enumerators
                        .iter()
                        .map(|(name, value)| (Arc::from(display_names::short(name)), *value))
                        .collect(),
                    open: ty.language != Language::Rust,
                })),
                None => unsized_value(),
            },
            TypeKind::Array {
                element,
                dimensions,
            } => self.array(*element, dimensions, depth),
            TypeKind::Function => Node::Missing(Unavailable::Unsupported("a function".into())),
            TypeKind::Alias(_) => Node::Missing(Unavailable::BadDebugInfo("an alias".into())),
            TypeKind::Unsupported(what) if what == "DW_ATE_complex_float" => complex(ty),
            TypeKind::Unsupported(what) => Node::Missing(Unavailable::Unsupported(what.clone())),
        }
    }

    fn structure(&mut self, ty: &Type, body: &StructType, depth: u32) -> Node {
        let presented = self.presenters.present(self, ty, body, depth);
        presented.unwrap_or_else(|| self.raw_struct(ty, body, depth))
    }

    /// All fields, without presenters.
    pub(in crate::plan) fn raw_struct(&mut self, ty: &Type, body: &StructType, depth: u32) -> Node {
        if ty.size.is_none() {
            return unsized_value();
        }
        if let Some(part) = &body.variants {
            return self.variants(ty, part, depth);
        }
        let spine = self.spine;
        if body.bases.len() + body.members.len() > 1 {
            self.spine = 0;
        }
        let mut fields = Vec::new();
        for base in &body.bases {
            let name: Arc<str> = display_names::short(&self.source().type_of(base.ty).name).into();
            let (offset, node) = match base.offset {
                BaseOffset::Fixed(offset) => (offset, self.node(base.ty, depth)),
                BaseOffset::VtableSlot(slot) => (0, self.virtual_base(base.ty, slot, depth)),
            };
            if !matches!(&node, Node::Struct(_, inner) if inner.is_empty()) {
                fields.push(Field { name, offset, node });
            }
        }
        fields.extend(self.fields(&body.members, ty.language, depth));
        self.spine = spine;
        if ty.language == Language::Rust && ty.name.starts_with('(') {
            return if fields.is_empty() {
                Node::Unit
            } else {
                Node::Tuple(fields)
            };
        }
        Node::Struct(display_names::short(&ty.name).into(), fields)
    }

    /// A virtual base class. The object's virtual table has its distance.
    fn virtual_base(&mut self, ty: TypeId, in_table: i64, depth: u32) -> Node {
        match self.node(ty, depth) {
            node @ Node::Missing(_) => node,
            Node::Struct(name, fields) if fields.is_empty() => Node::Struct(name, fields),
            node => {
                let made = self.block_of(node).and_then(|block| {
                    let slot = self.slot()?;
                    Ok(BesideNode {
                        in_table,
                        block,
                        slot,
                    })
                });
                made.map_or_else(Node::Missing, |beside| Node::Beside(Box::new(beside)))
            }
        }
    }

    fn union(&mut self, ty: &Type, body: &StructType, depth: u32) -> Node {
        if ty.size.is_none() {
            return unsized_value();
        }
        let name = display_names::short(&ty.name);
        if ty.language == Language::Rust && display_names::path(&ty.name).ends_with("MaybeUninit") {
            // Nothing shows whether the union has a value.
            return Node::Struct(name.into(), Vec::new());
        }
        // The active member is unknown, so no pointer in it is followed.
        let unsure = std::mem::replace(&mut self.unsure, true);
        let fields = self.fields(&body.members, ty.language, depth);
        self.unsure = unsure;
        Node::Struct(name.into(), fields)
    }

    /// Data members as fields. Anonymous members are replaced by their own members.
    pub(in crate::plan) fn fields(
        &mut self,
        members: &[StructMember],
        language: Language,
        depth: u32,
    ) -> Vec<Field> {
        let mut fields = Vec::new();
        for member in members {
            if member.artificial && language != Language::Rust {
                continue;
            }
            let node = match member.bits {
                Some((shift, bits)) => self.bit_field(member.ty, shift, bits, depth),
                None => self.node(member.ty, depth),
            };
            match node {
                Node::Struct(_, inner) if member.name.is_empty() => {
                    fields.extend(inner.into_iter().map(|mut field| {
                        field.offset = field.offset.saturating_add(member.offset);
                        field
                    }));
                }
                node => fields.push(Field {
                    name: display_names::field(&member.name).into(),
                    offset: member.offset,
                    node,
                }),
            }
        }
        fields
    }

    fn variants(&mut self, ty: &Type, part: &VariantPart, depth: u32) -> Node {
        if part.discriminant.is_none() && part.variants.len() > 1 {
            return Node::Missing(Unavailable::BadDebugInfo(NO_DISCRIMINANT.to_owned()));
        }
        let tag = match &part.discriminant {
            None => None,
            Some(member) => {
                let size = self.size(member.ty).and_then(|size| small(Some(size), 16));
                let Some(size) = size else {
                    return Node::Missing(Unavailable::BadDebugInfo("discriminant".into()));
                };
                Some((member.offset, size))
            }
        };
        let mask = tag.map_or(u128::MAX, |(_, size)| {
            u128::MAX >> (128 - u32::from(size) * 8)
        });
        let mut arms = Vec::new();
        for variant in &part.variants {
            let fields = match &self.resolve(variant.ty).kind {
                TypeKind::Struct(body) => self.fields(&body.members, ty.language, depth),
                _ => Vec::new(),
            };
            arms.push(Arm {
                name: variant.name.as_str().into(),
                line: variant.line.filter(|_| variant.name.starts_with(SUSPENDED)),
                values: variant
                    .values
                    .iter()
                    .map(|(low, high)| (low & mask, high & mask))
                    .collect(),
                fields,
            });
        }
        let path = display_names::path(&ty.name);
        Node::Variants(Box::new(VariantsNode {
            name: display_names::short(&ty.name).into(),
            tag,
            arms,
            transparent: path == "alloc::borrow::Cow",
            adds: false,
            of_addresses: false,
        }))
    }

    fn pointer(
        &mut self,
        ty: &Type,
        target: Option<TypeId>,
        kind: PointerKind,
        depth: u32,
    ) -> Node {
        if ty.size.is_some_and(|size| size != 8) {
            return Node::Missing(Unavailable::Unsupported(
                "a pointer that is not 64 bits".into(),
            ));
        }
        let rust = ty.language == Language::Rust;
        let transparent = if rust {
            !ty.name.starts_with('*')
        } else {
            kind != PointerKind::Raw
        };
        // A pointer to a type without values, such as `&()`, is shown as its address.
        let bare = || Err(Unavailable::Unsupported("no type".into()));
        let Some(target) = target else {
            return self.pointer_to(bare(), false);
        };
        let pointee = self.resolve(target);
        match &pointee.kind {
            TypeKind::Function => return Node::Function,
            TypeKind::Char { .. } if !rust && pointee.size == Some(1) && is_text_char(&pointee) => {
                if self.reads_texts()
                    && kind == PointerKind::Raw
                    && let Ok(slot) = self.slot()
                {
                    return Node::Text(Box::new(TextNode {
                        pointer: 0,
                        addend: 0,
                        len: None,
                        trim: 0,
                        zero_ends: false,
                        before: None,
                        limit: self.limits.string_bytes,
                        unit: 1,
                        short: None,
                        slot,
                    }));
                }
            }
            TypeKind::Void => return self.pointer_to(bare(), false),
            _ => {}
        }
        let block = match &pointee.kind {
            // A reference to a pointer counts as one pointer.
            TypeKind::Pointer { .. } if transparent && depth > 0 => self.block_at(target, depth),
            _ if transparent || self.spine > 0 => self.block(target, depth),
            // Targets of raw pointers count as further away than owned parts.
            _ => match depth.checked_sub(RAW_LEVELS) {
                Some(deeper) => self.block_at(target, deeper),
                None => Err(Unavailable::Depth),
            },
        };
        self.pointer_to(block, transparent)
    }

    /// A pointer at offset 0 to a block.
    pub(in crate::plan) fn pointer_to(
        &self,
        target: Result<Block, Unavailable>,
        transparent: bool,
    ) -> Node {
        Node::Pointer(Box::new(PointerNode {
            transparent,
            target,
            addend: 0,
            vtable: None,
        }))
    }

    /// Offset and type of a member by its path. Looks into base classes.
    pub(in crate::plan) fn find(&self, body: &StructType, path: &[&str]) -> Option<(u64, TypeId)> {
        let (name, rest) = path.split_first()?;
        let (offset, ty) = self.member(body, name, 0)?;
        if rest.is_empty() {
            return Some((offset, ty));
        }
        match &self.resolve(ty).kind {
            TypeKind::Struct(inner) | TypeKind::Union(inner) => {
                let (more, ty) = self.find(inner, rest)?;
                Some((offset.checked_add(more)?, ty))
            }
            _ => None,
        }
    }

    pub(in crate::plan) fn member(
        &self,
        body: &StructType,
        name: &str,
        level: u32,
    ) -> Option<(u64, TypeId)> {
        if level > 8 {
            return None;
        }
        if let Some(member) = body
            .members
            .iter()
            .find(|member| member.name == name && member.bits.is_none())
            .filter(|member| member.offset <= FURTHEST)
        {
            return Some((member.offset, member.ty));
        }
        nested(body).find_map(|(offset, ty)| match &self.resolve(ty).kind {
            TypeKind::Struct(inner) | TypeKind::Union(inner) => {
                let (more, ty) = self.member(inner, name, level + 1)?;
                Some((offset.checked_add(more)?, ty))
            }
            _ => None,
        })
    }
}

/// Returns true if it is plain `char` or `char8_t`, which hold text. `signed char` and `unsigned
/// char` hold numbers.
fn is_text_char(ty: &Type) -> bool {
    matches!(display_names::unqualified(&ty.name), "char" | "char8_t")
}

fn char_node(ty: &Type, signed: bool) -> Node {
    match ty.size {
        Some(1) if ty.language == Language::Rust || !is_text_char(ty) => {
            Node::Int { size: 1, signed }
        }
        Some(size @ (1 | 2 | 4)) => Node::Char { size: size as u8 },
        _ => unsized_value(),
    }
}

/// A complex number as a pair.
fn complex(ty: &Type) -> Node {
    let size = match ty.size {
        Some(8) => 4,
        Some(16) => 8,
        _ => {
            return Node::Missing(Unavailable::Unsupported(
                "a complex number of this size".into(),
            ));
        }
    };
    let part = |offset| Field {
        name: "".into(),
        offset,
        node: Node::Float { size },
    };
    Node::Tuple(vec![part(0), part(u64::from(size))])
}

fn small(size: Option<u64>, most: u64) -> Option<u8> {
    size.filter(|size| (1..=most).contains(size))
        .map(|size| size as u8)
}

pub(in crate::plan) fn unsized_value() -> Node {
    Node::Missing(Unavailable::Unsupported("a type of unknown size".into()))
}

/// Members whose own members count as those of the struct, with their offsets: anonymous members,
/// and bases at fixed offsets.
pub(in crate::plan) fn nested(body: &StructType) -> impl Iterator<Item = (u64, TypeId)> + '_ {
    let anonymous = (body.members.iter())
        .filter(|member| member.name.is_empty())
        .map(|member| (member.offset, member.ty));
    let bases = body.bases.iter().filter_map(|base| match base.offset {
        BaseOffset::Fixed(offset) => Some((offset, base.ty)),
        BaseOffset::VtableSlot(_) => None,
    });
    anonymous.chain(bases)
}
