//! Queries for the variables and types of a module.

use std::sync::Arc;

use super::function_frame::FunctionFrame;
use super::scope::frames;
use super::statics;
use super::variable_reader::{FoundVariable, VariableReader};
use crate::base::address::LinkAddr;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::calls::neighbours::{Neighbours, alone};
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::Dies;
use crate::debuginfo::dwarf::name_lookup::{MAX_FOUND, find_in_unit, find_named};
use crate::debuginfo::dwarf::unit_parser::bounded_string;
use crate::debuginfo::error::DebugInfoError;
use crate::debuginfo::frames::cfi::{Cfa, FrameSections};
use crate::debuginfo::limits::NAME_BYTES;
use crate::debuginfo::location::from_bytecode;
use crate::debuginfo::model::place::LocationExpr;
use crate::debuginfo::model::site::Position;
use crate::debuginfo::model::types::{
    Derived, Implementer, Language, PointerKind, Type, TypeId, TypeKind, TypeSource,
};
use crate::debuginfo::model::variable::{FunctionScope, Variable, VariableKind};
use crate::debuginfo::module::Module;
use crate::debuginfo::type_info::classes::read_classes;
use crate::debuginfo::type_info::type_names::path_name;
use crate::debuginfo::type_info::type_reader::TypeReader;
use crate::debuginfo::type_info::vtables;

/// Units that are searched for the compiler version.
const MAX_UNITS: usize = 1 << 10;
/// Maximum number of statics of one unit in a list.
const MAX_STATICS: usize = 1 << 14;

impl TypeSource for Module {
    fn type_of(&self, id: TypeId) -> Arc<Type> {
        // Looking up a known type is cheaper than a walk over entries.
        if let Some(known) = self.caches.types.known(id) {
            return known;
        }
        let dies = self.dies();
        TypeReader { dies: &dies }.type_of(id)
    }

    fn implementers(&self, of: &str, most: usize) -> Vec<Implementer> {
        vtables::implementers(self, of, most)
    }

    fn derived(&self, class: &str, most: usize) -> Vec<Derived> {
        let index = self.caches.classes.get_or_init(|| read_classes(self));
        index.derived(class, most)
    }

    fn rust_version(&self) -> Option<(u32, u32)> {
        // All Rust units of a program come from one compiler, because they share the standard
        // library.
        let dies = self.dies();
        let units = self.units().iter().take(MAX_UNITS);
        units.into_iter().find_map(|info| {
            let section = crate::debuginfo::dwarf::die_id::MAIN;
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
    /// Returns the variables that the source has in scope at `address`, innermost first.
    ///
    /// They belong to the innermost function or inlined copy there. Variables that C or C++
    /// declare further down in a block are left out; [`Module::find_variable`] finds them.
    ///
    /// # Errors
    /// Fails if there is no debug information, or none for a function at `address`.
    pub fn variables_at(&self, address: LinkAddr) -> Result<Vec<Variable>, DebugInfoError> {
        self.variables_in(address, &alone)
    }

    /// Returns the variables that the source has in scope at an address or a site of a process.
    /// `neighbours` returns the other modules of the process, and is called if they may be
    /// needed. The places are then valid for that process only.
    ///
    /// # Errors
    /// Fails as [`Module::variables_at`] does.
    pub fn variables_in(
        &self,
        at: impl Into<Position>,
        neighbours: Neighbours<'_>,
    ) -> Result<Vec<Variable>, DebugInfoError> {
        let at = at.into();
        self.with_neighbours(at, neighbours, |question| {
            let line = at.line.or_else(|| self.line_at(at.address));
            declared(question.variables(question.frames.get(at.scope.outside), line))
        })
    }

    /// Returns the functions at `address`, inlined copies innermost first, each with its
    /// variables.
    ///
    /// # Errors
    /// Fails as [`Module::variables_at`] does.
    pub fn scopes_at(&self, address: LinkAddr) -> Result<Vec<FunctionScope>, DebugInfoError> {
        self.at(address, |question| {
            // The outer functions are at the lines of their calls.
            let mut line = self.line_at(address);
            let frames = question.frames.iter();
            frames
                .map(|frame| {
                    let mut variables = declared(question.variables(Some(frame), line));
                    variables.retain(|variable| variable.kind != VariableKind::Lost);
                    line = frame.function.unsigned(gimli::DW_AT_call_line);
                    FunctionScope {
                        function: path_name(&question.dies, &frame.function),
                        variables,
                    }
                })
                .collect()
        })
    }

    /// Returns the variable that `name` means at `address`: a variable in scope, else a member of
    /// C++'s `this`, else a static of the unit, else one of the module.
    ///
    /// `shadow` is the N of `name#N`; statics and members only have 1.
    ///
    /// # Errors
    /// Fails as [`Module::variables_at`] does.
    pub fn find_variable(
        &self,
        address: LinkAddr,
        name: &str,
        shadow: u32,
    ) -> Result<Option<Variable>, DebugInfoError> {
        self.at(address, |question| question.find(name, shadow))
    }

    /// Returns the statics and constants whose full name is `path` or ends with `::path`, best
    /// match first. The first call searches the whole module.
    #[must_use]
    pub fn static_variable(&self, path: &str) -> Vec<Variable> {
        let dies = self.dies();
        let sections = self.frame_sections();
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

    /// Returns the static or constant that `path` means at an address or a site: one of the
    /// functions and namespaces around it, else of its file, else of other files. If several are
    /// equally near, its place says so.
    #[must_use]
    pub fn static_at(&self, at: impl Into<Position>, path: &str) -> Option<Variable> {
        let at = at.into();
        let near = self.at(at, |question| {
            let frame = question.frames.get(at.scope.outside);
            statics::find(&question.reader(), frame, path)
        });
        // Without a known function, no static is nearer than the others.
        near.unwrap_or_else(|_| {
            let reader = VariableReader {
                dies: &self.dies(),
                frame_sections: &self.frame_sections(),
                address: 0,
                code: 0,
                function: None,
                neighbours: &alone,
            };
            statics::find(&reader, None, path)
        })
    }

    /// Returns the statics and constants of the unit with the code at `address`, by full name.
    ///
    /// # Errors
    /// Fails as [`Module::variables_at`] does.
    pub fn unit_statics(&self, address: LinkAddr) -> Result<Vec<Variable>, DebugInfoError> {
        self.at(address, |question| question.unit_statics())
    }

    /// Returns the return type of the function at `address`, which is the innermost inlined copy.
    /// `None` means that it returns nothing.
    ///
    /// # Errors
    /// Fails as [`Module::variables_at`] does.
    pub fn function_return_type(
        &self,
        at: impl Into<Position>,
    ) -> Result<Option<TypeId>, DebugInfoError> {
        self.at(at, |question| {
            let function = &question.frames.first()?.function;
            question.dies.type_of(function).map(DieId::as_type)
        })
    }

    /// Returns the return type of the function with the code at `address`. Inlined copies do not
    /// count.
    ///
    /// # Errors
    /// Fails as [`Module::variables_at`] does.
    pub fn outer_return_type(
        &self,
        at: impl Into<Position>,
    ) -> Result<Option<TypeId>, DebugInfoError> {
        self.at(at, |question| {
            let function = &question.frames.last()?.function;
            question.dies.type_of(function).map(DieId::as_type)
        })
    }

    /// Returns the source language at an address or a site, which is that of the function or
    /// inlined copy there.
    #[must_use]
    pub fn language_at(&self, at: impl Into<Position>) -> Language {
        let at = at.into();
        let found = self.at(at, |question| match question.frames.get(at.scope.outside) {
            Some(frame) => question.dies.root_origin(&frame.function).unit.language,
            None => question.unit.language,
        });
        found.unwrap_or(Language::Other)
    }

    /// Returns true if the compiler marks that the function with the code at `address` no longer
    /// follows its calling convention. LLVM does so if it removed parts of its value or its
    /// arguments.
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

    /// Returns the type that the source calls `name` at `address`: a type of the unit there, else
    /// of the module.
    ///
    /// `name` is a full name or the end of one (`Point` for `geometry::Point`). A `struct`,
    /// `union` or `enum` of C before the name is ignored. `*` and `&` after it, or Rust's
    /// `*const`, `*mut` and `&` before it, make pointers.
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
        let dies = self.dies();
        let unit = address.and_then(|address| dies.unit_at(address));
        let near = unit.map(|unit| find_in_unit(&dies, &unit, bare, true));
        let near = near.and_then(|found| found.into_iter().next());
        let found = near.or_else(|| find_named(&dies, bare, true, 1).into_iter().next())?;
        Some(found.id().as_type())
    }

    /// Returns all types that the unit at `address` calls `name`, or else all that the module
    /// does: by full name, or else by the end of the name (`Point` for `geometry::Point`).
    ///
    /// The list is empty if the module has too many of them.
    #[must_use]
    pub fn types_named(&self, name: &str, address: Option<LinkAddr>) -> Vec<TypeId> {
        let dies = self.dies();
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

    /// Returns a pointer to `target`, whether or not the debug information has one.
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
        self.caches.types.make(Type {
            name,
            size: Some(8),
            language: to.language,
            kind: TypeKind::Pointer {
                target: Some(target),
                kind,
            },
        })
    }

    /// Returns the number of elements of each dimension of an array type for which the program
    /// computes it (C's variable-length arrays). It is `None` if it is constant or unknown.
    ///
    /// # Errors
    /// Fails as [`Module::variables_at`] does.
    pub fn array_counts(
        &self,
        address: LinkAddr,
        array: TypeId,
    ) -> Result<Vec<Option<LocationExpr>>, DebugInfoError> {
        self.at(address, |question| question.reader().counts(array))
    }

    /// Returns the canonical frame address at `address`: the stack pointer before the call that
    /// made the frame.
    ///
    /// # Errors
    /// Fails if there is no unwind information for the address, or if it cannot be used.
    pub fn cfa_at(&self, address: LinkAddr) -> Result<LocationExpr, Unavailable> {
        self.cfa_until(address).map(|(cfa, _)| cfa)
    }

    /// Returns the canonical frame address at `address`, and the end of the code for which it is
    /// valid.
    ///
    /// # Errors
    /// Fails as [`Self::cfa_at`] does.
    pub fn cfa_until(&self, address: LinkAddr) -> Result<(LocationExpr, LinkAddr), Unavailable> {
        let (cfa, end) = self.frame_sections().cfa_until(address.0)?;
        let expr = match cfa {
            Cfa::Expr(expr) => expr,
            Cfa::Bytecode(bytecode, encoding) => from_bytecode(&self.dies(), bytecode, encoding)?,
        };
        Ok((expr, LinkAddr(end)))
    }

    /// Runs a query for an address that has a function with debug information.
    fn at<'a, T>(
        &'a self,
        at: impl Into<Position>,
        ask: impl FnOnce(&AddressQuestion<'a>) -> T,
    ) -> Result<T, DebugInfoError> {
        self.with_neighbours(at.into(), &alone, ask)
    }

    fn with_neighbours<'a, T>(
        &'a self,
        at: Position,
        neighbours: Neighbours<'a>,
        ask: impl FnOnce(&AddressQuestion<'a>) -> T,
    ) -> Result<T, DebugInfoError> {
        self.require_dwarf()?;
        let dies = self.dies();
        let address = at.address;
        let meant = at.scope.code_of.map(|function| DieId(function.0));
        let unit = meant
            .and_then(|function| dies.unit_of(function))
            .or_else(|| dies.unit_at(address))
            .ok_or_else(|| DebugInfoError::BadDwarf {
                what: format!("no unit has code at {address}"),
            })?;
        let location = self.location_address(&dies, address, meant);
        let frames = frames(&dies, &unit, location, meant);
        let answer = ask(&AddressQuestion {
            sections: self.frame_sections(),
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
    /// Returns the address of some code in the numbering of scopes and locations. For a function
    /// that a linker folded into another one, it counts from 0, because the function's entries
    /// have lost their address.
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

/// One address and the debug information for it.
struct AddressQuestion<'a> {
    dies: Dies<'a>,
    sections: FrameSections<'a>,
    address: LinkAddr,
    /// The address in the numbering of scopes and locations.
    location: u64,
    unit: std::rc::Rc<crate::debuginfo::dwarf::dies::ParsedUnit<'a>>,
    frames: Vec<FunctionFrame<'a>>,
    neighbours: Neighbours<'a>,
}

impl<'a> AddressQuestion<'a> {
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

    /// Returns the variables of a frame that is at `line`. Variables that are declared further
    /// down are not in scope yet. In Rust the blocks express that.
    fn variables(
        &self,
        frame: Option<&FunctionFrame<'a>>,
        line: Option<u64>,
    ) -> Vec<FoundVariable> {
        let of = |frame| self.reader().frame(frame, line);
        frame.map(of).unwrap_or_default()
    }

    fn find(&self, name: &str, shadow: u32) -> Option<Variable> {
        let line = self.dies.code().line_at(self.address);
        let found = self.variables(self.frames.first(), line);
        let is =
            |found: &&FoundVariable| found.variable.name == name && found.variable.shadow == shadow;
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
        let index = crate::debuginfo::dwarf::unit_index_reader::index_of(&self.dies, &self.unit);
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

/// Returns `(1, 95)` for `clang LLVM (rustc version 1.95.0 (59807616e 2026-04-14))`.
fn rust_version_of(producer: &str) -> Option<(u32, u32)> {
    let (_, version) = producer.split_once("rustc version ")?;
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Removes variables that the source declares after the site.
fn declared(found: Vec<FoundVariable>) -> Vec<Variable> {
    let declared = found.into_iter().filter(|found| found.declared);
    declared.map(|found| found.variable).collect()
}
