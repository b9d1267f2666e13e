//! Limits of reading a CPython process.

/// Bytes that one read of the memory fetches ahead.
///
/// An arena of small objects has many of them.
pub const BLOCK_BYTES: usize = 16 << 10;

/// Blocks of memory that one pass keeps: 128 MiB. Above, it starts again with none.
pub const CACHED_BLOCKS: usize = 8192;

/// Reads of one pass, such as the search for code, which needs some dozens for each code object.
/// The rest of it is then missing, and the search says so.
pub const HEAP_READS: u64 = 10_000_000;

/// Reads of one value. Parts behind them are missing.
pub const VALUE_READS: u64 = 200_000;

/// Reads of one expression, such as a key in a large dict. It has no value then.
pub const EXPRESSION_READS: u64 = 2_000_000;

/// Bytes that count as one read.
pub const BYTES_OF_A_READ: u64 = 256;

/// Steps along the instructions of one code object. Its sites may then be incomplete, which takes
/// code with thousands of nested handlers.
pub const FLOW_STEPS: usize = 20_000_000;

/// Thread states that are looked at. Those beyond are ignored.
pub const THREADS: usize = 16_384;

/// Frames of one thread. The stack is cut there and says so.
pub const FRAMES: usize = 4096;

/// Objects of the garbage collector's lists that the search for code looks at. The search is then
/// incomplete and says so.
pub const GC_OBJECTS: usize = 10_000_000;

/// Code objects that the search for code keeps. The search is then incomplete and says so.
pub const CODE_OBJECTS: usize = 500_000;

/// Objects of modules and classes that the search for code looks at.
pub const MODULE_OBJECTS: usize = 1_000_000;

/// Constants of one code object that are looked at for code of nested functions.
pub const CONSTANTS: usize = 65_536;

/// Bytes of a name, path or another text of the interpreter. It is cut there.
pub const NAME_BYTES: usize = 4096;

/// Bytes of a line table, and of an exception table. Code with a longer one is not understood.
pub const TABLE_BYTES: usize = 2 << 20;

/// Bytes of the instructions of one code object. Longer code is not understood.
pub const CODE_BYTES: usize = 2 << 20;

/// Names of variables of one code object.
pub const LOCALS: usize = 65_536;

/// Entries of a dict that is searched for a key. A key behind them is not found.
pub const DICT_SEARCH: usize = 1_000_000;

/// Base classes of a type.
pub const BASES: usize = 256;

/// Types that one pass knows. Above, it forgets all of them.
pub const TYPES: usize = 16_384;

/// Members of an enumeration.
pub const ENUM_MEMBERS: usize = 1024;

/// Digits of an integer, 30 bits each. A longer integer is not shown as a number.
pub const INT_DIGITS: usize = 4096;

/// Bytes of an executable or library: its tables of symbols, its call frame information and the
/// evaluation function.
pub const SECTION_BYTES: u64 = 64 << 20;

/// Levels of parentheses and operators in an expression.
pub const EXPRESSION_DEPTH: usize = 64;

/// Bits of a number that an expression computes. `2 ** 10 ** 10` is an error.
pub const NUMBER_BITS: u64 = 1 << 16;

/// Elements that `in` and comparisons look at.
pub const COMPARED_ELEMENTS: usize = 10_000;

/// Characters of a text, and bytes, that expressions compute with.
pub const COMPARED_TEXT: usize = 1 << 20;

/// Width and precision of a format specification.
pub const FORMAT_WIDTH: usize = 1000;

/// Variables of one frame that are shown.
pub const VARIABLES: usize = 1000;

/// Threads of `threading` whose names are read.
pub const NAMED_THREADS: usize = 16_384;
