//! Where a thread has its copy of a thread-local variable (ELF's TLS, as glibc does it).

use tracer_common::op::{FS_BASE, alu, cond};

use super::ir::{Failure, Ir, Test};
use crate::unavailable::Unavailable;

/// Bytes below the thread pointer in which the blocks are that are laid out with a thread.
const ROOM: u64 = 64 << 10;
/// Bytes of one entry of a thread's vector.
const ENTRY: u64 = 16;
/// Where the thread pointer leads to the vector.
const VECTOR: u64 = 8;

/// Where this module's block of thread-local storage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsBlock {
    /// This many bytes from the thread pointer (negative on x86-64): executables
    /// and libraries loaded at start.
    Static(i64),
    /// Through the thread's vector of blocks (glibc's `dtv`).
    Vector {
        /// Run address of the word with the module's number in it.
        word: u64,
        /// What tells that the block is the module's.
        tables: Option<TlsTables>,
    },
    /// Byte `of` of the block is as far from the thread pointer as the word at
    /// this run address says.
    Distance {
        /// Where the word is.
        word: u64,
        /// Which byte.
        of: u64,
    },
}

/// Where the dynamic linker says which module has a number, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsTables {
    /// Run address of the pointer to the first table; the linker's later ones are not followed.
    pub first: u64,
    /// Offset in a table: how many entries it has.
    pub length: u64,
    /// Offset in a table: its entries.
    pub entries: u64,
    /// Bytes of an entry.
    pub entry: u64,
    /// Offset in an entry: the generation in which the module came.
    pub generation: u64,
    /// Offset in an entry: the linker's record of the module, which begins with what it
    /// added to the module's addresses.
    pub map: u64,
    /// What it added to those of this module.
    pub bias: u64,
}

/// The address of byte `offset` of the module's block.
pub(super) fn address(offset: Ir, tls: Option<TlsBlock>) -> Result<Ir, Unavailable> {
    let block = match tls {
        Some(TlsBlock::Static(block)) => Ir::Register(FS_BASE).plus(block as u64),
        Some(TlsBlock::Distance { word, of }) => {
            let distance = Ir::Const(word).load(8, false);
            let block = Ir::alu(alu::ADD, Ir::Register(FS_BASE), distance);
            Ir::alu(alu::SUB, block, Ir::Const(of))
        }
        Some(TlsBlock::Vector { word, tables }) => {
            let vector = Vector::of(word);
            match tables {
                Some(tables) => vector.told_by(&tables),
                None => vector.laid_out_with_thread(),
            }
        }
        None => {
            return Err(Unavailable::Unsupported(
                "thread-local storage of this module".into(),
            ));
        }
    };
    Ok(Ir::alu(alu::ADD, block, offset))
}

/// A thread's vector of blocks: entries, the first of which counts the generations of
/// modules that the thread knows of; their number stands before it.
struct Vector {
    /// Number of the module.
    module: Ir,
    /// Address of the first entry.
    start: Ir,
}

impl Vector {
    fn of(word: u64) -> Self {
        Self {
            module: Ir::Const(word).load(8, false),
            start: Ir::Register(FS_BASE).plus(VECTOR).load(8, false),
        }
    }

    /// What the entry of the module leads to.
    fn block(&self) -> Ir {
        let entry = Ir::alu(alu::MUL, self.module.clone(), Ir::Const(ENTRY));
        Ir::alu(alu::ADD, self.start.clone(), entry).load(8, false)
    }

    /// Whether the vector has an entry of that number.
    fn has_entry(&self) -> Test {
        let count = self.start.clone().plus(ENTRY.wrapping_neg()).load(8, false);
        both(
            Test::Compare(cond::NE, self.module.clone(), Ir::Const(0)),
            Test::Compare(cond::LE, self.module.clone(), count),
        )
    }

    /// The block, if it was laid out with the thread, in the room below the thread pointer: that
    /// one is the module's, while entries of others may be left over from a module that is gone.
    fn laid_out_with_thread(&self) -> Ir {
        let below = Ir::alu(alu::SUB, Ir::Register(FS_BASE), self.block());
        let laid_out = Test::Compare(cond::LE, below, Ir::Const(ROOM));
        let certain = both(self.has_entry(), laid_out);
        Ir::Guard(Box::new(certain), Failure::Thread, Box::new(self.block()))
    }

    /// The block, if the dynamic linker says that the number is this module's, and if the thread
    /// has looked at the module since it came: what stands in an older vector is another's.
    fn told_by(&self, tables: &TlsTables) -> Ir {
        let table = Ir::Const(tables.first).load(8, false);
        let length = table.clone().plus(tables.length).load(8, false);
        let at = Ir::alu(alu::MUL, self.module.clone(), Ir::Const(tables.entry));
        let entry = Ir::alu(alu::ADD, table.plus(tables.entries), at);
        let map = entry.clone().plus(tables.map).load(8, false);
        let ours = both(
            both(
                Test::Compare(cond::NE, self.module.clone(), Ir::Const(0)),
                Test::Compare(cond::LT, self.module.clone(), length),
            ),
            both(
                Test::Compare(cond::NE, map.clone(), Ir::Const(0)),
                Test::Compare(cond::EQ, map.load(8, false), Ir::Const(tables.bias)),
            ),
        );
        let came = entry.plus(tables.generation).load(8, false);
        let known = Test::Compare(cond::LE, came, self.start.clone().load(8, false));
        // A block that is made at its first use is -1 until then.
        let made = Test::Compare(cond::NE, self.block(), Ir::Const(u64::MAX));
        let used = both(both(known, self.has_entry()), made);
        let block = Ir::Guard(Box::new(used), Failure::Untouched, Box::new(self.block()));
        Ir::Guard(Box::new(ours), Failure::Thread, Box::new(block))
    }
}

fn both(first: Test, second: Test) -> Test {
    Test::And(Box::new(first), Box::new(second))
}
