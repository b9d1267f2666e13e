//! Limits of what one probe reads: unit, reason, and what happens above each.

/// Bytes that two copies off the same register may lie apart to become one.
///
/// An op costs about 10 ns, a byte copied far less than one.
pub(super) const MERGE_GAP: u64 = 32;

/// Bytes of a copy that was made of several.
pub(super) const MERGE_BYTES: u64 = 512;

/// Ops of one plan; pointers that would need more are shown without their target.
pub(super) const PLAN_OPS: usize = 4096;

/// Bytes of stack that are captured with a call stack; frames beyond are not shown.
///
/// Half a record, so that the values have the other half; it holds some hundred
/// ordinary frames.
pub(super) const STACK_BYTES: u32 = 16 << 10;

/// Terms of one location expression; a longer one is not supported.
pub(super) const TERMS: usize = 512;

/// Steps of one computed number: a guard against divisions of divisions, each of which
/// is two computations of the divisor; a larger one is not supported.
pub(super) const COMPUTED: u32 = 4096;

/// Steps that an operation on floats or on 128 bits counts for: it takes the kernel as long as some ten others.
pub(super) const COMPUTING: u32 = 16;

/// Levels of structs in structs, and steps from alias to alias: a guard
/// against types that contain themselves in broken debug information.
pub(super) const NESTING: u32 = 24;

/// Nodes that the shape of one value may have; the rest of a larger one is unavailable.
pub(super) const NODES: u32 = 4096;

/// Ops for what the values of one plan refer to; what is far from its variable is left out beyond.
///
/// A part of [`PLAN_OPS`]: the values themselves and the conditions need the rest.
pub(super) const FOLLOWED_OPS: usize = 3072;

/// Pointers to pointers, from a variable on, that take no level of the depth: `&Box<T>`, `Pin<&mut T>`.
pub(super) const SPINE: u32 = 3;

/// Levels that a raw pointer takes: what it leads to is somebody else's, and leads on to the rest of
/// the program. With the default depth such an object is shown, and not what it points to.
pub(super) const RAW_LEVELS: u32 = 2;

/// Pointers and containers within each other, whatever the depth limit is: the registers of the
/// capture machine last for fewer.
pub(super) const LEVELS: u32 = 16;

/// Types behind one `dyn Trait` that a plan is prepared for, each with ops of
/// its own; of a trait with more, the address and the table are shown.
pub(super) const IMPLEMENTERS: usize = 24;

/// Bytes of a text that a search (`contains`, `matches`, `ends_with` of a C string) looks at. One that is longer and
/// not decided by then is unreadable, and counted so.
///
/// Several searches of one probe share the steps of a hit, and reach less far; so does a regular expression with many
/// classes, where a byte takes more steps.
pub(super) const SEARCHED: u64 = 1024;

/// Bytes of a regular expression; a longer one is refused.
pub(super) const REGEX_BYTES: usize = 1024;

/// Ops that the automaton of a regular expression may have; one with more is refused.
///
/// A state takes some six: 300 states, in a quarter of a plan's [`PLAN_OPS`] and a half.
pub(super) const REGEX_OPS: usize = 2048;

/// Bytes that the tables of a regular expression's automaton may take while it is made; one with more is refused.
pub(super) const REGEX_STATES: usize = 1 << 18;

/// How much of a value is read; what lies beyond is cut, and says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Levels that are followed from a variable's object on: a container, a reference and a pointer
    /// that owns its object are one each, a raw pointer two. Deeper pointers show their address.
    /// A text is no level: it is shown where its object is.
    pub depth: u32,
    /// Elements of an array, slice or collection; more are cut.
    pub elements: u64,
    /// Bytes of a text; more are cut.
    pub string_bytes: u64,
    /// Bytes that one value may take before its pointers are followed; arrays are cut to fit.
    pub value_bytes: u64,
    /// Control bytes of a hash table that are looked at: buckets, full or not.
    pub buckets: u64,
}

impl Default for Limits {
    /// What fits on a screen, and in a record when there are several.
    fn default() -> Self {
        Self {
            depth: 3,
            elements: 64,
            string_bytes: 256,
            value_bytes: 4096,
            buckets: 512,
        }
    }
}
