//! Bit fields and byte orders: the program's own values, in every encoding of the compilers.

use serde_json::{Value, json};

use crate::support::build::{fixture, probe_line};
use crate::support::program::Program;
use crate::support::tracer::value;
use crate::support::{needs, observe};

const SOURCE: &str = "e2e_bits.c";

/// Each compiler with each encoding: distances from the end of a unit, and from the start of the
/// struct.
const BUILDS: [(&str, &[&str]); 6] = [
    ("gcc", &["-O0", "-gdwarf-5"]),
    ("gcc", &["-O0", "-gdwarf-2", "-gstrict-dwarf"]),
    ("gcc", &["-O0", "-gdwarf-3", "-gstrict-dwarf"]),
    ("clang", &["-O0", "-gdwarf-5"]),
    ("clang", &["-O0", "-gdwarf-2"]),
    ("gcc", &["-O2", "-gdwarf-5"]),
];

/// The program's value of a field.
fn said(printed: &[String], field: &str) -> String {
    let line = printed.iter().find_map(|line| line.strip_prefix(field));
    line.unwrap_or_else(|| panic!("no {field} in {printed:?}"))
        .trim()
        .to_owned()
}

fn variant(name: &str) -> Value {
    json!({ "$variant": name })
}

#[test]
fn bit_fields_are_what_the_program_reads() {
    if !needs::kernel() {
        return;
    }
    let line = probe_line(SOURCE, "memory");
    let names = [
        ("f->letter", "fp.letter"),
        ("f->less", "fp.less"),
        ("f->few", "fp.few"),
        ("f->wide", "fp.wide"),
        ("p->across", "pp.across"),
        ("c->over", "cp.over"),
        ("c->under", "cp.under"),
        ("o->over", "op.over"),
    ];
    for (number, (compiler, flags)) in BUILDS.into_iter().enumerate() {
        let path = fixture(compiler, &format!("bits{number}"), SOURCE, flags);
        let holes: Vec<_> = names
            .iter()
            .map(|(name, _)| format!("{{{name}}}"))
            .collect();
        let probes = [
            format!("log {SOURCE}:{line} \"{}\"", holes.join(" ")),
            format!(
                "log {SOURCE}:{line} \"{{*f}} {{*p}} {{*c}} {{*o}}\" \
                 if f->colour == BLUE && p->across == 2748 && c->under < 0 && o->over == 1043915"
            ),
            format!("log {SOURCE}:{line} \"{{f->colour}} {{f->sign}} {{f->truth}}\""),
            format!("log {SOURCE}:{line} \"never\" if c->over != 3079581367893513848"),
        ];
        let observed = observe::observe(Program::ready(&path, &[]), &probes, &[]);
        observed.finished.assert_code(0);
        let events = observed.finished.events();
        let of = |probe: &str| -> Vec<&Value> {
            let events = events.iter();
            events.filter(|event| event["probe"] == probe).collect()
        };
        let what = format!("{compiler} {flags:?}");
        assert_eq!(of("p4").len(), 0, "{what}");
        let printed = &observed.printed;
        let wanted: Vec<_> = names.iter().map(|(_, name)| said(printed, name)).collect();
        assert_eq!(of("p1").len(), 3, "{what}");
        assert_eq!(of("p1")[0]["message"], wanted.join(" ").as_str(), "{what}");
        assert_eq!(of("p3")[0]["message"], "BLUE BELOW true", "{what}");
        assert_eq!(of("p2").len(), 3, "{what}");
        let whole = value(of("p2")[0], "*f");
        let names = ["colour", "sign", "truth", "whole"].map(|name| whole[name].clone());
        let truth = json!([variant("BLUE"), variant("BELOW"), true, variant("GREEN")]);
        assert_eq!(json!(names), truth, "{what}");
        for (whole, field, name) in [
            ("*f", "letter", "fp.letter"),
            ("*f", "less", "fp.less"),
            ("*f", "few", "fp.few"),
            ("*f", "wide", "fp.wide"),
            ("*p", "across", "pp.across"),
            ("*c", "over", "cp.over"),
            ("*c", "under", "cp.under"),
            ("*o", "over", "op.over"),
        ] {
            let value = &value(of("p2")[0], whole)[field];
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(text, said(printed, name), "{what}: {field}");
        }
    }
}

#[test]
fn bit_fields_of_a_struct_in_a_register_are_what_the_program_reads() {
    if !needs::kernel() {
        return;
    }
    let line = probe_line(SOURCE, "register");
    for compiler in ["gcc", "clang"] {
        let path = fixture(
            compiler,
            &format!("bits_{compiler}"),
            SOURCE,
            &["-O2", "-g"],
        );
        let probe = format!(
            "log {SOURCE}:{line} \"{{s.colour}} {{s.number}} {{s.rest}} {{s}}\" if s.colour == BLUE"
        );
        let observed = observe::observe(Program::ready(&path, &[]), &[probe], &[]);
        let events = observed.finished.events();
        assert_eq!(events.len(), 3, "{compiler}");
        let whole = "small { colour: BLUE, number: -700, rest: 60000 }";
        let wanted = format!("BLUE -700 60000 {whole}");
        assert_eq!(events[0]["message"], wanted.as_str(), "{compiler}");
    }
}

#[test]
fn numbers_in_the_other_order_of_bytes_are_refused() {
    if !needs::kernel() {
        return;
    }
    const BIG: &str = "e2e_big_endian.c";
    let path = fixture("gcc", "big_endian", BIG, &["-O0", "-g", "-w"]);
    let line = probe_line(BIG, "big");
    let probe = format!("log {BIG}:{line} \"{{*p}} {{p->number}} {{p->plain.inner}}\"");
    let observed = observe::observe(Program::ready(&path, &[]), &[probe], &[]);
    let events = observed.finished.events();
    let message = events[0]["message"].as_str().expect("a message");
    let refused = "<not supported: big-endian numbers>";
    let wanted = format!(
        "big {{ number: {refused}, bits: {refused}, colour: {refused}, list: [{refused}, {refused}], \
         tiny: {refused}, letter: 'x', plain: native {{ inner: 7, colour: BLUE }} }} {refused} 7"
    );
    assert_eq!(message, wanted);
}
