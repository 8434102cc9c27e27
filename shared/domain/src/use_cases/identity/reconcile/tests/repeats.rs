//! Concurrent writers, failures and lost answers: the same trail makes the remaining changes.

use super::*;

#[test]
fn a_contended_write_is_retried_after_a_fresh_read() {
    for (case, prepare, trail, write) in changes() {
        let fixture = prepare();
        fixture.table.faults.fail(write, Error::Contended);
        let done = reconcile_with(&fixture, &trail).unwrap();
        assert_ne!(done, ReconcileSummary::default(), "{case}");
        assert_eq!((fixture.backoff.attempts(), fixture.table.audit().len()), (vec![1], 1), "{case}");
        let busy = prepare();
        (0..4).for_each(|_| busy.table.faults.fail(write, Error::Contended));
        assert_eq!(error_of(reconcile_with(&busy, &trail)).code(), "contended", "{case}");
        assert_eq!((busy.backoff.attempts(), busy.table.audit()), (vec![1, 2, 3], Vec::new()), "{case}");
    }
}

#[test]
fn a_change_that_another_writer_made_first_is_not_repeated() {
    for (case, prepare, trail, write) in changes() {
        let fixture = prepare();
        fixture.table.before(write, |rows| {
            rows.secrets.clear();
            rows.tokens.clear();
            rows.roles.clear();
            rows.workspaces.clear();
        });
        let is_secret = write != "change_identity";
        if !is_secret {
            fixture.table.faults.fail(write, Error::Contended);
        }
        assert_eq!(reconcile_with(&fixture, &trail).unwrap(), ReconcileSummary::default(), "{case}");
        assert_eq!(fixture.table.faults.count(write), 1, "{case}");
        assert_eq!(fixture.backoff.attempts().len(), usize::from(!is_secret), "{case}");
    }
}

#[test]
fn a_secret_that_was_updated_concurrently_is_read_again() {
    let newer = |version| {
        let mut secret = secret(of_workspace(), 1, "LICENCE");
        secret.version = version;
        secret
    };
    let cases = [
        ("deleted in its newest version", deleted(1), "delete_secret_unscoped", 4, 1, 0),
        ("still too old", written(1, 5), "mark_value_lost", 4, 0, 1),
        ("new enough", written(1, 5), "mark_value_lost", 5, 0, 0),
    ];
    for (case, trail, write, version, deleted, outdated) in cases {
        let fixture = with_secrets();
        let other = newer(version);
        fixture.table.before(write, move |rows| drop(rows.secrets.insert((other.owner, other.id), other)));
        let done = reconcile_with(&fixture, &trail).unwrap();
        let expected = ReconcileSummary {
            secrets_deleted: deleted,
            secrets_outdated: outdated,
            ..ReconcileSummary::default()
        };
        assert_eq!(done, expected, "{case}");
        assert_eq!(fixture.backoff.attempts(), [1], "{case}");
    }
}

#[test]
fn after_a_failure_of_any_call_the_same_trail_can_be_reconciled() {
    for (case, prepare, trail, write) in changes() {
        let probe = prepare();
        reconcile_with(&probe, &trail).unwrap();
        for call in probe.table.faults.calls() {
            let fixture = prepare();
            fixture.table.faults.fail(call, unavailable());
            assert_eq!(error_of(reconcile_with(&fixture, &trail)).code(), "unavailable", "{case}, {call}");
            assert_eq!(fixture.table.audit(), [], "{case}, {call}");
            assert_ne!(
                reconcile_with(&fixture, &trail).unwrap(),
                ReconcileSummary::default(),
                "{case}, {call}"
            );
        }
        let fixture = prepare();
        fixture.table.faults.lose_answer(write, unavailable());
        assert_eq!(error_of(reconcile_with(&fixture, &trail)).code(), "unavailable", "{case}");
        assert_eq!(reconcile_with(&fixture, &trail).unwrap(), ReconcileSummary::default(), "{case} was done");
        assert_eq!(fixture.table.audit().len(), 1, "{case} is recorded once");
    }
}
