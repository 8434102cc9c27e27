use serde_json::{Value, json};

use super::super::testing::{document, org_id, token_id};
use super::*;
use crate::Error;
use crate::audit::AuditAction;
use crate::testing::{
    NOW, Sequence, minutes, organization, stored_token, user, user_id, workspace, workspace_id,
};

/// `acme/research` with Olivia as its owner, Adam and Vera; Sam, who has a token, takes no part.
fn known() -> Known {
    let (olivia, adam, vera, sam) = (user(1, "Olivia"), user(2, "Adam"), user(3, "Vera"), user(4, "Sam"));
    let token = stored_token(5, 4, "Laptop", &TokenKey::make_random(&Sequence::default()));
    let participants =
        vec![(olivia.clone(), Role::Owner), (adam.clone(), Role::Admin), (vera.clone(), Role::View)];
    let users = [(olivia, vec![]), (adam, vec![]), (vera, vec![]), (sam, vec![token])];
    Known {
        users: users.into_iter().map(|(user, tokens)| (fold(&user.user_name), (user, tokens))).collect(),
        emails: ["taken@example.org".to_owned()].into(),
        organizations: [("acme".to_owned(), organization())].into(),
        workspaces: [((organization().id, "research".to_owned()), (workspace(), participants))].into(),
    }
}

fn decide(known: &Known, json: &Value) -> Result<Plan> {
    plan(&document(json), known, Deed { actor: None, at: NOW }, &Sequence::default())
}

fn planned(json: &Value) -> Plan {
    decide(&known(), json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn problems(json: &Value) -> Vec<String> {
    match decide(&known(), json) {
        Ok(_) => Vec::new(),
        Err(Error::Invalid(text)) => text.lines().skip(1).map(str::to_owned).collect(),
        Err(other) => panic!("{other}"),
    }
}

/// The changes of each transaction, in words.
fn steps(plan: &Plan) -> Vec<Vec<String>> {
    let mut names: HashMap<i64, String> =
        known().users.into_values().map(|(user, _)| (user.id.number(), user.user_name)).collect();
    names.insert(workspace_id().number(), "research".into());
    for change in plan.batches.iter().flat_map(|batch| &batch.changes) {
        match change {
            Change::CreateUser(user, _) => names.insert(user.id.number(), user.user_name.clone()),
            Change::CreateWorkspace(workspace) => names.insert(workspace.id.number(), workspace.name.clone()),
            _ => None,
        };
    }
    let role = |role: Option<Role>| role.map_or("nothing", Role::as_str);
    let in_words = |change: &Change| match change {
        Change::CreateUser(user, login) => {
            assert!(login.is_none(), "a declared user has no login");
            format!("user {}", user.user_name)
        }
        Change::CreateToken(token) => format!("token {} of {}", token.name, names[&token.user.number()]),
        Change::RevokeToken(token) => format!("revoke {} of {}", token.name, names[&token.user.number()]),
        Change::CreateOrganization(organization) => format!("organization {}", organization.name),
        Change::CreateWorkspace(workspace) => format!("workspace {}/{}", workspace.org_name, workspace.name),
        Change::SetPlatforms(workspace, to) => {
            let names: Vec<_> = to.iter().map(|platform| platform.as_str()).collect();
            format!("{} allows {}", workspace.name, names.join(" and "))
        }
        Change::SetRole { workspace, user, from, to } => {
            let (workspace, user) = (&names[&workspace.number()], &names[&user.number()]);
            format!("{user} in {workspace}: {} to {}", role(*from), role(*to))
        }
    };
    plan.batches.iter().map(|batch| batch.changes.iter().map(in_words).collect()).collect()
}

fn in_research(workspace: &Value, prune: bool) -> Value {
    let mut declared = json!({"name": "Research"});
    declared.as_object_mut().unwrap().extend(workspace.as_object().unwrap().clone());
    json!({"organizations": [{"name": "Acme", "workspaces": [declared]}], "prune": prune})
}

fn sam(tokens: &Value) -> Value {
    json!({"users": [{"userName": "sam", "email": "SAM@example.org", "tokens": tokens}]})
}

#[test]
fn what_differs_is_changed_and_the_rest_is_left() {
    let cases: [(&str, Value, &[&str]); 20] = [
        ("an empty document", json!({}), &[]),
        ("a known user, in another case", sam(&json!([])), &[]),
        ("a new user", json!({"users": [{"userName": "Nina", "email": "nina@example.org"}]}), &["user Nina"]),
        ("a known token, in another case", sam(&json!([{"name": "LAPTOP"}])), &[]),
        (
            "a known token that has expired",
            sam(&json!([{"name": "laptop", "expires": "2001-01-01T00:00:00Z"}])),
            &[],
        ),
        ("a new token of a known user", sam(&json!([{"name": "ci"}])), &["token ci of Sam"]),
        (
            "a known token, revoked",
            sam(&json!([{"name": "laptop", "revoked": true}])),
            &["revoke Laptop of Sam"],
        ),
        (
            "an unknown token, revoked",
            sam(&json!([{"name": "ci", "revoked": true, "expires": "2001-01-01T00:00:00Z"}])),
            &[],
        ),
        ("a known workspace", in_research(&json!({}), false), &[]),
        ("its full name, unchanged", in_research(&json!({"fullName": "Research"}), false), &[]),
        (
            "the same platforms",
            in_research(&json!({"platforms": Platform::ALL.map(Platform::as_str)}), false),
            &[],
        ),
        (
            "other platforms",
            in_research(&json!({"platforms": ["slurm", "aws-batch"]}), false),
            &["research allows aws-batch and slurm"],
        ),
        (
            "the same role, in another case",
            in_research(&json!({"participants": [{"user": "VERA", "role": "view"}]}), false),
            &[],
        ),
        (
            "another role and a new participant",
            in_research(
                &json!({"participants": [{"user": "vera", "role": "launch"}, {"user": "sam", "role": "view"}]}),
                false,
            ),
            &["Vera in research: view to launch", "Sam in research: nothing to view"],
        ),
        (
            "pruning",
            in_research(&json!({"participants": [{"user": "olivia", "role": "owner"}]}), true),
            &["Adam in research: admin to nothing", "Vera in research: view to nothing"],
        ),
        (
            "pruning without a change",
            in_research(
                &json!({"participants": [
                    {"user": "olivia", "role": "owner"}, {"user": "adam", "role": "admin"}, {"user": "vera", "role": "view"},
                ]}),
                true,
            ),
            &[],
        ),
        (
            "a workspace is handed over: the new owner comes first, the old one goes afterwards",
            in_research(
                &json!({"participants": [{"user": "olivia", "role": "admin"}, {"user": "vera", "role": "launch"},
                    {"user": "adam", "role": "owner"}]}),
                false,
            ),
            &[
                "Vera in research: view to launch",
                "Adam in research: admin to owner",
                "Olivia in research: owner to admin",
            ],
        ),
        (
            "a workspace is handed over by pruning",
            in_research(&json!({"participants": [{"user": "sam", "role": "owner"}]}), true),
            &[
                "Sam in research: nothing to owner",
                "Adam in research: admin to nothing",
                "Vera in research: view to nothing",
                "Olivia in research: owner to nothing",
            ],
        ),
        (
            "a new workspace of a known organization: its owner comes with it, whatever the order",
            json!({"organizations": [{"name": "ACME", "workspaces": [{"name": "Lab", "participants": [
                {"user": "vera", "role": "view"}, {"user": "sam", "role": "owner"}, {"user": "adam", "role": "owner"},
            ]}]}]}),
            &[
                "workspace acme/Lab",
                "Sam in Lab: nothing to owner",
                "Vera in Lab: nothing to view",
                "Adam in Lab: nothing to owner",
            ],
        ),
        (
            "a new organization comes once, with its first workspace; tokens come last of all",
            json!({
                "users": [{"userName": "nina", "email": "nina@example.org", "tokens": [{"name": "ci"}]}],
                "organizations": [{"name": "new", "workspaces": [
                    {"name": "one", "participants": [{"user": "Nina", "role": "owner"}]},
                    {"name": "two", "participants": [{"user": "nina", "role": "owner"}]},
                ]}],
                "prune": true,
            }),
            &[
                "user nina",
                "organization new",
                "workspace new/one",
                "nina in one: nothing to owner",
                "workspace new/two",
                "nina in two: nothing to owner",
                "token ci of nina",
            ],
        ),
    ];
    for (case, json, expected) in cases {
        let batches = if expected.is_empty() { vec![] } else { vec![expected.to_vec()] };
        assert_eq!(steps(&planned(&json)), batches, "{case}");
    }
}

#[test]
fn what_contradicts_the_table_is_refused_with_its_place() {
    let new_user = |more: Value| {
        let mut user = json!({"userName": "nina", "email": "nina@example.org"});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"users": [user]})
    };
    let expires =
        |at: jiff::Timestamp| new_user(json!({"tokens": [{"name": "t", "expires": at.to_string()}]}));
    let new_workspace = |participants: Value| json!({"organizations": [{"name": "acme", "workspaces": [{"name": "lab", "participants": participants}]}]});
    let participant = |user: &str, role: &str| json!({"participants": [{"user": user, "role": role}]});
    let workspace = "organizations[0].workspaces[0]";
    let no_owner = format!("{workspace}.participants: a workspace takes one owner or more.");
    let no_user = format!("{workspace}.participants[0].user: there is no such user: declare it under users.");
    let expired = "users[0].tokens[0].expires: a new token cannot have expired already.".to_owned();
    let cases: [(&str, Value, &[&String]); 13] = [
        (
            "another e-mail address of a known user",
            json!({"users": [{"userName": "Sam", "email": "other@example.org"}]}),
            &[&"users[0].email: this user has another e-mail address, and it is not changed here.".into()],
        ),
        (
            "an e-mail address that another user has",
            new_user(json!({"email": "TAKEN@example.org"})),
            &[&"users[0].email: another user has this e-mail address.".into()],
        ),
        ("a token that expires now", expires(NOW), &[&expired]),
        ("a token that expired", expires(minutes(-1)), &[&expired]),
        ("a token that expires later", expires(minutes(1)), &[]),
        (
            "another full name",
            in_research(&json!({"fullName": "Other"}), false),
            &[&format!(
                "{workspace}.fullName: this workspace has another full name, and it is not changed here."
            )],
        ),
        ("a new workspace without anybody", new_workspace(json!([])), &[&no_owner]),
        (
            "a new workspace without an owner",
            new_workspace(json!([{"user": "sam", "role": "admin"}])),
            &[&no_owner],
        ),
        (
            "an unknown participant",
            new_workspace(json!([{"user": "ghost", "role": "view"}, {"user": "sam", "role": "owner"}])),
            &[&no_user],
        ),
        (
            "an unknown owner",
            new_workspace(json!([{"user": "ghost", "role": "owner"}])),
            &[&no_user, &no_owner],
        ),
        ("the last owner steps down", in_research(&participant("olivia", "admin"), false), &[&no_owner]),
        ("the last owner is pruned", in_research(&participant("adam", "admin"), true), &[&no_owner]),
        ("the last owner stays", in_research(&participant("adam", "view"), false), &[]),
    ];
    for (case, json, expected) in cases {
        assert_eq!(problems(&json).iter().collect::<Vec<_>>(), expected, "{case}");
    }
}

#[test]
fn problems_of_users_and_workspaces_are_named_at_once() {
    let json = json!({
        "users": [{"userName": "sam", "email": "other@example.org"}, {"userName": "x", "email": "taken@example.org"}],
        "organizations": [{"name": "acme", "workspaces": [
            {"name": "research", "fullName": "Other"}, {"name": "lab", "participants": [{"user": "ghost", "role": "view"}]},
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

#[test]
fn a_new_user_workspace_and_token_hold_what_was_declared() {
    let json = json!({
        "users": [{"userName": "Nina", "email": "Nina@example.org", "tokens": [
            {"name": "CI", "expires": minutes(5).to_string()}, {"name": "laptop"},
        ]}],
        "organizations": [{"name": "New", "workspaces": [
            {"name": "one", "fullName": "One of two", "platforms": ["lsf"], "participants": [{"user": "nina", "role": "owner"}]},
            {"name": "two", "participants": [{"user": "nina", "role": "owner"}]},
        ]}],
    });
    let plan = planned(&json);
    let changes = &plan.batches[0].changes;
    let applied = &plan.applied;
    let (nina, new) = (&applied.users[0], &applied.organizations[0]);
    let expected =
        User { id: nina.id, user_name: "Nina".into(), email: "Nina@example.org".into(), created: NOW };
    assert_eq!(changes[0], Change::CreateUser(expected, None));
    assert_eq!(changes[1], Change::CreateOrganization(Organization { id: new.id, name: "New".into() }));
    let made = |index: usize, full_name: &str, platform| {
        Change::CreateWorkspace(Workspace {
            id: new.workspaces[index].id,
            org: new.id,
            org_name: "New".into(),
            name: new.workspaces[index].name.clone(),
            full_name: full_name.into(),
            platforms: vec![platform],
            created: NOW,
        })
    };
    assert_eq!(changes[2], made(0, "One of two", Platform::Lsf));
    assert_eq!(changes[4], made(1, "two", Platform::AwsBatch), "the short name, and AWS Batch alone");
    for (index, expires) in [(0, Some(minutes(5))), (1, None)] {
        let shown = &nina.tokens[index];
        assert!(shown.access_key.is_none(), "a key is shown after its token is stored, not before");
        let token = StoredToken {
            id: shown.id,
            user: nina.id,
            name: shown.name.clone(),
            hash: plan.keys[&shown.id].hash(),
            created: NOW,
            last_used: None,
            expires,
        };
        assert_eq!(changes[6 + index], Change::CreateToken(token));
    }
    assert_eq!((plan.keys.len(), changes.len()), (2, 8));
    assert_eq!(
        (nina.user_name.as_str(), nina.tokens[0].name.as_str(), new.name.as_str()),
        ("Nina", "CI", "New")
    );
}

#[test]
fn the_answer_names_everything_declared_by_its_id_in_the_order_of_the_document() {
    let json = json!({
        "users": [
            {"userName": "VERA", "email": "vera@example.org"},
            {"userName": "sam", "email": "sam@example.org", "tokens": [{"name": "laptop"}, {"name": "x", "revoked": true}]},
        ],
        "organizations": [{"name": "ACME", "workspaces": [{"name": "RESEARCH"}]}],
    });
    let plan = planned(&json);
    let users: Vec<_> = plan.applied.users.iter().map(|user| (user.id, user.user_name.as_str())).collect();
    assert_eq!(users, [(user_id(3), "Vera"), (user_id(4), "Sam")], "as they are stored");
    let tokens: Vec<_> =
        plan.applied.users[1].tokens.iter().map(|token| (token.id, token.name.as_str())).collect();
    assert_eq!(tokens, [(token_id(5), "Laptop")]);
    let organization = &plan.applied.organizations[0];
    assert_eq!((organization.id, organization.name.as_str()), (org_id(4), "acme"));
    let workspace = &organization.workspaces[0];
    assert_eq!((workspace.id, workspace.name.as_str()), (workspace_id(), "research"));
    assert!(plan.batches.is_empty() && plan.keys.is_empty());
}

/// So many new users, of 5 rows each, and Sam with so many new tokens, of 4 rows each.
fn large(users: usize, tokens: usize) -> Value {
    let user = |n: usize| json!({"userName": format!("u{n}"), "email": format!("u{n}@example.org")});
    let mut list: Vec<_> = (0..users).map(user).collect();
    let tokens: Vec<_> = (0..tokens).map(|n| json!({"name": format!("t{n}")})).collect();
    list.push(json!({"userName": "sam", "email": "sam@example.org", "tokens": tokens}));
    json!({"users": list})
}

#[test]
fn a_transaction_holds_as_many_changes_as_fit_in_its_rows() {
    let mut unit = large(18, 0);
    unit["organizations"] = json!([{"name": "new", "workspaces": [
        {"name": "w", "participants": [{"user": "sam", "role": "owner"}]},
    ]}]);
    let mut torn = unit.clone();
    torn["users"].as_array_mut().unwrap().push(json!({"userName": "v", "email": "v@example.org"}));
    let cases = [
        ("95 rows", large(19, 0), vec![19]),
        ("99 rows", large(19, 1), vec![20]),
        ("100 rows", large(20, 0), vec![19, 1]),
        ("103 rows", large(19, 2), vec![20, 1]),
        ("198 rows and more", large(19, 30), vec![20, 24, 5]),
        ("99 rows with an organization, its workspace and its owner", unit, vec![21]),
        ("these three are never apart", torn, vec![19, 3]),
    ];
    for (case, json, sizes) in cases {
        let plan = planned(&json);
        let changes: Vec<_> = plan.batches.iter().map(|batch| batch.changes.len()).collect();
        assert_eq!(changes, sizes, "{case}");
        assert!(plan.batches.iter().all(|batch| (1..=MAX_ROWS).contains(&batch.rows())), "{case}");
    }
}

#[test]
fn each_transaction_carries_the_audit_records_of_its_own_changes() {
    let plan = planned(&large(20, 2));
    let actions: Vec<Vec<_>> =
        plan.batches.iter().map(|batch| batch.audit.iter().map(|record| record.action).collect()).collect();
    let second = [AuditAction::UserCreated, AuditAction::TokenCreated, AuditAction::TokenCreated];
    assert_eq!(actions, [[AuditAction::UserCreated; 19].to_vec(), second.to_vec()]);
    let records: Vec<_> = plan.batches.iter().flat_map(|batch| &batch.audit).collect();
    assert!(records.iter().all(|record| record.actor.is_none() && record.at == NOW), "an operator's");
    let ids: HashSet<_> = records.iter().map(|record| &record.id).collect();
    assert_eq!(ids.len(), records.len());
}
