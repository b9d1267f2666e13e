//! Integer types by their names, and by the literals of C and C++.

/// Bytes and sign of the integer type of a name.
pub(super) fn integer_type(ty: &str) -> Option<(u8, bool)> {
    Some(match ty {
        "u8" | "uint8_t" => (1, false),
        "i8" | "int8_t" => (1, true),
        "u16" | "uint16_t" => (2, false),
        "i16" | "int16_t" => (2, true),
        "u32" | "uint32_t" => (4, false),
        "i32" | "int32_t" => (4, true),
        "u64" | "uint64_t" | "usize" | "size_t" | "uintptr_t" => (8, false),
        "i64" | "int64_t" | "isize" | "ssize_t" | "intptr_t" | "ptrdiff_t" => (8, true),
        _ => return c_integer(ty),
    })
}

/// Bytes and sign of an integer type of C. Its words may come in any order.
pub(super) fn c_integer(ty: &str) -> Option<(u8, bool)> {
    let count = |wanted| ty.split_whitespace().filter(|word| *word == wanted).count();
    let known = ["unsigned", "signed", "char", "short", "int", "long"];
    let all = ty.split_whitespace().count();
    if all == 0 || known.into_iter().map(count).sum::<usize>() != all {
        return None;
    }
    let size = match (count("char"), count("short"), count("long"), count("int")) {
        (1, 0, 0, 0) => 1,
        (0, 1, 0, 0 | 1) => 2,
        (0, 0, 0, 0 | 1) => 4,
        (0, 0, 1 | 2, 0 | 1) => 8,
        _ => return None,
    };
    match (count("unsigned"), count("signed")) {
        (0, 0 | 1) => Some((size, true)),
        (1, 0) => Some((size, false)),
        _ => None,
    }
}

/// Bytes and sign of the type of a literal in C and C++.
pub(super) fn literal_type(text: &str, value: u64) -> (u8, bool) {
    const INT: (u8, bool) = (4, true);
    const UNSIGNED: (u8, bool) = (4, false);
    const LONG: (u8, bool) = (8, true);
    const UNSIGNED_LONG: (u8, bool) = (8, false);
    // The span of a literal includes parentheses around it.
    let text = text.trim_matches(|c: char| c == '(' || c == ')' || c.is_whitespace());
    let text = text.to_ascii_lowercase();
    let (decimal, digits) = match text.get(..2) {
        Some("0x") => (
            false,
            text[2..].trim_start_matches(|c: char| c == '_' || c.is_ascii_hexdigit()),
        ),
        Some("0o" | "0b") => (
            false,
            text[2..].trim_start_matches(|c: char| c == '_' || c.is_ascii_digit()),
        ),
        _ => (
            true,
            text.trim_start_matches(|c: char| c == '_' || c.is_ascii_digit()),
        ),
    };
    let types: &[_] = match digits {
        "" if decimal => &[INT, LONG],
        "" => &[INT, UNSIGNED, LONG],
        "u" => &[UNSIGNED],
        "l" | "ll" => &[LONG],
        "ul" | "lu" | "ull" | "llu" => &[],
        // A suffix of Rust names the type. A duration is a signed number of ns.
        suffix => return integer_type(suffix).unwrap_or(LONG),
    };
    let fits = |(size, signed): &&(u8, bool)| {
        let bits = u32::from(*size) * 8 - u32::from(*signed);
        value.checked_shr(bits).unwrap_or(0) == 0
    };
    types.iter().find(fits).copied().unwrap_or(UNSIGNED_LONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_has_the_first_type_that_holds_it() {
        for (text, value, wanted) in [
            ("1", 1, (4, true)),
            ("(1)", 1, (4, true)),
            ("2147483647", 0x7fff_ffff, (4, true)),
            ("2147483648", 1 << 31, (8, true)),
            ("0x7fff_ffff", 0x7fff_ffff, (4, true)),
            ("0x80000000", 1 << 31, (4, false)),
            ("( 0xFFFFFFFF )", 0xffff_ffff, (4, false)),
            ("0x100000000", 1 << 32, (8, true)),
            ("0x8000000000000000", 1 << 63, (8, false)),
            ("0b101", 5, (4, true)),
            ("9223372036854775808", 1 << 63, (8, false)),
            ("1u", 1, (4, false)),
            ("4294967296U", 1 << 32, (8, false)),
            ("1L", 1, (8, true)),
            ("1ll", 1, (8, true)),
            ("0xffL", 255, (8, true)),
            ("1UL", 1, (8, false)),
            ("1llu", 1, (8, false)),
            ("3u8", 3, (1, false)),
            ("3i64", 3, (8, true)),
            ("5ms", 5_000_000, (8, true)),
            ("1.5s", 1_500_000_000, (8, true)),
            ("", 7, (4, true)),
        ] {
            assert_eq!(literal_type(text, value), wanted, "{text}");
        }
    }
}
