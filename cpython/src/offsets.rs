//! The offsets of the fields of CPython's structures, for each minor version.
//!
//! The numbers in `offsets/` are written by `cargo run -p tracer-cpython --example offsets`: it
//! compiles `offsets/probe.c`, a list of `offsetof` expressions, against the headers of each
//! version. Structures that no header declares are constants beside the code that reads them.
//!
//! The layout of an object is part of a minor version: it has not changed within one so far. The
//! state of the runtime and of the interpreter has changed within minor versions. From 3.13 on,
//! `_Py_DebugOffsets` tells where its fields are. Before, the numbers are checked against live
//! objects. See `Interpreter::find`.

mod v3_10;
mod v3_11;
mod v3_12;
mod v3_13;
mod v3_14;
mod v3_15;
mod v3_8;
mod v3_9;

/// Defines [`Offsets`] with a way to get its fields by name.
macro_rules! offsets {
    ($($(#[$doc:meta])* $field:ident: $ty:ty,)*) => {
        /// Offsets of fields in bytes, and some sizes. `None`: this version has no such field.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Offsets {
            $($(#[$doc])* pub $field: $ty,)*
        }

        /// Names of all fields, and if a version may lack them. For the generator.
        pub const FIELDS: &[(&str, bool)] = &[
            $((stringify!($field), <$ty as OffsetField>::OPTIONAL),)*
        ];

        impl Offsets {
            /// The field with this name. `None` if there is none or if this version lacks it.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($field) => OffsetField::get(&self.$field),)*
                    _ => None,
                }
            }

            /// Changes the field with this name.
            pub(crate) fn set(&mut self, name: &str, value: u64) {
                match name {
                    $(stringify!($field) => OffsetField::set(&mut self.$field, value),)*
                    _ => {}
                }
            }
        }
    };
}

/// A field of [`Offsets`].
trait OffsetField {
    const OPTIONAL: bool;
    fn get(&self) -> Option<u64>;
    fn set(&mut self, value: u64);
}

impl OffsetField for u64 {
    const OPTIONAL: bool = false;
    fn get(&self) -> Option<u64> {
        Some(*self)
    }
    fn set(&mut self, value: u64) {
        *self = value;
    }
}

impl OffsetField for Option<u64> {
    const OPTIONAL: bool = true;
    fn get(&self) -> Option<u64> {
        *self
    }
    fn set(&mut self, value: u64) {
        *self = Some(value);
    }
}

offsets! {
    /// `_PyRuntimeState.interpreters.head`.
    runtime_interpreters_head: u64,
    /// `_PyRuntimeState.gilstate.tstate_current`: the thread that holds the GIL, up to 3.11.
    runtime_thread_current: Option<u64>,
    /// `_PyRuntimeState.gc`, in 3.8.
    runtime_gc: Option<u64>,
    /// `PyInterpreterState.next`.
    interpreter_next: u64,
    /// `PyInterpreterState.threads.head`.
    interpreter_threads_head: u64,
    /// `PyInterpreterState.imports.modules`: `sys.modules`.
    interpreter_modules: u64,
    /// `PyInterpreterState.gc`, from 3.9 on.
    interpreter_gc: Option<u64>,
    /// `PyInterpreterState.jit`: a byte, from 3.14 on.
    interpreter_jit: Option<u64>,
    /// `PyInterpreterState.executor_list_head` or, from 3.15 on, `executor_count`: not zero if
    /// the JIT has run.
    interpreter_executors: Option<u64>,
    /// `PyThreadState.next`.
    thread_next: u64,
    /// `PyThreadState.thread_id`: the thread's `pthread_t`, which is its `fs` base.
    thread_id: u64,
    /// `PyThreadState.native_thread_id`: the thread's id for the kernel, from 3.11 on.
    thread_native_id: Option<u64>,
    /// `PyThreadState.current_frame`, `.cframe` (3.11, 3.12) or `.frame` (up to 3.10).
    thread_frame: u64,
    /// `_PyCFrame.current_frame`, in 3.11 and 3.12.
    cframe_frame: Option<u64>,
    /// `f_code` or `f_executable` of a frame.
    frame_code: u64,
    /// `previous` or `f_back` of a frame.
    frame_previous: u64,
    /// `f_globals` of a frame.
    frame_globals: u64,
    /// `f_builtins` of a frame.
    frame_builtins: u64,
    /// `f_locals` of a frame: the namespace of a class or module.
    frame_locals: u64,
    /// `prev_instr`, `instr_ptr` (both pointers) or `f_lasti` (a number of 32 bits) of a frame.
    frame_instruction: u64,
    /// `localsplus` of a frame.
    frame_localsplus: u64,
    /// `owner` of a frame: a byte, from 3.11 on.
    frame_owner: Option<u64>,
    /// `PyCodeObject.co_consts`.
    code_consts: u64,
    /// `PyCodeObject.co_names`.
    code_names: u64,
    /// `PyCodeObject.co_filename`.
    code_filename: u64,
    /// `PyCodeObject.co_name`.
    code_name: u64,
    /// `PyCodeObject.co_qualname`, from 3.11 on.
    code_qualname: Option<u64>,
    /// `PyCodeObject.co_firstlineno`: a number of 32 bits.
    code_first_line: u64,
    /// `PyCodeObject.co_flags`: a number of 32 bits.
    code_flags: u64,
    /// `PyCodeObject.co_argcount`: a number of 32 bits.
    code_arguments: u64,
    /// `PyCodeObject.co_kwonlyargcount`: a number of 32 bits.
    code_keyword_arguments: u64,
    /// `PyCodeObject.co_linetable`, or `co_lnotab` up to 3.9.
    code_line_table: u64,
    /// `PyCodeObject.co_exceptiontable`, from 3.11 on.
    code_exception_table: Option<u64>,
    /// `PyCodeObject.co_localsplusnames`, from 3.11 on.
    code_locals_names: Option<u64>,
    /// `PyCodeObject.co_localspluskinds`, from 3.11 on.
    code_locals_kinds: Option<u64>,
    /// `PyCodeObject.co_nlocalsplus`, from 3.11 on.
    code_locals_count: Option<u64>,
    /// `PyCodeObject.co_varnames`, up to 3.10.
    code_varnames: Option<u64>,
    /// `PyCodeObject.co_cellvars`, up to 3.10.
    code_cellvars: Option<u64>,
    /// `PyCodeObject.co_freevars`, up to 3.10.
    code_freevars: Option<u64>,
    /// `PyCodeObject.co_code_adaptive`: the instructions themselves. Up to 3.10 `co_code`: a
    /// pointer to a bytes object with them.
    code_bytes: u64,
    /// `PyCodeObject.co_version`: a number of 32 bits, from 3.12 on.
    code_version: Option<u64>,
    /// `PyCodeObject._co_monitoring`: not null if tracing has changed the code, from 3.12 on.
    code_monitoring: Option<u64>,
    /// `_PyCoMonitoringData.lines`.
    monitoring_lines: Option<u64>,
    /// `_PyCoMonitoringData.per_instruction_opcodes`.
    monitoring_instructions: Option<u64>,
    /// `PyCodeObject.co_executors`: not null if the JIT has compiled a loop, from 3.13 on.
    code_executors: Option<u64>,
    /// `PyFunctionObject.func_code`.
    function_code: u64,
    /// `PyFunctionObject.func_globals`.
    function_globals: u64,
    /// `PyFunctionObject.func_qualname`.
    function_qualname: u64,
    /// `PyTypeObject.tp_name`.
    type_name: u64,
    /// `PyTypeObject.tp_basicsize`.
    type_basicsize: u64,
    /// `PyTypeObject.tp_itemsize`.
    type_itemsize: u64,
    /// `PyTypeObject.tp_flags`.
    type_flags: u64,
    /// `PyTypeObject.tp_dict`. Null for the interpreter's own types from 3.12 on.
    type_dict: u64,
    /// `PyTypeObject.tp_dictoffset`.
    type_dictoffset: u64,
    /// `PyTypeObject.tp_mro`.
    type_mro: u64,
    /// Size of `PyTypeObject`.
    type_size: u64,
    /// `PyHeapTypeObject.ht_name`.
    heap_type_name: u64,
    /// `PyHeapTypeObject.ht_qualname`.
    heap_type_qualname: u64,
    /// `PyHeapTypeObject.ht_cached_keys`.
    heap_type_cached_keys: u64,
    /// `PyDictObject.ma_used`.
    dict_used: u64,
    /// `PyDictObject.ma_keys`.
    dict_keys: u64,
    /// `PyDictObject.ma_values`.
    dict_values: u64,
    /// `PyDictKeysObject.dk_nentries`.
    keys_entries: u64,
    /// `PyDictKeysObject.dk_indices`.
    keys_indices: u64,
    /// `PyDictKeysObject.dk_log2_size`: a byte, from 3.11 on.
    keys_log2_size: Option<u64>,
    /// `PyDictKeysObject.dk_log2_index_bytes`: a byte, from 3.11 on.
    keys_log2_bytes: Option<u64>,
    /// `PyDictKeysObject.dk_kind`: a byte, from 3.11 on.
    keys_kind: Option<u64>,
    /// `PyDictKeysObject.dk_size`, up to 3.10.
    keys_size: Option<u64>,
    /// `PyDictValues.values`.
    values_start: u64,
    /// `PyTupleObject.ob_item`.
    tuple_items: u64,
    /// `PyListObject.ob_item`.
    list_items: u64,
    /// `PySetObject.fill`.
    set_fill: u64,
    /// `PySetObject.used`.
    set_used: u64,
    /// `PySetObject.mask`.
    set_mask: u64,
    /// `PySetObject.table`.
    set_table: u64,
    /// `PyASCIIObject.length`.
    str_length: u64,
    /// `PyASCIIObject.state`.
    str_state: u64,
    /// Size of `PyASCIIObject`.
    str_ascii_size: u64,
    /// Size of `PyCompactUnicodeObject`.
    str_compact_size: u64,
    /// `PyUnicodeObject.data`.
    str_data: u64,
    /// `PyBytesObject.ob_sval`.
    bytes_value: u64,
    /// `PyByteArrayObject.ob_start`.
    bytearray_start: u64,
    /// `PyFloatObject.ob_fval`.
    float_value: u64,
    /// `PyComplexObject.cval`.
    complex_value: u64,
    /// `PyLongObject.long_value.lv_tag`, from 3.12 on.
    int_tag: Option<u64>,
    /// Digits of a `PyLongObject`.
    int_digits: u64,
    /// `PyCellObject.ob_ref`.
    cell_ref: u64,
    /// `PyModuleObject.md_dict`.
    module_dict: u64,
    /// `PyMethodObject.im_func`.
    method_function: u64,
    /// `PyMethodObject.im_self`.
    method_self: u64,
    /// `PyCFunctionObject.m_ml`.
    builtin_definition: u64,
    /// `PyCFunctionObject.m_self`.
    builtin_self: u64,
    /// `PyCFunctionObject.m_module`.
    builtin_module: u64,
    /// `PySliceObject.start`; stop and step follow.
    slice_start: u64,
    /// `PyBaseExceptionObject.dict`.
    exception_dict: u64,
    /// `PyBaseExceptionObject.args`.
    exception_args: u64,
    /// `PyDescrObject.d_name`.
    descriptor_name: u64,
    /// `PyMemberDescrObject.d_member`.
    member_definition: u64,
    /// `PyMemberDef.type`: a number of 32 bits.
    member_type: u64,
    /// `PyMemberDef.offset`.
    member_offset: u64,
    /// `PyGenObject.gi_qualname`.
    generator_qualname: u64,
}

/// A field of `_Py_DebugOffsets`, at the start of `_PyRuntime` from 3.13 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugField {
    /// Offset of the field in `_Py_DebugOffsets`.
    pub at: u64,
    /// Name of the field of [`Offsets`] that it tells.
    pub name: &'static str,
}

impl DebugField {
    /// Returns true for fields of the large structures, which have moved within minor versions.
    pub(crate) fn may_differ(&self) -> bool {
        ["runtime_", "interpreter_", "thread_"]
            .iter()
            .any(|prefix| self.name.starts_with(prefix))
    }
}

/// All that is known of a minor version.
#[derive(Debug)]
pub struct VersionTable {
    /// Minor version: 11 for 3.11.
    pub minor: u8,
    /// Offsets in the structures.
    pub offsets: Offsets,
    /// Fields of `_Py_DebugOffsets`. Empty before 3.13.
    pub debug: &'static [DebugField],
    /// The class of each opcode, a letter each. See `code::ops`.
    pub op_classes: &'static [u8; 256],
    /// The number of cache entries behind each opcode, a hexadecimal digit each.
    pub op_caches: &'static [u8; 256],
}

/// The tables of all known minor versions, in ascending order.
pub static TABLES: [&VersionTable; 8] = [
    &v3_8::TABLE,
    &v3_9::TABLE,
    &v3_10::TABLE,
    &v3_11::TABLE,
    &v3_12::TABLE,
    &v3_13::TABLE,
    &v3_14::TABLE,
    &v3_15::TABLE,
];

/// The table of a minor version of CPython 3.
#[must_use]
pub fn table(minor: u8) -> Option<&'static VersionTable> {
    TABLES.into_iter().find(|table| table.minor == minor)
}
