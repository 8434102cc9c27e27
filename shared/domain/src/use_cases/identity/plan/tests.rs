mod refusals;
mod transactions;

use serde_json::{Value, json};

use super::super::testing::{document, org_id, token_id};
use super::*;
use crate::Error;
use crate::testing::{
    Fixture, NOW, Sequence, minutes, organization, stored_token, user, user_id, workspace, workspace_id,
};

/// `acme/research` with owner Olivia, Adam and Vera. Sam has a token and is not a participant.
fn known() -> Known {
    let (olivia, adam, vera, sam) = (user(1, "Olivia"), user(2, "Adam"), user(3, "Vera"), user(4, "Sam"));
    let token = stored_token(5, 4, "Laptop", &TokenKey::make_random(&Sequence::default()));
    let participants =
        vec![(olivia.clone(), Role::Owner), (adam.clone(), Role::Admin), (vera.clone(), Role::View)];
    let users = [(olivia, vec![]), (adam, vec![]), (vera, vec![]), (sam, vec![token])];
    Known {
        users: users.into_iter().map(|(user, tokens)| (fold(&user.user_name), (user, tokens))).collect(),
        memberships: [(user_id(2), vec![(workspace_id(), Role::Admin)])].into(),
        last_owner_of: [(user_id(1), vec!["acme/research".to_owned()])].into(),
        removed: [user_id(98)].into(),
        emails: ["taken@example.org".to_owned()].into(),
        logins: [
            (login("https://i.example", "sam"), user_id(4)),
            (login("https://i.example", "gone"), user_id(98)),
        ]
        .into(),
        organizations: [("acme".to_owned(), organization())].into(),
        workspaces: [((organization().id, "research".to_owned()), (workspace(), participants))].into(),
    }
}

fn login(issuer: &str, subject: &str) -> Login {
    Login { issuer: issuer.into(), subject: subject.into() }
}

fn decide(known: &Known, json: &Value) -> Result<Plan> {
    plan(&document(json), known, &Fixture::new().context())
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
        Change::AddLogin(user, login, from) => {
            let from = from.map_or(String::new(), |from| format!(" from {from}"));
            format!("login {} of {}{from}", login.subject, names[&user.number()])
        }
        Change::RemoveUser { user, .. } => format!("remove {}", user.user_name),
        Change::SetDisabled { user, disabled, workspaces, .. } => {
            let word = disabled.map_or("enable", |_| "disable");
            format!("{word} {} in {} workspaces", names[&user.number()], workspaces.len())
        }
        Change::DeleteWorkspace { workspace, members, .. } => {
            format!("delete {} with {} members", names[&workspace.id.number()], members.len())
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

/// Asserts the changes of each document, which fit in one transaction.
fn assert_steps(cases: &[(&str, Value, &[&str])]) {
    for (case, json, expected) in cases {
        let transactions = if expected.is_empty() { vec![] } else { vec![expected.to_vec()] };
        assert_eq!(steps(&planned(json)), transactions, "{case}");
    }
}

/// Participants of a document.
fn people(list: &[(&str, &str)]) -> Value {
    list.iter().map(|(user, role)| json!({"user": user, "role": role})).collect()
}

fn in_research(workspace: &Value, prune: bool) -> Value {
    let mut declared = json!({"name": "Research"});
    declared.as_object_mut().unwrap().extend(workspace.as_object().unwrap().clone());
    json!({"organizations": [{"name": "Acme", "workspaces": [declared]}], "prune": prune})
}

/// Adam, with this field.
fn adam(disabled: &Value) -> Value {
    let adam = json!({"userName": "adam", "email": "adam@example.org", "disabled": disabled});
    json!({"users": [adam]})
}

#[test]
fn a_document_disables_and_enables_a_user_only_if_it_says_so() {
    assert_steps(&[
        ("disable", adam(&json!(true)), &["disable Adam in 1 workspaces"]),
        ("already enabled", adam(&json!(false)), &[]),
        ("not said", adam(&Value::Null), &[]),
    ]);
    let mut known = known();
    known.users.get_mut("adam").unwrap().0.disabled = Some(NOW);
    for (said, expected) in [
        (json!(true), vec![]),
        (json!(false), vec![vec!["enable Adam in 1 workspaces".to_owned()]]),
        (Value::Null, vec![]),
    ] {
        assert_eq!(steps(&decide(&known, &adam(&said)).unwrap()), expected, "{said}");
    }
}

#[test]
fn a_user_with_more_workspaces_than_a_transaction_takes_is_marked_in_several_and_each_time() {
    let mut known = known();
    let workspaces =
        (1..=MOST_MEMBERSHIPS + 1).map(|id| (WorkspaceId::new(id.try_into().unwrap()).unwrap(), Role::View));
    known.memberships.insert(user_id(2), workspaces.collect());
    let expected = [["disable Adam in 90 workspaces"], ["disable Adam in 1 workspaces"]];
    for disabled in [None, Some(NOW)] {
        known.users.get_mut("adam").unwrap().0.disabled = disabled;
        assert_eq!(steps(&decide(&known, &adam(&json!(true))).unwrap()), expected);
    }
}

#[test]
fn a_disabled_user_gets_no_role_and_no_token() {
    let mut known = known();
    for name in ["adam", "sam"] {
        known.users.get_mut(name).unwrap().0.disabled = Some(NOW);
    }
    let participants = people(&[("olivia", "owner"), ("adam", "view"), ("sam", "view")]);
    let mut document = in_research(&json!({"participants": participants}), false);
    document["users"] = sam(&json!([{"name": "new"}]))["users"].clone();
    let Err(Error::Invalid(text)) = decide(&known, &document) else { panic!("it was accepted") };
    let problems: Vec<_> = text.lines().skip(1).collect();
    let place = "organizations[0].workspaces[0].participants[2].user";
    assert_eq!(
        problems,
        [
            &format!("{place}: the user is disabled."),
            "users[0].tokens[0]: a disabled user cannot have a new token."
        ]
    );
    document["users"][0]["disabled"] = json!(false);
    assert!(decide(&known, &document).is_ok(), "the document enables the user");
}

fn sam(tokens: &Value) -> Value {
    json!({"users": [{"userName": "sam", "email": "SAM@example.org", "tokens": tokens}]})
}

#[test]
fn a_token_gets_its_limits_also_in_a_workspace_that_the_document_creates() {
    let owner = people(&[("olivia", "owner")]);
    let document = |limits: Value| {
        let mut token = json!({"name": "hpc"});
        token.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        json!({
            "users": [{"userName": "sam", "email": "sam@example.org", "tokens": [token]}],
            "organizations": [{"name": "acme", "workspaces": [
                {"name": "research"}, {"name": "lab", "participants": owner},
            ]}],
        })
    };
    let limits = |json: Value| {
        let plan = planned(&document(json));
        let mut created = plan.batches.iter().flat_map(|batch| &batch.changes).filter_map(|it| match it {
            Change::CreateToken(token) => Some((token.scope, token.workspace)),
            _ => None,
        });
        let lab = plan.applied.organizations[0].workspaces[1].id;
        (created.next().unwrap(), lab)
    };
    assert_eq!(limits(json!({})).0, (TokenScope::All, None));
    let (known, _) = limits(json!({"scope": "launch", "workspace": "ACME/Research"}));
    assert_eq!(known, (TokenScope::Launch, Some(workspace_id())));
    let (new, lab) = limits(json!({"scope": "read", "workspace": "acme/lab"}));
    assert_eq!(new, (TokenScope::Read, Some(lab)));
    for path in ["acme/other", "other/lab"] {
        let problem = "users[0].tokens[0].workspace: the document must declare this workspace, too.";
        assert_eq!(problems(&document(json!({"workspace": path}))), [problem]);
    }
    // Sam's token `Laptop` is a full one.
    for (limits, refused) in [
        (json!({"scope": "all"}), false),
        (json!({}), false),
        (json!({"scope": "launch"}), true),
        (json!({"workspace": "acme/research"}), true),
    ] {
        let mut document = document(limits.clone());
        document["users"][0]["tokens"][0]["name"] = json!("laptop");
        let expected = if refused { vec![format!("users[0].tokens[0]: {OTHER_LIMITS}")] } else { vec![] };
        assert_eq!(problems(&document), expected, "{limits}");
    }
}

#[test]
fn users_and_tokens_that_differ_are_changed_and_the_rest_is_left() {
    assert_steps(&[
        ("an empty document", json!({}), &[]),
        ("a known user, in another case", sam(&json!([])), &[]),
        ("a new user", json!({"users": [{"userName": "Nina", "email": "nina@example.org"}]}), &["user Nina"]),
        (
            "a new user with logins",
            json!({"users": [{"userName": "Nina", "email": "nina@example.org", "logins": [
                {"issuer": "https://i.example", "subject": "n1"}, {"issuer": "https://j.example", "subject": "sam"},
            ]}]}),
            &["user Nina", "login n1 of Nina", "login sam of Nina"],
        ),
        (
            "a known login, and a new one",
            json!({"users": [{"userName": "sam", "email": "sam@example.org", "logins": [
                {"issuer": "https://i.example", "subject": "sam"}, {"issuer": "https://i.example", "subject": "Sam"},
            ]}]}),
            &["login Sam of Sam"],
        ),
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
    ]);
}

#[test]
fn workspaces_that_differ_are_changed_and_the_rest_is_left() {
    assert_steps(&[
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
            in_research(&json!({"participants": people(&[("VERA", "view")])}), false),
            &[],
        ),
        (
            "another role and a new participant",
            in_research(&json!({"participants": people(&[("vera", "launch"), ("sam", "view")])}), false),
            &["Vera in research: view to launch", "Sam in research: nothing to view"],
        ),
        (
            "pruning",
            in_research(&json!({"participants": people(&[("olivia", "owner")])}), true),
            &["Adam in research: admin to nothing", "Vera in research: view to nothing"],
        ),
        (
            "pruning without a change",
            in_research(
                &json!({"participants": people(&[("olivia", "owner"), ("adam", "admin"), ("vera", "view")])}),
                true,
            ),
            &[],
        ),
    ]);
}

fn removed(name: &str) -> Value {
    json!({"userName": name, "email": format!("{name}@example.org"), "removed": true})
}

#[test]
fn a_user_who_is_declared_as_removed_is_disabled_leaves_and_is_removed() {
    let leaves = vec!["Adam in research: admin to nothing", "remove Adam"];
    let disable = vec!["disable Adam in 1 workspaces"];
    assert_eq!(steps(&planned(&json!({"users": [removed("adam")]}))), [disable, leaves.clone()]);
    let mut known = known();
    known.users.get_mut("adam").unwrap().0.disabled = Some(NOW);
    let plan = decide(&known, &json!({"users": [removed("adam")]})).unwrap();
    assert_eq!(
        (steps(&plan), plan.applied.users.len()),
        (vec![leaves.iter().map(ToString::to_string).collect()], 0)
    );
    assert_steps(&[("an unknown user", json!({"users": [removed("stranger")]}), &[])]);
}

#[test]
fn a_last_owner_is_not_removed_and_a_removed_user_gets_no_role() {
    let last = "users[0]: the user is the last owner of acme/research. \
                Make another participant an owner, or delete the workspace, first.";
    assert_eq!(problems(&json!({"users": [removed("olivia")]})), [last]);
    let mut wrong = removed("adam");
    wrong["email"] = json!("other@example.org");
    let problem = "users[0].email: the user has a different e-mail address, which a document cannot change.";
    assert_eq!(problems(&json!({"users": [wrong]})), [problem]);
    let participants = people(&[("olivia", "owner"), ("adam", "view")]);
    let mut document = in_research(&json!({"participants": participants}), true);
    document["users"] = json!([removed("adam")]);
    let place = "organizations[0].workspaces[0].participants[1].user";
    assert_eq!(problems(&document), [format!("{place}: the user does not exist: declare it under users.")]);
    let mut document = in_research(&json!({"participants": people(&[("olivia", "owner")])}), true);
    document["users"] = json!([removed("adam")]);
    let leaves = steps(&planned(&document)).concat();
    assert_eq!(leaves.iter().filter(|step| step.starts_with("Adam in research")).count(), 1, "{leaves:?}");
}

#[test]
fn an_owner_who_is_disabled_does_not_count() {
    let two = people(&[("olivia", "owner"), ("adam", "owner")]);
    let place = "organizations[0].workspaces[0].participants";
    let refused = [format!("{place}: {NO_OWNER}")];
    for (case, participants, disabled, accepted) in [
        ("the only owner", json!([]), "olivia", false),
        ("the only owner, and another", two.clone(), "olivia", true),
        ("a participant who is no owner", json!([]), "adam", true),
    ] {
        let mut document = in_research(&json!({"participants": participants}), false);
        let email = format!("{disabled}@example.org");
        document["users"] = json!([{"userName": disabled, "email": email, "disabled": true}]);
        let expected = if accepted { &[][..] } else { &refused };
        assert_eq!(problems(&document), expected, "{case}");
    }
    let mut known = known();
    let research = (organization().id, "research".to_owned());
    known.workspaces.get_mut(&research).unwrap().1[0].0.disabled = Some(NOW);
    known.users.get_mut("olivia").unwrap().0.disabled = Some(NOW);
    let document = in_research(&json!({}), false);
    assert!(decide(&known, &document).is_err(), "disabled before");
    assert!(decide(&known, &in_research(&json!({"participants": two}), false)).is_ok());
}

#[test]
fn a_login_of_a_removed_user_can_be_declared_for_another() {
    let json = json!({"users": [{"userName": "sam", "email": "sam@example.org", "logins": [
        {"issuer": "https://i.example", "subject": "gone"},
    ]}]});
    assert_steps(&[("moved", json, &["login gone of Sam from 98"])]);
}

#[test]
fn a_workspace_that_is_declared_as_deleted_is_deleted_after_every_addition() {
    let document = |name: &str| json!({"name": name, "deleted": true});
    let lab = json!({"name": "Lab", "participants": people(&[("sam", "owner")])});
    let json = json!({"organizations": [{"name": "acme", "workspaces": [document("Research"), lab]}]});
    let transactions =
        [vec!["workspace acme/Lab", "Sam in Lab: nothing to owner"], vec!["delete research with 3 members"]];
    assert_eq!(steps(&planned(&json)), transactions);
    for organization in ["acme", "new"] {
        let unknown = json!({"organizations": [{"name": organization, "workspaces": [document("x")]}]});
        assert_steps(&[(organization, unknown, &[])]);
    }
    let applied = |organization: &str| {
        let json = json!({"organizations": [{"name": organization, "workspaces": [document("research")]}]});
        let found = planned(&json).applied.organizations;
        found.iter().map(|organization| organization.workspaces.len()).collect::<Vec<_>>()
    };
    assert_eq!((applied("acme"), applied("new")), (vec![0], vec![]), "it is not in the answer");
}

#[test]
fn additions_come_first_then_owners_step_down_and_tokens_come_last() {
    assert_steps(&[
        (
            "the new owner comes first, and the old one goes afterwards",
            in_research(
                &json!({
                    "participants": people(&[("olivia", "admin"), ("vera", "launch"), ("adam", "owner")]),
                }),
                false,
            ),
            &[
                "Vera in research: view to launch",
                "Adam in research: admin to owner",
                "Olivia in research: owner to admin",
            ],
        ),
        (
            "the owner changes by pruning",
            in_research(&json!({"participants": people(&[("sam", "owner")])}), true),
            &[
                "Sam in research: nothing to owner",
                "Adam in research: admin to nothing",
                "Vera in research: view to nothing",
                "Olivia in research: owner to nothing",
            ],
        ),
        (
            "a new workspace of a known organization: its owner comes with it, in any order",
            json!({"organizations": [{"name": "ACME", "workspaces": [{
                "name": "Lab",
                "participants": people(&[("vera", "view"), ("sam", "owner"), ("adam", "owner")]),
            }]}]}),
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
                    {"name": "one", "participants": people(&[("Nina", "owner")])},
                    {"name": "two", "participants": people(&[("nina", "owner")])},
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
    ]);
}

#[test]
fn a_new_user_workspace_and_token_match_the_declaration() {
    let json = json!({
        "users": [{"userName": "Nina", "email": "Nina@example.org", "tokens": [
            {"name": "CI", "expires": minutes(5).to_string()}, {"name": "laptop"},
        ]}],
        "organizations": [{"name": "New", "workspaces": [
            {"name": "one", "fullName": "One of two", "platforms": ["lsf"],
                "participants": people(&[("nina", "owner")])},
            {"name": "two", "participants": people(&[("nina", "owner")])},
        ]}],
    });
    let plan = planned(&json);
    let changes = &plan.batches[0].changes;
    let applied = &plan.applied;
    let (nina, new) = (&applied.users[0], &applied.organizations[0]);
    let expected = User {
        id: nina.id,
        user_name: "Nina".into(),
        email: "Nina@example.org".into(),
        created: NOW,
        disabled: None,
        grants: 0,
        removed: None,
    };
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
            grants: 0,
            deleted: None,
        })
    };
    assert_eq!(changes[2], made(0, "One of two", Platform::Lsf));
    assert_eq!(changes[4], made(1, "two", Platform::AwsBatch), "the short name, and only AWS Batch");
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
            workspace: None,
            scope: TokenScope::All,
            created_with: None,
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
            {"userName": "sam", "email": "sam@example.org",
                "tokens": [{"name": "laptop"}, {"name": "x", "revoked": true}]},
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
