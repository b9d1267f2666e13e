//! Probes on variables of our own, compiled like those of users.

use tracer::actions::compile;
use tracer::actions::parse_probe;
use tracer::base::address::LinkAddr;
use tracer::debuginfo::place::{Binary, LocationExpr, PieceSource, Place, Register, Term};
use tracer::debuginfo::types::{Language, TypeSource};
use tracer::debuginfo::variable::Variable;
use tracer::plan::{AddressBase, Limits, Plan, PlanInput, ShapeCache};
use tracer::value::redact::Redactor;

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
        base: AddressBase::Site(LinkAddr(0)),
        neighbours: &Vec::new,
        tls: None,
        variables,
        statics: &|_| None,
        types: &|_| Vec::new(),
        spec: &spec,
        limits: Limits::default(),
        shapes: &ShapeCache::default(),
        returned: None,
        redactor: &Redactor::default(),
        has_spans: false,
    });
    plan.unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Memory at an offset in the frames.
pub(crate) fn at_frame(offset: usize) -> Place {
    Place::whole(PieceSource::Memory(LocationExpr(vec![
        Term::Register(Register(RDI)),
        Term::Const(offset as u64),
        Term::Binary(Binary::Add),
    ])))
}
