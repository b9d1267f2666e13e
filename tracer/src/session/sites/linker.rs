//! The layout of thread-local blocks in the target's dynamic linker, according to its C library.

use std::sync::{Arc, OnceLock};

use crate::base::address::{LinkAddr, ModulePlace};
use crate::debuginfo::thread_db::ThreadDb;
use crate::debuginfo::{DebugOptions, Module as DebugModule};
use crate::plan::TlsTables;
use crate::session::sites::biases::bias_of;
use crate::session::sites::module_numbers::ModuleNumbers;
use crate::target::MappedModule as MappedFile;

/// Names of the files: the C library, with the thread library of glibc before 2.34, and the dynamic
/// linker.
const NAMES: [&str; 3] = ["libc", "libpthread", "ld"];
/// Files of such names that are looked into.
const MAX_FILES: usize = 8;

/// The dynamic linker of one process.
#[derive(Default)]
pub(in crate::session) struct Linker {
    files: Vec<MappedFile>,
    options: DebugOptions,
    tables: OnceLock<Option<(ThreadDb, LinkerData)>>,
}

/// The data of the linker itself.
struct LinkerData {
    file: MappedFile,
    module: Arc<DebugModule>,
    address: LinkAddr,
}

impl Linker {
    /// The linker of a process with these files mapped.
    pub(in crate::session) fn of(files: &[MappedFile], options: &DebugOptions) -> Self {
        let files = files.iter().filter(|file| is_of_interest(&file.name));
        Self {
            files: files.take(MAX_FILES).cloned().collect(),
            // Its symbols are in the files themselves.
            options: DebugOptions {
                root: options.root.clone(),
                ..DebugOptions::default()
            },
            tables: OnceLock::new(),
        }
    }

    /// The tables that name the thread-local blocks of modules. `None` if the linker is not glibc's,
    /// or does not describe them. With `numbers`, they are those of each process.
    pub(in crate::session) fn tables(&self, numbers: Option<&ModuleNumbers>) -> Option<TlsTables> {
        let (constants, data) = self.tables.get_or_init(|| self.read()).as_ref()?;
        Some(TlsTables {
            first: LinkAddr(data.address.0.checked_add(constants.tables)?),
            linker: match numbers {
                None => ModulePlace::At(bias_of(&data.module, &data.file)?),
                Some(numbers) => {
                    ModulePlace::Numbered(numbers.number_of(&data.file, &data.module)?)
                }
            },
            length: constants.length,
            entries: constants.entries,
            entry: constants.entry,
            generation: constants.generation,
            map: constants.map,
        })
    }

    fn read(&self) -> Option<(ThreadDb, LinkerData)> {
        let (mut constants, mut data) = (None, None);
        for file in &self.files {
            let module = DebugModule::open_as(&file.open_path, &file.path, &self.options);
            let Ok(module) = module else {
                continue;
            };
            constants = constants.or_else(|| module.thread_db());
            if data.is_none()
                && let Some(address) = module.linker_data()
            {
                data = Some(LinkerData {
                    file: file.clone(),
                    module: Arc::new(module),
                    address,
                });
            }
        }
        constants.zip(data)
    }
}

/// `libc.so.6`, `libc-2.31.so`, `ld-linux-x86-64.so.2`.
fn is_of_interest(name: &str) -> bool {
    NAMES.iter().any(|wanted| {
        let behind = name.strip_prefix(wanted);
        behind.is_some_and(|behind| behind.starts_with(['.', '-']))
    })
}

#[cfg(test)]
mod tests {
    use super::is_of_interest;

    #[test]
    fn c_library_and_linker_are_known_by_their_names() {
        for name in [
            "libc.so.6",
            "libc-2.31.so",
            "libpthread-2.31.so",
            "ld-2.31.so",
        ] {
            assert!(is_of_interest(name), "{name}");
        }
        for name in ["libcrypto.so.3", "ldd", "lib.so", "app"] {
            assert!(!is_of_interest(name), "{name}");
        }
    }
}
