use super::*;
use crate::audit::AuditAction;
use crate::testing::{NOW, minutes, of_workspace, pin_of, run, secret};
use crate::token::TokenKey;

const NOTHING_HAPPENS: Step = Step { life: None, audit: None, action: None };

fn limits() -> Limits {
    Limits::default()
}

fn step(run: &Run, event: Event) -> Step {
    next(run, event, NOW, &limits())
}

/// The life that an event writes.
fn life(run: &Run, event: Event) -> Life {
    step(run, event).life.expect("the event changes the run")
}

fn batch(state: State) -> Run {
    run(Platform::AwsBatch, state)
}

fn slurm(state: State) -> Run {
    run(Platform::Slurm, state)
}

fn job() -> HeadJob {
    HeadJob { job_id: "job-1".into(), queue: "arn:queue".into(), region: "eu-west-1".into() }
}

fn with(mut run: Run, change: impl FnOnce(&mut Run)) -> Run {
    change(&mut run);
    run
}

fn with_head_job(state: State) -> Run {
    with(batch(state), |run| run.life.head_job = Some(job()))
}

fn due(run: Run) -> Run {
    with(run, |run| run.life.due = Some(NOW))
}

fn new_pins() -> Vec<PinnedSecret> {
    let mut pin = pin_of(&secret(of_workspace(), 1, "LICENCE"));
    pin.version = 4;
    vec![pin]
}

fn copies() -> Vec<RunCopy> {
    let mut copies = batch(State::Pending).life.copies;
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
    Event::Reported(Outcome { result: RunResult::Succeeded, exit_status: Some(0), told_by: ToldBy::Report })
}

fn seen(succeeded: bool) -> Event {
    Event::HeadJobSeen(Sighting::Final { succeeded, exit_status: Some(3) })
}

/// What a step does, in a word: nothing, the state that is written (`=` where it is the same), and `!`
/// where something is to be done afterwards.
fn in_short(run: &Run, step: &Step) -> String {
    let written = step.life.as_ref().map(|life| match life.state == run.life.state {
        true => "=",
        false => life.state.as_str(),
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

/// IAM lets `report-run` and `cleanup-run` write the other attributes of a run only (docs/ARCHITECTURE.md, Trust).
#[test]
fn reports_and_clean_ups_change_nothing_of_what_a_run_was_given() {
    let not_final = || Event::HeadJobSeen(Sighting::NotFinal);
    let by_both: [fn() -> Event; 6] = [
        || Event::SignOfLife,
        reported,
        || seen(true),
        || Event::Looked,
        || Event::Restored,
        || Event::CopiesGone,
    ];
    let mut changed = 0;
    for state in State::ALL {
        for run in
            [batch(state), slurm(state), with_head_job(state), due(batch(state)), due(with_head_job(state))]
        {
            let events = by_both
                .iter()
                .map(|event| event())
                .chain([not_final(), Event::HeadJobSeen(Sighting::Unknown)]);
            for event in events.chain([Event::HeadJobRecorded(job())]) {
                let before = &run.life;
                let records = matches!(event, Event::HeadJobRecorded(_));
                let Some(after) = step(&run, event.clone()).life else { continue };
                let expected = Life {
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

#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    type Row<'a> = (&'a str, fn(State) -> Run, Event, [&'a str; 5]);
    // States: provisioning, pending, running, ending, ended.
    let table: Vec<Row<'_>> = vec![
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
        ("heartbeat", batch, Event::SignOfLife, ["-", "running", "-", "-", "-"]),
        ("head job recorded", batch, Event::HeadJobRecorded(job()), ["-", "running", "=", "-", "-"]),
        ("head job recorded again", with_head_job, Event::HeadJobRecorded(job()), ["-", "-", "-", "-", "-"]),
        ("reported", batch, reported(), ["-", "ending!remove", "ending!remove", "-", "-"]),
        ("reported, on HPC", slurm, reported(), ["-", "ended", "ended", "-", "-"]),
        ("reported, with a head job", with_head_job, reported(), ["-", "=!observe", "=!observe", "-", "-"]),
        ("head job final", with_head_job, seen(true), ["-", "ending!remove", "ending!remove", "-", "-"]),
        ("head job final, and none recorded", batch, seen(true), ["-", "-", "-", "-", "-"]),
        (
            "head job not final",
            with_head_job,
            Event::HeadJobSeen(Sighting::NotFinal),
            ["-", "running", "=", "-", "-"],
        ),
        (
            "not final, and none recorded",
            batch,
            Event::HeadJobSeen(Sighting::NotFinal),
            ["-", "-", "-", "-", "-"],
        ),
        ("looked", batch, Event::Looked, ["-", "-", "-", "!remove", "-"]),
        (
            "looked when due",
            |state| due(batch(state)),
            Event::Looked,
            ["ending!remove", "ending!remove", "ending!remove", "!remove", "-"],
        ),
        (
            "looked when due, on HPC",
            |state| due(slurm(state)),
            Event::Looked,
            ["ended", "ended", "ended", "!remove", "-"],
        ),
        (
            "looked, with a head job",
            with_head_job,
            Event::Looked,
            ["-", "!observe", "!observe", "!remove", "-"],
        ),
        (
            "looked when due, with a head job",
            |state| due(with_head_job(state)),
            Event::Looked,
            ["ending!remove", "!observe", "!observe", "!remove", "-"],
        ),
        ("restored", batch, Event::Restored, ["pending", "=", "=", "-", "-"]),
        (
            "restored, with a claim token unused",
            slurm,
            Event::Restored,
            ["ended", "ended", "ended", "-", "-"],
        ),
        ("copies gone", batch, Event::CopiesGone, ["-", "-", "-", "ended", "-"]),
    ];
    for (case, make, event, expected) in table {
        for (state, expected) in State::ALL.into_iter().zip(expected) {
            let run = make(state);
            let step = step(&run, event.clone());
            assert_eq!(in_short(&run, &step), expected, "{case} in {}", state.as_str());
        }
    }
}

/// A case, a run, what happens to it, and what that may change.
type Change<'a> = (&'a str, Run, Event, fn(&mut Life));

#[test]
fn an_event_changes_only_what_it_is_about() {
    // Of every change, what is allowed to differ; everything else is as it was.
    let running = batch(State::Running);
    let cases: Vec<Change<'_>> = vec![
        ("provisioned", batch(State::Provisioning), Event::Provisioned(copies()), |life| {
            life.state = State::Pending;
            life.due = Some(minutes(24 * 60));
            life.lease_until = minutes(24 * 60);
            life.copies = copies();
            life.delivered = Some(NOW);
        }),
        (
            "provisioned, on HPC: delivered only by its claim",
            slurm(State::Provisioning),
            Event::Provisioned(vec![]),
            |life| {
                life.state = State::Pending;
                life.due = Some(minutes(24 * 60));
                life.lease_until = minutes(24 * 60);
            },
        ),
        ("repinned", batch(State::Provisioning), Event::Repinned(new_pins()), |life| {
            life.secrets = new_pins();
        }),
        ("tokens renewed", slurm(State::Pending), tokens_renewed(), |life| {
            life.run_token = hash(1);
            life.claim_token = Some(hash(2));
        }),
        ("claimed", slurm(State::Pending), Event::Claimed(new_pins()), |life| {
            life.state = State::Running;
            life.secrets = new_pins();
            life.claimed = Some(NOW);
            life.delivered = Some(NOW);
            life.due = Some(minutes(30));
            life.lease_until = minutes(30);
        }),
        ("first heartbeat", batch(State::Pending), Event::SignOfLife, |life| {
            life.state = State::Running;
            life.due = Some(minutes(30));
            life.lease_until = minutes(30);
        }),
        (
            "head job recorded: due at once, because a job that ended before sends no event",
            running.clone(),
            Event::HeadJobRecorded(job()),
            |life| {
                life.head_job = Some(job());
                life.due = Some(NOW);
                life.lease_until = minutes(30);
            },
        ),
        ("reported", running.clone(), reported(), |life| {
            life.state = State::Ending;
            life.due = Some(NOW);
            life.ending = Some(NOW);
            life.outcome =
                Some(Outcome { result: RunResult::Succeeded, exit_status: Some(0), told_by: ToldBy::Report });
        }),
        ("reported, with a head job: asked about first", with_head_job(State::Running), reported(), |life| {
            life.due = Some(NOW);
            life.outcome =
                Some(Outcome { result: RunResult::Succeeded, exit_status: Some(0), told_by: ToldBy::Report });
        }),
        ("copies gone", batch(State::Ending), Event::CopiesGone, |life| {
            life.state = State::Ended;
            life.due = None;
            life.removed = Some(NOW);
        }),
        ("reported, and there is nothing to remove", slurm(State::Running), reported(), |life| {
            life.state = State::Ended;
            life.due = None;
            life.ending = Some(NOW);
            life.removed = Some(NOW);
            life.outcome =
                Some(Outcome { result: RunResult::Succeeded, exit_status: Some(0), told_by: ToldBy::Report });
        }),
    ];
    for (case, run, event, change) in cases {
        let mut expected = Life { revision: run.life.revision + 1, ..run.life.clone() };
        change(&mut expected);
        assert_eq!(life(&run, event), expected, "{case}");
    }
}

#[test]
fn how_a_run_ended_and_who_told_is_what_the_event_says() {
    let outcome = |result, exit_status, told_by| Outcome { result, exit_status, told_by };
    let cases = [
        (
            "a launch that failed",
            batch(State::Provisioning),
            Event::LaunchFailed,
            outcome(RunResult::LaunchFailed, None, ToldBy::Launch),
        ),
        (
            "a launch that crashed",
            due(batch(State::Provisioning)),
            Event::Looked,
            outcome(RunResult::LaunchFailed, None, ToldBy::Sweep),
        ),
        (
            "a launch whose last answer was lost",
            batch(State::Pending),
            Event::LaunchFailed,
            outcome(RunResult::LaunchFailed, None, ToldBy::Launch),
        ),
        (
            "a refused claim",
            slurm(State::Pending),
            Event::ClaimRefused,
            outcome(RunResult::LaunchFailed, None, ToldBy::Launch),
        ),
        (
            "never heard of again",
            due(batch(State::Running)),
            Event::Looked,
            outcome(RunResult::Lost, None, ToldBy::Sweep),
        ),
        (
            "a head job that succeeded",
            with_head_job(State::Running),
            seen(true),
            outcome(RunResult::Succeeded, Some(3), ToldBy::HeadJob),
        ),
        (
            "a head job that failed",
            with_head_job(State::Running),
            seen(false),
            outcome(RunResult::Failed, Some(3), ToldBy::HeadJob),
        ),
        (
            "a restored run whose claim may be used up",
            slurm(State::Pending),
            Event::Restored,
            outcome(RunResult::LaunchFailed, None, ToldBy::Sweep),
        ),
    ];
    for (case, run, event, expected) in cases {
        assert_eq!(life(&run, event).outcome, Some(expected), "{case}");
    }
}

#[test]
fn a_launch_whose_run_is_already_in_use_is_neither_renewed_nor_failed() {
    let claimed = with(slurm(State::Pending), |run| run.life.claimed = Some(minutes(-1)));
    for run in [claimed, with_head_job(State::Pending)] {
        for event in [tokens_renewed(), Event::LaunchFailed] {
            assert_eq!(step(&run, event.clone()), NOTHING_HAPPENS, "{event:?}");
        }
    }
}

#[test]
fn a_claim_token_is_used_once() {
    let claimed = with(slurm(State::Running), |run| run.life.claimed = Some(minutes(-1)));
    assert_eq!(step(&claimed, Event::Claimed(new_pins())), NOTHING_HAPPENS);
}

#[test]
fn a_run_is_due_from_the_instant_that_its_row_names() {
    for state in [State::Provisioning, State::Pending, State::Running] {
        for (at, is_due) in [
            (NOW - SignedDuration::from_secs(1), true),
            (NOW, true),
            (NOW + SignedDuration::from_secs(1), false),
        ] {
            let run = with(batch(state), |run| run.life.due = Some(at));
            assert_eq!(step(&run, Event::Looked).life.is_some(), is_due, "{state:?} due at {at}");
        }
        let lost = with(batch(state), |run| run.life.due = None);
        assert!(step(&lost, Event::Looked).life.is_some(), "{state:?} without a due time");
        let latest = NOW - limits().lease;
        for (not_after, ends) in
            [(latest, state != State::Provisioning), (latest + SignedDuration::from_secs(1), false)]
        {
            let run = with(batch(state), |run| {
                run.life.due = Some(minutes(5));
                run.not_after = not_after;
            });
            assert_eq!(
                step(&run, Event::Looked).life.is_some(),
                ends,
                "{state:?} with the latest end {not_after}"
            );
        }
    }
}

#[test]
fn a_row_with_any_time_is_looked_at_without_a_panic() {
    for time in [Timestamp::MIN, Timestamp::MAX] {
        let run = with(batch(State::Running), |run| {
            (run.created, run.not_after) = (time, time);
            run.life.due = Some(minutes(5));
        });
        assert_eq!(step(&run, Event::Looked).life.is_some(), time == Timestamp::MIN, "{time}");
    }
}

#[test]
fn a_heartbeat_renews_a_lease_of_which_less_than_half_is_left() {
    let half = limits().lease / 2;
    let second = SignedDuration::from_secs(1);
    for (lease_until, renews) in [(NOW + half, false), (NOW + half - second, true), (NOW - second, true)] {
        let run = with(batch(State::Running), |run| run.life.lease_until = lease_until);
        let step = step(&run, Event::SignOfLife);
        assert_eq!(step.life.is_some(), renews, "lease until {lease_until}");
        if let Some(life) = step.life {
            assert_eq!((life.lease_until, life.due), (minutes(30), Some(minutes(30))));
        }
    }
    // A pending run has a long lease of another kind: its first heartbeat always counts.
    let pending = with(batch(State::Pending), |run| run.life.lease_until = minutes(24 * 60));
    assert_eq!(life(&pending, Event::SignOfLife).lease_until, minutes(30));
}

#[test]
fn a_heartbeat_renews_no_lease_after_the_longest_run() {
    let second = SignedDuration::from_secs(1);
    for (not_after, renews) in [(NOW, false), (NOW - second, false), (NOW + second, true)] {
        let run = with(batch(State::Running), |run| {
            run.life.lease_until = NOW;
            run.not_after = not_after;
        });
        assert_eq!(step(&run, Event::SignOfLife).life.is_some(), renews, "not after {not_after}");
    }
}

#[test]
fn a_heartbeat_of_a_run_with_a_head_job_leaves_the_time_of_the_next_look() {
    let soon = with(with_head_job(State::Running), |run| {
        run.life.lease_until = NOW;
        run.life.due = Some(minutes(1));
    });
    let renewed = life(&soon, Event::SignOfLife);
    assert_eq!((renewed.lease_until, renewed.due), (minutes(30), Some(minutes(1))));
    let without = with(batch(State::Running), |run| {
        run.life.lease_until = NOW;
        run.life.due = Some(minutes(1));
    });
    assert_eq!(life(&without, Event::SignOfLife).due, Some(minutes(30)));
}

#[test]
fn a_head_job_that_may_run_again_renews_the_lease_and_is_asked_about_again() {
    let event = || Event::HeadJobSeen(Sighting::NotFinal);
    let renewed = life(&with_head_job(State::Running), event());
    assert_eq!((renewed.lease_until, renewed.due), (minutes(30), Some(minutes(30))));
    // Reported over by one attempt: asked about every five minutes.
    let ended = |lease| {
        let run = with(with_head_job(State::Running), |run| {
            run.life.outcome =
                Some(Outcome { result: RunResult::Failed, exit_status: None, told_by: ToldBy::Report });
        });
        next(&run, event(), NOW, &Limits { lease, ..limits() }).life.expect("a change").due
    };
    assert_eq!(ended(SignedDuration::from_mins(30)), Some(minutes(5)));
    assert_eq!(ended(SignedDuration::from_mins(3)), Some(minutes(3)), "never later than the lease");
}

#[test]
fn a_head_job_that_aws_batch_does_not_know_ends_the_run_with_its_lease() {
    let second = SignedDuration::from_secs(1);
    let unknown = |lease_until, due| {
        let run = with(with_head_job(State::Running), |run| {
            run.life.lease_until = lease_until;
            run.life.due = Some(due);
        });
        (run.clone(), step(&run, Event::HeadJobSeen(Sighting::Unknown)))
    };
    for lease_until in [NOW, NOW - second] {
        let (_, step) = unknown(lease_until, NOW);
        let outcome = step.life.expect("an end").outcome;
        let lost = Outcome { result: RunResult::Lost, exit_status: None, told_by: ToldBy::HeadJob };
        assert_eq!(outcome, Some(lost));
        assert_eq!(step.action, Some(Action::RemoveCopies));
    }
    let (run, step) = unknown(NOW + second, NOW);
    let expected = Life { revision: run.life.revision + 1, due: Some(NOW + second), ..run.life };
    let looked_at_again = Step { life: Some(expected), audit: None, action: None };
    assert_eq!(step, looked_at_again, "when the lease is over");
    let (_, step) = unknown(NOW + second, NOW + second);
    assert_eq!(step, NOTHING_HAPPENS, "due then already");
}

#[test]
fn a_restored_run_keeps_its_copies_until_something_that_can_be_trusted_says_that_it_is_over() {
    let half = limits().lease / 2;
    let second = SignedDuration::from_secs(1);
    // Without a head job: until its latest end.
    let run = batch(State::Provisioning);
    let held = life(&run, Event::Restored);
    assert_eq!(
        (held.state, held.lease_until, held.due),
        (State::Pending, run.not_after, Some(run.not_after))
    );
    let run = batch(State::Running);
    let held = life(&run, Event::Restored);
    assert_eq!(
        (held.state, held.lease_until, held.due),
        (State::Running, run.not_after, Some(run.not_after))
    );
    // Once held, it is held.
    for (lease_until, again) in
        [(run.not_after, false), (run.not_after + second, false), (run.not_after - second, true)]
    {
        let run = with(run.clone(), |run| run.life.lease_until = lease_until);
        assert_eq!(step(&run, Event::Restored).life.is_some(), again, "lease until {lease_until}");
    }
    // A provisioning run is held also where its lease is long.
    let provisioning = with(batch(State::Provisioning), |run| run.life.lease_until = run.not_after);
    assert_eq!(life(&provisioning, Event::Restored).state, State::Pending);
    // With a head job: it is asked about at once, for which it takes a lease.
    for (lease_until, again) in [(NOW + half, false), (NOW + half - second, true)] {
        let run = with(with_head_job(State::Running), |run| run.life.lease_until = lease_until);
        let step = step(&run, Event::Restored);
        assert_eq!(step.life.is_some(), again, "lease until {lease_until}");
        if let Some(life) = step.life {
            assert_eq!((life.lease_until, life.due), (minutes(30), Some(NOW)));
        }
    }
    // A claim that was used before the backup hands nothing over twice: the run lives on.
    let claimed = with(slurm(State::Running), |run| run.life.claimed = Some(minutes(-5)));
    assert_eq!(life(&claimed, Event::Restored).state, State::Running);
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
fn what_the_trail_tells_of_a_change_follows_from_event_and_states() {
    let told = |action| Some(StepAudit { action, detail: None });
    let cases = [
        ("provisioned", batch(State::Provisioning), Event::Provisioned(copies()), None),
        ("repinned", batch(State::Provisioning), Event::Repinned(new_pins()), told(AuditAction::RunRepinned)),
        ("tokens renewed", batch(State::Pending), tokens_renewed(), told(AuditAction::RunTokensRenewed)),
        ("claimed", slurm(State::Pending), Event::Claimed(new_pins()), told(AuditAction::RunClaimed)),
        ("heartbeat", batch(State::Pending), Event::SignOfLife, None),
        (
            "head job",
            batch(State::Pending),
            Event::HeadJobRecorded(job()),
            told(AuditAction::RunHeadJobRecorded),
        ),
        ("not final", with_head_job(State::Running), Event::HeadJobSeen(Sighting::NotFinal), None),
        ("reported, with a head job", with_head_job(State::Running), reported(), None),
        ("reported", batch(State::Running), reported(), told(AuditAction::RunEnding)),
        ("reported, with no copies", slurm(State::Running), reported(), told(AuditAction::RunEnded)),
        ("launch failed", batch(State::Provisioning), Event::LaunchFailed, told(AuditAction::RunEnding)),
        ("lost", due(batch(State::Running)), Event::Looked, told(AuditAction::RunEnding)),
        ("copies gone", batch(State::Ending), Event::CopiesGone, told(AuditAction::RunEnded)),
        ("restored", batch(State::Running), Event::Restored, None),
        (
            "restored, with a claim unused",
            slurm(State::Pending),
            Event::Restored,
            told(AuditAction::RunEnded),
        ),
        (
            "claimed twice",
            with(slurm(State::Running), |run| run.life.claimed = Some(NOW)),
            Event::Claimed(new_pins()),
            None,
        ),
        ("after the end", slurm(State::Ended), reported(), None),
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
fn an_end_is_told_once_for_every_pair_of_states() {
    use AuditAction::{RunEnded, RunEnding};
    for before in State::ALL {
        for after in State::ALL {
            let expected = match (before, after) {
                (State::Ended, _) => None,
                (_, State::Ended) => Some(RunEnded),
                (State::Provisioning | State::Pending | State::Running, State::Ending) => Some(RunEnding),
                _ => None,
            };
            assert_eq!(ending_audit_action(before, after), expected, "{before:?} to {after:?}");
        }
    }
}

#[test]
fn a_row_with_the_last_revision_of_all_is_decided_without_a_panic() {
    let run = with(slurm(State::Running), |run| run.life.revision = u64::MAX);
    assert_eq!(life(&run, reported()).revision, u64::MAX);
}
