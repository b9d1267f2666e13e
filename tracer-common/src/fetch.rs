//! Fetches: chunks of a record that the kernel side makes without the machine.
//!
//! Most logs want a few numbers from registers and some bytes of the stack or behind one pointer.
//! The length of such a record is known before the hit, so it is made in the ring itself: without a
//! scratch area, without a copy of all registers, without any op. The bytes are those that the ops
//! would have made. The ops handle the rest: a page that is not resident, or a null pointer.

/// The most chunks that are fetched without the machine.
pub const FETCHES: usize = 4;

/// The most bytes of a chunk that is the only one. Each of several chunks has at most 8, so the
/// record's length determines their offsets, and the verifier has little work.
pub const FETCH_BYTES: u32 = 64;

/// The low bytes of a general register.
pub const FETCH_REGISTER: u8 = 1;
/// Memory at a general register, or the instruction pointer, and an offset.
pub const FETCH_MEMORY: u8 = 2;
/// Memory at an offset from a pointer, which is in memory at a general register and an offset.
pub const FETCH_BEHIND: u8 = 3;

/// One chunk.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Fetch {
    /// `FETCH_…`; 0 for no chunk here and after.
    pub kind: u8,
    /// DWARF number of a general register: 0 to 15. In memory also
    /// [`GENERAL_INSTRUCTION_POINTER`](crate::control::GENERAL_INSTRUCTION_POINTER).
    pub register: u8,
    /// Length of the data in bytes, without padding.
    pub length: u8,
    /// Zero.
    pub reserved: u8,
    /// The plan's number for the chunk.
    pub slot: u16,
    /// Zero.
    pub padding: u16,
    /// Offset of the memory from the register, in bytes.
    pub offset: i32,
    /// Offset of the data from the pointer, in bytes.
    pub behind: i32,
}

/// All chunks of a record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Fetches {
    /// In the record's order.
    pub chunks: [Fetch; FETCHES],
    /// Size of the record in words of 8 bytes, header included; 0 if the plan does not only fetch.
    pub words: u32,
    /// Number of chunks.
    pub count: u32,
}

/// Words of the longest such record: its header of 8 words, and one chunk with its header.
pub const FETCHED_WORDS: u32 = 8 + 1 + FETCH_BYTES / 8;

const _: () = assert!(size_of::<Fetch>() == 16 && size_of::<Fetches>() == 72);
const _: () = assert!(FETCHED_WORDS >= 8 + 2 * FETCHES as u32);
