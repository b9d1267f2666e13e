//! A probe compiled for one site: the ops for the kernel side and the layout
//! that decodes what they send.
//!
//! Types come from the debug information, expressions from the user; what is
//! read of the target at a hit is decided here, and nowhere else. Knows no
//! process beyond the load address that it is told.

mod aggregate;
mod asm;
mod bases;
mod bit_fields;
mod breakpoints;
mod build;
mod capture;
mod chains;
mod collections;
mod condition;
mod cpp;
mod cpp_collections;
mod decode;
mod dynamic;
mod elsewhere;
mod expr;
mod float;
mod ir;
mod layout;
mod lengths;
mod libcxx;
mod limits;
mod names;
mod once;
pub mod placement;
mod predicates;
mod present;
mod reach;
mod regex;
mod returned;
mod room;
mod rust;
mod search;
mod shape;
mod size;
mod stack;
#[cfg(test)]
mod tests;
mod texts;
mod thread_local;
pub mod timing;
mod trait_objects;
mod weight;
mod wide;

use std::sync::Arc;

use tracer_common::control::{NEEDS_FS_BASE, NEEDS_TASK};
use tracer_common::op::{COMM, FAULT, FS_BASE, Op, PID, REJECT};

pub use aggregate::{Buckets, Key};
pub use decode::{DecodeError, Symbols};
pub use layout::{Context, Decoded, Layout, PlannedValue, Room, Scratch};
pub use limits::Limits;
pub use returned::Returned;
pub use stack::depth as stack_depth;
pub use thread_local::{TlsBlock, TlsTables};

use crate::address::Bias;
use crate::debuginfo::Neighbours;
use crate::debuginfo::place::{Place, Source as PlaceSource};
use crate::debuginfo::types::{Language, TypeId, TypeKind, TypeSource};
use crate::debuginfo::variable::{Variable, VariableKind};
use crate::lang::SyntaxError;
use crate::lang::ast::{Expr, Format, ProbeSpec, Span, Special, Style, Syntax, TemplatePart};
use crate::redact::Redactor;
use crate::unavailable::Unavailable;
use crate::value::debug::DEBUG;
use asm::{Asm, Exits, Label};
use build::Builder;
use capture::{Capture, Captured};
use expr::{Number, NumberKind, Operand, Resolver, Scope};
use ir::{Ir, Process, Spot, Spots};
use layout::{Entry, Part, Source};
use shape::Node;
use stack::StackSlots;

/// What a plan is made from.
pub struct PlanInput<'a> {
    /// Types of the module.
    pub source: &'a dyn TypeSource,
    /// What the source is written in at the site: expressions are read as it reads them.
    pub language: Language,
    /// Where the module is in the process.
    pub bias: Bias,
    /// The other modules of the process, asked when they matter.
    pub neighbours: Neighbours<'a>,
    /// Where its thread-local storage is, if known.
    pub tls: Option<TlsBlock>,
    /// In scope at the site.
    pub variables: &'a [Variable],
    /// Statics by name (`config::LIMIT`); asked when no variable has the name.
    pub statics: &'a dyn Fn(&str) -> Option<Variable>,
    /// Types by name (`list::Node`), of the unit of the site before others; asked for casts.
    pub types: &'a dyn Fn(&str) -> Vec<TypeId>,
    /// Template and condition.
    pub spec: &'a ProbeSpec,
    /// How much of a value is read.
    pub limits: Limits,
    /// At an exit of a function: what it returns.
    pub returned: Option<Returned>,
    /// What no output gets.
    pub redactor: &'a Redactor,
}

impl PlanInput<'_> {
    /// The probe as the language of the site reads it.
    fn ordered(&self) -> Result<ProbeSpec, SyntaxError> {
        let is_c = self.language.is_c();
        self.spec
            .ordered(if is_c { Syntax::C } else { Syntax::Rust })
    }
}

/// A probe compiled for one site.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For the kernel side.
    pub ops: Vec<Op>,
    /// `NEEDS_…` bits.
    pub flags: u32,
    /// Decodes the records.
    pub layout: Layout,
    /// What the keys mean that hits are added up by; `None`: each hit sends a record.
    pub key: Option<Key>,
    /// What the user should know: expressions that are unavailable at this site.
    pub notes: Vec<String>,
}

/// Why a probe cannot be compiled for a site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// Lower case, no full stop.
    pub message: String,
    /// What would fit.
    pub hint: Option<String>,
    /// Where in the probe's text.
    pub span: Option<Span>,
}

impl PlanError {
    fn at(expr: &Expr, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            span: Some(expr.span.clone()),
        }
    }

    /// The same with other advice.
    #[must_use]
    pub fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl From<SyntaxError> for PlanError {
    fn from(error: SyntaxError) -> Self {
        Self {
            message: error.message,
            hint: error.hint,
            span: Some(error.span),
        }
    }
}

/// Compiles a probe for one site.
///
/// # Errors
/// An expression makes no sense at the site, or all that the template asks for
/// is unavailable there.
pub fn compile(input: &PlanInput<'_>) -> Result<Plan, PlanError> {
    compile_with(input, true)
}

/// The same for a site beside others of the probe at which the template shows something: its hits
/// count, too, where nothing is available.
///
/// # Errors
/// An expression makes no sense at the site.
pub fn compile_beside(input: &PlanInput<'_>) -> Result<Plan, PlanError> {
    compile_with(input, false)
}

fn compile_with(input: &PlanInput<'_>, shows_something: bool) -> Result<Plan, PlanError> {
    let scope = scope(input);
    let spec = &input.ordered()?;
    let mut compiler = Compiler::new(input, &scope);
    let mut asm = Asm::new();
    let condition = match &spec.condition {
        Some(condition) => {
            let mut resolver = Resolver::new(&compiler.builder, &scope);
            let test = condition::truth(&mut resolver, condition)?;
            let (reject, fault) = (asm.label(), asm.label());
            let mut exits = Exits::to(fault);
            asm.test(&test, reject, &mut exits)
                .map_err(|why| PlanError::at(condition, why.to_string()))?;
            Some((reject, fault))
        }
        None => None,
    };
    let (key, counts) = aggregate::compile(&mut compiler, &mut asm, spec, input.redactor)?.unzip();
    let (captured, stack) = if key.is_some() {
        (Captured::default(), None)
    } else {
        match &spec.template {
            Some(template) => {
                let missing = compiler.template(&spec.text, &template.parts)?;
                match missing {
                    Some(error) if shows_something => return Err(error),
                    _ => {}
                }
            }
            None if input.returned.is_some() => compiler.returned(),
            None => compiler.all_variables(),
        }
        compiler.make_room();
        let values = std::mem::take(&mut compiler.values);
        let mut stack = None;
        let capture = Capture::new(&mut asm, &mut compiler.builder);
        let captured = capture.values(values, |asm, builder| {
            if stack::depth(spec) > 0 {
                stack = stack::capture(asm, builder).ok();
            }
            asm.emit(Op::default());
        });
        (captured, stack)
    };
    if let Some((reject, fault)) = condition {
        ends(&mut asm, reject, fault);
    }
    Ok(compiler.finish(asm, (captured, stack), (counts.unwrap_or(0), key)))
}

/// Where a condition goes that is false, or cannot be read.
fn ends(asm: &mut Asm, reject: Label, fault: Label) {
    for (label, code) in [(reject, REJECT), (fault, FAULT)] {
        asm.place(label);
        asm.emit(Op {
            code,
            ..Op::default()
        });
    }
}

/// What names mean at the site.
fn scope<'a>(input: &PlanInput<'a>) -> Scope<'a> {
    Scope {
        process: Process {
            bias: input.bias,
            tls: input.tls,
        },
        variables: input.variables,
        statics: input.statics,
        types: input.types,
        language: input.language,
        text: &input.spec.text,
        returned: input.returned,
        elapsed: false,
    }
}

/// `NEEDS_…` bits of a plan.
fn needs(ops: &[Op]) -> u32 {
    // Sizes and statuses never have the registers' numbers.
    let needs = |wanted: std::ops::RangeInclusive<u8>| {
        ops.iter()
            .flat_map(|op| [op.dst, op.src, op.size])
            .any(|register| wanted.contains(&register))
    };
    let fs = if needs(FS_BASE..=FS_BASE) {
        NEEDS_FS_BASE
    } else {
        0
    };
    let task = if needs(PID..=COMM + 1) { NEEDS_TASK } else { 0 };
    fs | task
}

struct Compiler<'a> {
    builder: Builder<'a>,
    scope: &'a Scope<'a>,
    values: Vec<(Spots, Node)>,
    /// The types of the values, where they are of one.
    types: Vec<Option<TypeId>>,
    entries: Vec<Entry>,
    parts: Vec<Part>,
    notes: Vec<String>,
    redactor: &'a Redactor,
}

impl<'a> Compiler<'a> {
    fn new(input: &PlanInput<'a>, scope: &'a Scope<'a>) -> Self {
        Self {
            builder: Builder::new(input.source, (input.bias, input.neighbours), input.limits),
            scope,
            values: Vec::new(),
            types: Vec::new(),
            entries: Vec::new(),
            parts: Vec::new(),
            notes: Vec::new(),
            redactor: input.redactor,
        }
    }

    /// The plan of these ops, with what they leave in the record, flags beside the needs, and
    /// the key.
    fn finish(
        self,
        asm: Asm,
        (captured, stack): (Captured, Option<StackSlots>),
        (flags, key): (u32, Option<Key>),
    ) -> Plan {
        let ops = asm.finish();
        Plan {
            flags: flags | needs(&ops),
            ops,
            layout: Layout {
                captured,
                entries: self.entries,
                parts: self.parts,
                stack,
                redactor: self.redactor.clone(),
            },
            key,
            notes: self.notes,
        }
    }

    /// `name = value, …` of everything in scope; of statics, those of the function.
    fn all_variables(&mut self) {
        let scope = self.scope;
        let shown = scope
            .variables
            .iter()
            .filter(|variable| variable.kind != VariableKind::Lost && !variable.name.is_empty());
        for (index, variable) in shown.enumerate() {
            let name = match variable.shadow {
                0 | 1 => variable.name.clone(),
                shadow => format!("{}#{shadow}", variable.name),
            };
            let before = if index == 0 { "" } else { ", " };
            self.parts.push(Part::Text(format!("{before}{name} = ")));
            let resolver = Resolver::new(&self.builder, scope);
            let operand = resolver.variable(variable);
            match self.counted(variable) {
                Some((spots, node)) => {
                    let ty = self.builder.resolve_name(variable.ty);
                    let ty = names::without_paths(&ty).into();
                    let source = self.captured(spots, node, None);
                    self.entry(&name, ty, source, DEBUG);
                }
                None => self.value(&name, operand, DEBUG),
            }
        }
    }

    /// `$return = value`, for a function that returns anything.
    fn returned(&mut self) {
        let scope = self.scope;
        if let Some(returned @ Returned { ty: Some(ty), .. }) = scope.returned {
            self.parts.push(Part::Text("$return = ".into()));
            let spots = returned::place(&self.builder, ty, returned);
            self.value("$return", Operand::Place(spots, ty), DEBUG);
        }
    }

    /// Gives why, where no value of a template is available.
    fn template(
        &mut self,
        text: &str,
        parts: &[TemplatePart],
    ) -> Result<Option<PlanError>, PlanError> {
        let (mut holes, mut missing) = (0, None);
        for part in parts {
            let (expr, format) = match part {
                TemplatePart::Text(text) => {
                    self.parts.push(Part::Text(text.clone()));
                    continue;
                }
                TemplatePart::Hole { expr, format } => (expr, *format),
            };
            match self.hole(text, expr, format)? {
                None => holes += 1,
                lost => missing = lost,
            }
        }
        Ok(missing.filter(|_| holes == 0))
    }

    /// One hole of a template; gives why its value is wholly unavailable.
    fn hole(
        &mut self,
        text: &str,
        expr: &Expr,
        format: Format,
    ) -> Result<Option<PlanError>, PlanError> {
        let operand = Resolver::new(&self.builder, self.scope).operand(expr)?;
        let operand = match operand {
            Operand::Unknown(_, error) => return Err(error),
            Operand::Place(spots, ty) if format.style == Style::Pointer => {
                self.address_of(expr, spots, ty)?
            }
            operand => operand,
        };
        let name = text.get(expr.span.clone()).unwrap_or_default();
        let missing = lost(&operand).map(|why| format!("`{name}` is unavailable here: {why}"));
        self.notes.extend(missing.clone());
        self.value(name, operand, format);
        let hint = name
            .contains("$return")
            .then(|| "log a variable on the function's last line instead".to_owned());
        Ok(missing.map(|message| PlanError::at(expr, message).hint(hint)))
    }

    /// What `{x:p}` shows: the pointer itself, or the address of the value.
    fn address_of(&self, expr: &Expr, spots: Spots, ty: TypeId) -> Result<Operand, PlanError> {
        let ir = match self.builder.resolve(ty).kind {
            TypeKind::Pointer { .. } => spots
                .number()
                .map_err(|why| PlanError::at(expr, why.to_string()))?,
            _ => match spots.address() {
                Some(address) => address.clone(),
                None => return Err(PlanError::at(expr, "this has no address here")),
            },
        };
        Ok(Operand::Number(Number {
            ir,
            size: 8,
            signed: false,
            kind: NumberKind::Pointer,
        }))
    }

    /// One more value of the event, shown in the message.
    fn value(&mut self, name: &str, operand: Operand, format: Format) {
        let (source, ty): (Source, Arc<str>) = match operand {
            Operand::Place(spots, ty) => {
                let node = self.builder.variable(ty);
                let name = names::without_paths(&self.builder.resolve(ty).name);
                (self.captured(spots, node, Some(ty)), name.into())
            }
            Operand::Number(number) => {
                let (node, ty) = number_node(&number, self.scope.language);
                let size = u64::from(number.size);
                let spots = Spots::whole(size, Spot::Number(number.ir));
                (self.captured(spots, node, None), ty.into())
            }
            Operand::Special(special) => (Source::Special(special), special_type(special).into()),
            Operand::Text(text) => {
                let len = text.len() as u64;
                let spots = Spots::whole(len, Spot::Bytes(text.into_bytes()));
                let node = Node::CharArray { len, of: len };
                (self.captured(spots, node, None), "&str".into())
            }
            Operand::Null => {
                let spots = Spots::whole(8, Spot::Number(Ir::Const(0)));
                let pointer = Unavailable::Null;
                let node = self.builder.pointer_to(Err(pointer), false);
                (self.captured(spots, node, None), "null".into())
            }
            Operand::Unknown(_, error) => {
                let node = Node::Missing(Unavailable::Unsupported(error.message));
                (self.captured(Spots(Vec::new()), node, None), "".into())
            }
        };
        self.entry(name, ty, source, format);
    }

    fn entry(&mut self, name: &str, ty: Arc<str>, source: Source, format: Format) {
        self.parts.push(Part::Hole(self.entries.len(), format));
        self.entries.push(Entry {
            expr: name.into(),
            ty,
            source,
            hidden: self.redactor.hides_expr(name),
        });
    }

    /// A variable-length array, as an address and a number of elements.
    fn counted(&mut self, variable: &Variable) -> Option<(Spots, Node)> {
        let [Some(count), inner @ ..] = &variable.counts[..] else {
            return None;
        };
        if inner.iter().any(Option::is_some) {
            return None;
        }
        let process = self.scope.process;
        let count = Spots::of(&value_of(count), 8, process).number().ok()?;
        let address = Spots::of(&variable.place, 0, process).address()?.clone();
        let node = self.builder.counted_array(variable.ty)?;
        let spots = Spots(vec![(8, Spot::Number(address)), (8, Spot::Number(count))]);
        Some((spots, node))
    }

    fn captured(&mut self, spots: Spots, node: Node, ty: Option<TypeId>) -> Source {
        self.values.push((spots, node));
        self.types.push(ty);
        Source::Captured(self.values.len() - 1)
    }
}

/// The place of a number that is computed.
fn value_of(expr: &crate::debuginfo::place::Expr) -> Place {
    Place::whole(PlaceSource::Value(expr.clone()))
}

/// Why an operand is wholly unavailable.
fn lost(operand: &Operand) -> Option<&Unavailable> {
    match operand {
        Operand::Place(spots, _) => match &spots.0[..] {
            [(_, Spot::Missing(why))] => Some(why),
            _ => None,
        },
        _ => None,
    }
}

/// What a computed number is shown as, and the name of its type in the language.
fn number_node(number: &Number, language: Language) -> (Node, &'static str) {
    let (size, signed) = (number.size, number.signed);
    let named = |rust, c| if language.is_c() { c } else { rust };
    match number.kind {
        NumberKind::Bool => (
            Node::Bool {
                size,
                strict: false,
            },
            "bool",
        ),
        NumberKind::Char => (Node::Char { size }, "char"),
        NumberKind::Float if size == 4 => (Node::Float { size }, named("f32", "float")),
        NumberKind::Float => (Node::Float { size }, named("f64", "double")),
        NumberKind::Pointer => (Node::Function, named("*const ()", "void *")),
        NumberKind::Duration => (Node::Nanoseconds, "ns"),
        NumberKind::Int | NumberKind::EitherInt => {
            let ty = match (size, signed) {
                (1, true) => named("i8", "signed char"),
                (1, false) => named("u8", "unsigned char"),
                (2, true) => named("i16", "short"),
                (2, false) => named("u16", "unsigned short"),
                (4, true) => named("i32", "int"),
                (4, false) => named("u32", "unsigned int"),
                (_, true) => named("i64", "long"),
                (_, false) => named("u64", "unsigned long"),
            };
            (Node::Int { size, signed }, ty)
        }
    }
}

fn special_type(special: Special) -> &'static str {
    match special {
        Special::Pid | Special::Tid => "u32",
        Special::Hit => "u64",
        Special::Thread | Special::Time => "&str",
        Special::Return | Special::Elapsed => "",
    }
}
