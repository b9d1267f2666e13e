//! Objects into values.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::shape::ReprShape;
use super::{PyItems, PyValue};
use crate::heap::{Elements, Heap, PyMissing, Read, TypeInfo};
use crate::limits::VALUE_READS;
use crate::native::Singleton;

/// Levels of containers above which [`ValueLimits::depth`] has no effect.
const DEEPEST: usize = 100;

/// How much of a value is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueLimits {
    /// Levels of containers. Deeper ones are [`PyValue::Omitted`].
    pub depth: usize,
    /// Elements of each container.
    pub elements: usize,
    /// Characters of each text, and bytes of each `bytes`.
    pub text: usize,
    /// Parts of the whole value.
    pub parts: usize,
}

impl Default for ValueLimits {
    fn default() -> Self {
        Self {
            depth: 8,
            elements: 100,
            text: 1000,
            parts: 2000,
        }
    }
}

/// Decodes the object at an address. Zero is a variable that is not set.
#[must_use]
pub fn decode(heap: &Heap<'_>, object: u64, limits: ValueLimits) -> PyValue {
    let decoder = ValueDecoder {
        heap,
        limits,
        parts: Cell::new(0),
        level: Cell::new(0),
        open: RefCell::default(),
        shapes: RefCell::default(),
    };
    heap.within(VALUE_READS, || decoder.value(object))
}

/// The decoding of one value.
pub(super) struct ValueDecoder<'a, 'm> {
    pub(super) heap: &'a Heap<'m>,
    pub(super) limits: ValueLimits,
    parts: Cell<usize>,
    /// Values that are being decoded.
    level: Cell<usize>,
    /// Containers that are being decoded, outermost first.
    open: RefCell<Vec<u64>>,
    shapes: RefCell<foldhash::HashMap<u64, Rc<ReprShape>>>,
}

impl ValueDecoder<'_, '_> {
    /// The value of an object.
    pub(super) fn value(&self, object: u64) -> PyValue {
        self.read_value(object).unwrap_or_else(PyValue::Unavailable)
    }

    fn read_value(&self, object: u64) -> Read<PyValue> {
        if object == 0 {
            return Err(PyMissing::Unbound);
        }
        if let Some(singleton) = self.heap.singleton(object) {
            return Ok(match singleton {
                Singleton::None => PyValue::None,
                Singleton::Ellipsis => PyValue::Ellipsis,
                Singleton::NotImplemented => PyValue::NotImplemented,
                Singleton::True => PyValue::Bool(true),
                Singleton::False => PyValue::Bool(false),
            });
        }
        if !self.count_part() {
            return Ok(PyValue::Omitted);
        }
        // Damaged objects may be their own parts in ways that are no containers.
        let level = self.level.get();
        if level > self.limits.depth.min(DEEPEST) * 2 + 8 {
            return Ok(PyValue::Omitted);
        }
        self.level.set(level + 1);
        let value = self.heap.type_of(object).and_then(|ty| {
            let shape = self.shape(&ty);
            self.shaped(object, &ty, &shape)
        });
        self.level.set(level);
        value
    }

    /// Counts a part of the value. Returns false if there are too many.
    pub(super) fn count_part(&self) -> bool {
        let count = self.parts.get();
        self.parts.set(count.saturating_add(1));
        count < self.limits.parts
    }

    /// How objects of a type are shown.
    fn shape(&self, ty: &TypeInfo) -> Rc<ReprShape> {
        if let Some(known) = self.shapes.borrow().get(&ty.address) {
            return Rc::clone(known);
        }
        let shape = Rc::new(ReprShape::of(self.heap, ty));
        self.shapes
            .borrow_mut()
            .insert(ty.address, Rc::clone(&shape));
        shape
    }

    /// Decodes the parts of an object. An object within itself is `recursion`.
    pub(super) fn inside(
        &self,
        object: u64,
        recursion: &str,
        decode: impl FnOnce() -> Read<PyValue>,
    ) -> Read<PyValue> {
        {
            let mut open = self.open.borrow_mut();
            if open.contains(&object) {
                return Ok(PyValue::Recursion(recursion.to_owned()));
            }
            if open.len() >= self.limits.depth.min(DEEPEST) {
                return Ok(PyValue::Omitted);
            }
            open.push(object);
        }
        let value = decode();
        self.open.borrow_mut().pop();
        value
    }

    pub(super) fn items(&self, elements: &Elements) -> PyItems {
        PyItems {
            items: elements
                .items
                .iter()
                .map(|item| self.value(*item))
                .collect(),
            of: elements.of,
        }
    }
}
