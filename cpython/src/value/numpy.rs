//! Arrays and scalars of numpy, and the shapes of pandas objects.

use super::decode::ValueDecoder;
use super::numbers::float_repr;
use super::stdlib::{little_endian, sign_extended};
use super::{PyArgument, PyCall, PyItems, PyValue};
use crate::heap::{OB_HEAD, PyMissing, Read, TypeInfo};
use crate::native::Native;

/// `PyArrayObject_fields` of numpy's `ndarraytypes.h`, the same in numpy 1 and 2.
const DATA: u64 = 16;
const DIMENSIONS: u64 = 24;
const SHAPE: u64 = 32;
const STRIDES: u64 = 40;
const DESCRIPTION: u64 = 56;
/// `_PyArray_Descr.kind` and `.type_num`.
const KIND: u64 = 24;
const TYPE_NUMBER: u64 = 28;
/// `NPY_MAXDIMS` of numpy 2.
const MAX_DIMENSIONS: u32 = 64;

/// The types of numpy with a fixed size, by their number.
const TYPES: [(&str, usize); 24] = [
    ("bool", 1),
    ("int8", 1),
    ("uint8", 1),
    ("int16", 2),
    ("uint16", 2),
    ("int32", 4),
    ("uint32", 4),
    ("int64", 8),
    ("uint64", 8),
    ("int64", 8),
    ("uint64", 8),
    ("float32", 4),
    ("float64", 8),
    ("longdouble", 16),
    ("complex64", 8),
    ("complex128", 16),
    ("clongdouble", 32),
    ("object", 8),
    ("bytes", 0),
    ("str", 0),
    ("void", 0),
    ("datetime64", 8),
    ("timedelta64", 8),
    ("float16", 2),
];

impl ValueDecoder<'_, '_> {
    /// An array: its first elements, its shape and the type of its elements.
    pub(super) fn nd_array(&self, object: u64) -> Read<PyValue> {
        let heap = self.heap;
        let dimensions = heap.number(object, DIMENSIONS)?;
        if dimensions > MAX_DIMENSIONS {
            return Err(PyMissing::Damaged {
                what: "ndarray",
                address: object,
            });
        }
        let count = dimensions as usize;
        let (mut shape, mut strides) = (Vec::new(), Vec::new());
        if count > 0 {
            let shape_at = heap.pointer(object, SHAPE)?;
            let strides_at = heap.pointer(object, STRIDES)?;
            shape = heap.pointers(shape_at, count as u64, count)?.items;
            strides = heap.pointers(strides_at, count as u64, count)?.items;
        }
        let data = heap.word(object.wrapping_add(DATA))?;
        let number = self.element_type(heap.pointer(object, DESCRIPTION)?)?;
        let (name, _) = TYPES[number];
        let axes = ArrayAxes {
            shape: &shape,
            strides: &strides,
        };
        let first = self.elements(data, number, axes);
        let size = shape
            .iter()
            .copied()
            .map(|length| PyValue::int(length.cast_signed()));
        let named = |name: &str, value: PyValue| PyArgument {
            name: Some(name.to_owned()),
            value,
        };
        let size = PyValue::Tuple(PyItems {
            of: count as u64,
            items: size.collect(),
        });
        Ok(PyCall::new(
            "ndarray",
            vec![
                first.into(),
                named("shape", size),
                named("dtype", PyValue::Described(name.to_owned())),
            ],
        )
        .into())
    }

    /// The number of a type of elements.
    fn element_type(&self, description: u64) -> Read<usize> {
        let number = self.heap.number(description, TYPE_NUMBER)? as usize;
        // The kind says if the number is where it is believed to be.
        let kind = self.heap.byte(description, KIND)?;
        if number < TYPES.len() && b"?biufcOSUVMm".contains(&kind) {
            return Ok(number);
        }
        Err(PyMissing::NotA {
            expected: "dtype of numpy itself",
            address: description,
        })
    }

    /// Elements along the first axis.
    fn elements(&self, data: u64, number: usize, axes: ArrayAxes<'_>) -> PyValue {
        let Some((length, stride, inner)) = axes.split() else {
            return self
                .element(data, number)
                .unwrap_or_else(PyValue::Unavailable);
        };
        let limit = (self.limits.elements as u64).min(length);
        let place = |at: u64| data.wrapping_add(at.wrapping_mul(stride));
        let list = self.inside(place(0) ^ inner.shape.len() as u64, "[...]", || {
            let items = (0..limit).map(|at| self.part(place(at), number, inner));
            Ok(PyValue::List(PyItems {
                items: items.collect(),
                of: length,
            }))
        });
        list.unwrap_or_else(PyValue::Unavailable)
    }

    /// An element, counted as a part of the value.
    fn part(&self, data: u64, number: usize, axes: ArrayAxes<'_>) -> PyValue {
        if !self.count_part() {
            return PyValue::Omitted;
        }
        self.elements(data, number, axes)
    }

    fn element(&self, address: u64, number: usize) -> Read<PyValue> {
        let heap = self.heap;
        let (name, width) = TYPES[number];
        if name == "object" {
            return Ok(self.value(heap.word(address)?));
        }
        if width == 0 || width > 16 || name == "longdouble" {
            return Ok(PyValue::Omitted);
        }
        let bytes = heap.read(address, width)?;
        let bits = little_endian(&bytes);
        let float = |bytes: &[u8]| match bytes.len() {
            4 => f64::from(f32::from_bits(little_endian(bytes) as u32)),
            _ => f64::from_bits(little_endian(bytes)),
        };
        Ok(match name {
            "bool" => PyValue::Bool(bits != 0),
            "float32" => PyValue::Described(single_repr(f32::from_bits(bits as u32))),
            "float64" => PyValue::Float(f64::from_bits(bits)),
            "float16" => PyValue::Float(half(bits as u16)),
            "complex64" | "complex128" => {
                let (real, imaginary) = bytes.split_at(width / 2);
                PyValue::Complex {
                    real: float(real),
                    imaginary: float(imaginary),
                }
            }
            _ if name.starts_with("uint") => PyValue::int(bits),
            _ => PyValue::int(sign_extended(bits, width)),
        })
    }

    /// A scalar: the value is behind the head of the object.
    pub(super) fn numpy_scalar(&self, object: u64, ty: &TypeInfo, name: &str) -> Read<PyValue> {
        let name = match name {
            // Names of numpy 1, and of types that have two.
            "bool_" => "bool",
            "longlong" => "int64",
            "ulonglong" => "uint64",
            "str_" | "bytes_" => return self.numpy_text(object, ty, name),
            name => name,
        };
        let Some(number) = TYPES.iter().position(|(known, _)| *known == name) else {
            return self.described(object, ty, Native::Other);
        };
        let value = self.element(object.wrapping_add(OB_HEAD), number)?;
        Ok(match value {
            PyValue::Bool(true) => PyValue::Described("np.True_".to_owned()),
            PyValue::Bool(false) => PyValue::Described("np.False_".to_owned()),
            // Its parentheses are those of the call.
            value @ PyValue::Complex { .. } => {
                let text = value.to_string();
                let inner = text.trim_start_matches('(').trim_end_matches(')');
                PyValue::Described(format!("np.{name}({inner})"))
            }
            value => PyCall::of_values(format!("np.{name}"), [value]).into(),
        })
    }

    fn numpy_text(&self, object: u64, ty: &TypeInfo, name: &str) -> Read<PyValue> {
        let text = self.native(object, ty, ty.native)?;
        Ok(PyCall::of_values(format!("np.{name}"), [text]).into())
    }

    /// A pandas object by its shape: that of the index of each axis.
    pub(super) fn pandas(&self, object: u64, name: &str) -> Read<PyValue> {
        let heap = self.heap;
        let manager = heap.attribute(object, "_mgr")?.ok_or(PyMissing::Unbound)?;
        // An attribute or, in a class that Cython defines, the one list among the first fields.
        let fields = heap.pointers(manager.wrapping_add(OB_HEAD), 8, 8)?.items;
        let attribute = heap.attribute(manager, "axes")?;
        let mut candidates = attribute.into_iter().chain(fields);
        let axes = candidates.find(|field| heap.is(*field, Native::List));
        let axes = heap.list(axes.ok_or(PyMissing::Unbound)?, 2)?;
        let mut shape = Vec::new();
        for axis in axes.items.iter().rev() {
            shape.push(self.axis_length(*axis)?);
        }
        let shape = shape.iter().map(|length| PyValue::int(length.clone()));
        let shape = PyValue::Tuple(PyItems {
            of: axes.of,
            items: shape.collect(),
        });
        let argument = PyArgument {
            name: Some("shape".to_owned()),
            value: shape,
        };
        Ok(PyCall::new(name, vec![argument]).into())
    }

    /// The length of an index: of its array, or of its range.
    fn axis_length(&self, index: u64) -> Read<num_bigint::BigInt> {
        let heap = self.heap;
        if let Some(range) = heap.attribute(index, "_range")?
            && heap.is(range, Native::Range)
            && let crate::heap::PyInt::Exact(length) =
                heap.int(heap.pointer(range, OB_HEAD + 24)?)?
        {
            return Ok(length);
        }
        let mut data = heap.attribute(index, "_data")?.ok_or(PyMissing::Unbound)?;
        // An extension array has its numpy array inside: in a field of a class that Cython
        // defines, or in an attribute.
        let is_array = |object: u64| {
            let ty = heap.type_of(object);
            ty.is_ok_and(|ty| ty.native == Native::NdArray)
        };
        if !is_array(data) {
            let fields = heap.pointers(data.wrapping_add(OB_HEAD), 4, 4)?.items;
            let attribute = heap.attribute(data, "_ndarray")?;
            let inner = fields
                .into_iter()
                .chain(attribute)
                .find(|field| is_array(*field));
            data = inner.unwrap_or(data);
        }
        if !is_array(data) {
            return Err(PyMissing::NotA {
                expected: "array of numpy",
                address: data,
            });
        }
        let shape = heap.pointer(data, SHAPE)?;
        Ok(heap.word(shape)?.into())
    }
}

/// The axes of an array.
#[derive(Clone, Copy)]
struct ArrayAxes<'a> {
    shape: &'a [u64],
    strides: &'a [u64],
}

impl<'a> ArrayAxes<'a> {
    /// Length and stride of the first axis, and the others.
    fn split(self) -> Option<(u64, u64, ArrayAxes<'a>)> {
        let (length, shape) = self.shape.split_first()?;
        let (stride, strides) = self.strides.split_first()?;
        Some((*length, *stride, ArrayAxes { shape, strides }))
    }
}

/// A float of 32 bits with its shortest digits.
fn single_repr(number: f32) -> String {
    let shortest = format!("{number:e}").parse::<f64>();
    float_repr(shortest.unwrap_or_else(|_| f64::from(number)))
}

/// A float of 16 bits.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    match exponent {
        0 => sign * fraction * 2f64.powi(-14),
        0x1f if fraction == 0.0 => sign * f64::INFINITY,
        0x1f => f64::NAN,
        _ => sign * (1.0 + fraction) * 2f64.powi(exponent - 15),
    }
}
