//! The places of modules in each process, for plans that need the address of another module.
//!
//! Modules have numbers, which are those of the session. A place is only a hint: before it is used, a
//! hit compares eight bytes of the module's build id there. So a place from before an executed program
//! or an unloaded library is never taken for a present one.

/// A place is the module's bias (run address minus link address, a multiple of the page) with this bit.
pub const PLACED: u64 = 1;
/// A place: the process has not loaded the module.
pub const NOT_LOADED: u64 = 2;

/// The bias of a module that is not loaded, as [`MODULE`](crate::op::MODULE) gives it: no process has
/// memory or an object near it.
pub const NOWHERE: u64 = 1 << 63;

/// Key of a place.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct PlaceKey {
    /// Id of the process in the tracer's pid namespace.
    pub process: u32,
    /// Number of the module.
    pub module: u32,
}

/// Identifies a module at its place. Written by userspace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct ModuleMark {
    /// Link address of eight bytes of the build id.
    pub at: u64,
    /// Expected value of the bytes.
    pub is: u64,
}

const _: () = assert!(size_of::<PlaceKey>() == 8);
const _: () = assert!(size_of::<ModuleMark>() == 16);
