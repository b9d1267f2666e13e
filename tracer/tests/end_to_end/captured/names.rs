//! The variable that a name means: beside others of the same name, after the optimiser, and in a
//! coroutine.

use serde_json::Value;

use crate::support::build::{fixture, probe_line, rust, source};
use crate::support::program::Program;
use crate::support::tracer::{Tracer, tracer};
use crate::support::{needs, observe};

/// The messages of each probe, in the order of the probes.
fn messages(path: &std::path::Path, probes: &[String]) -> Vec<Vec<String>> {
    let observed = observe::observe(Program::ready(path, &[]), probes, &[]);
    observed.finished.assert_code(0);
    let events = observed.finished.events();
    let of = |number: usize| {
        let name = format!("p{}", number + 1);
        let events = events
            .iter()
            .filter(|event| event["probe"] == name.as_str());
        let message = |event: &Value| event["message"].as_str().expect("a message").to_owned();
        events.map(message).collect()
    };
    (0..probes.len()).map(of).collect()
}

fn log(file: &str, mark: &str, template: &str) -> String {
    format!("log {file}:{} \"{template}\"", probe_line(file, mark))
}

#[test]
fn name_in_a_block_that_is_gone_is_not_the_outer_variable() {
    if !needs::kernel() {
        return;
    }
    const FILE: &str = "e2e_lost_block.c";
    let path = fixture("clang", "lost_block", "e2e_lost_block.s", &[]);
    let probes = ["inner", "later", "outer"].map(|mark| log(FILE, mark, "{a} {x}"));
    let found = messages(&path, &probes);
    let unclear = "<not clear which: the block of the `x` of line 15 was optimised away>";
    let inner: Vec<_> = [101, 201, 301]
        .iter()
        .map(|a| format!("{a} {unclear}"))
        .collect();
    assert_eq!(found[0], inner);
    // A declaration after the block shows that it is over.
    assert_eq!(found[1], ["101 101", "201 201", "301 301"]);
    // Here nothing shows that.
    assert_eq!(found[2], inner);
}

#[test]
fn static_is_that_of_its_file_and_one_without_a_place_costs_only_its_own_value() {
    if !needs::kernel() {
        return;
    }
    let other = source("e2e_statics_other.c");
    let other = other.to_str().expect("test paths are UTF-8");
    for (number, flags) in [vec!["-g", "-O1"], vec!["-g", "-O2", "-flto"]]
        .into_iter()
        .enumerate()
    {
        let mut flags = flags;
        flags.push(other);
        let path = fixture("gcc", &format!("statics{number}"), "e2e_statics.c", &flags);
        let probes = [
            log("e2e_statics.c", "one", "{counter} {name} {turn}"),
            log("e2e_statics_other.c", "other", "{counter} {turn}"),
        ];
        let found = messages(&path, &probes);
        let gone = "<optimised out>";
        let one = [101, 103, 106]
            .iter()
            .zip(1..)
            .map(|(at, turn)| format!("{at} {gone} {turn}"));
        assert_eq!(found[0], one.collect::<Vec<_>>(), "{flags:?}");
        assert_eq!(found[1], ["5001 1", "5003 2", "5006 3"], "{flags:?}");
    }
    let path = fixture("gcc", "statics0", "e2e_statics.c", &["-g", "-O1", other]);
    let probes = [
        format!("log e2e_statics.c:{}", probe_line("e2e_statics.c", "one")),
        // The variable belongs to a function of another file.
        log("e2e_statics_other.c", "other", "{calls} {shared}"),
    ];
    let found = messages(&path, &probes);
    assert_eq!(
        found[0],
        [
            "turn = 1, calls = 1",
            "turn = 2, calls = 2",
            "turn = 3, calls = 3"
        ]
    );
    assert_eq!(found[1], ["1 6", "2 7", "3 8"]);
    let at = format!("e2e_statics.c:{}", probe_line("e2e_statics.c", "one"));
    let listed = tracer(&["vars", "--exe", path.to_str().expect("UTF-8"), &at]);
    listed.assert_code(0);
    let shown = listed.stdout.join("\n");
    assert!(
        shown.contains("calls") && shown.contains("static"),
        "{shown}"
    );
}

#[test]
fn static_members_and_statics_of_namespaces_are_found_as_the_source_finds_them() {
    if !needs::kernel() {
        return;
    }
    const FILE: &str = "e2e_static_members.cpp";
    for compiler in ["g++", "clang++"] {
        let path = fixture(
            compiler,
            &format!("static_members_{compiler}"),
            FILE,
            &["-g", "-O0"],
        );
        let probes = [
            log(
                FILE,
                "member",
                "{x} {total} {LIMIT} {value} {hidden} {this->LIMIT} {this->total}",
            ),
            log(
                FILE,
                "namespace",
                "{x} {first::x} {second::x} {first::Holder::LIMIT} {k}",
            ),
        ];
        let found = messages(&path, &probes);
        assert_eq!(found[0], ["1 50 5 7 33 5 50"; 3], "{compiler}");
        assert_eq!(
            found[1],
            ["2000 1 2000 5 0", "2000 1 2000 5 1", "2000 1 2000 5 2"]
        );
    }
}

#[test]
fn locals_of_a_coroutine_are_what_they_are_or_not_kept() {
    if !needs::kernel() {
        return;
    }
    const FILE: &str = "e2e_await.rs";
    let path = rust("await", FILE, &["-C", "opt-level=0"]);
    let probes = [
        log(FILE, "before", "{given} {before} {kept}"),
        log(FILE, "after", "{given} {before} {kept} {got}"),
        log(FILE, "fresh", "{given} {fresh} {turn} {sum}"),
        log(FILE, "waited", "{given} {fresh} {sum} {waited}"),
    ];
    let found = messages(&path, &probes);
    let lost = "<not kept across the await>";
    assert_eq!(found[0], ["1 3 101", "2 6 102", "3 9 103"]);
    let after = (1..4).map(|given| format!("{given} {lost} {} 7", given + 100));
    assert_eq!(found[1], after.collect::<Vec<_>>());
    let turns = || (1..4).flat_map(|given| (0..3).map(move |turn| (given, turn)));
    let fresh =
        turns().map(|(given, turn)| format!("{given} {} {turn} {}", turn * 10 + given, turn * 7));
    assert_eq!(found[2], fresh.collect::<Vec<_>>());
    let waited = turns().map(|(given, turn)| format!("{given} {lost} {} 7", turn * 7 + 7));
    assert_eq!(found[3], waited.collect::<Vec<_>>());
}

#[test]
fn locals_of_an_optimised_coroutine_are_right_where_they_are_shown() {
    if !needs::kernel() {
        return;
    }
    const FILE: &str = "e2e_await.rs";
    let path = rust("await_release", FILE, &["-C", "opt-level=3"]);
    for (mark, name, right) in [
        ("before", "before", [3, 6, 9]),
        ("after", "kept", [101, 102, 103]),
        ("after", "given", [1, 2, 3]),
        ("after", "before", [3, 6, 9]),
    ] {
        let found = messages(&path, &[log(FILE, mark, &format!("{{$hit}} {{{name}}}"))]);
        assert_eq!(found[0].len(), 3, "{mark} {name}: {found:?}");
        for (message, right) in found[0].iter().zip(right) {
            let value = message.split_once(' ').expect("two values").1;
            assert!(
                value.starts_with('<') || value == right.to_string(),
                "{mark} {name}: {message} for {right}"
            );
        }
    }
}

#[test]
fn enum_without_variants_is_never_the_active_one() {
    if !needs::kernel() {
        return;
    }
    const FILE: &str = "e2e_empty_enum.rs";
    let path = rust("empty_enum", FILE, &["-C", "opt-level=0"]);
    let probes = [
        log(FILE, "empty", "{fine} {failed} {none} {number} {text}"),
        log(FILE, "empty", "{fine.Ok.0} {failed.Err.0}"),
        log(FILE, "empty", "never").replace(
            "\"never\"",
            "\"never\" if !(fine == Ok) || !(failed == Err)",
        ),
    ];
    let found = messages(&path, &probes);
    assert_eq!(found[0], ["Ok(3) Err(4) None Number(9) Text(\"nine\")"; 3]);
    assert_eq!(found[1], ["3 4"; 3]);
    assert!(found[2].is_empty(), "{:?}", found[2]);
}

#[test]
fn line_of_a_caller_at_an_instruction_of_a_copy_is_the_callers() {
    if !needs::kernel() {
        return;
    }
    const FILE: &str = "e2e_caller_row.c";
    let path = fixture("gcc", "caller_row", FILE, &["-g", "-O2"]);
    let line = probe_line(FILE, "caller");
    let probe = format!("log {FILE}:{line} \"{{path}} {{flags}}\" depth 3");
    let mut program = Program::ready(&path, &[]);
    let tracer = Tracer::json(program.pid(), &[&probe]);
    tracer.wait_tracing();
    program.say("go");
    // The first stack reads the frames of every library. An interrupted tracer does not wait for
    // that.
    let events = tracer.wait_events(3);
    tracer.interrupt().assert_code(0);
    for event in &events {
        assert_eq!(event["function"], "opens", "{event}");
        assert_eq!(event["line"], line, "{event}");
        let first = &event["stack"][0];
        assert_eq!(first["function"], "opens", "{event}");
        assert_eq!(first["line"], line, "{event}");
    }
}

#[test]
fn folded_functions_have_the_names_of_the_one_that_was_named() {
    if !needs::kernel() {
        return;
    }
    const FILE: &str = "e2e_folded.c";
    for linker in ["lld", "gold"] {
        let flags = ["-g", "-O2", "-ffunction-sections", "-Wl,--icf=all"];
        let linker = format!("-fuse-ld={linker}");
        let flags: Vec<&str> = flags.into_iter().chain([&*linker]).collect();
        let path = fixture("clang", &format!("folded{linker}"), FILE, &flags);
        let line = probe_line(FILE, "second");
        let probes = [
            "log second_sum \"{q->left} {q->right}\"".to_owned(),
            format!("log {FILE}:{line} \"{{q->left}} {{q->right}}\""),
            "log first_sum \"{f->a} {f->b}\"".to_owned(),
        ];
        let observed = observe::observe(Program::ready(&path, &[]), &probes, &[]);
        observed.finished.assert_code(0);
        observed
            .finished
            .assert_says(&["merged `second_sum` and `first_sum`"]);
        let events = observed.finished.events();
        for (probe, function) in [
            ("p1", "second_sum"),
            ("p2", "second_sum"),
            ("p3", "first_sum"),
        ] {
            let of = events.iter().filter(|event| event["probe"] == probe);
            let of: Vec<&Value> = of.collect();
            let messages: Vec<_> = of.iter().map(|event| event["message"].as_str()).collect();
            // Hits of both functions are seen.
            let all = ["1 2", "100 200", "2 2", "100 200", "3 2", "100 200"].map(Some);
            assert_eq!(messages, all, "{linker} {probe}");
            assert!(
                of.iter().all(|event| event["function"] == function),
                "{linker} {probe}"
            );
        }
    }
}

/// A program of two units with C++ functions that a linker merged.
fn folded_cpp(linker: &str) -> std::path::PathBuf {
    const FILE: &str = "e2e_folded.cpp";
    let flags = ["-g", "-O2", "-ffunction-sections"];
    let other = fixture(
        "clang++",
        "other.o",
        FILE,
        &[&flags[..], &["-DOTHER", "-c"]].concat(),
    );
    let other = other.to_str().expect("test paths are UTF-8");
    let linker = format!("-fuse-ld={linker}");
    let flags = [&flags[..], &[&linker, "-Wl,--icf=all", other]].concat();
    fixture("clang++", &format!("folded{linker}"), FILE, &flags)
}

#[test]
fn folded_functions_of_cpp_are_found_by_each_of_their_names() {
    if !needs::kernel() {
        return;
    }
    let line = probe_line("e2e_folded.cpp", "third");
    let expected = [
        (
            "near::first",
            "{f->a} {f->b} {n}",
            "near::first",
            ["1 2 1", "10 20 1", "1 2 2", "10 20 2"],
        ),
        (
            "far::third",
            "{s->left} {s->right} {n}",
            "far::third",
            ["1 2 1", "10 20 1", "1 2 2", "10 20 2"],
        ),
        (
            "third",
            "{s->left} {s->right} {n}",
            "far::third",
            ["1 2 1", "10 20 1", "1 2 2", "10 20 2"],
        ),
        (
            &format!("e2e_folded.cpp:{line}"),
            "{s->left} {n}",
            "far::third",
            ["1 1", "10 1", "1 2", "10 2"],
        ),
        (
            "Row::total",
            "{this->low} {n}",
            "Row::total",
            ["3 1", "30 1", "3 2", "30 2"],
        ),
        (
            "Column::span",
            "{this->top} {n}",
            "Column::span",
            ["3 1", "30 1", "3 2", "30 2"],
        ),
        (
            "twice<int>",
            "{once[1]}",
            "twice<int>",
            ["6", "60", "6", "60"],
        ),
        (
            "twice<unsigned int>",
            "{once[1]}",
            "twice<unsigned int>",
            ["6", "60", "6", "60"],
        ),
    ];
    for linker in ["lld", "gold"] {
        let path = folded_cpp(linker);
        let probes = expected.iter();
        let probes = probes.map(|(place, template, ..)| format!("log {place} \"{template}\""));
        let boxes = ["First", "Second"].map(|of| format!("log Box<{of}>::get \"{{n}}\""));
        let probes: Vec<String> = probes.chain(boxes).collect();
        let observed = observe::observe(Program::ready(&path, &[]), &probes, &[]);
        observed.finished.assert_code(0);
        observed.finished.assert_says(&[
            "merged `far::third` and `near::first`",
            "merged `Box<Second>::get` and `Box<First>::get`",
            "merged `twice<unsigned int>` and `twice<int>`",
        ]);
        let events = observed.finished.events();
        let of = |number: usize| {
            let probe = format!("p{number}");
            let of = events.iter().filter(move |event| event["probe"] == *probe);
            of.collect::<Vec<&Value>>()
        };
        for (number, (place, _, function, messages)) in (1..).zip(&expected) {
            let of = of(number);
            let found: Vec<_> = of.iter().map(|event| event["message"].as_str()).collect();
            assert_eq!(found, messages.map(Some), "{linker} {place}");
            let named = of.iter().all(|event| event["function"] == *function);
            assert!(named, "{linker} {place}");
        }
        for (number, function) in [(9, "Box<First>::get"), (10, "Box<Second>::get")] {
            let of = of(number);
            let found: Vec<_> = of.iter().map(|event| event["message"].as_str()).collect();
            assert_eq!(
                found,
                ["1", "1", "7", "2", "2", "7"].map(Some),
                "{linker} {function}"
            );
            assert!(
                of.iter().all(|event| event["function"] == function),
                "{linker}"
            );
        }
    }
}

#[test]
fn folded_functions_of_cpp_are_all_listed() {
    for linker in ["lld", "gold"] {
        let path = folded_cpp(linker);
        let listed = tracer(&["funcs", "--exe", path.to_str().expect("UTF-8")]);
        listed.assert_code(0);
        let mut entries: Vec<(&str, &str)> = Vec::new();
        for line in &listed.stdout {
            let (name, rest) = line.split_once("  ").expect("a name");
            entries.push((name, rest.rsplit(' ').next().expect("an address")));
        }
        let entry = |name: &str| {
            let mut found = entries.iter().filter(|(function, _)| *function == name);
            let (_, entry) = found
                .next()
                .unwrap_or_else(|| panic!("{linker} {name}: {listed}"));
            *entry
        };
        for (one, other) in [
            ("near::first", "far::third"),
            ("Row::total", "Column::span"),
            ("Box<First>::get", "Box<Second>::get"),
            ("twice<int>", "twice<unsigned int>"),
        ] {
            assert_eq!(entry(one), entry(other), "{linker}: {listed}");
        }
    }
}

#[test]
fn folded_static_function_has_the_address_of_the_one_in_its_unit() {
    let path = folded_cpp("lld");
    let listed = tracer(&["funcs", "--exe", path.to_str().expect("UTF-8")]);
    listed.assert_code(0);
    let entry = |beginning: &str| {
        let mut lines = listed.stdout.iter();
        let line = lines.find(|line| line.starts_with(beginning));
        let line = line.unwrap_or_else(|| panic!("{beginning}: {listed}"));
        line.rsplit(' ').next().expect("an address").to_owned()
    };
    let own = |mark| {
        let file = source("e2e_folded.cpp");
        let line = probe_line("e2e_folded.cpp", mark);
        entry(&format!("own  {}:{line} ", file.display()))
    };
    assert_eq!(own("main"), entry("like_mine "), "{listed}");
    assert_eq!(own("other"), entry("like_own "), "{listed}");
    assert_ne!(own("main"), own("other"), "{listed}");
}

#[test]
fn labels_of_one_function_are_not_functions_that_a_linker_folded() {
    if !needs::kernel() {
        return;
    }
    let path = fixture("gcc", "labels", "e2e_labels.S", &["-g"]);
    let program = Program::ready(&path, &[]);
    let finished = Tracer::json(program.pid(), &["count answer hits 2"]).finish();
    finished.assert_code(0);
    assert!(
        !finished.to_string().contains("the linker merged"),
        "{finished}"
    );
}
