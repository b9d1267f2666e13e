//! The address of a thread's copy of a thread-local variable (ELF TLS as in glibc).

use tracer_common::op::{THREAD_POINTER, alu, cond};

use crate::base::address::{LinkAddr, ModulePlace};
use crate::base::unavailable::Unavailable;
use crate::plan::ops::addresses::AddressBase;
use crate::plan::ops::ir::{Failure, Ir, Test};

/// Bytes below the thread pointer in which glibc lays out blocks at a thread's start.
const ROOM: u64 = 64 << 10;
/// Bytes of an entry in a thread's vector.
const ENTRY: u64 = 16;
/// Offset from the thread pointer to the pointer to the vector.
const VECTOR: u64 = 8;

/// The place of a module's block of thread-local storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsBlock {
    /// At this distance from the thread pointer (negative on x86-64), for executables and libraries
    /// loaded at start.
    Static(i64),
    /// In the thread's vector of blocks (glibc's `dtv`).
    Vector {
        /// The word of the module that has its number.
        word: LinkAddr,
        /// Confirms that the block is the module's.
        tables: Option<TlsTables>,
    },
    /// Byte `of` of the block is at the distance from the thread pointer that a word gives.
    Distance {
        /// The word, in the module.
        word: LinkAddr,
        /// Offset in the block.
        of: u64,
    },
}

/// The dynamic linker's tables of modules: the module of each number, and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsTables {
    /// Link address, in the dynamic linker, of the pointer to the first table. Later tables are not
    /// followed.
    pub first: LinkAddr,
    /// Where the dynamic linker is.
    pub linker: ModulePlace,
    /// Offset in a table of its number of entries.
    pub length: u64,
    /// Offset in a table of its first entry.
    pub entries: u64,
    /// Bytes of an entry.
    pub entry: u64,
    /// Offset in an entry of the generation in which the module was loaded.
    pub generation: u64,
    /// Offset in an entry of the pointer to the linker's record of the module. The record begins
    /// with the module's load bias.
    pub map: u64,
}

/// The address of byte `offset` of the module's block.
pub(in crate::plan) fn address(
    offset: Ir,
    tls: Option<TlsBlock>,
    base: AddressBase,
) -> Result<Ir, Unavailable> {
    let block = match tls {
        Some(TlsBlock::Static(block)) => Ir::Register(THREAD_POINTER).plus(block as u64),
        Some(TlsBlock::Distance { word, of }) => {
            let distance = base.run(word).load(8, false);
            let block = Ir::alu(alu::ADD, Ir::Register(THREAD_POINTER), distance);
            Ir::alu(alu::SUB, block, Ir::Const(of))
        }
        Some(TlsBlock::Vector { word, tables }) => {
            let vector = Vector::of(base.run(word));
            match tables {
                Some(tables) => vector.told_by(&tables, base),
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

/// A thread's vector of blocks. The first entry counts the generations of modules that the thread
/// knows. The number of entries precedes the vector.
struct Vector {
    /// Number of the module.
    module: Ir,
    /// Address of the first entry.
    start: Ir,
}

impl Vector {
    /// The vector, and the number of the module in this word.
    fn of(word: Ir) -> Self {
        Self {
            module: word.load(8, false),
            start: Ir::Register(THREAD_POINTER).plus(VECTOR).load(8, false),
        }
    }

    /// The block in the module's entry.
    fn block(&self) -> Ir {
        let entry = Ir::alu(alu::MUL, self.module.clone(), Ir::Const(ENTRY));
        Ir::alu(alu::ADD, self.start.clone(), entry).load(8, false)
    }

    /// A test that holds if the vector has an entry for the module.
    fn has_entry(&self) -> Test {
        let count = self.start.clone().plus(ENTRY.wrapping_neg()).load(8, false);
        both(
            Test::Compare(cond::NE, self.module.clone(), Ir::Const(0)),
            Test::Compare(cond::LE, self.module.clone(), count),
        )
    }

    /// The block, if it is below the thread pointer, where blocks are laid out at the thread's
    /// start. Such a block is the module's. Entries of others may be left from an unloaded module.
    fn laid_out_with_thread(&self) -> Ir {
        let below = Ir::alu(alu::SUB, Ir::Register(THREAD_POINTER), self.block());
        let laid_out = Test::Compare(cond::LE, below, Ir::Const(ROOM));
        let certain = both(self.has_entry(), laid_out);
        Ir::Guard(Box::new(certain), Failure::Thread, Box::new(self.block()))
    }

    /// The block, if the dynamic linker says that the number is this module's, and if the thread's
    /// vector is newer than the module. An older vector has another module's block.
    fn told_by(&self, tables: &TlsTables, base: AddressBase) -> Ir {
        let first = AddressBase::from(tables.linker).run(tables.first);
        let table = first.load(8, false);
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
                Test::Compare(cond::EQ, map.load(8, false), base.run(LinkAddr(0))),
            ),
        );
        let came = entry.plus(tables.generation).load(8, false);
        let known = Test::Compare(cond::LE, came, self.start.clone().load(8, false));
        // A block that is allocated at its first use is -1 until then.
        let made = Test::Compare(cond::NE, self.block(), Ir::Const(u64::MAX));
        let used = both(both(known, self.has_entry()), made);
        let block = Ir::Guard(Box::new(used), Failure::Untouched, Box::new(self.block()));
        Ir::Guard(Box::new(ours), Failure::Thread, Box::new(block))
    }
}

fn both(first: Test, second: Test) -> Test {
    Test::And(Box::new(first), Box::new(second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::address::{Bias, ModuleNumber};
    use crate::plan::ops::asm::{Asm, Exits};

    /// The modules, and the numbers, in the ops of an address that the linker in a place tells.
    fn told_by(linker: ModulePlace) -> (Vec<u32>, Vec<u64>) {
        let tables = TlsTables {
            first: LinkAddr(0x40),
            linker,
            length: 0,
            entries: 8,
            entry: 16,
            generation: 0,
            map: 8,
        };
        let block = TlsBlock::Vector {
            word: LinkAddr(0x10),
            tables: Some(tables),
        };
        let base = AddressBase::Site(LinkAddr(0));
        let address = address(Ir::Const(4), Some(block), base).expect("a block");
        let mut asm = Asm::new();
        let value = asm.value(&address, &mut Exits::default());
        value.expect("enough registers");
        let program = asm.finish(0);
        let numbers = program.constants.iter().map(|constant| constant.value);
        (program.modules, numbers.collect())
    }

    #[test]
    fn linker_is_at_its_place_in_the_process_or_in_the_one_process() {
        let known = told_by(ModulePlace::At(Bias(0x7000_0000)));
        assert!(known.0.is_empty() && known.1.contains(&0x7000_0040));
        let numbered = told_by(ModulePlace::Numbered(ModuleNumber(1)));
        assert_eq!(numbered.0, [1]);
        let is_address = |number: &u64| (0x7000_0000..0x7100_0000).contains(number);
        assert!(!numbered.1.iter().any(is_address), "{numbered:?}");
    }
}
