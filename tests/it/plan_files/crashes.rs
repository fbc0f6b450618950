//! Killed while a saved plan is carried out: no old plan is resumed, and an apply converges.

use fleetwright::cli::Exit;

use super::{SCRIPT, SHOP, fresh, save};
use crate::crash::wire::{Fate, Trap, Wire};
use crate::crash::world::{faults, summary};
use crate::kit::{fleet, says};
use crate::rig::Rig;

const APPLY_FILE: &str = "apply plan.json";

/// Kills the apply of a saved plan at every `every`th of its writes and calls.
fn killed(base: &Rig, every: usize) {
    save(base);
    let done = base.fork();
    let wire = Wire::new(None);
    wire.run(&done, APPLY_FILE, false).expect("nobody dies").expect(Exit::Done);
    let wanted = summary(&done);
    let traffic = wire.traffic();
    let calls = (0..traffic.calls.len()).flat_map(|n| {
        let mutates = traffic.calls[n].1;
        [Some(Trap::Call(n, Fate::NotSent)), mutates.then_some(Trap::Call(n, Fate::AnswerLost))]
    });
    let writes = (0..traffic.writes).flat_map(|n| [Some(Trap::Write(n, false)), Some(Trap::Write(n, true))]);
    let traps: Vec<Trap> = calls.chain(writes).flatten().step_by(every).collect();
    let (mut stale, mut went_on) = (0, 0);
    for trap in traps {
        let rig = base.fork();
        let wire = Wire::new(Some(trap));
        assert!(wire.run(&rig, APPLY_FILE, false).is_none(), "{trap:?}: it should have died");
        rig.wait_ms(1_000);
        wire.arm(None);
        let again = wire.run(&rig, APPLY_FILE, false).expect("nobody dies any more");
        if again.exit == Exit::Done {
            // It died before anything was written that the plan could miss.
            went_on += 1;
        } else {
            stale += 1;
            let again = again.expect(Exit::Foreign);
            assert!(again.err.contains("error[stale]"), "{trap:?}: {}", again.err);
            let open = again.err.contains("an interrupted run left");
            says(&again.err, if open { "fleetwright apply" } else { "fleetwright plan --out plan.json" });
            rig.run("apply --auto-approve").expect(Exit::Done);
        }
        rig.wait_ms(600_000);
        rig.expect_no_changes();
        assert_eq!(faults(&rig), Vec::<String>::new(), "{trap:?}");
        assert_eq!(summary(&rig), wanted, "{trap:?}");
    }
    assert!(stale > 2 && went_on > 0, "{stale} were stale, {went_on} went on");
}

#[test]
fn a_saved_plan_that_is_killed_is_stale_and_an_apply_converges() {
    killed(&fresh(), 2);
}

#[test]
fn a_saved_replacement_that_is_killed_is_stale_and_an_apply_converges() {
    let rig = fleet();
    rig.wait_ms(600_000);
    rig.write(SCRIPT, "#!/bin/sh\necho two\n");
    rig.edit(SHOP, "max_unavailable: 2", "max_unavailable: 5");
    killed(&rig, 5);
}
