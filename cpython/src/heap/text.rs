//! `str`, `bytes` and `bytearray`.

use super::{Heap, PyMissing, Read};

/// `Py_TPFLAGS_UNICODE_SUBCLASS`.
const STR_SUBCLASS: u64 = 1 << 28;

/// A text, which may be cut, and may have surrogates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PyText {
    /// Code points of the first characters.
    pub chars: Vec<u32>,
    /// Number of all characters.
    pub of: u64,
}

impl PyText {
    /// The text with a replacement for each code point that is not a character.
    #[must_use]
    pub fn to_lossy(&self) -> String {
        self.chars
            .iter()
            .map(|point| char::from_u32(*point).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }

    /// Returns true if characters are missing at the end.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.of > self.chars.len() as u64
    }
}

impl From<&str> for PyText {
    fn from(text: &str) -> Self {
        let chars: Vec<u32> = text.chars().map(u32::from).collect();
        Self {
            of: chars.len() as u64,
            chars,
        }
    }
}

/// Bytes, which may be cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PyBytes {
    /// The first bytes.
    pub bytes: Vec<u8>,
    /// Number of all bytes.
    pub of: u64,
}

impl PyBytes {
    /// Returns true if bytes are missing at the end.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.of > self.bytes.len() as u64
    }
}

impl Heap<'_> {
    /// The first characters of a `str` or of an object of a subclass.
    pub(crate) fn text(&self, object: u64, limit: usize) -> Read<PyText> {
        let offsets = self.offsets();
        let damaged = || PyMissing::Damaged {
            what: "str",
            address: object,
        };
        let of = self.word(object.wrapping_add(offsets.str_length))?;
        if i64::try_from(of).is_err() {
            return Err(damaged());
        }
        // `interned: 2, kind: 3, compact: 1, ascii: 1`, in all versions with the GIL.
        let state = self.number(object, offsets.str_state)?;
        let width = (state >> 2) & 7;
        let is_compact = state >> 5 & 1 == 1;
        let is_ascii = state >> 6 & 1 == 1;
        if !matches!(width, 1 | 2 | 4) {
            return Err(damaged());
        }
        let data = match (is_compact, is_ascii) {
            (true, true) => object.wrapping_add(offsets.str_ascii_size),
            (true, false) => object.wrapping_add(offsets.str_compact_size),
            // Objects of subclasses have their characters elsewhere.
            (false, _) => self.pointer(object, offsets.str_data)?,
        };
        let count = usize::try_from(of).unwrap_or(usize::MAX).min(limit);
        let bytes = self.read(data, count.saturating_mul(width as usize))?;
        let chars = match width {
            1 => bytes.iter().map(|byte| u32::from(*byte)).collect(),
            2 => {
                let (pairs, _) = bytes.as_chunks::<2>();
                let units = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
                units.map(u32::from).collect()
            }
            _ => {
                let (quads, _) = bytes.as_chunks::<4>();
                quads.iter().map(|quad| u32::from_le_bytes(*quad)).collect()
            }
        };
        Ok(PyText { chars, of })
    }

    /// Returns true if an object is a `str` or of a subclass.
    ///
    /// Only flags are read: reading a whole type compares texts itself.
    fn is_text(&self, object: u64) -> bool {
        let ty = self.type_address(object);
        let flags = ty.and_then(|ty| self.word(ty.wrapping_add(self.offsets().type_flags)));
        flags.is_ok_and(|flags| flags & STR_SUBCLASS != 0)
    }

    /// Returns true if an object is a `str` with this text.
    pub(crate) fn text_is(&self, object: u64, text: &str) -> bool {
        let count = text.chars().count();
        let length = object.wrapping_add(self.offsets().str_length);
        if self.word(length) != Ok(count as u64) {
            return false;
        }
        self.is_text(object)
            && self.text(object, count).is_ok_and(|found| {
                let mut expected = text.chars().map(u32::from);
                found
                    .chars
                    .iter()
                    .all(|point| expected.next() == Some(*point))
            })
    }

    /// The first bytes of a `bytes` object or of an object of a subclass.
    pub(crate) fn bytes(&self, object: u64, limit: usize) -> Read<PyBytes> {
        let of = self.size(object, "bytes")?;
        let start = object.wrapping_add(self.offsets().bytes_value);
        self.raw_bytes(start, of, limit)
    }

    /// The first bytes of a `bytearray`.
    pub(crate) fn bytearray(&self, object: u64, limit: usize) -> Read<PyBytes> {
        let of = self.size(object, "bytearray")?;
        if of == 0 {
            return Ok(PyBytes::default());
        }
        let start = self.pointer(object, self.offsets().bytearray_start)?;
        self.raw_bytes(start, of, limit)
    }

    pub(crate) fn raw_bytes(&self, start: u64, of: u64, limit: usize) -> Read<PyBytes> {
        let count = usize::try_from(of).unwrap_or(usize::MAX).min(limit);
        let bytes = self.read(start, count)?;
        Ok(PyBytes { bytes, of })
    }
}
