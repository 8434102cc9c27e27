use super::*;
use crate::audit::AuditAction;
use crate::platform::Platform;
use crate::run::State;
use crate::run::{HeadJob, Run};
use crate::testing::*;
use crate::use_cases::clean_up::tests::cleaner;

fn extend_leases(fixture: &Fixture) -> ExtendedLeases {
    run_now(cleaner(fixture).extend_leases(&fixture.context())).unwrap()
}

fn extended(live: u32, failed: u32) -> ExtendedLeases {
    ExtendedLeases { live, failed }
}

fn with_head_job(mut run: Run, lease: i64) -> Run {
    run.lifecycle.lease_until = minutes(lease);
    run.lifecycle.head_job = Some(HeadJob {
        job_id: "job-1".into(),
        queue: "arn:queue".into(),
        region: "eu-west-1".into(),
        account: None,
    });
    run
}

/// A run of this number on AWS Batch, whose lease ends before its latest end.
fn numbered(number: u32, state: State) -> Run {
    Run { id: RunId::new(&format!("ab12{number:010}")).unwrap(), ..run(Platform::AwsBatch, state) }
}

#[test]
fn the_lease_of_each_live_run_is_extended_unless_it_is_long_enough_already() {
    use Platform::{AwsBatch, Slurm};
    let latest = minutes(30 * 24 * 60);
    let unclaimed = run(Slurm, State::Pending);
    let mut claimed = run(Slurm, State::Running);
    claimed.lifecycle.claimed = Some(minutes(-5));
    let mut extended_before = run(AwsBatch, State::Running);
    extended_before.lifecycle.lease_until = latest;
    // The state, the end of the lease and the due time afterwards; `None` if nothing is written.
    let cases = [
        ("provisioning", run(AwsBatch, State::Provisioning), Some((State::Pending, latest, Some(latest)))),
        ("pending", run(AwsBatch, State::Pending), Some((State::Pending, latest, Some(latest)))),
        ("running", run(AwsBatch, State::Running), Some((State::Running, latest, Some(latest)))),
        ("extended before", extended_before, None),
        ("claimed", claimed, Some((State::Running, latest, Some(latest)))),
        (
            "claim token that may have been used since",
            unclaimed,
            Some((State::Ended, minutes(24 * 60), None)),
        ),
        (
            "head job, short lease",
            with_head_job(run(AwsBatch, State::Running), 14),
            Some((State::Running, minutes(30), Some(NOW))),
        ),
        ("head job, half of the lease left", with_head_job(run(AwsBatch, State::Running), 15), None),
        ("ending", run(AwsBatch, State::Ending), None),
    ];
    for (case, run, written) in cases {
        let fixture = Fixture::new();
        fixture.table.put_run(run.clone());
        assert_eq!(extend_leases(&fixture), extended(1, 0), "{case}");
        let lifecycle = fixture.table.stored_run(&run.id).lifecycle;
        match written {
            Some(expected) => {
                assert_eq!((lifecycle.state, lifecycle.lease_until, lifecycle.due), expected, "{case}");
                assert_eq!(lifecycle.revision, run.lifecycle.revision + 1, "{case}");
            }
            None => assert_eq!(lifecycle, run.lifecycle, "{case}"),
        }
        let audited = if lifecycle.state == State::Ended { vec![AuditAction::RunEnded] } else { vec![] };
        let actions: Vec<_> = fixture.table.audit().iter().map(|record| record.action).collect();
        assert_eq!(actions, audited, "{case}");
        assert!(fixture.target.faults.calls().is_empty(), "{case}: no copy is touched");
        assert!(fixture.jobs.faults.calls().is_empty(), "{case}: no job is asked about");

        let writes = fixture.table.faults.count("save_lifecycle");
        extend_leases(&fixture);
        assert_eq!(
            fixture.table.faults.count("save_lifecycle"),
            writes,
            "{case}: a second pass writes nothing"
        );
    }
}

#[test]
fn a_run_that_has_ended_is_not_counted_as_live() {
    let fixture = Fixture::new();
    fixture.table.put_run(run(Platform::AwsBatch, State::Ended));
    assert_eq!(extend_leases(&fixture), extended(0, 0));
    assert_eq!(fixture.table.faults.calls(), ["due_runs"]);
}

#[test]
fn a_run_that_fails_is_counted_and_does_not_stop_the_others() {
    let cases = [
        ("run", unavailable as fn() -> Error, 1),
        ("save_lifecycle", unavailable, 1),
        ("save_lifecycle", || Error::Contended, 1),
        // Another writer was faster: the next pass decides again.
        ("save_lifecycle", || Error::VersionConflict, 0),
    ];
    for (operation, error, failed) in cases {
        let case = format!("{operation}: {:?}", error());
        let fixture = Fixture::new();
        for number in 1..=4 {
            fixture.table.put_run(numbered(number, State::Running));
        }
        for _ in 0..2 {
            fixture.table.faults.fail(operation, error());
        }
        assert_eq!(extend_leases(&fixture), extended(4, 2 * failed), "{case}");
        let lasting =
            |number| fixture.table.stored_run(&numbered(number, State::Running).id).lifecycle.lease_until;
        assert_eq!([1, 2].map(lasting), [minutes(20); 2], "{case}");
        assert_eq!([3, 4].map(lasting), [minutes(30 * 24 * 60); 2], "{case}");
        assert_eq!(extend_leases(&fixture), extended(4, 0), "{case}: the next pass");
        assert_eq!([1, 2].map(lasting), [minutes(30 * 24 * 60); 2], "{case}: the next pass");
    }
}

#[test]
fn a_run_that_ended_or_was_deleted_after_it_was_listed_is_not_a_failure() {
    let run = numbered(1, State::Running);
    for deleted in [false, true] {
        let fixture = Fixture::new();
        fixture.table.put_run(run.clone());
        let id = run.id.clone();
        fixture.table.before("run", move |rows| match deleted {
            true => drop(rows.runs.remove(&id)),
            false => rows.runs.get_mut(&id).unwrap().lifecycle.state = State::Ended,
        });
        assert_eq!(extend_leases(&fixture), extended(1, 0), "deleted: {deleted}");
        assert_eq!(fixture.table.faults.calls(), ["due_runs", "run"], "deleted: {deleted}");
    }
}

#[test]
fn a_pass_fails_if_it_cannot_list_the_runs() {
    let fixture = Fixture::new();
    fixture.table.faults.fail("due_runs", unavailable());
    assert_eq!(error_of(run_now(cleaner(&fixture).extend_leases(&fixture.context()))).code(), "unavailable");
}
