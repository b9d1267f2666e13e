//! The result pane: its views on screens of three sizes, its keys, and what it follows.

use super::super::results::{COMPARED, ResultView};
use super::*;
use crate::event::{Bucket, Event, Exemplar, Histogram, LeftOut, NamedValue, Times};
use crate::session::playback::{Beyond, Extent, Window};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// A hit of p1 with the position of a pointer on its way, and the time that something took.
fn hit(probe: u32, hit: u64) -> Arc<Event> {
    let angle = hit as f64 / 12.0;
    let x = (640.0 + 500.0 * angle.sin()).round() as i128;
    let y = (512.0 + 400.0 * (2.0 * angle).sin()).round() as i128;
    let mut event = fake::event(probe, hit, &format!("at {x} {y}"));
    let named = |expr: &str, ty: &str, value| NamedValue {
        expr: expr.into(),
        ty: ty.into(),
        value,
    };
    let took = Value::Nanoseconds(1_000_000 + (hit * 7919 % 97) * 40_000);
    event.values = vec![
        named("current", "Pointer", fake::point(x, y)),
        named("took", "Duration", took),
    ];
    Arc::new(event)
}

fn send(desk: &mut Desk, events: impl IntoIterator<Item = Arc<Event>>) {
    for event in events {
        desk.fake.send(Notice::Event(event));
    }
    let notices = desk.fake.take_notices(usize::MAX);
    desk.act(UiAction::Notices(notices));
}

/// A logpoint with 120 hits. Its results have the focus.
fn moving(size: (u16, u16)) -> Desk {
    let mut desk = Desk::open(size);
    desk.press(KeyCode::Enter);
    send(&mut desk, (1..=120).map(|at| hit(1, at)));
    desk.keys("4");
    desk.state.message = None;
    desk
}

/// A probe with a sum. Its results have the focus.
fn summed(size: (u16, u16), text: &str, aggregate: Aggregate) -> Desk {
    let mut desk = Desk::open(size);
    desk.keys(&format!(":{text}"));
    desk.press(KeyCode::Enter);
    desk.fake.add_up(aggregate);
    desk.keys("4");
    desk.wait(Duration::from_secs(1));
    desk.state.message = None;
    desk
}

fn sum(action: &'static str, expr: &str, total: u64, body: AggregateBody) -> Aggregate {
    Aggregate {
        probe: ProbeId(1),
        probe_name: "p1".into(),
        action,
        expr: expr.into(),
        total,
        other: 0,
        body,
    }
}

fn counted() -> Aggregate {
    let text = |bytes: &[u8]| {
        Value::Text(crate::value::Text {
            bytes: bytes.to_vec(),
            cut: None,
        })
    };
    let rows: [(&[u8], u64); 5] = [
        (b"GET", 8_300),
        (b"POST", 2_075),
        (b"DELETE", 240),
        (b"\x1b[31mPUT", 2),
        (b"OPTIONS", 1),
    ];
    let rows = rows.map(|(key, count)| CountRow {
        value: text(key),
        count,
    });
    let mut sum = sum(
        "count",
        "request.method",
        10_625,
        AggregateBody::Count(rows.to_vec()),
    );
    sum.other = 7;
    sum
}

fn histogram() -> Aggregate {
    let bucket = |low, high, count| Bucket { low, high, count };
    let body = AggregateBody::Histogram(Histogram {
        step: None,
        buckets: vec![
            bucket(0, 0, 12),
            bucket(4, 7, 110),
            bucket(8, 15, 260),
            bucket(16, 31, 90),
            bucket(1024, 2047, 1),
        ],
        unavailable: vec![(crate::base::unavailable::Unavailable::Null, 3)],
    });
    sum("hist", "len", 476, body)
}

fn timed() -> Aggregate {
    let bucket = |low, high, count| Bucket { low, high, count };
    let body = AggregateBody::Times(Times {
        buckets: vec![
            bucket(1_536, 1_663, 1_000),
            bucket(1_920, 2_047, 300),
            bucket(4_096, 4_607, 50),
            bucket(2_883_584, 3_145_727, 2),
        ],
        extremes_ns: Some((1_600, 3_000_000)),
        sum_ns: 8_500_000,
        unfinished: 3,
        ..Times::default()
    });
    sum("time", "", 1_352, body)
}

fn snapshot(name: &str, desk_of: impl Fn((u16, u16)) -> Desk) {
    for size in SIZES {
        let name = format!("results_{name}_at_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, desk_of(size).screen());
    }
}

#[test]
fn values_are_a_table_with_a_column_each() {
    snapshot("values", moving);
}

#[test]
fn numbers_are_plotted_over_time() {
    snapshot("plot", |size| {
        let mut desk = moving(size);
        desk.keys("v");
        desk
    });
}

#[test]
fn coordinates_are_a_path() {
    snapshot("pairs", |size| {
        let mut desk = moving(size);
        desk.keys("vv");
        desk
    });
}

#[test]
fn several_numbers_are_compared_with_signs_of_their_own() {
    snapshot("compared", |size| {
        let mut desk = moving(size);
        desk.keys("v=j=j");
        desk.state.message = None;
        desk
    });
}

#[test]
fn rate_is_plotted_from_zero() {
    snapshot("rate", |size| {
        let mut desk = moving(size);
        for step in 0..40 {
            let from = 121 + step * 10;
            send(&mut desk, (from..from + 10 + step % 3).map(|at| hit(1, at)));
            desk.wait(Duration::from_millis(500));
        }
        desk.keys("vvv");
        desk
    });
}

#[test]
fn counts_are_a_table_with_bars() {
    snapshot("counts", |size| {
        summed(size, "count main.rs:20 by request.method", counted())
    });
}

#[test]
fn numbers_added_up_are_a_histogram() {
    snapshot("histogram", |size| {
        summed(size, "hist main.rs:20 len", histogram())
    });
}

#[test]
fn times_added_up_are_a_histogram_with_percentiles() {
    snapshot("times", |size| summed(size, "time main.rs:20", timed()));
}

#[test]
fn key_v_shows_the_results_and_turns_their_views_and_back() {
    let mut desk = Desk::open((80, 24));
    desk.press(KeyCode::Enter);
    send(&mut desk, (1..=30).map(|at| hit(1, at)));
    let view = |desk: &Desk| {
        desk.state
            .watched_probe()
            .map(|probe| desk.state.result_view(probe))
    };
    assert_eq!(desk.state.regions().results.height, 0);
    desk.keys("v");
    assert_eq!(desk.state.focus, Pane::Results);
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.extend(view(&desk));
        desk.keys("v");
    }
    let names: Vec<&str> = seen.iter().map(|view| view.name()).collect();
    assert_eq!(names, ["values", "plot", "x/y", "rate", "values"]);
    desk.keys("V");
    assert_eq!(view(&desk), Some(ResultView::Values));
    desk.keys("V");
    assert_eq!(desk.state.focus, Pane::Source);
    desk.keys("v");
    desk.press(KeyCode::Esc);
    assert_eq!(desk.state.focus, Pane::Source);
    // In the table of probes, the cursor goes on choosing the probe.
    desk.keys("2v");
    assert_eq!(desk.state.focus, Pane::Probes);
    assert!(desk.state.regions().results.height > 10);
    assert!(desk.screen().contains("Results of p1"));
    desk.keys("1");
    assert_eq!(desk.state.regions().results.height, 0);
}

#[test]
fn results_follow_the_table_and_the_source() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    desk.keys(":count main.rs:20 by kind");
    desk.press(KeyCode::Enter);
    // The newest probe, until the cursor moves.
    assert!(desk.screen().contains("4 Results of p2 ─ v [counts] rate"));
    desk.keys("jk");
    assert!(desk.screen().contains("4 Results of p1 ─ v [values]"));
    desk.keys("jj");
    assert!(desk.screen().contains("4 Results of p2"));
    desk.keys("2k");
    assert!(desk.screen().contains("4 Results of p1"));
}

#[test]
fn only_of_a_probe_that_adds_up_opens_its_results() {
    let mut desk = Desk::open((80, 24));
    desk.keys(":time main.rs:20");
    desk.press(KeyCode::Enter);
    desk.keys("2o");
    assert!(desk.state.events.filter.is_empty());
    let screen = desk.screen();
    assert!(
        screen.contains("p1 has no events: its hits are added up"),
        "{screen}"
    );
    assert!(
        screen.contains("Results of p1 ─ v [times] rate"),
        "{screen}"
    );
}

#[test]
fn rows_that_are_read_stay_while_new_ones_come() {
    let mut desk = moving((120, 40));
    desk.keys("jjj");
    let first = |desk: &Desk| {
        let screen = desk.screen();
        let mut rows = screen
            .lines()
            .skip_while(|line| !line.contains("Results of"));
        rows.nth(2).map(str::to_owned)
    };
    let before = first(&desk);
    send(&mut desk, (121..=130).map(|at| hit(1, at)));
    assert_eq!(first(&desk), before);
    desk.press(KeyCode::Home);
    send(&mut desk, (131..=132).map(|at| hit(1, at)));
    assert_ne!(first(&desk), before);
}

#[test]
fn compared_numbers_are_bounded_and_go_with_their_probe() {
    let mut desk = moving((120, 40));
    desk.keys("v");
    for _ in 0..3 {
        desk.keys("=j");
    }
    assert_eq!(desk.state.results.compared.len(), 3);
    desk.keys("=");
    assert_eq!(desk.state.results.compared.len(), 2);
    for at in 0..COMPARED as u32 {
        desk.keys(&format!("1:log main.rs:{}", 20 + at));
        desk.press(KeyCode::Enter);
        send(&mut desk, (1..=3).map(|one| hit(at + 2, one)));
        desk.keys("=");
    }
    assert_eq!(desk.state.results.compared.len(), COMPARED);
    assert!(desk.screen().contains("5 numbers are compared already"));
    // The first probe goes, and its numbers with it.
    desk.keys("2");
    desk.press(KeyCode::Home);
    desk.keys("d");
    assert!(
        desk.state
            .results
            .compared
            .iter()
            .all(|one| one.probe != ProbeId(1))
    );
}

#[test]
fn gaps_are_marked_below_the_plot() {
    let mut desk = moving((120, 40));
    let mut after = (*hit(1, 140)).clone();
    after.left_out = LeftOut {
        limited: 1_000,
        lost: 32,
    };
    send(&mut desk, [Arc::new(after)]);
    desk.keys("v");
    let screen = desk.screen();
    assert!(screen.contains("! 1,032 hits left out"), "{screen}");
    let axis = screen.lines().find(|line| line.contains("└"));
    assert!(axis.is_some_and(|axis| axis.contains('!')), "{screen}");
}

#[test]
fn values_of_two_probes_on_a_line_are_both_shown() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    desk.keys(":log main.rs:18 \"{current.y}\"");
    desk.press(KeyCode::Enter);
    desk.keys(":count main.rs:18");
    desk.press(KeyCode::Enter);
    desk.hit(1, 1..=1, 18);
    desk.act(UiAction::Notices(vec![Notice::Event(Arc::new(
        fake::event(2, 1, "y is 17"),
    ))]));
    desk.state.probes[2].counters.events = 4_412;
    let screen = desk.screen();
    let line = screen
        .lines()
        .find(|line| line.contains("18 ●"))
        .unwrap_or("");
    let shown = ["p1 last", "p2 y is 17", "p3 4,412 added up"];
    assert!(shown.iter().all(|text| line.contains(text)), "{line}");
}

#[test]
fn variables_have_their_last_value_and_its_age() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    desk.hit(1, 1..=2, 18);
    desk.wait(Duration::from_millis(500));
    let row = |desk: &Desk| {
        let screen = desk.screen();
        let mut rows = screen.lines().filter(|line| line.contains("✓ current"));
        rows.next().unwrap_or("").to_owned()
    };
    let shown = row(&desk);
    assert!(shown.contains("{x: 474, y: 302}"), "{shown}");
    assert!(!shown.contains("ago"), "{shown}");
    desk.wait(Duration::from_secs(20));
    assert!(
        row(&desk).contains("{x: 474, y: 302}  (20s ago)"),
        "{}",
        row(&desk)
    );
}

#[test]
fn hostile_names_and_values_reach_no_cell_as_they_are() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    for hit in 1..=4 {
        let mut event = fake::event(1, hit, "x");
        event.thread = "\x1b[5mworker".into();
        event.values = ["a\x1b[31m", "b\u{202e}"]
            .map(|expr| NamedValue {
                expr: expr.into(),
                ty: "i32".into(),
                value: Value::Int(i128::from(hit), 32),
            })
            .to_vec();
        send(&mut desk, [Arc::new(event)]);
    }
    for _ in 0..4 {
        desk.keys("v");
        let buffer = desk.draw().buffer().clone();
        let is_clean = |text: &str| !text.chars().any(crate::base::visible::is_hostile);
        assert!(buffer.content().iter().all(|cell| is_clean(cell.symbol())));
    }
}

#[test]
fn recording_has_the_results_of_the_selected_time() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    desk.keys(":count main.rs:20 by request.method");
    desk.press(KeyCode::Enter);
    let extent = Extent {
        events: 100,
        first_ns: hit(1, 1).time_ns,
        last_ns: hit(1, 100).time_ns,
    };
    let effects = desk.state.show_recording(extent);
    desk.answer(effects);
    let mut count = counted();
    count.probe = ProbeId(2);
    let window = |selected| LoadedWindow {
        window: Box::new(Window {
            notices: (1..=100).map(|at| Notice::Event(hit(1, at))).collect(),
            numbers: (0..100).collect(),
            selected: Some(selected),
            before: Beyond::Nothing,
            behind: Beyond::Nothing,
            probes: desk.fake.probes(),
            aggregates: vec![count.clone()],
        }),
        filter: Filter::default(),
        is_jump: true,
    };
    let first = window(50);
    desk.act(UiAction::Reply(WorkerReply::Window(first)));
    desk.keys("2");
    desk.press(KeyCode::Home);
    let newest = |desk: &Desk| {
        let series = desk.state.results.series.get(&ProbeId(1));
        series.and_then(|series| Some(series.recent.back()?.hit))
    };
    assert_eq!(newest(&desk), Some(51));
    desk.keys("3jj");
    assert_eq!(newest(&desk), Some(53));
    assert!(!desk.screen().contains("] rate"), "{}", desk.screen());
    // Sums are read for the selected time.
    desk.asked.clear();
    desk.keys("2j3j");
    assert!(
        desk.asked.contains(&"LoadWindow".to_owned()),
        "{:?}",
        desk.asked
    );
    assert!(
        desk.screen().contains("Results of p2 ─ [counts] ─"),
        "{}",
        desk.screen()
    );
}

#[test]
fn times_of_a_span_are_a_view_of_it() {
    let mut desk = Desk::open((120, 40));
    desk.press(KeyCode::Enter);
    let mut times = timed();
    if let AggregateBody::Times(times) = &mut times.body {
        times.exemplars = Vec::<Exemplar>::new();
    }
    desk.fake.add_up(times);
    desk.wait(Duration::from_secs(1));
    assert!(
        desk.screen().contains("v [values] times rate"),
        "{}",
        desk.screen()
    );
}

#[test]
fn bars_of_uneven_ranges_have_a_logarithmic_scale_until_a_key_changes_it() {
    let size = (120, 40);
    let bar = |desk: &Desk, label: &str| {
        let screen = desk.screen();
        let row = screen.lines().find(|line| line.contains(label));
        let is_bar = |c: &char| ('\u{2588}'..='\u{258f}').contains(c);
        row.map_or(0, |row| row.chars().filter(is_bar).count())
    };
    let is_log = |desk: &Desk| desk.screen().contains("log scale");
    // 260 times as many hits as in another range.
    let mut desk = summed(size, "hist main.rs:20 len", histogram());
    assert!(is_log(&desk), "{}", desk.screen());
    let (few, many) = (bar(&desk, "  2.5%"), bar(&desk, " 54.6%"));
    assert!(few > many / 3, "{few} of {many}: {}", desk.screen());
    desk.keys("L");
    assert!(!is_log(&desk));
    assert!(bar(&desk, "  2.5%") < many / 10, "{}", desk.screen());
    desk.keys("L");
    assert!(is_log(&desk));
    // Even ranges and tables of values have a linear one.
    let mut even = histogram();
    if let AggregateBody::Histogram(all) = &mut even.body {
        all.buckets.pop();
    }
    let mut desk = summed(size, "hist main.rs:20 len", even);
    assert!(!is_log(&desk), "{}", desk.screen());
    desk.keys("L");
    assert!(is_log(&desk));
    let mut desk = summed(size, "count main.rs:20 by request.method", counted());
    assert!(!is_log(&desk));
    desk.keys("L");
    assert!(is_log(&desk), "{}", desk.screen());
}
