//! The eBPF object: makes its maps, loads its programs.
//!
//! aya's own loader does not support multi-uprobes, and it parses the kernel's BTF, which takes a
//! third of the time from start to the first event and is not needed here. So this module combines
//! the parser and linker of aya-obj with aya's maps.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use aya::maps::MapData;
use aya_obj::{EbpfSectionKind, Map, Object};

use super::diagnostics;
use super::task;
use crate::kernel::bpf::{self, ProgramKind};
use crate::kernel::error::KernelError;

/// The map that is made apart from the others: its pages take as long as all of theirs.
const LARGEST: &str = "EVENTS";

/// The object, aligned as an ELF file must be.
pub(in crate::kernel) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(env!("TRACER_EBPF_OBJECT"));

/// The object, loaded into the kernel except for the programs that are not requested yet.
pub(in crate::kernel) struct Image {
    object: Object,
    /// Description of the programs for the kernel.
    btf: Option<OwnedFd>,
    /// Constants, until their values are known.
    constants: Vec<(String, Map)>,
    maps: HashMap<String, MapData>,
    /// The object's definitions of the maps that are made.
    made: Vec<(String, Map)>,
    /// The ring of the programs' messages, if another object owns it.
    messages: Option<OwnedFd>,
}

impl Image {
    /// Parses the object and makes its maps, with so many entries as is said here or there.
    ///
    /// # Errors
    /// The kernel refused.
    pub(in crate::kernel) fn new(
        elf: &[u8],
        entries: &[(&str, u32)],
        messages: Option<OwnedFd>,
    ) -> Result<Self, KernelError> {
        let mut object = Object::parse(elf).map_err(|error| KernelError::of_loader(&error))?;
        if messages.is_none() {
            diagnostics::leave_out(&mut object);
        }
        let btf = load_btf(&mut object)?;
        let mut constants = Vec::new();
        let mut made = Vec::new();
        for (name, mut map) in std::mem::take(&mut object.maps) {
            if let Some((_, entries)) = entries.iter().find(|(of, _)| *of == name) {
                map.set_max_entries(*entries);
            }
            match map.section_kind() {
                EbpfSectionKind::Rodata => constants.push((name, map)),
                _ => made.push((name, map)),
            }
        }
        let maps = std::thread::scope(|scope| {
            let wanted =
                |(name, _): &&(String, Map)| !(messages.is_some() && name == diagnostics::MAP);
            let (large, small): (Vec<_>, Vec<_>) =
                (made.iter().filter(wanted)).partition(|(name, _)| name == LARGEST);
            let large = scope.spawn(|| make_all(large));
            let mut maps = make_all(small)?;
            let large = large.join();
            maps.extend(large.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            Ok::<_, KernelError>(maps)
        })?;
        Ok(Self {
            object,
            btf,
            constants,
            maps: maps.into_iter().collect(),
            made,
            messages,
        })
    }

    /// Tells the programs the offsets of `tgid`, `pid` and `comm` in `task_struct`. Returns false
    /// if that is not possible.
    pub(in crate::kernel) fn put_members(&mut self, members: [u32; 3]) -> bool {
        task::put_members(&mut self.object, members)
    }

    /// Sets constants, and links the programs: once, before the first program is loaded.
    ///
    /// # Errors
    /// There is no such constant, or the kernel refused.
    pub(in crate::kernel) fn set_globals(
        &mut self,
        values: &[(&str, &[u8])],
    ) -> Result<(), KernelError> {
        self.object.maps = std::mem::take(&mut self.constants).into_iter().collect();
        let values = values.iter().map(|&(name, value)| (name, (value, true)));
        self.object
            .patch_map_data(values.collect())
            .map_err(|error| KernelError::of_loader(&error))?;
        for (name, map) in std::mem::take(&mut self.object.maps) {
            let data = make(&name, &map)?;
            let fd = data.fd().as_fd();
            bpf::write_globals(fd, map.data())
                .and_then(|()| bpf::freeze(fd))
                .map_err(|error| KernelError::call("write constants to the kernel", error))?;
            self.maps.insert(name.clone(), data);
            self.made.push((name, map));
        }
        self.link()
    }

    fn link(&mut self) -> Result<(), KernelError> {
        let code: HashSet<usize> = (self.object.functions.keys())
            .map(|(section, _)| *section)
            .collect();
        let fds = self.made.iter().filter_map(|(name, map)| {
            let fd = match (&self.messages, self.maps.get(name)) {
                (_, Some(data)) => data.fd().as_fd(),
                (Some(messages), None) => messages.as_fd(),
                (None, None) => return None,
            };
            Some((name.as_str(), fd.as_raw_fd(), map))
        });
        self.object
            .relocate_maps(fds, &code)
            .and_then(|()| self.object.relocate_calls(&code))
            .map_err(|error| KernelError::of_loader(&error))?;
        self.object.sanitize_functions(aya::features());
        Ok(())
    }

    /// Loads a program.
    ///
    /// # Errors
    /// There is no program of that name, or the kernel refused. The error has the kernel's answer, or
    /// the end of the verifier's log.
    pub(in crate::kernel) fn load(
        &self,
        name: &str,
        kind: ProgramKind,
    ) -> Result<OwnedFd, KernelError> {
        let program = self.object.programs.get(name);
        let program = program.ok_or_else(|| KernelError::unexpected(name))?;
        let function = self.object.functions.get(&program.function_key());
        let function = function.ok_or_else(|| KernelError::unexpected(name))?;
        let btf = self.btf.as_ref().map(AsFd::as_fd);
        bpf::load(function, &program.license, btf, kind)
            .map_err(|(error, log)| refused(error, &log))
    }

    /// A map, for whoever reads and writes it from here on.
    ///
    /// # Errors
    /// There is none of that name.
    pub(in crate::kernel) fn take(&mut self, name: &'static str) -> Result<MapData, KernelError> {
        self.maps
            .remove(name)
            .ok_or_else(|| KernelError::unexpected(name))
    }
}

/// Loads the description of the programs. `None` if the kernel takes none.
fn load_btf(object: &mut Object) -> Result<Option<OwnedFd>, KernelError> {
    let Some(features) = aya::features().btf() else {
        return Ok(None);
    };
    let btf = object.fixup_and_sanitize_btf(features);
    let btf = btf.map_err(|error| KernelError::of_loader(&error))?;
    btf.map(|btf| bpf::load_btf(&btf.to_bytes()))
        .transpose()
        .map_err(|error| KernelError::call("load BTF", error))
}

fn make_all(maps: Vec<&(String, Map)>) -> Result<Vec<(String, MapData)>, KernelError> {
    maps.into_iter()
        .map(|(name, map)| Ok((name.clone(), make(name, map)?)))
        .collect()
}

fn make(name: &str, map: &Map) -> Result<MapData, KernelError> {
    let no_btf: Option<BorrowedFd<'_>> = None;
    MapData::create(map.clone(), name, no_btf).map_err(|error| KernelError::of_loader(&error))
}

/// The kernel's error, or the verifier's log if it has one.
fn refused(error: io::Error, log: &str) -> KernelError {
    if log.is_empty() {
        return KernelError::call("load eBPF programs", error);
    }
    let lines: Vec<&str> = log.lines().collect();
    let last = lines
        .get(lines.len().saturating_sub(6)..)
        .unwrap_or_default();
    KernelError::Load {
        reason: format!("{error}: {}", last.join("; ")),
    }
}
