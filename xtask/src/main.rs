//! Setup, build, demo, test and bench of the project.

fn main() {}
