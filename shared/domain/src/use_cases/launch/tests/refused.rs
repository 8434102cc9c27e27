//! Launches that are refused before the intent is written.

use super::*;

type Arrange = fn(&Fixture, &mut LaunchRequest);

#[test]
fn a_refused_launch_writes_and_opens_nothing() {
    fn change(fixture: &Fixture, change: impl FnOnce(&mut Secret)) {
        let mut rows = fixture.table.rows.borrow_mut();
        change(rows.secrets.get_mut(&(of_user(), token().id)).unwrap());
    }
    let cases: [(&str, Arrange, &str, &str); 11] = [
        ("no member", |f, _| f.table.rows.borrow_mut().roles.clear(), "not-found", "Not found"),
        (
            "role without the right",
            |f, _| f.table.put_member(workspace(), actor().user, Role::Connect),
            "forbidden",
            "Required role: owner, admin, maintain or launch",
        ),
        (
            "platform not allowed",
            |f, _| f.table.rows.borrow_mut().workspaces.get_mut(&workspace_id()).unwrap().platforms.clear(),
            "refused",
            "does not allow launches on aws-batch. A workspace owner or admin can allow the platform",
        ),
        (
            "expired at this instant",
            |f, _| change(f, |secret| secret.expires = Some(NOW)),
            "refused",
            "the user secret TOKEN has expired",
        ),
        (
            "value lost",
            |f, _| change(f, |secret| secret.properties.lost = true),
            "refused",
            "the user secret TOKEN was lost when the service was restored from a backup: set it again",
        ),
        (
            "not carried by Nextflow's store",
            |f, request| {
                request.platform = Platform::Slurm;
                change(f, |secret| secret.properties.nextflow_store = false);
            },
            "refused",
            "the user secret TOKEN cannot pass through Nextflow's secrets store unchanged: store it as base64",
        ),
        (
            "unknown secret",
            |_, request| request.secrets.workspace = Selection::These([name("ABSENT")].into()),
            "refused",
            "there is no workspace secret ABSENT",
        ),
        (
            "membership cannot be read",
            |f, _| f.table.faults.fail("role_and_workspace", unavailable()),
            "unavailable",
            "Retry in a moment",
        ),
        (
            "secrets cannot be read",
            |f, _| f.table.faults.fail("secrets", unavailable()),
            "unavailable",
            "Retry in a moment",
        ),
        (
            "idempotency key cannot be looked up",
            |f, _| f.table.faults.fail("find_idempotency_record", unavailable()),
            "unavailable",
            "Retry in a moment",
        ),
        (
            "write not allowed",
            |f, _| f.table.faults.fail("begin_run", Error::NotFound),
            "not-found",
            "Not found",
        ),
    ];
    for (case, arrange, code, text) in cases {
        let (fixture, mut request) = (fixture(), request(Platform::AwsBatch));
        arrange(&fixture, &mut request);
        let error = error_of(launch(&fixture, &request, Some("a-key-of-this-request")));
        assert_eq!(error.code(), code, "{case}");
        assert!(error.to_string().contains(text), "{case}: {error}");
        assert_nothing_opened(&fixture, case);
        assert!(fixture.table.rows.borrow().runs.is_empty(), "{case}: a run was written");
        assert!(fixture.table.rows.borrow().idempotency.is_empty(), "{case}: the key was taken");
        assert_eq!(fixture.table.actions(), [], "{case}");
        assert_eq!(fixture.table.faults.count("run"), 0, "{case}: there is no run to end");
        assert_eq!(fixture.backoff.attempts(), [0; 0], "{case}: retried");
    }
}

#[test]
fn a_secret_is_delivered_until_it_expires() {
    for (case, now, delivered) in
        [("before", minutes(4), true), ("at the instant", minutes(5), false), ("after", minutes(6), false)]
    {
        let fixture = fixture();
        fixture.put_secret(&Secret { expires: Some(minutes(5)), ..token() }, "token text");
        let launched = launch_at(&fixture, &request(Platform::AwsBatch), None, now);
        assert_eq!(launched.is_ok(), delivered, "{case}");
        assert_eq!(fixture.target.names().len(), usize::from(delivered), "{case}");
    }
}

#[test]
fn a_malformed_idempotency_key_is_refused_before_it_is_looked_up() {
    let fixture = fixture();
    let error = error_of(launch(&fixture, &request(Platform::AwsBatch), Some("short")));
    assert!(error.to_string().starts_with("Idempotency-Key must have 16 to 256"), "{error}");
    assert_eq!(fixture.table.faults.calls(), ["role_and_workspace"]);
}
