use serde_json::json;

use super::*;

fn problems_of(json: &Value) -> Vec<String> {
    match Document::parse(json) {
        Ok(_) => Vec::new(),
        Err(Error::Invalid(text)) => {
            let mut lines = text.lines().map(str::to_owned);
            let first = lines.next().unwrap();
            let lines: Vec<_> = lines.collect();
            assert_eq!(first, format!("Nothing was changed. The document has {} problem(s):", lines.len()));
            lines
        }
        Err(other) => panic!("{other}"),
    }
}

const NAME_RULE: &str =
    "it must have 1 to 40 letters, digits, '.', '_' or '-', and start with a letter or a digit.";
const TEXT_RULE: &str = "characters, not only spaces, and no control characters.";
const PLATFORM_RULE: &str =
    "platform must be one of aws-batch, slurm, lsf, pbs-pro, grid-engine, moab or kubernetes.";
const ROLE_RULE: &str = "role must be one of owner, admin, maintain, launch, connect or view.";
const NO_TEXT: &str = "it is required, as a JSON string.";
const NO_OBJECT: &str = "it must be a JSON object.";

/// Asserts the single problem of each document.
fn assert_problems(cases: &[(Value, String)]) {
    for (json, problem) in cases {
        assert_eq!(problems_of(json), std::slice::from_ref(problem), "{json}");
    }
}

fn with_user(user: &Value) -> Value {
    json!({"users": [user]})
}

fn with_token(token: &Value) -> Value {
    with_user(&json!({"userName": "sam", "email": "sam@example.org", "tokens": [token]}))
}

fn with_workspace(workspace: &Value) -> Value {
    json!({"organizations": [{"name": "acme", "workspaces": [workspace]}]})
}

#[test]
fn a_login_has_an_exact_issuer_and_subject_and_is_declared_once() {
    let login = |issuer: &str, subject: &str| json!({"issuer": issuer, "subject": subject});
    let with = |logins: &[Value]| {
        with_user(&json!({"userName": "sam", "email": "sam@example.org", "logins": logins}))
    };
    let (i, long) = ("https://i.example", "x".repeat(256));
    let subject = "it must have 1 to 255 bytes without control characters.";
    assert_problems(&[
        (with(&[login("", "s")]), format!("users[0].logins[0].issuer: it must have 1 to 255 {TEXT_RULE}")),
        (with(&[login(i, "")]), format!("users[0].logins[0].subject: {subject}")),
        (with(&[login(i, &long)]), format!("users[0].logins[0].subject: {subject}")),
        (with(&[login(i, "a\u{1}")]), format!("users[0].logins[0].subject: {subject}")),
        (with(&[json!({"issuer": i})]), format!("users[0].logins[0].subject: {NO_TEXT}")),
        (
            with(&[json!({"issuer": i, "subject": "s", "sub": "s"})]),
            "users[0].logins[0]: it can have only the fields issuer, subject.".into(),
        ),
        (with(&[login(i, "s"), login(i, "s")]), "users[0].logins[1]: it is declared twice.".into()),
    ]);
    let eleven: Vec<_> = (0..11).map(|number| login(i, &number.to_string())).collect();
    assert_problems(&[(with(&eleven), "users[0].logins: a user can have at most 10.".into())]);
    assert!(problems_of(&with(&[login(i, "s"), login(i, "S"), login("https://j.example", "s")])).is_empty());
}

#[test]
fn the_limits_of_a_token_have_one_spelling() {
    let path = "it must be the names of an organization and a workspace: organization/workspace.";
    let scope = "scope must be one of all, read or launch.";
    let (at, of) = ("users[0].tokens[0]", |limit: Value| {
        let mut token = json!({"name": "t"});
        token.as_object_mut().unwrap().extend(limit.as_object().unwrap().clone());
        with_token(&token)
    });
    let mut cases = Vec::new();
    for text in ["", "Launch", "all,read"] {
        cases.push((of(json!({"scope": text})), format!("{at}.scope: {scope}")));
    }
    cases.push((of(json!({"scope": ["all"]})), format!("{at}.scope: {NO_TEXT}")));
    for text in ["", "acme", "acme/", "/lab", "acme/lab/x", "acme /lab", "42"] {
        cases.push((of(json!({"workspace": text})), format!("{at}.workspace: {path}")));
    }
    cases.push((of(json!({"workspace": 42})), format!("{at}.workspace: {NO_TEXT}")));
    assert_problems(&cases);
}

#[test]
fn a_login_of_an_issuer_that_the_deployment_does_not_have_is_refused() {
    let login = |issuer: &str| json!({"issuer": issuer, "subject": "s"});
    let with = |issuer: &str| {
        let user = json!({"userName": "sam", "email": "sam@example.org", "logins": [login(issuer)]});
        Document::parse(&with_user(&user)).unwrap()
    };
    let entry = json!([{"issuer": "https://i.example", "audience": "a", "kind": "people"}]).to_string();
    let issuers = Issuers::parse(&entry).unwrap();
    assert!(with("https://i.example").check_issuers(&issuers).is_ok());
    for other in ["https://i.example/", "https://I.example", "https://j.example"] {
        let refused = with(other).check_issuers(&issuers).unwrap_err().to_string();
        assert!(
            refused.contains("users[0].logins[0].issuer: it must be an issuer of the parameter"),
            "{refused}"
        );
    }
    assert!(Document::default().check_issuers(&Issuers::default()).is_ok());
}

#[test]
fn every_field_of_a_document_is_read() {
    let json = json!({
        "organizations": [{"name": "acme", "workspaces": [{
            "name": "research", "fullName": "Research group", "platforms": ["slurm", "aws-batch", "slurm"],
            "participants": [{"user": "sam", "role": "owner"}, {"user": "Vera", "role": "view"}],
        }]}],
        "users": [{"userName": "sam", "email": "Sam@example.org", "disabled": true, "logins": [
            {"issuer": "https://i.example", "subject": "S 1"},
        ], "tokens": [
            {"name": "laptop", "expires": "2030-01-31T00:00:00Z", "scope": "launch", "workspace": "Acme/research"},
            {"name": "old", "revoked": true},
        ]}],
        "prune": true,
    });
    let participant = |user: &str, role| DeclaredParticipant { user: user.into(), role };
    let token = |name: &str, expires: Option<&str>, revoked| DeclaredToken {
        name: name.into(),
        expires: expires.map(|text| text.parse().unwrap()),
        scope: expires.map(|_| TokenScope::Launch),
        workspace: expires.map(|_| ("Acme".into(), "research".into())),
        revoked,
    };
    let expected = Document {
        organizations: vec![DeclaredOrganization {
            name: "acme".into(),
            workspaces: vec![DeclaredWorkspace {
                name: "research".into(),
                full_name: Some("Research group".into()),
                platforms: Some(vec![Platform::AwsBatch, Platform::Slurm]),
                participants: vec![participant("sam", Role::Owner), participant("Vera", Role::View)],
                deleted: false,
            }],
        }],
        users: vec![DeclaredUser {
            user_name: "sam".into(),
            email: "Sam@example.org".into(),
            logins: vec![Login { issuer: "https://i.example".into(), subject: "S 1".into() }],
            disabled: Some(true),
            tokens: vec![token("laptop", Some("2030-01-31T00:00:00Z"), false), token("old", None, true)],
            removed: false,
        }],
        prune: true,
    };
    assert_eq!(Document::parse(&json).unwrap(), expected);
}

#[test]
fn a_field_that_is_absent_or_null_declares_nothing() {
    for json in [json!({}), json!({"organizations": null, "users": null, "prune": null})] {
        assert_eq!(Document::parse(&json).unwrap(), Document::default(), "{json}");
    }
    let absent = with_workspace(&json!({"name": "research"}));
    let null = json!({"name": "research", "fullName": null, "platforms": null, "participants": null});
    for json in [absent, with_workspace(&null)] {
        let document = Document::parse(&json).unwrap();
        let workspace = &document.organizations[0].workspaces[0];
        assert_eq!((&workspace.full_name, &workspace.platforms), (&None, &None), "{json}");
        assert!(workspace.participants.is_empty() && !document.prune, "{json}");
    }
    let empty = Document::parse(&with_workspace(&json!({"name": "research", "platforms": []}))).unwrap();
    assert_eq!(empty.organizations[0].workspaces[0].platforms, Some(Vec::new()), "no platform at all");
    for token in [json!({"name": "t"}), json!({"name": "t", "expires": null, "revoked": null})] {
        let document = Document::parse(&with_token(&token)).unwrap();
        let token = &document.users[0].tokens[0];
        assert_eq!((token.expires, token.revoked), (None, false));
    }
}

#[test]
fn each_problem_of_a_document_or_workspace_names_its_place_and_the_rule() {
    let (name_rule, text, object) = (NAME_RULE, NO_TEXT, NO_OBJECT);
    let research = |more: Value| {
        let mut workspace = json!({"name": "research"});
        workspace.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with_workspace(&workspace)
    };
    let organization = "organizations[0]";
    let workspace = "organizations[0].workspaces[0]";
    let cases = [
        (json!([]), object.to_owned()),
        (json!("x"), object.to_owned()),
        (json!({"organisations": []}), "it can have only the fields organizations, users, prune.".into()),
        (json!({"prune": "yes"}), "prune: it must be true or false.".into()),
        (json!({"users": {}}), "users: it must be a JSON array.".into()),
        (json!({"organizations": "acme"}), "organizations: it must be a JSON array.".into()),
        (json!({"users": ["sam"]}), format!("users[0]: {object}")),
        (
            json!({"organizations": [{"name": "acme"}]}),
            format!("{organization}: an organization must have at least one workspace."),
        ),
        (
            json!({"organizations": [{"name": "-", "workspaces": [{"name": "w"}]}]}),
            format!("{organization}.name: {name_rule}"),
        ),
        (
            json!({"organizations": [{"name": "a", "workspace": [], "workspaces": [{"name": "w"}]}]}),
            format!("{organization}: it can have only the fields name, workspaces."),
        ),
        (with_workspace(&json!({})), format!("{workspace}.name: {text}")),
        (with_workspace(&json!({"name": ""})), format!("{workspace}.name: {name_rule}")),
        (with_workspace(&json!(7)), format!("{workspace}: {object}")),
        (
            research(json!({"platform": "slurm"})),
            format!(
                "{workspace}: it can have only the fields name, fullName, platforms, participants, deleted."
            ),
        ),
        (research(json!({"fullName": 7})), format!("{workspace}.fullName: {text}")),
        (
            research(json!({"fullName": "é".repeat(101)})),
            format!("{workspace}.fullName: it must have 1 to 100 {TEXT_RULE}"),
        ),
        (
            research(json!({"platforms": ["slurm", "nomad"]})),
            format!("{workspace}.platforms[1]: {PLATFORM_RULE}"),
        ),
        (research(json!({"platforms": [7]})), format!("{workspace}.platforms[0]: {PLATFORM_RULE}")),
        (
            research(json!({"participants": [{"user": "sam", "role": "boss"}]})),
            format!("{workspace}.participants[0].role: {ROLE_RULE}"),
        ),
        (
            research(json!({"participants": [{"user": "sam"}]})),
            format!("{workspace}.participants[0].role: {text}"),
        ),
        (
            research(json!({"participants": [{"user": "s m", "role": "view"}]})),
            format!("{workspace}.participants[0].user: {name_rule}"),
        ),
        (
            research(json!({"participants": [{"user": "sam", "role": "view", "until": "2030"}]})),
            format!("{workspace}.participants[0]: it can have only the fields user, role."),
        ),
    ];
    assert_problems(&cases);
}

#[test]
fn each_problem_of_a_user_names_its_place_and_the_rule() {
    let (name_rule, text) = (NAME_RULE, NO_TEXT);
    let cases = [
        (with_user(&json!({"userName": "sam"})), format!("users[0].email: {text}")),
        (
            with_user(&json!({"userName": "sam", "email": "nonsense"})),
            "users[0].email: it must be an e-mail address.".into(),
        ),
        (
            with_user(&json!({"userName": "s/m", "email": "s@example.org"})),
            format!("users[0].userName: {name_rule}"),
        ),
        (
            with_user(&json!({"userName": "OIDC-7", "email": "s@example.org"})),
            "users[0].userName: names that start with oidc- are reserved for users created at sign-in."
                .into(),
        ),
        (
            with_user(&json!({"userName": "sam", "email": "s@example.org", "token": []})),
            "users[0]: it can have only the fields userName, email, logins, disabled, tokens, removed."
                .into(),
        ),
        (
            with_token(&json!({"name": " "})),
            format!("users[0].tokens[0].name: it must have 1 to 50 {TEXT_RULE}"),
        ),
        (
            with_token(&json!({"name": "t", "expires": "soon"})),
            "users[0].tokens[0].expires: it must be a time such as 2030-01-31T00:00:00Z.".into(),
        ),
        (with_token(&json!({"name": "t", "expires": 7})), format!("users[0].tokens[0].expires: {text}")),
        (
            with_token(&json!({"name": "t", "revoked": 1})),
            "users[0].tokens[0].revoked: it must be true or false.".into(),
        ),
        (
            with_token(&json!({"name": "t", "expire": "2030-01-31T00:00:00Z"})),
            "users[0].tokens[0]: it can have only the fields name, expires, scope, workspace, revoked."
                .into(),
        ),
    ];
    assert_problems(&cases);
}

#[test]
fn all_problems_of_a_document_are_reported_at_once() {
    let json = json!({
        "organizations": [{"name": "-", "workspaces": [{"name": "w", "participants": ["sam"]}, 7]}, 8],
        "users": [{"userName": 7, "email": "nonsense"}],
        "prune": 1,
        "extra": 1,
    });
    let problems = problems_of(&json);
    for place in [
        "it can have only the fields organizations, users, prune.",
        "organizations[0].name: ",
        "organizations[0].workspaces[0].participants[0]: it must be a JSON object.",
        "organizations[0].workspaces[1]: it must be a JSON object.",
        "organizations[1]: it must be a JSON object.",
        "users[0].userName: ",
        "users[0].email: ",
        "prune: ",
    ] {
        assert!(problems.iter().any(|problem| problem.starts_with(place)), "{place} is not in {problems:?}");
    }
}

#[test]
fn names_that_differ_only_by_case_are_duplicates_wherever_names_must_be_unique() {
    let user = |name: &str, email: &str| json!({"userName": name, "email": email});
    let organization = |name: &str| json!({"name": name, "workspaces": [{"name": "w"}]});
    let participants = json!([{"user": "sam", "role": "view"}, {"user": "SAM", "role": "owner"}]);
    let same = |list: &str, field: &str| {
        format!("{list}[1].{field}: it is the same as in {list}[0] (case-insensitive).")
    };
    let cases = [
        (json!({"users": [user("sam", "a@b.c"), user("Sam", "d@e.f")]}), same("users", "userName")),
        (json!({"users": [user("sam", "a@b.c"), user("vera", "A@B.C")]}), same("users", "email")),
        (
            json!({"organizations": [organization("acme"), organization("Acme")]}),
            same("organizations", "name"),
        ),
        (
            json!({"organizations": [{"name": "acme", "workspaces": [{"name": "w"}, {"name": "W"}]}]}),
            same("organizations[0].workspaces", "name"),
        ),
        (
            with_workspace(&json!({"name": "w", "participants": participants})),
            same("organizations[0].workspaces[0].participants", "user"),
        ),
        (
            with_user(
                &json!({"userName": "sam", "email": "a@b.c", "tokens": [{"name": "É"}, {"name": "é"}]}),
            ),
            same("users[0].tokens", "name"),
        ),
    ];
    for (json, problem) in cases {
        assert_eq!(problems_of(&json), [problem], "{json}");
    }
    let in_two = json!([organization("one"), organization("two")]);
    assert_eq!(problems_of(&json!({"organizations": in_two})), [] as [&str; 0], "unique in an organization");
}

#[test]
fn names_that_are_missing_are_not_duplicates_of_each_other() {
    let problems = problems_of(&json!({"users": [{"email": "a@b.c"}, {"email": "d@e.f"}]}));
    let expected = [0, 1].map(|index| format!("users[{index}].userName: {NO_TEXT}"));
    assert_eq!(problems, expected);
}

#[test]
fn a_list_has_at_most_five_hundred_entries() {
    let users = |count: usize| {
        let user = |n: usize| json!({"userName": format!("u{n}"), "email": format!("u{n}@example.org")});
        json!({"users": (0..count).map(user).collect::<Vec<_>>()})
    };
    assert_eq!(Document::parse(&users(500)).unwrap().users.len(), 500);
    assert_eq!(problems_of(&users(501)), ["users: it can have at most 500 entries: split the document."]);
}

/// Asserts that a rule accepts and refuses these texts.
fn assert_rule(rule: fn(&str) -> std::result::Result<(), String>, taken: &[&str], refused: &[&str]) {
    for text in taken {
        assert_eq!(rule(text), Ok(()), "{text:?}");
    }
    for text in refused {
        assert!(rule(text).is_err(), "{text:?}");
    }
}

#[test]
fn names_are_short_ascii_and_begin_with_a_letter_or_digit() {
    let refused = ["", ".a", "-a", "_a", "a b", "ä", "aä", "a/b", "a@b", "a#b", "a\0", &"a".repeat(41)];
    assert_rule(check_name, &["a", "7", "Z._-9", &"a".repeat(40)], &refused);
}

#[test]
fn user_names_reserved_for_logins_are_refused() {
    assert_rule(check_user_name, &["oidc", "oidc7", "x-oidc-7"], &["oidc-", "oidc-7", "Oidc-sam", "", "a b"]);
}

#[test]
fn an_email_address_has_a_local_part_a_dotted_domain_and_at_most_254_bytes() {
    let longest = format!("{}@b.c", "a".repeat(LONGEST_EMAIL - 4));
    let taken = ["a@b.c", "a@b@c.d", "é@exämple.org", &longest];
    let too_long = format!("a{longest}");
    let refused =
        ["", "a", "a.b", "@b.c", "a@b", "a@", "a b@c.d", "a@b.c\n", "a\u{7}@b.c", "a@b .c", &too_long];
    assert_rule(check_email, &taken, &refused);
    assert_eq!(longest.len(), 254, "RFC 5321");
}

#[test]
fn a_token_name_has_up_to_50_characters_that_are_shown() {
    let (fifty, too_long) = ("é".repeat(50), "x".repeat(51));
    assert_rule(
        check_token_name,
        &["x", "two words", "Zoë", &fifty],
        &[
            "",
            "  ",
            " x",
            "x ",
            "\u{a0}x",
            "a\tb",
            "a\u{7f}",
            "a\u{202e}b",
            "a\u{200b}",
            "a\u{ad}b",
            "a\u{200d}b",
            "a\u{2060}",
            "\u{feff}a",
            "\u{3164}",
            "a\u{2800}",
            "a\u{fe0f}",
            "a\u{34f}b",
            "a\u{e0061}",
            "a\u{1d173}",
            &too_long,
        ],
    );
}

#[test]
fn a_workspace_that_is_deleted_can_have_only_a_name() {
    let parse = |workspace: Value| {
        Document::parse(&json!({"organizations": [{"name": "acme", "workspaces": [workspace]}]}))
    };
    let document = parse(json!({"name": "main", "deleted": true})).unwrap();
    assert!(document.organizations[0].workspaces[0].deleted && document.deletes());
    let kept = parse(json!({"name": "main"})).unwrap();
    assert!(!kept.organizations[0].workspaces[0].deleted && !kept.deletes());
    for (field, value) in [
        ("fullName", json!("Main")),
        ("platforms", json!([])),
        ("participants", json!([])),
        ("deleted", json!("yes")),
    ] {
        let mut workspace = json!({"name": "main", "deleted": true});
        workspace[field] = value;
        assert!(parse(workspace).is_err(), "{field}");
    }
}

#[test]
fn a_user_who_is_removed_can_have_only_a_name_and_an_address() {
    let user = json!({"userName": "sam", "email": "sam@example.org", "removed": true});
    let document = Document::parse(&json!({"users": [user]})).unwrap();
    assert!(document.users[0].removed && document.deletes());
    for (field, value) in
        [("logins", json!([])), ("disabled", json!(true)), ("tokens", json!([])), ("removed", json!(1))]
    {
        let mut user = user.clone();
        user[field] = value;
        assert!(Document::parse(&json!({"users": [user]})).is_err(), "{field}");
    }
}
