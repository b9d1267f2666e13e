//! The layout of thread-local blocks in glibc's dynamic linker, from the constants that
//! `libthread_db` reads from the library itself. So no offset has to be assumed.

use crate::base::address::LinkAddr;
use crate::debuginfo::file::symbols::SymbolKind;
use crate::debuginfo::module::Module;

/// Prefix of the names of the constants.
const PREFIX: &str = "_thread_db_";
/// Size in bytes of a field's description: its bits, its number of elements, its offset.
const FIELD: usize = 12;
/// Number of bits of a word, which all fields that are read here must have.
const WORD_BITS: u32 = 64;
/// Number of bits of a thread's id.
const ID_BITS: u32 = 32;
/// Larger offsets and sizes are refused.
const MAX_OFFSET: u32 = 1 << 16;
/// Symbol of the dynamic linker's own data.
const LINKER_DATA: &str = "_rtld_global";

/// Offsets of the dynamic linker's records about modules with thread-local storage, which tell
/// since when each module is loaded.
///
/// The records are a list of tables; the first table has the modules with the lowest numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadDb {
    /// Offset of the pointer to the first table, in the dynamic linker's data.
    pub tables: u64,
    /// Offset in a table of its number of entries.
    pub length: u64,
    /// Offset in a table of its first entry.
    pub entries: u64,
    /// Size in bytes of an entry.
    pub entry: u64,
    /// Offset in an entry of the generation in which the module was loaded.
    pub generation: u64,
    /// Offset in an entry of the linker's record of the module.
    pub map: u64,
}

/// Offsets of glibc's lists of threads. One has the threads whose stacks the library has allocated, the other those
/// with a stack of their own, the first thread among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadList {
    /// Offsets of the heads of the two lists, in the dynamic linker's data.
    pub heads: [u64; 2],
    /// Offset in an element of the pointer to the next one.
    pub next: u64,
    /// Offset of the element in the descriptor of a thread, which is at the thread pointer.
    pub element: u64,
    /// Offset in the descriptor of the thread's id, of four bytes.
    pub id: u64,
}

impl Module {
    /// Returns the offsets of the lists of threads, if this library has them.
    #[must_use]
    pub fn thread_list(&self) -> Option<ThreadList> {
        let offset = |name| offset_of(self.thread_constant(name, FIELD)?, None);
        Some(ThreadList {
            heads: [
                offset("rtld_global__dl_stack_user")?,
                offset("rtld_global__dl_stack_used")?,
            ],
            next: self.thread_field("list_t_next")?,
            element: offset("pthread_list")?,
            id: offset_of(self.thread_constant("pthread_tid", FIELD)?, Some(ID_BITS))?,
        })
    }

    /// Returns the constants, if this library has them.
    #[must_use]
    pub fn thread_db(&self) -> Option<ThreadDb> {
        let as_expected = self.thread_field("pthread_dtvp")? == 8
            && self.thread_field("dtv_t_counter")? == 0
            && self.thread_field("dtv_t_pointer_val")? == 0;
        let list = "rtld_global__dl_tls_dtv_slotinfo_list";
        as_expected.then_some(ThreadDb {
            tables: self.thread_field(list)?,
            length: self.thread_field("dtv_slotinfo_list_len")?,
            entries: offset_of(
                self.thread_constant("dtv_slotinfo_list_slotinfo", FIELD)?,
                None,
            )?,
            entry: size_of(self.thread_constant("sizeof_dtv_slotinfo", 4)?)?,
            generation: self.thread_field("dtv_slotinfo_gen")?,
            map: self.thread_field("dtv_slotinfo_map")?,
        })
    }

    /// Returns the address of the dynamic linker's data, if this module is the dynamic linker.
    #[must_use]
    pub fn linker_data(&self) -> Option<LinkAddr> {
        let symbol = self.symbols_named(LINKER_DATA).into_iter().next()?;
        (symbol.kind == SymbolKind::Object).then_some(symbol.address)
    }

    fn thread_field(&self, name: &str) -> Option<u64> {
        offset_of(self.thread_constant(name, FIELD)?, Some(WORD_BITS))
    }

    fn thread_constant(&self, name: &str, length: usize) -> Option<&[u8]> {
        let symbols = self.symbols_named(&format!("{PREFIX}{name}"));
        let bytes = self.initial_bytes(symbols.first()?.address, length)?;
        (bytes.len() == length).then_some(bytes)
    }
}

/// Returns the offset in the description of a field, if the field has this number of bits.
fn offset_of(description: &[u8], bits: Option<u32>) -> Option<u64> {
    let fits = bits.is_none_or(|bits| number(description, 0) == Some(bits));
    let offset = number(description, 8).filter(|offset| *offset <= MAX_OFFSET)?;
    fits.then_some(offset.into())
}

fn size_of(bytes: &[u8]) -> Option<u64> {
    let size = number(bytes, 0)?;
    (1..=MAX_OFFSET).contains(&size).then_some(size.into())
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(words: [u32; 3]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn field_of_another_size_or_far_away_is_not_believed() {
        let offset = |words, bits| offset_of(&description(words), bits);
        assert_eq!(offset([64, 1, 4208], Some(64)), Some(4208));
        assert_eq!(offset([128, 0, 16], None), Some(16));
        assert_eq!(offset([32, 1, 8], Some(64)), None);
        assert_eq!(offset([64, 1, 1 << 20], Some(64)), None);
        assert_eq!(offset_of(&[64, 0, 0, 0], None), None);
        assert_eq!(size_of(&0_u32.to_le_bytes()), None);
        assert_eq!(size_of(&16_u32.to_le_bytes()), Some(16));
    }

    #[test]
    fn own_c_library_has_the_constants_and_its_linker_the_data() {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("own mappings");
        let module = |name: &str| {
            let path = maps.lines().find_map(|line| {
                let path = line.split_whitespace().nth(5)?;
                path.rsplit('/').next()?.starts_with(name).then_some(path)
            });
            Module::open(path.expect("mapped").as_ref()).expect("opens")
        };
        let constants = module("libc.so").thread_db().expect("glibc");
        assert!(
            constants.entry >= 16 && constants.tables > 0,
            "{constants:?}"
        );
        assert_ne!(constants.generation, constants.map);
        assert!(module("ld-").linker_data().is_some());
        assert_eq!(module("ld-").thread_db(), None);
        let list = module("libc.so").thread_list().expect("glibc");
        assert!(
            list.element > 0 && list.heads[0] != list.heads[1],
            "{list:?}"
        );
        assert_eq!(module("ld-").thread_list(), None);
    }
}
