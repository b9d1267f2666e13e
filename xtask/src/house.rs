//! The figures of the house: how the product's sources are cut into rooms, files, functions and names.
//!
//! `cargo test -p xtask house -- --nocapture` prints them. Each has a bound that no change may
//! exceed; a change that makes a figure better lowers its bound.

mod architecture;
mod figures;
mod imports;
mod links;
mod prose;
mod sources;

use architecture::strangers;
use figures::{Figures, functions, names, tuples};
use imports::{circles, wrong_way};
use prose::prose;
use sources::{CRATES, Sources, TOOLS, largest_folder};

/// Names that several types share, in thousandths of all names of types.
const SHARED_NAMES: usize = 0;
/// Parameters that are anonymous tuples.
const TUPLES: usize = 0;
/// 99th percentile of the lengths of functions, in lines.
const FUNCTION_P99: usize = 64;
/// Lines of the longest function.
const LONGEST: usize = 100;
/// Files in circles of imports.
const IN_CIRCLES: usize = 0;
/// Files in the largest folder, those of tests included.
const FOLDER: usize = 20;

/// Names that several types of xtask share, in thousandths of all names of types.
const TOOL_SHARED_NAMES: usize = 5;
/// Parameters of build tools and tests that are anonymous tuples.
const TOOL_TUPLES: usize = 0;
/// Lines of the longest function of build tools and tests.
const TOOL_LONGEST: usize = 96;
/// Files of build tools and tests in circles of imports.
const TOOL_CIRCLES: usize = 0;
/// Awkward openings and phrases in 100,000 words of comments and pages.
const AWKWARD: usize = 5;

#[test]
fn figures_are_within_their_bounds() {
    let sources = Sources::read();
    let names = names(&sources);
    let tuples = tuples(&sources);
    let functions = functions(&sources);
    let circles = circles(&sources);
    let folder = largest_folder(&CRATES);
    let figures = Figures {
        names: &names,
        tuples: &tuples,
        functions: &functions,
        circles: &circles,
        folder: &folder,
    };
    let prose = prose();
    println!("{figures}\n{prose}");
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
        ("awkward wording", prose.awkward(), AWKWARD),
    ] {
        assert_at_most(figure, value, bound);
    }
}

#[test]
fn tools_are_within_their_bounds() {
    let sources = Sources::tools();
    let tuples = tuples(&sources);
    let functions = functions(&sources);
    let names = names(&sources.of_crate("xtask"));
    let folder = largest_folder(&TOOLS);
    let circles = circles(&sources);
    let figures = Figures {
        names: &names,
        tuples: &tuples,
        functions: &functions,
        circles: &circles,
        folder: &folder,
    };
    println!("build tools and tests:\n{figures}");
    let in_circles: usize = circles.iter().map(Vec::len).sum();
    for (figure, value, bound) in [
        (
            "shared names in thousandths",
            names.shared_per_mille(),
            TOOL_SHARED_NAMES,
        ),
        ("tuple parameters", tuples.len(), TOOL_TUPLES),
        ("longest function", functions.longest(), TOOL_LONGEST),
        ("files in circles", in_circles, TOOL_CIRCLES),
        ("files in a folder", folder.1, FOLDER),
    ] {
        assert_at_most(figure, value, bound);
    }
}

fn assert_at_most(figure: &str, value: usize, bound: usize) {
    assert!(value <= bound, "{figure}: {value}, and {bound} is the most");
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

#[test]
fn architecture_is_known_in_its_room_alone() {
    let strangers = strangers(&Sources::read());
    assert!(
        strangers.is_empty(),
        "names and numbers of an architecture outside of `arch`:\n{}",
        strangers.join("\n")
    );
}
