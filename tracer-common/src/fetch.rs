//! What the plainest plans capture, as the kernel side makes it without the machine.
//!
//! Most logs want a few numbers of registers and some bytes of the stack or behind one pointer.
//! Such a record's length is known before the hit, so it is made where it is sent from: no
//! scratch area, no copy of all registers, no op. The bytes are those that the plan's
//! ops would have made; what is not as usual (a page that is not resident, a null pointer) is
//! left to them.

/// Most chunks that are fetched without the machine.
pub const FETCHES: usize = 4;

/// Bytes that a chunk may have when it is the only one; of several each has at most 8. So the
/// record's length says where each chunk is, which keeps the verifier's work small.
pub const FETCH_BYTES: u32 = 64;

/// The low bytes of a general register.
pub const FETCH_REGISTER: u8 = 1;
/// Memory at a general register and an offset.
pub const FETCH_MEMORY: u8 = 2;
/// Memory at an offset from the pointer that is at a general register and an offset.
pub const FETCH_BEHIND: u8 = 3;

/// One chunk.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Fetch {
    /// `FETCH_…`; 0: none, nor any after it.
    pub kind: u8,
    /// DWARF number of a general register: 0 to 15.
    pub register: u8,
    /// Bytes of data, without padding.
    pub length: u8,
    /// Zero.
    pub reserved: u8,
    /// The plan's number for the chunk.
    pub slot: u16,
    /// Zero.
    pub padding: u16,
    /// From the register to the memory, in bytes.
    pub offset: i32,
    /// From the pointer to the memory behind it, in bytes.
    pub behind: i32,
}

/// All chunks of a record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Fetches {
    /// In the record's order.
    pub chunks: [Fetch; FETCHES],
    /// Words of 8 bytes of the whole record, its header included; 0: the plan is none of these.
    pub words: u32,
    /// Chunks that there are.
    pub count: u32,
}

/// Words of the longest such record: a header of 8, and one chunk with its own.
pub const FETCHED_WORDS: u32 = 8 + 1 + FETCH_BYTES / 8;

const _: () = assert!(size_of::<Fetch>() == 16 && size_of::<Fetches>() == 72);
const _: () = assert!(FETCHED_WORDS >= 8 + 2 * FETCHES as u32);
