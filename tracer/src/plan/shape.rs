//! The shape of a captured value: where its parts are in the bytes, and what
//! is followed from there.
//!
//! One tree serves both sides. `capture` walks it depth first and writes ops,
//! `decode` walks the same tree in the same order over the record's chunks.
//! What one of them decides at a node (this pointer is null, that variant is
//! not the one) the other decides from the same bytes, so that they agree.

use std::sync::Arc;

use crate::debuginfo::Identity;
use crate::unavailable::Unavailable;

/// Number of a chunk in its plan.
pub(super) type Slot = u16;

/// A part of a value, at an offset that its parent knows.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// An integer of 1 to 16 bytes.
    Int { size: u8, signed: bool },
    /// An integer of some bits, within the 16 bytes from its offset.
    Bits(Box<BitsNode>),
    /// Zero or one; of C, any number.
    Bool { size: u8, strict: bool },
    /// Rust's `char` and `char32_t` (4), `char16_t` (2), C's `char` (1).
    Char { size: u8 },
    /// IEEE of 4 or 8 bytes, x87 of 10.
    Float { size: u8 },
    /// Nothing but a type: `()`.
    Unit,
    /// Named fields, of a name.
    Struct(Arc<str>, Vec<Field>),
    /// Fields by position, without a name.
    Tuple(Vec<Field>),
    /// Named integers.
    Enum(Arc<EnumNode>),
    /// One of several structs, by discriminant.
    Variants(Box<VariantsNode>),
    /// Elements in place.
    Array {
        count: u64,
        of: u64,
        stride: u64,
        element: Box<Node>,
    },
    /// Elements in place whose number is written nowhere.
    Flexible,
    /// Text in place, ending at a zero byte or at the array's end.
    CharArray { len: u64, of: u64 },
    /// The address of a function.
    Function,
    /// An address, and what is there.
    Pointer(Box<PointerNode>),
    /// Bytes of a text elsewhere.
    Text(Box<TextNode>),
    /// Elements elsewhere.
    Seq(Box<SeqNode>),
    /// Buckets of a hash table.
    Table(Box<TableNode>),
    /// Entries of a B-tree.
    Tree(Box<TreeNode>),
    /// Entries that are linked to each other.
    Chain(Box<ChainNode>),
    /// Elements in blocks.
    Blocks(Box<BlocksNode>),
    /// Truth values, each a bit.
    BitRow(Box<BitRowNode>),
    /// Truth values in place, each a bit; `shown` are read.
    BitSet { count: u64, shown: u64 },
    /// Elements in blocks of a known number.
    Pages(Box<PagesNode>),
    /// Seconds and nanoseconds, as `Duration` writes them.
    Duration { secs: u64, nanos: u64 },
    /// A time span in eight bytes.
    Nanoseconds,
    /// Another node, further on.
    Inside(u64, Box<Node>),
    /// A part of the object that is not within its bytes.
    Beside(Box<BesideNode>),
    /// What it really is, its virtual table tells.
    Dynamic(Box<DynamicNode>),
    /// A number that the debug information has: no byte of the value.
    Known(u64),
    /// Known to be not there.
    Missing(Unavailable),
    /// A struct whose fields are captured in this order, by number.
    Ordered(Vec<u16>, Box<Node>),
    /// A part that is made after others: see `build::breadth`; in no finished shape.
    Later(u32),
}

/// A named part.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: Arc<str>,
    pub(super) offset: u64,
    pub(super) node: Node,
}

/// A bit field.
#[derive(Clone, Debug)]
pub(super) struct BitsNode {
    /// Bits from the lowest one of the first byte.
    pub(super) shift: u32,
    /// At most 64.
    pub(super) bits: u32,
    pub(super) signed: bool,
    pub(super) of: BitsOf,
}

/// The kind of number that the bits of a bit field are.
#[derive(Clone, Debug)]
pub(super) enum BitsOf {
    Number,
    /// Strict: there are two values only.
    Bool {
        strict: bool,
    },
    /// Of a type of so many bytes.
    Char {
        size: u8,
    },
    Enum(Arc<EnumNode>),
}

/// Named integers.
#[derive(Debug)]
pub(super) struct EnumNode {
    /// The enum's name.
    pub(super) name: Arc<str>,
    pub(super) size: u8,
    pub(super) signed: bool,
    pub(super) names: Vec<(Arc<str>, i128)>,
    /// Other numbers are possible, and sums of names.
    pub(super) open: bool,
}

/// The variants of an enum with data.
#[derive(Clone, Debug)]
pub(super) struct VariantsNode {
    pub(super) name: Arc<str>,
    /// Offset and size of the discriminant; `None`: one variant.
    pub(super) tag: Option<(u64, u8)>,
    pub(super) arms: Vec<Arm>,
    /// Written as its only field (`Cow`).
    pub(super) transparent: bool,
    /// The first variant holds whatever the discriminant is; the others know more.
    pub(super) adds: bool,
}

/// Why an enum without variants has no value.
pub(super) const EMPTY_ENUM: &str = "an enum without variants has no values";
/// Why the variant is not known.
pub(super) const NO_DISCRIMINANT: &str = "variants without a discriminant";

/// One variant.
#[derive(Clone, Debug)]
pub(super) struct Arm {
    pub(super) name: Arc<str>,
    /// Inclusive ranges of the discriminant; none: when no other one is.
    pub(super) values: Vec<(u128, u128)>,
    pub(super) fields: Vec<Field>,
}

impl VariantsNode {
    /// The variant that a discriminant selects.
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

/// An address.
#[derive(Clone, Debug)]
pub(super) struct PointerNode {
    /// Written as what it points to.
    pub(super) transparent: bool,
    /// What it points to: read from the address plus `addend` on.
    pub(super) target: Result<Block, Unavailable>,
    pub(super) addend: i64,
    /// A second number beside the address, shown with it: the vtable of `dyn`.
    pub(super) vtable: Option<u64>,
}

/// A virtual base class: as far from the object as its virtual table says.
#[derive(Clone, Debug)]
pub(super) struct BesideNode {
    /// Where the table has the distance: bytes from where the pointer at the
    /// object's start points.
    pub(super) in_table: i64,
    pub(super) block: Block,
    /// The address, or why there is none.
    pub(super) slot: Slot,
}

/// An object of C++ that is at least of one class, and may be of one that
/// derives from it: its virtual table names the type information.
#[derive(Clone, Debug)]
pub(super) struct DynamicNode {
    /// Seen as the class that is known.
    pub(super) plain: Node,
    /// The address of the type information, or why it is not known.
    pub(super) slot: Slot,
    pub(super) classes: Vec<DynamicClass>,
}

/// One class that an object may really be of.
#[derive(Clone, Debug)]
pub(super) struct DynamicClass {
    /// Run address of its type information.
    pub(super) info: u64,
    /// What tells that its module is still there.
    pub(super) identity: Identity,
    /// The whole object.
    pub(super) block: Block,
    /// Its address, or why it is not known.
    pub(super) slot: Slot,
}

/// A value in memory of its own: what is read of it, and its shape.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// By offset; each is a chunk.
    pub(super) segments: Vec<Segment>,
    pub(super) node: Node,
}

/// Bytes that are read in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) slot: Slot,
}

/// A text elsewhere.
#[derive(Clone, Debug)]
pub(super) struct TextNode {
    /// Where the pointer is.
    pub(super) pointer: u64,
    /// Bytes from where it points to the text.
    pub(super) addend: i64,
    /// Where the number of bytes is; `None`: up to a zero byte.
    pub(super) len: Option<u64>,
    /// The length is one more than the text (a zero byte that is not part of it).
    pub(super) trim: u64,
    /// The text ends at a zero byte, if there is one before.
    pub(super) zero_ends: bool,
    /// The number of characters stands so many bytes before the text; the chunk that has it.
    pub(super) before: Option<(u32, Slot)>,
    pub(super) limit: u64,
    /// Bytes of a character: 1 (UTF-8, if anything), 2 (UTF-16) or 4 (UTF-32).
    pub(super) unit: u8,
    /// Where it is when it is not elsewhere.
    pub(super) short: Option<ShortText>,
    pub(super) slot: Slot,
}

/// A text within the bytes of its value, which have the pointer and the length else.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortText {
    /// A byte that is even when the text is here: twice its characters.
    pub(super) tag: u64,
    /// Where the first character is.
    pub(super) data: u64,
    /// Characters at most.
    pub(super) most: u64,
}

/// Elements elsewhere.
#[derive(Clone, Debug)]
pub(super) struct SeqNode {
    /// Where the pointer is.
    pub(super) pointer: u64,
    /// Bytes from where it points to the first element.
    pub(super) addend: i64,
    pub(super) len: SeqLen,
    pub(super) stride: u64,
    /// Elements that are read at most.
    pub(super) limit: u64,
    pub(super) element: Node,
    pub(super) slot: Slot,
    pub(super) set: bool,
}

/// How the number of elements is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeqLen {
    /// A 64-bit number at this offset.
    Count(u64),
    /// A pointer to the end at this offset; the difference is bytes.
    End(u64),
    /// Always so many.
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
    /// Offset of the number of buckets less one.
    pub(super) mask: u64,
    /// Offset of the number of entries.
    pub(super) items: u64,
    /// Control bytes that are read at most.
    pub(super) buckets: u64,
    /// Entries that are read at most.
    pub(super) limit: u64,
    pub(super) stride: u64,
    pub(super) ctrl_slot: Slot,
    pub(super) slot: Slot,
    /// Offset and shape of the key in an entry.
    pub(super) key: (u64, Node),
    /// Of the value; `None` for a set.
    pub(super) value: Option<(u64, Node)>,
}

/// A B-tree of Rust's standard library.
#[derive(Clone, Debug)]
pub(super) struct TreeNode {
    /// Offset of the pointer to the root node; null when the tree is empty.
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
    /// Offset of the first key in a node, bytes from key to key, shape, chunk.
    pub(super) key: TreePart,
    /// `None` for a set.
    pub(super) value: Option<TreePart>,
    /// Mark of the end.
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

/// Entries in nodes of their own that refer to each other.
#[derive(Clone, Debug)]
pub(super) struct ChainNode {
    /// Offset of the pointer to the first node; null when there is none.
    pub(super) first: u64,
    /// Offset of the number of entries; `None`: as many as there are before a null pointer, or
    /// up to `last`.
    pub(super) count: Option<u64>,
    /// Offset of the pointer to the last node of a ring without a number of entries.
    pub(super) last: Option<u64>,
    pub(super) step: Step,
    /// Bytes from where a node begins to its entry, and bytes of an entry.
    pub(super) payload: u64,
    pub(super) stride: u64,
    /// Offset and shape of the key in an entry.
    pub(super) key: (u64, Node),
    /// Of the value; `None` when entries are no pairs.
    pub(super) value: Option<(u64, Node)>,
    /// Written in braces.
    pub(super) set: bool,
    pub(super) limit: u64,
    pub(super) slot: Slot,
    /// Mark of the end.
    pub(super) end: Slot,
}

/// How the next node is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// By the pointer at this offset.
    Next(u64),
    /// In the order of a binary tree: offsets of the pointers to the node's
    /// left and right children and its parent.
    Tree { left: u64, right: u64, parent: u64 },
}

/// Elements in blocks of one size, which an array of pointers lists
/// (`std::deque`): offsets of the two iterators' members.
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
    /// Mark of the end.
    pub(super) end: Slot,
}

/// Elements in blocks of the same number, which an array of pointers lists (libc++'s `deque`).
#[derive(Clone, Debug)]
pub(super) struct PagesNode {
    /// Offsets of the pointers to the first block's pointer and behind the last one's.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Offset of the number of the first element, from the first block on.
    pub(super) start: u64,
    /// Offset of the number of elements.
    pub(super) count: u64,
    /// Elements of a block.
    pub(super) per_block: u64,
    pub(super) stride: u64,
    pub(super) element: Node,
    pub(super) limit: u64,
    pub(super) slot: Slot,
    /// Mark of the end.
    pub(super) end: Slot,
}

/// Bits from a pointer on (`std::vector<bool>`).
#[derive(Clone, Debug)]
pub(super) struct BitRowNode {
    pub(super) start: u64,
    pub(super) count: BitCount,
    /// Bits that are read at most.
    pub(super) limit: u64,
    pub(super) slot: Slot,
}

/// How the number of bits is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BitCount {
    /// A 64-bit number at this offset.
    Count(u64),
    /// Bits up to a pointer, and so many beyond as the four bytes at `rest` say.
    End { end: u64, rest: u64 },
}

impl Node {
    /// Whether anything is read beyond the bytes that hold it.
    pub(super) fn follows(&self) -> bool {
        match self {
            Self::Struct(_, fields) | Self::Tuple(fields) => any_follows(fields),
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

    /// Whether it has to be known where in memory its bytes are.
    pub(super) fn needs_address(&self) -> bool {
        let any = |fields: &[Field]| fields.iter().any(|field| field.node.needs_address());
        match self {
            Self::Beside(_) | Self::Dynamic(_) => true,
            Self::Struct(_, fields) | Self::Tuple(fields) => any(fields),
            Self::Variants(variants) => variants.arms.iter().any(|arm| any(&arm.fields)),
            Self::Array { element, .. } => element.needs_address(),
            Self::Inside(_, inner) | Self::Ordered(_, inner) => inner.needs_address(),
            _ => false,
        }
    }

    /// Adds the byte ranges (offset, length) that the value needs, from `at` on.
    pub(super) fn ranges(&self, at: u64, out: &mut Vec<(u64, u64)>) {
        let mut add = |offset: u64, len: u64| {
            if len > 0 {
                out.push((at.saturating_add(offset), len));
            }
        };
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
            Self::BitSet { shown, .. } => add(0, shown.div_ceil(8)),
            Self::Pages(pages) => {
                for offset in [pages.first, pages.last, pages.start, pages.count] {
                    add(offset, 8);
                }
            }
            Self::Beside(_) => add(0, 8),
            Self::Dynamic(dynamic) => {
                add(0, 8);
                dynamic.plain.ranges(at, out);
            }
            Self::Duration { secs, nanos } => {
                add(*secs, 8);
                add(*nanos, 4);
            }
            Self::Nanoseconds => add(0, 8),
            Self::Inside(offset, inner) => inner.ranges(at.saturating_add(*offset), out),
            Self::Ordered(_, inner) => inner.ranges(at, out),
            Self::Struct(_, fields) | Self::Tuple(fields) => field_ranges(fields, at, out),
            Self::Variants(variants) => {
                if let Some((offset, size)) = variants.tag {
                    add(offset, u64::from(size));
                }
                for arm in &variants.arms {
                    field_ranges(&arm.fields, at, out);
                }
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
                // What is followed from element to element has to lie in one row.
                if *count > 0 && (dense || element.follows()) {
                    add(0, count.saturating_mul(*stride));
                } else {
                    for index in 0..*count {
                        element.ranges(at.saturating_add(index.saturating_mul(*stride)), out);
                    }
                }
            }
            Self::Unit | Self::Flexible | Self::Known(_) | Self::Missing(_) | Self::Later(_) => {}
        }
    }

    /// Calls `see` with each part of the value, and with the shape of elements; not with what
    /// pointers lead to.
    pub(super) fn parts(&self, see: &mut dyn FnMut(&Self)) {
        match self {
            Self::Struct(_, fields) | Self::Tuple(fields) => {
                fields.iter().for_each(|field| see(&field.node));
            }
            Self::Variants(variants) => {
                let fields = variants.arms.iter().flat_map(|arm| &arm.fields);
                fields.for_each(|field| see(&field.node));
            }
            Self::Array { element, .. } => see(element),
            Self::Inside(_, inner) | Self::Ordered(_, inner) => see(inner),
            Self::Seq(seq) => see(&seq.element),
            Self::Table(table) => {
                see(&table.key.1);
                table.value.iter().for_each(|(_, value)| see(value));
            }
            Self::Tree(tree) => {
                see(&tree.key.node);
                tree.value.iter().for_each(|value| see(&value.node));
            }
            Self::Chain(chain) => {
                see(&chain.key.1);
                chain.value.iter().for_each(|(_, value)| see(value));
            }
            Self::Blocks(blocks) => see(&blocks.element),
            Self::Pages(pages) => see(&pages.element),
            Self::Dynamic(dynamic) => see(&dynamic.plain),
            _ => {}
        }
    }

    /// The same, to change them.
    pub(super) fn parts_mut(&mut self, see: &mut dyn FnMut(&mut Self)) {
        match self {
            Self::Struct(_, fields) | Self::Tuple(fields) => {
                fields.iter_mut().for_each(|field| see(&mut field.node));
            }
            Self::Variants(variants) => {
                let fields = variants.arms.iter_mut().flat_map(|arm| &mut arm.fields);
                fields.for_each(|field| see(&mut field.node));
            }
            Self::Array { element, .. } => see(element),
            Self::Inside(_, inner) | Self::Ordered(_, inner) => see(inner),
            Self::Seq(seq) => see(&mut seq.element),
            Self::Table(table) => {
                see(&mut table.key.1);
                table.value.iter_mut().for_each(|(_, value)| see(value));
            }
            Self::Tree(tree) => {
                see(&mut tree.key.node);
                tree.value.iter_mut().for_each(|value| see(&mut value.node));
            }
            Self::Chain(chain) => {
                see(&mut chain.key.1);
                chain.value.iter_mut().for_each(|(_, value)| see(value));
            }
            Self::Blocks(blocks) => see(&mut blocks.element),
            Self::Pages(pages) => see(&mut pages.element),
            Self::Dynamic(dynamic) => see(&mut dynamic.plain),
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

/// Ranges sorted and merged where at most `gap` bytes lie between, none longer than `most`.
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
    // Splitting after merging: a range longer than one copy may carry.
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
