use super::*;
use crate::audit::Subject;
use crate::ids::SecretId;
use crate::role::Role;
use crate::secret::{Description, MAX_IN_SCOPE, OldVersion};
use crate::testing::*;
use crate::use_cases::open_values::open_values;
use crate::value::ValueProperties;

const KEY: &str = "a-key-of-this-request";

fn import(fixture: &Fixture, drafts: &[Draft], mode: ImportMode, key: Option<&str>) -> Result<Vec<Written>> {
    let service = SecretService { store: fixture.table.clone(), keys: fixture.keys.clone() };
    let here = Some(workspace_id());
    run_now(service.import(&actor(), here, drafts, mode, key, &fixture.context()))
}

fn upsert(fixture: &Fixture, drafts: &[Draft]) -> Result<Vec<Written>> {
    import(fixture, drafts, ImportMode::Upsert, None)
}

/// An admin in a workspace with the secret `LICENCE` at version 3.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.table.put_member(workspace(), actor().user, Role::Admin);
    fixture.put_secret(&licence(), "old text");
    fixture
}

fn licence() -> Secret {
    Secret {
        description: Some(Description::new("a note").unwrap()),
        expires: Some(minutes(5)),
        last_used: Some(minutes(-5)),
        ..secret(of_workspace(), 1, "LICENCE")
    }
}

fn draft(secret_name: &str) -> Draft {
    Draft { name: name(secret_name), value: value("new\ntext"), description: None, expires: None }
}

fn drafts(number: usize) -> Vec<Draft> {
    (0..number).map(|index| draft(&format!("NAME_{index}"))).collect()
}

fn outcomes(written: &[Written]) -> Vec<&'static str> {
    written.iter().map(|written| written.outcome.as_str()).collect()
}

fn stored(fixture: &Fixture, id: SecretId) -> Secret {
    fixture.table.rows.borrow().secrets[&(of_workspace(), id)].clone()
}

/// Returns the secrets and values, to compare them before and after a refusal.
fn state(fixture: &Fixture) -> (Vec<Secret>, usize, usize, usize) {
    let rows = fixture.table.rows.borrow();
    let secrets = rows.secrets.values().cloned().collect();
    (secrets, rows.history.len(), rows.audit.len(), rows.idempotency.len())
}

fn open(fixture: &Fixture, secret: &Secret) -> String {
    let sealed = fixture.table.rows.borrow().sealed[&(secret.owner, secret.id)].clone();
    let values =
        run_now(open_values(&*fixture.keys, &[pin_of(secret)], &[sealed], &fixture.settings)).unwrap();
    values[&secret.name].expose().to_owned()
}

#[test]
fn an_upsert_creates_new_names_and_updates_existing_ones_in_one_write() {
    let fixture = fixture();
    let written = upsert(&fixture, &[draft("BB"), draft("LICENCE"), draft("AA")]).unwrap();
    assert_eq!(outcomes(&written), ["created", "updated", "created"]);
    assert_eq!(written[1].id, licence().id);
    let calls = ["role", "secret_named", "secret_named", "secret_named", "upsert_secrets"];
    assert_eq!(fixture.table.faults.calls(), calls);

    let created = stored(&fixture, written[0].id);
    assert_eq!((created.name.as_str(), created.version), ("BB", 1));
    assert_eq!(open(&fixture, &created), "new\ntext");
    let updated = stored(&fixture, licence().id);
    let expected = Secret {
        version: 4,
        updated: NOW,
        updated_by: actor().user,
        properties: ValueProperties { nextflow_store: false, ..licence().properties },
        ..licence()
    };
    assert_eq!(updated, expected, "description, expiry and last use are kept");
    assert_eq!(open(&fixture, &updated), "new\ntext");
    let replaced = OldVersion {
        version: 3,
        written: licence().updated,
        written_by: licence().updated_by,
        replaced: NOW,
    };
    assert_eq!(fixture.table.rows.borrow().history, [(licence().id, replaced)]);

    let audit = fixture.table.audit();
    let recorded: Vec<_> = audit.iter().map(|record| (record.action, record.subjects.clone())).collect();
    let new = [written[0].id, written[2].id].map(|id| Subject::of(&stored(&fixture, id)));
    assert_eq!(
        recorded,
        [
            (AuditAction::SecretCreated, new.to_vec()),
            (AuditAction::SecretUpdated, vec![Subject::of(&updated)]),
        ]
    );
    assert!(audit.iter().all(|it| it.actor == Some(actor().user) && it.scope == of_workspace()));
    assert_ne!(audit[0].id, audit[1].id);
}

#[test]
fn an_upsert_records_only_what_it_does() {
    for (case, names, actions) in [
        ("creations only", &["AA", "BB"][..], &[AuditAction::SecretCreated][..]),
        ("updates only", &["LICENCE"], &[AuditAction::SecretUpdated]),
    ] {
        let fixture = fixture();
        let drafts: Vec<_> = names.iter().map(|name| draft(name)).collect();
        upsert(&fixture, &drafts).unwrap();
        assert_eq!(fixture.table.actions(), actions, "{case}");
    }
}

#[test]
fn the_mode_create_refuses_to_update_and_reports_creations() {
    let fixture = fixture();
    let written = import(&fixture, &[draft("AA"), draft("BB")], ImportMode::Create, None).unwrap();
    assert_eq!(outcomes(&written), ["created", "created"]);
    assert_eq!(fixture.table.faults.calls(), ["role", "create_secrets"]);
}

#[test]
fn a_name_in_another_case_is_refused_and_nothing_is_written() {
    for (case, drafts) in [
        ("alone", vec![draft("Licence")]),
        ("after a creation", vec![draft("AA"), draft("licence")]),
        ("of a user's secret only", vec![draft("mine")]),
    ] {
        let fixture = fixture();
        fixture.put_secret(&secret(of_user(), 2, "MINE"), "text");
        let before = state(&fixture);
        let outcome = upsert(&fixture, &drafts);
        if case == "of a user's secret only" {
            assert_eq!(outcomes(&outcome.unwrap()), ["created"], "{case}");
            continue;
        }
        let error = error_of(outcome);
        assert_eq!(error.code(), "already-exists", "{case}");
        assert!(error.to_string().contains("already exists, or its name differs only in case"), "{error}");
        assert_eq!(state(&fixture), before, "{case}");
        assert_eq!(fixture.backoff.attempts(), [0; 0], "{case}");
    }
}

#[test]
fn an_upsert_treats_expired_and_lost_secrets_as_an_update_does() {
    let fixture = fixture();
    let properties = ValueProperties { lost: true, ..licence().properties };
    fixture.put_secret(&Secret { expires: Some(minutes(-1)), properties, ..licence() }, "old text");
    upsert(&fixture, &[draft("LICENCE")]).unwrap();
    let updated = stored(&fixture, licence().id);
    assert_eq!(updated.expires, Some(minutes(-1)), "an expired secret stays expired");
    assert!(!updated.properties.lost);
}

#[test]
fn only_creations_count_towards_the_limit() {
    for (case, names, refused) in [
        ("an update", &["LICENCE"][..], false),
        ("an update and a creation", &["LICENCE", "AA"], true),
        ("a creation", &["AA"], true),
    ] {
        let fixture = fixture();
        for id in 2..=i64::from(MAX_IN_SCOPE) {
            let full = secret(of_workspace(), id, &format!("N{id}"));
            fixture.table.rows.borrow_mut().secrets.insert((full.owner, full.id), full);
        }
        let before = state(&fixture);
        let drafts: Vec<_> = names.iter().map(|name| draft(name)).collect();
        let outcome = upsert(&fixture, &drafts);
        assert_eq!(outcome.is_err(), refused, "{case}");
        if refused {
            assert_eq!(error_of(outcome).code(), "limit-exceeded", "{case}");
            assert_eq!(state(&fixture), before, "{case}");
        }
    }
}

#[test]
fn an_upsert_is_decided_again_after_a_concurrent_write() {
    type OtherWrite = fn(&mut Rows);
    let cases: [(&str, OtherWrite, [&str; 2], [u64; 2]); 4] = [
        (
            "a secret was updated",
            |rows| {
                let newer = Secret { version: 4, updated_by: user_id(10), ..licence() };
                rows.secrets.insert((newer.owner, newer.id), newer);
            },
            ["updated", "created"],
            [5, 1],
        ),
        (
            "a secret was deleted",
            |rows| {
                rows.secrets.clear();
            },
            ["created", "created"],
            [1, 1],
        ),
        (
            "a name was created",
            |rows| {
                let other = Secret { version: 1, ..secret(of_workspace(), 2, "AA") };
                rows.secrets.insert((other.owner, other.id), other);
            },
            ["updated", "updated"],
            [4, 2],
        ),
        (
            "a secret was deleted and created again",
            |rows| {
                rows.secrets.clear();
                let other = Secret { version: 1, ..secret(of_workspace(), 2, "LICENCE") };
                rows.secrets.insert((other.owner, other.id), other);
            },
            ["updated", "created"],
            [2, 1],
        ),
    ];
    for (case, write, expected, versions) in cases {
        let fixture = fixture();
        fixture.table.before("upsert_secrets", write);
        let written = upsert(&fixture, &[draft("LICENCE"), draft("AA")]).unwrap();
        assert_eq!(outcomes(&written), expected, "{case}");
        assert_eq!(fixture.backoff.attempts(), [1], "{case}");
        for (written, version) in written.iter().zip(versions) {
            let secret = stored(&fixture, written.id);
            assert_eq!(secret.version, version, "{case}");
            assert_eq!(open(&fixture, &secret), "new\ntext", "{case}");
        }
        let recorded = fixture.table.audit().iter().flat_map(|it| it.subjects.clone()).count();
        assert_eq!(recorded, 2, "{case}");
    }
}

#[test]
fn a_name_created_concurrently_in_another_case_is_refused() {
    let fixture = fixture();
    fixture.table.before("upsert_secrets", |rows| {
        let other = secret(of_workspace(), 2, "aa");
        rows.secrets.insert((other.owner, other.id), other);
    });
    assert_eq!(error_of(upsert(&fixture, &[draft("AA")])).code(), "already-exists");
    assert_eq!(fixture.backoff.attempts(), [1]);
}

#[test]
fn a_failure_is_reported_and_only_a_contended_write_is_repeated() {
    type Arrange = fn(&Fixture);
    let cases: [(&str, Arrange, &str, &[u32]); 7] = [
        ("no member", |f| f.table.rows.borrow_mut().roles.clear(), "not-found", &[]),
        (
            "role without the right",
            |f| f.table.put_member(workspace(), actor().user, Role::Maintain),
            "forbidden",
            &[],
        ),
        ("read", |f| f.table.faults.fail("secret_named", unavailable()), "unavailable", &[]),
        ("data key", |f| f.keys.faults.fail("generate_data_key", unavailable()), "unavailable", &[]),
        ("write", |f| f.table.faults.fail("upsert_secrets", unavailable()), "unavailable", &[]),
        ("lost membership", |f| f.table.faults.fail("upsert_secrets", Error::NotFound), "not-found", &[]),
        (
            "contended for long",
            |f| (0..4).for_each(|_| f.table.faults.fail("upsert_secrets", Error::VersionConflict)),
            "contended",
            &[1, 2, 3],
        ),
    ];
    for (case, arrange, code, attempts) in cases {
        let fixture = fixture();
        arrange(&fixture);
        let before = state(&fixture);
        assert_eq!(error_of(upsert(&fixture, &[draft("LICENCE"), draft("AA")])).code(), code, "{case}");
        assert_eq!(state(&fixture), before, "{case}");
        assert_eq!(fixture.backoff.attempts(), attempts, "{case}");
    }
}

#[test]
fn an_upsert_has_at_most_32_secrets_and_31_with_a_key() {
    let with_key = "An import with mode=upsert and an Idempotency-Key can contain at most 31 secrets, and \
                    this one has 32. Split it, or omit the key.";
    let too_many = "An import can contain at most 32 secrets, and this one has 33. Split it.";
    for (number, key, refusal) in [
        (32, None, None),
        (31, Some(KEY), None),
        (32, Some(KEY), Some(with_key)),
        (33, None, Some(too_many)),
        (33, Some(KEY), Some(too_many)),
        (0, None, Some("The import contains no secrets.")),
    ] {
        let fixture = fixture();
        let outcome = import(&fixture, &drafts(number), ImportMode::Upsert, key);
        match refusal {
            None => assert_eq!(outcome.unwrap().len(), number),
            Some(text) => {
                assert_eq!(error_of(outcome).to_string(), text, "{number}, {key:?}");
                assert_eq!(fixture.table.faults.calls(), ["role"], "{number}, {key:?}");
            }
        }
    }
}

#[test]
fn a_repeated_upsert_gets_the_first_result_and_changes_nothing() {
    let drafts = || [draft("LICENCE"), draft("AA")];
    let again = |fixture: &Fixture| import(fixture, &drafts(), ImportMode::Upsert, Some(KEY)).unwrap();
    let fixture = fixture();
    let first = again(&fixture);
    assert_eq!(outcomes(&first), ["updated", "created"]);
    let before = state(&fixture);
    assert_eq!(again(&fixture), first);
    assert_eq!(state(&fixture), before);
    // The replay does not depend on what happened to the names.
    let renamed = Secret { name: name("licence"), ..licence() };
    fixture.table.rows.borrow_mut().secrets.insert((renamed.owner, renamed.id), renamed);
    assert_eq!(again(&fixture), first);
}

#[test]
fn a_key_belongs_to_one_mode_and_one_body() {
    let one = || vec![draft("AA")];
    let other = || vec![Draft { value: value("other"), ..draft("AA") }];
    for (case, first, mode, second, repeated) in [
        ("create, then upsert", ImportMode::Create, ImportMode::Upsert, one(), false),
        ("upsert, then create", ImportMode::Upsert, ImportMode::Create, one(), false),
        ("upsert of another value", ImportMode::Upsert, ImportMode::Upsert, other(), false),
        ("the same upsert", ImportMode::Upsert, ImportMode::Upsert, one(), true),
    ] {
        let fixture = fixture();
        import(&fixture, &one(), first, Some(KEY)).unwrap();
        let before = state(&fixture);
        let outcome = import(&fixture, &second, mode, Some(KEY));
        assert_eq!(state(&fixture), before, "{case}");
        match repeated {
            true => assert_eq!(outcomes(&outcome.unwrap()), ["created"], "{case}"),
            false => assert_eq!(error_of(outcome).code(), "idempotency-mismatch", "{case}"),
        }
    }
}
