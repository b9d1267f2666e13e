//! Makes the shape of a value from its type, within the limits.
//!
//! What all languages have is here; the collections and wrappers of the
//! standard libraries are in `rust` and `cpp`.

mod breadth;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::elsewhere::Types;
use super::limits::{FOLLOWED_OPS, Limits, NESTING, RAW_LEVELS};
use super::shape::{
    Arm, BesideNode, Block, EnumNode, Field, NO_DISCRIMINANT, Node, PointerNode, Segment, SeqLen,
    SeqNode, Slot, TextNode, VariantsNode, merged,
};
use super::{cpp, limits, names, rust};
use crate::address::{Bias, LinkAddr};
use crate::debuginfo::Neighbours;
use crate::debuginfo::types::{
    BaseOffset, Derived, Language, Member, PointerKind, StructType, Type, TypeId, TypeKind,
    TypeSource, VariantPart,
};
use crate::unavailable::Unavailable;
use crate::value::LINE;
use breadth::{LaterPart, so_many_parts};

/// How rustc names the states of a coroutine that waits.
const SUSPENDED: &str = "Suspend";

/// Members that presenters look at lie within; sums of such offsets cannot overflow.
const FURTHEST: u64 = 1 << 32;

/// Makes shapes; gives each chunk of a plan its number.
pub(super) struct Builder<'a> {
    pub(super) types: Types<'a>,
    pub(super) bias: Bias,
    /// Those of the module of the site, whatever is being made.
    pub(super) own: (&'a dyn TypeSource, Bias),
    pub(super) neighbours: Neighbours<'a>,
    limits: Limits,
    slots: u32,
    nodes: u32,
    nesting: u32,
    /// Within an attempt: there are none in it.
    attempting: bool,
    /// Pointers from the variable on that still take no level.
    spine: u32,
    /// Pointers and containers around what is being made.
    level: u32,
    /// Within a union: which member counts is not known, so nothing is followed.
    unsure: bool,
    /// What is made after the value that refers to it.
    later: Vec<LaterPart<'a>>,
    /// Definitions of classes by name, of the site's own module or not.
    pub(super) definitions: RefCell<HashMap<(bool, String), Option<TypeId>>>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        source: &'a dyn TypeSource,
        (bias, neighbours): (Bias, Neighbours<'a>),
        limits: Limits,
    ) -> Self {
        // What one copy carries; a text read up to its zero needs room for that.
        let copy = u64::from(tracer_common::limits::MAX_COPY);
        Self {
            types: Types::Own(source),
            bias,
            own: (source, bias),
            neighbours,
            limits: Limits {
                string_bytes: limits.string_bytes.min(copy - 1),
                buckets: limits.buckets.min(copy),
                value_bytes: limits.value_bytes.min(copy * 4),
                elements: limits.elements.min(copy),
                ..limits
            },
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

    /// A number for one more chunk.
    pub(super) fn slot(&mut self) -> Result<Slot, Unavailable> {
        let slot = Slot::try_from(self.slots).map_err(|_| Unavailable::NoRoom)?;
        self.slots += 1;
        Ok(slot)
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// The type behind its aliases, under the name that the source uses.
    pub(super) fn resolve(&self, id: TypeId) -> Arc<Type> {
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
    pub(super) fn resolve_name(&self, id: TypeId) -> String {
        self.resolve(id).name.clone()
    }

    /// Types that implement a trait, with the run addresses of their tables.
    pub(super) fn implementers(&self, of: &str) -> Vec<(TypeId, Vec<u64>, u64)> {
        let found = self.source().implementers(of, limits::IMPLEMENTERS);
        let run = |table: &LinkAddr| self.bias.run(*table).0;
        found
            .into_iter()
            .map(|one| (one.ty, one.tables.iter().map(run).collect(), one.align))
            .collect()
    }

    /// Classes that derive from one, with the run addresses of their type information.
    pub(super) fn derived(&self, class: &str) -> Vec<(TypeId, u64)> {
        let found = self.source().derived(class, limits::IMPLEMENTERS);
        let run = |one: &Derived| (one.ty, self.bias.run(one.info).0);
        found.iter().map(run).collect()
    }

    /// Runs `make` with half of the nodes that are left; `None`, and nothing
    /// taken, when these are not enough.
    pub(super) fn attempt<T>(&mut self, make: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
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
    pub(super) fn rust_version(&self) -> Option<(u32, u32)> {
        self.source().rust_version()
    }

    /// A pointer to a type, whether or not the program has one.
    pub(super) fn raw_pointer(&self, target: TypeId) -> Option<TypeId> {
        self.source().pointer(target)
    }

    /// What a type is before its aliases are followed.
    pub(super) fn declared(&self, id: TypeId) -> TypeKind {
        self.source().type_of(id).kind.clone()
    }

    /// The type of a full name.
    pub(super) fn named(&self, name: &str) -> Option<TypeId> {
        self.source().named(name)
    }

    /// Bytes of a value of the type.
    pub(super) fn size(&self, id: TypeId) -> Option<u64> {
        let known = self.declared_size(id);
        known.or_else(|| self.size_elsewhere(&self.resolve(id)))
    }

    /// Bytes of a value as the type itself or its aliases say.
    pub(super) fn declared_size(&self, id: TypeId) -> Option<u64> {
        let ty = self.source().type_of(id);
        ty.size.or_else(|| self.resolve(id).size)
    }

    /// The shape of one variable.
    pub(super) fn variable(&mut self, ty: TypeId) -> Node {
        match self.variable_within(ty, FOLLOWED_OPS) {
            // As a member it has no length; as a variable somebody knows it.
            Node::Flexible => Node::Missing(Unavailable::Unsupported(
                "an array of unknown length".into(),
            )),
            node => node,
        }
    }

    /// Whether the text of a pointer is read where it is.
    pub(super) fn reads_texts(&self) -> bool {
        !self.unsure && self.limits.depth > 0
    }

    /// The reads that a shape needs.
    pub(super) fn block_of(&mut self, node: Node) -> Result<Block, Unavailable> {
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

    /// The shape of a value, `depth` levels of pointers followed.
    pub(super) fn node(&mut self, id: TypeId, depth: u32) -> Node {
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
                    name: names::short(&ty.name).into(),
                    size,
                    signed: *signed,
                    names: enumerators
                        .iter()
                        .map(|(name, value)| (Arc::from(names::short(name)), *value))
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
        let presented = match ty.language {
            Language::Rust => rust::present(self, ty, body, depth),
            Language::Cpp => cpp::present(self, ty, body, depth),
            Language::C | Language::Other => None,
        };
        presented.unwrap_or_else(|| self.raw_struct(ty, body, depth))
    }

    /// Every field as it is, whatever the name says.
    pub(super) fn raw_struct(&mut self, ty: &Type, body: &StructType, depth: u32) -> Node {
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
            let name: Arc<str> = names::short(&self.source().type_of(base.ty).name).into();
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
        Node::Struct(names::short(&ty.name).into(), fields)
    }

    /// A base class that is as far from the object as its virtual table says.
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
        let name = names::short(&ty.name);
        if ty.language == Language::Rust && names::path(&ty.name).ends_with("MaybeUninit") {
            // Nothing says whether there is a value in it.
            return Node::Struct(name.into(), Vec::new());
        }
        // Which member counts is not known, so no pointer in it is followed.
        let unsure = std::mem::replace(&mut self.unsure, true);
        let fields = self.fields(&body.members, ty.language, depth);
        self.unsure = unsure;
        Node::Struct(name.into(), fields)
    }

    /// Data members as fields; anonymous ones give theirs.
    pub(super) fn fields(
        &mut self,
        members: &[Member],
        language: Language,
        depth: u32,
    ) -> Vec<Field> {
        let mut fields = Vec::new();
        for member in members {
            if member.artificial && language != Language::Rust {
                continue;
            }
            let node = match member.bits {
                Some(bits) => self.bit_field(member.ty, bits, depth),
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
                    name: names::field(&member.name).into(),
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
            let mut fields = match &self.resolve(variant.ty).kind {
                TypeKind::Struct(body) => self.fields(&body.members, ty.language, depth),
                _ => Vec::new(),
            };
            if let Some(line) = variant.line.filter(|_| variant.name.starts_with(SUSPENDED)) {
                let field = Field {
                    name: LINE.into(),
                    offset: 0,
                    node: Node::Known(line),
                };
                fields.insert(0, field);
            }
            arms.push(Arm {
                name: variant.name.as_str().into(),
                values: variant
                    .values
                    .iter()
                    .map(|(low, high)| (low & mask, high & mask))
                    .collect(),
                fields,
            });
        }
        let path = names::path(&ty.name);
        Node::Variants(Box::new(VariantsNode {
            name: names::short(&ty.name).into(),
            tag,
            arms,
            transparent: path == "alloc::borrow::Cow",
            adds: false,
        }))
    }

    fn array(&mut self, element: TypeId, dimensions: &[Option<u64>], depth: u32) -> Node {
        let Some((first, rest)) = dimensions.split_first() else {
            return self.node(element, depth);
        };
        let Some(of) = *first else {
            return Node::Flexible;
        };
        let Some(size) = self.size(element) else {
            return unsized_value();
        };
        let stride = rest.iter().try_fold(size, |product, dimension| {
            dimension.and_then(|count| product.checked_mul(count))
        });
        let Some(stride) = stride else {
            return unsized_value();
        };
        let text = matches!(
            (&self.resolve(element).kind, size),
            (TypeKind::Char { .. }, 1)
        );
        if text && rest.is_empty() && is_text_char(&self.resolve(element)) {
            let len = of.min(self.limits.string_bytes);
            return Node::CharArray { len, of };
        }
        let fit = self
            .limits
            .value_bytes
            .checked_div(stride)
            .unwrap_or(u64::MAX)
            .max(1);
        let count = of.min(self.limits.elements).min(fit);
        if self.nodes == 0 || self.nesting >= NESTING {
            return Node::Missing(so_many_parts());
        }
        self.nodes -= 1;
        self.nesting += 1;
        let spine = std::mem::replace(&mut self.spine, 0);
        let element = self.array(element, rest, depth);
        self.spine = spine;
        self.nesting -= 1;
        Node::Array {
            count,
            of,
            stride,
            element: Box::new(element),
        }
    }

    /// An array whose first dimension is a number beside its address: at offsets 8 and 0.
    pub(super) fn counted_array(&mut self, array: TypeId) -> Option<Node> {
        let mut found = true;
        let node = self.breadth_first(FOLLOWED_OPS, |builder| {
            let node = builder.elements_beside(array);
            found = node.is_some();
            node.unwrap_or(Node::Unit)
        });
        found.then_some(node)
    }

    fn elements_beside(&mut self, array: TypeId) -> Option<Node> {
        let ty = self.resolve(array);
        let TypeKind::Array {
            element,
            dimensions,
        } = &ty.kind
        else {
            return None;
        };
        let (None, inner) = dimensions.split_first()? else {
            return None;
        };
        let size = self.size(*element)?;
        let stride = inner.iter().try_fold(size, |size, count| {
            count.and_then(|count| size.checked_mul(count))
        })?;
        let most = u64::from(tracer_common::limits::MAX_COPY);
        if inner.is_empty() && stride == 1 && is_text_char(&self.resolve(*element)) {
            return Some(Node::Text(Box::new(TextNode {
                pointer: 0,
                addend: 0,
                len: Some(8),
                trim: 0,
                zero_ends: true,
                before: None,
                limit: self.limits.string_bytes,
                unit: 1,
                short: None,
                slot: self.slot().ok()?,
            })));
        }
        let depth = self.limits.depth;
        let slot = self.slot().ok()?;
        Some(Node::Seq(Box::new(SeqNode {
            pointer: 0,
            addend: 0,
            len: SeqLen::Count(8),
            stride,
            limit: self.limits.elements.min(most.checked_div(stride)?),
            element: self.array(*element, inner, depth),
            slot,
            set: false,
        })))
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
        // Of what leads to no type, as `&()` does, there is the address to show.
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
            // A reference to a pointer is one pointer for a reader.
            TypeKind::Pointer { .. } if transparent && depth > 0 => self.block_at(target, depth),
            _ if transparent || self.spine > 0 => self.block(target, depth),
            // What is only pointed to is further away than what belongs to the object.
            _ => match depth.checked_sub(RAW_LEVELS) {
                Some(deeper) => self.block_at(target, deeper),
                None => Err(Unavailable::Depth),
            },
        };
        self.pointer_to(block, transparent)
    }

    /// A pointer at offset 0 to a block.
    pub(super) fn pointer_to(&self, target: Result<Block, Unavailable>, transparent: bool) -> Node {
        Node::Pointer(Box::new(PointerNode {
            transparent,
            target,
            addend: 0,
            vtable: None,
        }))
    }

    /// A member by path, through base classes: its offset and type.
    pub(super) fn find(&self, body: &StructType, path: &[&str]) -> Option<(u64, TypeId)> {
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

    pub(super) fn member(
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

    /// Through structs of one member that matters to what is inside.
    pub(super) fn peel(&self, id: TypeId) -> (u64, TypeId) {
        self.peel_until(id, |_| false)
    }

    /// The same, up to a type that is `last`.
    pub(super) fn peel_until(&self, mut id: TypeId, last: impl Fn(&Type) -> bool) -> (u64, TypeId) {
        let mut offset = 0u64;
        for _ in 0..NESTING {
            let ty = self.resolve(id);
            let TypeKind::Struct(body) = &ty.kind else {
                break;
            };
            if last(&ty) {
                break;
            }
            let mut filled = body
                .members
                .iter()
                .filter(|member| self.size(member.ty) != Some(0));
            match (filled.next(), filled.next(), &body.variants) {
                (Some(only), None, None) if body.bases.is_empty() && only.offset <= FURTHEST => {
                    offset = offset.saturating_add(only.offset);
                    id = only.ty;
                }
                _ => break,
            }
        }
        (offset, id)
    }
}

/// Plain `char` (and `char8_t`), which holds text; `signed char` and
/// `unsigned char` hold numbers.
fn is_text_char(ty: &Type) -> bool {
    matches!(names::unqualified(&ty.name), "char" | "char8_t")
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

/// A complex number: its two parts, as a pair.
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

pub(super) fn unsized_value() -> Node {
    Node::Missing(Unavailable::Unsupported("a type of unknown size".into()))
}

/// What a struct has the members of as its own, with the offset: anonymous members, and bases that
/// are at the same place in each object.
pub(super) fn nested(body: &StructType) -> impl Iterator<Item = (u64, TypeId)> + '_ {
    let anonymous = (body.members.iter())
        .filter(|member| member.name.is_empty())
        .map(|member| (member.offset, member.ty));
    let bases = body.bases.iter().filter_map(|base| match base.offset {
        BaseOffset::Fixed(offset) => Some((offset, base.ty)),
        BaseOffset::VtableSlot(_) => None,
    });
    anonymous.chain(bases)
}
