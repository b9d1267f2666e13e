//! The figures of the house: how the product's sources are cut into rooms, files, functions and names.
//!
//! `cargo test -p xtask house -- --nocapture` prints them. Each has a bound that no change may
//! exceed; a change that makes a figure better lowers its bound.

mod figures;
mod imports;
mod sources;

use figures::{Figures, functions, names, tuples};
use imports::{circles, wrong_way};
use sources::Sources;

/// Names of types that stand for several types, of all names, in thousandths.
const SHARED_NAMES: usize = 143;
/// Parameters that are tuples without names.
const TUPLES: usize = 89;
/// Lines of the function that 99 of 100 are not longer than.
const FUNCTION_P99: usize = 64;
/// Lines of the longest function.
const LONGEST: usize = 145;
/// Files in circles of imports, beside those of types that refer to each other.
const IN_CIRCLES: usize = 103;
/// Files in the folder that has the most.
const FOLDER: usize = 60;

#[test]
fn figures_are_within_their_bounds() {
    let sources = Sources::read();
    let names = names(&sources);
    let tuples = tuples(&sources);
    let functions = functions(&sources);
    let circles = circles(&sources);
    let folder = sources.largest_folder();
    let figures = Figures {
        names: &names,
        tuples: &tuples,
        functions: &functions,
        circles: &circles,
        folder: &folder,
    };
    println!("{figures}");
    let in_circles: usize = circles.iter().map(Vec::len).sum();
    for (figure, value, bound) in [
        (
            "shared names in thousandths",
            names.shared_per_mille(),
            SHARED_NAMES,
        ),
        ("tuple parameters", tuples.len(), TUPLES),
        (
            "99th percentile of function lengths",
            functions.percentile(99),
            FUNCTION_P99,
        ),
        ("longest function", functions.longest(), LONGEST),
        ("files in circles", in_circles, IN_CIRCLES),
        ("files in a folder", folder.1, FOLDER),
    ] {
        assert!(value <= bound, "{figure}: {value}, and {bound} is the most");
    }
}

#[test]
fn rooms_import_in_one_direction() {
    let wrong = wrong_way(&Sources::read());
    assert!(
        wrong.is_empty(),
        "imports against the order of the rooms:\n{}",
        wrong.join("\n")
    );
}
