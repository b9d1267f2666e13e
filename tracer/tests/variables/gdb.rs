//! Compares variables with gdb, in a process that is stopped at the site.

use super::*;

/// Checks our locations with gdb at the site: addresses of variables in memory, values of small
/// integers elsewhere. Returns the number of comparisons.
fn compare(command: &str, label: &str) -> usize {
    let path = built(command);
    let module = Module::open(&path).expect("fixture opens");
    let at = site(&module, label);
    let found = module.variables_at(at).expect("variables");
    let mut gdb = Command::new("gdb");
    gdb.args([
        "-nx",
        "-batch",
        "-ex",
        "set confirm off",
        "-ex",
        "set width 0",
        "-ex",
        "set language c",
    ]);
    gdb.arg("-ex").arg(format!("break *&{label}"));
    gdb.args(["-ex", "run"]);
    gdb.arg("-ex")
        .arg(format!("set $bias = (unsigned long)&{label} - {}", at.0));
    let mut asked = 0;
    for variable in found.iter().filter(|variable| variable.shadow == 1) {
        if let Some((theirs, ours)) = question(&module, variable) {
            let name = &variable.name;
            gdb.arg("-ex").arg(format!(
                "printf \"compare {name} %lx %lx\\n\", {theirs}, {ours}"
            ));
            asked += 1;
        }
    }
    let output = gdb.arg(&path).output().expect("gdb runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut compared = 0;
    for line in text
        .lines()
        .filter_map(|line| line.strip_prefix("compare "))
    {
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!(words[1], words[2], "{command}, {label}: {line}\n{found:#?}");
        compared += 1;
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        compared, asked,
        "{command}, {label}: {text}\n{errors}\n{found:#?}"
    );
    compared
}

/// Returns two expressions: gdb's own value, and the value at our location.
fn question(module: &Module, variable: &Variable) -> Option<(String, String)> {
    let [piece] = variable.place.pieces.as_slice() else {
        return None;
    };
    let ty = stripped(module, variable.ty);
    if let TypeKind::Pointer {
        kind: PointerKind::Reference | PointerKind::RvalueReference,
        ..
    } = ty.kind
        && ty.language == Language::Cpp
    {
        // In C++, the address of a reference is that of its target.
        return None;
    }
    if ty.name.contains("nullptr") {
        // gdb 13 cannot name a variable of this type.
        return None;
    }
    let value = |ours: String| {
        let small = matches!(ty.kind, TypeKind::Int { .. } | TypeKind::Pointer { .. });
        let mask = match ty.size {
            Some(8) => u64::MAX,
            Some(size @ 1..8) => (1 << (8 * size)) - 1,
            _ => return None,
        };
        let cut = |expr: &str| format!("((unsigned long)({expr})) & {mask}ul");
        small.then(|| (cut(&variable.name), cut(&ours)))
    };
    match &piece.source {
        PieceSource::Memory(expr) => {
            Some((format!("(unsigned long)&{}", variable.name), in_gdb(expr)?))
        }
        PieceSource::Register(register) => value(format!("${register}")),
        PieceSource::Value(expr) => value(in_gdb(expr)?),
        PieceSource::Bytes(bytes) => {
            let number = bytes
                .iter()
                .rev()
                .take(8)
                .fold(0_u64, |n, b| n << 8 | u64::from(*b));
            value(format!("{number}ul"))
        }
        _ => None,
    }
}

/// Returns a location as a C expression for gdb, or `None` if it needs thread-local storage.
fn in_gdb(expr: &LocationExpr) -> Option<String> {
    let mut stack: Vec<String> = Vec::new();
    for term in &expr.0 {
        let text = match term {
            Term::Const(value) => format!("{value}ul"),
            Term::Address(address) => format!("({}ul + $bias)", address.0),
            Term::Register(register) => format!("((unsigned long)${register})"),
            Term::Deref(8) => format!("(*(unsigned long *)({}))", stack.pop()?),
            Term::Deref(4) => format!("(unsigned long)(*(unsigned int *)({}))", stack.pop()?),
            Term::SignExtend(4) => format!("(unsigned long)(long)(int)({})", stack.pop()?),
            Term::ZeroExtend(4) => format!("(unsigned long)(unsigned int)({})", stack.pop()?),
            Term::Binary(op) => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                let signed = match op {
                    Binary::Lt => Some("<"),
                    Binary::Gt => Some(">"),
                    Binary::Le => Some("<="),
                    Binary::Ge => Some(">="),
                    _ => None,
                };
                if let Some(sign) = signed {
                    stack.push(format!("((long)({left}) {sign} (long)({right}))"));
                    continue;
                }
                let sign = match op {
                    Binary::Add => "+",
                    Binary::Sub => "-",
                    Binary::Mul => "*",
                    Binary::And => "&",
                    Binary::Or => "|",
                    Binary::Xor => "^",
                    Binary::Shl => "<<",
                    Binary::Shr => ">>",
                    Binary::Eq => "==",
                    _ => return None,
                };
                format!("({left} {sign} {right})")
            }
            Term::Choose => {
                let (number, no, yes) = (stack.pop()?, stack.pop()?, stack.pop()?);
                format!("(({number}) ? ({yes}) : ({no}))")
            }
            // A number that no variable has, as if from another module.
            Term::KnownCaller => {
                let (number, value) = (stack.pop()?, stack.pop()?);
                format!("(({number}) ? ({value}) : 0xdeadul)")
            }
            _ => return None,
        };
        stack.push(text);
    }
    stack.pop()
}

#[test]
fn passed_and_conditional_places_are_gdbs() {
    for command in [
        "gcc -g -O1 -w c_calls.c",
        "gcc -gdwarf-4 -O2 -w c_calls.c",
        "clang -g -O2 -w c_calls.c",
    ] {
        for label in ["site_passed", "site_conditional"] {
            compare(command, label);
        }
    }
    for command in ELSEWHERE {
        assert!(compare(command, "site_elsewhere") > 0, "{command}");
    }
}

#[test]
fn c_places_are_gdbs() {
    let mut compared = 0;
    for command in [
        "gcc -g -O0 -w c_types.c",
        "clang -gdwarf-4 -O0 -no-pie -w c_types.c",
    ] {
        for label in ["site_locals", "site_sized", "site_types", "site_inlined"] {
            compared += compare(command, label);
        }
    }
    assert!(compared >= 30, "{compared}");
}

#[test]
fn optimised_c_places_are_gdbs() {
    let mut compared = 0;
    for command in [
        "gcc -g -O2 -w c_types.c",
        "gcc -gdwarf-4 -O2 -w c_types.c",
        "clang -g -O2 -w c_types.c",
    ] {
        for label in [
            "site_locals",
            "site_after",
            "site_sized",
            "site_types",
            "site_inlined",
        ] {
            compared += compare(command, label);
        }
    }
    assert!(compared >= 20, "{compared}");
}

#[test]
fn cpp_places_are_gdbs() {
    let mut compared = 0;
    for command in ["g++ -g -O0 -w cpp_types.cpp", "g++ -g -O2 -w cpp_types.cpp"] {
        for label in ["site_member", "site_area", "site_use"] {
            compared += compare(command, label);
        }
    }
    assert!(compared >= 12, "{compared}");
}

#[test]
fn rust_places_are_gdbs() {
    let mut compared = 0;
    for flags in [
        "-Cdebuginfo=2",
        "-Cdebuginfo=2 -Cdwarf-version=5",
        "-Cdebuginfo=2 -O",
    ] {
        let command = format!("rustc --edition 2024 {flags} rust_types.rs");
        for label in ["site_enums", "site_scalars", "site_closure", "site_async"] {
            compared += compare(&command, label);
        }
    }
    assert!(compared >= 40, "{compared}");
}
