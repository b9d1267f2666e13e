//! The eBPF object: makes its maps, loads its programs.
//!
//! aya has a loader, which knows no multi-uprobes, and parses the kernel's BTF, which
//! nothing here needs: a third of the time from start to the first event. So the parts that it is
//! made of (the parser and linker of aya-obj, aya's maps) are put together here.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use aya::maps::MapData;
use aya_obj::{EbpfSectionKind, Map, Object};

use super::bpf::{self, Kind};
use super::diagnostics;
use super::error::KernelError;
use super::load::{load_error, unexpected};
use super::task;

/// The map that is made beside the others: its pages take as long as all of theirs.
const LARGEST: &str = "EVENTS";

/// The object, in the kernel but for the programs that nobody has asked for.
pub(super) struct Image {
    object: Object,
    /// What describes the programs to the kernel.
    btf: Option<OwnedFd>,
    /// Constants, until their values are known.
    constants: Vec<(String, Map)>,
    maps: HashMap<String, MapData>,
    /// What the object says of the maps that are made.
    made: Vec<(String, Map)>,
    /// The ring of the programs' messages, where it is somebody else's.
    messages: Option<OwnedFd>,
}

impl Image {
    /// Parses the object and makes its maps, with so many entries as is said here or there.
    ///
    /// # Errors
    /// The kernel refused.
    pub(super) fn new(
        elf: &[u8],
        entries: &[(&str, u32)],
        messages: Option<OwnedFd>,
    ) -> Result<Self, KernelError> {
        let mut object = Object::parse(elf).map_err(|error| load_error(&error))?;
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

    /// Tells the programs where `task_struct` has `tgid`, `pid` and `comm`; false when they
    /// cannot be told.
    pub(super) fn put_members(&mut self, members: [u32; 3]) -> bool {
        task::put_members(&mut self.object, members)
    }

    /// Gives constants their values, and links the programs: before the first is loaded, and once.
    ///
    /// # Errors
    /// There is no such constant, or the kernel refused.
    pub(super) fn set_globals(&mut self, values: &[(&str, &[u8])]) -> Result<(), KernelError> {
        self.object.maps = std::mem::take(&mut self.constants).into_iter().collect();
        let values = values.iter().map(|&(name, value)| (name, (value, true)));
        self.object
            .patch_map_data(values.collect())
            .map_err(|error| load_error(&error))?;
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
            .map_err(|error| load_error(&error))?;
        self.object.sanitize_functions(aya::features());
        Ok(())
    }

    /// Loads a program.
    ///
    /// # Errors
    /// There is none of that name, or the kernel refused, with its answer or the verifier's words.
    pub(super) fn load(&self, name: &str, kind: Kind) -> Result<OwnedFd, KernelError> {
        let program = self.object.programs.get(name);
        let program = program.ok_or_else(|| unexpected(name))?;
        let function = self.object.functions.get(&program.function_key());
        let function = function.ok_or_else(|| unexpected(name))?;
        let btf = self.btf.as_ref().map(AsFd::as_fd);
        bpf::load(function, &program.license, btf, kind).map_err(refused)
    }

    /// A map, for whoever reads and writes it from here on.
    ///
    /// # Errors
    /// There is none of that name.
    pub(super) fn take(&mut self, name: &'static str) -> Result<MapData, KernelError> {
        self.maps.remove(name).ok_or_else(|| unexpected(name))
    }
}

/// Loads what describes the programs; `None` where the kernel wants none.
fn load_btf(object: &mut Object) -> Result<Option<OwnedFd>, KernelError> {
    let Some(features) = aya::features().btf() else {
        return Ok(None);
    };
    let btf = object.fixup_and_sanitize_btf(features);
    let btf = btf.map_err(|error| load_error(&error))?;
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
    MapData::create(map.clone(), name, no_btf).map_err(|error| load_error(&error))
}

/// The kernel's answer, or what the verifier says, when that is more.
fn refused((error, log): (io::Error, String)) -> KernelError {
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
