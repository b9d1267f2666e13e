//! The instructions of probes in code that a plan has copied: what the kernel
//! put there is no value of the program.

/// The breakpoint instruction.
const BREAKPOINT: u8 = 0xcc;
/// A `nop` of five bytes, which kernels from 6.18 on make a call of.
const NOP: [u8; 5] = [0x0f, 0x1f, 0x44, 0x00, 0x00];
/// First byte of such a call.
const CALL: u8 = 0xe8;

/// Whether there could be any in these bytes.
pub(super) fn possible(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(*byte, BREAKPOINT | CALL))
}

/// The bytes without breakpoints: `file` has those of the program at the same place.
///
/// Other differences are the program's own doing.
pub(super) fn without(bytes: &[u8], file: &[u8]) -> Vec<u8> {
    let mut own = bytes.to_vec();
    for (byte, file) in own.iter_mut().zip(file) {
        if *byte == BREAKPOINT {
            *byte = *file;
        }
    }
    for (at, nop) in file.windows(NOP.len()).enumerate() {
        let here = at..at + NOP.len();
        if nop == NOP
            && let Some(here) = own.get_mut(here)
            && here.first() == Some(&CALL)
        {
            here.copy_from_slice(&NOP);
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakpoint_gives_way_to_the_byte_of_the_file() {
        let file = [0x55, 0x48, 0x89, 0xe5, 0xcc];
        assert_eq!(without(&[0xcc, 0x48, 0x89, 0xe5, 0xcc], &file), file);
        assert_eq!(without(&[0xcc, 0x48], &file), file[..2]);
        // What the program has written itself stays.
        assert_eq!(without(&[0x90, 0x48], &file), [0x90, 0x48]);
    }

    #[test]
    fn call_gives_way_to_the_nop_of_the_file() {
        let file = [0x90, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0xc3];
        let memory = [0x90, 0xe8, 1, 2, 3, 4, 0xc3];
        assert_eq!(without(&memory, &file), file);
        assert!(possible(&memory) && !possible(&file));
    }
}
