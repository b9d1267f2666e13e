//! Builds ELF files around given sections. The files are valid except for the content of the
//! sections.

use tracer::base::address::LinkAddr;

/// Address of `.text`.
pub const CODE: LinkAddr = LinkAddr(0x1000);
/// Address of `.eh_frame`, as in the programs from which the seeds were cut.
const FRAMES: u64 = 0x3000;
/// Bytes of the headers.
const FILE_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

/// One section.
pub struct Section<'a> {
    pub name: &'static str,
    /// 0 for sections that are not loaded.
    pub address: u64,
    pub executable: bool,
    pub bytes: &'a [u8],
    /// `SHT_PROGBITS` for most.
    pub kind: u32,
    /// Number of the section with its strings.
    pub link: u32,
}

/// `SHT_PROGBITS`, `SHT_SYMTAB`.
pub const PLAIN: u32 = 1;
pub const SYMBOLS: u32 = 2;

/// A section that is not loaded.
pub const fn unloaded<'a>(name: &'static str, bytes: &'a [u8]) -> Section<'a> {
    Section {
        name,
        address: 0,
        executable: false,
        bytes,
        kind: PLAIN,
        link: 0,
    }
}

/// A file with this call frame information.
pub fn with_frames(in_debug_frame: bool, frames_bytes: &[u8]) -> Vec<u8> {
    let code = [0x90; 256];
    let mut section = frames(frames_bytes);
    if in_debug_frame {
        section.name = ".debug_frame";
        section.address = 0;
    }
    file(&[text(&code), section])
}

/// A file with these notes on USDT probes.
pub fn with_notes(notes: &[u8]) -> Vec<u8> {
    let code = [0x90; 1024];
    file(&[text(&code), unloaded(".note.stapsdt", notes)])
}

/// The section of the code.
pub fn text(bytes: &[u8]) -> Section<'_> {
    Section {
        address: CODE.0,
        executable: true,
        ..unloaded(".text", bytes)
    }
}

/// The section of call frame information.
pub fn frames(bytes: &[u8]) -> Section<'_> {
    Section {
        address: FRAMES,
        ..unloaded(".eh_frame", bytes)
    }
}

/// Call frame information for code that leaves the stack as it is.
pub fn one_frame(code_length: usize) -> Vec<u8> {
    let mut bytes = vec![20, 0, 0, 0, 0, 0, 0, 0];
    // Version 1, "zR", factors 1 and -8, return address 16, addresses relative in 4 bytes.
    bytes.extend([1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b]);
    // The frame ends 8 bytes above `rsp`. The return address is just below that.
    bytes.extend([0x0c, 7, 8, 0x80 | 16, 1, 0, 0]);
    let entry = bytes.len() as u32;
    let begin = (CODE.0 as i64 - (FRAMES as i64 + i64::from(entry) + 8)) as i32;
    bytes.extend(20_u32.to_le_bytes());
    bytes.extend((entry + 4).to_le_bytes());
    bytes.extend(begin.to_le_bytes());
    bytes.extend((code_length as u32).to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend([0; 4]);
    bytes
}

/// The file of these sections.
pub fn file(sections: &[Section<'_>]) -> Vec<u8> {
    let mut names = vec![0];
    let mut body: Vec<u8> = Vec::new();
    let mut headers = vec![0; 64];
    let mut segments: Vec<u8> = Vec::new();
    let loaded = sections.iter().filter(|section| section.address != 0);
    let start = FILE_HEADER + PROGRAM_HEADER * loaded.count();
    let strings = unloaded(".shstrtab", &[]);
    for section in sections.iter().chain([&strings]) {
        let name = names.len() as u32;
        names.extend(section.name.bytes().chain([0]));
        let is_strings = std::ptr::eq(section, &strings);
        let bytes = if is_strings { &names } else { section.bytes };
        let (offset, size) = ((start + body.len()) as u64, bytes.len() as u64);
        body.extend(bytes);
        let kind = if is_strings { 3 } else { section.kind };
        let flags =
            if section.address == 0 { 0_u64 } else { 2 } | u64::from(section.executable) << 2;
        headers.extend(name.to_le_bytes());
        headers.extend(kind.to_le_bytes());
        words(
            &mut headers,
            &[
                flags,
                section.address,
                offset,
                size,
                section.link.into(),
                1,
                if section.kind == SYMBOLS { 24 } else { 0 },
            ],
        );
        if section.address != 0 {
            segments.extend(1_u32.to_le_bytes());
            segments.extend((4 | u32::from(section.executable)).to_le_bytes());
            let address = section.address;
            words(&mut segments, &[offset, address, address, size, size, 1]);
        }
    }
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // A shared object for x86-64.
    file.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    let headers_at = (start + body.len()) as u64;
    words(&mut file, &[CODE.0, FILE_HEADER as u64, headers_at]);
    let segment_count = (segments.len() / PROGRAM_HEADER) as u16;
    let section_count = (headers.len() / 64) as u16;
    file.extend([0; 4]);
    for half in [
        FILE_HEADER as u16,
        PROGRAM_HEADER as u16,
        segment_count,
        64,
        section_count,
        section_count - 1,
    ] {
        file.extend(half.to_le_bytes());
    }
    file.extend(segments);
    file.extend(body);
    file.extend(headers);
    file
}

fn words(out: &mut Vec<u8>, words: &[u64]) {
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}
