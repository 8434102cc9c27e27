//! The operations over HTTP: formats, tokens, and no access to operators' actions.

use crate::harness::{Harness, ISSUER, Ids, TestRequest, declaration, event, names};
use http_api::Operation;
use serde_json::{Value, json};

#[tokio::test]
async fn the_service_is_described_without_a_caller() {
    let harness = Harness::start().await;
    let mut event = event(Operation::DescribeService, TestRequest::default());
    event["requestContext"] = json!({});
    let answer = harness.send(&event).await.unwrap();
    assert_eq!(answer["statusCode"], 200);
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let version = body["serviceInfo"]["apiVersion"].as_str().unwrap();
    assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()), "dotted numbers: {version}");
    assert!(body["serviceInfo"]["version"].is_string() && body["serviceInfo"]["authTypes"].is_array());
}

#[tokio::test]
async fn requests_without_an_authorized_caller_are_refused() {
    let (harness, _) = Harness::with_declaration().await;
    for operation in
        Operation::ALL.iter().filter(|it| it.function() == http_api::operation::Function::Identity)
    {
        if *operation == Operation::DescribeService {
            continue;
        }
        for context in [
            json!({}),
            json!({ "authorizer": null }),
            json!({ "authorizer": { "lambda": { "userId": "x" } } }),
        ] {
            let mut event = event(*operation, TestRequest::default().path("userId", 1).path("orgId", 1));
            event["requestContext"] = context;
            let answer = harness.send(&event).await.unwrap();
            assert!(matches!(answer["statusCode"].as_u64(), Some(400 | 403)), "{} {answer}", operation.id());
        }
    }
}

#[tokio::test]
async fn an_unknown_login_signs_up_or_is_refused_until_an_operator_declares_it() {
    let (harness, ids) = Harness::with_declaration().await;
    let ask = async |subject: &str, sign_up: &str| {
        let mut event = event(Operation::DescribeUser, TestRequest::default());
        let lambda = json!({ "issuer": ISSUER, "subject": subject, "signUp": sign_up });
        event["requestContext"]["authorizer"]["lambda"] = lambda;
        let answer = harness.send(&event).await.unwrap();
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), body)
    };
    let before = harness.rows().await;
    let (status, body) = ask("s1", "false").await;
    let words = format!(
        "No user of this service has your login. Ask an operator to declare it: issuer {ISSUER}, subject s1"
    );
    assert_eq!((status, &body["message"]), (403, &json!(words)));
    assert_eq!(harness.rows().await, before);

    let declare = |issuer: &str| {
        let login = json!({ "issuer": issuer, "subject": "s1" });
        json!({ "users": [{ "userName": "outsider", "email": "outsider@example.org", "logins": [login] }] })
    };
    let misspelled = harness.send(&json!({ "apply": declare("https://login.example.org/") })).await.unwrap();
    assert!(misspelled["error"]["message"].as_str().unwrap().contains("OidcIssuers"), "{misspelled}");
    assert_eq!(harness.rows().await, before);
    assert_eq!(harness.apply(&declare(ISSUER)).await["changes"], 1);
    assert_eq!(harness.apply(&declare(ISSUER)).await["changes"], 0);
    let (status, body) = ask("s1", "false").await;
    assert_eq!((status, &body["user"]["id"]), (200, &json!(ids.user("outsider"))));

    let (status, body) = ask("s2", "true").await;
    assert_eq!(status, 200);
    assert!(body["user"]["userName"].as_str().unwrap().starts_with("oidc-"), "{body}");
    assert_eq!(ask("s2", "false").await, (200, body), "a registered login stays known without sign-up");
}

/// What a token of one workspace sees of the user, and what a token with another scope can call.
#[tokio::test]
async fn a_limited_token_is_limited_in_every_operation() {
    let (harness, ids) = Harness::with_declaration().await;
    let owner = ids.user("owner");
    let ask = async |operation: Operation, request: TestRequest, scope: &str, workspace: i64| {
        let mut event = event(operation, request);
        event["requestContext"]["authorizer"]["lambda"] = json!({
            "userId": owner.to_string(), "tokenId": "5", "scope": scope, "workspaceId": workspace.to_string(),
        });
        let answer = harness.send(&event).await.unwrap();
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or("null")).unwrap_or_default();
        (answer["statusCode"].as_u64().unwrap(), body)
    };
    let other = 7;
    for (operation, here, elsewhere) in [
        (Operation::DescribeUser, 200, 200),
        (Operation::ListOrganizations, 200, 200),
        (Operation::DescribeOrganization, 200, 404),
        (Operation::ListOrganizationMembers, 200, 404),
        (Operation::ListWorkspaces, 200, 404),
        (Operation::DescribeWorkspace, 200, 403),
        (Operation::ListParticipants, 200, 403),
        (Operation::ListTokens, 200, 200),
        // The token of this request is not in the table: it was revoked.
        (Operation::CreateToken, 403, 403),
    ] {
        let request = || match operation {
            Operation::CreateToken => TestRequest::by(owner).body(json!({ "name": "new" })),
            _ => ids.request("owner"),
        };
        let id = operation.id();
        assert_eq!(ask(operation, request(), "all", ids.workspace).await.0, here, "{id}");
        assert_eq!(ask(operation, request(), "all", other).await.0, elsewhere, "{id} elsewhere");
        let launches = if operation == Operation::DescribeUser { 200 } else { 403 };
        assert_eq!(ask(operation, request(), "launch", ids.workspace).await.0, launches, "{id} to launch");
    }
    let (_, elsewhere) = ask(Operation::ListOrganizations, TestRequest::by(owner), "all", other).await;
    assert_eq!(elsewhere["totalSize"], 0);
    let (_, words) = ask(Operation::DescribeWorkspace, ids.request("owner"), "all", other).await;
    assert_eq!(
        words["message"],
        "The token of this request does not allow this: it can be used only in the workspace 7 (workspaceId=7)."
    );
}

#[tokio::test]
async fn an_event_from_api_gateway_is_never_applied() {
    let harness = Harness::start().await;
    for context in
        [json!(null), json!({}), json!("x"), json!({ "authorizer": { "lambda": { "userId": "1" } } })]
    {
        let event = json!({ "requestContext": context, "apply": declaration() });
        let answer = harness.send(&event).await.unwrap();
        assert_eq!(answer["statusCode"].as_u64().unwrap() / 100, 4, "{answer}");
        let mut event = crate::harness::event(Operation::ListTokens, TestRequest::by(1));
        event["apply"] = declaration();
        event["requestContext"] = context;
        harness.send(&event).await.unwrap();
    }
    let twice = format!(r#"{{"requestContext":{{}},"apply":{},"requestContext":{{}}}}"#, declaration());
    let twice = serde_json::value::RawValue::from_string(twice).unwrap();
    harness.send_raw(&twice).await.unwrap();
    assert!(harness.rows().await.is_empty());
}

#[tokio::test]
async fn users_see_themselves_and_their_workspaces_in_seqera_platform_format() {
    let (harness, ids) = Harness::with_declaration().await;
    let me = ids.user("launch");
    let info = harness.ask(Operation::DescribeUser, TestRequest::by(me)).await.body;
    assert_eq!(info["user"]["id"], me);
    assert_eq!(info["user"]["userName"], "launch");
    assert_eq!(info["user"]["email"], "launch@example.org");
    assert_eq!((&info["needConsent"], &info["defaultWorkspaceId"]), (&json!(false), &Value::Null));

    let list = harness.ask(Operation::ListUserWorkspaces, TestRequest::by(me).path("userId", me)).await.body;
    let expected = json!({ "orgsAndWorkspaces": [
        { "orgId": ids.org, "orgName": "Lab", "orgLogoUrl": null, "workspaceId": null, "workspaceName": null,
          "workspaceFullName": null, "visibility": null, "roles": ["member"] },
        { "orgId": ids.org, "orgName": "Lab", "orgLogoUrl": null, "workspaceId": ids.workspace,
          "workspaceName": "genomics", "workspaceFullName": "Genomics group", "visibility": "PRIVATE",
          "roles": ["launch"] },
    ]});
    assert_eq!(list, expected);

    let orgs = harness.ask(Operation::ListOrganizations, TestRequest::by(me)).await.body;
    assert_eq!((&orgs["totalSize"], &orgs["organizations"][0]["orgId"]), (&json!(1), &json!(ids.org)));
    let in_org =
        harness.ask(Operation::ListWorkspaces, TestRequest::by(me).path("orgId", ids.org)).await.body;
    assert_eq!(
        names(&in_org["workspaces"][0]),
        ["description", "fullName", "id", "name", "visibility"].into()
    );
    let workspace = harness.ask(Operation::DescribeWorkspace, ids.request("launch")).await.body;
    assert_eq!(workspace["workspace"]["id"], ids.workspace);
    assert_eq!(workspace["workspace"]["platforms"], json!(["aws-batch"]));

    let outsider = ids.user("outsider");
    let none =
        harness.ask(Operation::ListUserWorkspaces, TestRequest::by(outsider).path("userId", outsider)).await;
    assert_eq!(none.body, json!({ "orgsAndWorkspaces": [] }));
    let others =
        harness.ask(Operation::ListUserWorkspaces, TestRequest::by(outsider).path("userId", me)).await;
    let unknown =
        harness.ask(Operation::ListUserWorkspaces, TestRequest::by(outsider).path("userId", 1)).await;
    assert_eq!((others.status, &others), (404, &unknown));
}

#[tokio::test]
async fn tokens_are_created_shown_once_listed_and_revoked() {
    let (harness, ids) = Harness::with_declaration().await;
    let me = ids.user("view");
    let body = json!({ "name": "laptop", "scope": "launch", "workspaceId": ids.workspace });
    let made = harness.ask(Operation::CreateToken, TestRequest::by(me).body(body)).await;
    assert_eq!(made.status, 200);
    assert_eq!(names(&made.body), ["accessKey", "token"].into());
    let token = &made.body["token"];
    assert_eq!((&token["name"], &token["lastUsed"]), (&json!("laptop"), &Value::Null));
    assert_eq!((&token["scope"], &token["workspaceId"]), (&json!("launch"), &json!(ids.workspace)));
    assert!(token["expires"].is_string(), "it expires without being asked to: {token}");
    let list = harness.ask(Operation::ListTokens, TestRequest::by(me)).await.body;
    let listed: Vec<_> =
        list["tokens"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(listed, ["cli", "laptop"]);
    assert!(!list.to_string().contains(made.body["accessKey"].as_str().unwrap()));

    let id = token["id"].as_i64().unwrap();
    let others =
        harness.ask(Operation::DeleteToken, TestRequest::by(ids.user("owner")).path("tokenId", id)).await;
    let unknown =
        harness.ask(Operation::DeleteToken, TestRequest::by(ids.user("owner")).path("tokenId", 1)).await;
    assert_eq!((others.status, &others), (404, &unknown), "another user's token is not found");
    assert_eq!(
        harness.ask(Operation::DeleteToken, TestRequest::by(me).path("tokenId", id)).await.status,
        204
    );
    assert_eq!(
        harness.ask(Operation::DeleteToken, TestRequest::by(me).path("tokenId", id)).await.status,
        404
    );
    harness.check().await;
    let audited = harness.audited().await;
    assert_eq!(audited.iter().filter(|it| it.starts_with("token.")).count(), 9);
}

#[tokio::test]
async fn a_token_needs_a_unique_name_and_a_future_expiry() {
    let (harness, ids) = Harness::with_declaration().await;
    let before = harness.rows().await;
    for (body, status) in [
        (json!({ "name": "CLI" }), 409),
        (json!({ "name": "" }), 400),
        (json!({ "name": "x".repeat(51) }), 400),
        (json!({ "name": "a\nb" }), 400),
        (json!({ "name": 7 }), 400),
        (json!({}), 400),
        (json!([]), 400),
        (json!({ "name": "late", "expires": "2001-01-01T00:00:00Z" }), 400),
        (json!({ "name": "late", "expires": "tomorrow" }), 400),
        (json!({ "name": "late", "expires": "2099-01-01T00:00:00Z" }), 400),
        (json!({ "name": "s", "scope": "write" }), 400),
        (json!({ "name": "w", "workspaceId": 7 }), 404),
    ] {
        let answer =
            harness.ask(Operation::CreateToken, TestRequest::by(ids.user("view")).body(body.clone())).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.body["message"].is_string());
    }
    assert_eq!(harness.rows().await, before);
}

#[tokio::test]
async fn participants_are_listed_searched_and_paged() {
    let (harness, ids) = Harness::with_declaration().await;
    let list = harness.ask(Operation::ListParticipants, ids.request("view")).await.body;
    assert_eq!(list["totalSize"], 6);
    let owner = list["participants"].as_array().unwrap().iter().find(|it| it["userName"] == "owner").unwrap();
    let id = ids.user("owner");
    let expected = json!({
        "participantId": id, "memberId": id, "userName": "owner", "firstName": null, "lastName": null,
        "email": "owner@example.org", "orgRole": "member", "teamId": null, "teamName": null, "wspRole": "owner",
        "type": "MEMBER", "teamAvatarUrl": null, "userAvatarUrl": null,
    });
    assert_eq!(owner, &expected);
    let found = |answer: &Value| -> Vec<String> {
        let list = answer["participants"].as_array().unwrap();
        list.iter().map(|it| it["userName"].as_str().unwrap().to_owned()).collect()
    };
    let searched =
        harness.ask(Operation::ListParticipants, ids.request("view").query("search", "VIEW@example")).await;
    assert_eq!(found(&searched.body), ["view"]);
    let page = ids.request("view").query("max", "2").query("offset", "1");
    let page = harness.ask(Operation::ListParticipants, page).await.body;
    assert_eq!((found(&page), &page["totalSize"]), (vec!["connect".into(), "launch".into()], &json!(6)));
    let wrong = harness.ask(Operation::ListParticipants, ids.request("view").query("max", "-1")).await;
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn members_are_the_participants_of_the_callers_workspaces_in_the_organization() {
    let harness = Harness::start().await;
    let people = ["ann", "anna", "bob", "zoe"];
    let users: Vec<_> =
        people.iter().map(|it| json!({ "userName": it, "email": format!("{it}@example.org") })).collect();
    let owners = |names: &[&str]| -> Vec<_> {
        names.iter().map(|name| json!({ "user": name, "role": "owner" })).collect()
    };
    let applied = harness
        .apply(&json!({ "users": users, "organizations": [{ "name": "Lab", "workspaces": [
            { "name": "one", "participants": owners(&["bob", "anna"]) },
            { "name": "two", "participants": owners(&["ann", "bob"]) },
            { "name": "three", "participants": owners(&["zoe"]) },
        ] }] }))
        .await;
    let ids = Ids::of(&applied);
    let members = async |caller: &str, query: &[(&'static str, &str)]| {
        let request = TestRequest::by(ids.user(caller)).path("orgId", ids.org);
        let request = query.iter().fold(request, |request, (name, value)| request.query(name, value));
        let answer = harness.ask(Operation::ListOrganizationMembers, request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let list = answer.body["members"].as_array().unwrap();
        let names: Vec<_> = list.iter().map(|it| it["userName"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), answer.body["totalSize"].clone())
    };
    for (caller, query, names, total) in [
        ("bob", &[][..], "ann anna bob", 3),
        ("anna", &[], "anna bob", 2),
        ("zoe", &[], "zoe", 1),
        ("bob", &[("max", "1"), ("offset", "1")], "anna", 3),
        ("bob", &[("search", "ANN")], "ann", 1),
        ("bob", &[("search", "anna@Example.org")], "anna", 1),
        ("bob", &[("search", "zoe")], "", 0),
        ("anna", &[("search", "ann")], "", 0),
    ] {
        assert_eq!(members(caller, query).await, (names.to_owned(), json!(total)), "{caller} {query:?}");
    }
    for (name, value) in
        [("max", "-1"), ("max", "+1"), ("offset", "x"), ("Search", "ann"), ("search_", "ann")]
    {
        let request = TestRequest::by(ids.user("bob")).path("orgId", ids.org).query(name, value);
        let answer = harness.ask(Operation::ListOrganizationMembers, request).await;
        assert_eq!(answer.status, 400, "{name}={value}");
    }
    let request = TestRequest::by(ids.user("bob")).path("orgId", ids.org);
    let organization = harness.ask(Operation::DescribeOrganization, request).await.body;
    assert_eq!(
        organization,
        json!({ "organization": {
            "orgId": ids.org, "name": "Lab", "fullName": "Lab", "description": null, "location": null,
            "website": null, "logoId": null, "logoUrl": null, "memberId": ids.user("bob"), "memberRole": "member",
        } })
    );
}

#[tokio::test]
async fn an_exact_match_of_the_search_comes_first() {
    let harness = Harness::start().await;
    let people = ["aal", "al", "alan"];
    let users: Vec<_> =
        people.iter().map(|it| json!({ "userName": it, "email": format!("{it}@example.org") })).collect();
    let participants: Vec<_> = people.iter().map(|it| json!({ "user": it, "role": "owner" })).collect();
    let workspaces = json!([{ "name": "w", "participants": participants }]);
    let applied = harness
        .apply(&json!({ "users": users, "organizations": [{ "name": "o", "workspaces": workspaces }] }))
        .await;
    let ids = Ids::of(&applied);
    let answer = harness.ask(Operation::ListParticipants, ids.request("al").query("search", "al")).await.body;
    assert_eq!((&answer["participants"][0]["userName"], &answer["totalSize"]), (&json!("al"), &json!(3)));
}

#[tokio::test]
async fn participants_are_added_change_roles_and_are_removed() {
    let (harness, ids) = Harness::with_declaration().await;
    let outsider = ids.user("outsider");
    let add = |body: Value| harness.ask(Operation::AddParticipant, ids.request("admin").body(body));
    let added = add(json!({ "userNameOrEmail": "Outsider@example.org" })).await;
    assert_eq!(added.status, 200);
    assert_eq!(
        (&added.body["participant"]["wspRole"], &added.body["participant"]["memberId"]),
        (&json!("view"), &json!(outsider))
    );
    assert_eq!(add(json!({ "memberId": outsider })).await.status, 409);
    let role = ids.request("admin").path("participantId", outsider).body(json!({ "role": "MAINTAIN" }));
    assert_eq!(harness.ask(Operation::UpdateParticipantRole, role.clone()).await.status, 204);
    assert_eq!(harness.ask(Operation::UpdateParticipantRole, role).await.status, 204);
    assert_eq!(harness.roles(ids.workspace).await["outsider"], "maintain");
    let remove = ids.request("admin").path("participantId", outsider);
    assert_eq!(harness.ask(Operation::DeleteParticipant, remove.clone()).await.status, 204);
    assert_eq!(harness.ask(Operation::DeleteParticipant, remove).await.status, 404);
    assert_eq!(
        add(json!({ "memberId": outsider, "role": "view" })).await.body["participant"]["wspRole"],
        "view"
    );
    let leave = ids.request("outsider").path("participantId", outsider);
    assert_eq!(harness.ask(Operation::DeleteParticipant, leave).await.status, 204);
    harness.check().await;
    let audited = harness.audited().await;
    let count = |action: &str| audited.iter().filter(|it| *it == action).count();
    assert_eq!((count("participant.set"), count("participant.removed")), (6 + 3, 2), "each change once");
}

#[tokio::test]
async fn an_invalid_participant_changes_nothing() {
    let (harness, ids) = Harness::with_declaration().await;
    let before = harness.rows().await;
    for body in [
        json!({}),
        json!({ "userNameOrEmail": "ghost" }),
        json!({ "userNameOrEmail": "ghost@example.org" }),
        json!({ "userNameOrEmail": "" }),
        json!({ "userNameOrEmail": "g".repeat(3000) }),
        json!({ "userNameOrEmail": format!("{}@example.org", "g".repeat(3000)) }),
        json!({ "memberId": 7 }),
        json!({ "memberId": -7 }),
        json!({ "memberId": "7" }),
        json!({ "teamId": 7 }),
        json!({ "memberId": ids.user("outsider"), "userNameOrEmail": "outsider" }),
        json!({ "memberId": ids.user("outsider"), "role": "boss" }),
    ] {
        let answer = harness.ask(Operation::AddParticipant, ids.request("owner").body(body.clone())).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    assert_eq!(harness.rows().await, before);
}

#[tokio::test]
async fn platforms_are_set_by_name() {
    let (harness, ids) = Harness::with_declaration().await;
    let allow =
        |body: Value| harness.ask(Operation::UpdateWorkspacePlatforms, ids.request("admin").body(body));
    assert_eq!(allow(json!({ "platforms": ["slurm", "aws-batch"] })).await.status, 204);
    let workspace = harness.ask(Operation::DescribeWorkspace, ids.request("view")).await.body;
    assert_eq!(workspace["workspace"]["platforms"], json!(["aws-batch", "slurm"]));
    for body in [
        json!({}),
        json!({ "platforms": "slurm" }),
        json!({ "platforms": ["k8s"] }),
        json!({ "platforms": [1] }),
    ] {
        assert_eq!(allow(body).await.status, 400);
    }
    let audited = harness.audited().await;
    assert_eq!(audited.iter().filter(|it| *it == "workspace.platforms-changed").count(), 1);
}
