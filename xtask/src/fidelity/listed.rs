//! Errors of gdb itself, with the reason of each.

/// A difference that gdb causes.
pub(super) struct Listed {
    /// Source file; empty for any.
    pub(super) program: &'static str,
    /// Text in the compiler and flags; empty for any.
    pub(super) flags: &'static str,
    /// Name of the variable; empty for any.
    pub(super) variable: &'static str,
    /// Text in the name of its type; empty for any.
    pub(super) type_name: &'static str,
    /// Reason why gdb is wrong.
    pub(super) why: &'static str,
}

/// All known errors.
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
    /// Returns true if a difference is this one.
    pub(super) fn is(&self, program: &str, flags: &str, variable: &str, type_name: &str) -> bool {
        (self.program.is_empty() || self.program == program)
            && flags.contains(self.flags)
            && (self.variable.is_empty() || self.variable == variable)
            && type_name.contains(self.type_name)
    }
}
