//! Stacks, variables and expressions, on a thread that waits.

use serde_json::Value;
use tracer_cpython::expr::{EvalError, evaluate, holds, parse_expression, parse_template, render};
use tracer_cpython::heap::{Heap, Read};
use tracer_cpython::memory::LiveMemory;
use tracer_cpython::runtime::Interpreter;
use tracer_cpython::scope::FrameScope;
use tracer_cpython::stack::{PyFrame, locals, stack, thread_names};
use tracer_cpython::threads::threads;
use tracer_cpython::value::{ReprStyle, ValueLimits};

use crate::programs::{Python, Target, all};

const PROGRAM: &str = include_str!("frames.py");

/// Waits until the thread is in `wait`, and runs a check on its stack.
fn with_stack(python: &Python, check: impl Fn(&mut Waiting<'_>)) {
    let mut target = python.start(PROGRAM);
    let cases = lists(&mut target);
    let formats = lists(&mut target);
    let interpreter = target.interpreter();
    let memory = target.memory();
    let heap = Heap::new(&memory, &interpreter);
    let names = thread_names(&heap).unwrap();
    let (ident, _) = names.iter().find(|(_, name)| *name == "Monitor é").unwrap();
    let state = threads(&memory, &interpreter);
    let state = state
        .iter()
        .find(|thread| thread.thread_pointer == *ident)
        .unwrap();
    let frames = stack(&heap, state.state);
    check(&mut Waiting {
        name: python.name(),
        heap: &heap,
        frames,
        cases,
        formats,
    });
    let _: (&LiveMemory, &Interpreter) = (&memory, &interpreter);
    target.send("end");
}

struct Waiting<'a> {
    name: String,
    heap: &'a Heap<'a>,
    frames: Vec<PyFrame>,
    cases: Vec<[Option<String>; 3]>,
    formats: Vec<[Option<String>; 3]>,
}

impl Waiting<'_> {
    fn frame(&self, function: &str) -> &PyFrame {
        let mut frames = self.frames.iter();
        let is_it = |frame: &&PyFrame| frame.function.rsplit('.').next() == Some(function);
        frames
            .find(is_it)
            .unwrap_or_else(|| panic!("{:?}", self.frames))
    }
}

fn lists(target: &mut Target) -> Vec<[Option<String>; 3]> {
    let mut all = Vec::new();
    loop {
        let line = target.line();
        if line.is_empty() {
            return all;
        }
        let Value::Array(parts) = serde_json::from_str(&line).unwrap() else {
            panic!("{line}");
        };
        all.push(std::array::from_fn(|at| {
            parts[at].as_str().map(str::to_owned)
        }));
    }
}

#[test]
fn a_stack_has_functions_lines_and_variables() {
    for python in all() {
        with_stack(&python, |waiting| {
            let shown: Vec<(&str, Option<u32>)> = waiting
                .frames
                .iter()
                .map(|frame| (frame.function.rsplit('.').next().unwrap(), frame.line))
                .collect();
            let line = |text: &str| {
                let found = PROGRAM.lines().position(|line| line.trim() == text);
                found.map(|at| at as u32 + 1)
            };
            let name = &waiting.name;
            assert_eq!(shown[0], ("wait", line("sys.stdin.readline()")), "{name}");
            assert_eq!(shown[1], ("inner", line("return wait()")), "{name}");
            assert_eq!(
                shown[2],
                ("inner", line("return inner(depth - 1)")),
                "{name}"
            );
            assert_eq!(shown[4], ("run", line("result = inner(2)")), "{name}");
            assert!(shown.iter().any(|(function, _)| *function == "_bootstrap"));
            let of = |function: &str| -> Read<Vec<(String, String)>> {
                let frame = waiting.frame(function);
                let all = locals(waiting.heap, frame.address, ValueLimits::default())?;
                let named = all.into_iter();
                Ok(named
                    .map(|(name, value)| (name, value.to_text(ReprStyle::Repr)))
                    .collect())
            };
            let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
                let pairs = pairs.iter();
                pairs
                    .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                    .collect()
            };
            assert_eq!(of("wait").unwrap(), pairs(&[("here", "'waiting'")]));
            let mut inner = of("inner").unwrap();
            inner.retain(|(name, _)| name != "inner");
            inner.sort();
            assert_eq!(
                inner,
                pairs(&[("captured", "[10, 2, 1, 0]"), ("depth", "0")]),
                "{name}"
            );
            let mut run = of("run").unwrap();
            run.retain(|(name, _)| !matches!(name.as_str(), "self" | "inner"));
            run.sort();
            assert_eq!(
                run,
                pairs(&[
                    ("args", "(7, 8)"),
                    ("big", "1180591620717411303424"),
                    ("captured", "[10, 2, 1, 0]"),
                    ("current_pointer", "Point(x=1024, y=768)"),
                    ("flag", "True"),
                    ("last_pointer", "Point(x=-5, y=6)"),
                    ("others", "{'k': 'v'}"),
                    ("ratio", "0.1"),
                    ("text", "\"it's\""),
                    ("unset", "None"),
                ]),
                "{name}"
            );
            let scope = FrameScope::new(waiting.heap, waiting.frame("run").address).unwrap();
            let arguments: Vec<&str> = scope
                .names()
                .variables
                .iter()
                .filter(|variable| variable.is_argument)
                .map(|variable| variable.name.as_str())
                .collect();
            assert_eq!(
                arguments,
                ["self", "last_pointer", "flag", "args", "others"]
            );
        });
    }
}

#[test]
fn expressions_have_the_values_that_python_gives_them() {
    for python in all() {
        with_stack(&python, |waiting| {
            let scope = FrameScope::new(waiting.heap, waiting.frame("run").address).unwrap();
            let mut wrong = Vec::new();
            for [text, value, error] in &waiting.cases {
                let text = text.as_deref().unwrap();
                let found = parse_expression(text)
                    .map_err(|error| error.to_string())
                    .and_then(|expression| {
                        let value = evaluate(waiting.heap, &scope, &expression);
                        value.map_err(|error| error.to_string())
                    });
                let shown = found.map(|found| {
                    let value = found.value(waiting.heap, ValueLimits::default());
                    value.to_text(ReprStyle::Repr)
                });
                if shown.as_ref().ok() != value.as_ref() {
                    wrong.push(format!("`{text}`: {value:?} {error:?}, here {shown:?}"));
                }
            }
            assert!(wrong.is_empty(), "{}\n{}", waiting.name, wrong.join("\n"));
            println!("{}: {} expressions", waiting.name, waiting.cases.len());
        });
    }
}

#[test]
fn formats_are_those_of_python() {
    let mut wrong = Vec::new();
    for python in all() {
        with_stack(&python, |waiting| {
            let scope = FrameScope::new(waiting.heap, waiting.frame("run").address).unwrap();
            for [value, spec, text] in &waiting.formats {
                let (value, spec) = (value.as_deref().unwrap(), spec.as_deref().unwrap());
                let value = match value {
                    "inf" => "1e999",
                    "nan" => "1e999 - 1e999",
                    other => other,
                };
                let template = match parse_template(&format!("{{{value}:{spec}}}")) {
                    Ok(template) => template,
                    Err(error) => panic!("{value} {spec}: {error}"),
                };
                let limits = ValueLimits::default();
                let shown = render(waiting.heap, &scope, &template, ReprStyle::Repr, limits);
                let is_right = match text {
                    Some(text) => shown == *text,
                    None => shown.starts_with('<'),
                };
                assert!(
                    is_right,
                    "{} {value}:{spec}: {text:?}, here {shown:?}",
                    waiting.name
                );
            }
        });
        wrong.push(python.name());
    }
    println!("{}", wrong.join(", "));
}

#[test]
fn code_is_never_run_and_the_reason_is_told() {
    for python in all() {
        with_stack(&python, |waiting| {
            let scope = FrameScope::new(waiting.heap, waiting.frame("run").address).unwrap();
            let error = |text: &str| -> EvalError {
                let expression = parse_expression(text).unwrap();
                evaluate(waiting.heap, &scope, &expression).unwrap_err()
            };
            assert_eq!(
                error("self.pointer.length").to_string(),
                "`Pointer.length` is a property: code would have to run"
            );
            assert_eq!(
                error("self.missing").to_string(),
                "`Owner` defines `__getattr__`: code would have to run"
            );
            assert_eq!(
                error("later").to_string(),
                "variable `later` is not set here"
            );
            assert_eq!(
                error("nothing").to_string(),
                "name `nothing` is not defined"
            );
            let call = parse_expression("self.run(1)").unwrap_err();
            assert_eq!(
                (call.at, call.message.as_str()),
                (8, "calls would have to run code")
            );
            let template = parse_template(
                "{{x}} {current_pointer.x:>6}|{text}|{text!r}|{ratio=:.2f}|{flag = }|{later}",
            );
            let limits = ValueLimits::default();
            let text = render(
                waiting.heap,
                &scope,
                &template.unwrap(),
                ReprStyle::Repr,
                limits,
            );
            assert_eq!(
                text,
                "{x}   1024|it's|\"it's\"|ratio=0.10|flag = True|<variable `later` is not set here>"
            );
            let condition = parse_expression("current_pointer.x > 400 and self.names").unwrap();
            assert_eq!(holds(waiting.heap, &scope, &condition), Ok(true));
        });
    }
}
