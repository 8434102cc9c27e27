//! Documents that contradict the table.

use super::*;

#[test]
fn a_document_that_contradicts_the_table_is_refused_with_the_place_of_the_problem() {
    let new_user = |more: Value| {
        let mut user = json!({"userName": "nina", "email": "nina@example.org"});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"users": [user]})
    };
    let expires =
        |at: jiff::Timestamp| new_user(json!({"tokens": [{"name": "t", "expires": at.to_string()}]}));
    let new_workspace = |participants: Value| {
        let workspace = json!({"name": "lab", "participants": participants});
        json!({"organizations": [{"name": "acme", "workspaces": [workspace]}]})
    };
    let participant = |user: &str, role: &str| json!({"participants": people(&[(user, role)])});
    let workspace = "organizations[0].workspaces[0]";
    let no_owner =
        format!("{workspace}.participants: a workspace must have at least one owner who is not disabled.");
    let no_user =
        format!("{workspace}.participants[0].user: the user does not exist: declare it under users.");
    let expired = "users[0].tokens[0].expires: a new token must expire in the future.".to_owned();
    let cases: [(&str, Value, &[&String]); 14] = [
        (
            "another e-mail address of a known user",
            json!({"users": [{"userName": "Sam", "email": "other@example.org"}]}),
            &[&"users[0].email: the user has a different e-mail address, which a document cannot change."
                .into()],
        ),
        (
            "an e-mail address that another user has",
            new_user(json!({"email": "TAKEN@example.org"})),
            &[&"users[0].email: another user has this e-mail address.".into()],
        ),
        (
            "a login that another user has",
            new_user(json!({"logins": [{"issuer": "https://i.example", "subject": "sam"}]})),
            &[&"users[0].logins[0]: another user has this login.".into()],
        ),
        ("a token that expires now", expires(NOW), &[&expired]),
        ("a token that expired", expires(minutes(-1)), &[&expired]),
        ("a token that expires later", expires(minutes(1)), &[]),
        (
            "another full name",
            in_research(&json!({"fullName": "Other"}), false),
            &[&format!(
                "{workspace}.fullName: the workspace has a different full name, which a document cannot change."
            )],
        ),
        ("a new workspace without anybody", new_workspace(json!([])), &[&no_owner]),
        ("a new workspace without an owner", new_workspace(people(&[("sam", "admin")])), &[&no_owner]),
        (
            "an unknown participant",
            new_workspace(people(&[("ghost", "view"), ("sam", "owner")])),
            &[&no_user],
        ),
        ("an unknown owner", new_workspace(people(&[("ghost", "owner")])), &[&no_user, &no_owner]),
        ("the last owner steps down", in_research(&participant("olivia", "admin"), false), &[&no_owner]),
        ("the last owner is pruned", in_research(&participant("adam", "admin"), true), &[&no_owner]),
        ("the last owner stays", in_research(&participant("adam", "view"), false), &[]),
    ];
    for (case, json, expected) in cases {
        assert_eq!(problems(&json).iter().collect::<Vec<_>>(), expected, "{case}");
    }
}

#[test]
fn all_problems_of_users_and_workspaces_are_reported_at_once() {
    let json = json!({
        "users": [
            {"userName": "sam", "email": "other@example.org"},
            {"userName": "x", "email": "taken@example.org"},
        ],
        "organizations": [{"name": "acme", "workspaces": [
            {"name": "research", "fullName": "Other"},
            {"name": "lab", "participants": people(&[("ghost", "view")])},
        ]}],
    });
    let places: Vec<_> =
        problems(&json).iter().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(
        places,
        [
            "users[0].email",
            "users[1].email",
            "organizations[0].workspaces[0].fullName",
            "organizations[0].workspaces[1].participants[0].user",
            "organizations[0].workspaces[1].participants",
        ]
    );
}
