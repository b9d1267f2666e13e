//! Limits of the values that one probe reads: unit, reason, and effect of each

/// Bytes between two copies relative to the same register, for them to become one copy.
///
/// An op costs about 10 ns, a copied byte far less than 1 ns.
pub(super) const MERGE_GAP: u64 = 32;

/// Bytes of a copy that was merged from several.
pub(super) const MERGE_BYTES: u64 = 512;

/// Ops of one plan. A pointer that would need more is shown without its target.
pub(super) const PLAN_OPS: usize = 4096;

/// Bytes of stack that are captured with a call stack. Frames beyond are not shown.
///
/// This is half a record; the values have the other half. It holds about a hundred ordinary
/// frames.
pub(super) const STACK_BYTES: u32 = 16 << 10;

/// Terms of one location expression. A longer one is not supported.
pub(super) const TERMS: usize = 512;

/// Steps of one computed number. A longer computation is not supported.
///
/// A division computes its divisor twice, so nested divisions grow exponentially.
pub(super) const COMPUTED: u32 = 4096;

/// Steps that an operation on floats or on 128 bits counts for.
///
/// It takes the kernel as long as about ten other operations.
pub(super) const COMPUTING: u32 = 16;

/// Nodes and enumerators of the finished shapes that are kept for the variables of one module.
///
/// A part takes about 100 bytes. Above the limit all shapes are dropped, and made again when a plan
/// needs them.
pub(super) const SHAPE_PARTS: usize = 1 << 18;

/// Levels of nested structs, and steps from alias to alias.
///
/// In broken debug information, a type can contain itself.
pub(super) const NESTING: u32 = 24;

/// Nodes in the shape of one value. The rest of a larger value is unavailable.
pub(super) const NODES: u32 = 4096;

/// Ops for the targets of pointers in one plan. Beyond it, the targets farthest from their variables
/// are left out.
///
/// This is a part of [`PLAN_OPS`]. The values themselves and the conditions need the rest.
pub(super) const FOLLOWED_OPS: usize = 3072;

/// Pointers to pointers that do not count as levels, starting at a variable: `&Box<T>`, `Pin<&mut T>`.
pub(super) const SPINE: u32 = 3;

/// Levels that a raw pointer counts for.
///
/// Its target belongs to another owner, and leads on to the rest of the program. With the default
/// depth the target is shown, but not the objects that the target points to.
pub(super) const RAW_LEVELS: u32 = 2;

/// Nested pointers and containers, whatever the depth limit is.
///
/// The registers of the capture machine run out before this depth.
pub(super) const LEVELS: u32 = 16;

/// Types behind one `dyn Trait` that a plan supports, each with its own ops. If a trait has more
/// implementers, the address and the table are shown.
pub(super) const IMPLEMENTERS: usize = 24;

/// Bytes of a text that a search (`contains`, `matches`, `ends_with` of a C string) looks at. A longer
/// text that is still undecided counts as unreadable.
///
/// Several searches of one probe share the steps of a hit and look at fewer bytes. A regular expression
/// with many classes also looks at fewer, because each byte takes more steps.
pub(super) const SEARCHED: u64 = 1024;

/// Bytes of a regular expression. A longer one is refused.
pub(super) const REGEX_BYTES: usize = 1024;

/// Ops of the automaton of a regular expression. An expression that needs more is refused.
///
/// A state takes about six ops, so this is about 300 states, in half of a plan's [`PLAN_OPS`].
pub(super) const REGEX_OPS: usize = 2048;

/// Bytes of the tables while the automaton of a regular expression is built. An expression that needs
/// more is refused.
pub(super) const REGEX_STATES: usize = 1 << 18;

/// How much of a value is read. The rest is cut, and marked as cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Levels that are followed from a variable's object on. A container, a reference and an owning
    /// pointer count for one each, a raw pointer for two, and a text for none. Deeper pointers show
    /// their address.
    pub depth: u32,
    /// Elements of an array, slice or collection.
    pub elements: u64,
    /// Bytes of a text.
    pub string_bytes: u64,
    /// Bytes of one value before its pointers are followed. Arrays are cut to fit.
    pub value_bytes: u64,
    /// Buckets of a hash table that are looked at, full or not.
    pub buckets: u64,
    /// Only memory that the types describe is read. Casts to pointers, indexes and sums of C pointers, `$return` of
    /// functions whose result is redacted, `old` and `new` of a redacted value, and conditions on a redacted value are
    /// refused: each of them can lead around redaction.
    pub confined: bool,
}

impl Default for Limits {
    /// Values that fit on a screen, and several of them in a record.
    fn default() -> Self {
        Self {
            depth: 3,
            elements: 64,
            string_bytes: 256,
            value_bytes: 4096,
            buckets: 512,
            confined: false,
        }
    }
}
