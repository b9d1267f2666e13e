//! Names: where the variables of a code object are, and their values in a frame.

use crate::heap::{GlobalEntry, Heap, PyMissing, Read};
use crate::limits::LOCALS;
use crate::native::Native;
use crate::threads::FrameAddress;

/// The kind of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PyVariableKind {
    /// Its value is in the frame.
    Local,
    /// An inner function uses it: the frame has a cell with the value.
    Cell,
    /// A variable of an outer function: the frame has a cell with the value.
    Free,
}

/// A variable of a code object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PyVariable {
    /// Its name.
    pub name: String,
    /// Its index in `localsplus` of the frame.
    pub index: usize,
    /// Its kind.
    pub kind: PyVariableKind,
    /// Set for arguments.
    pub is_argument: bool,
}

/// The names of a code object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeNames {
    /// Its variables. Those that Python code cannot name, such as `.0`, are left out.
    pub variables: Vec<PyVariable>,
    /// The names are looked up in a dict first: the code of a module or a class.
    pub has_namespace: bool,
}

/// `CO_OPTIMIZED`: variables are in the frame.
const OPTIMIZED: u32 = 1;
/// `CO_VARARGS` and `CO_VARKEYWORDS`: `*args` and `**kwargs`.
const VARIADIC: [u32; 2] = [4, 8];
/// `CO_FAST_CELL` and `CO_FAST_FREE`.
const FAST_CELL: u8 = 0x40;
const FAST_FREE: u8 = 0x80;
/// `CO_FAST_HIDDEN`: a variable of a comprehension in a class or module.
const FAST_HIDDEN: u8 = 0x10;

impl CodeNames {
    /// The names of the code object at an address.
    ///
    /// # Errors
    ///
    /// [`PyMissing`] if the code object cannot be read or is damaged.
    pub fn of(heap: &Heap<'_>, code: u64) -> Read<Self> {
        let offsets = heap.offsets();
        let flags = heap.number(code, offsets.code_flags)?;
        let named = heap.number(code, offsets.code_arguments)? as usize;
        let keywords = heap.number(code, offsets.code_keyword_arguments)? as usize;
        let variadic = VARIADIC.iter().filter(|flag| flags & **flag != 0).count();
        let arguments = named.saturating_add(keywords).saturating_add(variadic);
        let names = |offset: u64| -> Read<Vec<String>> {
            let tuple = heap.pointer(code, offset)?;
            heap.expect(tuple, Native::Tuple, "tuple")?;
            let items = heap.tuple(tuple, LOCALS)?.items;
            items.into_iter().map(|name| heap.name(name)).collect()
        };
        let mut variables = Vec::new();
        let mut add = |name: String, index: usize, kind: PyVariableKind| {
            // A cell of an argument has the value, and the argument's own place is empty.
            variables.retain(|known: &PyVariable| known.name != name);
            variables.push(PyVariable {
                name,
                index,
                kind,
                is_argument: index < arguments,
            });
        };
        if let (Some(locals), Some(kinds)) = (offsets.code_locals_names, offsets.code_locals_kinds)
        {
            let kinds = heap.bytes(heap.pointer(code, kinds)?, LOCALS)?.bytes;
            for (index, (name, kind)) in names(locals)?.into_iter().zip(kinds).enumerate() {
                if kind & FAST_HIDDEN != 0 {
                    continue;
                }
                let kind = match kind {
                    kind if kind & FAST_FREE != 0 => PyVariableKind::Free,
                    kind if kind & FAST_CELL != 0 => PyVariableKind::Cell,
                    _ => PyVariableKind::Local,
                };
                add(name, index, kind);
            }
        } else {
            let mut index = 0;
            for (offset, kind) in [
                (offsets.code_varnames, PyVariableKind::Local),
                (offsets.code_cellvars, PyVariableKind::Cell),
                (offsets.code_freevars, PyVariableKind::Free),
            ] {
                for name in names(offset.unwrap_or_default())? {
                    add(name, index, kind);
                    index += 1;
                }
            }
        }
        variables.retain(|variable| !variable.name.starts_with('.'));
        Ok(Self {
            variables,
            has_namespace: flags & OPTIMIZED == 0,
        })
    }

    /// The variable with this name.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&PyVariable> {
        self.variables.iter().find(|variable| variable.name == name)
    }
}

/// A frame, and the names in it.
///
/// The thread must not run meanwhile: see the crate's documentation.
pub struct FrameScope<'a, 'm> {
    pub(crate) heap: &'a Heap<'m>,
    names: CodeNames,
    frame: u64,
}

impl<'a, 'm> FrameScope<'a, 'm> {
    /// The names in a frame of Python code.
    ///
    /// # Errors
    ///
    /// [`PyMissing`] if the frame or its code object cannot be read or is damaged.
    pub fn new(heap: &'a Heap<'m>, frame: FrameAddress) -> Read<Self> {
        heap.expect(frame.code, Native::Code, "code")?;
        Ok(Self {
            heap,
            names: CodeNames::of(heap, frame.code)?,
            frame: frame.frame,
        })
    }

    /// The names of the frame's code.
    #[must_use]
    pub fn names(&self) -> &CodeNames {
        &self.names
    }

    /// The object that a variable is bound to.
    ///
    /// # Errors
    ///
    /// [`PyMissing::Unbound`] if it has no value yet, or [`PyMissing`] if it cannot be read.
    pub fn variable(&self, variable: &PyVariable) -> Read<u64> {
        let heap = self.heap;
        let index = (variable.index as u64).saturating_mul(8);
        let place = heap.offsets().frame_localsplus.wrapping_add(index);
        let object = heap.word(self.frame.wrapping_add(place))?;
        let object = heap.python().untagged(object);
        if object == 0 {
            return Err(PyMissing::Unbound);
        }
        // Before the function's first line, the place of a cell still has the value itself.
        if variable.kind != PyVariableKind::Local && heap.is(object, Native::Cell) {
            return heap.pointer(object, heap.offsets().cell_ref);
        }
        Ok(object)
    }

    /// The object that a name means here: a variable, an entry of the namespace, a global or a
    /// builtin one. `None` if there is no such name.
    ///
    /// # Errors
    ///
    /// As for [`Self::variable`].
    pub fn lookup(&self, name: &str) -> Read<Option<u64>> {
        if let Some(variable) = self.names.variable(name) {
            return self.variable(variable).map(Some);
        }
        let offsets = self.heap.offsets();
        let namespace = self.names.has_namespace.then_some(offsets.frame_locals);
        let dicts = [offsets.frame_globals, offsets.frame_builtins];
        for offset in namespace.into_iter().chain(dicts) {
            let dict = self.heap.word(self.frame.wrapping_add(offset))?;
            if dict == 0 || self.heap.type_of(dict)?.native != Native::Dict {
                continue;
            }
            if let Some(found) = self.heap.lookup(dict, name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl Heap<'_> {
    /// The entry of a name in a dict of global variables.
    ///
    /// # Errors
    ///
    /// [`PyMissing`] if the dict cannot be read or is damaged.
    pub fn name_entry(&self, dict: u64, name: &str) -> Read<Option<GlobalEntry>> {
        self.expect(dict, Native::Dict, "dict")?;
        self.entry_place(dict, name)
    }

    /// The dict of the builtin names that code with these globals sees.
    ///
    /// # Errors
    ///
    /// [`PyMissing`] if the memory cannot be read or is damaged.
    pub fn builtins(&self, globals: u64) -> Read<Option<u64>> {
        let Some(builtins) = self.lookup(globals, "__builtins__")? else {
            return Ok(None);
        };
        if self.is(builtins, Native::Module) {
            return self.pointer(builtins, self.offsets().module_dict).map(Some);
        }
        Ok(self.is(builtins, Native::Dict).then_some(builtins))
    }
}
