//! Reading the memory of another process.
//!
//! All parts of this crate read through [`TargetMemory`]. Nothing here knows about Python.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;

use crate::limits::{BLOCK_BYTES, CACHED_BLOCKS};

/// Memory that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {length} bytes at {address:#x}")]
pub struct Unreadable {
    /// First address of the read.
    pub address: u64,
    /// Length of the read, in bytes.
    pub length: usize,
}

/// The memory of one process.
pub trait TargetMemory {
    /// Fills `into` with the bytes at `address`.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if any of the bytes cannot be read. `into` is then unspecified.
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable>;

    /// Reads as many bytes as are readable from `address`, and returns their number.
    ///
    /// The default reads all or nothing.
    fn read_prefix(&self, address: u64, into: &mut [u8]) -> usize {
        match self.read(address, into) {
            Ok(()) => into.len(),
            Err(_) => 0,
        }
    }
}

impl<M: TargetMemory + ?Sized> TargetMemory for &M {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        (**self).read(address, into)
    }

    fn read_prefix(&self, address: u64, into: &mut [u8]) -> usize {
        (**self).read_prefix(address, into)
    }
}

/// The memory of a live process, through `/proc/PID/mem`.
///
/// The kernel asks for the permission to ptrace when the file is opened, and never stops the
/// process. The open file stands for the address space that the process had at that moment: after
/// an `execve`, reads fail instead of showing another program.
#[derive(Debug)]
pub struct LiveMemory {
    file: File,
}

impl LiveMemory {
    /// Opens the memory of a process.
    ///
    /// # Errors
    ///
    /// The error of `open(2)`: the process is gone, or may not be traced by this user.
    pub fn open(pid: u32) -> io::Result<Self> {
        let file = File::open(format!("/proc/{pid}/mem"))?;
        Ok(Self { file })
    }
}

impl TargetMemory for LiveMemory {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        if self.read_prefix(address, into) == into.len() {
            return Ok(());
        }
        Err(Unreadable {
            address,
            length: into.len(),
        })
    }

    fn read_prefix(&self, address: u64, into: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..)
            && !rest.is_empty()
        {
            match self.file.read_at(rest, address.wrapping_add(done as u64)) {
                Ok(0) => break,
                Ok(length) => done += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        done
    }
}

/// Memory that is read in blocks, each once.
///
/// For passes over many small objects, such as the search for code objects. The blocks are a
/// picture of the moment at which each was read: make a new cache for each pass.
pub struct CachedMemory<M> {
    memory: M,
    blocks: RefCell<foldhash::HashMap<u64, Rc<[u8]>>>,
}

impl<M: TargetMemory> CachedMemory<M> {
    /// An empty cache of this memory.
    pub fn new(memory: M) -> Self {
        Self {
            memory,
            blocks: RefCell::default(),
        }
    }

    /// The readable bytes from the start of the block with this address.
    fn block(&self, start: u64) -> Rc<[u8]> {
        let mut blocks = self.blocks.borrow_mut();
        if let Some(block) = blocks.get(&start) {
            return Rc::clone(block);
        }
        if blocks.len() >= CACHED_BLOCKS {
            blocks.clear();
        }
        let mut bytes = vec![0; BLOCK_BYTES];
        let readable = self.memory.read_prefix(start, &mut bytes);
        bytes.truncate(readable);
        let block: Rc<[u8]> = bytes.into();
        blocks.insert(start, Rc::clone(&block));
        block
    }
}

impl<M: TargetMemory> TargetMemory for CachedMemory<M> {
    fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let size = BLOCK_BYTES as u64;
        let start = address - address % size;
        let offset = (address - start) as usize;
        if let Some(end) = offset.checked_add(into.len())
            && end <= BLOCK_BYTES
            && let Some(bytes) = self.block(start).get(offset..end)
        {
            into.copy_from_slice(bytes);
            return Ok(());
        }
        // The read crosses a block or its readable part: rare enough to ask the process.
        self.memory.read(address, into)
    }
}

/// Numbers in the target's memory. It is little-endian, as this crate reads x86-64 alone.
pub(crate) trait Numbers {
    /// Reads bytes of a length that is known at compile time.
    fn array<const N: usize>(&self, address: u64) -> Result<[u8; N], Unreadable>;

    /// A pointer or another number of 64 bits.
    fn word(&self, address: u64) -> Result<u64, Unreadable> {
        self.array(address).map(u64::from_le_bytes)
    }

    /// A signed number of 64 bits.
    fn signed(&self, address: u64) -> Result<i64, Unreadable> {
        self.array(address).map(i64::from_le_bytes)
    }

    /// A number of 32 bits.
    fn half(&self, address: u64) -> Result<u32, Unreadable> {
        self.array(address).map(u32::from_le_bytes)
    }

    /// A byte.
    fn byte(&self, address: u64) -> Result<u8, Unreadable> {
        self.array(address).map(|[byte]| byte)
    }
}

impl<M: TargetMemory + ?Sized> Numbers for M {
    fn array<const N: usize>(&self, address: u64) -> Result<[u8; N], Unreadable> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }
}

/// The words of a piece of memory.
pub(crate) fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().map(|word| u64::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A memory of some bytes at 0x1000 that counts the reads.
    struct Counted {
        bytes: Vec<u8>,
        reads: Cell<usize>,
    }

    impl TargetMemory for Counted {
        fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
            if self.read_prefix(address, into) == into.len() {
                return Ok(());
            }
            Err(Unreadable {
                address,
                length: into.len(),
            })
        }

        fn read_prefix(&self, address: u64, into: &mut [u8]) -> usize {
            self.reads.set(self.reads.get() + 1);
            let Some(start) = address.checked_sub(0x10000) else {
                return 0;
            };
            let from = self.bytes.get(start as usize..).unwrap_or_default();
            let length = from.len().min(into.len());
            into[..length].copy_from_slice(&from[..length]);
            length
        }
    }

    #[test]
    fn a_block_is_read_once_and_its_end_is_an_error() {
        let bytes: Vec<u8> = (0..40_000u32).map(|at| at as u8).collect();
        let memory = Counted {
            bytes,
            reads: Cell::new(0),
        };
        let cache = CachedMemory::new(&memory);
        for at in 0..1000u64 {
            assert_eq!(cache.byte(0x10000 + at), Ok(at as u8));
        }
        assert_eq!(memory.reads.get(), 1);
        assert_eq!(
            cache.word(0x10000 + BLOCK_BYTES as u64 - 4).unwrap() as u8,
            (BLOCK_BYTES - 4) as u8
        );
        let end = 0x10000 + 40_000;
        assert!(cache.word(end - 8).is_ok());
        assert_eq!(
            cache.word(end - 7),
            Err(Unreadable {
                address: end - 7,
                length: 8
            })
        );
        assert!(cache.word(u64::MAX - 3).is_err());
    }

    #[test]
    fn own_memory_is_read_and_unmapped_memory_is_not() {
        let memory = LiveMemory::open(std::process::id()).unwrap();
        let text = *b"some bytes";
        let mut read = [0; 10];
        memory.read(text.as_ptr() as u64, &mut read).unwrap();
        assert_eq!(read, text);
        assert!(memory.word(8).is_err());
    }
}
