//! Cache of the types that were read, and of types without a debug entry.

use std::sync::{Arc, RwLock};

use crate::debuginfo::dwarf::cache::Cache;
use crate::debuginfo::model::types::{Type, TypeId};

/// Types that are kept. One more drops all of them, so that they are read again.
const MAX_TYPES: usize = 1 << 17;
/// Types that the tracer makes (pointers to types that DWARF has no pointer for).
const MAX_MADE: usize = 1 << 16;
/// Bit in the id of a type that the tracer made.
const MADE: u64 = 1 << 63;

/// Types by their ids.
#[derive(Default)]
pub(in crate::debuginfo) struct TypeCache {
    read: Cache<TypeId, Arc<Type>>,
    made: RwLock<Vec<Arc<Type>>>,
}

impl TypeCache {
    /// Returns a type that was read before.
    pub(in crate::debuginfo) fn known(&self, id: TypeId) -> Option<Arc<Type>> {
        (id.0 & MADE == 0).then(|| self.read.get(&id)).flatten()
    }

    /// Returns one type. `read` reads it the first time.
    pub(in crate::debuginfo) fn get(
        &self,
        id: TypeId,
        read: impl FnOnce() -> Type,
    ) -> Option<Arc<Type>> {
        if id.0 & MADE != 0 {
            let made = self.made.read().ok()?;
            return made
                .get(usize::try_from(id.0 & !MADE).ok()?.checked_sub(1)?)
                .cloned();
        }
        Some(self.read.get_or_read(MAX_TYPES, id, || Arc::new(read())))
    }

    /// Keeps a type that no debug entry describes. Returns `None` if there are too many.
    pub(in crate::debuginfo) fn make(&self, ty: Type) -> Option<TypeId> {
        let mut made = self.made.write().ok()?;
        let number = match made.iter().position(|known| **known == ty) {
            Some(position) => position,
            None if made.len() >= MAX_MADE => return None,
            None => {
                made.push(Arc::new(ty));
                made.len() - 1
            }
        };
        Some(TypeId(MADE | (number as u64 + 1)))
    }
}
