use super::*;
use crate::audit::Subject;
use crate::ids::RunId;
use crate::role::Role;
use crate::run::PinnedSecret;
use crate::testing::*;
use crate::use_cases::open_values::open_values;
use crate::value::ValueProperties;

const KEY: &str = "a-key-of-this-request";

fn create(
    fixture: &Fixture,
    workspace: Option<WorkspaceId>,
    drafts: &[Draft],
    idempotency_key: Option<&str>,
) -> Result<Vec<SecretId>> {
    let service = SecretService { store: fixture.table.clone(), keys: fixture.keys.clone() };
    run_now(service.create(&actor(), workspace, drafts, idempotency_key, &fixture.context()))
}

fn create_here(fixture: &Fixture, drafts: &[Draft]) -> Result<Vec<SecretId>> {
    create(fixture, Some(workspace_id()), drafts, None)
}

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.table.put_member(workspace(), actor().user, Role::Admin);
    fixture
}

fn draft(secret_name: &str) -> Draft {
    Draft { name: name(secret_name), value: value("text"), description: None, expires: None }
}

fn drafts(number: usize) -> Vec<Draft> {
    (0..number).map(|index| draft(&format!("NAME_{index}"))).collect()
}

fn assert_nothing_written(fixture: &Fixture, case: &str) {
    let rows = fixture.table.rows.borrow();
    assert!(rows.secrets.is_empty() && rows.sealed.is_empty(), "{case}: a secret was written");
    assert!(rows.audit.is_empty(), "{case}: an audit record was written");
}

/// Opens the value like a launch.
fn open(fixture: &Fixture, secret: &Secret) -> String {
    let sealed = fixture.table.rows.borrow().sealed[&(secret.owner, secret.id)].clone();
    let pins: [PinnedSecret; 1] = [pin_of(secret)];
    let values = run_now(open_values(&*fixture.keys, &pins, &[sealed], &fixture.settings)).unwrap();
    values[&secret.name].expose().to_owned()
}

#[test]
fn a_secret_is_stored_sealed_with_the_properties_that_launches_need() {
    for (workspace, owner) in [(Some(workspace_id()), of_workspace()), (None, of_user())] {
        let fixture = fixture();
        let draft = Draft {
            name: name("LICENCE"),
            value: value("two\nlines"),
            description: Some(Description::new("a note").unwrap()),
            expires: Some(minutes(1)),
        };
        let ids = create(&fixture, workspace, &[draft], None).unwrap();
        let stored: Vec<_> = fixture.table.rows.borrow().secrets.values().cloned().collect();
        let expected = Secret {
            id: ids[0],
            owner,
            name: name("LICENCE"),
            version: 1,
            created: NOW,
            created_by: actor().user,
            updated: NOW,
            updated_by: actor().user,
            last_used: None,
            expires: Some(minutes(1)),
            description: Some(Description::new("a note").unwrap()),
            properties: ValueProperties {
                raw_bytes: 256,
                json_bytes: 256,
                nextflow_store: false,
                lost: false,
            },
        };
        assert_eq!(stored, [expected], "{owner}");
        assert_eq!(open(&fixture, &stored[0]), "two\nlines", "{owner}");
        let audit = fixture.table.audit();
        assert_eq!(
            audit,
            [AuditRecord {
                scope: owner,
                at: NOW,
                id: audit[0].id.clone(),
                actor: Some(actor().user),
                action: AuditAction::SecretCreated,
                subjects: vec![Subject::of(&stored[0])],
                run: None,
                person: None,
                detail: None,
            }],
            "{owner}"
        );
    }
}

#[test]
fn an_import_is_one_write_with_ids_in_the_order_of_its_names() {
    let fixture = fixture();
    let ids = create_here(&fixture, &[draft("CC"), draft("AA"), draft("BB")]).unwrap();
    assert_eq!(fixture.table.faults.calls(), ["role", "create_secrets"]);
    let audit = fixture.table.audit();
    assert_eq!(audit.len(), 1);
    let subjects: Vec<_> =
        audit[0].subjects.iter().map(|subject| (subject.name.as_str(), subject.id)).collect();
    assert_eq!(subjects, [("CC", ids[0]), ("AA", ids[1]), ("BB", ids[2])]);
    let rows = fixture.table.rows.borrow();
    assert_eq!(rows.secrets[&(of_workspace(), ids[1])].name, name("AA"));
    assert_eq!(fixture.keys.faults.count("generate_data_key"), 3, "each value has its own data key");
}

#[test]
fn a_batch_of_drafts_is_refused_before_anything_is_sealed() {
    let expiring = |expires| Draft { expires: Some(expires), ..draft("LAST") };
    let cases = [
        ("none", vec![], Some("The import contains no secrets.")),
        ("one", drafts(1), None),
        ("as many as allowed", drafts(32), None),
        (
            "one too many",
            drafts(33),
            Some("An import can contain at most 32 secrets, and this one has 33. Split it."),
        ),
        (
            "same name",
            vec![draft("AA"), draft("BB"), draft("AA")],
            Some("The import contains AA twice. Remove one of them."),
        ),
        (
            "same name in another case",
            vec![draft("AA"), draft("BB"), draft("bb")],
            Some("BB and bb count as the same name. Use names that differ in more than case."),
        ),
        (
            "expiry in the past",
            vec![draft("AA"), expiring(minutes(-1))],
            Some("The expiry date must be in the future."),
        ),
        ("expiry now", vec![draft("AA"), expiring(NOW)], Some("The expiry date must be in the future.")),
        ("expiry ahead", vec![draft("AA"), expiring(minutes(1))], None),
    ];
    for (case, drafts, refusal) in cases {
        let fixture = fixture();
        let outcome = create_here(&fixture, &drafts);
        match refusal {
            None => assert_eq!(outcome.unwrap().len(), drafts.len(), "{case}"),
            Some(text) => {
                let error = error_of(outcome);
                assert!(matches!(error, Error::Invalid(_)), "{case}: {error}");
                assert_eq!(error.to_string(), text, "{case}");
                assert_nothing_written(&fixture, case);
                assert_eq!(fixture.keys.faults.count("generate_data_key"), 0, "{case}");
            }
        }
    }
}

#[test]
fn owners_and_admins_may_store_and_others_where_the_deployment_allows() {
    let cases = [
        (Some(Role::Owner), false, None),
        (Some(Role::Admin), false, None),
        (Some(Role::Maintain), true, None),
        (Some(Role::Maintain), false, Some("Required role: owner or admin")),
        (Some(Role::Launch), true, Some("Required role: owner, admin or maintain")),
        (Some(Role::View), false, Some("Required role: owner or admin")),
        (None, true, Some("Not found")),
    ];
    for (role, maintain_may_write, refusal) in cases {
        let case = format!("{role:?}, maintain may write: {maintain_may_write}");
        let mut fixture = Fixture::new();
        fixture.settings.maintain_may_write = maintain_may_write;
        if let Some(role) = role {
            fixture.table.put_member(workspace(), actor().user, role);
        }
        let outcome = create_here(&fixture, &[draft("AA")]);
        match refusal {
            None => assert!(outcome.is_ok(), "{case}"),
            Some(text) => {
                let error = error_of(outcome);
                assert!(error.to_string().contains(text), "{case}: {error}");
                assert_nothing_written(&fixture, &case);
                assert_eq!(fixture.table.faults.calls(), ["role"], "{case}");
                assert_eq!(fixture.keys.faults.count("generate_data_key"), 0, "{case}");
            }
        }
    }
}

#[test]
fn a_failure_is_reported_and_only_a_contended_write_is_repeated() {
    type Arrange = fn(&Fixture);
    let taken = || Error::AlreadyExists { existing: "AA".into() };
    let cases: [(&str, Arrange, &str, &[u32]); 6] = [
        ("membership", |f| f.table.faults.fail("role", unavailable()), "unavailable", &[]),
        ("data key", |f| f.keys.faults.fail("generate_data_key", unavailable()), "unavailable", &[]),
        (
            "key unusable",
            |f| f.keys.faults.fail("generate_data_key", Error::KeyUnusable { state: "Disabled" }),
            "key-unusable",
            &[],
        ),
        ("write", |f| f.table.faults.fail("create_secrets", unavailable()), "unavailable", &[]),
        (
            "contended for long",
            |f| (0..4).for_each(|_| f.table.faults.fail("create_secrets", Error::Contended)),
            "contended",
            &[1, 2, 3],
        ),
        (
            "membership lost concurrently",
            |f| f.table.faults.fail("create_secrets", Error::NotFound),
            "not-found",
            &[],
        ),
    ];
    for (case, arrange, code, attempts) in cases {
        let fixture = fixture();
        arrange(&fixture);
        assert_eq!(error_of(create_here(&fixture, &[draft("AA"), draft("BB")])).code(), code, "{case}");
        assert_nothing_written(&fixture, case);
        assert_eq!(fixture.backoff.attempts(), attempts, "{case}");
    }
    let fixture = fixture();
    fixture.table.faults.fail("create_secrets", taken());
    let error = error_of(create_here(&fixture, &[draft("AA")]));
    assert!(error.to_string().contains("named AA already exists"), "{error}");
    assert_eq!(fixture.backoff.attempts(), [0; 0]);
}

#[test]
fn a_contended_write_is_repeated_with_new_ids_and_data_keys() {
    let fixture = fixture();
    // This write represents another caller's: its id is the one already used.
    fixture.table.faults.lose_answer("create_secrets", Error::Contended);
    let ids = create_here(&fixture, &[draft("AA")]).unwrap();
    let rows = fixture.table.rows.borrow();
    assert_eq!(rows.secrets.len(), 2, "the id already used was tried again");
    assert!(rows.secrets.contains_key(&(of_workspace(), ids[0])));
    assert_eq!(fixture.keys.faults.count("generate_data_key"), 2);
    assert_eq!(fixture.backoff.attempts(), [1]);
}

#[test]
fn a_repeated_request_gets_the_first_ids_and_changes_nothing() {
    for (case, number) in [("one secret", 1), ("an import", 3)] {
        let fixture = fixture();
        let first = create(&fixture, Some(workspace_id()), &drafts(number), Some(KEY)).unwrap();
        let stored = fixture.table.rows.borrow().sealed.clone();
        let again = create(&fixture, Some(workspace_id()), &drafts(number), Some(KEY)).unwrap();
        assert_eq!(again, first, "{case}");
        assert_eq!(fixture.table.rows.borrow().sealed, stored, "{case}");
        assert_eq!(fixture.table.actions(), [AuditAction::SecretCreated], "{case}");
    }
}

#[test]
fn a_request_whose_answer_was_lost_may_be_repeated_under_its_key() {
    let fixture = fixture();
    fixture.table.faults.lose_answer("create_secrets", unavailable());
    error_of(create(&fixture, Some(workspace_id()), &drafts(1), Some(KEY)));
    let ids = create(&fixture, Some(workspace_id()), &drafts(1), Some(KEY)).unwrap();
    let stored: Vec<_> = fixture.table.rows.borrow().secrets.values().map(|secret| secret.id).collect();
    assert_eq!(stored, ids);
}

#[test]
fn a_malformed_key_and_the_key_of_a_run_are_refused() {
    let fixture = fixture();
    create(&fixture, Some(workspace_id()), &drafts(1), Some(KEY)).unwrap();
    let run = RunId::new("ab12ABCDEFGHIJ").unwrap();
    fixture.table.rows.borrow_mut().idempotency.values_mut().for_each(|known| {
        known.result = IdempotentResult::Run(run.clone());
    });
    let error = error_of(create(&fixture, Some(workspace_id()), &drafts(1), Some(KEY)));
    assert_eq!(error.code(), "idempotency-mismatch");

    let error = error_of(create(&fixture, Some(workspace_id()), &drafts(1), Some("short")));
    assert!(error.to_string().starts_with("Idempotency-Key must have 16 to 256"), "{error}");
}

#[test]
fn requests_that_differ_in_any_one_part_are_different_requests() {
    type Variant = (Option<WorkspaceId>, fn() -> Vec<Draft>);
    let here = Some(workspace_id());
    let variants: [Variant; 10] = [
        (here, || vec![draft("AA")]),
        (None, || vec![draft("AA")]),
        (here, || vec![draft("BB")]),
        (here, || vec![Draft { value: value("other"), ..draft("AA") }]),
        (here, || vec![Draft { description: Description::new("text").ok(), ..draft("AA") }]),
        (here, || vec![Draft { description: Description::new("other").ok(), ..draft("AA") }]),
        (here, || vec![Draft { expires: Some(minutes(1)), ..draft("AA") }]),
        (here, || vec![Draft { expires: Some(minutes(2)), ..draft("AA") }]),
        (here, || vec![draft("AA"), draft("BB")]),
        (here, || vec![draft("BB"), draft("AA")]),
    ];
    for (i, (first_workspace, first)) in variants.iter().enumerate() {
        let fixture = fixture();
        create(&fixture, *first_workspace, &first(), Some(KEY)).unwrap();
        for (j, (second_workspace, second)) in variants.iter().enumerate() {
            let outcome = create(&fixture, *second_workspace, &second(), Some(KEY));
            match i == j {
                true => assert!(outcome.is_ok(), "request {i} is not recognized"),
                false => assert_eq!(error_of(outcome).code(), "idempotency-mismatch", "{i} and {j}"),
            }
        }
    }
}
