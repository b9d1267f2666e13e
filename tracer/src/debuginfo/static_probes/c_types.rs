//! Types of C by their names, for casts of a USDT probe's arguments: `(char *)$arg1`.
//!
//! Libraries and interpreters are often without debug information, which would have these types.

use crate::debuginfo::model::site::Site;
use crate::debuginfo::model::types::{Language, Type, TypeId, TypeKind};
use crate::debuginfo::module::Module;

const SIGNED: TypeKind = TypeKind::Int { signed: true };
const UNSIGNED: TypeKind = TypeKind::Int { signed: false };
/// `char` is signed on x86-64 and a letter in either case.
const LETTER: TypeKind = TypeKind::Char { signed: true };

/// The types: name, bytes, kind. Names of several words are as compilers write them.
const TYPES: [(&str, u64, TypeKind); 37] = [
    ("char", 1, LETTER),
    ("signed char", 1, LETTER),
    ("unsigned char", 1, TypeKind::Char { signed: false }),
    ("short int", 2, SIGNED),
    ("short unsigned int", 2, UNSIGNED),
    ("int", 4, SIGNED),
    ("unsigned int", 4, UNSIGNED),
    ("long int", 8, SIGNED),
    ("long unsigned int", 8, UNSIGNED),
    ("long long int", 8, SIGNED),
    ("long long unsigned int", 8, UNSIGNED),
    ("float", 4, TypeKind::Float),
    ("double", 8, TypeKind::Float),
    ("_Bool", 1, TypeKind::Bool),
    ("bool", 1, TypeKind::Bool),
    ("int8_t", 1, SIGNED),
    ("int16_t", 2, SIGNED),
    ("int32_t", 4, SIGNED),
    ("int64_t", 8, SIGNED),
    ("uint8_t", 1, UNSIGNED),
    ("uint16_t", 2, UNSIGNED),
    ("uint32_t", 4, UNSIGNED),
    ("uint64_t", 8, UNSIGNED),
    ("size_t", 8, UNSIGNED),
    ("ssize_t", 8, SIGNED),
    ("intptr_t", 8, SIGNED),
    ("uintptr_t", 8, UNSIGNED),
    ("i8", 1, SIGNED),
    ("i16", 2, SIGNED),
    ("i32", 4, SIGNED),
    ("i64", 8, SIGNED),
    ("u8", 1, UNSIGNED),
    ("u16", 2, UNSIGNED),
    ("u32", 4, UNSIGNED),
    ("u64", 8, UNSIGNED),
    ("f32", 4, TypeKind::Float),
    ("f64", 8, TypeKind::Float),
];

impl Module {
    /// Returns the types with this name at a site. At the site of a USDT probe these are the plain
    /// types of C if the debug information has none of the name.
    #[must_use]
    pub fn types_at(&self, site: &Site, name: &str) -> Vec<TypeId> {
        let found = self.types_named(name, Some(site.address));
        if !found.is_empty() || site.usdt.is_none() {
            return found;
        }
        let known = TYPES.iter().find(|(known, ..)| *known == name);
        let made = known.and_then(|(name, size, kind)| {
            self.caches.types.make(Type {
                name: (*name).to_owned(),
                size: Some(*size),
                language: Language::C,
                kind: kind.clone(),
            })
        });
        made.into_iter().collect()
    }

    /// Returns the language of the code at a site. Arguments of USDT probes are those of C where
    /// the debug information does not know the code.
    #[must_use]
    pub fn language_of(&self, site: &Site) -> Language {
        match self.language_at(site) {
            Language::Other if site.usdt.is_some() => Language::C,
            language => language,
        }
    }
}
