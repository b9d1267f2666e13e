//! The committed tables, against the headers that are installed.

#[path = "../../examples/offsets/generate.rs"]
mod generate;

use generate::Installation;

use crate::programs::all;

#[test]
fn tables_are_what_the_headers_say() {
    let mut checked = Vec::new();
    for python in all() {
        let installation = Installation {
            interpreter: python.program.clone(),
            root: python.root.clone(),
        };
        match installation.table() {
            Ok(table) => {
                let committed = std::fs::read_to_string(table.path()).unwrap();
                assert!(table.is_in(&committed), "{}", python.name());
                checked.push(python.name());
            }
            Err(error) if error.to_string().contains("Python.h: No such file") => {
                println!("skipped: {} has no headers", python.name());
            }
            Err(error) => panic!("{}: {error}", python.name()),
        }
    }
    println!("checked: {}", checked.join(", "));
}
