use super::*;
use crate::base::unavailable::Unavailable;
use crate::event::{AccessKind, FrameKind, LeftOut, PlacementId, ProbeId};

fn event(values: Vec<NamedValue>) -> Event {
    Event {
        origin: Arc::new(SiteOrigin {
            frame_function: None,
            probe: ProbeId(1),
            placement: PlacementId(1),
            probe_name: "moves".into(),
            action: "log",
            file: Arc::new("/src/main.rs".into()),
            line: 57,
            function: "app::report".into(),
            address: 0x1000,
            site: (1, 1),
            multiline: false,
        }),
        time_ns: 1_000,
        pid: 42,
        tid: 43,
        thread: "Monitor".into(),
        hit: 7,
        message: "x 1".into(),
        values,
        stack: Stack::default(),
        left_out: LeftOut::default(),
        span: None,
        step: None,
        context: SpanContext::Outside,
        access: None,
    }
}

fn value(expr: &str, value: Value) -> NamedValue {
    NamedValue {
        expr: expr.into(),
        ty: "i32".into(),
        value,
    }
}

fn attributes(record: &LogRecord) -> HashMap<&str, Option<&Any>> {
    let attributes = record.attributes.iter();
    let all: HashMap<_, _> = attributes
        .map(|one| {
            let value = one.value.as_ref().and_then(|value| value.value.as_ref());
            (one.key.as_str(), value)
        })
        .collect();
    assert_eq!(all.len(), record.attributes.len(), "each key is there once");
    all
}

#[test]
fn record_has_the_event_by_the_conventions() {
    let mut records = LogRecords::default();
    let record = records.of(&event(vec![value("last.x", Value::Int(640, 16))]), 2_000);
    assert_eq!(
        (record.time_unix_nano, record.observed_time_unix_nano),
        (1_000, 2_000)
    );
    assert_eq!(
        (record.severity_number, &*record.severity_text),
        (9, "INFO")
    );
    let body = record.body.as_ref().and_then(|body| body.value.as_ref());
    assert_eq!(body, Some(&Any::StringValue("x 1".into())));
    let text = |text: &str| Any::StringValue(text.into());
    let expected = [
        ("process.pid", Any::IntValue(42)),
        ("thread.id", Any::IntValue(43)),
        ("thread.name", text("Monitor")),
        ("tracer.hit", Any::IntValue(7)),
        ("tracer.probe", text("moves")),
        ("tracer.action", text("log")),
        ("code.function.name", text("app::report")),
        ("code.file.path", text("/src/main.rs")),
        ("code.line.number", Any::IntValue(57)),
        ("last.x", Any::IntValue(640)),
    ];
    let expected: HashMap<_, _> = expected
        .iter()
        .map(|(key, value)| (*key, Some(value)))
        .collect();
    assert_eq!(attributes(record), expected);
}

#[test]
fn next_event_of_a_site_keeps_nothing_of_the_one_before() {
    let mut records = LogRecords::default();
    let mut first = event(vec![
        value("a", Value::Int(1, 32)),
        value("b", Value::Int(2, 32)),
    ]);
    first.left_out.lost = 3;
    first.stack.stopped = Some("why".into());
    first.stack.frames.push(frame("app::report", Vec::new()));
    let keys = attributes(records.of(&first, 0)).len();
    assert_eq!(keys, 13);
    let mut second = Event {
        origin: Arc::clone(&first.origin),
        ..event(vec![value("a", Value::Unit)])
    };
    second.message = "y".into();
    second.thread = "T".into();
    let second = records.of(&second, 0).clone();
    let fresh = Event {
        message: "y".into(),
        thread: "T".into(),
        ..event(vec![value("a", Value::Unit)])
    };
    assert_eq!(&second, LogRecords::default().of(&fresh, 0));
}

#[test]
fn values_have_their_expressions_as_keys_unless_the_record_has_such_a_key() {
    let mut records = LogRecords::default();
    let record = records.of(
        &event(vec![
            value("x", Value::Int(1, 32)),
            value("x", Value::Int(1, 32)),
            value("$tid", Value::Int(43, 32)),
            value("thread.id", Value::Int(5, 32)),
            value("tracer.hit.x", Value::Int(6, 32)),
            value("$process", Value::Char('p')),
            value("gone", Value::Unavailable(Unavailable::OptimisedOut)),
        ]),
        0,
    );
    let all = attributes(record);
    assert_eq!(all["x"], Some(&Any::IntValue(1)));
    assert_eq!(all["thread.id"], Some(&Any::IntValue(43)));
    assert_eq!(all["value.thread.id"], Some(&Any::IntValue(5)));
    assert_eq!(all["value.tracer.hit.x"], Some(&Any::IntValue(6)));
    assert!(all.contains_key("process.executable.name") && !all.contains_key("$tid"));
    let why = map([text_attribute("$unavailable", "optimised out")]);
    assert_eq!(all["gone"], Some(&why));
}

fn frame(function: &str, values: Vec<NamedValue>) -> StackFrame {
    StackFrame {
        function: Some(function.into()),
        file: Some(Arc::new("/src/main.rs".into())),
        line: Some(57),
        kind: FrameKind::Inlined,
        address: 0x10,
        values,
    }
}

#[test]
fn stack_is_a_text_and_frames_with_values_are_maps() {
    let mut snapshot = event(Vec::new());
    snapshot.left_out.limited = 9;
    snapshot.stack = Stack {
        frames: vec![
            frame("a", Vec::new()),
            StackFrame {
                function: None,
                file: None,
                line: None,
                kind: FrameKind::Function,
                ..frame("", vec![value("n", Value::Int(3, 32))])
            },
        ],
        stopped: Some("no unwind information".into()),
    };
    let mut records = LogRecords::default();
    let all = attributes(records.of(&snapshot, 0));
    let text = "at a (/src/main.rs:57) (inlined)\nat 0x10\n… no unwind information";
    assert_eq!(all["code.stacktrace"], Some(&Any::StringValue(text.into())));
    assert_eq!(all["tracer.left_out.limited"], Some(&Any::IntValue(9)));
    let Some(Any::ArrayValue(frames)) = all["tracer.frames"] else {
        panic!("frames are an array");
    };
    let values = map([attribute("n", Any::IntValue(3))]);
    assert_eq!(
        frames.values[1].value,
        Some(map([attribute("values", values)]))
    );
}

#[test]
fn record_names_the_span_around_it_and_forgets_it() {
    let ids = super::super::spans::tests::span_event()
        .span
        .expect("a span")
        .ids;
    let mut inside = event(Vec::new());
    inside.context = SpanContext::Inside(ids);
    let mut records = LogRecords::default();
    let record = records.of(&inside, 0);
    assert_eq!(
        (record.trace_id.len(), record.trace_id.last()),
        (16, Some(&0xab))
    );
    assert_eq!(record.span_id, [0, 0, 0, 0, 0, 0, 0, 0xcd]);
    inside.context = SpanContext::Unknown("lost".into());
    let record = records.of(&inside, 0);
    assert!(record.trace_id.is_empty() && record.span_id.is_empty());
    let why = Any::StringValue("lost".into());
    assert_eq!(attributes(record)["tracer.span_unknown"], Some(&why));
}

#[test]
fn access_to_a_watched_value_has_attributes_of_its_own() {
    let mut records = LogRecords::default();
    let mut access = event(vec![value("tracer.access.kind", Value::Int(1, 32))]);
    access.access = Some(Box::new(Access {
        kind: AccessKind::Update,
        address: 0x4010,
        code: 0x40_1136,
        instruction: Some("add dword ptr [rip+0x2ef0], 1".into()),
        by_kernel: None,
        uncertain: None,
    }));
    let all = attributes(records.of(&access, 0));
    let text = |text: &str| Any::StringValue(text.into());
    for (key, expected) in [
        ("tracer.access.kind", text("update")),
        ("tracer.access.address", text("0x4010")),
        ("tracer.access.code", text("0x401136")),
        (
            "tracer.access.instruction",
            text("add dword ptr [rip+0x2ef0], 1"),
        ),
        ("tracer.access.by_kernel", Any::BoolValue(false)),
        ("value.tracer.access.kind", Any::IntValue(1)),
    ] {
        assert_eq!(all[key], Some(&expected), "{key}");
    }
    assert!(!all.contains_key("tracer.access.system_call"));
    if let Some(access) = &mut access.access {
        access.by_kernel = Some(KernelAccess {
            system_call: Some(999),
            name: None,
        });
        access.uncertain = Some("it may have been another one".into());
    }
    let all = attributes(records.of(&access, 0));
    let number = text("999");
    assert_eq!(all["tracer.access.system_call"], Some(&number));
    assert_eq!(
        all["tracer.access.uncertain"],
        Some(&text("it may have been another one"))
    );
    access.access = None;
    let all = attributes(records.of(&access, 0));
    assert!(!all.contains_key("tracer.access.kind"));
}
