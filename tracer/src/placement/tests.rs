//! Placement in code that is written by hand.

use std::process::Command;

use super::*;
use crate::debuginfo::module::Module;

const SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/placement/assembled.c"
);

const RAX: u8 = 0;
const RDI: u8 = 5;
const RBP: u8 = 6;
const RSP: u8 = 7;

struct Code {
    module: Module,
    map: CodeMap,
}

impl Code {
    fn build() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("assembled");
        let status = Command::new("cc")
            .args(["-g", "-O1", "-fcf-protection=none", SOURCE, "-o"])
            .arg(&path)
            .status();
        assert!(status.expect("the compiler runs").success());
        Self {
            module: Module::open(&path).expect("opens"),
            map: CodeMap::default(),
        }
    }

    fn symbol(&self, name: &str) -> LinkAddr {
        let found = self.module.symbols_named(name);
        found.first().unwrap_or_else(|| panic!("{name}")).address
    }

    fn instruction(&self, function: &str, index: usize) -> LinkAddr {
        let function = self
            .map
            .function(&self.module, self.symbol(function))
            .expect("is understood");
        LinkAddr(function.instructions[index].address())
    }

    /// Absolute reads of the needs are at link addresses.
    fn placed(&self, function: &str, site: usize, needs: &Needs) -> ProbePlacement {
        let rules = PlacementRules {
            calls: true,
            rewrites_nops: true,
            passable: &|_, _| true,
            free: &|_| true,
        };
        let site = self.instruction(function, site);
        let mut needs = needs.clone();
        for read in &mut needs.reads {
            if let Read::Absolute(address, length) = *read {
                *read = Read::Site(address.wrapping_sub(site.0).cast_signed(), length);
            }
        }
        self.map.place(&self.module, site, &needs, &rules)
    }

    /// The index of the place, or the reason why the probe stays.
    fn place(&self, function: &str, site: usize, needs: &Needs) -> Result<usize, StayReason> {
        let placed = self.placed(function, site, needs);
        match placed.stays {
            Some(why) => Err(why),
            None => Ok((0..)
                .find(|index| self.instruction(function, *index) == placed.address)
                .expect("an instruction")),
        }
    }
}

fn registers(numbers: &[u8]) -> Needs {
    Needs {
        registers: numbers.iter().map(|number| 1 << number).sum(),
        ..Needs::default()
    }
}

fn memory(read: Read) -> Needs {
    Needs {
        reads: vec![read],
        ..Needs::default()
    }
}

fn nothing() -> Needs {
    Needs::nothing()
}

#[test]
fn run_without_effect_on_the_plan_is_crossed_to_the_call() {
    let code = Code::build();
    assert_eq!(code.place("call_ahead", 0, &nothing()), Ok(2));
    assert_eq!(code.place("call_ahead", 0, &registers(&[RDI])), Ok(2));
    assert_eq!(code.place("stack_load", 0, &nothing()), Ok(1));
    assert_eq!(code.place("stack_store", 0, &nothing()), Ok(1));
    assert_eq!(code.place("pushes", 0, &nothing()), Ok(1));
    assert_eq!(code.place("grows", 0, &nothing()), Ok(2));
    assert_eq!(code.place("shrinks", 0, &nothing()), Ok(2));
    assert_eq!(code.place("compares", 0, &nothing()), Ok(1));
    assert_eq!(code.place("static_store", 0, &nothing()), Ok(1));
    assert_eq!(code.place("static_lock", 0, &nothing()), Ok(1));
    assert_eq!(code.place("static_exchange", 0, &nothing()), Ok(1));
    assert_eq!(
        code.placed("shared_flags", 1, &nothing()).stays,
        Some(StayReason::Cheapest)
    );
}

#[test]
fn what_the_plan_reads_is_not_written_in_between() {
    let code = Code::build();
    let stack = |offset| memory(Read::Register(RSP, offset, 8));
    assert_eq!(
        code.place("call_ahead", 0, &registers(&[RAX])),
        Err(StayReason::Register)
    );
    assert_eq!(
        code.place("stack_store", 0, &stack(-8)),
        Err(StayReason::Memory)
    );
    assert_eq!(
        code.place("stack_store", 0, &stack(-12)),
        Err(StayReason::Memory)
    );
    assert_eq!(code.place("stack_store", 0, &stack(-16)), Ok(1));
    assert_eq!(code.place("stack_store", 0, &stack(-4)), Ok(1));
    assert_eq!(
        code.place("stack_store", 0, &memory(Read::Anywhere)),
        Err(StayReason::Memory)
    );
    let followed = memory(Read::Register(RDI, 0, 4));
    assert_eq!(
        code.place("stack_store", 0, &followed),
        Err(StayReason::Memory)
    );
    assert_eq!(
        code.place("grows", 0, &registers(&[RSP])),
        Err(StayReason::Register)
    );
    assert_eq!(code.place("grows", 0, &stack(-8)), Err(StayReason::Memory));
    assert_eq!(
        code.place("shrinks", 0, &memory(Read::Anywhere)),
        Err(StayReason::Memory)
    );
    let flags = Needs {
        registers: 1 << 16,
        ..Needs::default()
    };
    assert_eq!(code.place("compares", 0, &flags), Err(StayReason::Register));
    let statics = |name| memory(Read::Absolute(code.symbol(name).0, 4));
    assert_eq!(
        code.place("static_store", 0, &statics("first_static")),
        Err(StayReason::Memory)
    );
    assert_eq!(code.place("static_store", 0, &registers(&[RDI])), Ok(1));
    assert_eq!(
        code.place("stack_store", 0, &statics("first_static")),
        Ok(1)
    );
    // Another thread may own memory that this one has released.
    for released in ["static_store", "static_lock", "static_exchange"] {
        let other = code.place(released, 0, &statics("second_static"));
        assert_eq!(other, Err(StayReason::Memory), "{released}");
        // But not memory whose address it does not have.
        assert_eq!(code.place(released, 0, &stack(-16)), Ok(1), "{released}");
        let argument = code.place(released, 0, &stack(8));
        assert_eq!(argument, Err(StayReason::Memory), "{released}");
    }
    assert_eq!(
        code.place("static_exchange", 0, &registers(&[RAX])),
        Err(StayReason::Register)
    );
    let fixed = Needs {
        fixed: true,
        ..Needs::default()
    };
    assert_eq!(code.place("call_ahead", 0, &fixed), Err(StayReason::Fixed));
}

#[test]
fn what_can_fault_or_leave_is_not_crossed() {
    let code = Code::build();
    assert_eq!(
        code.place("pointer_load", 0, &nothing()),
        Err(StayReason::Faults)
    );
    assert_eq!(
        code.place("far_below", 0, &nothing()),
        Err(StayReason::Faults)
    );
    assert_eq!(code.place("aligned", 0, &nothing()), Ok(1));
    assert_eq!(
        code.place("misaligned", 0, &nothing()),
        Err(StayReason::Faults)
    );
    assert_eq!(
        code.place("sealed_store", 0, &nothing()),
        Err(StayReason::Faults)
    );
    let split = code.place("split_lock", 0, &nothing());
    assert_eq!(split, Err(StayReason::Faults));
    assert_eq!(
        code.place("divides", 0, &nothing()),
        Err(StayReason::Instruction)
    );
    let kernel = code.place("asks_kernel", 0, &nothing());
    assert!(
        matches!(kernel, Err(StayReason::Leaves | StayReason::Instruction)),
        "{kernel:?}"
    );
}

#[test]
fn run_that_is_entered_is_not_crossed() {
    let code = Code::build();
    assert_eq!(code.place("loops", 0, &nothing()), Err(StayReason::Entered));
    assert_eq!(code.place("loops", 1, &nothing()), Ok(3));
    assert_eq!(
        code.place("label_taken", 1, &nothing()),
        Err(StayReason::Entered)
    );
    assert_eq!(
        code.place("label_in_data", 0, &nothing()),
        Err(StayReason::Entered)
    );
    assert_eq!(
        code.place("from_elsewhere", 0, &nothing()),
        Err(StayReason::Entered)
    );
    assert_eq!(code.place("table", 5, &nothing()), Err(StayReason::Entered));
    let computed = code.module.function_code_at(code.symbol("computed"));
    let read = DecodedFunction::read(&code.module, &computed.expect("a function"));
    assert_eq!(read.err(), Some(StayReason::ComputedJump));
}

#[test]
fn word_or_byte_that_leads_into_an_instruction_is_no_way_there() {
    let code = Code::build();
    assert_eq!(code.place("table_end", 5, &nothing()), Ok(7));
    assert_eq!(code.place("bytes_inside", 0, &nothing()), Ok(2));
    // Uncertain instructions, and too many bytes.
    for (function, site) in [
        ("table_branch_beside", 8),
        ("table_statement_beside", 6),
        ("table_landing_beside", 7),
        ("bytes_inside_beside", 3),
        ("pointer_inside", 0),
        // The end of the function does not end the table.
        ("table_no_case", 5),
    ] {
        let place = code.place(function, site, &nothing());
        assert_eq!(place, Err(StayReason::Entered), "{function}");
    }
}

#[test]
fn only_way_to_a_site_is_the_same_moment() {
    let code = Code::build();
    assert_eq!(code.place("only_jump", 2, &nothing()), Ok(0));
    assert_eq!(
        code.place("two_jumps", 4, &nothing()),
        Err(StayReason::Faults)
    );
    assert_eq!(code.place("prologue", 2, &nothing()), Ok(0));
    let frame = memory(Read::Register(6, -8, 4));
    assert_eq!(code.place("prologue", 2, &frame), Err(StayReason::Faults));
}

#[test]
fn five_byte_nop_is_probed_at_a_function_entry_only() {
    let code = Code::build();
    let at = |function, site| code.placed(function, site, &nothing());
    // Within a function, the next instruction takes its place, although it costs two traps.
    let inside = at("nop_inside", 1);
    assert_eq!((inside.kind, inside.refused), (SiteKind::TwoTraps, None));
    assert_eq!(code.place("nop_inside", 1, &nothing()), Ok(2));
    assert_eq!(code.place("nop_movable", 1, &nothing()), Ok(2));
    let entry = at("nop_entry", 0);
    assert_eq!((entry.kind, entry.refused), (SiteKind::Nop5, None));
    assert_eq!(code.place("nop_looped", 0, &nothing()), Ok(1));
}

#[test]
fn pointer_that_led_there_before_does_not_fault() {
    let code = Code::build();
    for (function, site, place) in [
        ("touched", 2, 3),
        ("touched_copy", 3, 4),
        ("touched_index", 2, 3),
        // Its memory is read whatever the condition is.
        ("touched_by_cmov", 1, 2),
        ("written_twice", 1, 2),
        ("switched", 6, 7),
        ("touched_branch", 4, 5),
        ("touched_both_ways", 5, 6),
        ("spilled", 3, 4),
        ("stack_address", 1, 2),
        ("static_address", 1, 2),
        ("thread_block", 1, 2),
    ] {
        assert_eq!(
            code.place(function, site, &nothing()),
            Ok(place),
            "{function}"
        );
    }
    // A pointer may lead to any memory.
    let stack = |offset| memory(Read::Register(RSP, offset, 8));
    for needs in [memory(Read::Anywhere), stack(-8)] {
        assert_eq!(
            code.place("written_twice", 1, &needs),
            Err(StayReason::Memory)
        );
    }
    assert_eq!(code.place("touched", 2, &memory(Read::Anywhere)), Ok(3));
    assert_eq!(
        code.place("stack_address", 1, &stack(-16)),
        Err(StayReason::Memory)
    );
    // The target of the pointer does not count: the store may give the address away.
    assert_eq!(
        code.place("stack_address", 1, &stack(-8)),
        Err(StayReason::Memory)
    );
}

#[test]
fn pointer_that_may_lead_elsewhere_now_can_fault() {
    let code = Code::build();
    for (function, site) in [
        ("touched", 1),
        ("touched_far", 2),
        ("touched_stale", 3),
        ("touched_half", 1),
        ("touched_index_size", 1),
        ("read_then_written", 1),
        ("touched_call", 2),
        ("touched_lock", 2),
        ("touched_one_way", 5),
        ("touched_other_way", 5),
        ("touched_loop", 3),
        ("touched_entered", 1),
        ("spill_changed", 4),
        ("spill_aliased", 4),
        ("thread_beyond", 1),
    ] {
        let place = code.place(function, site, &nothing());
        assert_eq!(place, Err(StayReason::Faults), "{function}");
    }
}

#[test]
fn nop_of_several_bytes_is_a_place_where_the_kernel_emulates_it() {
    let code = Code::build();
    assert_eq!(code.place("nop_ahead", 0, &nothing()), Ok(1));
}

#[test]
fn store_that_another_thread_may_wait_for_is_not_crossed_ahead() {
    let code = Code::build();
    let stack = |offset| memory(Read::Register(RSP, offset, 8));
    let frame = memory(Read::Register(RBP, -16, 4));
    let statics = |name| memory(Read::Absolute(code.symbol(name).0, 4));
    for (function, site, needs) in [
        ("frame_flag", 2, stack(-16)),
        ("frame_flag", 2, statics("second_static")),
        // The address is given away in between.
        ("frame_flag", 1, stack(-16)),
        ("frame_flag_pushed", 3, stack(-16)),
        ("frame_flag_called", 2, stack(-16)),
        ("frame_flag_loop", 0, stack(-16)),
        ("frame_flag_before_branch", 5, stack(-16)),
        ("frame_flag_again", 1, stack(-16)),
        ("frame_flag_again_by_name", 1, stack(-16)),
        ("frame_flag_table", 0, stack(-16)),
        ("frame_flag_above", 2, stack(-16)),
        // Only an exception leads here.
        ("frame_flag_landing", 4, stack(-16)),
        ("frame_flag_pointer", 4, frame.clone()),
        ("argument_flag", 0, stack(24)),
        ("fence", 0, statics("second_static")),
    ] {
        let place = code.place(function, site, &needs);
        assert_eq!(
            place,
            Err(StayReason::Memory),
            "{function} {site} {needs:?}"
        );
    }
    for (function, site, place, needs) in [
        ("frame_flag", 2, 3, nothing()),
        ("frame_flag", 2, 3, statics("sealed_static")),
        ("frame_flag_own", 0, 1, stack(-16)),
        ("frame_flag_own", 0, 1, statics("second_static")),
        ("frame_flag_formed", 1, 2, stack(-16)),
        ("frame_flag_branch", 3, 4, stack(-16)),
        ("frame_flag_pointer_own", 3, 4, frame),
        ("wait_ahead", 0, 1, statics("second_static")),
        ("fence", 0, 1, statics("sealed_static")),
        ("fence", 0, 1, stack(-16)),
    ] {
        let found = code.place(function, site, &needs);
        assert_eq!(found, Ok(place), "{function} {site} {needs:?}");
    }
}

#[test]
fn load_that_may_have_waited_for_another_thread_is_not_crossed_back() {
    let code = Code::build();
    let statics = |name| memory(Read::Absolute(code.symbol(name).0, 4));
    let own = memory(Read::Register(RSP, 0, 8));
    for function in ["wait_behind", "count_behind", "wait_thread_local"] {
        for (needs, place) in [
            (statics("second_static"), Err(StayReason::Faults)),
            (statics("sealed_static"), Ok(0)),
            (nothing(), Ok(0)),
        ] {
            let found = code.place(function, 2, &needs);
            assert_eq!(found, place, "{function} {needs:?}");
        }
    }
    assert_eq!(
        code.place("flag_behind", 2, &statics("second_static")),
        Ok(0)
    );
    assert_eq!(
        code.place("flag_behind", 2, &statics("first_static")),
        Err(StayReason::Faults)
    );
    // The bytes that the push writes.
    assert_eq!(code.place("wait_behind", 2, &own), Err(StayReason::Faults));
}
