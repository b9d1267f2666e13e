//! Outputs that are alike, and outputs that are not.

use super::{common, common_screen};

fn form(text: &str, varies: &[&str]) -> Vec<String> {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let varies: Vec<String> = varies.iter().map(|&pattern| pattern.to_owned()).collect();
    common(&lines, &varies)
}

const PAGE: &str = r#"tracing shop (4242): 1 probe at 1 site
note: p1 is done after 1 hit; its breakpoints are removed
11:28:51.945006 worker-ada/21 shop.rs:98 "desk" got 3900, held: 7
11:28:52.656991 p1 count by item: 600 hits
           224  "mug"
            38  "sofa"
       1           40 |@@@@@@@@@@@@@@@@@@@@                    |
  p50 2.05µs to 2.30µs, p90 6.14µs to 6.66µs, p99 58.72ms to 60.57ms
    [8.19µs, 16.38µs)            3 |@                                       |
   [16.38µs, 32.77µs)            3 |@                                       |
             9  ended without a beginning that was timed
p1 shop.rs:98: 29 hits, 3 events, 26 with a false condition; 15.023µs a hit, 0.4% of one CPU"#;

#[test]
fn what_differs_from_run_to_run_is_alike() {
    let other = r#"tracing shop (7): 1 probe at 1 site
01:02:03.000000 worker-cyd/9999 shop.rs:98 "desk" got 3900, held: 1,024
note: p1 is done after 1 hit; its breakpoints are removed
01:02:03.656991 p1 count by item: 1,200 hits
           448  "mug"
             1  "sofa"
       1            1 |@                                       |
  p50 905ns to 2.30µs, p90 6ms to 6.66ms, p99 58.72ms to 60.57ms
    [8.19µs, 16.38µs)            3 |@                                       |
            90  without an end so far
p1 shop.rs:98: 1 hit, 1 event, 1 with a false condition, 2 after its last hit; 9ns a hit, 12% of one CPU"#;
    let other = other.replace("1 hit, 1 event, 1 with", "2 hits, 1 event, 1 with");
    assert_eq!(form(PAGE, &["held: #"]), form(&other, &["held: #"]));
}

#[test]
fn other_words_values_orders_and_shapes_are_not_alike() {
    let page = form(PAGE, &["held: #"]);
    for (from, to) in [
        ("(4242)", "4242"),
        ("1 probe at 1 site", "2 probes at 1 site"),
        ("1 hit;", "2 hits;"),
        ("11:28:51.945006", "11:28:51"),
        ("worker-ada/21", "ada/21"),
        ("shop.rs:98 \"desk\"", "shop.rs:99 \"desk\""),
        ("\"desk\"", "\"lamp\""),
        ("3900", "3901"),
        ("held: 7", "held: x"),
        ("600 hits", "0 hits"),
        ("600 hits", "600 calls"),
        ("           224", "  224"),
        ("224  \"mug\"", "0  \"mug\""),
        ("\"sofa\"", "<unavailable>"),
        ("            38  \"sofa\"\n", ""),
        ("       1           40", "       2           40"),
        ("|@@@@", "|####"),
        ("p90 6.14µs", "p90 6.14"),
        ("[8.19µs", "[8.19"),
        ("26 with a false condition", "26 lost"),
        ("a hit, 0.4%", "a hit, 0.4"),
        ("a hit,", "a call,"),
    ] {
        assert!(PAGE.contains(from), "{from}");
        let other = PAGE.replacen(from, to, 1);
        assert_ne!(form(&other, &["held: #"]), page, "`{to}` for `{from}`");
    }
    let lines: Vec<&str> = PAGE.lines().collect();
    let (mug, sofa) = (lines[4], lines[5]);
    let turned = PAGE.replace(&format!("{mug}\n{sofa}"), &format!("{sofa}\n{mug}"));
    assert_ne!(form(&turned, &["held: #"]), page);
}

#[test]
fn what_varies_is_the_whole_word() {
    assert_eq!(
        form("price of desk, 3900", &["desk|lamp"]),
        form("price of lamp, 3900", &["desk|lamp"])
    );
    assert_ne!(
        form("price of desks", &["desk|lamp"]),
        form("price of lamps", &["desk|lamp"])
    );
    assert_ne!(form("held -4", &["held #"]), form("held 4", &["held #"]));
}

#[test]
fn screens_are_alike_but_for_counts_and_charts() {
    let screen = |text: &str| common_screen(&[text.to_owned()], &[]);
    let row = screen("›● p1    shop.rs:92   5,640    753     0       0     298  15.4k ███▇");
    assert_eq!(
        row,
        screen("›● p1    shop.rs:92       4      4     0       0     2  905 ▁")
    );
    assert_ne!(
        row,
        screen("›● p1    shop.rs:92       4      4     1       0     2  905 ▁")
    );
    assert_ne!(
        row,
        screen("›○ p1    shop.rs:92       4      4     0       0     2  905 ▁")
    );
    assert_ne!(
        row,
        screen("›● p1    shop.rs:93       4      4     0       0     2  905 ▁")
    );
    assert_ne!(
        screen("▶ 92 ●  x ◂ \"desk\""),
        screen("▶ 93 ●  x ◂ \"desk\"")
    );
}

#[test]
fn tables_of_one_probe_are_alike_from_the_third_on() {
    let lines = |tables: usize, key: &str| {
        let table = [
            "12:00:00.000000 p1 count by why: 8 hits",
            "             8  KEY",
        ];
        let lines = std::iter::repeat_n(table, tables).flatten();
        let lines: Vec<String> = lines.map(|line| line.replace("KEY", key)).collect();
        common(&lines, &[])
    };
    assert_eq!(lines(3, "a"), lines(4, "a"));
    assert_eq!(lines(2, "a"), lines(3, "a"));
    assert_ne!(lines(1, "a"), lines(3, "a"));
    assert_ne!(lines(3, "a"), lines(3, "b"));
}
