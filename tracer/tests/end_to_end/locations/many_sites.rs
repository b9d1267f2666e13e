//! As many sites as a session promises.

use crate::support::build::{c, scratch};
use crate::support::program::Program;
use crate::support::tracer::counter;
use crate::support::{needs, observe};

/// Probes, each with eighty sites.
const PROBES: u64 = 250;

/// Sites of each.
const SITES: u64 = 80;

#[test]
fn twenty_thousand_sites_are_all_counted() {
    if !needs::kernel() {
        return;
    }
    let path = c("many-sites", "e2e_many_sites.c", &["-O1"]);
    let probes: String = (0..PROBES)
        .map(|number| format!("count f{number:03} as f{number:03}\n"))
        .collect();
    let file = scratch("many-sites").join(format!("probes-{}", std::process::id()));
    std::fs::write(&file, probes).expect("cargo's folder for tests is writable");
    let more = ["-f", file.to_str().expect("UTF-8"), "--max-cpu", "off"];
    let observed = observe::observe(Program::ready(&path, &[]), &[] as &[&str], &more);
    std::fs::remove_file(&file).expect("the file of this test");
    let finished = observed.finished;
    finished.assert_code(0);
    finished.assert_says(&["250 probes at 20,000 sites"]);
    for number in 0..PROBES {
        let summary = finished.summary(&format!("f{number:03}"));
        assert_eq!(counter(&summary, "hits"), SITES, "f{number:03}");
    }
}
