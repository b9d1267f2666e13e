//! Copies of a function that the compiler has kept in part.

use crate::support::build::{fixture, probe_line};
use crate::support::program::Program;
use crate::support::tracer::counter;
use crate::support::{needs, observe};

#[test]
fn copy_that_lacks_a_name_is_probed_without_it() {
    if !needs::kernel() || !needs::tools(&["clang"]) {
        return;
    }
    let path = fixture("clang", "copies", "e2e_copies.c", &["-g", "-O2"]);
    let line = probe_line("e2e_copies.c", "step");
    let probes = [format!(
        r#"log e2e_copies.c:{line} "{{twice}}" rate 100000/s"#
    )];
    let observed = observe::observe(Program::ready(&path, &[]), &probes, &[]);
    observed.finished.assert_code(0);
    // One site in each of three copies: the compiler unrolled the loops.
    assert_eq!(counter(&observed.finished.summary("p1"), "hits"), 30);
    let events = observed.finished.events();
    let shown = |text: &str| {
        let same = events.iter().filter(|event| event["message"] == *text);
        same.count()
    };
    assert_eq!(shown("<optimised out>"), 20, "{:?}", events.first());
    assert_eq!(shown("2"), 10);
}
