//! What a module tells of its variables and types: the questions that others ask.

use std::sync::Arc;

use super::cfi::{Cfa, FrameSections};
use super::classes::ClassIndex;
use super::dies::{DieId, Dies};
use super::error::DebugInfoError;
use super::limits::NAME_BYTES;
use super::location::from_bytecode;
use super::module::Module;
use super::name_index::{MAX_FOUND, find_in_unit, find_named};
use super::neighbours::{Neighbours, alone};
use super::place::Expr;
use super::scope::{Frame, frames};
use super::site::Position;
use super::type_names::path_name;
use super::type_reader::Types;
use super::types::{
    Derived, Implementer, Language, PointerKind, Type, TypeId, TypeKind, TypeSource,
};
use super::unit_parser::bounded_string;
use super::variable::{Scope, Variable, VariableKind};
use super::variable_reader::{Found, VariableReader};
use super::{statics, vtables};
use crate::address::LinkAddr;
use crate::unavailable::Unavailable;

/// Units that are asked for their compiler.
const MAX_UNITS: usize = 1 << 10;
/// Statics of one unit that are listed.
const MAX_STATICS: usize = 1 << 14;

impl TypeSource for Module {
    fn type_of(&self, id: TypeId) -> Arc<Type> {
        Types {
            dies: &Dies::new(self),
        }
        .type_of(id)
    }

    fn implementers(&self, of: &str, most: usize) -> Vec<Implementer> {
        vtables::implementers(self, of, most)
    }

    fn derived(&self, class: &str, most: usize) -> Vec<Derived> {
        let index = self.dies.classes.get_or_init(|| ClassIndex::read(self));
        index.derived(class, most)
    }

    fn rust_version(&self) -> Option<(u32, u32)> {
        // All units of Rust in a program are of one compiler, since the standard library is.
        let dies = Dies::new(self);
        let units = self.units().iter().take(MAX_UNITS);
        units.into_iter().find_map(|info| {
            let section = super::dies::MAIN;
            let unit = dies.unit(section, info.offset)?;
            let entry = unit.unit.entry(unit.unit.header.root_offset()).ok()?;
            let producer = entry.attr_value(gimli::DW_AT_producer)?;
            let dwarf = dies.dwarf(section.file)?;
            let producer = bounded_string(&dwarf, &unit.unit, producer, NAME_BYTES)?;
            rust_version_of(&String::from_utf8_lossy(producer.slice()))
        })
    }

    fn named(&self, name: &str) -> Option<TypeId> {
        self.type_named(name, None)
            .filter(|id| self.type_of(*id).name == name)
    }

    fn pointer(&self, target: TypeId) -> Option<TypeId> {
        self.pointer_to(target, PointerKind::Raw)
    }
}

impl Module {
    /// The variables that the source has in scope at `address`, innermost first.
    ///
    /// Those of the innermost function or inlined copy there. Those that C or
    /// C++ declare further down in a block are left out;
    /// [`Module::find_variable`] finds them.
    ///
    /// # Errors
    /// There is no debug information, or none of a function at `address`.
    pub fn variables_at(&self, address: LinkAddr) -> Result<Vec<Variable>, DebugInfoError> {
        self.variables_in(address, &alone)
    }

    /// The variables that the source has in scope at an address or a site, in a process that has
    /// other modules too: where they may be needed, `neighbours` gives them. The places are then those of that
    /// process alone.
    ///
    /// # Errors
    /// As [`Module::variables_at`].
    pub fn variables_in(
        &self,
        at: impl Into<Position>,
        neighbours: Neighbours<'_>,
    ) -> Result<Vec<Variable>, DebugInfoError> {
        let at = at.into();
        self.with_neighbours(at, neighbours, |question| {
            let line = at.line.or_else(|| self.line_at(at.address));
            declared(question.variables(question.frames.get(at.outside), line))
        })
    }

    /// The functions at `address`, inlined copies innermost first, each with its variables.
    ///
    /// # Errors
    /// As [`Module::variables_at`].
    pub fn scopes_at(&self, address: LinkAddr) -> Result<Vec<Scope>, DebugInfoError> {
        self.at(address, |question| {
            // The outer ones are at the lines of their calls.
            let mut line = self.line_at(address);
            let frames = question.frames.iter();
            frames
                .map(|frame| {
                    let mut variables = declared(question.variables(Some(frame), line));
                    variables.retain(|variable| variable.kind != VariableKind::Lost);
                    line = frame.function.unsigned(gimli::DW_AT_call_line);
                    Scope {
                        function: path_name(&question.dies, &frame.function),
                        variables,
                    }
                })
                .collect()
        })
    }

    /// The variable that `name` means at `address`: in scope there, else a
    /// member of C++'s `this`, else a static of the unit, else of the module.
    ///
    /// `shadow` is N of `name#N`; statics and members have 1 alone.
    ///
    /// # Errors
    /// As [`Module::variables_at`].
    pub fn find_variable(
        &self,
        address: LinkAddr,
        name: &str,
        shadow: u32,
    ) -> Result<Option<Variable>, DebugInfoError> {
        self.at(address, |question| question.find(name, shadow))
    }

    /// Statics and constants whose full name is `path` or ends with `::path`;
    /// the best match first. Looks through the whole module the first time.
    #[must_use]
    pub fn static_variable(&self, path: &str) -> Vec<Variable> {
        let dies = Dies::new(self);
        let sections = FrameSections::of(self);
        let reader = VariableReader {
            dies: &dies,
            frame_sections: &sections,
            address: 0,
            code: 0,
            function: None,
            neighbours: &alone,
        };
        statics::all(&reader, path)
    }

    /// The static or constant that `path` means at an address or a site: of the functions and
    /// namespaces around it, else of its file, else of others. Its place says so where several are left.
    #[must_use]
    pub fn static_at(&self, at: impl Into<Position>, path: &str) -> Option<Variable> {
        let at = at.into();
        let near = self.at(at, |question| {
            let frame = question.frames.get(at.outside);
            statics::find(&question.reader(), frame, path)
        });
        // Where no function is known, no static is nearer than others.
        near.unwrap_or_else(|_| {
            let reader = VariableReader {
                dies: &Dies::new(self),
                frame_sections: &FrameSections::of(self),
                address: 0,
                code: 0,
                function: None,
                neighbours: &alone,
            };
            statics::find(&reader, None, path)
        })
    }

    /// Statics and constants of the unit with the code at `address`, by full name.
    ///
    /// # Errors
    /// As [`Module::variables_at`].
    pub fn unit_statics(&self, address: LinkAddr) -> Result<Vec<Variable>, DebugInfoError> {
        self.at(address, |question| question.unit_statics())
    }

    /// What the function at `address` (the innermost inlined copy) returns; `None` is nothing.
    ///
    /// # Errors
    /// As [`Module::variables_at`].
    pub fn function_return_type(
        &self,
        at: impl Into<Position>,
    ) -> Result<Option<TypeId>, DebugInfoError> {
        self.at(at, |question| {
            let function = &question.frames.first()?.function;
            question.dies.type_of(function).map(DieId::as_type)
        })
    }

    /// What the function with the code at `address` returns, whatever is inlined there.
    ///
    /// # Errors
    /// As [`Module::variables_at`].
    pub fn outer_return_type(
        &self,
        at: impl Into<Position>,
    ) -> Result<Option<TypeId>, DebugInfoError> {
        self.at(at, |question| {
            let function = &question.frames.last()?.function;
            question.dies.type_of(function).map(DieId::as_type)
        })
    }

    /// What the source at an address or a site is written in: that of the function, or of the one
    /// whose copy is inlined there.
    #[must_use]
    pub fn language_at(&self, at: impl Into<Position>) -> Language {
        let at = at.into();
        let found = self.at(at, |question| match question.frames.get(at.outside) {
            Some(frame) => question.dies.root_origin(&frame.function).unit.language,
            None => question.unit.language,
        });
        found.unwrap_or(Language::Other)
    }

    /// Whether the compiler says that the function with the code at `address` is not called by its
    /// convention any more: LLVM does where it took parts of its value or its arguments away.
    #[must_use]
    pub fn has_changed_calls(&self, at: impl Into<Position>) -> bool {
        let changed = self.at(at, |question| {
            let function = &question.frames.last()?.function;
            let own = question
                .dies
                .inherited(function, gimli::DW_AT_calling_convention)?;
            match own.1 {
                gimli::AttributeValue::CallingConvention(convention) => {
                    Some(convention == gimli::DW_CC_nocall)
                }
                value => Some(value.udata_value() == Some(u64::from(gimli::DW_CC_nocall.0))),
            }
        });
        changed.ok().flatten().unwrap_or(false)
    }

    /// The type that the source calls `name` at `address`: of the unit there, else of the module.
    ///
    /// Full names, or ends of them (`Point` for `geometry::Point`); C's
    /// `struct`, `union`, `enum` before the name are left away; `*` and `&`
    /// behind it, or Rust's `*const`, `*mut` and `&` before it, make pointers.
    #[must_use]
    pub fn type_named(&self, name: &str, address: Option<LinkAddr>) -> Option<TypeId> {
        let name = name.trim();
        for (words, kind) in [
            ("*const ", PointerKind::Raw),
            ("*mut ", PointerKind::Raw),
            ("&mut ", PointerKind::Reference),
            ("&", PointerKind::Reference),
        ] {
            if let Some(target) = name.strip_prefix(words) {
                return self.pointer_to(self.type_named(target, address)?, kind);
            }
        }
        for (sign, kind) in [('*', PointerKind::Raw), ('&', PointerKind::Reference)] {
            if let Some(target) = name.strip_suffix(sign) {
                return self.pointer_to(self.type_named(target, address)?, kind);
            }
        }
        if name == "void" {
            return Some(TypeId::VOID);
        }
        let words = ["struct ", "union ", "enum ", "class "];
        let bare = words
            .iter()
            .find_map(|word| name.strip_prefix(word))
            .unwrap_or(name);
        let bare = bare.trim_start();
        let dies = Dies::new(self);
        let unit = address.and_then(|address| dies.unit_at(address));
        let near = unit.map(|unit| find_in_unit(&dies, &unit, bare, true));
        let near = near.and_then(|found| found.into_iter().next());
        let found = near.or_else(|| find_named(&dies, bare, true, 1).into_iter().next())?;
        Some(found.id().as_type())
    }

    /// All types that the unit at `address` calls `name`, else all that the module does: by their
    /// full names, else by the ends of them (`Point` for `geometry::Point`).
    ///
    /// None when the module has more than can be told apart.
    #[must_use]
    pub fn types_named(&self, name: &str, address: Option<LinkAddr>) -> Vec<TypeId> {
        let dies = Dies::new(self);
        let unit = address.and_then(|address| dies.unit_at(address));
        let near = unit.map_or_else(Vec::new, |unit| find_in_unit(&dies, &unit, name, true));
        let mut found = match near.is_empty() {
            false => near,
            true => find_named(&dies, name, true, MAX_FOUND),
        };
        if found.len() >= MAX_FOUND {
            return Vec::new();
        }
        if found.iter().any(|die| path_name(&dies, die) == name) {
            found.retain(|die| path_name(&dies, die) == name);
        }
        found.iter().map(|die| die.id().as_type()).collect()
    }

    /// A pointer to `target`, whether or not the debug information has one.
    #[must_use]
    pub fn pointer_to(&self, target: TypeId, kind: PointerKind) -> Option<TypeId> {
        let to = self.type_of(target);
        let name = match (to.language, kind) {
            (Language::Rust, PointerKind::Raw) => format!("*const {}", to.name),
            (Language::Rust, _) => format!("&{}", to.name),
            (_, PointerKind::Raw) => format!("{} *", to.name),
            (_, PointerKind::Reference) => format!("{} &", to.name),
            (_, PointerKind::RvalueReference) => format!("{} &&", to.name),
        };
        self.dies.make_type(Type {
            name,
            size: Some(8),
            language: to.language,
            kind: TypeKind::Pointer {
                target: Some(target),
                kind,
            },
        })
    }

    /// How many elements each dimension of an array type has, where the
    /// program computes that (C's variable-length arrays); `None` where the
    /// type says it or nobody knows.
    ///
    /// # Errors
    /// As [`Module::variables_at`].
    pub fn array_counts(
        &self,
        address: LinkAddr,
        array: TypeId,
    ) -> Result<Vec<Option<Expr>>, DebugInfoError> {
        self.at(address, |question| question.reader().counts(array))
    }

    /// The canonical frame address at `address`: the stack pointer before the
    /// call that made the frame.
    ///
    /// # Errors
    /// There is no unwind information for the address, or it cannot be used.
    pub fn cfa_at(&self, address: LinkAddr) -> Result<Expr, Unavailable> {
        self.cfa_until(address).map(|(cfa, _)| cfa)
    }

    /// The same, and up to where it is computed like that.
    ///
    /// # Errors
    /// As of [`Self::cfa_at`].
    pub fn cfa_until(&self, address: LinkAddr) -> Result<(Expr, LinkAddr), Unavailable> {
        let (cfa, end) = FrameSections::of(self).cfa_until(address.0)?;
        let expr = match cfa {
            Cfa::Expr(expr) => expr,
            Cfa::Bytecode(bytecode, encoding) => {
                from_bytecode(&Dies::new(self), bytecode, encoding)?
            }
        };
        Ok((expr, LinkAddr(end)))
    }

    /// Asks something about an address that has a function with debug information.
    fn at<'a, T>(
        &'a self,
        at: impl Into<Position>,
        ask: impl FnOnce(&Question<'a>) -> T,
    ) -> Result<T, DebugInfoError> {
        self.with_neighbours(at.into(), &alone, ask)
    }

    fn with_neighbours<'a, T>(
        &'a self,
        at: Position,
        neighbours: Neighbours<'a>,
        ask: impl FnOnce(&Question<'a>) -> T,
    ) -> Result<T, DebugInfoError> {
        self.require_dwarf()?;
        let dies = Dies::new(self);
        let address = at.address;
        let meant = at.code_of.map(|function| DieId(function.0));
        let unit = meant
            .and_then(|function| dies.unit_of(function))
            .or_else(|| dies.unit_at(address))
            .ok_or_else(|| DebugInfoError::BadDwarf {
                what: format!("no unit has code at {address}"),
            })?;
        let location = self.location_address(&dies, address, meant);
        let frames = frames(&dies, &unit, location, meant);
        let answer = ask(&Question {
            sections: FrameSections::of(self),
            address,
            location,
            unit,
            frames,
            dies,
            neighbours,
        });
        self.require_intact()?;
        Ok(answer)
    }
}

impl Module {
    /// The address that scopes and locations have for some code. That of a function which a linker folded
    /// into another one is counted from 0, since its own entries have no address any more.
    fn location_address(&self, dies: &Dies<'_>, at: LinkAddr, meant: Option<DieId>) -> u64 {
        let meant = meant.and_then(|id| dies.die(id));
        let ranges = meant.and_then(|die| dies.ranges(&die));
        let entry = || self.function_code_at(at).map(|code| code.entry);
        match ranges {
            Some(ranges) if ranges.is_empty() => {
                dies.takes_dead.set(true);
                entry().map_or(at.0, |entry| at.0.wrapping_sub(entry.0))
            }
            _ => at.0,
        }
    }
}

/// One address, and what is known of it.
struct Question<'a> {
    dies: Dies<'a>,
    sections: FrameSections<'a>,
    address: LinkAddr,
    /// The same for scopes and locations.
    location: u64,
    unit: std::rc::Rc<super::dies::UnitAt<'a>>,
    frames: Vec<Frame<'a>>,
    neighbours: Neighbours<'a>,
}

impl<'a> Question<'a> {
    fn reader(&self) -> VariableReader<'_, 'a> {
        VariableReader {
            dies: &self.dies,
            frame_sections: &self.sections,
            address: self.location,
            code: self.address.0,
            function: self.frames.last().map(|frame| frame.function.clone()),
            neighbours: self.neighbours,
        }
    }

    /// The variables of a frame that is at `line`: what is declared further down is not in scope
    /// yet. Rust's blocks say so themselves.
    fn variables(&self, frame: Option<&Frame<'a>>, line: Option<u64>) -> Vec<Found> {
        let of = |frame| self.reader().frame(frame, line);
        frame.map(of).unwrap_or_default()
    }

    fn find(&self, name: &str, shadow: u32) -> Option<Variable> {
        let line = self.dies.module.line_at(self.address);
        let found = self.variables(self.frames.first(), line);
        let is = |found: &&Found| found.variable.name == name && found.variable.shadow == shadow;
        if let Some(found) = found.iter().find(is) {
            return Some(found.variable.clone());
        }
        if shadow != 1 {
            return None;
        }
        let reader = self.reader();
        if let Some(member) = reader.member_of_this(&found, name) {
            return Some(member);
        }
        statics::find(&reader, self.frames.first(), name)
    }

    fn unit_statics(&self) -> Vec<Variable> {
        let reader = self.reader();
        let index = super::unit_index::index_of(&self.dies, &self.unit);
        let statics = index.names.iter().filter(|named| !named.is_type);
        statics
            .take(MAX_STATICS)
            .filter_map(|named| {
                let id = self.unit.id(gimli::UnitOffset(named.offset as usize));
                let die = self.dies.die(id)?;
                Some(reader.static_variable(&die, path_name(&self.dies, &die)))
            })
            .collect()
    }
}

/// `(1, 95)` of `clang LLVM (rustc version 1.95.0 (59807616e 2026-04-14))`.
fn rust_version_of(producer: &str) -> Option<(u32, u32)> {
    let (_, version) = producer.split_once("rustc version ")?;
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Without those that the source declares behind the site.
fn declared(found: Vec<Found>) -> Vec<Variable> {
    let declared = found.into_iter().filter(|found| found.declared);
    declared.map(|found| found.variable).collect()
}
