//! Checks the instructions of an eBPF object for registers that do not exist.
//!
//! Some compilers use register 11, which is reserved for the kernel. The verifier then refuses the
//! programs on every machine. `tracer/build.rs` and `xtask` both include this file, so it parses
//! the ELF file by itself.

/// The last register of the instruction set: the frame pointer.
const LAST_REGISTER: u8 = 10;
/// Bytes of one instruction.
const INSTRUCTION: usize = 8;
/// Loads 64 bits. Its second half is not an instruction.
const LOAD_64: u8 = 0x18;
/// `sh_flags` of a section with code.
const SHF_EXECINSTR: u64 = 4;
/// Bytes of a section header.
const SECTION_HEADER: usize = 64;

/// Checks all instructions of an object.
///
/// # Errors
/// An instruction uses an unknown register, or the object cannot be read. The error says where.
pub(crate) fn check(object: &[u8]) -> Result<(), String> {
    let mut count = 0;
    for code in code_sections(object).ok_or("it is no ELF file of 64 bits")? {
        count += check_section(code)?;
    }
    if count == 0 {
        return Err("it has no instructions".into());
    }
    Ok(())
}

/// Returns the number of instructions.
fn check_section(code: &[u8]) -> Result<usize, String> {
    let mut wide = false;
    for (index, instruction) in code.chunks(INSTRUCTION).enumerate() {
        let &[operation, registers, ..] = instruction else {
            return Err("a section with code ends within an instruction".into());
        };
        if wide {
            wide = false;
            continue;
        }
        wide = operation == LOAD_64;
        let register = (registers & 0xF).max(registers >> 4);
        if register > LAST_REGISTER {
            return Err(format!(
                "an instruction at {:#x} uses r{register}, and there is none beyond r{LAST_REGISTER}",
                index * INSTRUCTION
            ));
        }
    }
    Ok(code.len() / INSTRUCTION)
}

/// Contents of the sections with code. `None` if the file cannot be parsed.
fn code_sections(object: &[u8]) -> Option<Vec<&[u8]>> {
    // Class 64 bits, little-endian.
    if object.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let headers = usize::try_from(number(object, 0x28, 8)?).ok()?;
    let count = usize::try_from(number(object, 0x3C, 2)?).ok()?;
    let mut sections = Vec::new();
    for index in 0..count {
        let at = headers.checked_add(index * SECTION_HEADER)?;
        let header = object.get(at..at.checked_add(SECTION_HEADER)?)?;
        if number(header, 8, 8)? & SHF_EXECINSTR != 0 {
            let offset = usize::try_from(number(header, 0x18, 8)?).ok()?;
            let size = usize::try_from(number(header, 0x20, 8)?).ok()?;
            sections.push(object.get(offset..offset.checked_add(size)?)?);
        }
    }
    Some(sections)
}

/// A little-endian number of up to 8 bytes.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    let number = bytes
        .iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte));
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &[u8] = include_bytes!("../ebpf/tracer-ebpf.o");

    #[test]
    fn object_of_the_repository_passes() {
        assert_eq!(check(OBJECT), Ok(()));
    }

    #[test]
    fn register_11_is_refused_in_each_section_and_in_both_places() {
        let sections = code_sections(OBJECT).expect("it is an ELF file");
        assert!(sections.len() > 1);
        for code in sections {
            // `*(u64 *)(r11 - 8) = r0`, as a compiler wrote it, and a move out of r11.
            for instruction in [
                [0x7B, 0x0B, 0xF8, 0xFF, 0, 0, 0, 0],
                [0xBF, 0xB0, 0, 0, 0, 0, 0, 0],
            ] {
                let mut damaged = code.to_vec();
                let at = damaged.len() - INSTRUCTION;
                damaged[at..].copy_from_slice(&instruction);
                let why = check_section(&damaged).expect_err("r11 is not there");
                assert!(why.contains("uses r11"), "{why}");
            }
        }
    }

    #[test]
    fn second_half_of_a_wide_load_is_no_instruction() {
        let mut code = [0; 2 * INSTRUCTION];
        code[0] = LOAD_64;
        code[9] = 0xFF;
        assert_eq!(check_section(&code), Ok(2));
    }

    #[test]
    fn files_that_end_early_are_refused() {
        assert!(check(&[]).is_err());
        assert!(check(&OBJECT[..OBJECT.len() / 2]).is_err());
    }
}
