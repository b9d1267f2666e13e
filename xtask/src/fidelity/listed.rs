//! Where gdb itself is wrong: each case with its reason.

/// A difference that is gdb's fault.
pub(super) struct Listed {
    /// Source file; empty: any.
    pub(super) program: &'static str,
    /// In the compiler and flags; empty: any.
    pub(super) flags: &'static str,
    /// Name of the variable; empty: any.
    pub(super) variable: &'static str,
    /// In the name of its type; empty: any.
    pub(super) type_name: &'static str,
    /// Why gdb is wrong.
    pub(super) why: &'static str,
}

/// All that are known.
pub(super) const LISTED: &[Listed] = &[
    Listed {
        program: "values.rs",
        flags: "rustc",
        variable: "self",
        type_name: "core::option::Option<core::num::nonzero::NonZero<i16>>",
        why: "the enum is a constant of the debug information; gdb reads its variant from memory at 0",
    },
    Listed {
        program: "code.rs",
        flags: "rustc",
        variable: "",
        type_name: "core::option::Option<u",
        why: "gdb chooses the variant of an enum in pieces without its tag: it says `None` of what \
              the program was called with `Some`",
    },
    Listed {
        program: "types.c",
        flags: "",
        variable: "table",
        type_name: "int [",
        why: "before its line the array has no address yet: its garbage points into code, where each \
              debugger hides its own breakpoints and sees those of the kernel",
    },
    Listed {
        program: "code.rs",
        flags: "rustc",
        variable: "context",
        type_name: "core::task::wake::Context",
        why: "gdb chooses the variant of an enum in pieces without its tag",
    },
];

impl Listed {
    /// Whether a difference is this one.
    pub(super) fn is(&self, program: &str, flags: &str, variable: &str, type_name: &str) -> bool {
        (self.program.is_empty() || self.program == program)
            && flags.contains(self.flags)
            && (self.variable.is_empty() || self.variable == variable)
            && type_name.contains(self.type_name)
    }
}
