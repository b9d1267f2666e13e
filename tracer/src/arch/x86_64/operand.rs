//! Operands in AT&T syntax, as GCC and Clang write them into the notes of USDT probes.
//!
//! An operand that is not understood as a whole is not read at all.

use iced_x86::{Code, Register};

use super::instruction::Instruction;
use super::registers;
use crate::arch::operand::{AssemblerOperand, MemorySum, ScaledIndex, SymbolReference};

/// Suffix of a symbol whose distance from the thread pointer is meant.
const FROM_THREAD: &str = "@tpoff";
/// Prefix of memory at a distance from the thread pointer.
const THREAD_SEGMENT: &str = "%fs:";

/// Returns true if `code` begins with an instruction that does nothing, in any of its lengths.
#[must_use]
pub fn is_nop(code: &[u8]) -> bool {
    Instruction::first(code, 0).is_some_and(|instruction| {
        matches!(
            instruction.decoded.code(),
            Code::Nopw | Code::Nopd | Code::Nopq | Code::Nop_rm16 | Code::Nop_rm32 | Code::Nop_rm64
        )
    })
}

/// Reads an operand: `$5`, `%eax`, `-8(%rbp)`, `sym+4(%rip)`, `%fs:16`. Returns `None` if it has
/// any part that is not understood.
#[must_use]
pub fn parse_operand(text: &str) -> Option<AssemblerOperand<'_>> {
    let text = text.trim();
    if let Some(number) = text.strip_prefix('$') {
        let Sum { symbol, number } = Sum::parse(number)?;
        return Some(AssemblerOperand::Immediate {
            symbol,
            value: number,
        });
    }
    if let Some(rest) = text.strip_prefix(THREAD_SEGMENT) {
        let mut memory = memory(rest)?;
        // Other symbols are addresses, which the processor would add to the thread pointer.
        if memory.symbol.is_some_and(|symbol| !symbol.of_thread) {
            return None;
        }
        memory.of_thread = true;
        return Some(AssemblerOperand::Memory(memory));
    }
    match text.strip_prefix('%') {
        Some(name) => register(name),
        None => memory(text).map(AssemblerOperand::Memory),
    }
}

/// A general register of any width, or another one that is not captured.
fn register(name: &str) -> Option<AssemblerOperand<'_>> {
    if let Some(register) = general(name) {
        let number = registers::number(register.full_register())?;
        let high = [Register::AH, Register::BH, Register::CH, Register::DH];
        return Some(AssemblerOperand::Register {
            number,
            shift: if high.contains(&register) { 8 } else { 0 },
            size: u8::try_from(register.size()).ok()?,
        });
    }
    let (kind, number) = name.split_at(
        name.find(|c: char| c.is_ascii_digit())
            .unwrap_or(name.len()),
    );
    let number_fits = number.parse().is_ok_and(|number: u8| number < 32);
    let is_numbered = ["xmm", "ymm", "zmm", "mm", "k", "cr", "dr"].contains(&kind) && number_fits;
    let stack_top = name.strip_prefix("st").is_some_and(|rest| {
        let inside = rest
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'));
        rest.is_empty() || inside.is_some_and(|digit| digit.parse().is_ok_and(|n: u8| n < 8))
    });
    let is_segment = ["cs", "ds", "es", "fs", "gs", "ss"].contains(&name);
    (is_numbered || stack_top || is_segment).then_some(AssemblerOperand::NotCaptured(name))
}

/// The general register with this name in the assembler.
fn general(name: &str) -> Option<Register> {
    let is_named = |register: &Register| {
        // The assembler writes `r8b` for the lowest byte, and the decoder's library `r8l`.
        let own = format!("{register:?}").to_ascii_lowercase();
        let own = match own
            .strip_prefix('r')
            .and_then(|rest| rest.strip_suffix('l'))
        {
            Some(number) if number.parse::<u8>().is_ok() => format!("r{number}b"),
            _ => own,
        };
        own == name
    };
    Register::values()
        .filter(|register| register.is_gpr())
        .find(is_named)
}

/// `DISPLACEMENT(BASE,INDEX,SCALE)`, with any part left out.
fn memory(text: &str) -> Option<MemorySum<'_>> {
    let text = text.trim();
    let Some(inside) = text.strip_suffix(')') else {
        let Sum { symbol, number } = Sum::parse(text)?;
        return Some(MemorySum {
            symbol,
            displacement: number,
            ..MemorySum::default()
        });
    };
    let (front, inside) = inside.split_once('(')?;
    let Sum { symbol, number } = match front.trim() {
        "" => Sum::default(),
        front => Sum::parse(front)?,
    };
    let mut memory = MemorySum {
        symbol,
        displacement: number,
        ..MemorySum::default()
    };
    let mut parts = inside.split(',').map(str::trim);
    let base = parts.next()?;
    let index = parts.next().unwrap_or_default();
    let scale = parts.next();
    if parts.next().is_some() {
        return None;
    }
    if base == "%rip" {
        // The assembler counts from the next instruction, and resolves a symbol to the symbol.
        let is_address = symbol.is_some_and(|symbol| !symbol.of_thread);
        return (is_address && index.is_empty() && scale.is_none()).then_some(memory);
    }
    if base.is_empty() && index.is_empty() {
        return None;
    }
    if !base.is_empty() {
        memory.base = Some(address_register(base)?);
    }
    if index.is_empty() {
        return scale.is_none().then_some(memory);
    }
    let scale = match scale.unwrap_or("1") {
        "1" => 1,
        "2" => 2,
        "4" => 4,
        "8" => 8,
        _ => return None,
    };
    let register = address_register(index)?;
    if register == registers::STACK_POINTER {
        return None;
    }
    memory.index = Some(ScaledIndex { register, scale });
    Some(memory)
}

/// A register of 64 bits. Narrower ones would cut the address.
fn address_register(text: &str) -> Option<u8> {
    registers::number(general(text.strip_prefix('%')?)?)
}

/// A sum of numbers, and of at most one symbol.
#[derive(Default)]
struct Sum<'t> {
    symbol: Option<SymbolReference<'t>>,
    number: i64,
}

impl<'t> Sum<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let mut sum = Self::default();
        let mut rest = text.trim();
        let mut is_first = true;
        while !rest.is_empty() {
            let minus = rest.starts_with('-');
            if minus || rest.starts_with('+') {
                rest = rest.get(1..)?;
            } else if !is_first {
                return None;
            }
            let end = rest.find(['+', '-']).unwrap_or(rest.len());
            let (term, behind) = rest.split_at_checked(end)?;
            let term = term.trim();
            if term.starts_with(|c: char| c.is_ascii_digit()) {
                let number = number(term)?.cast_signed();
                let number = if minus { number.wrapping_neg() } else { number };
                sum.number = sum.number.wrapping_add(number);
            } else if minus || sum.symbol.is_some() {
                return None;
            } else {
                sum.symbol = Some(symbol(term)?);
            }
            (rest, is_first) = (behind, false);
        }
        (!is_first).then_some(sum)
    }
}

/// A number in the assembler's notation: decimal, `0x…`, or octal after a zero.
fn number(text: &str) -> Option<u64> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match (hexadecimal, text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    let is_digit = |c: char| c.is_digit(radix);
    digits.chars().all(is_digit).then_some(())?;
    u64::from_str_radix(digits, radix).ok()
}

fn symbol(text: &str) -> Option<SymbolReference<'_>> {
    let (name, of_thread) = match text.strip_suffix(FROM_THREAD) {
        Some(name) => (name, true),
        None => (text, false),
    };
    // Other suffixes, as in `x@GOTPCREL`, mean other places than the symbol.
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
    let is_name = !name.is_empty() && name.chars().all(is_part);
    is_name.then_some(SymbolReference { name, of_thread })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(number: u8, shift: u8, size: u8) -> Option<AssemblerOperand<'static>> {
        Some(AssemblerOperand::Register {
            number,
            shift,
            size,
        })
    }

    fn plain(name: &str) -> Option<SymbolReference<'_>> {
        Some(SymbolReference {
            name,
            of_thread: false,
        })
    }

    fn memory_of(memory: MemorySum<'_>) -> Option<AssemblerOperand<'_>> {
        Some(AssemblerOperand::Memory(memory))
    }

    #[test]
    fn registers_have_the_width_of_their_name() {
        for (text, number, shift, size) in [
            ("%rax", 0, 0, 8),
            ("%edx", 1, 0, 4),
            ("%cx", 2, 0, 2),
            ("%bl", 3, 0, 1),
            ("%bh", 3, 8, 1),
            ("%ah", 0, 8, 1),
            ("%sil", 4, 0, 1),
            ("%bpl", 6, 0, 1),
            ("%rsp", 7, 0, 8),
            ("%r8", 8, 0, 8),
            ("%r9d", 9, 0, 4),
            ("%r10w", 10, 0, 2),
            ("%r15b", 15, 0, 1),
        ] {
            assert_eq!(parse_operand(text), register(number, shift, size), "{text}");
        }
    }

    #[test]
    fn registers_that_are_not_captured_keep_their_name() {
        for name in [
            "xmm0", "xmm15", "ymm3", "zmm31", "mm7", "k1", "st", "st(3)", "gs",
        ] {
            let text = format!("%{name}");
            assert_eq!(
                parse_operand(&text),
                Some(AssemblerOperand::NotCaptured(name)),
                "{text}"
            );
        }
    }

    #[test]
    fn immediates_are_numbers_and_addresses() {
        for (text, symbol, value) in [
            ("$5", None, 5),
            ("$-1", None, -1),
            ("$0x10", None, 16),
            ("$017", None, 15),
            ("$0", None, 0),
            ("$18446744073709551615", None, -1),
            ("$table", plain("table"), 0),
            ("$table+8", plain("table"), 8),
        ] {
            let wanted = Some(AssemblerOperand::Immediate { symbol, value });
            assert_eq!(parse_operand(text), wanted, "{text}");
        }
    }

    #[test]
    fn memory_is_the_sum_of_its_parts() {
        let none = MemorySum::default();
        let base = |displacement, base| MemorySum {
            displacement,
            base: Some(base),
            ..none.clone()
        };
        let index = |register, scale| Some(ScaledIndex { register, scale });
        let symbol = |name, displacement| MemorySum {
            symbol: plain(name),
            displacement,
            ..none.clone()
        };
        for (text, wanted) in [
            ("(%rdi)", base(0, 5)),
            ("-20(%rbp)", base(-20, 6)),
            ("8+16(%rsp)", base(24, 7)),
            (
                "(%rax,%rdx)",
                MemorySum {
                    index: index(1, 1),
                    ..base(0, 0)
                },
            ),
            (
                "4(%rax,%r9,8)",
                MemorySum {
                    index: index(9, 8),
                    ..base(4, 0)
                },
            ),
            (
                "4(%rax, %r9, 8)",
                MemorySum {
                    index: index(9, 8),
                    ..base(4, 0)
                },
            ),
            (
                "table(,%rcx,4)",
                MemorySum {
                    index: index(2, 4),
                    ..symbol("table", 0)
                },
            ),
            ("counter(%rip)", symbol("counter", 0)),
            ("counter+4(%rip)", symbol("counter", 4)),
            ("4+counter(%rip)", symbol("counter", 4)),
            ("counter-4(%rip)", symbol("counter", -4)),
            ("counter.0(%rip)", symbol("counter.0", 0)),
            ("counter", symbol("counter", 0)),
            (
                "0x404028",
                MemorySum {
                    displacement: 0x0040_4028,
                    ..none.clone()
                },
            ),
        ] {
            assert_eq!(parse_operand(text), memory_of(wanted), "{text}");
        }
    }

    #[test]
    fn memory_of_the_thread_counts_from_its_pointer() {
        let own = SymbolReference {
            name: "own",
            of_thread: true,
        };
        let of_thread = MemorySum {
            of_thread: true,
            ..MemorySum::default()
        };
        for (text, wanted) in [
            (
                "%fs:16",
                MemorySum {
                    displacement: 16,
                    ..of_thread.clone()
                },
            ),
            (
                "%fs:-8(%rax)",
                MemorySum {
                    displacement: -8,
                    base: Some(0),
                    ..of_thread.clone()
                },
            ),
            (
                "%fs:own@tpoff",
                MemorySum {
                    symbol: Some(own),
                    ..of_thread.clone()
                },
            ),
            (
                "%fs:own@tpoff+4",
                // The suffix belongs to the symbol alone.
                MemorySum {
                    symbol: Some(own),
                    displacement: 4,
                    ..of_thread.clone()
                },
            ),
            (
                "own@tpoff(%rax)",
                MemorySum {
                    symbol: Some(own),
                    base: Some(0),
                    ..MemorySum::default()
                },
            ),
        ] {
            assert_eq!(parse_operand(text), memory_of(wanted), "{text}");
        }
    }

    #[test]
    fn operands_with_a_part_that_is_not_understood_are_not_read() {
        for text in [
            "",
            "$",
            "%",
            "%eaxx",
            "%xmm99",
            "%st(9)",
            "%r16",
            "%rip",
            "%eip",
            "$1+",
            "$+",
            "$a-b",
            "$a+b",
            "8(%eax)",
            "8(%rax,%edx,4)",
            "(%rax,%rdx,3)",
            "(%rax,%rsp)",
            "(%rax,%rdx,4,5)",
            "(,)",
            "()",
            "(%rax,,4)",
            "8(%rip)",
            "sym(%rip,%rax)",
            "sym@GOTPCREL(%rip)",
            "sym@tpoff(%rip)",
            "%fs:sym",
            "%gs:8",
            "QWORD PTR [rax]",
            "*%rax",
            "9(%rbp",
            "8%rbp)",
            "$08",
            "$0x",
            "$1e3",
            "a b(%rip)",
            "$99999999999999999999",
            "(%rax)8",
        ] {
            assert_eq!(parse_operand(text), None, "{text}");
        }
    }

    #[test]
    fn nops_are_told_from_other_instructions() {
        for code in [
            &[0x90][..],
            &[0x90, 0xc3],
            &[0x66, 0x90],
            &[0x0f, 0x1f, 0x44, 0x00, 0x00],
            &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
        ] {
            assert!(is_nop(code), "{code:x?}");
        }
        for code in [
            &[][..],
            &[0xcc],
            &[0xc3],
            &[0xf3, 0x90],
            &[0x0f],
            &[0x0f, 0x1f, 0x44],
            &[0x41, 0x90],
        ] {
            assert!(!is_nop(code), "{code:x?}");
        }
    }
}
