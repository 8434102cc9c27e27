use super::*;
use crate::audit::Subject;
use crate::role::Role;
use crate::testing::*;
use crate::use_cases::open_values::open_values;
use crate::value::ValueProperties;

fn service(fixture: &Fixture) -> SecretService {
    SecretService { store: fixture.table.clone(), keys: fixture.keys.clone() }
}

fn update(fixture: &Fixture, change: &Change, if_version: Option<u64>) -> Result<Secret> {
    let here = Some(workspace_id());
    run_now(service(fixture).update(&actor(), here, licence().id, change, if_version, &fixture.context()))
}

fn delete(fixture: &Fixture, if_version: Option<u64>) -> Result<()> {
    let here = Some(workspace_id());
    run_now(service(fixture).delete(&actor(), here, licence().id, if_version, &fixture.context()))
}

/// An update or a deletion of the secret.
type Operation = fn(&Fixture, Option<u64>) -> Result<()>;

/// An error, how often it occurs, the code of the outcome, and the retries before.
type Failure = (fn() -> Error, usize, &'static str, &'static [u32]);

const OPERATIONS: [(&str, &str, Operation); 2] = [
    ("update", "update_secret", |fixture, if_version| update(fixture, &change(), if_version).map(drop)),
    ("delete", "delete_secret", delete),
];

/// A workspace secret at version 3.
fn licence() -> Secret {
    Secret {
        description: Some(Description::new("a note").unwrap()),
        expires: Some(minutes(5)),
        last_used: Some(minutes(-5)),
        ..secret(of_workspace(), 1, "LICENCE")
    }
}

fn change() -> Change {
    Change { value: value("new\ntext"), description: None, expires: None }
}

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.table.put_member(workspace(), actor().user, Role::Admin);
    fixture.put_secret(&licence(), "old text");
    fixture
}

fn stored(fixture: &Fixture) -> Option<Secret> {
    fixture.table.rows.borrow().secrets.get(&(of_workspace(), licence().id)).cloned()
}

/// Another caller writes a version just before the operation takes effect.
fn written_concurrently(fixture: &Fixture, operation: &'static str) {
    let newer = Secret { version: 4, updated: minutes(-1), updated_by: user_id(10), ..licence() };
    fixture.table.before(operation, move |rows| {
        rows.secrets.insert((newer.owner, newer.id), newer);
    });
}

fn open(fixture: &Fixture, secret: &Secret) -> String {
    let sealed = fixture.table.rows.borrow().sealed[&(secret.owner, secret.id)].clone();
    let values =
        run_now(open_values(&*fixture.keys, &[pin_of(secret)], &[sealed], &fixture.settings)).unwrap();
    values[&secret.name].expose().to_owned()
}

#[test]
fn an_update_writes_a_new_version_and_keeps_the_other_fields() {
    let fixture = fixture();
    let updated = update(&fixture, &change(), None).unwrap();
    let expected = Secret {
        version: 4,
        updated: NOW,
        updated_by: actor().user,
        properties: ValueProperties { nextflow_store: false, ..licence().properties },
        ..licence()
    };
    assert_eq!(updated, expected);
    assert_eq!(stored(&fixture), Some(expected.clone()));
    assert_eq!(open(&fixture, &updated), "new\ntext");
    let replaced = OldVersion {
        version: 3,
        written: licence().updated,
        written_by: licence().updated_by,
        replaced: NOW,
    };
    assert_eq!(fixture.table.rows.borrow().history, [(licence().id, replaced)]);
    assert_recorded(&fixture, AuditAction::SecretUpdated, &expected);
    assert_eq!(fixture.table.faults.calls(), ["role", "secret", "update_secret"]);
}

fn assert_recorded(fixture: &Fixture, action: AuditAction, secret: &Secret) {
    let audit = fixture.table.audit();
    let expected = AuditRecord {
        scope: of_workspace(),
        at: NOW,
        id: audit[0].id.clone(),
        actor: Some(actor().user),
        action,
        subjects: vec![Subject::of(secret)],
        run: None,
        person: None,
        detail: None,
    };
    assert_eq!(audit, [expected]);
}

#[test]
fn an_update_replaces_or_removes_the_description_and_the_expiry() {
    let other = || Description::new("another note").ok();
    let cases = [
        ("neither", None, None, licence().description, licence().expires),
        ("another note", Some(other()), None, other(), licence().expires),
        ("no note", Some(None), None, None, licence().expires),
        ("another expiry", None, Some(Some(minutes(9))), licence().description, Some(minutes(9))),
        ("no expiry", None, Some(None), licence().description, None),
    ];
    for (case, description, expires, note, end) in cases {
        let fixture = fixture();
        let updated = update(&fixture, &Change { value: value("text"), description, expires }, None).unwrap();
        assert_eq!((updated.description, updated.expires), (note, end), "{case}");
    }
}

#[test]
fn an_update_revives_an_expired_or_lost_secret() {
    let fixture = fixture();
    let properties = ValueProperties { lost: true, ..licence().properties };
    fixture.put_secret(&Secret { expires: Some(minutes(-1)), properties, ..licence() }, "old text");
    let change = Change { expires: Some(Some(minutes(1))), ..change() };
    let updated = update(&fixture, &change, None).unwrap();
    assert!(!updated.is_expired(NOW) && !updated.properties.lost);
}

#[test]
fn an_expiry_in_the_past_is_refused_before_the_secret_is_read() {
    for (case, expires, refused) in
        [("past", minutes(-1), true), ("now", NOW, true), ("ahead", minutes(1), false)]
    {
        let fixture = fixture();
        let outcome = update(&fixture, &Change { expires: Some(Some(expires)), ..change() }, None);
        assert_eq!(outcome.is_err(), refused, "{case}");
        if refused {
            assert_eq!(error_of(outcome).to_string(), "The expiry date must be in the future.", "{case}");
            assert_eq!(fixture.table.faults.calls(), ["role"], "{case}");
        }
    }
}

#[test]
fn a_deletion_removes_the_secret_with_its_value_and_records_the_version() {
    let fixture = fixture();
    delete(&fixture, None).unwrap();
    assert_eq!(stored(&fixture), None);
    assert!(fixture.table.rows.borrow().sealed.is_empty());
    assert_recorded(&fixture, AuditAction::SecretDeleted, &licence());
    assert_eq!(fixture.table.faults.calls(), ["role", "secret", "delete_secret"]);
}

#[test]
fn a_change_of_a_named_version_takes_effect_on_that_version_only() {
    for (case, operation, act) in OPERATIONS {
        for (if_version, succeeds) in [(2, false), (3, true), (4, false)] {
            let fixture = fixture();
            let outcome = act(&fixture, Some(if_version));
            assert_eq!(outcome.is_ok(), succeeds, "{case} of version {if_version}");
            if !succeeds {
                assert_eq!(error_of(outcome).code(), "version-conflict", "{case} of version {if_version}");
                assert_eq!(fixture.table.faults.count(operation), 0, "{case} of version {if_version}");
                assert_eq!(stored(&fixture), Some(licence()), "{case} of version {if_version}");
                assert_eq!(fixture.table.actions(), [], "{case} of version {if_version}");
            }
        }
    }
}

#[test]
fn a_concurrent_version_fails_a_change_that_names_one_and_is_replaced_by_one_that_does_not() {
    for (case, operation, act) in OPERATIONS {
        let named = fixture();
        written_concurrently(&named, operation);
        assert_eq!(error_of(act(&named, Some(3))).code(), "version-conflict", "{case}");
        assert_eq!(stored(&named).unwrap().version, 4, "{case}");
        assert_eq!((named.table.actions(), named.backoff.attempts()), (vec![], vec![]), "{case}");

        let unnamed = fixture();
        written_concurrently(&unnamed, operation);
        act(&unnamed, None).unwrap();
        assert_eq!(unnamed.backoff.attempts(), [1], "{case}");
        assert_eq!(unnamed.table.faults.count("secret"), 2, "{case}");
        let recorded = unnamed.table.audit()[0].subjects[0].version;
        let version = if case == "update" { 5 } else { 4 };
        assert_eq!(recorded, version, "{case}");
    }
}

#[test]
fn an_update_over_a_concurrent_one_is_sealed_for_its_new_version() {
    let fixture = fixture();
    written_concurrently(&fixture, "update_secret");
    let updated = update(&fixture, &change(), None).unwrap();
    assert_eq!((updated.version, open(&fixture, &updated)), (5, "new\ntext".to_owned()));
    let rows = fixture.table.rows.borrow();
    let (_, replaced) = rows.history.last().unwrap();
    assert_eq!((replaced.version, replaced.written_by), (4, user_id(10)));
}

#[test]
fn a_refused_change_leaves_the_secret_as_it_was() {
    type Arrange = fn(&Fixture);
    let cases: [(&str, Arrange, &str, &str, &[&str]); 6] = [
        ("no member", |f| f.table.rows.borrow_mut().roles.clear(), "not-found", "Not found", &["role"]),
        (
            "role without the right",
            |f| f.table.put_member(workspace(), actor().user, Role::Maintain),
            "forbidden",
            "Required role: owner or admin",
            &["role"],
        ),
        (
            "membership cannot be read",
            |f| f.table.faults.fail("role", unavailable()),
            "unavailable",
            "",
            &["role"],
        ),
        (
            "no such secret",
            |f| f.table.rows.borrow_mut().secrets.clear(),
            "not-found",
            "Not found",
            &["role", "secret"],
        ),
        (
            "another scope's secret",
            |f| {
                let mut rows = f.table.rows.borrow_mut();
                rows.secrets.clear();
                rows.secrets.insert((of_user(), licence().id), Secret { owner: of_user(), ..licence() });
            },
            "not-found",
            "Not found",
            &["role", "secret"],
        ),
        (
            "secret cannot be read",
            |f| f.table.faults.fail("secret", unavailable()),
            "unavailable",
            "",
            &["role", "secret"],
        ),
    ];
    for (case, arrange, code, text, calls) in cases {
        for (operation, _, act) in OPERATIONS {
            let fixture = fixture();
            arrange(&fixture);
            let before = fixture.table.rows.borrow().secrets.clone();
            let sealed = fixture.keys.faults.count("generate_data_key");
            let error = error_of(act(&fixture, None));
            assert_eq!(error.code(), code, "{operation}, {case}");
            assert!(error.to_string().contains(text), "{operation}, {case}: {error}");
            assert_eq!(fixture.table.faults.calls(), calls, "{operation}, {case}");
            assert_eq!(fixture.table.rows.borrow().secrets, before, "{operation}, {case}");
            assert_eq!(fixture.keys.faults.count("generate_data_key"), sealed, "{operation}, {case}");
        }
    }
}

#[test]
fn a_failed_write_is_reported_and_only_a_contended_one_is_repeated() {
    for (case, operation, act) in OPERATIONS {
        let failures: [Failure; 4] = [
            (unavailable, 1, "unavailable", &[]),
            (|| Error::NotFound, 1, "not-found", &[]),
            (|| Error::Contended, 4, "contended", &[1, 2, 3]),
            (|| Error::VersionConflict, 4, "contended", &[1, 2, 3]),
        ];
        for (error, times, code, attempts) in failures {
            let fixture = fixture();
            (0..times).for_each(|_| fixture.table.faults.fail(operation, error()));
            assert_eq!(error_of(act(&fixture, None)).code(), code, "{case}");
            assert_eq!(fixture.backoff.attempts(), attempts, "{case}, {code}");
            assert_eq!(stored(&fixture), Some(licence()), "{case}, {code}");
        }
    }
    let fixture = fixture();
    fixture.keys.faults.fail("generate_data_key", unavailable());
    assert_eq!(error_of(update(&fixture, &change(), None)).code(), "unavailable");
    assert_eq!(fixture.table.faults.count("update_secret"), 0);
}
