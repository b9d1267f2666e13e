//! Dicts, and the attributes of instances, which may be stored without a dict.

use super::{Heap, OB_SIZE, PyMissing, Read, TypeInfo};
use crate::limits::DICT_SEARCH;
use crate::memory::{Numbers as _, words};

/// Entries of a dict, in the order of iteration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DictEntries {
    /// Addresses of key and value of the first entries.
    pub entries: Vec<(u64, u64)>,
    /// Number of all entries.
    pub of: u64,
}

/// The entry of a dict that has a name, for reading it again without a search.
///
/// The entry is at `*(dict + ma_keys) + key_offset`, first the key and behind it the value. As
/// long as the key there is the same object, the value is that of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalEntry {
    /// Address of the dict.
    pub dict: u64,
    /// Offset of the entry's key in the table of keys.
    pub key_offset: u64,
    /// Address of the key.
    pub key: u64,
}

/// The table of keys of a dict.
struct Keys {
    /// Address of the first entry.
    first: u64,
    /// Entries, the deleted ones included.
    count: u64,
    /// Bytes of an entry: hash, key and value, or key and value alone.
    stride: u64,
}

/// Entries that are read at once.
const CHUNK: u64 = 128;
/// Keys that instances share are 30 at most; up to 3.10 more.
const SHARED_KEYS: u64 = 4096;
/// The place of an object's managed dict, in bytes before its address.
const MANAGED_DICT: u64 = 24;
/// The place of an object's values in 3.11, in bytes before its address.
const MANAGED_VALUES: u64 = 32;

impl Heap<'_> {
    /// The first entries of a dict or of an object of a subclass.
    pub(crate) fn dict(&self, dict: u64, limit: usize) -> Read<DictEntries> {
        let mut entries = Vec::new();
        let of = self.each_entry(dict, &mut |key, value| {
            entries.push((key, value));
            entries.len() < limit
        })?;
        Ok(DictEntries { entries, of })
    }

    /// The value of a key that is a text.
    pub(crate) fn lookup(&self, dict: u64, name: &str) -> Read<Option<u64>> {
        let mut found = None;
        self.each_entry(dict, &mut |key, value| {
            if self.text_is(key, name) {
                found = Some(value);
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// The entry of a key that is a text, in a dict with a table of its own.
    pub(crate) fn entry_place(&self, dict: u64, name: &str) -> Read<Option<GlobalEntry>> {
        let offsets = self.offsets();
        if self.word(dict.wrapping_add(offsets.dict_values))? != 0 {
            return Ok(None);
        }
        let table = self.pointer(dict, offsets.dict_keys)?;
        let keys = self.keys(table)?;
        for at in 0..keys.count.min(DICT_SEARCH as u64) {
            let place = keys.first.wrapping_add(at * keys.stride + keys.stride - 16);
            let key = self.word(place)?;
            let value = self.word(place.wrapping_add(8))?;
            if key != 0 && value != 0 && self.text_is(key, name) {
                return Ok(Some(GlobalEntry {
                    dict,
                    key_offset: place.wrapping_sub(table),
                    key,
                }));
            }
        }
        Ok(None)
    }

    /// Hands over each entry until it returns false. Returns the number that the dict claims.
    fn each_entry(&self, dict: u64, take: &mut dyn FnMut(u64, u64) -> bool) -> Read<u64> {
        let offsets = self.offsets();
        let of = self.word(dict.wrapping_add(offsets.dict_used))?;
        if i64::try_from(of).is_err() {
            return Err(PyMissing::Damaged {
                what: "dict",
                address: dict,
            });
        }
        let keys = self.pointer(dict, offsets.dict_keys)?;
        let values = self.word(dict.wrapping_add(offsets.dict_values))?;
        if values != 0 {
            for (key, value) in self.split(keys, values)? {
                if !take(key, value) {
                    break;
                }
            }
            return Ok(of);
        }
        let keys = self.keys(keys)?;
        let key_at = keys.stride - 16;
        let mut at = 0;
        while at < keys.count.min(DICT_SEARCH as u64) {
            let count = (keys.count - at).min(CHUNK);
            let bytes = self.read(
                keys.first.wrapping_add(at * keys.stride),
                (count * keys.stride) as usize,
            )?;
            for entry in bytes.chunks_exact(keys.stride as usize) {
                let mut fields = words(entry.get(key_at as usize..).unwrap_or_default());
                // A deleted entry has no value.
                if let (Some(key), Some(value)) = (fields.next(), fields.next())
                    && key != 0
                    && value != 0
                    && !take(key, value)
                {
                    return Ok(of);
                }
            }
            at += count;
        }
        Ok(of)
    }

    fn keys(&self, keys: u64) -> Read<Keys> {
        let offsets = self.offsets();
        let damaged = || PyMissing::Damaged {
            what: "dict",
            address: keys,
        };
        let count = self.word(keys.wrapping_add(offsets.keys_entries))?;
        let (index_bytes, stride) = match (offsets.keys_log2_bytes, offsets.keys_kind) {
            (Some(log2_bytes), Some(kind)) => {
                let log2 = u32::from(self.byte(keys, log2_bytes)?);
                let bytes = 1u64.checked_shl(log2).filter(|_| log2 < 48);
                // Tables whose keys are all texts have no hashes.
                let stride = if self.byte(keys, kind)? == 0 { 24 } else { 16 };
                (bytes.ok_or_else(damaged)?, stride)
            }
            _ => {
                let places = self.word(keys.wrapping_add(offsets.keys_size.unwrap_or(0)))?;
                let width = match places {
                    0..=0xff => 1,
                    0x100..=0xffff => 2,
                    0x1_0000..=0xffff_ffff => 4,
                    _ => 8,
                };
                (places.checked_mul(width).ok_or_else(damaged)?, 24)
            }
        };
        if i64::try_from(count).is_err() {
            return Err(damaged());
        }
        let first = keys
            .wrapping_add(offsets.keys_indices)
            .wrapping_add(index_bytes);
        Ok(Keys {
            first,
            count,
            stride,
        })
    }

    /// Entries of a table of shared keys with the values of one instance.
    fn split(&self, keys: u64, values: u64) -> Read<Vec<(u64, u64)>> {
        let keys = self.keys(keys)?;
        let damaged = || PyMissing::Damaged {
            what: "dict",
            address: values,
        };
        if keys.count > SHARED_KEYS {
            return Err(damaged());
        }
        let start = values.wrapping_add(self.offsets().values_start);
        let values_read = self.pointers(start, keys.count, SHARED_KEYS as usize)?;
        let bytes = self.read(keys.first, (keys.count * keys.stride) as usize)?;
        let key_at = (keys.stride - 16) as usize;
        let names: Vec<u64> = bytes
            .chunks_exact(keys.stride as usize)
            .filter_map(|entry| words(entry.get(key_at..)?).next())
            .collect();
        let order = self.order(values, keys.count)?;
        let order = order.unwrap_or_else(|| (0..names.len()).collect());
        let mut entries = Vec::new();
        for index in order {
            let (Some(key), Some(value)) = (names.get(index), values_read.items.get(index)) else {
                return Err(damaged());
            };
            if *key != 0 && *value != 0 {
                entries.push((*key, *value));
            }
        }
        Ok(entries)
    }

    /// The order in which an instance got its attributes. `None` before 3.11: it is that of the
    /// keys.
    fn order(&self, values: u64, count: u64) -> Read<Option<Vec<usize>>> {
        let minor = self.python().version.minor;
        if minor < 11 {
            return Ok(None);
        }
        let bytes = if minor < 13 {
            // Before the values, backwards: their number at -2, and the indices from -3 on.
            let size = u64::from(self.byte(values, 2u64.wrapping_neg())?).min(count);
            let mut bytes = self.read(values.wrapping_sub(2 + size), size as usize)?;
            bytes.reverse();
            bytes
        } else {
            let [capacity, size, ..] = self.memory().array::<4>(values)?;
            let start = self.offsets().values_start + 8 * u64::from(capacity);
            let size = u64::from(size).min(count);
            self.read(values.wrapping_add(start), size as usize)?
        };
        Ok(Some(bytes.into_iter().map(usize::from).collect()))
    }

    /// The attributes of an instance, without those in slots.
    ///
    /// # Errors
    ///
    /// [`PyMissing`] if the memory cannot be read or is damaged.
    pub fn attributes(&self, object: u64, ty: &TypeInfo, limit: usize) -> Read<DictEntries> {
        match self.attribute_store(object, ty)? {
            AttributeStore::Nothing => Ok(DictEntries::default()),
            AttributeStore::Dict(dict) => self.dict(dict, limit),
            AttributeStore::Values(values) => {
                let keys = self.pointer(ty.address, self.offsets().heap_type_cached_keys)?;
                let mut entries = self.split(keys, values)?;
                let of = entries.len() as u64;
                entries.truncate(limit);
                Ok(DictEntries { entries, of })
            }
        }
    }

    /// The places of an instance's attributes.
    fn attribute_store(&self, object: u64, ty: &TypeInfo) -> Read<AttributeStore> {
        let minor = self.python().version.minor;
        if minor >= 11 && ty.has_managed_dict() {
            let dict = self.word(object.wrapping_sub(MANAGED_DICT))?;
            if minor == 11 {
                let values = self.word(object.wrapping_sub(MANAGED_VALUES))?;
                if values != 0 {
                    return Ok(AttributeStore::Values(values));
                }
            } else if minor == 12 {
                // A pointer to values is one less, and so odd.
                if dict & 1 == 1 {
                    return Ok(AttributeStore::Values(dict.wrapping_add(1)));
                }
            } else if dict == 0 && ty.has_inline_values(minor) {
                return Ok(AttributeStore::Values(object.wrapping_add(ty.basicsize)));
            }
            return Ok(AttributeStore::from_pointer(dict));
        }
        let offset = match ty.dictoffset {
            0 => return Ok(AttributeStore::Nothing),
            positive @ 1.. => positive.unsigned_abs(),
            negative => {
                // Counted from the end of an object whose size varies.
                let items = self.memory().signed(object.wrapping_add(OB_SIZE))?;
                let items = items.unsigned_abs().wrapping_mul(ty.itemsize);
                let size = ty.basicsize.wrapping_add(items).wrapping_add(7) & !7;
                size.wrapping_sub(negative.unsigned_abs())
            }
        };
        let dict = self.word(object.wrapping_add(offset))?;
        Ok(AttributeStore::from_pointer(dict))
    }
}

/// The place of an instance's attributes.
enum AttributeStore {
    Nothing,
    Dict(u64),
    /// Values whose keys are in the type.
    Values(u64),
}

impl AttributeStore {
    fn from_pointer(dict: u64) -> Self {
        if dict == 0 {
            Self::Nothing
        } else {
            Self::Dict(dict)
        }
    }
}
