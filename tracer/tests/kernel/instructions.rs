//! Probed instructions have the same effect as without a probe.
//!
//! A child process executes every form that the table of `placement` allows, from several states.
//! Registers, flags, vector registers and memory must be the same as without the probe, and each
//! pass must be one hit. Every other form must be one that the table is expected to refuse.

use std::collections::BTreeMap;

use tracer::placement::Unprobeable;

use crate::support::forms::{Executor, Form, STATES, Wanted, difference, forms, run_child};
use crate::support::rig::{RDI, Rig, UNLIMITED, Way, emit, requests};

/// Size of the ring: room for a record of each pass of each form.
const RING: u32 = 1 << 22;
/// Number of forms of one probe.
const GROUP: usize = 40;

#[test]
#[ignore = "the process that executes the forms"]
fn child_executes_forms() {
    if !run_child() {
        eprintln!("started by no test");
    }
}

#[test]
fn forms_that_are_kept_out_are_those_that_must_be() {
    let forms = forms();
    assert!(forms.len() >= 300, "{} forms", forms.len());
    let wrong: Vec<String> = forms
        .iter()
        .filter_map(|form| {
            let entry = Unprobeable::of(form.bytes());
            let text = &form.text;
            (entry != form.expected)
                .then(|| format!("{text}: {entry:?} and not {:?}", form.expected))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn probed_instructions_do_what_they_do_without_a_probe() {
    let forms = forms();
    let (executable, lacking): (Vec<usize>, Vec<usize>) = (0..forms.len())
        .filter(|&form| forms[form].expected.is_none())
        .partition(|&form| forms[form].is_executable());
    let lacking: Vec<&str> = lacking.iter().map(|&form| &*forms[form].text).collect();
    eprintln!("not on this processor: {lacking:?}");
    let run = Forms { forms, executable };
    let Some(mut rig) = Rig::load(Way::Best, RING) else {
        return;
    };
    run.compare(&mut rig);
    eprintln!("{} forms executed", run.executable.len());
}

/// All forms, and the indices of the executed ones.
struct Forms {
    forms: Vec<Form>,
    executable: Vec<usize>,
}

/// Results of each form, from each state.
type Outcomes = BTreeMap<Wanted, Vec<u8>>;

impl Forms {
    /// Executes the forms without probes, with probes on all of them, and without again.
    fn compare(&self, rig: &mut Rig) {
        let mut executor = Executor::start();
        let plain = self.execute(&mut executor);
        let probes = self.attach(rig, executor.pid());
        let probed = self.execute(&mut executor);
        let mut hits: BTreeMap<u32, usize> = BTreeMap::new();
        for record in rig.records() {
            *hits.entry(record.header.site).or_default() += 1;
        }
        // Each probe's links are closed by a thread of their own, because perf events close slowly.
        for (slot, _) in &probes {
            rig.machine.detach(*slot);
        }
        rig.machine.wait_closed();
        probes
            .iter()
            .for_each(|(slot, _)| rig.machine.forget(*slot));
        let mut wrong = self.differences(&plain, &probed);
        let cookies = probes.iter().flat_map(|(_, cookies)| cookies);
        for (form, cookie) in self.executable.iter().zip(cookies) {
            let hits = hits.get(cookie).copied().unwrap_or_default();
            if hits != STATES {
                wrong.push(format!("{}: {hits} hits", self.forms[*form].text));
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
        let after = self.execute(&mut executor);
        assert_eq!(self.differences(&plain, &after), Vec::<String>::new());
    }

    /// Attaches a probe to each form. Returns the probes' slots and the sites' cookies.
    fn attach(&self, rig: &mut Rig, pid: u32) -> Vec<(u32, Vec<u32>)> {
        let mut probes = Vec::new();
        for some in self.executable.chunks(GROUP) {
            let sites: Vec<_> = some
                .iter()
                .map(|&form| (self.forms[form].offset(), vec![emit(1, RDI)]))
                .collect();
            let requests = requests(&sites);
            let reserved = rig.machine.reserve(&UNLIMITED, &requests).expect("room");
            probes.push((reserved.slot, reserved.cookies.clone()));
            let failed = rig.machine.attach(pid, reserved, &requests);
            let failed: Vec<String> = failed
                .expect("attached")
                .iter()
                .map(|(index, error)| format!("{}: {error}", self.forms[some[*index]].text))
                .collect();
            assert_eq!(failed, Vec::<String>::new(), "refused by the kernel");
        }
        probes
    }

    fn execute(&self, executor: &mut Executor) -> Outcomes {
        let wanted: Vec<Wanted> = self
            .executable
            .iter()
            .flat_map(|&form| (0..STATES).map(move |state| Wanted { form, state }))
            .collect();
        match executor.execute(&wanted) {
            Ok(outcomes) => wanted.into_iter().zip(outcomes).collect(),
            Err((done, why)) => {
                let Wanted { form, state } = wanted[done];
                panic!("{} from state {state}: {why}", self.forms[form].text)
            }
        }
    }

    fn differences(&self, expected: &Outcomes, outcomes: &Outcomes) -> Vec<String> {
        expected
            .iter()
            .filter_map(|(wanted, expected)| {
                let difference = difference(expected, &outcomes[wanted])?;
                let Wanted { form, state } = *wanted;
                let text = &self.forms[form].text;
                Some(format!("{text} from state {state}: {difference}"))
            })
            .collect()
    }
}

/// Prints the behaviour of this kernel for each form, in a process of its own. It shows why an
/// entry of the table is there, and if a newer kernel still needs it.
///
/// `cargo test -p tracer --test kernel survey -- --ignored --nocapture`
#[test]
#[ignore = "prints what the kernel does; run by hand"]
fn survey_of_all_forms() {
    let Some(mut rig) = Rig::load(Way::Best, RING) else {
        return;
    };
    for (index, form) in forms().iter().enumerate() {
        if form.is_executable() {
            let outcome = survey(&mut rig, index, form);
            let entry = Unprobeable::of(form.bytes());
            println!("{:60} {entry:?}: {outcome}", form.text);
        }
    }
}

fn survey(rig: &mut Rig, index: usize, form: &Form) -> String {
    let wanted = [Wanted {
        form: index,
        state: 0,
    }];
    let mut executor = Executor::start();
    let plain = match executor.execute(&wanted) {
        Ok(plain) => Some(plain),
        Err(_) => {
            executor = Executor::start();
            None
        }
    };
    let request = requests(&[(form.offset(), vec![emit(1, RDI)])]);
    let reserved = rig.machine.reserve(&UNLIMITED, &request).expect("room");
    let request = requests(&[(form.offset(), vec![emit(1, RDI)])]);
    let slot = reserved.slot;
    if let Err(error) = rig.machine.attach(executor.pid(), reserved, &request) {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        return format!("refused: {}", source.unwrap_or_default());
    }
    let probed = executor.execute(&wanted);
    let hits = rig.records().len();
    rig.remove(slot);
    match (plain, probed) {
        (None, probed) => format!("dies without a probe; with one {:?}", probed.err()),
        (Some(_), Err((_, why))) => why,
        (Some(plain), Ok(probed)) => match difference(&plain[0], &probed[0]) {
            Some(difference) => difference,
            None if hits == 1 => "right".to_owned(),
            None => format!("{hits} hits"),
        },
    }
}
