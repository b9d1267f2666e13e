//! A session without a target: for tests, and for looking at the screen.

#[cfg(test)]
#[path = "fake/accesses.rs"]
mod accesses;
#[cfg(test)]
#[path = "fake/steps.rs"]
mod steps;

use std::collections::VecDeque;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::event::{
    Aggregate, Counters, Event, FrameKind, NamedValue, ProbeDone, ProbeId, SiteOrigin, StackFrame,
    TargetId, TargetOrigin, TargetStatus, Used,
};
use crate::lang::ast::ProbeSpec;
use crate::session::{
    Control, Cost, FollowedProcesses, LineInfo, Notice, OutlineEntry, ProbeStatus, Removed,
    SourceFile, TargetName, VariableInfo,
};
use crate::sources::SourceText;
use crate::value::{Cut, Map, Sequence, Struct, Text, Value};

#[cfg(test)]
pub(crate) use accesses::access;
#[cfg(test)]
pub(crate) use steps::traced_call;

/// Source text of the made-up target.
pub(crate) const SOURCE: &str = r#"//! Watches the pointer.

use std::thread;
use std::time::Duration;

/// Where the pointer was.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pointer {
    x: i16,
    y: i16,
}

const POLL: Duration = Duration::from_millis(250);

fn report_mouse_movement(last: Pointer, current: Pointer) {
    println!("Mouse Pointer Location Change: X: {}, Y: {}", current.x, current.y);
    // Which way did it go? Compared with where it was a quarter of a second ago.
    if current.x > last.x {
        println!("Mouse moved left");
    } else if current.x < last.x {
        println!("Mouse moved right");
    }
    if current.y > last.y {
        println!("Mouse moved up");
    } else if current.y < last.y {
        println!("Mouse moved down");
    }
}

fn watch(connection: &impl Connection, root: Window) -> Result<(), Error> {
	let mut last = query(connection, root)?; /* indented by a tab */
    loop {
        thread::sleep(POLL);
        let current = query(connection, root)?;
        if current != last {
            report_mouse_movement(last, current);
        }
        last = current;
    }
}

fn main() {
    println!("Starting a background task that monitors the mouse position");
    let seconds = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(60);
    thread::Builder::new().name("Monitor".into()).spawn(|| watch(&connect()?, root()));
    thread::sleep(Duration::from_secs(seconds)); // 日本語 wide characters in a comment
}
"#;

/// A point, as the made-up target has it.
pub(crate) fn point(x: i128, y: i128) -> Value {
    Value::Struct(Struct {
        name: "Pointer".into(),
        fields: vec![
            ("x".into(), Value::Int(x, 32)),
            ("y".into(), Value::Int(y, 32)),
        ],
        has_more: false,
    })
}

/// A hit of a probe at line 18 of `src/main.rs`.
pub(crate) fn event(probe: u32, hit: u64, message: &str) -> Event {
    Event {
        origin: Arc::new(SiteOrigin {
            frame_function: None,
            probe: ProbeId(probe),
            placement: crate::event::PlacementId(probe),
            probe_name: format!("p{probe}"),
            action: "log",
            file: Arc::new(PathBuf::from("/home/dev/target-app/src/main.rs")),
            line: 18,
            function: "target_app::report_mouse_movement".into(),
            address: 0x1234,
            site: (1, 1),
            multiline: false,
        }),
        time_ns: 1_700_000_000_000_000_000 + hit * 250_000_000,
        pid: 4242,
        tid: 4711,
        thread: "Monitor".into(),
        hit,
        message: message.into(),
        values: Vec::new(),
        stack: crate::event::Stack::default(),
        left_out: crate::event::LeftOut::default(),
        span: None,
        step: None,
        access: None,
        context: crate::event::SpanContext::Outside,
    }
}

/// An event with everything in it.
pub(crate) fn full_event(probe: u32, hit: u64, line: u64) -> Event {
    let x = 400 + (hit * 37 % 800) as i128;
    let (last, current) = (point(x - 40, 300), point(x, 300 + (hit % 3) as i128));
    let mut event = event(
        probe,
        hit,
        &format!(
            "last = Pointer {{ x: {}, y: 300 }}, current = Pointer {{ x: {x}, y: {} }}",
            x - 40,
            300 + hit % 3
        ),
    );
    let mut origin = (*event.origin).clone();
    origin.line = line;
    event.origin = Arc::new(origin);
    let named = |expr: &str, ty: &str, value| NamedValue {
        expr: expr.into(),
        ty: ty.into(),
        value,
    };
    event.values = vec![
        named("last", "Pointer", last),
        named("current", "Pointer", current),
        named(
            "name",
            "&str",
            Value::Text(Text {
                bytes: b"evil \x1b[31m\xff text".to_vec(),
                cut: None,
            }),
        ),
        named(
            "scale",
            "f64",
            Value::Unavailable(Unavailable::Register("xmm0".into())),
        ),
    ];
    event.stack.frames = [
        "target_app::report_mouse_movement",
        "target_app::watch",
        "std::sys::thread::start",
    ]
    .iter()
    .enumerate()
    .map(|(index, name)| StackFrame {
        function: Some((*name).into()),
        file: Some(Arc::new(PathBuf::from("/home/dev/target-app/src/main.rs"))),
        line: Some(18 + 10 * index as u64),
        kind: if index == 0 {
            FrameKind::Inlined
        } else {
            FrameKind::Function
        },
        address: 0x5555_0000 + index as u64,
        values: Vec::new(),
    })
    .collect();
    event
}

/// A snapshot of a server: large and nested values, and a stack with the variables of callers.
pub(crate) fn snapshot_event(hit: u64) -> Event {
    let mut event = event(1, hit, "");
    let bytes = |bytes: &[u8]| {
        Value::Sequence(Sequence {
            items: bytes
                .iter()
                .map(|byte| Value::Uint((*byte).into()))
                .collect(),
            cut: None,
            set: false,
        })
    };
    let text = |text: &str| {
        Value::Text(Text {
            bytes: text.as_bytes().to_vec(),
            cut: None,
        })
    };
    let named = |expr: &str, ty: &str, value| NamedValue {
        expr: expr.into(),
        ty: ty.into(),
        value,
    };
    let cache = Value::Map(Map {
        entries: vec![
            (
                Value::Uint(17),
                bytes(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"),
            ),
            (
                Value::Uint(4096),
                bytes(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0"),
            ),
            (Value::Uint(70_000), bytes(b"ok")),
        ],
        cut: Some(Cut { of: Some(250) }),
    });
    let samples = Value::Sequence(Sequence {
        items: (0..100)
            .map(|n| Value::Int((n * 37 + i128::from(hit)) % 400 - 90, 32))
            .collect(),
        cut: None,
        set: false,
    });
    let request = Value::Struct(Struct {
        name: "Request".into(),
        fields: vec![
            ("id".into(), Value::Uint(u128::from(hit))),
            (
                "path".into(),
                text("/orders/search?customer=ada&items=desk%20lamp,chair&sort=price&page=1"),
            ),
            ("at".into(), point(3, 4)),
        ],
        has_more: false,
    });
    event.message = "request".into();
    event.values = vec![
        named("request", "&orders::router::Request", request),
        named(
            "cache",
            "std::collections::hash::map::HashMap<u64, alloc::vec::Vec<u8, alloc::alloc::Global>, \
             std::hash::random::RandomState>",
            cache,
        ),
        named("samples", "[i32; 100]", samples),
        named("retries", "u8", Value::Uint(2)),
    ];
    event.stack.frames = snapshot_frames(hit);
    event
}

/// The frames of a snapshot, two of them of the program's own code.
fn snapshot_frames(hit: u64) -> Vec<StackFrame> {
    let named = |expr: &str, ty: &str, value| NamedValue {
        expr: expr.into(),
        ty: ty.into(),
        value,
    };
    let frame = |function: &str, path: &str, line, values| StackFrame {
        function: Some(function.into()),
        file: Some(Arc::new(PathBuf::from(path))),
        line: Some(line),
        kind: FrameKind::Function,
        address: 0x5555_0000 + line,
        values,
    };
    let main = "/home/dev/target-app/src/main.rs";
    let body = Value::Unavailable(Unavailable::NotCapturedItems(512));
    vec![
        frame("target_app::report_mouse_movement", main, 18, Vec::new()),
        frame(
            "core::ops::function::FnOnce::call_once",
            "/rustc/0123456789abcdef/library/core/src/ops/function.rs",
            250,
            Vec::new(),
        ),
        frame(
            "target_app::watch",
            main,
            38,
            vec![
                named("body", "alloc::vec::Vec<u8, alloc::alloc::Global>", body),
                named("attempt", "u32", Value::Uint(u128::from(hit))),
            ],
        ),
        frame(
            "std::sys::thread::start",
            "/rustc/0123456789abcdef/library/std/src/main.rs",
            90,
            vec![named("data", "*mut ()", Value::Uint(0))],
        ),
    ]
}

/// The state of the fake.
#[derive(Debug, Default)]
struct FakeState {
    probes: Vec<ProbeStatus>,
    notices: VecDeque<Notice>,
    aggregates: Vec<Aggregate>,
    last: u32,
    log: Vec<String>,
}

/// The session; made-up answers, real bookkeeping of probes.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    inner: Mutex<FakeState>,
    extra_files: usize,
}

impl Fake {
    /// A fake with this number of additional files in the list.
    pub(crate) fn new(extra_files: usize) -> Self {
        Self {
            extra_files,
            ..Self::default()
        }
    }

    fn inner(&self) -> MutexGuard<'_, FakeState> {
        self.inner.lock().expect("no holder of this lock panics")
    }

    /// Has a probe added something up.
    #[cfg(test)]
    pub(crate) fn add_up(&self, aggregate: Aggregate) {
        let mut inner = self.inner();
        inner.aggregates.retain(|one| one.probe != aggregate.probe);
        inner.aggregates.push(aggregate);
    }

    /// Something for the frontend; events count as hits of their probe.
    pub(crate) fn send(&self, notice: Notice) {
        let mut inner = self.inner();
        if let Notice::Event(event) = &notice
            && let Some(probe) = inner
                .probes
                .iter_mut()
                .find(|probe| probe.id == event.origin.probe)
        {
            probe.counters.hits += 1;
            probe.counters.events += 1;
            probe.counters.bpf_ns += 172;
            if probe.counters.hits % 97 == 0 {
                probe.counters.hits += 3;
                probe.counters.lost += 3;
            }
        }
        inner.notices.push_back(notice);
        while inner.notices.len() > 100_000 {
            inner.notices.pop_front();
        }
    }

    /// A probe has had its last event.
    pub(crate) fn end(&self, told: &ProbeDone) {
        let mut inner = self.inner();
        for probe in &mut inner.probes {
            if probe.id == told.probe {
                (probe.enabled, probe.done) = (false, Some(told.done));
            }
        }
    }

    /// The calls that changed anything, one text each.
    pub(crate) fn log(&self) -> Vec<String> {
        self.inner().log.clone()
    }
}

/// Path of the made-up main file.
fn main_file() -> Arc<PathBuf> {
    Arc::new(PathBuf::from("/home/dev/target-app/src/main.rs"))
}

/// Source files of the made-up target.
pub(crate) fn files(extra: usize) -> Vec<SourceFile> {
    let file = |path: &str, on_disk| SourceFile {
        path: Arc::new(PathBuf::from(path)),
        module: "target-app".into(),
        on_disk,
        own: !path.starts_with("/rustc/"),
    };
    let mut files = vec![
        SourceFile {
            path: main_file(),
            module: "target-app".into(),
            on_disk: true,
            own: true,
        },
        file("/home/dev/target-app/src/pointer.rs", true),
        file("/home/dev/target-app/src/x11/connection.rs", true),
    ];
    files.extend((0..extra).map(|i| {
        file(
            &format!(
                "/rustc/0123456789abcdef/library/core/src/part{}/unit_{i}.rs",
                i % 17
            ),
            false,
        )
    }));
    files.push(file(
        "/rustc/0123456789abcdef/library/std/src/main.rs",
        false,
    ));
    files
}

/// Lines with code of the made-up main file.
pub(crate) fn lines() -> Vec<LineInfo> {
    let code = [
        15, 16, 18, 19, 20, 21, 23, 24, 25, 26, 30, 31, 33, 34, 35, 36, 38, 42, 43, 44, 45, 46,
    ];
    code.into_iter()
        .map(|line| LineInfo {
            line,
            sites: if line == 34 { 3 } else { 1 },
        })
        .collect()
}

/// Variables at any line of the made-up main file.
pub(crate) fn variables() -> Vec<VariableInfo> {
    let variable =
        |name: &str, ty: &str, kind, place: &str, unavailable: Option<&str>| VariableInfo {
            name: name.into(),
            ty: ty.into(),
            kind,
            place: place.into(),
            unavailable: unavailable.map(str::to_owned),
        };
    vec![
        variable("last", "Pointer", "parameter", "rbp-24", None),
        variable("current", "Pointer", "parameter", "rbp-20", None),
        variable(
            "connection",
            "&x11rb::rust_connection::RustConnection<DefaultStream>",
            "parameter",
            "register rdi",
            None,
        ),
        variable(
            "scale",
            "f64",
            "local",
            "",
            Some("in register xmm0, which the kernel does not expose"),
        ),
        variable("seconds", "u64", "local", "", Some("optimised out")),
        variable("POLL", "core::time::Duration", "static", "0x4a8f0", None),
    ]
}

impl Control for Fake {
    fn target(&self) -> TargetName {
        TargetName {
            name: "target-app".into(),
            pid: Some(4242),
        }
    }

    fn targets(&self) -> Vec<TargetStatus> {
        vec![TargetStatus {
            id: TargetId(0),
            pid: 4242,
            origin: TargetOrigin::Chosen,
            program: "target-app".into(),
        }]
    }

    fn source_files(&self) -> Vec<SourceFile> {
        files(self.extra_files)
    }

    fn source_text(&self, file: &SourceFile) -> Result<SourceText, Diagnostic> {
        if file.on_disk {
            return Ok(SourceText {
                text: SOURCE.to_owned(),
                elsewhere: None,
            });
        }
        Err(
            Diagnostic::new(format!("`{}` is not on this machine", file.path.display()))
                .hint("install the package with the sources, or choose lines by number"),
        )
    }

    fn source_path(&self, file: &SourceFile) -> Result<PathBuf, Diagnostic> {
        Ok((*file.path).clone())
    }

    fn outline(&self, _: &SourceFile) -> Vec<OutlineEntry> {
        vec![OutlineEntry {
            line: 14,
            function: "std::rt::lang_start".to_owned(),
        }]
    }

    fn lines(&self, _: &SourceFile) -> Result<Vec<LineInfo>, Diagnostic> {
        Ok(lines())
    }

    fn variables(&self, _: &SourceFile, line: u64) -> Result<Vec<VariableInfo>, Diagnostic> {
        if lines().iter().any(|info| info.line == line) {
            return Ok(variables());
        }
        Err(Diagnostic::new(format!("no code for line {line}")))
    }

    fn names_at(&self, _: &str, owner: &str) -> Result<Vec<VariableInfo>, Diagnostic> {
        let member = |name: &str, ty: &str| VariableInfo {
            name: name.into(),
            ty: ty.into(),
            kind: "field",
            place: String::new(),
            unavailable: None,
        };
        match owner {
            "" => Ok(variables()),
            "last" | "current" => Ok(vec![member("x", "i16"), member("y", "i16")]),
            other => Err(Diagnostic::new(format!("no variable `{other}` in scope"))),
        }
    }

    fn function_names(&self, front: &str) -> Vec<String> {
        let all = [
            "main",
            "report_mouse_movement",
            "watch",
            "usdt:app:moved",
            "usdt:app:started",
        ];
        let fits = all.into_iter().filter(|name| name.starts_with(front));
        fits.map(str::to_owned).collect()
    }

    fn followed(&self) -> Option<FollowedProcesses> {
        None
    }

    fn add_spec(&self, spec: &ProbeSpec) -> Result<ProbeStatus, Diagnostic> {
        let mut status = self.add(&spec.text)?;
        if let Some(name) = &spec.options.name {
            status.name.clone_from(name);
            let mut inner = self.inner();
            let added = inner.probes.iter_mut().find(|probe| probe.id == status.id);
            if let Some(added) = added {
                added.name.clone_from(name);
            }
        }
        Ok(status)
    }

    fn add(&self, text: &str) -> Result<ProbeStatus, Diagnostic> {
        let mut inner = self.inner();
        inner.log.push(format!("add {text}"));
        if let Some(at) = text.find("curent") {
            return Err(
                Diagnostic::at(at..at + 6, "no variable `curent` in scope at line 18")
                    .hint("there is `current`"),
            );
        }
        let value = text.strip_prefix("watch ");
        let place = match value {
            Some(value) => value.split(" at ").nth(1),
            None => text.split_whitespace().nth(1),
        };
        let place = place.and_then(|place| place.rsplit_once(':'));
        let line = place.and_then(|(_, line)| line.parse().ok());
        let (file, line) = match (line, value) {
            (Some(line), _) => (main_file(), line),
            (None, Some(_)) => (Arc::default(), 0),
            (None, None) => {
                return Err(Diagnostic::at(0..text.len(), "expected `FILE:LINE`"));
            }
        };
        inner.last += 1;
        let name = text
            .split(" as ")
            .nth(1)
            .map_or(format!("p{}", inner.last), str::to_owned);
        let status = ProbeStatus {
            id: ProbeId(inner.last),
            name,
            text: text.to_owned(),
            file,
            line,
            function: value.unwrap_or_default().to_owned(),
            sites: if line == 34 { 3 } else { 1 },
            placement: None,
            enabled: true,
            done: None,
            counters: Counters::default(),
            cost: Cost::default(),
            notes: if line == 34 {
                vec!["3 sites: inlined copies".into()]
            } else {
                Vec::new()
            },
            processes: Vec::new(),
            undelivered: 0,
        };
        inner.probes.push(status.clone());
        Ok(status)
    }

    fn remove(&self, probe: ProbeId) -> Option<ProbeStatus> {
        let mut inner = self.inner();
        inner.log.push(format!("remove {probe}"));
        let at = inner.probes.iter().position(|status| status.id == probe)?;
        Some(inner.probes.remove(at))
    }

    fn set_enabled(&self, probe: ProbeId, enabled: bool) {
        let mut inner = self.inner();
        inner.log.push(format!(
            "{} {probe}",
            if enabled { "wake" } else { "silence" }
        ));
        if let Some(status) = inner.probes.iter_mut().find(|status| status.id == probe) {
            status.enabled = enabled;
            status.done = None;
        }
    }

    fn probes(&self) -> Vec<ProbeStatus> {
        self.inner().probes.clone()
    }

    fn aggregates(&self) -> Vec<Aggregate> {
        self.inner().aggregates.clone()
    }

    fn skip_number(&self) {
        self.inner().last += 1;
    }

    fn silence_all(&self) -> bool {
        let mut inner = self.inner();
        let silence = inner.probes.iter().any(|probe| probe.enabled);
        for probe in &mut inner.probes {
            probe.enabled = !silence;
        }
        silence
    }

    fn take_removed(&self) -> Vec<Removed> {
        Vec::new()
    }

    fn notices_ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }

    fn give_back(&self, events: &mut Vec<Used>) {
        events.clear();
    }

    fn waiting_events(&self) -> usize {
        self.inner().notices.len()
    }

    fn drop_events(&self) {
        self.inner().notices.clear();
    }

    fn count_unshown(&self, _: &Event) {}

    fn count_undelivered(&self, _: ProbeId, _: u64) {}

    fn dropped_events(&self) -> Vec<(ProbeId, u64)> {
        Vec::new()
    }

    fn warn(&self, text: String) {
        self.send(Notice::Warning(text));
    }

    fn note(&self, text: String) {
        self.send(Notice::Note(text));
    }

    fn finish(&self) -> Vec<ProbeStatus> {
        self.probes()
    }

    fn take_notices(&self, max: usize) -> Vec<Notice> {
        let mut inner = self.inner();
        let count = inner.notices.len().min(max);
        inner.notices.drain(..count).collect()
    }
}
