//! Selected processes: each hit counts, from the first instruction on, and no hit of others.

use std::process::Command;

use tracer::kernel::{MemberOrigin, RuleKinds, SelectionRule};
use tracer_common::forks::{EXECUTED, EXITED, FORKED, FOUND, MATCHED};

use crate::support::needs;
use crate::support::rig::{Way, ways};
use crate::support::selected::{SelectedRig, exe, name};
use crate::support::short::{self, DROP_ROOT, EXECUTE, FORK, Obedient, PASS, RENAME, VFORK};

#[test]
fn exec_chain_is_a_member_from_the_matching_program_on() {
    if !needs::kernel() {
        return;
    }
    let folder = short::folder();
    let shell = short::write(&folder.path().join("shell"));
    let app = short::write(&folder.path().join("app"));
    for &way in ways() {
        let mut rig = SelectedRig::load(way, &[RuleKinds::EXES], &[exe(&app)], &[&app, &shell]);
        let mut process = Obedient::start(&shell, &[&app, "-".as_ref(), &shell, "-".as_ref()]);
        process.tell(PASS);
        process.tell(EXECUTE);
        process.tell(PASS);
        process.tell(FORK);
        process.tell(EXECUTE);
        process.tell(PASS);
        let id = process.id();
        process.end();
        assert_eq!(rig.hits(), [2, 0], "{way:?}");
        assert_eq!(rig.kinds_of(id), [MATCHED, EXECUTED]);
        assert_eq!((rig.count(FORKED), rig.count(EXITED)), (1, 1));
        assert_eq!(rig.messages[&MATCHED][0].parent, std::process::id());
        assert_eq!(rig.messages[&FORKED][0].parent, id);
        rig.assert_none_missed();
    }
}

#[test]
fn names_match_by_comm_or_file() {
    if !needs::kernel() {
        return;
    }
    let folder = short::folder();
    let file = "a-name-that-is-longer-than-fifteen-bytes";
    let app = short::write(&folder.path().join(file));
    let script = short::write_script(&folder.path().join("a-script.sh"), &app);
    let link = folder.path().join("a-link");
    std::os::unix::fs::symlink(&app, &link).expect("a link");
    let cases = [
        (file, [true; 3]),
        ("a-name-that-is-", [true, false, false]),
        ("a-name-that-is", [false; 3]),
        ("a-name-*", [true; 3]),
        ("*-bytes", [true; 3]),
        ("a-script.sh", [false, true, false]),
        ("a-scrip?.sh", [false, true, false]),
        ("a-link", [false, false, true]),
        ("*", [true; 3]),
        ("other", [false; 3]),
    ];
    for (pattern, wanted) in cases {
        let rules = [name(pattern)];
        let rig = SelectedRig::load(Way::Best, &[RuleKinds::NAMES], &rules, &[&app]);
        for (path, wanted) in [&app, &script, &link].into_iter().zip(wanted) {
            let before = rig.hits()[0];
            short::run(&mut Command::new(path));
            let counted = rig.hits()[0] - before == 1;
            assert_eq!(counted, wanted, "{pattern} {}", path.display());
        }
        rig.assert_none_missed();
    }
}

#[test]
fn chosen_processes_stay_and_others_never_count() {
    if !needs::kernel() {
        return;
    }
    let folder = short::folder();
    let app = short::write(&folder.path().join("app"));
    for (follow, hits) in [(false, 3), (true, 4)] {
        let mut rig = SelectedRig::load(Way::Best, &[RuleKinds::PIDS], &[], &[&app]);
        let mut chosen = Obedient::start(&app, &[&app, "-".as_ref()]);
        let mut other = Obedient::start(&app, &[&app, "-".as_ref()]);
        let origin = MemberOrigin::Chosen { follow };
        assert!(rig.selection.add(chosen.id(), origin).expect("room"));
        assert!(!rig.selection.add(chosen.id(), origin).expect("room"));
        for process in [&mut chosen, &mut other] {
            process.tell(PASS);
            process.tell(FORK);
            process.tell(EXECUTE);
            process.tell(PASS);
        }
        rig.selection.remove(other.id());
        other.tell(PASS);
        chosen.tell(PASS);
        assert_eq!(rig.hits(), [hits]);
        assert_eq!(rig.kinds_of(chosen.id()), [MATCHED]);
        assert_eq!(rig.count(FORKED), usize::from(follow));
        rig.assert_none_missed();
    }
}

#[test]
fn running_process_is_found_by_its_first_hit() {
    if !needs::kernel() {
        return;
    }
    let folder = short::folder();
    let app = short::write(&folder.path().join("app"));
    let mut process = Obedient::start(&app, &[]);
    let kinds = [RuleKinds::EXES];
    let mut rig = SelectedRig::load(Way::Best, &kinds, &[], &[&app]);
    process.tell(PASS);
    assert_eq!(rig.hits(), [0], "there is no rule yet");
    rig.selection.add_rule(&exe(&app)).expect("room");
    process.tell(PASS);
    process.tell(PASS);
    process.tell(FORK);
    assert_eq!(rig.hits(), [3]);
    let id = process.id();
    process.end();
    assert_eq!(rig.kinds_of(id), [FOUND, EXITED]);
    assert_eq!((rig.count(FORKED), rig.count(FOUND)), (1, 1));
    rig.assert_none_missed();
}

#[test]
fn process_that_changes_its_name_or_user_is_found_by_its_next_hit() {
    if !needs::kernel() {
        return;
    }
    let folder = short::folder();
    let app = short::write(&folder.path().join("app"));
    let renamed = name(&String::from_utf8_lossy(short::OTHER_NAME));
    for (kind, rule, command) in [
        (RuleKinds::NAMES, renamed, RENAME),
        (
            RuleKinds::USERS,
            SelectionRule::User(short::USER),
            DROP_ROOT,
        ),
    ] {
        let mut rig = SelectedRig::load(Way::Best, &[kind], &[rule], &[&app]);
        let mut process = Obedient::start(&app, &[]);
        process.tell(PASS);
        process.tell(PASS);
        assert_eq!(rig.hits(), [0]);
        process.tell(command);
        process.tell(PASS);
        process.tell(VFORK);
        process.tell(FORK);
        assert_eq!(rig.hits(), [3], "{kind:?}");
        let id = process.id();
        process.end();
        assert_eq!(rig.kinds_of(id), [FOUND, EXITED]);
        // Who shares our memory is found by its hit.
        assert_eq!((rig.count(FORKED), rig.count(FOUND)), (1, 2));
        rig.assert_none_missed();
    }
}

#[test]
fn process_that_changes_to_another_user_does_not_count_any_more() {
    if !needs::kernel() {
        return;
    }
    let folder = short::folder();
    let app = short::write(&folder.path().join("app"));
    let kinds = [RuleKinds::USERS, RuleKinds::EXES];
    let rules = [SelectionRule::User(0), exe(&app)];
    let mut rig = SelectedRig::load(Way::Best, &kinds, &rules, &[&app]);
    let mut process = Obedient::start_by(short::forked(Command::new(&app).arg("-")));
    process.tell(PASS);
    process.tell(DROP_ROOT);
    process.tell(PASS);
    assert_eq!(rig.hits(), [1]);
    rig.selection
        .add_rule(&SelectionRule::User(short::USER))
        .expect("room");
    process.tell(PASS);
    assert_eq!(rig.hits(), [2]);
    assert_eq!(rig.kinds_of(process.id()), [MATCHED]);
    rig.assert_none_missed();
}
