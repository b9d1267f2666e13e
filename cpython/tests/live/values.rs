//! Values as the target's own `repr()` writes them.

use serde_json::Value;
use tracer_cpython::heap::Heap;
use tracer_cpython::value::{ReprStyle, ValueLimits, decode};

use crate::programs::{Python, Target, all};

const VALUES: &str = include_str!("values.py");

/// Limits that cut nothing of the test's values.
const ALL: ValueLimits = ValueLimits {
    depth: 30,
    elements: 1000,
    text: 10_000,
    parts: 100_000,
};

/// Expression, address and `repr()` of each value that the program prints, up to an empty line.
fn said(target: &mut Target) -> Vec<(String, u64, String)> {
    let mut all = Vec::new();
    loop {
        let line = target.line();
        if line.is_empty() {
            return all;
        }
        let Value::Array(parts) = serde_json::from_str(&line).unwrap() else {
            panic!("{line}");
        };
        let text = |at: usize| parts[at].as_str().unwrap().to_owned();
        all.push((text(0), parts[1].as_u64().unwrap(), text(2)));
    }
}

#[test]
fn values_are_written_as_repr_does() {
    let mut failures = Vec::new();
    for python in all() {
        let mut target = python.start(VALUES);
        let values = said(&mut target);
        let found = target.interpreter();
        let memory = target.memory();
        let heap = Heap::new(&memory, &found);
        let mut right = 0;
        for (expression, address, repr) in &values {
            let value = decode(&heap, *address, ALL);
            let text = value.to_text(ReprStyle::Repr);
            if text == *repr {
                right += 1;
            } else {
                failures.push(format!(
                    "{} `{expression}`: {repr}\n  {text}",
                    python.name()
                ));
            }
        }
        println!("{}: {right} of {}", python.name(), values.len());
        assert!(values.len() >= 120);
    }
    assert!(
        failures.is_empty(),
        "{}\n{}",
        failures.len(),
        failures.join("\n")
    );
}

const NUMPY: &str = r#"
import json, sys
import numpy as np
import pandas as pd
def array(a):
    return "ndarray(%r, shape=%r, dtype=%s)" % (a.tolist(), a.shape, a.dtype.name)
FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
VALUES = [(repr(value), value) for value in (
    np.int8(-3), np.uint16(9), np.int32(-70000), np.int64(2**62), np.uint64(2**64 - 1), np.float32(0.1),
    np.float64(0.1), np.float16(1.5), np.complex128(1 + 2j), np.bool_(True), np.bool_(False), np.str_("s"),
)] + [(array(value), value) for value in (
    np.arange(5), np.array([1.5, 2.0]), np.zeros((2, 3), dtype=np.int16), np.array(7), np.array([]),
    np.array([True, False]), np.arange(10)[::-2], np.arange(12).reshape(3, 4).T, np.array([1 + 2j]),
    np.array([0.5, 0.25], dtype=np.float32), np.array([1, "a", None], dtype=object), np.arange(3, dtype=np.uint8),
)] + [
    ("DataFrame(shape=%r)" % (FRAME.shape,), FRAME),
    ("DataFrame(shape=(2, 2))", FRAME.loc[[2, 0]]),
    ("Series(shape=%r)" % (FRAME["a"].shape,), FRAME["a"]),
    ("Series(shape=(2,))", pd.Series([1, 2], index=["x", "y"])),
]
print("ready", flush=True)
for text, value in VALUES:
    print(json.dumps([text, id(value), text]), flush=True)
print("", flush=True)
sys.stdin.read()
"#;

#[test]
fn arrays_have_their_elements_and_frames_their_shape() {
    let Some(python) = Python::named_by("TRACER_TEST_CPYTHON_NUMPY") else {
        return;
    };
    let mut target = python.start(NUMPY);
    let values = said(&mut target);
    let found = target.interpreter();
    let memory = target.memory();
    let heap = Heap::new(&memory, &found);
    for (_, address, text) in &values {
        assert_eq!(decode(&heap, *address, ALL).to_string(), *text);
    }
}

const LIMITED: &str = r#"
import json, sys
class Node:
    def __init__(self, name, next):
        self.name = name
        self.next = next
class Own:
    __slots__ = ("a", "__dict__")
    def __init__(self):
        self.a = 1
        self.b = [2]
    def __repr__(self):
        return "mine"
VALUES = [list(range(1000)), "x" * 50, b"y" * 50, {i: i for i in range(30)}, [[[[[1]]]]], [[0] * 10] * 10,
          Node("a", Node("b", None)), Own()]
print("ready", flush=True)
for value in VALUES:
    print(json.dumps(["", id(value), ""]), flush=True)
print("", flush=True)
sys.stdin.read()
"#;

#[test]
fn limits_cut_and_say_so() {
    for python in all() {
        let mut target = python.start(LIMITED);
        let values = said(&mut target);
        let found = target.interpreter();
        let memory = target.memory();
        let heap = Heap::new(&memory, &found);
        let limits = ValueLimits {
            depth: 3,
            elements: 3,
            text: 5,
            parts: 12,
        };
        let text = |at: usize| {
            let value = decode(&heap, values[at].1, limits);
            assert_eq!(value.is_partial(), at < 6, "{value}");
            value.to_text(ReprStyle::Fields)
        };
        assert_eq!(text(0), "[0, 1, 2, … 1000 in all]");
        assert_eq!(text(1), "'xxxxx'… 50 characters in all");
        assert_eq!(text(2), "b'yyyyy'… 50 bytes in all");
        assert_eq!(text(3), "{0: 0, 1: 1, 2: 2, … 30 in all}");
        assert_eq!(text(4), "[[[…]]]");
        assert_eq!(
            text(5),
            "[[0, 0, 0, … 10 in all], [0, 0, 0, … 10 in all], [0, 0, …, … 10 in all], … 10 in all]"
        );
        let node = text(6);
        assert!(node.starts_with("<__main__.Node object at 0x"), "{node}");
        assert!(
            node.contains(" name='a', next=<__main__.Node object at 0x"),
            "{node}"
        );
        assert!(node.ends_with(" name='b', next=None>>"), "{node}");
        let own = text(7);
        assert!(own.ends_with(" a=1, b=[2]>"), "{own}");
        let unset = decode(&heap, 0, limits);
        assert_eq!(unset.to_string(), "<unavailable: not set>");
        let lost = decode(&heap, 0x10, limits);
        assert_eq!(
            lost.to_string(),
            "<unavailable: the memory at 0x18 cannot be read>"
        );
    }
}
