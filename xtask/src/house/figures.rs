//! Names of types, tuple parameters, and lengths of functions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::sources::{Sources, is_test};

/// All figures, in readable form.
pub(super) struct Figures<'a> {
    pub(super) names: &'a Names,
    pub(super) tuples: &'a [String],
    pub(super) functions: &'a Functions,
    pub(super) circles: &'a [Vec<String>],
    pub(super) folder: &'a (PathBuf, usize),
}

impl fmt::Display for Figures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.names.shared();
        writeln!(
            f,
            "types: {} names, {} of them for more than one type ({:.1} %)",
            self.names.types.len(),
            shared.len(),
            self.names.shared_per_mille() as f64 / 10.0
        )?;
        for (name, modules) in shared {
            writeln!(f, "  {name}: {}", modules.join(", "))?;
        }
        writeln!(f, "tuple parameters: {}", self.tuples.len())?;
        for place in self.tuples {
            writeln!(f, "  {place}")?;
        }
        let lengths = self.functions;
        writeln!(
            f,
            "functions: {}; lines: median {}, 99 % at most {}, longest {} ({})",
            lengths.0.len(),
            lengths.percentile(50),
            lengths.percentile(99),
            lengths.longest(),
            lengths.0.last().map_or("", |(_, name)| name)
        )?;
        for circle in self.circles {
            writeln!(f, "circle of {} files: {}", circle.len(), circle.join(", "))?;
        }
        write!(
            f,
            "largest folder: {}, {} files",
            self.folder.0.display(),
            self.folder.1
        )
    }
}

/// The modules that define a type, by its name.
#[derive(Default)]
pub(super) struct Names {
    types: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    fn shared(&self) -> Vec<(&str, Vec<&str>)> {
        let several = self.types.iter().filter(|(_, modules)| modules.len() > 1);
        several
            .map(|(name, modules)| (name.as_str(), modules.iter().map(String::as_str).collect()))
            .collect()
    }

    /// Names that stand for several types, per thousand.
    pub(super) fn shared_per_mille(&self) -> usize {
        self.shared().len() * 1000 / self.types.len().max(1)
    }
}

pub(super) fn names(sources: &Sources) -> Names {
    let mut names = Names::default();
    for file in &sources.files {
        // The files of two architectures have the same types: one of them is compiled.
        if file.module.starts_with("tracer::arch::aarch64") {
            continue;
        }
        let mut visitor = TypeVisitor {
            module: &file.module,
            names: &mut names,
        };
        visitor.visit_file(&file.syntax);
    }
    names
}

struct TypeVisitor<'a> {
    module: &'a str,
    names: &'a mut Names,
}

impl TypeVisitor<'_> {
    fn add(&mut self, name: &syn::Ident) {
        let modules = self.names.types.entry(name.to_string()).or_default();
        modules.insert(self.module.to_owned());
    }
}

impl<'ast> Visit<'ast> for TypeVisitor<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.add(&item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.add(&item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.add(&item.ident);
        visit::visit_item_trait(self, item);
    }
}

/// Lines of each function, shortest first.
#[derive(Default)]
pub(super) struct Functions(Vec<(usize, String)>);

impl Functions {
    pub(super) fn longest(&self) -> usize {
        self.0.last().map_or(0, |(lines, _)| *lines)
    }

    pub(super) fn percentile(&self, percent: usize) -> usize {
        let at = self.0.len().saturating_sub(1) * percent / 100;
        self.0.get(at).map_or(0, |(lines, _)| *lines)
    }
}

pub(super) fn functions(sources: &Sources) -> Functions {
    let mut found = FunctionVisitor::default();
    for file in &sources.files {
        found.module.clone_from(&file.module);
        found.visit_file(&file.syntax);
    }
    found.lengths.sort();
    Functions(found.lengths)
}

pub(super) fn tuples(sources: &Sources) -> Vec<String> {
    let mut found = FunctionVisitor::default();
    for file in &sources.files {
        found.module.clone_from(&file.module);
        found.visit_file(&file.syntax);
    }
    found.tuples
}

#[derive(Default)]
struct FunctionVisitor {
    module: String,
    lengths: Vec<(usize, String)>,
    tuples: Vec<String>,
}

impl FunctionVisitor {
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let lines = block.span().end().line + 1 - signature.span().start().line;
        let name = format!("{}::{}", self.module, signature.ident);
        for input in &signature.inputs {
            let syn::FnArg::Typed(argument) = input else {
                continue;
            };
            let ty = match &*argument.ty {
                syn::Type::Reference(reference) => &*reference.elem,
                ty => ty,
            };
            if matches!(ty, syn::Type::Tuple(tuple) if tuple.elems.len() > 1) {
                self.tuples.push(name.clone());
            }
        }
        self.lengths.push((lines, name));
    }
}

impl<'ast> Visit<'ast> for FunctionVisitor {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
    }
}
