//! Takes the memory that hits run in, so that they are lost.

#![expect(
    unsafe_code,
    reason = "no crate reads and writes maps of unknown element size"
)]

use std::os::fd::{AsFd as _, AsRawFd as _};

use aya::maps::MapData;

/// Reads an element of a map.
const LOOKUP: libc::c_long = 1;
/// Writes an element of a map.
const UPDATE: libc::c_long = 2;

/// The scratch areas of all machines, which are busy until this is dropped. Only one rig is loaded at a time.
pub(crate) struct BusyScratch(());

impl BusyScratch {
    /// Marks all areas as busy.
    pub(crate) fn take() -> Self {
        mark(1);
        Self(())
    }
}

impl Drop for BusyScratch {
    fn drop(&mut self) {
        mark(0);
    }
}

/// Parameters of both commands.
#[repr(C)]
struct Element {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Sets the first word of each area.
fn mark(busy: u64) {
    let mut marked = 0;
    for info in own_maps() {
        let map = MapData::from_id(info.id()).expect("it is there");
        let mut area = vec![0_u8; info.value_size() as usize];
        for key in 0..info.max_entries() {
            let element = Element {
                map: map.fd().as_fd().as_raw_fd().cast_unsigned(),
                padding: 0,
                key: (&raw const key) as u64,
                value: area.as_mut_ptr() as u64,
                flags: 0,
            };
            call(LOOKUP, &element);
            area[..8].copy_from_slice(&busy.to_ne_bytes());
            call(UPDATE, &element);
            marked += 1;
        }
    }
    assert!(marked > 0, "no scratch areas");
}

/// The maps of this process that have scratch areas.
fn own_maps() -> Vec<aya::maps::MapInfo> {
    let mut own = Vec::new();
    for file in std::fs::read_dir("/proc/self/fdinfo").expect("it is there") {
        let path = file.expect("an entry").path();
        // A file may be closed meanwhile.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let id = text.lines().find_map(|line| line.strip_prefix("map_id:"));
        own.extend(id.and_then(|id| id.trim().parse::<u32>().ok()));
    }
    let all = aya::maps::loaded_maps().filter_map(Result::ok);
    all.filter(|map| own.contains(&map.id()) && map.name() == b"SCRATCH")
        .collect()
}

fn call(command: libc::c_long, element: &Element) {
    // SAFETY: the pointers lead to memory of the sizes that the map has.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, element, size_of::<Element>()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
