use super::*;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::testing::event::read_body;
use crate::testing::form::{self, Presence, Type};
use crate::testing::sample::{at, user, user_id, workspace};
use domain::identity::StoredToken;
use domain::ids::{TokenId, WorkspaceId};
use domain::platform::Platform;
use domain::role::Role;
use domain::token_scope::TokenScope;
use domain::use_cases::identity::participants::UserRef;
use domain::use_cases::identity::tokens::NewToken as NewTokenRequest;
use serde::Serialize;
use serde_json::{Value, json};

fn answer(body: impl Serialize) -> Value {
    serde_json::to_value(body).unwrap()
}

fn read_participant(body: &[u8]) -> Result<(UserRef, Role), Problem> {
    read_body(Operation::AddParticipant, body, new_participant)
}

fn read_role(body: &[u8]) -> Result<Role, Problem> {
    read_body(Operation::UpdateParticipantRole, body, new_role)
}

fn read_platforms(body: &[u8]) -> Result<Vec<Platform>, Problem> {
    read_body(Operation::UpdateWorkspacePlatforms, body, platforms)
}

/// Checks that a body is refused with 400, and that the message contains `names` but quotes
/// nothing.
fn refuse<T>(read: impl Fn(&[u8]) -> Result<T, Problem>, body: &str, names: &str) {
    let Err(problem) = read(body.as_bytes()) else {
        panic!("{body}: accepted");
    };
    let message = problem.message();
    assert_eq!(problem.status(), 400, "{body}: {message}");
    assert!(message.contains(names) && !message.contains("hidden"), "{body}: {message}");
}

#[test]
fn malformed_bodies_are_refused_by_the_field() {
    let optional_role = ("role", Type::Text, Presence::Optional);
    for (user, its_type, example) in
        [("memberId", Type::Number, "17"), ("userNameOrEmail", Type::Text, "\"liam\"")]
    {
        let fields = [(user, its_type, Presence::Required), optional_role];
        form::check(&[(user, example), ("role", "\"view\"")], &fields, |body| {
            read_participant(body).map(drop)
        });
    }
    let fields = [("role", Type::Text, Presence::Required)];
    form::check(&[("role", "\"view\"")], &fields, |body| read_role(body).map(drop));
    let fields = [("platforms", Type::Texts, Presence::Required)];
    form::check(&[("platforms", "[\"slurm\"]")], &fields, |body| read_platforms(body).map(drop));
}

#[test]
fn a_participant_is_named_in_one_way_and_may_view_by_default() {
    let liam = || UserRef::NameOrEmail("liam".to_owned());
    for (body, expected) in [
        (r#"{"memberId": 17}"#, (UserRef::Id(user_id(17)), Role::View)),
        (r#"{"memberId": 17, "userNameOrEmail": null}"#, (UserRef::Id(user_id(17)), Role::View)),
        (r#"{"userNameOrEmail": "liam"}"#, (liam(), Role::View)),
        (r#"{"userNameOrEmail": "liam", "memberId": null, "role": null}"#, (liam(), Role::View)),
        (r#"{"userNameOrEmail": "liam", "role": "admin"}"#, (liam(), Role::Admin)),
        (r#"{"userNameOrEmail": "liam", "role": "OWNER"}"#, (liam(), Role::Owner)),
    ] {
        assert_eq!(read_participant(body.as_bytes()).unwrap(), expected, "{body}");
    }
    for (body, names) in [
        ("{}", "memberId"),
        (r#"{"memberId": 17, "userNameOrEmail": "hidden"}"#, "userNameOrEmail"),
        (r#"{"teamId": 3}"#, "userNameOrEmail"),
        (r#"{"memberId": 0}"#, "memberId"),
        (r#"{"memberId": -17}"#, "memberId"),
        (r#"{"memberId": 9007199254740992}"#, "memberId"),
        (r#"{"memberId": 17, "role": "hidden"}"#, "role"),
    ] {
        refuse(read_participant, body, names);
    }
}

#[test]
fn a_role_is_one_of_six_in_any_case() {
    for (text, role) in [
        ("owner", Role::Owner),
        ("admin", Role::Admin),
        ("MAINTAIN", Role::Maintain),
        ("Launch", Role::Launch),
        ("connect", Role::Connect),
        ("view", Role::View),
    ] {
        assert_eq!(read_role(json!({ "role": text }).to_string().as_bytes()).unwrap(), role, "{text}");
    }
    for text in ["", "hidden", "owner ", "ｏwner"] {
        refuse(read_role, &json!({ "role": text }).to_string(), "role");
    }
}

#[test]
fn platforms_are_a_list_of_known_names() {
    for (list, expected) in [
        (json!([]), vec![]),
        (json!(["aws-batch", "slurm"]), vec![Platform::AwsBatch, Platform::Slurm]),
        (json!(["moab", "moab"]), vec![Platform::Moab, Platform::Moab]),
    ] {
        let body = json!({ "platforms": list }).to_string();
        assert_eq!(read_platforms(body.as_bytes()).unwrap(), expected, "{body}");
    }
    for list in
        [json!(["slurm", "hidden"]), json!(["Slurm"]), json!(["slurm", 1]), json!([null]), json!("slurm")]
    {
        refuse(read_platforms, &json!({ "platforms": list }).to_string(), "platform");
    }
}

fn read_token(body: &[u8]) -> Result<NewTokenRequest, Problem> {
    read_body(Operation::CreateToken, body, new_token)
}

#[test]
fn a_token_has_a_name_and_may_have_an_expiry() {
    let fields = [
        ("name", Type::Text, Presence::Required),
        ("expires", Type::Text, Presence::Optional),
        ("scope", Type::Text, Presence::Optional),
        ("workspaceId", Type::Number, Presence::Optional),
    ];
    let example = [
        ("name", "\"ci\""),
        ("expires", "\"2030-01-31T00:00:00Z\""),
        ("scope", "\"launch\""),
        ("workspaceId", "42"),
    ];
    form::check(&example, &fields, |body| read_token(body).map(drop));
    for (body, name, expires) in [
        (r#"{"name": "ci"}"#, "ci", None),
        (r#"{"name": "", "expires": null}"#, "", None),
        (
            r#"{"name": " ü ", "expires": "2030-01-31T02:00:00+02:00"}"#,
            " ü ",
            Some(at("2030-01-31T00:00:00Z")),
        ),
    ] {
        let expected = NewTokenRequest { name: name.to_owned(), expires, workspace: None, scope: None };
        assert_eq!(read_token(body.as_bytes()).unwrap(), expected, "{body}");
    }
    let limited = read_token(br#"{"name": "ci", "scope": "read", "workspaceId": 42}"#).unwrap();
    assert_eq!((limited.scope, limited.workspace), (Some(TokenScope::Read), WorkspaceId::new(42)));
    let null = read_token(br#"{"name": "ci", "scope": null, "workspaceId": null}"#).unwrap();
    assert_eq!((null.scope, null.workspace), (None, None));
    for body in [r#"{"name": "ci", "scope": "hidden"}"#, r#"{"name": "ci", "scope": ""}"#] {
        refuse(read_token, body, "scope must be one of all, read or launch");
    }
    let absent = read_token(br#"{"name": "ci", "workspaceId": 0}"#).unwrap_err();
    assert_eq!(absent.status(), 404);
    for body in [r#"{"name": "ci", "expires": "hidden"}"#, r#"{"name": "ci", "expires": "2030-01-31"}"#] {
        refuse(read_token, body, "expires");
    }
}

#[test]
fn service_info_has_every_field_that_clients_read() {
    let expected = json!({ "serviceInfo": {
        "version": "0.1.0", "apiVersion": API_VERSION, "commitId": null, "authTypes": [], "loginPath": null,
        "navbar": { "menus": [] }, "heartbeatInterval": 60, "userWorkspaceEnabled": true,
        "allowInstanceCredentials": false, "landingUrl": null, "termsOfUseUrl": null, "contentUrl": null,
        "analytics": null, "waveEnabled": false,
    }});
    assert_eq!(answer(service_info("0.1.0")), expected);
}

#[test]
fn user_info_has_every_field_that_clients_read() {
    let expected = json!({
        "user": {
            "id": 17, "userName": "liam", "email": "liam@example.org", "firstName": null, "lastName": null,
            "organization": null, "description": null, "avatar": null, "notification": false,
            "termsOfUseConsent": true, "marketingConsent": false, "deleted": false, "lastAccess": null,
            "dateCreated": "2026-10-25T12:42:21Z", "lastUpdated": "2026-10-25T12:42:21Z",
        },
        "needConsent": false,
        "defaultWorkspaceId": null,
    });
    assert_eq!(answer(user_info(&user(17, "liam"))), expected);
}

#[test]
fn memberships_list_organizations_first_and_then_workspaces() {
    let memberships =
        [(workspace(7, 42), Role::Owner), (workspace(7, 43), Role::View), (workspace(8, 44), Role::Launch)];
    let organization = |org: i64| {
        json!({
            "orgId": org, "orgName": format!("org{org}"), "orgLogoUrl": null, "workspaceId": null,
            "workspaceName": null, "workspaceFullName": null, "visibility": null, "roles": ["member"],
        })
    };
    let of = |org: i64, number: i64, role: &str| {
        json!({
            "orgId": org, "orgName": format!("org{org}"), "orgLogoUrl": null, "workspaceId": number,
            "workspaceName": format!("space{number}"), "workspaceFullName": format!("Space {number}"),
            "visibility": "PRIVATE", "roles": [role],
        })
    };
    for (count, rows) in [
        (0, vec![]),
        (1, vec![organization(7), of(7, 42, "owner")]),
        (
            3,
            vec![
                organization(7),
                organization(8),
                of(7, 42, "owner"),
                of(7, 43, "view"),
                of(8, 44, "launch"),
            ],
        ),
    ] {
        let shown = answer(OrgsAndWorkspaces::new(&memberships[..count]));
        assert_eq!(shown, json!({ "orgsAndWorkspaces": rows }), "{count} memberships");
    }

    let organization = |org: i64| {
        json!({
            "orgId": org, "name": format!("org{org}"), "fullName": format!("org{org}"), "description": null,
            "location": null, "website": null, "logoId": null, "logoUrl": null, "memberId": 17,
            "memberRole": "member",
        })
    };
    let expected = json!({ "totalSize": 2, "organizations": [organization(7), organization(8)] });
    assert_eq!(answer(organization_list(user_id(17), &memberships)), expected);
    let none = json!({ "totalSize": 0, "organizations": [] });
    assert_eq!(answer(organization_list(user_id(17), &[])), none);

    let workspaces = [42, 43].map(|number| {
        json!({
            "id": number, "name": format!("space{number}"), "fullName": format!("Space {number}"),
            "description": null, "visibility": "PRIVATE",
        })
    });
    assert_eq!(answer(workspace_list(&memberships[..2])), json!({ "workspaces": workspaces }));
}

#[test]
fn a_workspace_lists_its_allowed_platforms() {
    let expected = json!({ "workspace": {
        "id": 42, "name": "space42", "fullName": "Space 42", "description": null, "visibility": "PRIVATE",
        "dateCreated": "2026-10-25T12:42:21Z", "lastUpdated": "2026-10-25T12:42:21Z",
        "platforms": ["aws-batch", "slurm"],
    }});
    assert_eq!(answer(workspace_answer(&workspace(7, 42))), expected);
}

#[test]
fn participant_id_and_member_id_are_the_user_id() {
    let row = json!({
        "participantId": 17, "memberId": 17, "userName": "liam", "firstName": null, "lastName": null,
        "email": "liam@example.org", "orgRole": "member", "teamId": null, "teamName": null,
        "wspRole": "launch", "type": "MEMBER", "teamAvatarUrl": null, "userAvatarUrl": null,
    });
    let liam = user(17, "liam");
    assert_eq!(answer(ParticipantAnswer::new(&liam, Role::Launch)), json!({ "participant": row }));
    let list = answer(ParticipantList::new(&[(liam, Role::Launch)], "", 0, 10));
    assert_eq!(list, json!({ "participants": [row], "totalSize": 1 }));
}

#[test]
fn participants_are_searched_and_paged_with_exact_matches_first() {
    let people = ["Anna", "Joanna", "anna2", "liam"].map(|name| (user(17, name), Role::View));
    for (search, offset, max, total, names) in [
        ("", 0, 10, 4, vec!["Anna", "Joanna", "anna2", "liam"]),
        ("", 1, 2, 4, vec!["Joanna", "anna2"]),
        ("", 4, 2, 4, vec![]),
        ("", 0, 0, 4, vec![]),
        ("anna", 0, 10, 3, vec!["Anna", "Joanna", "anna2"]),
        ("JOANNA", 0, 10, 1, vec!["Joanna"]),
        ("anna2", 0, 10, 1, vec!["anna2"]),
        ("ANNA2@example.org", 0, 10, 1, vec!["anna2"]),
        ("anna@example.org", 0, 10, 2, vec!["Anna", "Joanna"]),
        ("@example", 0, 10, 4, vec!["Anna", "Joanna", "anna2", "liam"]),
        ("zoe", 0, 10, 0, vec![]),
    ] {
        let case = format!("{search:?} from {offset}, at most {max}");
        let list = answer(ParticipantList::new(&people, search, offset, max));
        assert_eq!(list["totalSize"], total, "{case}");
        let found: Vec<_> = list["participants"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["userName"].as_str().unwrap())
            .collect();
        assert_eq!(found, names, "{case}");
    }
    let joanna_first = ["joanna", "anna"].map(|name| (user(17, name), Role::View));
    let list = answer(ParticipantList::new(&joanna_first, "anna", 0, 1));
    assert_eq!(list["participants"][0]["userName"], "anna", "an exact name comes first");
    let list = answer(ParticipantList::new(&joanna_first, "anna@example.org", 0, 1));
    assert_eq!(list["participants"][0]["userName"], "anna", "an exact address comes first");
}

#[test]
fn a_member_is_found_by_the_whole_name_or_address_only() {
    let row = |name: &str| {
        json!({
            "memberId": 17, "userName": name, "email": format!("{name}@example.org"), "firstName": null,
            "lastName": null, "avatar": null, "role": "member",
        })
    };
    let people = ["Anna", "Joanna", "anna2"].map(|name| user(17, name));
    for (search, offset, max, total, names) in [
        (None, 0, 10, 3, &["Anna", "Joanna", "anna2"][..]),
        (Some(""), 0, 10, 3, &["Anna", "Joanna", "anna2"]),
        (None, 1, 1, 3, &["Joanna"]),
        (None, 3, 1, 3, &[]),
        (None, 0, 0, 3, &[]),
        (Some("anna"), 0, 10, 1, &["Anna"]),
        (Some("ANNA@EXAMPLE.ORG"), 0, 10, 1, &["Anna"]),
        (Some("anna"), 1, 10, 1, &[]),
        (Some("ann"), 0, 10, 0, &[]),
        (Some("anna@example"), 0, 10, 0, &[]),
        (Some("example.org"), 0, 10, 0, &[]),
        (Some(" anna"), 0, 10, 0, &[]),
    ] {
        let list = answer(MemberList::new(&people, search, offset, max));
        let rows: Vec<_> = names.iter().map(|name| row(name)).collect();
        assert_eq!(list, json!({ "members": rows, "totalSize": total }), "{search:?} {offset} {max}");
    }
}

#[test]
fn only_a_new_token_shows_its_key() {
    let token = StoredToken {
        id: TokenId::new(5).unwrap(),
        user: user_id(17),
        name: "ci".to_owned(),
        hash: serde_json::from_str("\"hidden\"").unwrap(),
        created: at("2026-10-25T12:42:21.987Z"),
        last_used: None,
        expires: None,
        workspace: None,
        scope: TokenScope::All,
        created_with: None,
    };
    let plain = json!({
        "id": 5, "name": "ci", "dateCreated": "2026-10-25T12:42:21Z", "lastUsed": null, "scope": "all",
        "workspaceId": null,
    });
    let used = StoredToken {
        last_used: Some(at("2026-10-26T07:00:00Z")),
        expires: Some(at("2030-01-31T00:00:00Z")),
        workspace: WorkspaceId::new(42),
        scope: TokenScope::Launch,
        created_with: TokenId::new(4),
        ..token.clone()
    };
    let shown = json!({
        "id": 5, "name": "ci", "dateCreated": "2026-10-25T12:42:21Z", "lastUsed": "2026-10-26T07:00:00Z",
        "expires": "2030-01-31T00:00:00Z", "scope": "launch", "workspaceId": 42, "createdWith": 4,
    });
    assert_eq!(answer(TokenCreated::new(&token, "key")), json!({ "accessKey": "key", "token": plain }));
    assert_eq!(answer(TokenList::new(&[token, used])), json!({ "tokens": [plain, shown] }));
}
