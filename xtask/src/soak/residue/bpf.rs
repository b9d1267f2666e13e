//! Finds eBPF programs, maps and links of the tracer that nobody holds.
//!
//! Other sessions run on the same machine. An object counts if it is newer than the soak, has a
//! name of the tracer's, and is open in no process.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use aya::maps::loaded_maps;
use aya::programs::{loaded_links, loaded_programs};

/// Prefix of the names of the tracer's programs.
const PROGRAMS: &str = "tracer_";
/// Names of the tracer's maps, as the kernel truncates them.
const MAPS: [&str; 12] = [
    "OPS",
    "SITES",
    "PROBE_CONTROL",
    "PROBE_STATE",
    "PROBE_COUNTERS",
    "NUMBERS",
    "VALUES",
    "SCRATCH",
    "EVENTS",
    "FAMILY",
    "FAMILY_MESSAGE",
    "FAMILY_MISSED",
];

/// The newest object of each kind at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::soak) struct Objects {
    program: u32,
    map: u32,
    link: u32,
}

/// Objects that processes hold, by their key in `/proc/PID/fdinfo`.
#[derive(Debug, Default)]
struct Held {
    programs: BTreeSet<u32>,
    maps: BTreeSet<u32>,
    links: BTreeSet<u32>,
}

impl Objects {
    /// Returns the newest objects now. Their numbers only grow.
    ///
    /// # Errors
    /// Fails if the kernel does not list its objects.
    pub(in crate::soak) fn newest() -> Result<Self> {
        let mut newest = Self::default();
        for program in loaded_programs() {
            let program = program.context("cannot list the programs of the kernel")?;
            newest.program = newest.program.max(program.id());
        }
        // An object that goes away during the look is not the newest one.
        for map in loaded_maps().flatten() {
            newest.map = newest.map.max(map.id());
        }
        for link in loaded_links().flatten() {
            newest.link = newest.link.max(link.id());
        }
        Ok(newest)
    }

    /// Returns newer objects of the tracer that nobody holds.
    pub(in crate::soak) fn orphans(self) -> Vec<String> {
        let ours = self.ours();
        if ours.is_empty() {
            return Vec::new();
        }
        // Processes are read after the objects: the creator of an object holds it by then.
        let held = Held::look();
        let free = ours.into_iter().filter(|object| !held.has(object));
        free.map(|object| {
            format!(
                "{} {} (`{}`) is held by nobody",
                object.kind, object.id, object.name
            )
        })
        .collect()
    }

    fn ours(self) -> Vec<Object> {
        let mut found = Vec::new();
        let mut programs = BTreeSet::new();
        // An object that is gone during the look causes an error here, and is not residue.
        for program in loaded_programs().flatten() {
            let name = String::from_utf8_lossy(program.name()).into_owned();
            if name.starts_with(PROGRAMS) && program.id() > self.program {
                programs.insert(program.id());
                found.push(Object {
                    kind: "program",
                    id: program.id(),
                    name,
                });
            }
        }
        for map in loaded_maps().flatten() {
            let name = String::from_utf8_lossy(map.name()).into_owned();
            if MAPS.iter().any(|ours| is_cut(&name, ours)) && map.id() > self.map {
                found.push(Object {
                    kind: "map",
                    id: map.id(),
                    name,
                });
            }
        }
        for link in loaded_links().flatten() {
            if programs.contains(&link.program_id()) && link.id() > self.link {
                found.push(Object {
                    kind: "link",
                    id: link.id(),
                    name: format!("of program {}", link.program_id()),
                });
            }
        }
        found
    }
}

/// Returns true if the kernel's name, of up to 15 bytes, is one of ours.
fn is_cut(name: &str, ours: &str) -> bool {
    name == ours || (name.len() >= 14 && ours.starts_with(name))
}

struct Object {
    kind: &'static str,
    id: u32,
    name: String,
}

impl Held {
    fn look() -> Self {
        let mut held = Self::default();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        for process in processes {
            let descriptors = fs::read_dir(process.path().join("fdinfo"));
            for descriptor in descriptors.into_iter().flatten().flatten() {
                held.add(&fs::read_to_string(descriptor.path()).unwrap_or_default());
            }
        }
        held
    }

    fn add(&mut self, text: &str) {
        for line in text.lines() {
            let Some((name, id)) = line.split_once(':') else {
                continue;
            };
            let Ok(id) = id.trim().parse() else { continue };
            let kept = match name {
                "prog_id" => &mut self.programs,
                "map_id" => &mut self.maps,
                "link_id" => &mut self.links,
                _ => continue,
            };
            kept.insert(id);
        }
    }

    fn has(&self, object: &Object) -> bool {
        match object.kind {
            "program" => self.programs.contains(&object.id),
            "map" => self.maps.contains(&object.id),
            _ => self.links.contains(&object.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_objects_are_read_from_descriptors() {
        let mut held = Held::default();
        held.add("pos:\t0\nlink_type:\traw_tracepoint\nlink_id:\t12\nprog_id:\t7\n");
        let object = |kind, id| Object {
            kind,
            id,
            name: String::new(),
        };
        assert!(held.has(&object("link", 12)) && held.has(&object("program", 7)));
        assert!(!held.has(&object("map", 7)));
    }

    #[test]
    fn names_are_compared_as_the_kernel_cuts_them() {
        assert!(is_cut("OPS", "OPS"));
        assert!(!is_cut("OP", "OPS"));
        assert!(is_cut("PROBE_COUNTERS", "PROBE_COUNTERS"));
    }
}
