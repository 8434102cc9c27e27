use super::*;
use crate::audit::AuditAction;
use crate::testing::{NOW, minutes, of_workspace, pin_of, run, secret};
use crate::token::TokenKey;

const NOTHING_HAPPENS: Step = Step { lifecycle: None, audit: None, action: None };

fn limits() -> Limits {
    Limits::default()
}

fn step(run: &Run, event: Event) -> Step {
    next(run, event, NOW, &limits())
}

/// The lifecycle that an event writes.
fn lifecycle(run: &Run, event: Event) -> Lifecycle {
    step(run, event).lifecycle.expect("the event changes the run")
}

fn batch(state: State) -> Run {
    run(Platform::AwsBatch, state)
}

fn slurm(state: State) -> Run {
    run(Platform::Slurm, state)
}

fn job() -> HeadJob {
    HeadJob { job_id: "job-1".into(), queue: "arn:queue".into(), region: "eu-west-1".into(), account: None }
}

fn with(mut run: Run, change: impl FnOnce(&mut Run)) -> Run {
    change(&mut run);
    run
}

fn with_head_job(state: State) -> Run {
    with(batch(state), |run| run.lifecycle.head_job = Some(job()))
}

fn due(run: Run) -> Run {
    with(run, |run| run.lifecycle.due = Some(NOW))
}

fn new_pins() -> Vec<PinnedSecret> {
    let mut pin = pin_of(&secret(of_workspace(), 1, "LICENCE"));
    pin.version = 4;
    vec![pin]
}

fn copies() -> Vec<RunCopy> {
    let mut copies = batch(State::Pending).lifecycle.copies;
    copies[0].arn = Some("arn:made".into());
    copies
}

fn hash(byte: u8) -> TokenHash {
    struct Fixed(u8);
    impl crate::ports::Randomness for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }
    TokenKey::make_random(&Fixed(byte)).hash()
}

fn tokens_renewed() -> Event {
    Event::TokensRenewed { run_token: hash(1), claim_token: Some(hash(2)) }
}

fn reported() -> Event {
    Event::Reported(Outcome {
        result: RunResult::Succeeded,
        exit_status: Some(0),
        reported_by: ReportedBy::Report,
        cancelled_by: None,
    })
}

const CANCELLER: i64 = 9;

fn cancelled(head_job: Option<JobStatus>, forced: bool) -> Event {
    Event::Cancelled { by: UserId::new(CANCELLER).unwrap(), head_job, forced }
}

fn cancellation() -> Outcome {
    Outcome {
        result: RunResult::Cancelled,
        exit_status: None,
        reported_by: ReportedBy::User,
        cancelled_by: UserId::new(CANCELLER),
    }
}

fn observed(succeeded: bool) -> Event {
    Event::HeadJobObserved(JobStatus::Final { succeeded, exit_status: Some(3) })
}

/// A step in a word: `-` for nothing, the written state (`=` if it is the same), and `!` with the
/// follow-up action.
fn in_short(run: &Run, step: &Step) -> String {
    let written = step.lifecycle.as_ref().map(|lifecycle| match lifecycle.state == run.lifecycle.state {
        true => "=",
        false => lifecycle.state.as_str(),
    });
    let action = step.action.map(|action| match action {
        Action::ObserveHeadJob => "!observe",
        Action::RemoveCopies => "!remove",
    });
    match (written, action) {
        (None, None) => "-".into(),
        _ => [written, action].into_iter().flatten().collect(),
    }
}

/// IAM lets `report-run` and `cleanup-run` write only the other attributes of a run
/// (docs/ARCHITECTURE.md, Trust).
#[test]
fn reports_and_clean_ups_change_nothing_of_what_a_run_was_given() {
    let not_final = || Event::HeadJobObserved(JobStatus::NotFinal);
    let by_both: [fn() -> Event; 7] = [
        || Event::Heartbeat,
        reported,
        || observed(true),
        || Event::Inspected,
        || Event::Restored,
        || Event::CopiesDeleted,
        || cancelled(None, true),
    ];
    let mut changed = 0;
    for state in State::ALL {
        for run in
            [batch(state), slurm(state), with_head_job(state), due(batch(state)), due(with_head_job(state))]
        {
            let events = by_both
                .iter()
                .map(|event| event())
                .chain([not_final(), Event::HeadJobObserved(JobStatus::Unknown)]);
            for event in events.chain([Event::HeadJobRecorded(job())]) {
                let before = &run.lifecycle;
                let records = matches!(event, Event::HeadJobRecorded(_));
                let Some(after) = step(&run, event.clone()).lifecycle else { continue };
                let expected = Lifecycle {
                    revision: after.revision,
                    state: after.state,
                    due: after.due,
                    lease_until: after.lease_until,
                    outcome: after.outcome.clone(),
                    ending: after.ending,
                    removed: after.removed,
                    head_job: if records { after.head_job.clone() } else { before.head_job.clone() },
                    ..before.clone()
                };
                assert_eq!(after, expected, "{event:?} in {state:?}");
                changed += 1;
            }
        }
    }
    assert!(changed > 40, "only {changed} events changed a run");
}

/// A case, a run in each state, an event, and what it does in the states provisioning, pending,
/// running, ending and ended.
type Row<'a> = (&'a str, fn(State) -> Run, Event, [&'a str; 5]);

fn cancellations() -> Vec<Row<'static>> {
    vec![
        ("cancelled", batch, cancelled(None, false), ["-", "ending!remove", "ending!remove", "-", "-"]),
        (
            "cancelled, forced",
            batch,
            cancelled(None, true),
            ["-", "ending!remove", "ending!remove", "-", "-"],
        ),
        ("cancelled, on HPC", slurm, cancelled(None, false), ["-", "ended", "ended", "-", "-"]),
        (
            "cancelled, with a live head job",
            with_head_job,
            cancelled(Some(JobStatus::NotFinal), false),
            ["-", "-", "-", "-", "-"],
        ),
        (
            "cancelled, with a head job that AWS Batch does not list",
            with_head_job,
            cancelled(Some(JobStatus::Unknown), false),
            ["-", "-", "-", "-", "-"],
        ),
        (
            "cancelled, with a head job that was not observed",
            with_head_job,
            cancelled(None, false),
            ["-", "-", "-", "-", "-"],
        ),
        (
            "cancelled, forced, with a live head job",
            with_head_job,
            cancelled(Some(JobStatus::NotFinal), true),
            ["-", "ending!remove", "ending!remove", "-", "-"],
        ),
        (
            "cancelled, with a final head job",
            with_head_job,
            cancelled(Some(JobStatus::Final { succeeded: true, exit_status: Some(0) }), false),
            ["-", "ending!remove", "ending!remove", "-", "-"],
        ),
        (
            "cancelled, with a head job that AWS Batch has forgotten",
            |state| with(with_head_job(state), |run| run.lifecycle.lease_until = NOW),
            cancelled(Some(JobStatus::Unknown), false),
            ["-", "ending!remove", "ending!remove", "-", "-"],
        ),
    ]
}

#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    let mut table: Vec<Row<'_>> = vec![
        ("provisioned", batch, Event::Provisioned(copies()), ["pending", "-", "-", "-", "-"]),
        ("provisioned, on HPC", slurm, Event::Provisioned(vec![]), ["pending", "-", "-", "-", "-"]),
        ("repinned", batch, Event::Repinned(new_pins()), ["=", "-", "-", "-", "-"]),
        ("tokens renewed", batch, tokens_renewed(), ["-", "=", "-", "-", "-"]),
        ("tokens renewed, with a head job", with_head_job, tokens_renewed(), ["-", "-", "-", "-", "-"]),
        ("launch failed", batch, Event::LaunchFailed, ["ending!remove", "ending!remove", "-", "-", "-"]),
        ("launch failed, on HPC", slurm, Event::LaunchFailed, ["ended", "ended", "-", "-", "-"]),
        (
            "launch failed, with a head job",
            with_head_job,
            Event::LaunchFailed,
            ["ending!remove", "-", "-", "-", "-"],
        ),
        ("claim refused", slurm, Event::ClaimRefused, ["-", "ended", "ended", "-", "-"]),
        ("claim refused, without a claim token", batch, Event::ClaimRefused, ["-", "-", "-", "-", "-"]),
        ("claimed", slurm, Event::Claimed(new_pins()), ["-", "running", "=", "-", "-"]),
        ("heartbeat", batch, Event::Heartbeat, ["-", "running", "-", "-", "-"]),
        ("owner removed", batch, Event::OwnerRemoved, ["-", "ending!remove", "ending!remove", "-", "-"]),
        ("owner removed, on HPC", slurm, Event::OwnerRemoved, ["-", "ended", "ended", "-", "-"]),
        (
            "owner removed, with a head job",
            with_head_job,
            Event::OwnerRemoved,
            ["-", "ending!remove", "ending!remove", "-", "-"],
        ),
        ("head job recorded", batch, Event::HeadJobRecorded(job()), ["-", "running", "=", "-", "-"]),
        ("head job recorded again", with_head_job, Event::HeadJobRecorded(job()), ["-", "-", "-", "-", "-"]),
        ("reported", batch, reported(), ["-", "ending!remove", "ending!remove", "-", "-"]),
        ("reported, on HPC", slurm, reported(), ["-", "ended", "ended", "-", "-"]),
        ("reported, with a head job", with_head_job, reported(), ["-", "=!observe", "=!observe", "-", "-"]),
        ("head job final", with_head_job, observed(true), ["-", "ending!remove", "ending!remove", "-", "-"]),
        ("head job final, and none recorded", batch, observed(true), ["-", "-", "-", "-", "-"]),
        (
            "head job not final",
            with_head_job,
            Event::HeadJobObserved(JobStatus::NotFinal),
            ["-", "running", "=", "-", "-"],
        ),
        (
            "not final, and none recorded",
            batch,
            Event::HeadJobObserved(JobStatus::NotFinal),
            ["-", "-", "-", "-", "-"],
        ),
        ("inspected", batch, Event::Inspected, ["-", "-", "-", "!remove", "-"]),
        (
            "inspected when due",
            |state| due(batch(state)),
            Event::Inspected,
            ["ending!remove", "ending!remove", "ending!remove", "!remove", "-"],
        ),
        (
            "inspected when due, on HPC",
            |state| due(slurm(state)),
            Event::Inspected,
            ["ended", "ended", "ended", "!remove", "-"],
        ),
        (
            "inspected, with a head job",
            with_head_job,
            Event::Inspected,
            ["-", "!observe", "!observe", "!remove", "-"],
        ),
        (
            "inspected when due, with a head job",
            |state| due(with_head_job(state)),
            Event::Inspected,
            ["ending!remove", "!observe", "!observe", "!remove", "-"],
        ),
        ("restored", batch, Event::Restored, ["pending", "=", "=", "-", "-"]),
        (
            "restored, with a claim token unused",
            slurm,
            Event::Restored,
            ["ended", "ended", "ended", "-", "-"],
        ),
        ("copies deleted", batch, Event::CopiesDeleted, ["-", "-", "-", "ended", "-"]),
    ];
    table.extend(cancellations());
    for (case, make, event, expected) in table {
        for (state, expected) in State::ALL.into_iter().zip(expected) {
            let run = make(state);
            let step = step(&run, event.clone());
            assert_eq!(in_short(&run, &step), expected, "{case} in {}", state.as_str());
        }
    }
}

/// A case, a run, an event, and the expected change.
type Change<'a> = (&'a str, Run, Event, fn(&mut Lifecycle));

#[test]
fn an_event_changes_only_what_it_is_about() {
    // Everything that a case does not change must stay the same.
    let running = batch(State::Running);
    let cases: Vec<Change<'_>> = vec![
        ("provisioned", batch(State::Provisioning), Event::Provisioned(copies()), |lifecycle| {
            lifecycle.state = State::Pending;
            lifecycle.due = Some(minutes(24 * 60));
            lifecycle.lease_until = minutes(24 * 60);
            lifecycle.copies = copies();
            lifecycle.delivered = Some(NOW);
        }),
        (
            "provisioned, on HPC: delivered only by its claim",
            slurm(State::Provisioning),
            Event::Provisioned(vec![]),
            |lifecycle| {
                lifecycle.state = State::Pending;
                lifecycle.due = Some(minutes(24 * 60));
                lifecycle.lease_until = minutes(24 * 60);
            },
        ),
        ("repinned", batch(State::Provisioning), Event::Repinned(new_pins()), |lifecycle| {
            lifecycle.secrets = new_pins();
        }),
        ("tokens renewed", slurm(State::Pending), tokens_renewed(), |lifecycle| {
            lifecycle.run_token = hash(1);
            lifecycle.claim_token = Some(hash(2));
        }),
        ("claimed", slurm(State::Pending), Event::Claimed(new_pins()), |lifecycle| {
            lifecycle.state = State::Running;
            lifecycle.secrets = new_pins();
            lifecycle.claimed = Some(NOW);
            lifecycle.delivered = Some(NOW);
            lifecycle.due = Some(minutes(30));
            lifecycle.lease_until = minutes(30);
        }),
        ("first heartbeat", batch(State::Pending), Event::Heartbeat, |lifecycle| {
            lifecycle.state = State::Running;
            lifecycle.due = Some(minutes(30));
            lifecycle.lease_until = minutes(30);
        }),
        (
            "head job recorded: due at once, because a job that ended earlier sends no event",
            running.clone(),
            Event::HeadJobRecorded(job()),
            |lifecycle| {
                lifecycle.head_job = Some(job());
                lifecycle.due = Some(NOW);
                lifecycle.lease_until = minutes(30);
            },
        ),
        ("reported", running.clone(), reported(), |lifecycle| {
            lifecycle.state = State::Ending;
            lifecycle.due = Some(NOW);
            lifecycle.ending = Some(NOW);
            lifecycle.outcome = Some(Outcome {
                result: RunResult::Succeeded,
                exit_status: Some(0),
                reported_by: ReportedBy::Report,
                cancelled_by: None,
            });
        }),
        (
            "reported, with a head job: checked first",
            with_head_job(State::Running),
            reported(),
            |lifecycle| {
                lifecycle.due = Some(NOW);
                lifecycle.outcome = Some(Outcome {
                    result: RunResult::Succeeded,
                    exit_status: Some(0),
                    reported_by: ReportedBy::Report,
                    cancelled_by: None,
                });
            },
        ),
        ("copies deleted", batch(State::Ending), Event::CopiesDeleted, |lifecycle| {
            lifecycle.state = State::Ended;
            lifecycle.due = None;
            lifecycle.removed = Some(NOW);
        }),
        ("reported, and there is nothing to remove", slurm(State::Running), reported(), |lifecycle| {
            lifecycle.state = State::Ended;
            lifecycle.due = None;
            lifecycle.ending = Some(NOW);
            lifecycle.removed = Some(NOW);
            lifecycle.outcome = Some(Outcome {
                result: RunResult::Succeeded,
                exit_status: Some(0),
                reported_by: ReportedBy::Report,
                cancelled_by: None,
            });
        }),
    ];
    for (case, run, event, change) in cases {
        let mut expected = Lifecycle { revision: run.lifecycle.revision + 1, ..run.lifecycle.clone() };
        change(&mut expected);
        assert_eq!(lifecycle(&run, event), expected, "{case}");
    }
}

#[test]
fn the_outcome_and_its_source_follow_from_the_event() {
    let outcome =
        |result, exit_status, reported_by| Outcome { result, exit_status, reported_by, cancelled_by: None };
    let cases = [
        (
            "a launch that failed",
            batch(State::Provisioning),
            Event::LaunchFailed,
            outcome(RunResult::LaunchFailed, None, ReportedBy::Launch),
        ),
        (
            "a launch that crashed",
            due(batch(State::Provisioning)),
            Event::Inspected,
            outcome(RunResult::LaunchFailed, None, ReportedBy::Sweep),
        ),
        (
            "a launch whose last answer was lost",
            batch(State::Pending),
            Event::LaunchFailed,
            outcome(RunResult::LaunchFailed, None, ReportedBy::Launch),
        ),
        (
            "a refused claim",
            slurm(State::Pending),
            Event::ClaimRefused,
            outcome(RunResult::LaunchFailed, None, ReportedBy::Launch),
        ),
        (
            "no further heartbeat",
            due(batch(State::Running)),
            Event::Inspected,
            outcome(RunResult::Lost, None, ReportedBy::Sweep),
        ),
        (
            "a deleted workspace",
            with_head_job(State::Running),
            Event::OwnerRemoved,
            outcome(RunResult::Cancelled, None, ReportedBy::Sweep),
        ),
        (
            "a head job that succeeded",
            with_head_job(State::Running),
            observed(true),
            outcome(RunResult::Succeeded, Some(3), ReportedBy::HeadJob),
        ),
        (
            "a head job that failed",
            with_head_job(State::Running),
            observed(false),
            outcome(RunResult::Failed, Some(3), ReportedBy::HeadJob),
        ),
        ("a cancellation", batch(State::Running), cancelled(None, false), cancellation()),
        (
            "a forced cancellation after a report of the live head job",
            with(with_head_job(State::Running), |run| {
                run.lifecycle.outcome = Some(outcome(RunResult::Failed, Some(1), ReportedBy::Report));
            }),
            cancelled(None, true),
            cancellation(),
        ),
        (
            "a cancellation after the end of the head job: not what ended it",
            with_head_job(State::Running),
            cancelled(Some(JobStatus::Final { succeeded: true, exit_status: Some(3) }), false),
            outcome(RunResult::Succeeded, Some(3), ReportedBy::HeadJob),
        ),
        (
            "a restored run whose claim token may have been used",
            slurm(State::Pending),
            Event::Restored,
            outcome(RunResult::LaunchFailed, None, ReportedBy::Sweep),
        ),
    ];
    for (case, run, event, expected) in cases {
        assert_eq!(lifecycle(&run, event).outcome, Some(expected), "{case}");
    }
}

#[test]
fn a_launch_whose_run_is_already_in_use_is_neither_renewed_nor_failed() {
    let claimed = with(slurm(State::Pending), |run| run.lifecycle.claimed = Some(minutes(-1)));
    for run in [claimed, with_head_job(State::Pending)] {
        for event in [tokens_renewed(), Event::LaunchFailed] {
            assert_eq!(step(&run, event.clone()), NOTHING_HAPPENS, "{event:?}");
        }
    }
}

#[test]
fn a_claim_token_is_used_once() {
    let claimed = with(slurm(State::Running), |run| run.lifecycle.claimed = Some(minutes(-1)));
    assert_eq!(step(&claimed, Event::Claimed(new_pins())), NOTHING_HAPPENS);
}

#[test]
fn a_run_is_due_from_its_due_time_on() {
    for state in [State::Provisioning, State::Pending, State::Running] {
        for (at, is_due) in [
            (NOW - SignedDuration::from_secs(1), true),
            (NOW, true),
            (NOW + SignedDuration::from_secs(1), false),
        ] {
            let run = with(batch(state), |run| run.lifecycle.due = Some(at));
            assert_eq!(step(&run, Event::Inspected).lifecycle.is_some(), is_due, "{state:?} due at {at}");
        }
        let lost = with(batch(state), |run| run.lifecycle.due = None);
        assert!(step(&lost, Event::Inspected).lifecycle.is_some(), "{state:?} without a due time");
        let latest = NOW - limits().lease;
        for (not_after, ends) in
            [(latest, state != State::Provisioning), (latest + SignedDuration::from_secs(1), false)]
        {
            let run = with(batch(state), |run| {
                run.lifecycle.due = Some(minutes(5));
                run.not_after = not_after;
            });
            assert_eq!(
                step(&run, Event::Inspected).lifecycle.is_some(),
                ends,
                "{state:?} with the latest end {not_after}"
            );
        }
    }
}

#[test]
fn a_row_with_any_time_is_inspected_without_a_panic() {
    for time in [Timestamp::MIN, Timestamp::MAX] {
        let run = with(batch(State::Running), |run| {
            (run.created, run.not_after) = (time, time);
            run.lifecycle.due = Some(minutes(5));
        });
        assert_eq!(step(&run, Event::Inspected).lifecycle.is_some(), time == Timestamp::MIN, "{time}");
    }
}

#[test]
fn a_heartbeat_renews_a_lease_with_less_than_half_left() {
    let half = limits().lease / 2;
    let second = SignedDuration::from_secs(1);
    for (lease_until, renews) in [(NOW + half, false), (NOW + half - second, true), (NOW - second, true)] {
        let run = with(batch(State::Running), |run| run.lifecycle.lease_until = lease_until);
        let step = step(&run, Event::Heartbeat);
        assert_eq!(step.lifecycle.is_some(), renews, "lease until {lease_until}");
        if let Some(lifecycle) = step.lifecycle {
            assert_eq!((lifecycle.lease_until, lifecycle.due), (minutes(30), Some(minutes(30))));
        }
    }
    // The lease of a pending run is longer, so its first heartbeat always counts.
    let pending = with(batch(State::Pending), |run| run.lifecycle.lease_until = minutes(24 * 60));
    assert_eq!(lifecycle(&pending, Event::Heartbeat).lease_until, minutes(30));
}

#[test]
fn a_heartbeat_renews_no_lease_after_the_longest_run() {
    let second = SignedDuration::from_secs(1);
    for (not_after, renews) in [(NOW, false), (NOW - second, false), (NOW + second, true)] {
        let run = with(batch(State::Running), |run| {
            run.lifecycle.lease_until = NOW;
            run.not_after = not_after;
        });
        assert_eq!(step(&run, Event::Heartbeat).lifecycle.is_some(), renews, "not after {not_after}");
    }
}

#[test]
fn a_heartbeat_with_a_head_job_keeps_the_due_time() {
    let soon = with(with_head_job(State::Running), |run| {
        run.lifecycle.lease_until = NOW;
        run.lifecycle.due = Some(minutes(1));
    });
    let renewed = lifecycle(&soon, Event::Heartbeat);
    assert_eq!((renewed.lease_until, renewed.due), (minutes(30), Some(minutes(1))));
    let without = with(batch(State::Running), |run| {
        run.lifecycle.lease_until = NOW;
        run.lifecycle.due = Some(minutes(1));
    });
    assert_eq!(lifecycle(&without, Event::Heartbeat).due, Some(minutes(30)));
}

#[test]
fn a_head_job_that_may_run_again_renews_the_lease_and_is_checked_again() {
    let event = || Event::HeadJobObserved(JobStatus::NotFinal);
    let renewed = lifecycle(&with_head_job(State::Running), event());
    assert_eq!((renewed.lease_until, renewed.due), (minutes(30), Some(minutes(30))));
    // One attempt reported the end: the job is checked every five minutes.
    let ended = |lease| {
        let run = with(with_head_job(State::Running), |run| {
            run.lifecycle.outcome = Some(Outcome {
                result: RunResult::Failed,
                exit_status: None,
                reported_by: ReportedBy::Report,
                cancelled_by: None,
            });
        });
        next(&run, event(), NOW, &Limits { lease, ..limits() }).lifecycle.expect("a change").due
    };
    assert_eq!(ended(SignedDuration::from_mins(30)), Some(minutes(5)));
    assert_eq!(ended(SignedDuration::from_mins(3)), Some(minutes(3)), "never later than the lease");
}

#[test]
fn a_head_job_that_still_runs_keeps_its_run_for_a_limited_time_after_the_latest_end() {
    let (second, grace) = (SignedDuration::from_secs(1), SignedDuration::from_hours(7 * 24));
    let run = |not_after| with(with_head_job(State::Running), |run| run.not_after = not_after);
    let observed = |run: &Run| lifecycle(run, Event::HeadJobObserved(JobStatus::NotFinal));
    let kept = observed(&run(NOW - grace + second));
    assert_eq!((kept.state, kept.lease_until), (State::Running, minutes(30)));
    let ended = observed(&run(NOW - grace));
    assert_eq!(ended.state, State::Ending);
    let outcome = ended.outcome.expect("an outcome");
    assert_eq!((outcome.result, outcome.reported_by), (RunResult::Lost, ReportedBy::Sweep));
}

#[test]
fn a_run_is_overdue_by_its_head_job_from_its_latest_end_on_until_it_has_ended() {
    let second = SignedDuration::from_secs(1);
    for (run, not_after, overdue) in [
        (with_head_job(State::Running), NOW, true),
        (with_head_job(State::Running), NOW + second, false),
        (with_head_job(State::Ending), NOW, false),
        (with_head_job(State::Ended), NOW, false),
        (batch(State::Running), NOW, false),
    ] {
        let run = with(run, |run| run.not_after = not_after);
        assert_eq!(run.is_overdue_by_head_job(NOW), overdue, "{:?} {not_after}", run.lifecycle.state);
    }
}

#[test]
fn a_run_whose_head_job_is_unknown_ends_when_its_lease_expires() {
    let second = SignedDuration::from_secs(1);
    let unknown = |lease_until, due| {
        let run = with(with_head_job(State::Running), |run| {
            run.lifecycle.lease_until = lease_until;
            run.lifecycle.due = Some(due);
        });
        (run.clone(), step(&run, Event::HeadJobObserved(JobStatus::Unknown)))
    };
    for lease_until in [NOW, NOW - second] {
        let (_, step) = unknown(lease_until, NOW);
        let outcome = step.lifecycle.expect("an end").outcome;
        let lost = Outcome {
            result: RunResult::Lost,
            exit_status: None,
            reported_by: ReportedBy::HeadJob,
            cancelled_by: None,
        };
        assert_eq!(outcome, Some(lost));
        assert_eq!(step.action, Some(Action::RemoveCopies));
    }
    let (run, step) = unknown(NOW + second, NOW);
    let expected =
        Lifecycle { revision: run.lifecycle.revision + 1, due: Some(NOW + second), ..run.lifecycle };
    let looked_at_again = Step { lifecycle: Some(expected), audit: None, action: None };
    assert_eq!(step, looked_at_again, "when the lease is over");
    let (_, step) = unknown(NOW + second, NOW + second);
    assert_eq!(step, NOTHING_HAPPENS, "due then already");
}

#[test]
fn a_restored_run_keeps_its_copies_until_its_end_is_confirmed() {
    let half = limits().lease / 2;
    let second = SignedDuration::from_secs(1);
    // Without a head job: until the latest end.
    let run = batch(State::Provisioning);
    let extended = lifecycle(&run, Event::Restored);
    assert_eq!(
        (extended.state, extended.lease_until, extended.due),
        (State::Pending, run.not_after, Some(run.not_after))
    );
    let run = batch(State::Running);
    let extended = lifecycle(&run, Event::Restored);
    assert_eq!(
        (extended.state, extended.lease_until, extended.due),
        (State::Running, run.not_after, Some(run.not_after))
    );
    // A second pass changes nothing.
    for (lease_until, again) in
        [(run.not_after, false), (run.not_after + second, false), (run.not_after - second, true)]
    {
        let run = with(run.clone(), |run| run.lifecycle.lease_until = lease_until);
        assert_eq!(step(&run, Event::Restored).lifecycle.is_some(), again, "lease until {lease_until}");
    }
    // A provisioning run is written even if its lease is long.
    let provisioning = with(batch(State::Provisioning), |run| run.lifecycle.lease_until = run.not_after);
    assert_eq!(lifecycle(&provisioning, Event::Restored).state, State::Pending);
    // With a head job: it is checked at once, which needs a lease.
    for (lease_until, again) in [(NOW + half, false), (NOW + half - second, true)] {
        let run = with(with_head_job(State::Running), |run| run.lifecycle.lease_until = lease_until);
        let step = step(&run, Event::Restored);
        assert_eq!(step.lifecycle.is_some(), again, "lease until {lease_until}");
        if let Some(lifecycle) = step.lifecycle {
            assert_eq!((lifecycle.lease_until, lifecycle.due), (minutes(30), Some(NOW)));
        }
    }
    // A claim token that was used before the backup cannot be used again: the run continues.
    let claimed = with(slurm(State::Running), |run| run.lifecycle.claimed = Some(minutes(-5)));
    assert_eq!(lifecycle(&claimed, Event::Restored).state, State::Running);
}

#[test]
fn a_run_is_live_until_it_is_ending_and_its_states_have_names_in_order() {
    let live: Vec<_> = State::ALL.into_iter().map(State::is_live).collect();
    assert_eq!(live, [true, true, true, false, false]);
    let names: Vec<_> = State::ALL.into_iter().map(State::as_str).collect();
    assert_eq!(names, ["provisioning", "pending", "running", "ending", "ended"]);
    assert!(State::ALL.is_sorted());
}

#[test]
fn a_run_belongs_to_its_workspace_or_to_the_user_who_launched_it() {
    let mut run = batch(State::Running);
    assert_eq!(run.scope(), of_workspace());
    run.workspace = None;
    assert_eq!(run.scope(), SecretOwner::User(run.user));
}

#[test]
fn the_audit_record_of_a_step_follows_from_event_and_states() {
    let audited = |action| Some(StepAudit { action, detail: None });
    let cases = vec![
        ("provisioned", batch(State::Provisioning), Event::Provisioned(copies()), None),
        (
            "repinned",
            batch(State::Provisioning),
            Event::Repinned(new_pins()),
            audited(AuditAction::RunRepinned),
        ),
        ("tokens renewed", batch(State::Pending), tokens_renewed(), audited(AuditAction::RunTokensRenewed)),
        ("claimed", slurm(State::Pending), Event::Claimed(new_pins()), audited(AuditAction::RunClaimed)),
        ("heartbeat", batch(State::Pending), Event::Heartbeat, None),
        (
            "head job",
            batch(State::Pending),
            Event::HeadJobRecorded(job()),
            audited(AuditAction::RunHeadJobRecorded),
        ),
        ("not final", with_head_job(State::Running), Event::HeadJobObserved(JobStatus::NotFinal), None),
        ("reported, with a head job", with_head_job(State::Running), reported(), None),
        ("reported", batch(State::Running), reported(), audited(AuditAction::RunEnding)),
        ("reported, with no copies", slurm(State::Running), reported(), audited(AuditAction::RunEnded)),
        ("launch failed", batch(State::Provisioning), Event::LaunchFailed, audited(AuditAction::RunEnding)),
        ("lost", due(batch(State::Running)), Event::Inspected, audited(AuditAction::RunEnding)),
        ("copies deleted", batch(State::Ending), Event::CopiesDeleted, audited(AuditAction::RunEnded)),
        ("restored", batch(State::Running), Event::Restored, None),
        (
            "restored, with a claim unused",
            slurm(State::Pending),
            Event::Restored,
            audited(AuditAction::RunEnded),
        ),
        (
            "claimed twice",
            with(slurm(State::Running), |run| run.lifecycle.claimed = Some(NOW)),
            Event::Claimed(new_pins()),
            None,
        ),
        ("after the end", slurm(State::Ended), reported(), None),
        (
            "a forced cancellation",
            with_head_job(State::Running),
            cancelled(None, true),
            Some(StepAudit { action: AuditAction::RunCancelled, detail: Some("forced") }),
        ),
        (
            "a cancellation after the end of the head job",
            with_head_job(State::Running),
            cancelled(Some(JobStatus::Final { succeeded: true, exit_status: None }), false),
            Some(StepAudit { action: AuditAction::RunEnding, detail: None }),
        ),
        (
            "a deleted workspace",
            with_head_job(State::Running),
            Event::OwnerRemoved,
            Some(StepAudit { action: AuditAction::RunCancelled, detail: Some("owner deleted") }),
        ),
        (
            "claim refused",
            slurm(State::Pending),
            Event::ClaimRefused,
            Some(StepAudit { action: AuditAction::RunEnded, detail: Some("claim refused") }),
        ),
    ];
    for (case, run, event, expected) in cases {
        assert_eq!(step(&run, event).audit, expected, "{case}");
    }
}

#[test]
fn an_end_is_audited_once_for_every_pair_of_states() {
    use AuditAction::{RunCancelled, RunEnded, RunEnding};
    for before in State::ALL {
        for after in State::ALL {
            let expected = match (before, after) {
                (State::Ended, _) => [None, None],
                (State::Provisioning | State::Pending | State::Running, State::Ending) => {
                    [Some(RunEnding), Some(RunCancelled)]
                }
                (State::Ending, State::Ended) => [Some(RunEnded); 2],
                (_, State::Ended) => [Some(RunEnded), Some(RunCancelled)],
                _ => [None, None],
            };
            let case = format!("{before:?} to {after:?}");
            let mut lifecycle = batch(after).lifecycle;
            assert_eq!(ending_audit_action(before, &lifecycle), expected[0], "{case}");
            lifecycle.outcome = Some(cancellation());
            assert_eq!(ending_audit_action(before, &lifecycle), expected[1], "{case}, cancelled");
        }
    }
}

#[test]
fn a_row_with_the_maximum_revision_does_not_panic() {
    let run = with(slurm(State::Running), |run| run.lifecycle.revision = u64::MAX);
    assert_eq!(lifecycle(&run, reported()).revision, u64::MAX);
}

#[test]
fn only_a_run_in_an_environment_is_given_up() {
    let far = minutes(10 * 365 * 24 * 60);
    for state in [State::Provisioning, State::Running, State::Ending] {
        let home = batch(state);
        assert_eq!(next(&home, Event::Unreachable, far, &limits()), NOTHING_HAPPENS, "{state}");
        let run = with(crate::testing::elsewhere(home), |run| {
            run.lifecycle.ending = (state == State::Ending).then(|| minutes(3));
        });
        let given_up = next(&run, Event::Unreachable, far, &limits()).lifecycle.unwrap();
        let ending = run.lifecycle.ending.unwrap_or(far);
        assert_eq!((given_up.state, given_up.ending), (State::Ended, Some(ending)), "{state}");
        assert_eq!(given_up.removed, None, "{state}: its copies may be left");
    }
}

/// A head job that never ends keeps its run for a week, wherever it is. In an environment that
/// cannot be used, the run is given up a month after its last sign, and at home never.
#[test]
fn past_its_latest_end_a_run_in_an_environment_ends_with_its_head_job_or_is_given_up() {
    use State::{Ended, Ending, Running};
    let (second, lease) = (SignedDuration::from_secs(1), limits().lease);
    let (grace, month) = (SignedDuration::from_hours(7 * 24), SignedDuration::from_hours(30 * 24));
    let (seen, unreachable) = (Event::HeadJobObserved(JobStatus::NotFinal), Event::Unreachable);
    let before = -SignedDuration::from_hours(24);
    // The state, the end of the lease and now, the latter two from the latest end; the event, and
    // the next state in an environment and at home.
    let cases = [
        (Running, lease, grace - second, &seen, Some(Running), Some(Running)),
        (Running, lease, grace, &seen, Some(Ending), Some(Ending)),
        // The environment was unreachable for longer than the grace, and is back.
        (Running, lease, month + grace, &seen, Some(Ending), Some(Ending)),
        // The lease of the last sign was over before the latest end.
        (Running, before, month - second, &unreachable, None, None),
        (Running, before, month, &unreachable, Some(Ended), None),
        // The head job was seen last at the end of the grace.
        (Running, grace + lease, grace, &unreachable, None, None),
        (Running, grace + lease, month, &unreachable, None, None),
        (Running, grace + lease, grace + lease + month - second, &unreachable, None, None),
        (Running, grace + lease, grace + lease + month, &unreachable, Some(Ended), None),
        // The run ended after the grace, and its copies cannot be deleted.
        (Ending, grace, month, &unreachable, None, None),
        (Ending, grace, grace + month - second, &unreachable, None, None),
        (Ending, grace, grace + month, &unreachable, Some(Ended), None),
        (Ended, grace, grace + month, &unreachable, None, None),
    ];
    for (state, lease_until, now, event, elsewhere, home) in cases {
        let run = with(with_head_job(state), |run| run.lifecycle.lease_until = run.not_after + lease_until);
        let now = run.not_after + now;
        let after = |run: &Run| next(run, event.clone(), now, &limits()).lifecycle.map(|after| after.state);
        let case = format!("{state} {lease_until} {now} {event:?}");
        assert_eq!(after(&run), home, "{case}, at home");
        assert_eq!(after(&crate::testing::elsewhere(run)), elsewhere, "{case}");
    }
}
