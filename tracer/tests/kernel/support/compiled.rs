//! Probes on variables of our own, compiled as those of users are.

use tracer::address::Bias;
use tracer::debuginfo::place::{Binary, Expr, Place, Register, Source, Term};
use tracer::debuginfo::types::{Language, TypeSource};
use tracer::debuginfo::variable::Variable;
use tracer::lang::parse_probe;
use tracer::plan::{Limits, Plan, PlanInput, compile};
use tracer::redact::Redactor;

/// DWARF number of `rdi`, which has the address of the frames.
pub(crate) const RDI: u8 = 5;

/// The plan of a probe's text over these variables.
pub(crate) fn compiled(
    text: &str,
    source: &dyn TypeSource,
    language: Language,
    variables: &[Variable],
) -> Plan {
    let spec = parse_probe(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let plan = compile(&PlanInput {
        source,
        language,
        bias: Bias(0),
        neighbours: &Vec::new,
        tls: None,
        variables,
        statics: &|_| None,
        types: &|_| Vec::new(),
        spec: &spec,
        limits: Limits::default(),
        returned: None,
        redactor: &Redactor::default(),
    });
    plan.unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Memory at an offset of the frames.
pub(crate) fn at_frame(offset: usize) -> Place {
    Place::whole(Source::Memory(Expr(vec![
        Term::Register(Register(RDI)),
        Term::Const(offset as u64),
        Term::Binary(Binary::Add),
    ])))
}
