//! Objects in the target's memory: their types, and the parts of the basic ones.
//!
//! Everything that is read may be damaged, or may change while it is read. Nothing here panics,
//! and every count is bounded by a limit or by the caller.

mod attributes;
mod dict;
mod text;
mod types;

pub use self::dict::{DictEntries, GlobalEntry};
pub use self::text::{PyBytes, PyText};
pub use self::types::{ClassAttribute, TypeInfo};

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use num_bigint::{BigInt, BigUint, Sign};

use crate::interpreter::Interpreter;
use crate::limits::{BYTES_OF_A_READ, HEAP_READS, INT_DIGITS, NAME_BYTES};
use crate::memory::{Numbers as _, TargetMemory, Unreadable, words};
use crate::native::{Native, Singleton};
use crate::offsets::Offsets;

/// The reason why a part of the target is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PyMissing {
    /// The memory cannot be read.
    #[error("the memory at {address:#x} cannot be read", address = .0.address)]
    Unreadable(#[from] Unreadable),
    /// The memory has no object of the expected type.
    #[error("no {expected} at {address:#x}")]
    NotA {
        /// The expected type.
        expected: &'static str,
        /// The object's address.
        address: u64,
    },
    /// A number in the object is impossible, such as a negative length.
    #[error("the {what} at {address:#x} is damaged")]
    Damaged {
        /// The kind of object.
        what: &'static str,
        /// The object's address.
        address: u64,
    },
    /// A variable or slot that has no value yet or no more.
    #[error("not set")]
    Unbound,
    /// The limits do not allow to read more: see [`crate::limits`].
    #[error("too much to read")]
    TooMuch,
}

/// The result of reading an object.
pub type Read<T> = Result<T, PyMissing>;

/// The objects of one interpreter.
///
/// A heap remembers types by their address. A type may be freed and another one made in its place:
/// make a new heap for each pass.
pub struct Heap<'a> {
    memory: &'a dyn TargetMemory,
    python: &'a Interpreter,
    types: RefCell<foldhash::HashMap<u64, Rc<TypeInfo>>>,
    /// Reads that are left.
    budget: Cell<u64>,
}

/// An integer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PyInt {
    /// Its value.
    Exact(BigInt),
    /// It has more digits than [`INT_DIGITS`].
    Huge {
        /// Number of digits of 30 bits.
        digits: u64,
    },
}

/// Elements of a sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elements {
    /// Addresses of the first elements. Zero is an empty place.
    pub items: Vec<u64>,
    /// Number of all elements.
    pub of: u64,
}

impl<'a> Heap<'a> {
    /// The objects of this interpreter, read from this memory.
    pub fn new(memory: &'a dyn TargetMemory, python: &'a Interpreter) -> Self {
        Self::with_reads(memory, python, HEAP_READS)
    }

    /// As [`Self::new`], with another number of reads after which the rest is missing.
    pub fn with_reads(memory: &'a dyn TargetMemory, python: &'a Interpreter, reads: u64) -> Self {
        Self {
            memory,
            python,
            types: RefCell::default(),
            budget: Cell::new(reads),
        }
    }

    /// Does something with at most this many reads, or with the rest if that is less.
    pub(crate) fn within<T>(&self, reads: u64, work: impl FnOnce() -> T) -> T {
        let left = self.budget.get();
        let granted = left.min(reads);
        self.budget.set(granted);
        let result = work();
        let used = granted - self.budget.get();
        self.budget.set(left - used);
        result
    }

    /// Returns true if no reads are left.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.budget.get() == 0
    }

    /// Counts a read of this many bytes.
    pub(crate) fn count(&self, length: usize) -> Read<()> {
        let cost = 1 + length as u64 / BYTES_OF_A_READ;
        let left = self.budget.get();
        if left < cost {
            self.budget.set(0);
            return Err(PyMissing::TooMuch);
        }
        self.budget.set(left - cost);
        Ok(())
    }

    /// The memory that this heap reads.
    #[must_use]
    pub fn memory(&self) -> &'a dyn TargetMemory {
        self.memory
    }

    /// The interpreter.
    #[must_use]
    pub fn python(&self) -> &'a Interpreter {
        self.python
    }

    pub(crate) fn offsets(&self) -> &'a Offsets {
        &self.python.offsets
    }

    pub(crate) fn word(&self, address: u64) -> Read<u64> {
        self.count(8)?;
        Ok(self.memory.word(address)?)
    }

    /// The pointer in a field of an object. Null is an error.
    pub(crate) fn pointer(&self, object: u64, offset: u64) -> Read<u64> {
        match self.word(object.wrapping_add(offset))? {
            0 => Err(PyMissing::Unbound),
            pointer => Ok(pointer),
        }
    }

    /// Bytes at an address. The caller bounds the length.
    pub(crate) fn read(&self, address: u64, length: usize) -> Read<Vec<u8>> {
        self.count(length)?;
        let mut bytes = vec![0; length];
        self.memory.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// The address of an object's type.
    ///
    /// # Errors
    ///
    /// [`PyMissing`] if the memory cannot be read.
    pub fn type_address(&self, object: u64) -> Read<u64> {
        self.word(object.wrapping_add(OB_TYPE))
    }

    /// Returns true if an object has exactly this type.
    #[must_use]
    pub fn is(&self, object: u64, native: Native) -> bool {
        self.type_address(object)
            .is_ok_and(|ty| self.python.known.native(ty) == Some(native))
    }

    /// The one object of its kind at this address.
    #[must_use]
    pub fn singleton(&self, object: u64) -> Option<Singleton> {
        self.python.known.singleton(object)
    }

    /// Checks an object's exact type.
    pub(crate) fn expect(&self, object: u64, native: Native, expected: &'static str) -> Read<()> {
        if self.is(object, native) {
            return Ok(());
        }
        Err(PyMissing::NotA {
            expected,
            address: object,
        })
    }

    /// `ob_size`, which is not negative for what has a length.
    pub(crate) fn size(&self, object: u64, what: &'static str) -> Read<u64> {
        let size = self.memory.signed(object.wrapping_add(OB_SIZE))?;
        u64::try_from(size).map_err(|_| PyMissing::Damaged {
            what,
            address: object,
        })
    }

    /// A number of 32 bits in a field of an object.
    pub(crate) fn number(&self, object: u64, offset: u64) -> Read<u32> {
        self.count(4)?;
        Ok(self.memory.half(object.wrapping_add(offset))?)
    }

    /// A byte in a field of an object.
    pub(crate) fn byte(&self, object: u64, offset: u64) -> Read<u8> {
        self.count(1)?;
        Ok(self.memory.byte(object.wrapping_add(offset))?)
    }

    /// Pointers at an address, `limit` at most.
    pub(crate) fn pointers(&self, address: u64, of: u64, limit: usize) -> Read<Elements> {
        let count = usize::try_from(of).unwrap_or(usize::MAX).min(limit);
        let bytes = self.read(address, count.saturating_mul(8))?;
        Ok(Elements {
            items: words(&bytes).collect(),
            of,
        })
    }

    /// The first elements of a tuple or of an object of a subclass.
    pub(crate) fn tuple(&self, tuple: u64, limit: usize) -> Read<Elements> {
        let of = self.size(tuple, "tuple")?;
        let items = tuple.wrapping_add(self.offsets().tuple_items);
        self.pointers(items, of, limit)
    }

    /// The first elements of a list or of an object of a subclass.
    pub(crate) fn list(&self, list: u64, limit: usize) -> Read<Elements> {
        let of = self.size(list, "list")?;
        if of == 0 {
            return Ok(Elements::default());
        }
        let items = self.pointer(list, self.offsets().list_items)?;
        self.pointers(items, of, limit)
    }

    /// The first elements of a set, in the order of iteration.
    pub(crate) fn set(&self, set: u64, limit: usize) -> Read<Elements> {
        let offsets = self.offsets();
        let of = self.word(set.wrapping_add(offsets.set_used))?;
        let mask = self.word(set.wrapping_add(offsets.set_mask))?;
        let damaged = PyMissing::Damaged {
            what: "set",
            address: set,
        };
        let places = mask
            .checked_add(1)
            .filter(|places| places.is_power_of_two() && *places >= of)
            .ok_or(damaged)?;
        let table = self.pointer(set, offsets.set_table)?;
        let mut items = Vec::new();
        let mut place = 0;
        // Deleted entries leave gaps. A table is at most five times as large as its set was.
        let most = (limit as u64).saturating_mul(64).max(1024).min(places);
        while place < most && items.len() < limit && (items.len() as u64) < of {
            let count = (most - place).min(256) as usize;
            let bytes = self.read(table.wrapping_add(place * 16), count * 16)?;
            let mut entries = words(&bytes);
            while let (Some(key), Some(hash)) = (entries.next(), entries.next()) {
                // A deleted entry has the hash -1, which no object has.
                if key != 0 && hash != u64::MAX && items.len() < limit {
                    items.push(key);
                }
            }
            place += count as u64;
        }
        Ok(Elements { items, of })
    }

    /// The value of an integer or of an object of a subclass.
    pub(crate) fn int(&self, int: u64) -> Read<PyInt> {
        let offsets = self.offsets();
        let (digits, sign) = match offsets.int_tag {
            Some(tag) => {
                let tag = self.word(int.wrapping_add(tag))?;
                let sign = match tag & 3 {
                    0 => Sign::Plus,
                    1 => Sign::NoSign,
                    _ => Sign::Minus,
                };
                (tag >> 3, sign)
            }
            None => {
                let size = self.memory.signed(int.wrapping_add(OB_SIZE))?;
                let sign = match size {
                    0 => Sign::NoSign,
                    1.. => Sign::Plus,
                    _ => Sign::Minus,
                };
                (size.unsigned_abs(), sign)
            }
        };
        if digits > INT_DIGITS as u64 {
            return Ok(PyInt::Huge { digits });
        }
        if sign == Sign::NoSign {
            return Ok(PyInt::Exact(BigInt::ZERO));
        }
        let bytes = self.read(int.wrapping_add(offsets.int_digits), digits as usize * 4)?;
        let mut magnitude = BigUint::ZERO;
        let (all, _) = bytes.as_chunks::<4>();
        for digit in all.iter().rev() {
            magnitude <<= 30;
            magnitude |= BigUint::from(u32::from_le_bytes(*digit) & DIGIT);
        }
        Ok(PyInt::Exact(BigInt::from_biguint(sign, magnitude)))
    }

    /// The value of an integer that fits into 64 bits.
    pub(crate) fn small_int(&self, int: u64) -> Option<i64> {
        match self.int(int).ok()? {
            PyInt::Exact(value) => i64::try_from(value).ok(),
            PyInt::Huge { .. } => None,
        }
    }

    /// The value of a float or of an object of a subclass.
    pub(crate) fn float(&self, float: u64) -> Read<f64> {
        let bits = self.word(float.wrapping_add(self.offsets().float_value))?;
        Ok(f64::from_bits(bits))
    }

    /// A text of the interpreter, such as a name or a path, as far as it is not longer than a name
    /// can be.
    ///
    /// # Errors
    ///
    /// [`PyMissing`] if there is no `str` at the address.
    pub fn name(&self, object: u64) -> Read<String> {
        self.expect(object, Native::Str, "str")?;
        Ok(self.text(object, NAME_BYTES)?.to_lossy())
    }

    /// A text of C code, up to its end.
    pub(crate) fn c_text(&self, address: u64) -> Read<String> {
        self.count(256)?;
        let mut bytes = vec![0; 256];
        let readable = self.memory.read_prefix(address, &mut bytes);
        if readable == 0 {
            // Near the end of a mapping, or not readable at all.
            self.memory
                .read(address, bytes.get_mut(..1).unwrap_or_default())?;
        }
        let end = bytes.iter().position(|byte| *byte == 0);
        bytes.truncate(end.unwrap_or(readable));
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// `PyObject.ob_type`, in all versions with the GIL.
pub(crate) const OB_TYPE: u64 = 8;
/// `PyVarObject.ob_size`.
pub(crate) const OB_SIZE: u64 = 16;
/// Size of `PyObject`: the first field of a structure that is in no header.
pub(crate) const OB_HEAD: u64 = 16;
/// The bits of a digit of an integer.
const DIGIT: u32 = (1 << 30) - 1;
