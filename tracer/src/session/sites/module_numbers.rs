//! Numbers of modules, in a session whose processes have modules at different places.
//!
//! A plan that needs the address of another module then has the module's number, and the kernel side
//! knows where each process has it. A build of a module has one number, whatever files it is in.

use std::sync::{Arc, Mutex};

use tracer_common::limits::MAX_MODULES;
use tracer_common::places::ModuleMark;

use crate::base::address::{Bias, LinkAddr, ModuleNumber};
use crate::debuginfo::Module as DebugModule;
use crate::session::locks::lock;
use crate::session::sites::biases::bias_of;
use crate::target::MappedModule as MappedFile;

/// A module that plans may refer to by its number.
#[derive(Clone)]
pub(in crate::session) struct NumberedModule {
    pub(in crate::session) number: ModuleNumber,
    /// Tells at a hit that the module is at its place.
    pub(in crate::session) mark: ModuleMark,
    /// Its dynamic section, by which the dynamic linker knows it.
    pub(in crate::session) dynamic: Option<LinkAddr>,
    file: MappedFile,
    debug: Arc<DebugModule>,
}

/// The modules that have numbers.
#[derive(Default)]
pub(in crate::session) struct ModuleNumbers(Mutex<Vec<NumberedModule>>);

impl ModuleNumbers {
    /// The number of a module. `None` if it has no build id, since nobody would notice another module
    /// in its place.
    pub(in crate::session) fn number_of(
        &self,
        file: &MappedFile,
        debug: &Arc<DebugModule>,
    ) -> Option<ModuleNumber> {
        let id = debug.build_id()?;
        let mut all = lock(&self.0);
        if let Some(known) = all.iter().find(|one| one.debug.build_id() == Some(id)) {
            return Some(known.number);
        }
        let (LinkAddr(at), is) = debug.build_id_word()?;
        let number = u32::try_from(all.len()).ok()?;
        if number >= MAX_MODULES {
            return None;
        }
        all.push(NumberedModule {
            number: ModuleNumber(number),
            mark: ModuleMark { at, is },
            dynamic: debug.dynamic_section(),
            file: file.clone(),
            debug: Arc::clone(debug),
        });
        Some(ModuleNumber(number))
    }

    /// The module with a number.
    pub(in crate::session) fn get(
        &self,
        ModuleNumber(number): ModuleNumber,
    ) -> Option<NumberedModule> {
        let index = usize::try_from(number).ok()?;
        lock(&self.0).get(index).cloned()
    }
}

impl NumberedModule {
    /// Its bias in a process that has these files mapped. `None` if it is not among them.
    ///
    /// A copy of the file has its name. If it is another build of it, the hit will notice.
    pub(in crate::session) fn bias_in(&self, files: &[MappedFile]) -> Option<Bias> {
        let same = files.iter().find(|file| file.is_file_of(&self.file));
        let alike = || files.iter().find(|file| file.name == self.file.name);
        bias_of(&self.debug, same.or_else(alike)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::debuginfo::DebugOptions;
    use crate::target::Process;

    /// The files of a process that has loaded its libraries.
    fn files() -> Vec<MappedFile> {
        let piped = || Stdio::piped();
        let cat = Command::new("cat").stdin(piped()).stdout(piped()).spawn();
        let mut cat = cat.expect("cat");
        let mut answer = [0; 1];
        let mut ask = cat.stdin.take().expect("piped");
        ask.write_all(b"x").expect("it reads");
        let out = cat.stdout.as_mut().expect("piped");
        out.read_exact(&mut answer).expect("it answers");
        let files = Process::open(cat.id()).and_then(|process| process.modules());
        drop(ask);
        cat.wait().expect("its end");
        files.expect("its mappings")
    }

    /// A file of these, and its debug information.
    fn library(files: &[MappedFile], name: &str) -> (MappedFile, Arc<DebugModule>) {
        let file = files.iter().find(|file| file.name.starts_with(name));
        let file = file.expect("a library").clone();
        let options = DebugOptions::default();
        // The process has ended.
        let debug = DebugModule::open_as(&file.path, &file.path, &options);
        (file, Arc::new(debug.expect("it opens")))
    }

    #[test]
    fn module_has_one_number_and_its_place_is_found_by_its_file_or_its_name() {
        let files = files();
        let (file, debug) = library(&files, "libc.so");
        let numbers = ModuleNumbers::default();
        let first = numbers.number_of(&file, &debug).expect("a build id");
        assert_eq!(numbers.number_of(&file, &debug), Some(first));
        let (linker, of_linker) = library(&files, "ld-");
        let second = numbers.number_of(&linker, &of_linker).expect("a build id");
        assert_ne!(first, second);
        let module = numbers.get(first).expect("it was numbered");
        assert!(numbers.get(ModuleNumber(2)).is_none());
        let there = bias_of(&debug, &file).expect("it is mapped");
        assert_eq!(module.bias_in(&files), Some(there));
        let mut copies = files;
        for copy in &mut copies {
            copy.identity = (0, 0);
        }
        assert_eq!(module.bias_in(&copies), Some(there), "a copy of the file");
        copies.retain(|copy| copy.name != file.name);
        assert_eq!(module.bias_in(&copies), None);
    }
}
