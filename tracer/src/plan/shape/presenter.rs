//! The table of presenters for the types of the standard libraries.
//!
//! A presenter makes a shape of a value's content instead of its members. `plan::presenters` has
//! the presenters. The builder knows the table as [`LibraryTypes`].

use crate::debuginfo::types::{Language, StructType, Type};
use crate::plan::shape::Node;
use crate::plan::shape::builder::{Builder, LibraryTypes};

/// Makes the shapes of a library's structs.
pub(in crate::plan) struct Presenter {
    /// The language of the structs.
    pub(in crate::plan) language: Language,
    /// The name by which the library's types are known. `None` for types of other libraries.
    pub(in crate::plan) name: fn(&Type) -> Option<&str>,
    /// Names of all types that the presenter handles. One `*` stands for any characters.
    pub(in crate::plan) types: &'static [&'static str],
    /// The shape of a struct, with `depth` levels of pointers left. `None` if its members are not
    /// as expected; then they are shown themselves.
    pub(in crate::plan) present: fn(&mut Builder<'_>, &Type, &StructType, u32) -> Option<Node>,
}

impl Presenter {
    /// The pattern of a type's name in the presenter's list. `None` if it does not handle the type.
    pub(in crate::plan) fn pattern_of(&self, ty: &Type) -> Option<&'static str> {
        if self.language != ty.language {
            return None;
        }
        let name = (self.name)(ty)?;
        let mut all = self.types.iter().copied();
        all.find(|pattern| has_form(name, pattern))
    }
}

/// Returns true if a name has the form of a pattern, in which one `*` stands for any characters.
fn has_form(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((start, end)) => name
            .strip_prefix(start)
            .is_some_and(|rest| rest.ends_with(end)),
    }
}

/// Makes the shapes of classes that the debug information only declares, but whose layout the
/// library's ABI defines.
pub(in crate::plan) struct DeclaredPresenter {
    /// Bytes of an object. `None` for other classes.
    pub(in crate::plan) size: fn(&Builder<'_>, &Type) -> Option<u64>,
    /// The shape of an object. `None` for other classes.
    pub(in crate::plan) present: fn(&mut Builder<'_>, &Type) -> Option<Node>,
}

/// All presenters. The first one that gives a shape wins.
pub(in crate::plan) struct Presenters {
    pub(in crate::plan) structs: &'static [Presenter],
    pub(in crate::plan) declared: &'static [DeclaredPresenter],
}

impl LibraryTypes for Presenters {
    fn present(
        &self,
        builder: &mut Builder<'_>,
        ty: &Type,
        body: &StructType,
        depth: u32,
    ) -> Option<Node> {
        let handles = |presenter: &&Presenter| presenter.pattern_of(ty).is_some();
        let mut candidates = self.structs.iter().filter(handles);
        candidates.find_map(|presenter| (presenter.present)(builder, ty, body, depth))
    }

    fn present_declared(&self, builder: &mut Builder<'_>, ty: &Type) -> Option<Node> {
        let mut all = self.declared.iter();
        all.find_map(|presenter| (presenter.present)(builder, ty))
    }

    fn declared_size(&self, builder: &Builder<'_>, ty: &Type) -> Option<u64> {
        let mut all = self.declared.iter();
        all.find_map(|presenter| (presenter.size)(builder, ty))
    }
}
