use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use parquet::basic::{LogicalType, Type};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

use super::made::{TIME, access, cut, event, frames, nested, span, text, unavailable};
use super::*;
use crate::event::{LeftOut, SpanContext};
use crate::sink::export::limits::COLUMNS;
use crate::value::{Pointer, Value};

fn csv(events: &[Event]) -> Vec<Vec<String>> {
    let bytes = export(ExportFormat::Csv, events);
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false);
    let mut reader = reader.from_reader(&*bytes);
    let record = |record: csv::Result<csv::StringRecord>| {
        let record = record.expect("a record of as many fields");
        record.iter().map(str::to_owned).collect()
    };
    reader.records().map(record).collect()
}

/// The cells of a column, by the beginning of its name.
fn column(rows: &[Vec<String>], name: &str) -> Vec<String> {
    let mut names = rows[0].iter();
    let at = names.position(|other| other == name);
    let at = at.unwrap_or_else(|| panic!("{name} in {:?}", rows[0]));
    rows[1..].iter().map(|row| row[at].clone()).collect()
}

#[test]
fn rows_have_what_all_events_have_and_a_column_for_each_value() {
    let bytes = export(
        ExportFormat::Csv,
        &[event(
            7,
            vec![("x", Value::Int(-5, 32)), ("a.b", text(b"say \"hi\", you"))],
        )],
    );
    assert_eq!(
        String::from_utf8(bytes).expect("UTF-8"),
        "time,probe,action,file,line,function,pid,tid,thread,hit,message,p1.x:int64,p1.a.b:text\r\n\
         2025-11-30T08:00:00.000000007Z,p1,log,/src/main.rs,57,app::report,42,43,Monitor,7,after 7,-5,\
         \"say \"\"hi\"\", you\"\r\n"
    );
}

#[test]
fn column_has_the_type_of_its_values() {
    let largest = Value::Uint(u64::MAX.into());
    let pointer = Value::Pointer(Pointer {
        address: 1,
        symbol: None,
        target: Some(Box::new(Value::Int(3, 32))),
        transparent: true,
    });
    let columns = [
        (
            "int64",
            vec![Value::Int(i64::MIN.into(), 64), Value::Uint(7)],
        ),
        ("int64", vec![pointer, Value::Nanoseconds(5)]),
        ("int64", vec![Value::Duration(Duration::new(1, 5))]),
        ("uint64", vec![largest.clone(), Value::Uint(0)]),
        ("json", vec![largest, Value::Int(-1, 64)]),
        ("json", vec![Value::Uint(1 << 64)]),
        ("double", vec![Value::Float64(0.5), Value::Float32(0.1)]),
        ("json", vec![Value::Float64(0.5), Value::Uint(1)]),
        ("boolean", vec![Value::Bool(true)]),
        ("text", vec![text(b"x"), Value::Char('y')]),
        ("json", vec![text(b"x"), Value::Bool(true)]),
        ("json", vec![nested()]),
        ("text", vec![Value::Unit, unavailable()]),
    ];
    let name = |at: usize| format!("v{at}");
    let names: Vec<String> = (0..columns.len()).map(name).collect();
    let mut events = Vec::new();
    for row in 0..2 {
        let values = columns.iter().zip(&names);
        let values = values
            .filter_map(|((_, values), name)| Some((name.as_str(), values.get(row)?.clone())));
        events.push(event(row as u64, values.collect()));
    }
    let rows = csv(&events);
    let cell = |at: usize, kind: &str| column(&rows, &format!("p1.v{at}:{kind}"));
    for (at, (kind, _)) in columns.iter().enumerate() {
        cell(at, kind);
    }
    assert_eq!(cell(0, "int64"), ["-9223372036854775808", "7"]);
    assert_eq!(cell(1, "int64"), ["3", "5"]);
    assert_eq!(cell(2, "int64"), ["1000000005", ""]);
    assert_eq!(cell(3, "uint64"), ["18446744073709551615", "0"]);
    assert_eq!(cell(4, "json"), ["\"18446744073709551615\"", "-1"]);
    assert_eq!(cell(6, "double"), ["0.5", "0.1"]);
    assert_eq!(cell(10, "json"), ["\"x\"", "true"]);
    assert_eq!(
        cell(11, "json"),
        [r#"{"$type":"Pair","a":1,"b":[true,"x"]}"#, ""]
    );
}

#[test]
fn accesses_have_columns_of_their_own() {
    let mut by_program = access(2);
    if let Some(access) = &mut by_program.access {
        access.by_kernel = None;
        access.uncertain = Some("it may have been another one".into());
    }
    let rows = csv(&[event(1, Vec::new()), access(1), by_program]);
    for (name, cells) in [
        ("access_kind", ["", "write", "write"]),
        ("access_address", ["", "0x4010", "0x4010"]),
        ("access_code", ["", "0x7f0000001000", "0x7f0000001000"]),
        ("access_instruction", ["", "syscall", "syscall"]),
        ("access_by_kernel", ["", "true", "false"]),
        ("access_system_call", ["", "read", ""]),
        ("access_uncertain", ["", "", "it may have been another one"]),
        ("p3.old:int64", ["", "1", "1"]),
    ] {
        assert_eq!(column(&rows, name), cells, "{name}");
    }
    let bytes = export(ExportFormat::Parquet, &[event(1, Vec::new()), access(1)]);
    let reader = opened(&bytes);
    let rows = reader.get_row_iter(None).expect("rows");
    let call = |row: parquet::errors::Result<parquet::record::Row>| {
        let row = row.expect("a row");
        let mut cells = row.get_column_iter();
        let found = cells.find(|(name, _)| *name == "access_system_call");
        found.expect("the column").1.clone()
    };
    let calls: Vec<Field> = rows.map(call).collect();
    assert_eq!(calls, [Field::Null, Field::Str("read".into())]);
}

#[test]
fn value_that_a_cell_cannot_hold_is_in_the_remarks() {
    let rows = csv(&[
        event(
            1,
            vec![
                ("s", cut("aé".as_bytes().split_at(2).0, 9)),
                ("n", Value::Uint(1)),
            ],
        ),
        event(2, vec![("s", text(b"\xff")), ("n", unavailable())]),
        event(3, vec![("s", text(b"whole")), ("n", Value::Uint(2))]),
    ]);
    assert_eq!(column(&rows, "p1.s:text"), ["a", "", "whole"]);
    assert_eq!(column(&rows, "p1.n:int64"), ["1", "", "2"]);
    assert_eq!(
        column(&rows, "remarks"),
        [
            r#"{"p1.s":{"$cut":{"shown":2,"of":9}}}"#,
            r#"{"p1.s":{"$bytes":"\\xff"},"p1.n":{"$unavailable":"optimised out"}}"#,
            ""
        ]
    );
}

#[test]
fn optional_columns_are_there_if_an_event_needs_them() {
    let mut gap = event(1, vec![("x", Value::Uint(1)), ("x", Value::Uint(2))]);
    gap.left_out = LeftOut {
        limited: 5,
        lost: 6,
    };
    gap.stack = frames(&["inner", "outer"]);
    gap.stack.stopped = Some("no more".into());
    gap.context = SpanContext::Unknown("why".into());
    let rows = csv(&[gap, span(5, 10, 30)]);
    let cells = |name: &str| column(&rows, name);
    assert_eq!(cells("limited"), ["5", "0"]);
    assert_eq!(cells("lost"), ["6", "0"]);
    assert_eq!(cells("stack_stopped"), ["no more", ""]);
    assert_eq!(cells("span_unknown"), ["why", ""]);
    assert_eq!(cells("span_id"), ["", "0000000000000005"]);
    assert_eq!(cells("trace_id"), ["", "00000000000000000000000000000abc"]);
    assert_eq!(cells("span_name"), ["", "checkout 5"]);
    assert_eq!(cells("span_start"), ["", "2025-11-30T08:00:00.000000010Z"]);
    assert_eq!(cells("span_duration_ns"), ["", "20"]);
    assert_eq!(cells("span_parent_id"), ["", "0000000000000063"]);
    assert_eq!(cells("span_parent_is_remote"), ["", "true"]);
    assert_eq!(cells("span_error"), ["", "Full"]);
    assert_eq!(cells("span_left_out_events"), ["", "3"]);
    assert_eq!(cells("span_notes"), ["", r#"["parent not valid"]"#]);
    assert_eq!(cells("p2.order:boolean"), ["", "true"]);
    assert_eq!(cells("p1.x:int64"), ["1", ""]);
    assert_eq!(cells("p1.x#2:int64"), ["2", ""]);
    let stack: serde_json::Value = serde_json::from_str(&cells("stack")[0]).expect("JSON");
    assert_eq!(stack[1]["function"], "outer");
}

#[test]
fn text_is_no_formula_and_no_control_sequence_on_a_terminal() {
    let formulas = [
        "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=1", "'quoted", "＝1", "plain=1",
    ];
    let events: Vec<Event> = formulas
        .iter()
        .map(|formula| event(1, vec![("s", text(formula.as_bytes()))]))
        .collect();
    let rows = csv(&events);
    let cells = column(&rows, "p1.s:text");
    let unguarded = cells
        .iter()
        .map(|cell| cell.strip_prefix('\'').unwrap_or(cell));
    assert_eq!(unguarded.collect::<Vec<_>>(), formulas);
    assert!(
        cells[..8].iter().all(|cell| cell.starts_with('\'')),
        "{cells:?}"
    );
    assert_eq!(cells[8], "plain=1");
    let mut hostile = event(
        1,
        vec![("-n", Value::Int(-1, 32)), ("s", text(b"a\x1b[31m\n"))],
    );
    hostile.thread = "=cmd".into();
    let rows = csv(std::slice::from_ref(&hostile));
    assert_eq!(column(&rows, "thread"), ["'=cmd"]);
    assert_eq!(
        column(&rows, "p1.-n:int64"),
        ["-1"],
        "a number is no formula"
    );
    assert_eq!(column(&rows, "p1.s:text"), ["a\x1b[31m\n"]);
    let shown = export_to(ExportFormat::Csv, &[hostile], true);
    let shown = String::from_utf8(shown).expect("UTF-8");
    assert!(shown.contains("a\\u{1b}[31m\\n\r\n"), "{shown:?}");
}

#[test]
fn values_beyond_the_limit_of_columns_are_in_one() {
    let names: Vec<String> = (0..COLUMNS + 2).map(|at| format!("v{at}")).collect();
    let values = names.iter().map(|name| (name.as_str(), Value::Uint(9)));
    let rows = csv(&[event(1, values.collect())]);
    let others = &column(&rows, "other_values")[0];
    let first = COLUMNS;
    assert_eq!(
        *others,
        format!(r#"{{"p1.v{first}":9,"p1.v{}":9}}"#, first + 1)
    );
}

fn opened(bytes: &[u8]) -> SerializedFileReader<File> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    SerializedFileReader::new(file).expect("it is Parquet")
}

/// The rows of a Parquet file, by the names of their columns.
fn parquet_rows(bytes: &[u8]) -> (SerializedFileReader<File>, Vec<HashMap<String, Field>>) {
    let reader = opened(bytes);
    let rows = reader.get_row_iter(None).expect("rows");
    let rows = rows.map(|row| {
        let row = row.expect("a row");
        let columns = row.get_column_iter();
        columns
            .map(|(name, field)| (name.clone(), field.clone()))
            .collect()
    });
    let rows = rows.collect();
    (reader, rows)
}

#[test]
fn parquet_has_typed_columns() {
    let events = [
        event(
            7,
            vec![
                ("i", Value::Int(-5, 32)),
                ("u", Value::Uint(u64::MAX.into())),
                ("f", Value::Float64(0.5)),
                ("b", Value::Bool(true)),
                ("s", text(b"-x")),
                ("j", nested()),
            ],
        ),
        event(8, vec![("i", unavailable())]),
    ];
    let (reader, rows) = parquet_rows(&export(ExportFormat::Parquet, &events));
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let kind = |name: &str| {
        let column = schema.columns().iter().find(|column| column.name() == name);
        let column = column.unwrap_or_else(|| panic!("{name}"));
        (column.physical_type(), column.logical_type_ref().cloned())
    };
    assert_eq!(
        kind("p1.i"),
        (Type::INT64, Some(LogicalType::integer(64, true)))
    );
    assert_eq!(
        kind("p1.u"),
        (Type::INT64, Some(LogicalType::integer(64, false)))
    );
    assert_eq!(kind("p1.f"), (Type::DOUBLE, None));
    assert_eq!(kind("p1.b"), (Type::BOOLEAN, None));
    assert_eq!(kind("p1.s"), (Type::BYTE_ARRAY, Some(LogicalType::String)));
    assert_eq!(kind("p1.j"), (Type::BYTE_ARRAY, Some(LogicalType::Json)));
    assert_eq!(kind("time").0, Type::INT64);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["p1.i"], Field::Long(-5));
    assert_eq!(rows[0]["p1.u"], Field::ULong(u64::MAX));
    assert_eq!(rows[0]["p1.f"], Field::Double(0.5));
    assert_eq!(rows[0]["p1.b"], Field::Bool(true));
    assert_eq!(rows[0]["p1.s"], Field::Str("-x".into()), "as it is");
    assert_eq!(rows[1]["p1.i"], Field::Null);
    assert_eq!(rows[1]["p1.j"], Field::Null);
    assert_eq!(rows[0]["message"], Field::Str("after 7".into()));
    let time = format!("{:?}", rows[0]["time"]);
    assert!(time.contains(&(TIME + 7).to_string()), "{time}");
}

#[test]
fn parquet_is_written_in_groups() {
    let many = 3 * crate::sink::export::limits::GROUP_ROWS / 2;
    let one = Arc::new(event(1, vec![("x", Value::Uint(1))]));
    let mut columns = Columns::default();
    columns.see(&one);
    let bytes = SharedBytes::default();
    let looks = ExportLooks::default();
    let out = Box::new(bytes.clone());
    let mut sink = ExportFormat::Parquet
        .sink(out, columns, looks)
        .expect("a sink");
    sink.begin(&super::made::begin()).expect("written");
    for _ in 0..many {
        sink.event(&one).expect("written");
    }
    let before_end = bytes.0.lock().expect("not poisoned").len();
    assert!(before_end > 1000, "{before_end} bytes");
    sink.finish().expect("written");
    let reader = opened(&bytes.take());
    assert_eq!(reader.num_row_groups(), 2);
    let rows = reader.metadata().file_metadata().num_rows();
    assert_eq!(rows, i64::try_from(many).expect("few"));
}

#[test]
fn no_event_is_a_table_without_rows() {
    assert_eq!(csv(&[]).len(), 1);
    let (_, rows) = parquet_rows(&export(ExportFormat::Parquet, &[]));
    assert_eq!(rows.len(), 0);
}
