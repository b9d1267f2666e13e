//! Types and variables by hand, for plans in unit tests.

use std::collections::HashMap;
use std::sync::Arc;

use tracer_common::control::ADDS_UP;
use tracer_common::op::{self, EncodedOp};

use crate::actions::compile;
use crate::actions::parse_probe;
use crate::base::address::LinkAddr;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::place::Place;
use crate::debuginfo::types::{
    Derived, Language, PointerKind, StructMember, StructType, Type, TypeId, TypeKind, TypeSource,
    VariantPart, VariantType,
};
use crate::debuginfo::variable::{Variable, VariableKind};
use crate::lang::ast::{
    Action, Expr, ExprKind, Format, Location, LocationKind, ProbeOptions, ProbeSpec, Template,
    TemplatePart,
};
use crate::plan::tests::recognised;
use crate::plan::{AddressBase, Limits, Plan, PlanInput, ShapeCache};
use crate::program::Program;
use crate::value::redact::Redactor;

#[derive(Default)]
pub(super) struct Fixture {
    types: HashMap<TypeId, Arc<Type>>,
    /// Classes by the name of their base.
    pub(super) derived: Vec<(&'static str, Derived)>,
    variables: Vec<Variable>,
    /// Statics, by their full names.
    statics: Vec<Variable>,
    template: Option<Template>,
    condition: Option<Expr>,
    action: Option<Action>,
    /// The probe's text, which casts of C are told by.
    pub(super) text: String,
    pub(super) limits: Limits,
    /// Of the site; Rust unless it is said.
    pub(super) language: Option<Language>,
}

/// More than the number of a type: a pointer to that one.
const POINTER: u64 = 1 << 40;

impl TypeSource for Fixture {
    fn type_of(&self, id: TypeId) -> Arc<Type> {
        if let Some(ty) = self.types.get(&id) {
            return ty.clone();
        }
        if let Some(target) = id.0.checked_sub(POINTER) {
            let target = TypeId(target);
            let to = self.type_of(target);
            let name = match to.language {
                Language::Rust => format!("*const {}", to.name),
                _ => format!("{} *", to.name),
            };
            return Arc::new(Type {
                name,
                size: Some(8),
                language: to.language,
                kind: TypeKind::Pointer {
                    target: Some(target),
                    kind: PointerKind::Raw,
                },
            });
        }
        let size = id.0 & 0xff;
        let signed = id.0 & 0x100 != 0;
        Arc::new(Type {
            name: format!("{}{}", if signed { "i" } else { "u" }, size * 8),
            size: Some(size),
            language: Language::Rust,
            kind: TypeKind::Int { signed },
        })
    }

    fn pointer(&self, target: TypeId) -> Option<TypeId> {
        Some(TypeId(target.0 + POINTER))
    }

    fn derived(&self, class: &str, most: usize) -> Vec<Derived> {
        let of = self.derived.iter().filter(|(base, _)| *base == class);
        let found: Vec<_> = of.map(|(_, derived)| *derived).collect();
        if found.len() > most {
            return Vec::new();
        }
        found
    }
}

/// An integer type, known without being defined.
pub(super) fn int(size: u64, signed: bool) -> TypeId {
    TypeId(size | if signed { 0x100 } else { 0 })
}

pub(super) fn member(name: &str, ty: TypeId, offset: u64) -> StructMember {
    StructMember {
        name: name.into(),
        ty,
        offset,
        bits: None,
        artificial: false,
    }
}

pub(super) fn structure(members: Vec<StructMember>) -> StructType {
    StructType {
        members,
        ..StructType::default()
    }
}

impl Fixture {
    pub(super) fn reserve(&mut self) -> TypeId {
        let id = TypeId(0x1000 + self.types.len() as u64);
        self.define(id, "", Some(0), TypeKind::Void);
        id
    }

    pub(super) fn define(&mut self, id: TypeId, name: &str, size: Option<u64>, kind: TypeKind) {
        let ty = Type {
            name: name.into(),
            size,
            language: Language::Rust,
            kind,
        };
        self.types.insert(id, Arc::new(ty));
    }

    /// A class of C++.
    pub(super) fn class(&mut self, name: &str, size: u64, body: StructType) -> TypeId {
        self.cpp_class(name, Some(size), body)
    }

    /// A class of C++ that is only declared.
    pub(super) fn declared_class(&mut self, name: &str) -> TypeId {
        self.cpp_class(name, None, StructType::default())
    }

    fn cpp_class(&mut self, name: &str, size: Option<u64>, body: StructType) -> TypeId {
        let id = self.reserve();
        let ty = Type {
            name: name.into(),
            size,
            language: Language::Cpp,
            kind: TypeKind::Struct(body),
        };
        self.types.insert(id, Arc::new(ty));
        id
    }

    /// Types by name, as casts ask for them.
    fn named(&self, name: &str) -> Vec<TypeId> {
        let mut found: Vec<TypeId> = self.types.keys().copied().collect();
        found.retain(|id| self.types.get(id).is_some_and(|ty| ty.name == name));
        found.sort_unstable();
        found
    }

    /// A type of C.
    pub(super) fn c_type(&mut self, name: &str, size: u64, kind: TypeKind) -> TypeId {
        let id = self.reserve();
        let ty = Type {
            name: name.into(),
            size: Some(size),
            language: Language::C,
            kind,
        };
        self.types.insert(id, Arc::new(ty));
        id
    }

    /// An integer of C.
    pub(super) fn c_int(&mut self, name: &str, size: u64, signed: bool) -> TypeId {
        self.c_type(name, size, TypeKind::Int { signed })
    }

    /// A raw pointer of C++.
    pub(super) fn cpp_pointer(&mut self, target: TypeId) -> TypeId {
        let id = self.reserve();
        let ty = Type {
            name: "T *".into(),
            size: Some(8),
            language: Language::Cpp,
            kind: TypeKind::Pointer {
                target: Some(target),
                kind: PointerKind::Raw,
            },
        };
        self.types.insert(id, Arc::new(ty));
        id
    }

    pub(super) fn add(&mut self, name: &str, size: u64, kind: TypeKind) -> TypeId {
        let id = self.reserve();
        self.define(id, name, Some(size), kind);
        id
    }

    pub(super) fn reference(&mut self, target: TypeId, name: &str) -> TypeId {
        let kind = TypeKind::Pointer {
            target: Some(target),
            kind: PointerKind::Reference,
        };
        self.add(name, 8, kind)
    }

    pub(super) fn str(&mut self) -> TypeId {
        let data = raw(self, int(1, false));
        let members = vec![
            member("data_ptr", data, 0),
            member("length", int(8, false), 8),
        ];
        self.add("&str", 16, TypeKind::Struct(structure(members)))
    }

    pub(super) fn option_of_reference(&mut self) -> TypeId {
        let point = point(self);
        let reference = self.reference(point, "&app::Pointer");
        let none = self.add("None", 8, TypeKind::Struct(structure(vec![])));
        let payload = structure(vec![member("__0", reference, 0)]);
        let some = self.add("Some", 8, TypeKind::Struct(payload));
        let variant = |name: &str, values, ty| VariantType {
            name: name.into(),
            values,
            ty,
            line: None,
        };
        let part = VariantPart {
            discriminant: Some(member("", int(8, false), 0)),
            variants: vec![
                variant("None", vec![(0, 0)], none),
                variant("Some", vec![], some),
            ],
        };
        let body = StructType {
            variants: Some(part),
            ..StructType::default()
        };
        self.add(
            "core::option::Option<&app::Pointer>",
            8,
            TypeKind::Struct(body),
        )
    }

    pub(super) fn variable(&mut self, name: &str, ty: TypeId, place: Place) {
        self.variables.push(Variable {
            name: name.into(),
            ty,
            kind: VariableKind::Local,
            place,
            line: 1,
            counts: Vec::new(),
            shadow: 1,
        });
    }

    /// A static with a full name, which its last part finds too.
    pub(super) fn static_variable(&mut self, path: &str, ty: TypeId, place: Place) {
        self.statics.push(Variable {
            name: path.into(),
            ty,
            kind: VariableKind::Static,
            place,
            line: 1,
            counts: Vec::new(),
            shadow: 1,
        });
    }

    fn static_of(&self, name: &str) -> Option<Variable> {
        let is_it = |one: &&Variable| {
            let outside = one.name.strip_suffix(name);
            outside.is_some_and(|outside| outside.is_empty() || outside.ends_with("::"))
        };
        self.statics.iter().find(is_it).cloned()
    }

    /// The action, the message and the condition of a probe as it is typed.
    pub(super) fn probe(&mut self, text: &str) {
        let spec = parse_probe(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        if let Some(condition) = spec.condition {
            self.condition(condition);
        }
        match spec.action {
            Action::Log => self.template(spec.template.expect("one").parts),
            action => self.action(action),
        }
        self.text = text.to_owned();
    }

    pub(super) fn template(&mut self, parts: Vec<TemplatePart>) {
        self.template = Some(Template { parts });
    }

    pub(super) fn condition(&mut self, condition: Expr) {
        self.condition = Some(condition);
    }

    pub(super) fn action(&mut self, action: Action) {
        self.action = Some(action);
    }

    /// The plan with shapes that an earlier plan made. It is the same as that plan.
    pub(super) fn plan(&self) -> Result<Plan, Diagnostic> {
        let shapes = ShapeCache::default();
        let first = self.plan_with(&shapes);
        let plan = self.plan_with(&shapes);
        match (&first, &plan) {
            (Ok(first), Ok(plan)) => assert_eq!(first.program.ops, plan.program.ops),
            (first, plan) => assert_eq!(first.is_ok(), plan.is_ok()),
        }
        plan
    }

    /// The plan with shapes of other plans.
    pub(super) fn plan_with(&self, shapes: &ShapeCache) -> Result<Plan, Diagnostic> {
        let mut spec = spec(self.template.clone(), self.condition.clone());
        spec.action = self.action.clone().unwrap_or(Action::Log);
        spec.text.clone_from(&self.text);
        let plan = compile(&PlanInput {
            source: self,
            language: self.language.unwrap_or(Language::Rust),
            base: AddressBase::Site(LinkAddr(0)),
            neighbours: &Vec::new,
            tls: None,
            variables: &self.variables,
            statics: &|name| self.static_of(name),
            types: &|name| self.named(name),
            spec: &spec,
            limits: self.limits,
            shapes,
            returned: None,
            redactor: &Redactor::default(),
            has_spans: false,
        })?;
        assert_leaves_the_target(&plan.program.ops);
        assert_states_the_fast_ways(&plan.program);
        Ok(plan)
    }
}

pub(super) fn spec(template: Option<Template>, condition: Option<Expr>) -> ProbeSpec {
    ProbeSpec {
        text: String::new(),
        action: Action::Log,
        location: Location {
            module: None,
            kind: LocationKind::Address(0),
            span: 0..0,
        },
        until: None,
        template,
        condition,
        options: ProbeOptions::default(),
    }
}

pub(super) fn point(fixture: &mut Fixture) -> TypeId {
    let members = vec![member("x", int(2, true), 0), member("y", int(2, true), 2)];
    fixture.add("app::Pointer", 4, TypeKind::Struct(structure(members)))
}

pub(super) fn raw(fixture: &mut Fixture, target: TypeId) -> TypeId {
    let kind = TypeKind::Pointer {
        target: Some(target),
        kind: PointerKind::Raw,
    };
    fixture.add("*const T", 8, kind)
}

pub(super) fn name(path: &str) -> Expr {
    Expr {
        kind: ExprKind::Name {
            path: path.into(),
            shadow: 1,
        },
        span: 0..0,
    }
}

pub(super) fn hole(expr: Expr, format: Format) -> TemplatePart {
    TemplatePart::Hole { expr, format }
}

/// The compiler's statements must match its ops, so that no plan loses its fast ways unnoticed.
fn assert_states_the_fast_ways(program: &Program) {
    let (ops, flags) = (&program.ops, program.flags);
    let (guard, behind) = recognised::guard_of(ops);
    let fetches = recognised::fetches_of(ops.get(behind..).unwrap_or_default(), flags);
    assert_eq!(program.guard.unwrap_or_default(), guard, "{ops:?}");
    assert_eq!(program.fetches.unwrap_or_default(), fetches, "{ops:?}");
    let is_fetched = fetches.words != 0;
    let runner = recognised::runner_of(ops, flags, is_fetched);
    assert_eq!(program.runner, runner, "{ops:?}");
    let adding_up = recognised::adding_up(ops, flags);
    assert_eq!(flags & ADDS_UP, adding_up, "{ops:?}");
}

/// Ops write into registers of the machine, never into its copies of the target's, which later ops read.
fn assert_leaves_the_target(ops: &[EncodedOp]) {
    for (at, op) in ops.iter().enumerate() {
        let writes = matches!(
            op.code,
            op::CONST
                | op::ALU
                | op::ALU_CONST
                | op::EXTEND
                | op::LOAD
                | op::LOAD_RECORD
                | op::COPY
                | op::COPY_COUNTED
                | op::COPY_STRING
                | op::COPY_PARTIAL
                | op::EMIT
                | op::MARK
                | op::FLOAT
                | op::WIDE
        );
        assert!(
            !writes || op.dst < op::TARGET_REGISTERS,
            "op {at} of {ops:?} writes into a register of the target"
        );
    }
}
