//! CPython 3.13, from the headers of 3.13.18.
//!
//! Written by `cargo run -p tracer-cpython --example offsets`.

use super::{DebugField, Offsets, VersionTable};

pub(super) static TABLE: VersionTable = VersionTable {
    minor: 13,
    offsets: Offsets {
        runtime_interpreters_head: 632,
        runtime_thread_current: None,
        runtime_gc: None,
        interpreter_next: 7264,
        interpreter_threads_head: 7344,
        interpreter_modules: 7656,
        interpreter_gc: Some(7400),
        interpreter_jit: None,
        interpreter_executors: Some(193112),
        thread_next: 8,
        thread_id: 152,
        thread_native_id: Some(160),
        thread_frame: 72,
        cframe_frame: None,
        frame_code: 0,
        frame_previous: 8,
        frame_globals: 24,
        frame_builtins: 32,
        frame_locals: 40,
        frame_instruction: 56,
        frame_localsplus: 72,
        frame_owner: Some(70),
        code_consts: 24,
        code_names: 32,
        code_filename: 112,
        code_name: 120,
        code_qualname: Some(128),
        code_first_line: 68,
        code_flags: 48,
        code_arguments: 52,
        code_keyword_arguments: 60,
        code_line_table: 136,
        code_exception_table: Some(40),
        code_locals_names: Some(96),
        code_locals_kinds: Some(104),
        code_locals_count: Some(72),
        code_varnames: None,
        code_cellvars: None,
        code_freevars: None,
        code_bytes: 200,
        code_version: Some(92),
        code_monitoring: Some(176),
        monitoring_lines: Some(32),
        monitoring_instructions: Some(48),
        code_executors: Some(152),
        function_code: 48,
        function_globals: 16,
        function_qualname: 40,
        type_name: 24,
        type_basicsize: 32,
        type_itemsize: 40,
        type_flags: 168,
        type_dict: 264,
        type_dictoffset: 288,
        type_mro: 344,
        type_size: 416,
        heap_type_name: 856,
        heap_type_qualname: 872,
        heap_type_cached_keys: 880,
        dict_used: 16,
        dict_keys: 32,
        dict_values: 40,
        keys_entries: 24,
        keys_indices: 32,
        keys_log2_size: Some(8),
        keys_log2_bytes: Some(9),
        keys_kind: Some(10),
        keys_size: None,
        values_start: 8,
        tuple_items: 24,
        list_items: 24,
        set_fill: 16,
        set_used: 24,
        set_mask: 32,
        set_table: 40,
        str_length: 16,
        str_state: 32,
        str_ascii_size: 40,
        str_compact_size: 56,
        str_data: 56,
        bytes_value: 32,
        bytearray_start: 40,
        float_value: 16,
        complex_value: 16,
        int_tag: Some(16),
        int_digits: 24,
        cell_ref: 16,
        module_dict: 16,
        method_function: 16,
        method_self: 24,
        builtin_definition: 16,
        builtin_self: 24,
        builtin_module: 32,
        slice_start: 16,
        exception_dict: 16,
        exception_args: 24,
        descriptor_name: 24,
        member_definition: 40,
        member_type: 8,
        member_offset: 16,
        generator_qualname: 32,
    },
    debug: &[
        DebugField {
            at: 40,
            name: "runtime_interpreters_head",
        },
        DebugField {
            at: 64,
            name: "interpreter_next",
        },
        DebugField {
            at: 80,
            name: "interpreter_gc",
        },
        DebugField {
            at: 72,
            name: "interpreter_threads_head",
        },
        DebugField {
            at: 88,
            name: "interpreter_modules",
        },
        DebugField {
            at: 168,
            name: "thread_next",
        },
        DebugField {
            at: 192,
            name: "thread_id",
        },
        DebugField {
            at: 200,
            name: "thread_native_id",
        },
        DebugField {
            at: 184,
            name: "thread_frame",
        },
        DebugField {
            at: 232,
            name: "frame_previous",
        },
        DebugField {
            at: 240,
            name: "frame_code",
        },
        DebugField {
            at: 248,
            name: "frame_instruction",
        },
        DebugField {
            at: 256,
            name: "frame_localsplus",
        },
        DebugField {
            at: 264,
            name: "frame_owner",
        },
        DebugField {
            at: 280,
            name: "code_filename",
        },
        DebugField {
            at: 288,
            name: "code_name",
        },
        DebugField {
            at: 296,
            name: "code_qualname",
        },
        DebugField {
            at: 304,
            name: "code_line_table",
        },
        DebugField {
            at: 312,
            name: "code_first_line",
        },
        DebugField {
            at: 320,
            name: "code_arguments",
        },
        DebugField {
            at: 328,
            name: "code_locals_names",
        },
        DebugField {
            at: 336,
            name: "code_locals_kinds",
        },
        DebugField {
            at: 344,
            name: "code_bytes",
        },
        DebugField {
            at: 376,
            name: "type_name",
        },
        DebugField {
            at: 392,
            name: "type_flags",
        },
        DebugField {
            at: 408,
            name: "tuple_items",
        },
        DebugField {
            at: 432,
            name: "list_items",
        },
        DebugField {
            at: 456,
            name: "dict_keys",
        },
        DebugField {
            at: 464,
            name: "dict_values",
        },
        DebugField {
            at: 480,
            name: "float_value",
        },
        DebugField {
            at: 496,
            name: "int_tag",
        },
        DebugField {
            at: 504,
            name: "int_digits",
        },
        DebugField {
            at: 528,
            name: "bytes_value",
        },
        DebugField {
            at: 544,
            name: "str_state",
        },
        DebugField {
            at: 552,
            name: "str_length",
        },
        DebugField {
            at: 560,
            name: "str_ascii_size",
        },
    ],
    op_classes: b"\
        ........T...........................R...........................\
        ......XEF....BNJ.................ffffRRRf..............?????????\
        ?????????????????????S.....................................FFFF.\
        ...............Sf..............?????????????S..RR..F...IJBffffL?",
    op_caches: b"\
        0001010000000000000000000000000000000001300001000000030000110000\
        0000000010000100009000000004010001111000100040000000010000000000\
        0000000000000000000000111111111111333333333333333333331111111119\
        9999999999944110144411333333111000000000000000000011300001111100",
};
