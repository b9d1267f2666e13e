//! Instructions in many forms. A child process executes each form from a known state.
//!
//! The forms are in `forms.s`. The child is this test program, started for one ignored test. It
//! takes numbers of forms from a socket, and sends back the state of the processor and the memory
//! afterwards.

#![expect(
    unsafe_code,
    reason = "runs code written in assembly, on registers and memory of its own"
)]

use std::arch::global_asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::ffi::CStr;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use tracer::base::address::FileOffset;
use tracer::placement::Unprobeable;

use super::site::file_offset;

global_asm!(include_str!("forms.s"), options(att_syntax, raw));

/// Names the socket to the child.
const SOCKET: &str = "TRACER_TEST_FORMS";
/// The ignored test that is the child.
const CHILD: &str = "instructions::child_executes_forms";
/// Number of states that each form is executed from.
pub(crate) const STATES: usize = 4;
const PAGE: usize = 4096;
/// Registers `rax` to `r15` in the order of their numbers, then the flags.
const WORDS: usize = 17;
/// Flags that programs can see: carry to overflow, and the trap flag.
const FLAGS: u64 = 0xfd5;

/// A row of the table in `forms.s`.
#[repr(C)]
struct Row {
    begin: usize,
    site: usize,
    next: usize,
    text: *const i8,
    need: u32,
    verdict: u32,
}

#[repr(C, align(64))]
struct Page([u8; PAGE]);

unsafe extern "C" {
    static tracer_forms: [Row; 0];
    static tracer_forms_end: [Row; 0];
    static mut tracer_form_data: Page;
    static mut tracer_form_stack: Page;
    static mut tracer_form_vectors_in: Page;
    static mut tracer_form_vectors_out: Page;
    static mut tracer_form_vectors_own: Page;
    static mut tracer_form_in: [u64; WORDS];
    static mut tracer_form_out: [u64; WORDS];
    static mut tracer_form_mask: u64;
    static mut tracer_form_mark: u64;
    fn tracer_form_run(begin: usize);
}

/// One form of an instruction.
pub(crate) struct Form {
    pub(crate) text: String,
    begin: usize,
    site: usize,
    bytes: Vec<u8>,
    need: u32,
    /// Why it must not be probed, according to `forms.s`.
    pub(crate) expected: Option<Unprobeable>,
}

impl Form {
    /// Offset of its instruction in this program's file.
    pub(crate) fn offset(&self) -> FileOffset {
        file_offset(self.site as u64)
    }

    /// The bytes of its instruction.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// True if this processor has the instruction.
    pub(crate) fn is_executable(&self) -> bool {
        has(self.need)
    }
}

/// All forms.
pub(crate) fn forms() -> Vec<Form> {
    // SAFETY: the table is between the two symbols. Its rows point to code and texts of this
    // program.
    let rows = unsafe {
        let begin = (&raw const tracer_forms).cast::<Row>();
        let end = (&raw const tracer_forms_end).cast::<Row>();
        let count = usize::try_from(end.offset_from(begin)).expect("in order");
        std::slice::from_raw_parts(begin, count)
    };
    let form = |row: &Row| Form {
        // SAFETY: the text ends with a zero byte.
        text: unsafe { CStr::from_ptr(row.text) }
            .to_string_lossy()
            .into_owned(),
        begin: row.begin,
        site: row.site,
        // SAFETY: code of this program, which is not probed yet.
        bytes: unsafe { std::slice::from_raw_parts(row.site as *const u8, row.next - row.site) }
            .to_vec(),
        need: row.need,
        expected: verdict(row.verdict),
    };
    rows.iter().map(form).collect()
}

/// The verdict for a code of `forms.s`.
fn verdict(number: u32) -> Option<Unprobeable> {
    const VERDICTS: [Unprobeable; 16] = [
        Unprobeable::SystemCall,
        Unprobeable::Interrupt,
        Unprobeable::Invalid,
        Unprobeable::Privileged,
        Unprobeable::Locked,
        Unprobeable::SegmentPrefix,
        Unprobeable::Repeated,
        Unprobeable::StackSegment,
        Unprobeable::Far,
        Unprobeable::Transaction,
        Unprobeable::Flags,
        Unprobeable::ShadowStack,
        Unprobeable::NarrowBranch,
        Unprobeable::VectorOpcode,
        Unprobeable::Exchange,
        Unprobeable::Unknown,
    ];
    let index = usize::try_from(number).expect("small").checked_sub(1)?;
    Some(VERDICTS[index])
}

/// True if the processor has the feature with this number in `forms.s`.
fn has(need: u32) -> bool {
    let basic = __cpuid(1);
    let more = __cpuid_count(7, 0);
    let extended = __cpuid(0x8000_0001);
    let bit = |word: u32, bit: u32| word >> bit & 1 == 1;
    let enabled = enabled_state();
    let avx = bit(basic.ecx, 28) && enabled & 6 == 6;
    match need {
        0 => true,
        1 => avx,
        2 => avx && bit(more.ebx, 5),
        3 => avx && bit(more.ebx, 3) && bit(more.ebx, 8) && bit(extended.ecx, 5),
        4 => avx && bit(basic.ecx, 25) && bit(basic.ecx, 1),
        5 => bit(more.ebx, 29),
        6 => {
            let foundation = [16, 17, 30, 31].iter().all(|&at| bit(more.ebx, at));
            let vector = [1, 6, 14].iter().all(|&at| bit(more.ecx, at));
            foundation && vector && enabled & 0xe6 == 0xe6
        }
        7 => bit(more.ecx, 8),
        8 => avx && bit(basic.ecx, 12),
        9 => bit(basic.ecx, 19) && bit(basic.ecx, 20),
        10 => avx && bit(basic.ecx, 29),
        11 => bit(more.ebx, 19),
        // Bit 1 of AT_HWCAP2: the kernel lets programs use these instructions.
        // SAFETY: reads the auxiliary vector.
        12 => (unsafe { libc::getauxval(libc::AT_HWCAP2) }) & 2 != 0,
        13 => bit(more.ecx, 4),
        14 => bit(extended.edx, 27),
        _ => false,
    }
}

/// The state components that are saved: x87, SSE, AVX and AVX-512; 0 without `xsave`.
fn enabled_state() -> u64 {
    let uses_xsave = __cpuid(1).ecx >> 27 & 1 == 1;
    let all = if uses_xsave {
        // SAFETY: the processor has the instruction, and the system has enabled it.
        unsafe { read_xcr0() }
    } else {
        0
    };
    all & 0xe7
}

#[target_feature(enable = "xsave")]
fn read_xcr0() -> u64 {
    // SAFETY: register 0 exists if the instruction does.
    unsafe { _xgetbv(0) }
}

/// The child that executes forms.
pub(crate) struct Executor {
    child: Child,
    stream: UnixStream,
    _directory: tempfile::TempDir,
}

impl Executor {
    /// Starts the child.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("forms");
        let listener = UnixListener::bind(&path).expect("a socket");
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args([CHILD, "--exact", "--ignored", "--nocapture"])
            .env(SOCKET, &path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the child starts");
        let (stream, _) = listener.accept().expect("the child connects");
        Self {
            child,
            stream,
            _directory: directory,
        }
    }

    /// Id of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Executes forms from states. Returns the result of each.
    ///
    /// # Errors
    /// How the child ended, and how many forms it had executed before.
    pub(crate) fn execute(&mut self, wanted: &[Wanted]) -> Result<Vec<Vec<u8>>, (usize, String)> {
        let mut outcomes = Vec::new();
        // Few forms at once, so that neither side blocks on a full socket.
        for some in wanted.chunks(64) {
            let numbers: Vec<u8> = some.iter().flat_map(|wanted| wanted.to_bytes()).collect();
            // If the child is gone, there is no answer either.
            let _ = self.stream.write_all(&numbers);
            for _ in some {
                let mut answer = vec![0; outcome_bytes()];
                if self.stream.read_exact(&mut answer).is_err() {
                    return Err((outcomes.len(), self.end()));
                }
                outcomes.push(answer);
            }
        }
        Ok(outcomes)
    }

    /// How the child ended.
    fn end(&mut self) -> String {
        let status = self.child.wait().expect("the child ends");
        match status.signal() {
            Some(signal) => format!("the process dies of signal {signal}"),
            None => format!("the process ends with {status}"),
        }
    }
}

/// A form, by its index, and the state from which it is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    pub(crate) form: usize,
    pub(crate) state: usize,
}

impl Wanted {
    fn to_bytes(self) -> [u8; 4] {
        let number = u32::try_from(self.form * STATES + self.state).expect("small");
        number.to_le_bytes()
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the child's side. Returns `false` in a process that is not the child.
pub(crate) fn run_child() -> bool {
    let Some(path) = std::env::var_os(SOCKET) else {
        return false;
    };
    let mut stream = UnixStream::connect(path).expect("the parent listens");
    let forms = forms();
    // SAFETY: written once, before any form is executed.
    unsafe { tracer_form_mask = enabled_state() };
    let before = Before::new();
    let mut wanted = [0; 4];
    while stream.read_exact(&mut wanted).is_ok() {
        let wanted = usize::try_from(u32::from_le_bytes(wanted)).expect("small");
        let outcome = execute(forms[wanted / STATES].begin, wanted % STATES, &before);
        if stream.write_all(&outcome).is_err() {
            break;
        }
    }
    true
}

const fn outcome_bytes() -> usize {
    WORDS * 8 + 8 + 3 * PAGE
}

/// Describes the difference of two results. `None` if they are the same.
pub(crate) fn difference(expected: &[u8], outcome: &[u8]) -> Option<String> {
    const NAMES: [&str; WORDS + 1] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15", "flags", "way",
    ];
    if expected == outcome {
        return None;
    }
    let at = (0..expected.len()).find(|&at| expected[at] != outcome[at])?;
    let registers = NAMES.len() * 8;
    let word = |bytes: &[u8]| {
        let begin = at / 8 * 8;
        u64::from_le_bytes(bytes[begin..begin + 8].try_into().expect("8 bytes"))
    };
    let place = if at < registers {
        NAMES[at / 8].to_owned()
    } else {
        let names = ["data", "stack", "vectors"];
        let rest = at - registers;
        format!("{} + {:#x}", names[rest / PAGE], rest % PAGE / 8 * 8)
    };
    let (expected, outcome) = (word(expected), word(outcome));
    Some(format!("{place} is {outcome:#x} and not {expected:#x}"))
}

/// Memory and registers before a form. They are made once, because forms are executed by the
/// thousand.
struct Before {
    data: [u8; PAGE],
    stack: [u8; PAGE],
    vectors: [[u8; PAGE]; STATES],
}

impl Before {
    fn new() -> Self {
        let mut before = Self {
            data: [0; PAGE],
            stack: [0; PAGE],
            vectors: [[0; PAGE]; STATES],
        };
        fill(&mut before.data, 1);
        fill(&mut before.stack, 2);
        for (state, vectors) in (0..).zip(&mut before.vectors) {
            set_vectors(vectors, state);
        }
        before
    }
}

/// Executes the code at `begin`, in the child.
fn execute(begin: usize, state: usize, before: &Before) -> Vec<u8> {
    // SAFETY: only one thread of the child comes here, so nothing else uses the statics. Forms
    // write no other memory, and `tracer_form_run` restores the caller's registers.
    unsafe {
        let data_at = &raw mut tracer_form_data;
        let stack_at = &raw mut tracer_form_stack;
        let (data, stack) = (&mut *data_at, &mut *stack_at);
        data.0 = before.data;
        stack.0 = before.stack;
        save_own();
        let (into, out_of) = (
            &raw mut tracer_form_vectors_in,
            &raw mut tracer_form_vectors_out,
        );
        (*into).0 = before.vectors[state];
        (*out_of).0.fill(0);
        tracer_form_mark = 0;
        let address = |page: &Page| page.0.as_ptr() as u64;
        tracer_form_in = registers(address(data), address(stack), state);
        tracer_form_run(begin);
        let mut outcome = Vec::with_capacity(outcome_bytes());
        let mut out = tracer_form_out;
        out[WORDS - 1] &= FLAGS;
        for word in out.into_iter().chain([tracer_form_mark]) {
            outcome.extend(word.to_le_bytes());
        }
        outcome.extend_from_slice(&data.0);
        outcome.extend_from_slice(&stack.0);
        let mut left = (*out_of).0;
        // The address of the last x87 instruction. For an instruction that the kernel steps out of
        // line, it is the address of the copy.
        left[6..24].fill(0);
        // The bits of components that are not in their initial state. Thread switches affect them,
        // too.
        left[512..576].fill(0);
        outcome.extend_from_slice(&left);
        outcome
    }
}

/// The present state of the vector registers of this thread.
fn save_own() {
    // SAFETY: an aligned area of a whole page. The masks are those of the enabled components.
    unsafe {
        let area = (&raw mut tracer_form_vectors_own).cast::<u8>();
        let mask = tracer_form_mask as u32;
        if mask == 0 {
            std::arch::asm!("fxsave64 [{}]", in(reg) area);
        } else {
            std::arch::asm!("xsave64 [{}]", in(reg) area, in("eax") mask, in("edx") 0);
        }
    }
}

/// An image of the vector registers, with numbers in all of them and an empty x87 stack.
fn set_vectors(image: &mut [u8; PAGE], state: u8) {
    image.fill(0);
    image[0..2].copy_from_slice(&0x37f_u16.to_le_bytes());
    image[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
    fill_numbers(&mut image[160..416], state);
    let enabled = enabled_state();
    for component in [2_u32, 5, 6, 7] {
        if enabled >> component & 1 == 1 {
            let place = __cpuid_count(0xd, component);
            let (offset, size) = (place.ebx as usize, place.eax as usize);
            fill_numbers(&mut image[offset..offset + size], state + component as u8);
        }
    }
    if enabled != 0 {
        image[512..520].copy_from_slice(&enabled.to_le_bytes());
    }
}

/// Bytes that are ordinary floats of both sizes, all different.
fn fill_numbers(bytes: &mut [u8], seed: u8) {
    for (index, chunk) in bytes.chunks_mut(4).enumerate() {
        let number = 1.5 + index as f32 * 0.37 + f32::from(seed);
        chunk.copy_from_slice(&number.to_le_bytes());
    }
}

fn fill(page: &mut [u8; PAGE], seed: u8) {
    for (index, chunk) in page.chunks_mut(8).enumerate() {
        let word = 0x0101_0101_0101_0101_u64
            .wrapping_mul(u64::from(seed))
            .wrapping_add(index as u64 * 0x1_0003);
        chunk.copy_from_slice(&word.to_le_bytes());
    }
}

/// The general registers before a form, and the flags.
fn registers(data: u64, stack: u64, state: usize) -> [u64; WORDS] {
    const START_FLAGS: [u64; STATES] = [0x2, 0x8d7, 0x93, 0x446];
    const COUNTS: [u64; STATES] = [3, 0, 1, 2];
    let mut words = [0; WORDS];
    for (number, word) in (0..).zip(words.iter_mut().take(16)) {
        *word = 0x1111_2222_3333_4444 + number * 0x0102_0304;
    }
    words[0] = 0x1122_3344_5566_7712 + state as u64;
    words[1] = COUNTS[state];
    words[2] = 5 + state as u64 * 0x8000_0001;
    words[3] = data + 0x200;
    words[4] = stack + 0x800;
    words[5] = stack + 0xc00;
    words[6] = data + 0x400;
    words[7] = data + 0x800;
    words[11] = 16;
    words[16] = START_FLAGS[state];
    words
}
