//! Casts to types that the program names: enums, pointers, typedefs of integers.

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::{Language, StructType, TypeId, TypeKind};
use crate::lang::ast::Expr;
use crate::plan::expr::integer_types::c_integer;
use crate::plan::expr::operand::{Number, NumberKind, Operand};
use crate::plan::expr::resolver::Resolver;
use crate::plan::expr::wide;
use crate::plan::expr::wide::Side;
use crate::plan::ops::ir::Ir;
use crate::plan::ops::spots::{Spot, Spots};
use crate::plan::shape::builder::Builder;

/// Most stars in the name of a type.
const STARS: usize = 4;
/// Nesting depth to which two types of one name are compared.
const DEPTH: u32 = 8;
/// Most members that such a comparison looks at.
const MEMBERS: u32 = 1 << 12;

/// A type as the probe writes it: `struct node *`, `*const list::Node`.
struct Written {
    stars: usize,
    /// `struct`, `union`, `class`, `enum`.
    tag: Option<String>,
    name: String,
}

impl Written {
    /// `None` if no number can be cast to such a type.
    fn parse(text: &str) -> Option<Self> {
        let (mut rest, mut stars) = (text.trim(), 0);
        while let Some(target) = rest.strip_prefix('*') {
            let target = target.trim_start();
            let mut words = ["const ", "mut "].into_iter();
            let target = words.find_map(|word| target.strip_prefix(word));
            (rest, stars) = (target?.trim_start(), stars + 1);
        }
        while let Some(target) = rest.strip_suffix('*') {
            (rest, stars) = (target.trim_end(), stars + 1);
        }
        let qualifiers = ["const", "volatile"];
        let mut words = rest
            .split_whitespace()
            .filter(|word| !qualifiers.contains(word))
            .peekable();
        let tag = words.next_if(|word| ["struct", "union", "class", "enum"].contains(word));
        let tag = tag.map(str::to_owned);
        let name = words.collect::<Vec<_>>().join(" ");
        let is_type = !name.is_empty() && !name.contains(['*', '&']) && stars <= STARS;
        is_type.then_some(Self { stars, tag, name })
    }

    /// The names that compilers write for the type.
    fn names(&self) -> Vec<String> {
        let count = |wanted| self.name.split(' ').filter(|word| *word == wanted).count();
        if count("__int128") == 1 && count("unsigned") == 1 {
            return vec!["__int128 unsigned".into(), "unsigned __int128".into()];
        }
        // Names of several words have spellings of their own. `char` is neither `signed char` nor
        // `unsigned char`.
        let Some((_, signed)) = c_integer(&self.name).filter(|_| self.tag.is_none()) else {
            return vec![self.name.clone()];
        };
        let sign = if signed { "" } else { "unsigned " };
        match (count("char"), count("short"), count("long")) {
            (1, ..) if count("signed") > 0 => vec!["signed char".into()],
            (1, ..) => vec![format!("{sign}char")],
            (_, 1, _) => vec![format!("short {sign}int"), format!("{sign}short")],
            (_, _, 1) => vec![format!("long {sign}int"), format!("{sign}long")],
            (_, _, 2) => vec![format!("long long {sign}int"), format!("{sign}long long")],
            _ => vec![format!("{sign}int")],
        }
    }

    /// Returns true if a type has the kind that the tag demands.
    fn fits(&self, kind: &TypeKind) -> bool {
        match self.tag.as_deref() {
            None => true,
            Some("enum") => matches!(kind, TypeKind::Enum { .. }),
            Some("union") => matches!(kind, TypeKind::Union(_)),
            Some(_) => matches!(kind, TypeKind::Struct(_)),
        }
    }
}

impl Resolver<'_, '_> {
    /// A cast to a type that the languages do not define themselves.
    pub(super) fn named_cast(
        &mut self,
        expr: &Expr,
        inner: &Expr,
        ty: &str,
    ) -> Result<Operand, Diagnostic> {
        let refused = |hint: String| {
            let error = Diagnostic::at(&expr.span, format!("no cast to `{ty}`"));
            Err(error.hint(hint))
        };
        let Some(written) = Written::parse(ty) else {
            return refused(
                "casts are to integers, floats, enums and pointers: `u64`, `f64`, `enum colour`, `struct node *`, `*const Node`"
                    .into(),
            );
        };
        if written.stars > 0 && written.name == "void" && written.tag.is_none() {
            let ir = self.address_in(inner)?;
            return Ok(Operand::Number(Number {
                ir,
                size: 8,
                signed: false,
                kind: NumberKind::Pointer,
            }));
        }
        let found = match self.type_of_name(&written) {
            Ok(Some(found)) => found,
            Ok(None) => {
                return refused(format!(
                    "the debug information here has no type `{}`; casts are to integers, floats, enums and pointers",
                    written.name
                ));
            }
            Err(()) => {
                return refused(format!(
                    "several different types are named `{}`; write the whole path",
                    written.name
                ));
            }
        };
        if written.stars == 0 {
            return self.scalar_cast(expr, inner, found, ty);
        }
        let pointer = (0..written.stars).try_fold(found, |ty, _| self.builder.raw_pointer(ty));
        let Some(pointer) = pointer else {
            return refused("there are too many casts to different types".into());
        };
        let address = self.address_in(inner)?;
        Ok(Operand::Place(
            Spots::whole(8, Spot::Number(address)),
            pointer,
        ))
    }

    /// A cast to an enum, or to a typedef of an integer, float or pointer.
    fn scalar_cast(
        &mut self,
        expr: &Expr,
        inner: &Expr,
        found: TypeId,
        ty: &str,
    ) -> Result<Operand, Diagnostic> {
        let resolved = self.builder.resolve(found);
        if let TypeKind::Pointer { .. } = resolved.kind {
            let address = Spot::Number(self.address_in(inner)?);
            return Ok(Operand::Place(Spots::whole(8, address), found));
        }
        if matches!(resolved.kind, TypeKind::Float)
            && let Some(size @ (4 | 8)) = resolved.size
        {
            let number = self.float_in(inner, size as u8)?;
            return Ok(Operand::Place(
                Spots::whole(size, Spot::Number(number.ir)),
                found,
            ));
        }
        if matches!(resolved.kind, TypeKind::Int { .. }) && resolved.size == Some(wide::SIZE) {
            return Side::new(self, inner)?.cast(self, inner, found);
        }
        let scalar = match resolved.kind {
            TypeKind::Enum { size, signed, .. } => Some((size, signed)),
            TypeKind::Int { signed } => resolved.size.map(|size| (size, signed)),
            _ => None,
        };
        let scalar = scalar.and_then(|(size, signed)| Some((u8::try_from(size).ok()?, signed)));
        let Some((size @ (1 | 2 | 4 | 8), signed)) = scalar else {
            let error = Diagnostic::at(&expr.span, format!("no cast to `{ty}`"));
            let hint = match resolved.kind {
                TypeKind::Struct(_) | TypeKind::Union(_) if resolved.language == Language::Rust => {
                    format!("cast to a pointer instead: `*(p as *const {ty})`")
                }
                TypeKind::Struct(_) if resolved.language == Language::C => {
                    format!("as in C, cast to a pointer instead: `*({ty} *)p`")
                }
                TypeKind::Struct(_) | TypeKind::Union(_) => {
                    format!("cast to a pointer instead: `*({ty} *)p`")
                }
                TypeKind::Bool => "write a comparison: `x != 0`".into(),
                TypeKind::Float => {
                    "only casts to floats of four and eight bytes are supported".into()
                }
                _ => "casts are to integers, floats, enums and pointers".into(),
            };
            return Err(error.hint(hint));
        };
        let ir = self.integer_in(inner, size, signed)?;
        let spots = Spots::whole(u64::from(size), Spot::Number(ir));
        Ok(Operand::Place(spots, found))
    }

    /// The address in an expression: the value of a pointer, the target of a Rust reference, the
    /// first element of a C array.
    fn address_in(&mut self, inner: &Expr) -> Result<Ir, Diagnostic> {
        self.unconfined(inner, "casts to pointers")?;
        let operand = match Side::new(self, inner)? {
            Side::Other(operand) => operand,
            wide => return Ok(wide.number(self, inner)?.ir),
        };
        let Operand::Place(spots, ty) = operand else {
            return Ok(self.computable_of(inner, operand)?.ir);
        };
        let (spots, ty) = self.referent(inner, spots, ty)?;
        let resolved = self.builder.resolve(ty);
        match resolved.kind {
            TypeKind::Pointer { .. } => {
                let address = spots.project(0, 8).number();
                address.map_err(|why| Diagnostic::at(&inner.span, why.to_string()))
            }
            TypeKind::Array { .. } if resolved.language != Language::Rust => {
                let address = spots.address().cloned();
                address.ok_or_else(|| Diagnostic::at(&inner.span, "this has no address here"))
            }
            _ => {
                let operand = Operand::Place(spots, ty);
                Ok(self.computable_of(inner, operand)?.ir)
            }
        }
    }

    /// The type of that name. `Err` if different types have it.
    fn type_of_name(&self, written: &Written) -> Result<Option<TypeId>, ()> {
        let mut found: Vec<TypeId> = Vec::new();
        for name in written.names() {
            found.extend((self.scope.types)(&name));
        }
        let kinds = |id: &TypeId| self.builder.declared(*id);
        found.retain(|id| written.fits(&kinds(id)));
        // In C, a name without a tag is the name of a typedef.
        let is_alias = |id: &TypeId| matches!(kinds(id), TypeKind::Alias(_));
        if found.iter().any(is_alias) {
            found.retain(is_alias);
        }
        let Some((first, others)) = found.split_first() else {
            return Ok(None);
        };
        let mut left = MEMBERS;
        let mut same = |other: &TypeId| is_same(self.builder, *first, *other, DEPTH, &mut left);
        if others.iter().all(&mut same) {
            Ok(Some(*first))
        } else {
            Err(())
        }
    }
}

/// Returns true if two types of one name are the same type, described by two units.
fn is_same(builder: &Builder<'_>, a: TypeId, b: TypeId, depth: u32, left: &mut u32) -> bool {
    if a == b {
        return true;
    }
    let (Some(deeper), Some(rest)) = (depth.checked_sub(1), left.checked_sub(1)) else {
        return false;
    };
    *left = rest;
    let (x, y) = (builder.resolve(a), builder.resolve(b));
    if x.name != y.name || x.size != y.size || x.language != y.language {
        return false;
    }
    let mut same = |a: TypeId, b: TypeId| is_same(builder, a, b, deeper, left);
    match (&x.kind, &y.kind) {
        (TypeKind::Struct(x), TypeKind::Struct(y)) | (TypeKind::Union(x), TypeKind::Union(y)) => {
            let plain = |body: &StructType| body.variants.is_none();
            plain(x)
                && plain(y)
                && x.bases.len() == y.bases.len()
                && x.bases
                    .iter()
                    .zip(&y.bases)
                    .all(|(x, y)| x.offset == y.offset && same(x.ty, y.ty))
                && x.members.len() == y.members.len()
                && x.members.iter().zip(&y.members).all(|(x, y)| {
                    x.name == y.name && (x.offset, x.bits) == (y.offset, y.bits) && same(x.ty, y.ty)
                })
        }
        // The targets have the same name. They may be the very types that are being compared, so
        // they are not compared again.
        (TypeKind::Pointer { kind: x, .. }, TypeKind::Pointer { kind: y, .. }) => x == y,
        (
            TypeKind::Array {
                element: x,
                dimensions: n,
            },
            TypeKind::Array {
                element: y,
                dimensions: m,
            },
        ) => n == m && same(*x, *y),
        (x, y) => x == y,
    }
}
