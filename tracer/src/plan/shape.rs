//! The shape of a captured value: where its parts are in the bytes, and which pointers are
//! followed.
//!
//! One tree serves both sides. `capture` walks it depth first and writes ops. `decode` walks the
//! same tree in the same order over the record's chunks. Every decision of one side, such as "this
//! pointer is null" or "another variant is active", is made by the other from the same bytes, so
//! the two agree.

pub(super) mod bit_fields;
pub(super) mod builder;
pub(super) mod cost;
pub(super) mod display_names;
pub(super) mod dynamic_classes;
pub(super) mod foreign_classes;
mod parts;
pub(super) mod peel;
pub(super) mod presenter;
pub(super) mod shape_cache;

use std::sync::Arc;

use crate::base::address::LinkAddr;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::Identity;
use crate::plan::ops::addresses::AddressBase;

/// Number of a chunk within its plan.
pub(super) type Slot = u16;

/// A part of a value. Its parent knows its offset.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// An integer of 1 to 16 bytes.
    Int { size: u8, signed: bool },
    /// A bit field within the 16 bytes from its offset.
    Bits(Box<BitsNode>),
    /// A boolean. If `strict` it is 0 or 1; in C it may be any number.
    Bool { size: u8, strict: bool },
    /// Rust's `char` and `char32_t` (4), `char16_t` (2), C's `char` (1).
    Char { size: u8 },
    /// An IEEE number of 4 or 8 bytes, or an x87 number of 10.
    Float { size: u8 },
    /// A type without a value: `()`.
    Unit,
    /// A struct: its name and its fields.
    Struct(Arc<str>, Vec<Field>),
    /// A struct. Only some of its fields are shown.
    Partial(Arc<str>, Vec<Field>),
    /// Start and end of a range.
    Range(Box<[Field; 2]>),
    /// Fields by position, without a name.
    Tuple(Vec<Field>),
    /// An integer with names for some values.
    Enum(Arc<EnumNode>),
    /// One of several structs. The discriminant selects it.
    Variants(Box<VariantsNode>),
    /// Elements within the value.
    Array {
        count: u64,
        of: u64,
        stride: u64,
        element: Box<Node>,
    },
    /// Elements within the value, of unknown number.
    Flexible,
    /// A text within the value. It ends at a zero byte or at the end of the array.
    CharArray { len: u64, of: u64 },
    /// The address of a function.
    Function,
    /// An address, and its target.
    Pointer(Box<PointerNode>),
    /// A text behind a pointer.
    Text(Box<TextNode>),
    /// Elements behind a pointer.
    Seq(Box<SeqNode>),
    /// A hash table's buckets.
    Table(Box<TableNode>),
    /// A B-tree's entries.
    Tree(Box<TreeNode>),
    /// Entries that are linked to each other.
    Chain(Box<ChainNode>),
    /// Elements in blocks.
    Blocks(Box<BlocksNode>),
    /// Booleans of one bit each.
    BitRow(Box<BitRowNode>),
    /// Booleans of one bit each within the value. `shown` of them are read.
    BitSet { count: u64, shown: u64 },
    /// Elements in blocks, whose number is stored.
    Pages(Box<PagesNode>),
    /// A time span: offsets of its seconds and its nanoseconds.
    Duration { secs: u64, nanos: u64 },
    /// A time span in eight bytes.
    Nanoseconds,
    /// Another node at an offset.
    Inside(u64, Box<Node>),
    /// A part of the object outside of its own bytes.
    Beside(Box<BesideNode>),
    /// An object whose class is in its virtual table.
    Dynamic(Box<DynamicNode>),
    /// A part that cannot be shown, and the reason.
    Missing(Unavailable),
    /// A struct, and the order in which its fields are captured, by number.
    Ordered(Vec<u16>, Box<Node>),
    /// A part that is made later (see `builder::breadth`). Finished shapes have none.
    Later(u32),
}

/// A named part of a struct.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: Arc<str>,
    pub(super) offset: u64,
    pub(super) node: Node,
}

/// A bit field.
#[derive(Clone, Debug)]
pub(super) struct BitsNode {
    /// Offset in bits from the lowest bit of the first byte.
    pub(super) shift: u32,
    /// Number of bits, at most 64.
    pub(super) bits: u32,
    pub(super) signed: bool,
    pub(super) of: BitsOf,
}

/// The kind of number in a bit field.
#[derive(Clone, Debug)]
pub(super) enum BitsOf {
    Number,
    /// `strict`: only 0 and 1 are values.
    Bool {
        strict: bool,
    },
    /// `size`: bytes of the declared type.
    Char {
        size: u8,
    },
    Enum(Arc<EnumNode>),
}

/// An integer with names for some values.
#[derive(Debug)]
pub(super) struct EnumNode {
    /// The enum's name.
    pub(super) name: Arc<str>,
    pub(super) size: u8,
    pub(super) signed: bool,
    pub(super) names: Vec<(Arc<str>, i128)>,
    /// Other numbers, and sums of named ones, are values as well.
    pub(super) open: bool,
}

/// The variants of an enum with data.
#[derive(Clone, Debug)]
pub(super) struct VariantsNode {
    pub(super) name: Arc<str>,
    /// Offset and size of the discriminant. `None` if there is one variant.
    pub(super) tag: Option<(u64, u8)>,
    pub(super) arms: Vec<Arm>,
    /// The enum is shown as its only field (`Cow`).
    pub(super) transparent: bool,
    /// The first variant is always active; the others add to it.
    pub(super) adds: bool,
    /// The discriminant is an address of the site's module. Its ranges are link addresses.
    pub(super) of_addresses: bool,
}

/// Reason for an enum without variants.
pub(super) const EMPTY_ENUM: &str = "an enum without variants has no values";
/// Reason for an enum whose variant is unknown.
pub(super) const NO_DISCRIMINANT: &str = "variants without a discriminant";

/// One variant.
#[derive(Clone, Debug)]
pub(super) struct Arm {
    pub(super) name: Arc<str>,
    /// The source line at which a coroutine waits.
    pub(super) line: Option<u64>,
    /// Inclusive ranges of the discriminant. Empty for the variant that is active if no other one
    /// is.
    pub(super) values: Vec<(u128, u128)>,
    pub(super) fields: Vec<Field>,
}

impl VariantsNode {
    /// The variant of a discriminant.
    pub(super) fn select(&self, tag: u128) -> Option<&Arm> {
        let within = |arm: &&Arm| {
            arm.values
                .iter()
                .any(|(low, high)| (*low..=*high).contains(&tag))
        };
        self.arms
            .iter()
            .find(within)
            .or_else(|| self.arms.iter().find(|arm| arm.values.is_empty()))
    }
}

/// An address and its target.
#[derive(Clone, Debug)]
pub(super) struct PointerNode {
    /// The pointer is shown as its target.
    pub(super) transparent: bool,
    /// The target. It begins `addend` bytes after the address.
    pub(super) target: Result<Block, Unavailable>,
    pub(super) addend: i64,
    /// Offset of a second word that is shown with the address: the vtable of `dyn`.
    pub(super) vtable: Option<u64>,
}

/// A virtual base class. The object's virtual table has its distance.
#[derive(Clone, Debug)]
pub(super) struct BesideNode {
    /// Place of the distance in the table, in bytes from the table's address point.
    pub(super) in_table: i64,
    pub(super) block: Block,
    /// The chunk with the base's address, or with the reason why there is none.
    pub(super) slot: Slot,
}

/// A C++ object whose class is known, or derives from a known class. Its virtual table leads to the
/// type information of its real class.
#[derive(Clone, Debug)]
pub(super) struct DynamicNode {
    /// The object as its known class.
    pub(super) plain: Node,
    /// The chunk with the index of the class, [`NO_CLASS`] for its known class, or with the reason
    /// why it is unknown.
    pub(super) slot: Slot,
    pub(super) classes: Vec<DynamicClass>,
}

/// In place of an index: the object is shown as its known class.
pub(super) const NO_CLASS: u64 = u64::MAX;

/// A class that the object may have.
#[derive(Clone, Debug)]
pub(super) struct DynamicClass {
    /// The base of the addresses of its module, if that is not the site's.
    pub(super) elsewhere: Option<AddressBase>,
    /// Its type information.
    pub(super) info: LinkAddr,
    /// Identifies its module, to see whether it is still mapped.
    pub(super) identity: Identity,
    /// The whole object as this class.
    pub(super) block: Block,
    /// The chunk with the object's address, or with the reason why that is unknown.
    pub(super) slot: Slot,
}

/// A value in memory of its own: the segments that are read, and its shape.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Sorted by offset. Each is a chunk.
    pub(super) segments: Vec<Segment>,
    pub(super) node: Node,
}

/// Bytes that are read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) slot: Slot,
}

/// A text behind a pointer.
#[derive(Clone, Debug)]
pub(super) struct TextNode {
    /// Offset of the pointer.
    pub(super) pointer: u64,
    /// Bytes from the pointer's target to the text.
    pub(super) addend: i64,
    /// Offset of the number of bytes. `None` if the text ends at a zero byte.
    pub(super) len: Option<u64>,
    /// Bytes that the length counts but the text lacks, such as its zero byte.
    pub(super) trim: u64,
    /// The text ends earlier at a zero byte, if it has one.
    pub(super) zero_ends: bool,
    /// Bytes from the number of characters to the text that follows it, and the chunk with that
    /// number.
    pub(super) before: Option<(u32, Slot)>,
    pub(super) limit: u64,
    /// Bytes of a character: 1 (UTF-8 or any other), 2 (UTF-16) or 4 (UTF-32).
    pub(super) unit: u8,
    /// The text's place within the value, if it is short.
    pub(super) short: Option<ShortText>,
    pub(super) slot: Slot,
}

/// A text within the bytes that hold pointer and length of a longer one.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortText {
    /// Offset of a byte that is even if the text is short. It is twice the number of characters.
    pub(super) tag: u64,
    /// Offset of the first character.
    pub(super) data: u64,
    /// Most characters.
    pub(super) most: u64,
}

/// Elements behind a pointer.
#[derive(Clone, Debug)]
pub(super) struct SeqNode {
    /// Offset of the pointer.
    pub(super) pointer: u64,
    /// Bytes from the pointer's target to the first element.
    pub(super) addend: i64,
    pub(super) len: SeqLen,
    pub(super) stride: u64,
    /// Most elements that are read.
    pub(super) limit: u64,
    pub(super) element: Node,
    pub(super) slot: Slot,
    pub(super) set: bool,
}

/// The source of the number of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeqLen {
    /// A 64-bit number at this offset.
    Count(u64),
    /// A pointer to the end, at this offset. The difference is in bytes.
    End(u64),
    /// A constant number.
    Known(u64),
    /// A ring buffer: offsets of its length, its head and its capacity.
    Ring {
        len: u64,
        head: u64,
        cap: u64,
        slot: Slot,
    },
}

/// A hash table of `hashbrown`.
#[derive(Clone, Debug)]
pub(super) struct TableNode {
    /// Offset of the pointer to the control bytes.
    pub(super) ctrl: u64,
    /// Offset of the number of buckets minus one.
    pub(super) mask: u64,
    /// Offset of the number of entries.
    pub(super) items: u64,
    /// Most control bytes that are read.
    pub(super) buckets: u64,
    /// Most entries that are read.
    pub(super) limit: u64,
    pub(super) stride: u64,
    pub(super) ctrl_slot: Slot,
    pub(super) slot: Slot,
    /// Offset and shape of the key in an entry.
    pub(super) key: (u64, Node),
    /// Offset and shape of the value. `None` for a set.
    pub(super) value: Option<(u64, Node)>,
}

/// A B-tree of Rust's standard library.
#[derive(Clone, Debug)]
pub(super) struct TreeNode {
    /// Offset of the pointer to the root node. It is null if the tree is empty.
    pub(super) root: u64,
    /// Offset of the tree's height.
    pub(super) height: u64,
    /// Offset of the number of entries.
    pub(super) length: u64,
    /// Offsets in a node: parent, index in the parent, entries, first edge.
    pub(super) parent: u64,
    pub(super) parent_index: u64,
    pub(super) entries: u64,
    pub(super) edges: u64,
    pub(super) limit: u64,
    /// The keys of a node.
    pub(super) key: TreePart,
    /// The values of a node. `None` for a set.
    pub(super) value: Option<TreePart>,
    /// The chunk that marks the end.
    pub(super) end: Slot,
}

/// Keys or values of a B-tree's node.
#[derive(Clone, Debug)]
pub(super) struct TreePart {
    pub(super) offset: u64,
    pub(super) stride: u64,
    pub(super) node: Node,
    pub(super) slot: Slot,
}

/// Linked nodes with one entry each.
#[derive(Clone, Debug)]
pub(super) struct ChainNode {
    /// Offset of the pointer to the first node. It is null if there is none.
    pub(super) first: u64,
    /// Offset of the number of entries. `None` if the list ends at a null pointer or at `last`.
    pub(super) count: Option<u64>,
    /// Offset of the pointer to the last node of a ring without a stored length.
    pub(super) last: Option<u64>,
    pub(super) step: ChainStep,
    /// Bytes from the start of a node to its entry, and bytes of an entry.
    pub(super) payload: u64,
    pub(super) stride: u64,
    /// Offset and shape of the key in an entry.
    pub(super) key: (u64, Node),
    /// Offset and shape of the value. `None` if entries are not pairs.
    pub(super) value: Option<(u64, Node)>,
    /// Shown in braces.
    pub(super) set: bool,
    pub(super) limit: u64,
    pub(super) slot: Slot,
    /// The chunk that marks the end.
    pub(super) end: Slot,
}

/// The way from a node to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChainStep {
    /// The pointer at this offset.
    Next(u64),
    /// In-order traversal of a binary tree: offsets of the pointers to a node's children and its
    /// parent.
    Tree { left: u64, right: u64, parent: u64 },
}

/// Elements in blocks of one size in bytes. An array of pointers lists the blocks (`std::deque`).
/// The offsets are those of the two iterators' members.
#[derive(Clone, Debug)]
pub(super) struct BlocksNode {
    pub(super) cur: u64,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) node: u64,
    pub(super) end_cur: u64,
    pub(super) end_first: u64,
    pub(super) end_node: u64,
    pub(super) stride: u64,
    pub(super) element: Node,
    pub(super) limit: u64,
    pub(super) slot: Slot,
    /// The chunk that marks the end.
    pub(super) end: Slot,
}

/// Blocks of a fixed number of elements. An array of pointers lists the blocks (libc++'s `deque`).
#[derive(Clone, Debug)]
pub(super) struct PagesNode {
    /// Offsets of the first and the end pointer of the array of blocks.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Offset of the index of the first element, counted from the first block.
    pub(super) start: u64,
    /// Offset of the number of elements.
    pub(super) count: u64,
    /// Elements per block.
    pub(super) per_block: u64,
    pub(super) stride: u64,
    pub(super) element: Node,
    pub(super) limit: u64,
    pub(super) slot: Slot,
    /// The chunk that marks the end.
    pub(super) end: Slot,
}

/// Bits behind a pointer (`std::vector<bool>`).
#[derive(Clone, Debug)]
pub(super) struct BitRowNode {
    pub(super) start: u64,
    pub(super) count: BitCount,
    /// Most bits that are read.
    pub(super) limit: u64,
    pub(super) slot: Slot,
}

/// The source of the number of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BitCount {
    /// A 64-bit number at this offset.
    Count(u64),
    /// All bits up to a pointer, plus the number in the four bytes at `rest`.
    End { end: u64, rest: u64 },
}

impl Node {
    /// The fields of a value with fields at fixed offsets.
    pub(super) fn fields(&self) -> Option<&[Field]> {
        match self {
            Self::Struct(_, fields) | Self::Partial(_, fields) | Self::Tuple(fields) => {
                Some(fields)
            }
            Self::Range(bounds) => Some(&bounds[..]),
            _ => None,
        }
    }

    /// The fields, mutably.
    pub(super) fn fields_mut(&mut self) -> Option<&mut [Field]> {
        match self {
            Self::Struct(_, fields) | Self::Partial(_, fields) | Self::Tuple(fields) => {
                Some(fields)
            }
            Self::Range(bounds) => Some(&mut bounds[..]),
            _ => None,
        }
    }

    /// Returns true if anything outside the value's own bytes is read.
    pub(super) fn follows(&self) -> bool {
        if let Some(fields) = self.fields() {
            return any_follows(fields);
        }
        match self {
            Self::Variants(variants) => variants.arms.iter().any(|arm| any_follows(&arm.fields)),
            Self::Array { element, .. } => element.follows(),
            Self::Inside(_, inner) | Self::Ordered(_, inner) => inner.follows(),
            Self::Pointer(pointer) => pointer.target.is_ok(),
            Self::Text(_)
            | Self::Seq(_)
            | Self::Table(_)
            | Self::Tree(_)
            | Self::Chain(_)
            | Self::Blocks(_)
            | Self::BitRow(_)
            | Self::Pages(_)
            | Self::Beside(_)
            | Self::Dynamic(_) => true,
            _ => false,
        }
    }

    /// Returns true if the value's run address is needed.
    pub(super) fn needs_address(&self) -> bool {
        let any = |fields: &[Field]| fields.iter().any(|field| field.node.needs_address());
        if let Some(fields) = self.fields() {
            return any(fields);
        }
        match self {
            Self::Beside(_) | Self::Dynamic(_) => true,
            Self::Variants(variants) => variants.arms.iter().any(|arm| any(&arm.fields)),
            Self::Array { element, .. } => element.needs_address(),
            Self::Inside(_, inner) | Self::Ordered(_, inner) => inner.needs_address(),
            _ => false,
        }
    }

    /// Adds the byte ranges (offset, length) that are read of the value at offset `at`.
    pub(super) fn ranges(&self, at: u64, out: &mut Vec<(u64, u64)>) {
        match self {
            Self::Inside(offset, inner) => inner.ranges(at.saturating_add(*offset), out),
            Self::Ordered(_, inner) => inner.ranges(at, out),
            Self::Struct(..) | Self::Partial(..) | Self::Tuple(_) | Self::Range(_) => {
                field_ranges(self.fields().unwrap_or_default(), at, out);
            }
            Self::Variants(variants) => {
                // The active variant is known only at the hit, so the bytes of all variants are
                // read.
                if let Some((offset, size)) = variants.tag {
                    out.push((at.saturating_add(offset), u64::from(size)));
                }
                for arm in &variants.arms {
                    field_ranges(&arm.fields, at, out);
                }
            }
            Self::Dynamic(dynamic) => {
                // The pointer to the virtual table is at the start of the object.
                out.push((at, 8));
                dynamic.plain.ranges(at, out);
            }
            Self::Array {
                count,
                stride,
                element,
                ..
            } => {
                let mut inner = Vec::new();
                element.ranges(0, &mut inner);
                let dense = inner.iter().map(|(_, len)| len).sum::<u64>() >= *stride / 2;
                // If elements contain pointers, one loop follows them, from one base register. So
                // the elements must be one contiguous range.
                if *count > 0 && (dense || element.follows()) {
                    let length = count.saturating_mul(*stride);
                    out.extend((length > 0).then_some((at, length)));
                } else {
                    for index in 0..*count {
                        element.ranges(at.saturating_add(index.saturating_mul(*stride)), out);
                    }
                }
            }
            leaf => {
                let mut add = |offset: u64, len: u64| {
                    if len > 0 {
                        out.push((at.saturating_add(offset), len));
                    }
                };
                leaf.number_ranges(&mut add);
                leaf.collection_ranges(&mut add);
            }
        }
    }

    /// Calls `add` with the offset and the length of each range of a number or a pointer.
    fn number_ranges(&self, add: &mut dyn FnMut(u64, u64)) {
        match self {
            Self::Int { size, .. }
            | Self::Bool { size, .. }
            | Self::Char { size }
            | Self::Float { size } => add(0, u64::from(*size)),
            Self::Bits(field) => {
                let BitsNode { shift, bits, .. } = **field;
                let from = u64::from(shift / 8);
                add(from, u64::from((shift + bits).div_ceil(8)) - from);
            }
            Self::Enum(node) => add(0, u64::from(node.size)),
            Self::CharArray { len, .. } => add(0, *len),
            Self::Function => add(0, 8),
            Self::Pointer(pointer) => {
                add(0, 8);
                if let Some(vtable) = pointer.vtable {
                    add(vtable, 8);
                }
            }
            Self::BitSet { shown, .. } => add(0, shown.div_ceil(8)),
            Self::Beside(_) => add(0, 8),
            Self::Duration { secs, nanos } => {
                add(*secs, 8);
                add(*nanos, 4);
            }
            Self::Nanoseconds => add(0, 8),
            _ => {}
        }
    }

    /// Calls `add` with each range of the head of a collection or text: its pointers and lengths.
    fn collection_ranges(&self, add: &mut dyn FnMut(u64, u64)) {
        match self {
            Self::Text(text) => {
                add(text.pointer, 8);
                if let Some(len) = text.len {
                    add(len, 8);
                }
                if let Some(short) = text.short {
                    add(short.tag, 1);
                    add(short.data, short.most.saturating_mul(text.unit.into()));
                }
            }
            Self::Seq(seq) => {
                add(seq.pointer, 8);
                match seq.len {
                    SeqLen::Count(at) | SeqLen::End(at) => add(at, 8),
                    SeqLen::Known(_) => {}
                    SeqLen::Ring { len, head, cap, .. } => {
                        add(len, 8);
                        add(head, 8);
                        add(cap, 8);
                    }
                }
            }
            Self::Table(table) => {
                add(table.ctrl, 8);
                add(table.mask, 8);
                add(table.items, 8);
            }
            Self::Tree(tree) => {
                add(tree.root, 8);
                add(tree.height, 8);
                add(tree.length, 8);
            }
            Self::Chain(chain) => {
                add(chain.first, 8);
                for offset in [chain.count, chain.last].into_iter().flatten() {
                    add(offset, 8);
                }
            }
            Self::Blocks(blocks) => {
                for offset in [
                    blocks.cur,
                    blocks.first,
                    blocks.last,
                    blocks.node,
                    blocks.end_cur,
                    blocks.end_first,
                    blocks.end_node,
                ] {
                    add(offset, 8);
                }
            }
            Self::BitRow(row) => {
                add(row.start, 8);
                match row.count {
                    BitCount::Count(count) => add(count, 8),
                    BitCount::End { end, rest } => {
                        add(end, 8);
                        add(rest, 4);
                    }
                }
            }
            Self::Pages(pages) => {
                for offset in [pages.first, pages.last, pages.start, pages.count] {
                    add(offset, 8);
                }
            }
            _ => {}
        }
    }
}

fn any_follows(fields: &[Field]) -> bool {
    fields.iter().any(|field| field.node.follows())
}

fn field_ranges(fields: &[Field], at: u64, out: &mut Vec<(u64, u64)>) {
    for field in fields {
        field.node.ranges(at.saturating_add(field.offset), out);
    }
}

/// Sorts ranges and merges those at most `gap` bytes apart. None of the results is longer than
/// `most`.
pub(super) fn merged(mut ranges: Vec<(u64, u64)>, gap: u64, most: u64) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::new();
    for (offset, len) in ranges {
        let end = offset.saturating_add(len);
        if let Some(last) = out.last_mut() {
            let last_end = last.0.saturating_add(last.1);
            if offset <= last_end.saturating_add(gap) {
                last.1 = last_end.max(end) - last.0;
                continue;
            }
        }
        out.push((offset, len));
    }
    // A merged range may be longer than one copy, so it is split afterwards.
    let mut split = Vec::new();
    for (offset, len) in out {
        let mut from = 0;
        while from < len {
            let part = (len - from).min(most);
            split.push((offset.saturating_add(from), part));
            from += part;
        }
    }
    split
}
