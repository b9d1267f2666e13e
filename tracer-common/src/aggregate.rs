//! Keys of the maps in which the kernel side adds hits up instead of sending records.

/// Bytes of a record's chunks that make a key. A longer key has no entry.
pub const KEY_BYTES: usize = 120;

/// Key of a number.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct NumberKey {
    /// Attach cookie of the site.
    pub site: u32,
    /// Why the number is missing (a `CHUNK_…` status), or 0.
    pub status: u32,
    /// The number.
    pub value: u64,
}

/// Key of bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct BytesKey {
    /// Attach cookie of the site.
    pub site: u32,
    /// Length of the chunks in bytes.
    pub length: u32,
    /// The chunks, zero-padded.
    pub words: [u64; KEY_BYTES / 8],
}

const _: () = assert!(size_of::<NumberKey>() == 16);
const _: () = assert!(size_of::<BytesKey>() == 128);
