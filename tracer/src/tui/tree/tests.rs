use super::super::fake::{event, point};
use super::*;
use crate::event::{Event, NamedValue};
use crate::value::{Cut, Map, Pointer, Sequence, Variant};

const COLUMNS: usize = 60;

fn look(folds: &Folds) -> TreeLook<'_> {
    TreeLook {
        columns: COLUMNS,
        rows: 1,
        hex: false,
        full_types: false,
        all: true,
        folds,
        own: &[],
    }
}

fn of(value: Value, ty: &str) -> Event {
    let mut event = event(1, 1, "");
    event.values = vec![NamedValue {
        expr: "v".into(),
        ty: ty.into(),
        value,
    }];
    event
}

fn line(row: &Row) -> String {
    let arrow = if row.is_key { " → " } else { ": " };
    let ty = if row.ty.is_empty() {
        String::new()
    } else {
        format!("{} ", row.ty)
    };
    let sign = match row.fold {
        Fold::Whole => "",
        Fold::Folded => "▸",
        Fold::Unfolded => "▾",
    };
    let label = if row.label.is_empty() {
        String::new()
    } else {
        format!("{}{arrow}", row.label)
    };
    format!("{}{sign}{label}{ty}{}", "  ".repeat(row.depth), row.text)
}

fn lines(rows: &[Row]) -> Vec<String> {
    rows.iter().map(line).collect()
}

/// All rows of a value, everything unfolded.
fn unfolded(value: Value, ty: &str) -> Vec<String> {
    lines(&values(&of(value, ty), None, look(&Folds::default())).rows)
}

fn bytes_value(bytes: &[u8]) -> Value {
    Value::Sequence(Sequence {
        items: bytes
            .iter()
            .map(|byte| Value::Uint((*byte).into()))
            .collect(),
        cut: None,
        set: false,
    })
}

fn numbers_value(count: i128) -> Value {
    Value::Sequence(Sequence {
        items: (0..count).map(|n| Value::Int(n, 32)).collect(),
        cut: None,
        set: false,
    })
}

/// `HashMap<u64, Vec<u8>>`.
fn map_of_bytes() -> Value {
    Value::Map(Map {
        entries: vec![
            (Value::Uint(7), bytes_value(b"GET /health\n")),
            (Value::Uint(1024), bytes_value(b"\x00\x01\xfe\xff")),
        ],
        cut: None,
    })
}

const MAP: &str =
    "std::collections::hash::map::HashMap<u64, alloc::vec::Vec<u8, alloc::alloc::Global>>";

#[test]
fn value_with_parts_is_a_tree() {
    let some = Value::Variant(Variant {
        ty: "Option<Pointer>".into(),
        name: "Some".into(),
        line: None,
        fields: vec![("0".into(), point(3, -4))],
        omitted: None,
    });
    assert_eq!(
        unfolded(some, ""),
        [
            "▾v: Option<Pointer> Some",
            "  ▾0: Pointer ",
            "    x: 3",
            "    y: -4"
        ]
    );
}

#[test]
fn map_of_byte_strings_is_readable_at_a_glance() {
    let event = of(map_of_bytes(), MAP);
    let folds = Folds::default();
    let folded = values(
        &event,
        None,
        TreeLook {
            all: false,
            ..look(&folds)
        },
    );
    assert_eq!(
        lines(&folded.rows),
        [r#"▸v: HashMap<u64, Vec<u8>> len 2  {7: b"GET /health\n", 1024: b"\x00\x01\xfe\xff"}"#]
    );
    assert_eq!(folded.hidden, 4);
    assert_eq!(
        unfolded(map_of_bytes(), MAP),
        [
            "▾v: HashMap<u64, Vec<u8>> len 2",
            "  ▾7 → Vec<u8> len 12",
            r#"    b"GET /health\n""#,
            "  ▾1024 → Vec<u8> len 4",
            "    0000: 00 01 fe ff             │....│",
        ]
    );
}

#[test]
fn value_that_was_cut_says_how_much_there_is() {
    let list = Value::Sequence(Sequence {
        items: vec![Value::Bool(true)],
        cut: Some(Cut { of: Some(9) }),
        set: false,
    });
    assert_eq!(unfolded(list, "")[0], "▾v: len 9, 1 read");
    let text = Value::Text(Text {
        bytes: b"it's \xff\n".to_vec(),
        cut: Some(Cut { of: None }),
    });
    assert_eq!(unfolded(text, ""), [r#"v: "it's \xff\n"… (7 of more)"#]);
}

#[test]
fn first_screen_unfolds_what_does_not_fit_a_row_as_far_as_there_is_room() {
    let mut event = of(numbers_value(100), "[i32; 100]");
    event.values.push(NamedValue {
        expr: "p".into(),
        ty: "Pointer".into(),
        value: point(1, 2),
    });
    let folds = Folds::default();
    let rows = |rows| {
        let look = TreeLook {
            rows,
            all: false,
            ..look(&folds)
        };
        values(&event, None, look)
    };
    let small = rows(4);
    assert_eq!((small.rows.len(), small.hidden), (2, 1));
    let large = rows(40);
    assert_eq!(large.hidden, 0);
    assert!(large.rows.len() > 5 && large.rows.len() <= 40);
    // It fits its row, so that nothing of it is hidden.
    assert_eq!(
        line(large.rows.last().expect("a row")),
        "▸p: Pointer {x: 1, y: 2}"
    );
}

#[test]
fn chosen_folds_hold_for_the_same_path_of_another_event() {
    let array = || of(numbers_value(100), "[i32; 100]");
    let (first, second) = (array(), array());
    let mut folds = Folds::default();
    let rows = |event: &Event, folds: &Folds, rows| {
        let look = TreeLook {
            all: false,
            rows,
            ..look(folds)
        };
        values(event, None, look).rows
    };
    let head = rows(&first, &folds, 1)[0].node;
    folds.set(head, true);
    assert!(rows(&second, &folds, 1).len() > 5);
    folds.set(head, false);
    assert_eq!(rows(&second, &folds, 40).len(), 1);
    // It fits the screen, and stays folded all the same.
    folds.fold_all();
    assert_eq!(rows(&second, &folds, 40).len(), 1);
    folds.fit_screen();
    assert!(rows(&second, &folds, 40).len() > 5);
}

#[test]
fn rows_that_differ_from_the_event_before_are_marked() {
    let (old, new) = (of(point(1, 7), "Pointer"), of(point(2, 7), "Pointer"));
    let folds = Folds::default();
    let laid = values(&new, Some(&old), look(&folds));
    let marks: Vec<bool> = laid.rows.iter().map(|row| row.changed).collect();
    assert_eq!(marks, [true, true, false]);
    let folded = values(
        &new,
        Some(&old),
        TreeLook {
            all: false,
            ..look(&folds)
        },
    );
    assert_eq!(folded.rows[0].before.as_deref(), Some("{x: 1, y: 7}"));
}

#[test]
fn entries_of_a_map_are_compared_by_their_keys() {
    let map = |entries: &[(u128, u128)]| {
        Value::Map(Map {
            entries: entries
                .iter()
                .map(|(key, value)| (Value::Uint(*key), Value::Uint(*value)))
                .collect(),
            cut: None,
        })
    };
    let (old, new) = (
        of(map(&[(1, 10), (2, 20)]), ""),
        of(map(&[(2, 20), (3, 30), (1, 11)]), ""),
    );
    let laid = values(&new, Some(&old), look(&Folds::default()));
    let marks: Vec<bool> = laid.rows.iter().map(|row| row.changed).collect();
    assert_eq!(marks, [true, false, true, true]);
}

#[test]
fn pointers_nested_without_end_are_cut_at_the_depth() {
    let mut value = Value::Int(0, 32);
    for _ in 0..10_000 {
        value = Value::Pointer(Pointer {
            address: 16,
            symbol: None,
            target: Some(Box::new(value)),
            transparent: false,
        });
    }
    let mut event = of(value, "");
    let folds = Folds::default();
    assert_eq!(
        values(&event, None, look(&folds)).rows.len(),
        rows::DEPTH + 1
    );
    let all = TreeLook {
        all: false,
        rows: 1000,
        ..look(&folds)
    };
    assert!(values(&event, None, all).rows.len() <= rows::DEPTH + 1);
    // Taken apart by hand: the drop of so deep a value would recurse too.
    let mut value = event.values.remove(0).value;
    while let Value::Pointer(pointer) = value {
        value = *pointer.target.expect("made so above");
    }
}

#[test]
fn hex_shows_integers_and_texts_in_hexadecimal() {
    let folds = Folds::default();
    let hex = |value, ty| {
        let look = TreeLook {
            hex: true,
            ..look(&folds)
        };
        lines(&values(&of(value, ty), None, look).rows)
    };
    assert_eq!(hex(Value::Int(-2, 16), "i16"), ["v: i16 0xfffe"]);
    let text = Value::Text(Text {
        bytes: b"\x1b[31m".to_vec(),
        cut: None,
    });
    assert_eq!(
        hex(text, "&str"),
        ["▾v: &str len 5", "  0000: 1b 5b 33 31 6d          │.[31m│"]
    );
}

#[test]
fn rows_of_a_huge_value_are_bounded_and_counted() {
    let row = Value::Tuple(vec![Value::Unit; 40]);
    let many = Value::Tuple(vec![row; 1000]);
    let (event, folds) = (of(many, ""), Folds::default());
    let laid = values(&event, None, look(&folds));
    assert_eq!(laid.rows.len(), 20_001);
    assert_eq!(laid.rows.len(), laid.contents.len());
    assert_eq!(
        laid.rows.last().map(|row| row.text.as_str()),
        Some("21001 more rows")
    );
}

#[test]
fn all_rows_of_a_huge_event_stay_unfolded_while_they_are_chosen() {
    let mut folds = Folds::default();
    // Half of the memory is in use already.
    for node in 0..REMEMBERED as u64 / 2 {
        folds.set(node, false);
    }
    let of_event = 1_000_000..1_000_000 + super::rows::ROWS as u64;
    for node in of_event.clone() {
        folds.set(node, true);
    }
    assert!(of_event.clone().all(|node| folds.is_unfolded(node, false)));
    folds.set(1_000_000, false);
    assert!(!folds.is_unfolded(1_000_000, true));
    for node in 2_000_000..2_200_000 {
        folds.set(node, true);
    }
    assert!(folds.chosen.len() + folds.earlier.len() <= 2 * REMEMBERED);
}

#[test]
fn summary_type_and_parts_of_a_part_are_computed_once() {
    let folds = Folds::default();
    let event = of(point(1, 2), "Point");
    let nodes = super::nodes::of_values(&event, None);
    let node = nodes.last().expect("the value");
    assert!(std::ptr::eq(
        node.summary(&look(&folds)),
        node.summary(&look(&folds))
    ));
    assert!(std::ptr::eq(node.parts(), node.parts()));
    let types = [0; 2].map(|_| node.type_text(&look(&folds)).as_ptr());
    assert_eq!(types[0], types[1]);
}
