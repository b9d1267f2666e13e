//! C++ classes by the full names of their bases. [`super::classes`] finds them.

use std::collections::HashMap;

use crate::debuginfo::model::types::Derived;

/// Index of classes; see the [module documentation](self).
#[derive(Default)]
pub(in crate::debuginfo) struct ClassIndex {
    /// Classes by the full name of their base.
    derived: HashMap<String, Vec<Derived>>,
}

impl ClassIndex {
    pub(super) fn add(&mut self, class: Derived, bases: Vec<String>) {
        for base in bases {
            self.derived.entry(base).or_default().push(class);
        }
    }

    /// Returns the classes that derive from `class`; see
    /// [`crate::debuginfo::model::types::TypeSource::derived`].
    pub(in crate::debuginfo) fn derived(&self, class: &str, most: usize) -> Vec<Derived> {
        let found = self.derived.get(class).map(Vec::as_slice);
        let few = found.filter(|found| found.len() <= most);
        few.unwrap_or_default().to_vec()
    }
}
