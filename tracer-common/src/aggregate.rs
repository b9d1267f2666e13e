//! What the kernel side adds up without sending records: entries by key.

/// Bytes of a record's chunks that make a key; a longer key has no entry.
pub const KEY_BYTES: usize = 120;

/// An entry of a number.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct NumberKey {
    /// Attach cookie of the site.
    pub site: u32,
    /// Why there is no number (a `CHUNK_…` status), or 0.
    pub status: u32,
    /// The number.
    pub value: u64,
}

/// An entry of bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct BytesKey {
    /// Attach cookie of the site.
    pub site: u32,
    /// Bytes of the chunks.
    pub length: u32,
    /// The chunks, filled up with zeroes.
    pub words: [u64; KEY_BYTES / 8],
}

const _: () = assert!(size_of::<NumberKey>() == 16);
const _: () = assert!(size_of::<BytesKey>() == 128);
