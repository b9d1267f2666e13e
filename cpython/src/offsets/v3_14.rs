//! CPython 3.14, from the headers of 3.14.10.
//!
//! Written by `cargo run -p tracer-cpython --example offsets`.

use super::{DebugField, Offsets, VersionTable};

pub(super) static TABLE: VersionTable = VersionTable {
    minor: 14,
    offsets: Offsets {
        runtime_interpreters_head: 808,
        runtime_thread_current: None,
        runtime_gc: None,
        interpreter_next: 7272,
        interpreter_threads_head: 7344,
        interpreter_modules: 7688,
        interpreter_gc: Some(7408),
        interpreter_jit: Some(223184),
        interpreter_executors: Some(223192),
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
        frame_localsplus: 80,
        frame_owner: Some(74),
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
        code_bytes: 208,
        code_version: Some(92),
        code_monitoring: Some(176),
        monitoring_lines: Some(96),
        monitoring_instructions: Some(112),
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
        tuple_items: 32,
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
            at: 88,
            name: "interpreter_gc",
        },
        DebugField {
            at: 72,
            name: "interpreter_threads_head",
        },
        DebugField {
            at: 96,
            name: "interpreter_modules",
        },
        DebugField {
            at: 192,
            name: "thread_next",
        },
        DebugField {
            at: 216,
            name: "thread_id",
        },
        DebugField {
            at: 224,
            name: "thread_native_id",
        },
        DebugField {
            at: 208,
            name: "thread_frame",
        },
        DebugField {
            at: 256,
            name: "frame_previous",
        },
        DebugField {
            at: 264,
            name: "frame_code",
        },
        DebugField {
            at: 272,
            name: "frame_instruction",
        },
        DebugField {
            at: 280,
            name: "frame_localsplus",
        },
        DebugField {
            at: 288,
            name: "frame_owner",
        },
        DebugField {
            at: 320,
            name: "code_filename",
        },
        DebugField {
            at: 328,
            name: "code_name",
        },
        DebugField {
            at: 336,
            name: "code_qualname",
        },
        DebugField {
            at: 344,
            name: "code_line_table",
        },
        DebugField {
            at: 352,
            name: "code_first_line",
        },
        DebugField {
            at: 360,
            name: "code_arguments",
        },
        DebugField {
            at: 368,
            name: "code_locals_names",
        },
        DebugField {
            at: 376,
            name: "code_locals_kinds",
        },
        DebugField {
            at: 384,
            name: "code_bytes",
        },
        DebugField {
            at: 424,
            name: "type_name",
        },
        DebugField {
            at: 440,
            name: "type_flags",
        },
        DebugField {
            at: 456,
            name: "tuple_items",
        },
        DebugField {
            at: 480,
            name: "list_items",
        },
        DebugField {
            at: 536,
            name: "dict_keys",
        },
        DebugField {
            at: 544,
            name: "dict_values",
        },
        DebugField {
            at: 560,
            name: "float_value",
        },
        DebugField {
            at: 576,
            name: "int_tag",
        },
        DebugField {
            at: 584,
            name: "int_digits",
        },
        DebugField {
            at: 608,
            name: "bytes_value",
        },
        DebugField {
            at: 624,
            name: "str_state",
        },
        DebugField {
            at: 632,
            name: "str_length",
        },
        DebugField {
            at: 640,
            name: "str_ascii_size",
        },
        DebugField {
            at: 504,
            name: "set_used",
        },
        DebugField {
            at: 512,
            name: "set_table",
        },
        DebugField {
            at: 520,
            name: "set_mask",
        },
    ],
    op_classes: b"\
        .......T...........................R............................\
        .....EF....BNJ......................ffffRRf..............???????\
        S..........................................FFFFBB...............\
        ....Sf..............??????????????????????...FIJ.ffffSR......BLX",
    op_caches: b"\
        0005000000000000000000000000000000000013000050000000300311000000\
        0000001000010000900000000000400010001111001000400000000100000000\
        0555555555555553333333333333333333333311111111111999999999999900\
        4411014441133333311100000000000000000000000001000111100001330100",
};
