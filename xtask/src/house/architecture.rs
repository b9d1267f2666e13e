//! Uses of the processor's architecture: the decoder, names of registers, bytes of instructions.

use syn::visit::{self, Visit};

use super::sources::{Sources, is_test};

/// Folders that may know the architecture.
const HOMES: [&str; 4] = [
    "tracer/src/arch",
    "tracer-common/src/arch",
    "tracer-ebpf/src/arch",
    "cpython/src/arch.rs",
];

/// The decoder's crate.
const DECODER: &str = "iced_x86";

/// The general registers of x86-64.
const REGISTERS: [&str; 18] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "rip", "r8", "r9", "r10", "r11", "r12",
    "r13", "r14", "r15", "rflags",
];

/// First bytes of instructions: `int3`, `call`, `jmp`, `ret`, `nop`.
const OPCODES: [u128; 6] = [0xcc, 0xe8, 0xe9, 0xeb, 0xc3, 0x90];

/// Every use of one of them outside of its home.
pub(super) fn strangers(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for file in &sources.files {
        if HOMES.iter().any(|home| file.path.starts_with(home)) {
            continue;
        }
        let mut visitor = ArchitectureVisitor::default();
        visitor.visit_file(&file.syntax);
        let uses = visitor.found.iter();
        found.extend(uses.map(|what| format!("{}: {what}", file.path.display())));
    }
    found
}

#[derive(Default)]
struct ArchitectureVisitor {
    found: Vec<String>,
}

impl<'ast> Visit<'ast> for ArchitectureVisitor {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes: &[syn::Attribute] = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_ident(&mut self, ident: &'ast syn::Ident) {
        let name = ident.to_string();
        if name == DECODER || REGISTERS.contains(&name.to_lowercase().as_str()) {
            self.found.push(name);
        }
    }

    fn visit_lit(&mut self, literal: &'ast syn::Lit) {
        match literal {
            syn::Lit::Str(text) if REGISTERS.contains(&text.value().as_str()) => {
                self.found.push(format!("\"{}\"", text.value()));
            }
            syn::Lit::Int(number) => {
                let text = number.to_string();
                let value = number.base10_parse::<u128>();
                if text.starts_with("0x") && value.is_ok_and(|value| OPCODES.contains(&value)) {
                    self.found.push(text);
                }
            }
            _ => {}
        }
    }
}
