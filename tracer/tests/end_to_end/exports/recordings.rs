//! `tracer export` of a recording.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use super::made::{self, TIME, small};
use super::{pprof, read};
use crate::support::needs;
use crate::support::tracer::{Finished, TRACER, tracer};

/// The export of a small recording.
#[track_caller]
fn exported(folder: &Path, format: &str) -> PathBuf {
    let path = folder.join(format!("export.{format}"));
    let finished = export(&small(folder), format, &path);
    finished.assert_code(0);
    assert_eq!(finished.text(), "", "{finished}");
    path
}

fn export(recording: &Path, format: &str, to: &Path) -> Finished {
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    tracer(&[
        "export",
        &text(recording),
        "--to",
        format,
        "--output",
        &text(to),
    ])
}

#[test]
fn duckdb_reads_the_columns_of_parquet_with_their_types() {
    let Some(tools) = needs::otel_tools() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let read = read(&tools, "parquet", &exported(folder.path(), "parquet"));
    for (column, kind) in [
        ("time", "TIMESTAMPTZ_NS"),
        ("probe", "VARCHAR"),
        ("line", "UBIGINT"),
        ("pid", "BIGINT"),
        ("stack", "JSON"),
        ("span_start", "TIMESTAMPTZ_NS"),
        ("span_duration_ns", "UBIGINT"),
        ("p1.x", "BIGINT"),
        ("p1.large", "UBIGINT"),
        ("p1.share", "DOUBLE"),
        ("p1.is_new", "BOOLEAN"),
        ("p1.item", "VARCHAR"),
        ("p1.order", "JSON"),
        ("p1.mixed", "JSON"),
        ("p1.gone", "BIGINT"),
        ("remarks", "JSON"),
    ] {
        assert_eq!(read["types"][column], kind, "{column}");
    }
    let schema = &read["schema"]["time"];
    assert!(schema.to_string().contains("NANO"), "{schema}");
    let rows = read["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 6);
    let cell = |row: usize, column: &str| &rows[row][column];
    assert_eq!(cell(0, "p1.x"), "-1");
    assert_eq!(cell(0, "p1.large"), "18446744073709551614");
    assert_eq!(cell(0, "p1.share"), "0.25");
    assert_eq!(cell(0, "p1.is_new"), "true");
    assert_eq!(cell(0, "p1.item"), "=a,\"b\"\r\n");
    assert_eq!(cell(0, "p1.note"), "par");
    assert_eq!(cell(0, "p1.order"), r#"{"$type":"Order","id":7}"#);
    assert_eq!(
        (cell(0, "p1.mixed"), cell(2, "p1.mixed")),
        (&json!("1"), &json!("\"one\""))
    );
    assert_eq!(
        (cell(0, "p1.gone"), cell(2, "p1.gone")),
        (&Value::Null, &json!("5"))
    );
    let remarks: Value =
        serde_json::from_str(cell(0, "remarks").as_str().expect("a text")).expect("JSON");
    assert_eq!(
        remarks,
        json!({"p1.note": {"$cut": {"shown": 3, "of": 9}}, "p1.gone": {"$unavailable": "optimised out"}})
    );
    assert_eq!(cell(1, "p1.x"), &Value::Null);
    assert_eq!(cell(1, "p2.x"), "-1");
    assert_eq!(cell(1, "span_name"), "checkout 1");
    assert_eq!(cell(1, "span_duration_ns"), "1000");
}

#[test]
fn duckdb_reads_csv_with_types_of_its_own() {
    let Some(tools) = needs::otel_tools() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let read = read(&tools, "csv", &exported(folder.path(), "csv"));
    for (column, kind) in [
        ("hit", "BIGINT"),
        ("p1.x:int64", "BIGINT"),
        ("p1.share:double", "DOUBLE"),
        ("p1.is_new:boolean", "BOOLEAN"),
        ("p1.item:text", "VARCHAR"),
    ] {
        assert_eq!(read["types"][column], kind, "{column}");
    }
    let rows = read["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[0]["p1.x:int64"], "-1");
    assert_eq!(rows[0]["p1.item:text"], "'=a,\"b\"\r\n", "no formula");
    assert_eq!(rows[0]["p1.order:json"], r#"{"$type":"Order","id":7}"#);
    assert_eq!(rows[0]["p1.gone:int64"], Value::Null);
    assert_eq!(rows[2]["p1.gone:int64"], "5");
    assert_eq!(rows[1]["span_name"], "checkout 1");
}

#[test]
fn perfetto_s_definitions_read_slices_instants_and_counters() {
    let Some(tools) = needs::otel_tools() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let read = read(&tools, "perfetto", &exported(folder.path(), "perfetto"));
    assert_eq!(read["unknown"], json!([]));
    assert_eq!(read["processes"], json!({"42": "shop"}));
    let slices = read["slices"].as_array().expect("slices");
    let slice = |slice: &Value| {
        assert_eq!(slice["thread"], "worker");
        json!([
            slice["name"],
            slice["start"].as_u64().expect("a time") - TIME,
            slice["duration"],
            slice["depth"],
            slice["track"]
        ])
    };
    let slices: Vec<Value> = slices.iter().map(slice).collect();
    assert_eq!(
        slices,
        [
            json!(["checkout 4", 500, 3500, 0, ""]),
            json!(["checkout 1", 1000, 1000, 1, ""]),
            json!(["checkout 3", 1500, 2000, 0, "overlapping spans of worker"]),
            json!(["checkout 2", 2100, 900, 1, ""]),
        ]
    );
    let instants = read["instants"].as_array().expect("instants");
    let inside: Vec<&Value> = instants.iter().map(|one| &one["inside"]).collect();
    assert_eq!(inside, ["checkout 1", "checkout 2"]);
    let first = &instants[0];
    assert_eq!(first["time"], TIME + 1_100);
    assert_eq!(first["name"], "p1 shop.rs:57");
    assert_eq!(first["stack"], json!(["shop::main", "shop::answer"]));
    assert_eq!(first["args"]["x"], -1);
    assert_eq!(first["args"]["large"], u64::MAX - 1);
    assert_eq!(first["args"]["order"], json!({"$type": "Order", "id": 7}));
    assert_eq!(first["args"]["tracer"]["message"], "hit 1");
    assert_eq!(read["counters"]["p1.x"], json!([-1, 0]));
    assert_eq!(read["counters"]["p1.share"], json!([0.25, 0.25]));
}

#[test]
fn pprof_reads_hits_and_times_by_stack() {
    let Some(tools) = needs::otel_tools() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = exported(folder.path(), "pprof");
    let hits = pprof(&tools, &file, &["-sample_index=hits", "-traces"]);
    for line in ["Type: hits", "shop::answer", "shop::main", "worker"] {
        assert!(hits.contains(line), "{line} in {hits}");
    }
    let top = pprof(&tools, &file, &["-sample_index=hits", "-top", "-lines"]);
    let answer = top
        .lines()
        .find(|line| line.contains("shop::answer"))
        .expect("a function");
    let numbers: Vec<&str> = answer.split_whitespace().collect();
    assert_eq!(numbers[..2], ["6", "100%"], "{top}");
    assert!(answer.contains("/src/shop.rs:57"), "{top}");
    let times = pprof(
        &tools,
        &file,
        &[
            "-sample_index=time",
            "-unit=ns",
            "-tagfocus=probe=p2",
            "-top",
        ],
    );
    let answer = times
        .lines()
        .find(|line| line.contains("shop::answer"))
        .expect("a function");
    assert!(answer.trim_start().starts_with("7400ns"), "{times}");
}

#[test]
fn export_is_a_whole_file_or_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let recording = small(folder.path());
    let to = folder.path().join("events.json");
    fs::write(&to, "before").expect("written");
    export(&recording, "json", &to).assert_code(0);
    let text = fs::read_to_string(&to).expect("written");
    assert!(text.starts_with(r#"{"type":"session""#), "{text}");
    assert_eq!(text.lines().count(), 7, "{text}");
    let missing = folder.path().join("missing/events.json");
    export(&recording, "json", &missing)
        .assert_code(2)
        .assert_says(&["cannot write"]);
    export(&to, "json", &folder.path().join("x"))
        .assert_code(2)
        .assert_says(&["is not a recording"]);
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["events.json", "session.trec"],
        "nothing is left behind"
    );
    let to_stdout = tracer(&["export", recording.to_str().expect("UTF-8"), "--to", "json"]);
    assert_eq!(to_stdout.stdout.join("\n") + "\n", text);
}

#[test]
fn what_is_missing_from_a_recording_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("events.csv");
    // Without its end.
    let cut = folder.path().join("cut.trec");
    let whole = fs::read(small(folder.path())).expect("written");
    fs::write(&cut, &whole[..whole.len() - 10]).expect("written");
    export(&cut, "csv", &to)
        .assert_code(0)
        .assert_says(&["warning: the recording is cut"]);
    // With a damaged block.
    let damaged = folder.path().join("damaged.trec");
    let mut writer = made::recording(&damaged);
    let origin = made::origin(1, "log");
    writer.write_block().expect("written");
    let at = writer.written();
    for hit in 1..=3 {
        writer
            .event(&made::log(&origin, hit, hit))
            .expect("written");
        writer.write_block().expect("written");
    }
    writer.end(None, TIME + 5).expect("written");
    writer.write_block().expect("written");
    let mut file = OpenOptions::new()
        .write(true)
        .open(&damaged)
        .expect("the file");
    file.seek(SeekFrom::Start(at + 100)).expect("within");
    file.write_all(&[0x55; 8]).expect("written");
    let told = "block 2 of the recording is left out, with 1 event: ";
    export(&damaged, "csv", &to)
        .assert_code(2)
        .assert_says(&[told]);
    let rows = fs::read_to_string(&to).expect("written");
    assert!(
        !rows.contains("hit 1") && rows.contains("hit 2") && rows.contains("hit 3"),
        "{rows}"
    );
    // Without an event.
    let empty = folder.path().join("empty.trec");
    let mut writer = made::recording(&empty);
    writer.end(None, TIME).expect("written");
    writer.write_block().expect("written");
    export(&empty, "csv", &to)
        .assert_code(1)
        .assert_says(&["the recording has no events"]);
}

/// Events of the long recording. `TRACER_TEST_EVENTS` sets another number.
const MANY: u64 = 100_000;
/// KiB of addresses for an export. The events of the recording would need more.
const ADDRESSES: u64 = 160 << 10;

#[test]
fn memory_of_an_export_does_not_grow_with_the_recording() {
    let events = std::env::var("TRACER_TEST_EVENTS").ok();
    let events = events.map_or(MANY, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let recording = made::long(folder.path(), events);
    for format in ["json", "csv", "parquet", "chrome", "perfetto", "pprof"] {
        let began = Instant::now();
        let to = folder.path().join(format);
        let limited = format!("ulimit -v {ADDRESSES} && exec \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &limited, "sh", TRACER, "export"]);
        shell
            .arg(&recording)
            .args(["--to", format, "--output"])
            .arg(&to);
        let output = shell.output().expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{format}: {said}");
        let size = fs::metadata(&to).expect("written").len();
        println!(
            "{format}: {events} events, {size} bytes, {:?}",
            began.elapsed()
        );
        fs::remove_file(&to).expect("removed");
    }
}
