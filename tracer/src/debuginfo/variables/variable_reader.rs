//! Reads entries of variables into [`Variable`]s: names, kinds, and places at one address.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::coroutines::Coroutine;
use super::function_frame::{DeclaredVariable, FunctionFrame};
use crate::base::unavailable::Unavailable;
use crate::debuginfo::calls::neighbours::Neighbours;
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::{Die, Dies};
use crate::debuginfo::frames::cfi::{Cfa, FrameSections};
use crate::debuginfo::location::symbolic::{add, then};
use crate::debuginfo::location::{
    LocationContext, LocationEvaluator, constant, number_of, place_of,
};
use crate::debuginfo::model::place::{LocationExpr, Piece, PieceSource, Place, Term};
use crate::debuginfo::model::types::{Language, Type, TypeId, TypeKind, TypeSource};
use crate::debuginfo::model::variable::{Variable, VariableKind};
use crate::debuginfo::type_info::type_reader::TypeReader;

/// Size in bytes of a general register, and of a computed value.
const WORD: u64 = 8;
/// Maximum bytes of a constant value in the debug information.
const MAX_CONSTANT: u64 = 1 << 16;
/// Typedefs and qualifiers that are followed.
const MAX_CHAIN: usize = 32;

/// Reads the variables of one address.
pub(in crate::debuginfo) struct VariableReader<'v, 'a> {
    /// The debug entries that are read.
    pub(in crate::debuginfo) dies: &'v Dies<'a>,
    /// Call frame information, for frames whose base is the CFA.
    pub(in crate::debuginfo) frame_sections: &'v FrameSections<'a>,
    /// Link address of the site in the numbering of scopes and locations.
    pub(in crate::debuginfo) address: u64,
    /// Link address of the site's code.
    pub(in crate::debuginfo) code: u64,
    /// The function at the address with a frame of its own.
    pub(in crate::debuginfo) function: Option<Die<'a>>,
    /// The other modules of the process.
    pub(in crate::debuginfo) neighbours: Neighbours<'v>,
}

/// A variable, and whether the source declares it before the site.
pub(in crate::debuginfo) struct FoundVariable {
    /// The variable.
    pub(in crate::debuginfo) variable: Variable,
    /// Number of its block; 0 is the function's own.
    level: usize,
    /// False if only a look-up by name finds the variable.
    pub(in crate::debuginfo) declared: bool,
}

impl<'a> VariableReader<'_, 'a> {
    /// Returns the variables of a frame at `line`, innermost first, with shadowed ones numbered.
    pub(in crate::debuginfo) fn frame(
        &self,
        frame: &FunctionFrame<'a>,
        line: Option<u64>,
    ) -> Vec<FoundVariable> {
        let mut found: Vec<FoundVariable> = Vec::new();
        let function = self.dies.root_origin(&frame.function);
        let closure = function.unit.language == Language::Rust
            && self
                .dies
                .name(&function)
                .is_some_and(|name| name.starts_with('{'));
        let coroutine = Coroutine::of(self.dies, frame, self.address);
        for (level, block) in frame.blocks.iter().enumerate().rev() {
            let mut of_block = Vec::new();
            for declared in &block.variables {
                let Some(mut variable) = self.variable(declared) else {
                    continue;
                };
                if let Some(coroutine) = &coroutine
                    && coroutine.may_be_stale(&declared.die, &variable.place, level)
                {
                    variable.place = Place::unavailable(Unavailable::NotKeptAwaiting);
                }
                if closure && level == 0 && is_captured(&variable) {
                    variable.kind = VariableKind::Captured;
                }
                let declared = self.is_declared(&function, &declared.die, &variable, line);
                of_block.push(FoundVariable {
                    variable,
                    level,
                    declared,
                });
            }
            found.extend(of_block);
        }
        let captured = self.captured_by_lambda(&found);
        found.extend(captured.into_iter().map(|variable| FoundVariable {
            variable,
            level: 0,
            declared: true,
        }));
        count_shadows(&mut found);
        self.doubt(frame, line, &mut found);
        found
    }

    /// Removes the places of variables that a variable of a removed block may shadow. Variables
    /// that only such a block has are added, so that they are found by name.
    fn doubt(&self, frame: &FunctionFrame<'a>, line: Option<u64>, found: &mut Vec<FoundVariable>) {
        let file = |die: &Die<'a>| {
            let (_, file) = self.dies.inherited(die, gimli::DW_AT_decl_file)?;
            Some(file)
        };
        let function = self.dies.root_origin(&frame.function);
        for doubtful in &frame.doubtful {
            let Some(inner) = self.variable(&DeclaredVariable {
                die: doubtful.die.clone(),
                dropped: true,
            }) else {
                continue;
            };
            let compares = file(&doubtful.die) == file(&function) && inner.line != 0;
            if let Some(line) = line.filter(|_| compares)
                && (inner.line > line || doubtful.ends_before(line, inner.line))
            {
                continue;
            }
            let mut hidden = false;
            for outer in found.iter_mut() {
                if outer.variable.name == inner.name {
                    hidden = true;
                    let why = Unavailable::Unclear(inner.name.clone(), inner.line);
                    outer.variable.place = Place::unavailable(why);
                }
            }
            if !hidden {
                found.push(FoundVariable {
                    variable: Variable {
                        kind: VariableKind::Lost,
                        ..inner
                    },
                    level: usize::MAX,
                    declared: true,
                });
            }
        }
    }

    /// Returns true if the source declares a variable before the site's line. This is always true
    /// in Rust, where each `let` has a block of its own.
    fn is_declared(
        &self,
        function: &Die<'a>,
        die: &Die<'a>,
        variable: &Variable,
        line: Option<u64>,
    ) -> bool {
        let file = |die: &Die<'a>| {
            let (_, value) = self.dies.inherited(die, gimli::DW_AT_decl_file)?;
            match value {
                gimli::AttributeValue::FileIndex(index) => Some(index),
                other => other.udata_value(),
            }
        };
        let Some(line) = line else { return true };
        let here = function
            .unsigned(gimli::DW_AT_decl_line)
            .is_some_and(|first| first <= line);
        variable.kind != VariableKind::Local
            || function.unit.language == Language::Rust
            || !here
            || variable.line <= line
            || file(function) != file(die)
    }

    /// Returns one variable, or `None` if it has no name.
    fn variable(&self, declared: &DeclaredVariable<'a>) -> Option<Variable> {
        let die = &declared.die;
        let name = self.dies.name(die).filter(|name| !name.is_empty())?;
        let ty = self.dies.type_of(die).map_or(TypeId::VOID, DieId::as_type);
        let place = self.place(die, ty, declared.dropped);
        let kind = match die.tag() {
            gimli::DW_TAG_formal_parameter => VariableKind::Parameter,
            _ if is_static(&place) => VariableKind::Static,
            _ => VariableKind::Local,
        };
        Some(self.assemble(die, name, ty, kind, place))
    }

    /// Returns a static, under its full name or `name`.
    pub(in crate::debuginfo) fn static_variable(&self, die: &Die<'a>, name: String) -> Variable {
        let ty = self.dies.type_of(die).map_or(TypeId::VOID, DieId::as_type);
        let place = self.place(die, ty, false);
        self.assemble(die, name, ty, VariableKind::Static, place)
    }

    fn assemble(
        &self,
        die: &Die<'a>,
        name: String,
        ty: TypeId,
        kind: VariableKind,
        place: Place,
    ) -> Variable {
        let line = self.dies.inherited(die, gimli::DW_AT_decl_line);
        Variable {
            name,
            ty,
            kind,
            place,
            line: line.and_then(|(_, line)| line.udata_value()).unwrap_or(0),
            // The program counts the elements only if the type has no size of its own.
            counts: match self.types().type_of(ty).size {
                None => self.counts(ty),
                Some(_) => Vec::new(),
            },
            shadow: 1,
        }
    }

    fn types(&self) -> TypeReader<'_, 'a> {
        TypeReader { dies: self.dies }
    }

    /// Runs `ask` with the context of locations at the site.
    fn with_context<T>(&self, ask: impl FnOnce(&LocationContext<'_, 'a>) -> T) -> T {
        let cfa = |evaluator: &LocationEvaluator<'_, '_, 'a>| self.cfa(evaluator);
        ask(&LocationContext {
            dies: self.dies,
            address: self.address,
            function: self.function.as_ref(),
            cfa: &cfa,
            neighbours: self.neighbours,
        })
    }

    fn cfa(&self, evaluator: &LocationEvaluator<'_, '_, 'a>) -> Result<LocationExpr, Unavailable> {
        match self.frame_sections.cfa(self.code)? {
            Cfa::Expr(expr) => Ok(expr),
            Cfa::Bytecode(bytecode, encoding) => evaluator.expr(bytecode, encoding),
        }
    }

    /// Returns the place of the variable of `die`.
    fn place(&self, die: &Die<'a>, ty: TypeId, dropped: bool) -> Place {
        let size = self.types().type_of(ty).size;
        if let Some((_, value)) = self.dies.inherited(die, gimli::DW_AT_const_value) {
            return constant_place(value, size);
        }
        let own = die
            .attr(gimli::DW_AT_location)
            .map(|value| (die.clone(), value));
        let location = own.or_else(|| self.dies.inherited(die, gimli::DW_AT_location));
        let Some((owner, value)) = location else {
            return Place::unavailable(Unavailable::OptimisedOut);
        };
        let place = self.with_context(|context| place_of(context, &owner, value));
        // A dropped copy keeps only locations that do not depend on the copy.
        if dropped && !is_static(&place) {
            return Place::unavailable(Unavailable::OptimisedOut);
        }
        fit(place, size)
    }

    /// Returns the number of elements of each dimension of a variable-length array whose size the
    /// program computes. It is `None` if it is constant or unknown.
    pub(in crate::debuginfo) fn counts(&self, ty: TypeId) -> Vec<Option<LocationExpr>> {
        let mut die = self.dies.die(DieId(ty.0));
        for _ in 0..MAX_CHAIN {
            match die {
                Some(found)
                    if crate::debuginfo::type_info::type_attributes::is_alias(found.tag()) =>
                {
                    die = self.dies.type_of(&found).and_then(|id| self.dies.die(id));
                }
                other => {
                    die = other;
                    break;
                }
            }
        }
        let Some(array) = die.filter(|die| die.tag() == gimli::DW_TAG_array_type) else {
            return Vec::new();
        };
        let dimensions = self.dies.children(&array).into_iter();
        dimensions
            .filter(|child| child.tag() == gimli::DW_TAG_subrange_type)
            .take(MAX_CHAIN)
            .map(|dimension| self.count(&dimension))
            .collect()
    }

    fn count(&self, dimension: &Die<'a>) -> Option<LocationExpr> {
        let (value, more) = match dimension.attr(gimli::DW_AT_count) {
            Some(count) => (count, 0),
            None => (dimension.attr(gimli::DW_AT_upper_bound)?, 1),
        };
        if value.udata_value().is_some() {
            return None;
        }
        let count = self.with_context(|context| number_of(context, dimension, value))?;
        add(count, more).ok()
    }

    /// Returns the captures of a C++ lambda that its debug information shows only as members of
    /// the closure.
    fn captured_by_lambda(&self, found: &[FoundVariable]) -> Vec<Variable> {
        let closure = found.iter().map(|found| &found.variable).find(|variable| {
            matches!(variable.name.as_str(), "this" | "__closure")
                && variable.kind == VariableKind::Parameter
        });
        let Some(closure) = closure else {
            return Vec::new();
        };
        let Some((class, _)) = self.pointee(closure.ty) else {
            return Vec::new();
        };
        let lambda = class.name.rsplit("::").next().is_some_and(|name| {
            name.starts_with("<lambda")
                || name.starts_with("class {")
                || name.starts_with("<nameless")
        });
        if !lambda {
            return Vec::new();
        }
        let TypeKind::Struct(structure) = &class.kind else {
            return Vec::new();
        };
        let known = |name: &str| found.iter().any(|found| found.variable.name == name);
        let members = structure
            .members
            .iter()
            .filter(|member| !member.name.is_empty());
        members
            .filter_map(|member| {
                let name = member.name.strip_prefix("__").unwrap_or(&member.name);
                (!known(name)).then(|| self.member_of(closure, name, member))?
            })
            .collect()
    }

    /// Returns the target of a pointer type, and its id.
    fn pointee(&self, mut ty: TypeId) -> Option<(std::sync::Arc<Type>, TypeId)> {
        let mut pointers = 0;
        for _ in 0..MAX_CHAIN {
            let found = self.types().type_of(ty);
            match found.kind {
                TypeKind::Alias(next) => ty = next,
                TypeKind::Pointer { target, .. } if pointers == 0 => {
                    pointers = 1;
                    ty = target?;
                }
                _ if pointers == 1 => return Some((found, ty)),
                _ => return None,
            }
        }
        None
    }

    /// Returns a member of the object at `this` as a variable. Bit fields are not supported.
    fn member_of(
        &self,
        this: &Variable,
        name: &str,
        member: &crate::debuginfo::model::types::StructMember,
    ) -> Option<Variable> {
        if member.bits.is_some() {
            return None;
        }
        let address = match this.place.pieces.as_slice() {
            [Piece { source, .. }] => match source.clone() {
                PieceSource::Memory(expr) => then(expr, Term::Deref(8)),
                PieceSource::Register(register) => Ok(LocationExpr(vec![Term::Register(register)])),
                PieceSource::Value(expr) => Ok(expr),
                PieceSource::Unavailable(why) => Err(why),
                _ => return None,
            },
            _ => return None,
        };
        let place = match address.and_then(|address| add(address, member.offset)) {
            Ok(address) => Place::whole(PieceSource::Memory(address)),
            Err(why) => Place::unavailable(why),
        };
        Some(Variable {
            name: name.to_owned(),
            ty: member.ty,
            kind: VariableKind::Captured,
            place,
            line: 0,
            counts: Vec::new(),
            shadow: 1,
        })
    }

    /// Returns the member `name` of the object that a C++ member function is called on.
    pub(in crate::debuginfo) fn member_of_this(
        &self,
        found: &[FoundVariable],
        name: &str,
    ) -> Option<Variable> {
        let this = found
            .iter()
            .map(|found| &found.variable)
            .find(|variable| variable.name == "this")?;
        let (class, _) = self.pointee(this.ty)?;
        if class.language != Language::Cpp {
            return None;
        }
        let (TypeKind::Struct(structure) | TypeKind::Union(structure)) = &class.kind else {
            return None;
        };
        let member = structure
            .members
            .iter()
            .find(|member| member.name == name)?;
        self.member_of(this, name, member)
    }
}

/// Returns true for captures among the variables outside of all blocks of a Rust closure or
/// coroutine. Each `let` has a block of its own, so the other variables there are the compiler's.
fn is_captured(variable: &Variable) -> bool {
    variable.kind == VariableKind::Local && variable.name != "_task_context"
}

/// Numbers the variables with the same name from the innermost one. The later of two in one block
/// is the inner one.
fn count_shadows(found: &mut [FoundVariable]) {
    let mut order: Vec<_> = (0..found.len()).collect();
    order.sort_by_key(|at| {
        let level = found.get(*at).map_or(0, |found| found.level);
        (Reverse(level), Reverse(*at))
    });
    let mut seen: HashMap<String, u32> = HashMap::new();
    for at in order {
        if let Some(FoundVariable { variable, .. }) = found.get_mut(at) {
            let count = seen.entry(variable.name.clone()).or_default();
            *count += 1;
            variable.shadow = *count;
        }
    }
}

/// Returns true if a place is at an address that does not depend on a frame. Some pieces may be
/// constants or unavailable.
fn is_static(place: &Place) -> bool {
    let at_address = |source: &PieceSource| match source {
        PieceSource::Memory(expr) => match expr.0.as_slice() {
            [Term::Address(_), ..] => !expr.0.iter().any(|term| matches!(term, Term::Register(_))),
            [.., Term::Tls] => true,
            _ => false,
        },
        _ => false,
    };
    let constant = |source: &PieceSource| match source {
        PieceSource::Bytes(_) | PieceSource::Unavailable(_) => true,
        PieceSource::Value(expr) => matches!(expr.0.as_slice(), [Term::Const(_)]),
        _ => false,
    };
    let sources = || place.pieces.iter().map(|piece| &piece.source);
    sources().any(at_address) && sources().all(|source| at_address(source) || constant(source))
}

/// Returns the place of a constant in the width of its type.
fn constant_place(value: crate::debuginfo::dwarf::dies::Attr<'_>, size: Option<u64>) -> Place {
    let Some(source) = constant(value) else {
        let why = "this form of a constant".to_owned();
        return Place::unavailable(Unavailable::Unsupported(why));
    };
    let PieceSource::Bytes(mut bytes) = source else {
        return Place::whole(source);
    };
    let Some(size) = size.filter(|size| *size <= MAX_CONSTANT) else {
        return Place::whole(PieceSource::Bytes(bytes));
    };
    let size = size as usize;
    if size <= bytes.len() {
        bytes.truncate(size);
        return Place::whole(PieceSource::Bytes(bytes));
    }
    let why = format!("a constant of {} bytes for a value of {size}", bytes.len());
    Place::unavailable(Unavailable::BadDebugInfo(why))
}

/// Makes a place cover `size` bytes, without claiming more bytes than it has.
fn fit(mut place: Place, size: Option<u64>) -> Place {
    let Some(size) = size else { return place };
    if let [Piece { size: None, source }] = place.pieces.as_mut_slice() {
        let holds = match source {
            PieceSource::Register(_) | PieceSource::Value(_) | PieceSource::ImplicitPointer(..) => {
                WORD
            }
            PieceSource::Bytes(bytes) => {
                if let Ok(size) = usize::try_from(size)
                    && size < bytes.len()
                {
                    bytes.truncate(size);
                }
                bytes.len() as u64
            }
            PieceSource::Memory(_) | PieceSource::Unavailable(_) => return place,
        };
        if holds < size {
            let why = format!("a location of {holds} bytes for a value of {size}");
            return Place::unavailable(Unavailable::BadDebugInfo(why));
        }
        return place;
    }
    for piece in &mut place.pieces {
        let wide = piece.size.is_some_and(|size| size > WORD);
        if wide
            && matches!(
                piece.source,
                PieceSource::Register(_) | PieceSource::Value(_)
            )
        {
            let why = "a piece that is wider than a register".to_owned();
            piece.source = PieceSource::Unavailable(Unavailable::BadDebugInfo(why));
        }
    }
    let covered = place.pieces.iter().map(|piece| piece.size.unwrap_or(0));
    let covered = covered.fold(0_u64, u64::saturating_add);
    if covered < size {
        place.pieces.push(Piece {
            size: Some(size - covered),
            source: PieceSource::Unavailable(Unavailable::OptimisedOut),
        });
    }
    place
}
