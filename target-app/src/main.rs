//! Watches the mouse pointer and prints where it moved.

fn main() {}
