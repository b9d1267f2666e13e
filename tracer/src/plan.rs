//! A probe compiled for one site: the ops for the kernel side and the layout
//! that decodes what they send.
//!
//! Types come from the debug information, expressions from the user; what is
//! read of the target at a hit is decided here, and nowhere else. Knows no
//! process.

mod aggregate;
mod capture;
mod decode;
mod expr;
mod limits;
pub mod members;
mod methods;
mod ops;
mod presenters;
mod room;
mod shape;
mod stack;
#[cfg(test)]
mod tests;
pub mod timing;
pub mod tracing;
pub mod watching;

use std::sync::Arc;

pub use aggregate::{Buckets, Key, TallyBy};
pub use decode::layout::{Context, DecodeScratch, Decoded, EventBuffers, Layout, PlannedValue};
pub use decode::{DecodeError, Symbols};
pub use expr::returned::Returned;
pub use limits::Limits;
pub use ops::{AddressBase, TlsBlock, TlsTables};
pub use shape::shape_cache::ShapeCache;

use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::Neighbours;
use crate::debuginfo::place::{PieceSource as PlaceSource, Place};
use crate::debuginfo::types::{Language, TypeId, TypeKind, TypeSource};
use crate::debuginfo::variable::{Variable, VariableKind};
use crate::lang::ast::{Expr, Format, FormatStyle, ProbeSpec, Special, Syntax, TemplatePart};
use crate::program::{Op, Program};
use crate::value::debug::DEBUG;
use crate::value::redact::Redactor;
use capture::{Capture, Captured};
use decode::layout::{Entry, MessagePart, Source};
use decode::stack_slots::StackSlots;
use expr::{Number, NumberKind, Operand, Resolver, Scope};
use expr::{condition, returned};
use limits::FOLLOWED_OPS;
use ops::asm::{Asm, Exits, Label};
use ops::ir::Ir;
use ops::spots::{ModuleAddresses, Spot, Spots};
use shape::builder::{Builder, BuilderInput};
use shape::display_names;
use shape::shape_cache::NumberedShape;
use shape::{Node, Slot};

/// Everything that a plan is made from.
#[derive(Clone)]
pub struct PlanInput<'a> {
    /// Types of the module.
    pub source: &'a dyn TypeSource,
    /// Source language at the site; expressions are read by its rules.
    pub language: Language,
    /// The known address of the module in the process.
    pub base: AddressBase,
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
    /// Finished shapes of the module's types.
    pub shapes: &'a ShapeCache,
    /// At an exit of a function: what it returns.
    pub returned: Option<Returned>,
    /// Values that are redacted in every output.
    pub redactor: &'a Redactor,
    /// The session has spans. Events have their call stacks then, which tell the span around them.
    pub has_spans: bool,
}

impl PlanInput<'_> {
    /// The probe as the language of the site reads it.
    fn ordered(&self) -> Result<ProbeSpec, Diagnostic> {
        self.spec.ordered(self.syntax())
    }

    /// The syntax of expressions at the site.
    const fn syntax(&self) -> Syntax {
        match self.language.is_c() {
            true => Syntax::C,
            false => Syntax::Rust,
        }
    }
}

/// A probe compiled for one site.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For the kernel side.
    pub program: Program,
    /// Decodes the records.
    pub layout: Layout,
    /// Meaning of the keys that hits are added up by; `None`: each hit sends a record.
    pub key: Option<Key>,
    /// Notes for the user: expressions that are unavailable at this site.
    pub notes: Vec<String>,
}

/// The parts of a plan that the action of a probe decides.
#[derive(Clone, Copy, Debug)]
pub struct RecordOptions {
    /// True if the record has the call stack.
    pub stack: bool,
    /// A template without any available value.
    pub missing: MissingValues,
}

/// The treatment of a template without any available value at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingValues {
    /// The site is refused.
    Refused,
    /// Another site of the probe has the values: hits count here as well.
    Accepted,
}

/// Compiles a probe for one site. Each hit sends a record.
///
/// # Errors
/// An expression makes no sense at the site, or no value of the template is available there and
/// that is refused.
pub fn record(input: &PlanInput<'_>, options: RecordOptions) -> Result<Plan, Diagnostic> {
    let scope = scope(input);
    let spec = &input.ordered()?;
    let mut compiler = Compiler::new(input, &scope);
    let mut asm = Asm::new();
    let condition = compiler.condition(&mut asm, spec)?;
    match &spec.template {
        Some(template) => {
            let missing = compiler.template(&spec.text, &template.parts)?;
            match missing {
                Some(error) if options.missing == MissingValues::Refused => return Err(error),
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
        if options.stack {
            stack = stack::capture(asm, builder).ok();
        }
        asm.emit(Op::End);
    });
    if let Some((reject, fault)) = condition {
        ends(&mut asm, reject, fault);
    }
    Ok(compiler.finish(
        asm.finish(0),
        PlanRecord {
            captured,
            stack,
            access: None,
        },
        None,
    ))
}

/// Compiles a probe for one site. The kernel counts the hits, and sends none.
///
/// # Errors
/// An expression makes no sense at the site, or the value to count by is redacted.
pub fn tally(input: &PlanInput<'_>, by: TallyBy<'_>) -> Result<Plan, Diagnostic> {
    let scope = scope(input);
    let syntax = input.syntax();
    let key = by.expr().map(|expr| expr.ordered(syntax)).transpose()?;
    let by = match (by, &key) {
        (TallyBy::Value(_), Some(expr)) => TallyBy::Value(expr),
        (TallyBy::Bucket(_, buckets), Some(expr)) => TallyBy::Bucket(expr, buckets),
        _ => TallyBy::Nothing,
    };
    let spec = &input.ordered()?;
    let mut compiler = Compiler::new(input, &scope);
    let mut asm = Asm::new();
    let condition = compiler.condition(&mut asm, spec)?;
    let (key, flags) = aggregate::compile(&mut compiler, &mut asm, by, condition.is_some())?;
    if let Some((reject, fault)) = condition {
        ends(&mut asm, reject, fault);
    }
    Ok(compiler.finish(asm.finish(flags), PlanRecord::default(), Some(key)))
}

/// Where a condition goes that is false, or cannot be read.
fn ends(asm: &mut Asm, reject: Label, fault: Label) {
    for (label, end) in [(reject, Op::Reject), (fault, Op::Fault)] {
        asm.place(label);
        asm.emit(end);
    }
}

/// The scope in which names are resolved at the site.
fn scope<'a>(input: &PlanInput<'a>) -> Scope<'a> {
    Scope {
        process: ModuleAddresses {
            base: input.base,
            tls: input.tls,
        },
        variables: input.variables,
        statics: input.statics,
        types: input.types,
        language: input.language,
        text: &input.spec.text,
        returned: input.returned,
        elapsed: false,
        watched: None,
        redactor: input.redactor,
    }
}

/// The parts of a record that the ops of a plan make.
#[derive(Default)]
struct PlanRecord {
    captured: Captured,
    stack: Option<StackSlots>,
    /// The kind of the access to a watched value.
    access: Option<Slot>,
}

struct Compiler<'a> {
    builder: Builder<'a>,
    scope: &'a Scope<'a>,
    values: Vec<(Spots, NumberedShape)>,
    /// The types of the values, where they are of one.
    types: Vec<Option<TypeId>>,
    entries: Vec<Entry>,
    parts: Vec<MessagePart>,
    notes: Vec<String>,
    redactor: &'a Redactor,
    /// The call, where a span begins.
    span: Option<timing::SpanBegin>,
}

impl<'a> Compiler<'a> {
    fn new(input: &PlanInput<'a>, scope: &'a Scope<'a>) -> Self {
        Self {
            builder: Builder::new(BuilderInput {
                source: input.source,
                base: input.base,
                neighbours: input.neighbours,
                limits: input.limits,
                shapes: input.shapes,
                presenters: &presenters::ALL,
            }),
            scope,
            values: Vec::new(),
            types: Vec::new(),
            entries: Vec::new(),
            parts: Vec::new(),
            notes: Vec::new(),
            redactor: input.redactor,
            span: None,
        }
    }

    /// Writes the test of the condition, if there is one. Returns the labels of a condition that is false,
    /// and of one that cannot be read.
    fn condition(
        &self,
        asm: &mut Asm,
        spec: &ProbeSpec,
    ) -> Result<Option<(Label, Label)>, Diagnostic> {
        let Some(condition) = &spec.condition else {
            return Ok(None);
        };
        let mut resolver = Resolver::new(&self.builder, self.scope);
        let test = condition::truth(&mut resolver, condition)?;
        resolver.refuse_question(condition)?;
        let (reject, fault) = (asm.label(), asm.label());
        let mut exits = Exits::to(fault);
        asm.condition(&test, reject, &mut exits)
            .map_err(|why| Diagnostic::at(&condition.span, why.to_string()))?;
        Ok(Some((reject, fault)))
    }

    /// The plan of a program, with the layout of its records and the meaning of its keys.
    fn finish(self, program: Program, record: PlanRecord, key: Option<Key>) -> Plan {
        let PlanRecord {
            captured,
            stack,
            access,
        } = record;
        Plan {
            program,
            layout: Layout {
                captured,
                entries: self.entries,
                parts: self.parts,
                stack,
                access,
                redactor: self.redactor.clone(),
                span: self.span,
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
            self.parts
                .push(MessagePart::Text(format!("{before}{name} = ")));
            let resolver = Resolver::new(&self.builder, scope);
            let operand = resolver.variable(variable);
            match self.counted(variable) {
                Some((spots, node)) => {
                    let ty = self.builder.resolve_name(variable.ty);
                    let ty = display_names::without_paths(&ty).into();
                    let source = self.captured_node(spots, node);
                    self.entry(&name, ty, source, DEBUG, self.hides(&name));
                }
                None => self.value(&name, operand, DEBUG, self.hides(&name)),
            }
        }
    }

    /// `$return = value`, for a function that returns anything.
    fn returned(&mut self) {
        let scope = self.scope;
        if let Some(returned @ Returned { ty: Some(ty), .. }) = scope.returned {
            self.parts.push(MessagePart::Text("$return = ".into()));
            let spots = returned::place(&self.builder, ty, returned);
            let operand = Operand::Place(spots, ty);
            self.value("$return", operand, DEBUG, returned.redacted);
        }
    }

    /// Gives why, where no value of a template is available.
    fn template(
        &mut self,
        text: &str,
        parts: &[TemplatePart],
    ) -> Result<Option<Diagnostic>, Diagnostic> {
        let (mut holes, mut missing) = (0, None);
        for part in parts {
            let (expr, format) = match part {
                TemplatePart::Text(text) => {
                    self.parts.push(MessagePart::Text(text.clone()));
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
    ) -> Result<Option<Diagnostic>, Diagnostic> {
        let mut resolver = Resolver::new(&self.builder, self.scope);
        let operand = resolver.operand(expr)?;
        let redacted = resolver.is_redacted(&operand);
        let operand = match operand {
            Operand::Unknown(_, error) => return Err(error),
            Operand::Place(spots, ty) if format.style == FormatStyle::Pointer => {
                self.address_of(expr, spots, ty)?
            }
            operand => operand,
        };
        let name = text.get(expr.span.clone()).unwrap_or_default();
        let missing = lost(&operand).map(|why| format!("`{name}` is unavailable here: {why}"));
        self.notes.extend(missing.clone());
        self.value(name, operand, format, redacted);
        let hint = name
            .contains("$return")
            .then(|| "log a variable on the function's last line instead".to_owned());
        Ok(missing.map(|message| Diagnostic::at(&expr.span, message).maybe_hint(hint)))
    }

    /// The operand that `{x:p}` shows: the pointer itself, or the address of the value.
    fn address_of(&self, expr: &Expr, spots: Spots, ty: TypeId) -> Result<Operand, Diagnostic> {
        let ir = match self.builder.resolve(ty).kind {
            TypeKind::Pointer { .. } => spots
                .number()
                .map_err(|why| Diagnostic::at(&expr.span, why.to_string()))?,
            _ => match spots.address() {
                Some(address) => address.clone(),
                None => return Err(Diagnostic::at(&expr.span, "this has no address here")),
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
    fn value(&mut self, name: &str, operand: Operand, format: Format, hidden: bool) {
        let (source, ty): (Source, Arc<str>) = match operand {
            Operand::Place(spots, ty) => {
                let shape = self.builder.shape(ty, FOLLOWED_OPS);
                let name = Arc::clone(&shape.shape.ty);
                (self.captured(spots, shape, Some(ty)), name)
            }
            Operand::Number(number) => {
                let (node, ty) = number_node(&number, self.scope.language);
                let size = u64::from(number.size);
                let spots = Spots::whole(size, Spot::Number(number.ir));
                (self.captured_node(spots, node), ty.into())
            }
            Operand::Special(special) => (Source::Special(special), special_type(special).into()),
            Operand::Text(text) => {
                let len = text.len() as u64;
                let spots = Spots::whole(len, Spot::Bytes(text.into_bytes()));
                let node = Node::CharArray { len, of: len };
                (self.captured_node(spots, node), "&str".into())
            }
            Operand::Null => {
                let spots = Spots::whole(8, Spot::Number(Ir::Const(0)));
                let pointer = Unavailable::Null;
                let node = self.builder.pointer_to(Err(pointer), false);
                (self.captured_node(spots, node), "null".into())
            }
            Operand::Unknown(_, error) => {
                let node = Node::Missing(Unavailable::Unsupported(error.message));
                (self.captured_node(Spots(Vec::new()), node), "".into())
            }
        };
        self.entry(name, ty, source, format, hidden);
    }

    fn entry(&mut self, name: &str, ty: Arc<str>, source: Source, format: Format, hidden: bool) {
        self.parts
            .push(MessagePart::Hole(self.entries.len(), format));
        self.entries.push(Entry {
            expr: name.into(),
            ty,
            source,
            hidden,
        });
    }

    /// Returns true if a variable in scope is redacted.
    fn hides(&self, name: &str) -> bool {
        self.redactor.hides_expr(name)
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

    /// A value without a type.
    fn captured_node(&mut self, spots: Spots, node: Node) -> Source {
        self.captured(spots, NumberedShape::alone(node), None)
    }

    fn captured(&mut self, spots: Spots, shape: NumberedShape, ty: Option<TypeId>) -> Source {
        self.values.push((spots, shape));
        self.types.push(ty);
        Source::Captured(self.values.len() - 1)
    }
}

/// The place of a number that is computed.
fn value_of(expr: &crate::debuginfo::place::LocationExpr) -> Place {
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

/// The shape of a computed number, and the name of its type in the language.
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
        Special::Thread
        | Special::Process
        | Special::Cgroup
        | Special::Container
        | Special::Time => "&str",
        Special::Return | Special::Elapsed => "",
    }
}
