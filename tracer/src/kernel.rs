//! The kernel's side of a session: loads the eBPF programs, attaches sites,
//! drains the ring.
