// Prints one line "field value" for each field of `Offsets` (src/offsets.rs), from the headers of one CPython.
//
// `cargo run -p tracer-cpython --example offsets` compiles it, see there. A field that this version lacks is not printed.
#define Py_BUILD_CORE 1
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdio.h>
#include "frameobject.h"
#include "structmember.h"
#if PY_VERSION_HEX < 0x03090000
#include "internal/pycore_pymem.h"
#include "internal/pycore_pystate.h"
#else
#include "internal/pycore_interp.h"
#include "internal/pycore_pystate.h"
#include "internal/pycore_runtime.h"
#include "internal/pycore_gc.h"
#endif
#if PY_VERSION_HEX >= 0x030B0000
#include "internal/pycore_frame.h"
#include "internal/pycore_dict.h"
#include "internal/pycore_code.h"
#include "internal/pycore_long.h"
#endif
#if PY_VERSION_HEX >= 0x030E0000
#include "internal/pycore_interpframe_structs.h"
#include "internal/pycore_unicodeobject.h"
#endif

#if PY_VERSION_HEX < 0x030B0000
// Objects/dict-common.h, which is not installed.
struct keys {
    Py_ssize_t dk_refcnt;
    Py_ssize_t dk_size;
    void *dk_lookup;
    Py_ssize_t dk_usable;
    Py_ssize_t dk_nentries;
    char dk_indices[];
};
#else
#define keys _dictkeysobject
#endif

#define P(name, value) printf("%s %zu\n", name, (size_t)(value))
#define O(name, type, member) P(name, offsetof(type, member))
#define D(name, member) printf("debug %s %zu\n", name, offsetof(struct _Py_DebugOffsets, member))

static void runtime(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    O("runtime_interpreters_head", _PyRuntimeState, interpreters.head);
#else
    O("runtime_interpreters_head", _PyRuntimeState, interpreters.head);
    O("runtime_thread_current", _PyRuntimeState, gilstate.tstate_current);
#endif
#if PY_VERSION_HEX < 0x03090000
    O("runtime_gc", _PyRuntimeState, gc);
    O("interpreter_next", PyInterpreterState, next);
    O("interpreter_threads_head", PyInterpreterState, tstate_head);
    O("interpreter_modules", PyInterpreterState, modules);
#else
    O("interpreter_next", PyInterpreterState, next);
#if PY_VERSION_HEX < 0x030B0000
    O("interpreter_threads_head", PyInterpreterState, tstate_head);
#else
    O("interpreter_threads_head", PyInterpreterState, threads.head);
#endif
#if PY_VERSION_HEX < 0x030C0000
    O("interpreter_modules", PyInterpreterState, modules);
#else
    O("interpreter_modules", PyInterpreterState, imports.modules);
#endif
    O("interpreter_gc", PyInterpreterState, gc);
#endif
#if PY_VERSION_HEX >= 0x030E0000
    O("interpreter_jit", PyInterpreterState, jit);
#endif
#if PY_VERSION_HEX >= 0x030F0000
    O("interpreter_executors", PyInterpreterState, executor_count);
#elif PY_VERSION_HEX >= 0x030D0000
    O("interpreter_executors", PyInterpreterState, executor_list_head);
#endif
}

static void thread(void)
{
    O("thread_next", PyThreadState, next);
    O("thread_id", PyThreadState, thread_id);
#if PY_VERSION_HEX >= 0x030B0000
    O("thread_native_id", PyThreadState, native_thread_id);
#endif
#if PY_VERSION_HEX >= 0x030D0000
    O("thread_frame", PyThreadState, current_frame);
#elif PY_VERSION_HEX >= 0x030B0000
    O("thread_frame", PyThreadState, cframe);
    O("cframe_frame", _PyCFrame, current_frame);
#else
    O("thread_frame", PyThreadState, frame);
#endif
}

static void frame(void)
{
#if PY_VERSION_HEX < 0x030B0000
    O("frame_code", PyFrameObject, f_code);
    O("frame_previous", PyFrameObject, f_back);
    O("frame_globals", PyFrameObject, f_globals);
    O("frame_builtins", PyFrameObject, f_builtins);
    O("frame_locals", PyFrameObject, f_locals);
    O("frame_instruction", PyFrameObject, f_lasti);
    O("frame_localsplus", PyFrameObject, f_localsplus);
#else
#if PY_VERSION_HEX < 0x030D0000
    O("frame_code", _PyInterpreterFrame, f_code);
    O("frame_instruction", _PyInterpreterFrame, prev_instr);
#else
    O("frame_code", _PyInterpreterFrame, f_executable);
    O("frame_instruction", _PyInterpreterFrame, instr_ptr);
#endif
    O("frame_previous", _PyInterpreterFrame, previous);
    O("frame_globals", _PyInterpreterFrame, f_globals);
    O("frame_builtins", _PyInterpreterFrame, f_builtins);
    O("frame_locals", _PyInterpreterFrame, f_locals);
    O("frame_localsplus", _PyInterpreterFrame, localsplus);
    O("frame_owner", _PyInterpreterFrame, owner);
#endif
}

static void code(void)
{
    O("code_consts", PyCodeObject, co_consts);
    O("code_names", PyCodeObject, co_names);
    O("code_filename", PyCodeObject, co_filename);
    O("code_name", PyCodeObject, co_name);
    O("code_first_line", PyCodeObject, co_firstlineno);
    O("code_flags", PyCodeObject, co_flags);
    O("code_arguments", PyCodeObject, co_argcount);
    O("code_keyword_arguments", PyCodeObject, co_kwonlyargcount);
#if PY_VERSION_HEX >= 0x030A0000
    O("code_line_table", PyCodeObject, co_linetable);
#else
    O("code_line_table", PyCodeObject, co_lnotab);
#endif
#if PY_VERSION_HEX >= 0x030B0000
    O("code_qualname", PyCodeObject, co_qualname);
    O("code_locals_names", PyCodeObject, co_localsplusnames);
    O("code_locals_kinds", PyCodeObject, co_localspluskinds);
    O("code_locals_count", PyCodeObject, co_nlocalsplus);
    O("code_bytes", PyCodeObject, co_code_adaptive);
    O("code_exception_table", PyCodeObject, co_exceptiontable);
#else
    O("code_varnames", PyCodeObject, co_varnames);
    O("code_cellvars", PyCodeObject, co_cellvars);
    O("code_freevars", PyCodeObject, co_freevars);
    O("code_bytes", PyCodeObject, co_code);
#endif
#if PY_VERSION_HEX >= 0x030C0000
    O("code_version", PyCodeObject, co_version);
    O("code_monitoring", PyCodeObject, _co_monitoring);
    O("monitoring_lines", _PyCoMonitoringData, lines);
    O("monitoring_instructions", _PyCoMonitoringData, per_instruction_opcodes);
#endif
#if PY_VERSION_HEX >= 0x030D0000
    O("code_executors", PyCodeObject, co_executors);
#endif
}

static void function_and_type(void)
{
    O("function_code", PyFunctionObject, func_code);
    O("function_globals", PyFunctionObject, func_globals);
    O("function_qualname", PyFunctionObject, func_qualname);
    O("type_name", PyTypeObject, tp_name);
    O("type_basicsize", PyTypeObject, tp_basicsize);
    O("type_itemsize", PyTypeObject, tp_itemsize);
    O("type_flags", PyTypeObject, tp_flags);
    O("type_dict", PyTypeObject, tp_dict);
    O("type_dictoffset", PyTypeObject, tp_dictoffset);
    O("type_mro", PyTypeObject, tp_mro);
    O("type_size", PyHeapTypeObject, as_async);
    O("heap_type_name", PyHeapTypeObject, ht_name);
    O("heap_type_qualname", PyHeapTypeObject, ht_qualname);
    O("heap_type_cached_keys", PyHeapTypeObject, ht_cached_keys);
}

static void containers(void)
{
    O("dict_used", PyDictObject, ma_used);
    O("dict_keys", PyDictObject, ma_keys);
    O("dict_values", PyDictObject, ma_values);
    O("keys_entries", struct keys, dk_nentries);
    O("keys_indices", struct keys, dk_indices);
#if PY_VERSION_HEX >= 0x030B0000
    O("keys_log2_size", struct keys, dk_log2_size);
    O("keys_log2_bytes", struct keys, dk_log2_index_bytes);
    O("keys_kind", struct keys, dk_kind);
    O("values_start", struct _dictvalues, values);
#else
    O("keys_size", struct keys, dk_size);
    P("values_start", 0);
#endif
    O("tuple_items", PyTupleObject, ob_item);
    O("list_items", PyListObject, ob_item);
    O("set_fill", PySetObject, fill);
    O("set_used", PySetObject, used);
    O("set_mask", PySetObject, mask);
    O("set_table", PySetObject, table);
    O("str_length", PyASCIIObject, length);
    O("str_state", PyASCIIObject, state);
    P("str_ascii_size", sizeof(PyASCIIObject));
    P("str_compact_size", sizeof(PyCompactUnicodeObject));
    O("str_data", PyUnicodeObject, data);
    O("bytes_value", PyBytesObject, ob_sval);
    O("bytearray_start", PyByteArrayObject, ob_start);
    O("float_value", PyFloatObject, ob_fval);
    O("complex_value", PyComplexObject, cval);
#if PY_VERSION_HEX >= 0x030C0000
    O("int_tag", PyLongObject, long_value.lv_tag);
    O("int_digits", PyLongObject, long_value.ob_digit);
#else
    O("int_digits", PyLongObject, ob_digit);
#endif
}

static void others(void)
{
    O("cell_ref", PyCellObject, ob_ref);
    P("module_dict", sizeof(PyObject)); // moduleobject.h has it for the core alone; md_dict is first in all versions.
    O("method_function", PyMethodObject, im_func);
    O("method_self", PyMethodObject, im_self);
    O("builtin_definition", PyCFunctionObject, m_ml);
    O("builtin_self", PyCFunctionObject, m_self);
    O("builtin_module", PyCFunctionObject, m_module);
    O("slice_start", PySliceObject, start);
    O("exception_dict", PyBaseExceptionObject, dict);
    O("exception_args", PyBaseExceptionObject, args);
    O("descriptor_name", PyMemberDescrObject, d_common.d_name);
    O("member_definition", PyMemberDescrObject, d_member);
    O("member_type", PyMemberDef, type);
    O("member_offset", PyMemberDef, offset);
    O("generator_qualname", PyGenObject, gi_qualname);
}

#if PY_VERSION_HEX >= 0x030D0000
static void debug(void)
{
    D("runtime_interpreters_head", runtime_state.interpreters_head);
    D("interpreter_next", interpreter_state.next);
    D("interpreter_gc", interpreter_state.gc);
    D("interpreter_threads_head", interpreter_state.threads_head);
    D("interpreter_modules", interpreter_state.imports_modules);
    D("thread_next", thread_state.next);
    D("thread_id", thread_state.thread_id);
    D("thread_native_id", thread_state.native_thread_id);
    D("thread_frame", thread_state.current_frame);
    D("frame_previous", interpreter_frame.previous);
    D("frame_code", interpreter_frame.executable);
    D("frame_instruction", interpreter_frame.instr_ptr);
    D("frame_localsplus", interpreter_frame.localsplus);
    D("frame_owner", interpreter_frame.owner);
    D("code_filename", code_object.filename);
    D("code_name", code_object.name);
    D("code_qualname", code_object.qualname);
    D("code_line_table", code_object.linetable);
    D("code_first_line", code_object.firstlineno);
    D("code_arguments", code_object.argcount);
    D("code_locals_names", code_object.localsplusnames);
    D("code_locals_kinds", code_object.localspluskinds);
    D("code_bytes", code_object.co_code_adaptive);
    D("type_name", type_object.tp_name);
    D("type_flags", type_object.tp_flags);
    D("tuple_items", tuple_object.ob_item);
    D("list_items", list_object.ob_item);
    D("dict_keys", dict_object.ma_keys);
    D("dict_values", dict_object.ma_values);
    D("float_value", float_object.ob_fval);
    D("int_tag", long_object.lv_tag);
    D("int_digits", long_object.ob_digit);
    D("bytes_value", bytes_object.ob_sval);
    D("str_state", unicode_object.state);
    D("str_length", unicode_object.length);
    D("str_ascii_size", unicode_object.asciiobject_size);
#if PY_VERSION_HEX >= 0x030E0000
    D("set_used", set_object.used);
    D("set_table", set_object.table);
    D("set_mask", set_object.mask);
#endif
#if PY_VERSION_HEX >= 0x030F0000
    D("heap_type_cached_keys", heap_type_object.ht_cached_keys);
#endif
}
#endif

int main(void)
{
    P("hexversion", PY_VERSION_HEX);
    runtime();
    thread();
    frame();
    code();
    function_and_type();
    containers();
    others();
#if PY_VERSION_HEX >= 0x030D0000
    debug();
#endif
    return 0;
}
