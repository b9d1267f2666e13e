//! Lines without code: their replacements, and their refusals.

use crate::support::build::{c, probe_line};
use crate::support::tracer::tracer;

#[test]
fn line_moves_within_its_function_only() {
    let path = c("moved", "e2e_moved.c", &["-O0"]);
    let exe = path.to_string_lossy();
    let line = |mark| probe_line("e2e_moved.c", mark);
    for (mark, to) in [("inside", 2), ("parameter", 2)] {
        let place = format!("e2e_moved.c:{}", line(mark));
        let finished = tracer(&["lines", "--exe", &exe, &place]);
        finished.assert_code(0);
        let moved = format!("e2e_moved.c:{} ", line(mark) + to);
        assert!(finished.stdout.join("\n").contains(&moved), "{finished}");
    }
    let first = line("before") + 1;
    for (asked, near) in [
        (line("before"), vec![first]),
        (3, vec![first]),
        (line("between"), vec![first + 6, line("parameter") + 1]),
        (101, vec![line("parameter") + 4, 500]),
        (9999, vec![507]),
    ] {
        let place = format!("e2e_moved.c:{asked}");
        let finished = tracer(&["lines", "--exe", &exe, &place]);
        assert_eq!(finished.code, Some(2), "{place}\n{finished}");
        let near: Vec<String> = near.iter().map(u64::to_string).collect();
        finished.assert_says(&["no code for line"]);
        let hint = finished.stderr.iter().find(|line| line.contains("nearest"));
        let hint = hint.map_or("", String::as_str);
        assert!(
            near.iter().all(|near| hint.contains(near)),
            "{near:?} {finished}"
        );
    }
}
