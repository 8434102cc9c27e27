//! Imports are atomic, and no error contains a line or a value.

use end_to_end::{Answer, ApiRequest, MARK, World};
use futures_util::future::join_all;
use libtest_mimic::Trial;
use serde_json::{Map, Value, json};

use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_json_map_is_imported_whole,
        names_like_request_fields_are_imported_as_names,
        a_thousand_secrets_fit_in_one_list_and_one_more_is_rejected,
        dotenv_lines_are_imported_without_evaluation,
        thirty_two_entries_are_imported_and_thirty_three_are_rejected,
        one_invalid_entry_rejects_the_import_and_is_named_by_position,
        an_upsert_creates_and_updates_all_secrets_or_none,
        a_repeated_upsert_is_replayed_with_its_outcomes,
        parallel_upserts_lose_no_version,
    ]
}

async fn world() -> World {
    World::make(harness().await).await
}

async fn import(world: &World, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    let request = ApiRequest::new("POST", world.inside("/pipeline-secrets/import")).body(content_type, body);
    world.caller("owner").send(request).await
}

fn upsert(world: &World, mode: &str, body: &Value) -> ApiRequest {
    ApiRequest::post(format!("{}&mode={mode}", world.inside("/pipeline-secrets/import")), body)
}

fn outcomes(imported: &Value) -> Vec<(&str, &str)> {
    let secrets = imported["secrets"].as_array().expect("secrets").iter();
    let fields = secrets.map(|it| (it["name"].as_str(), it["outcome"].as_str()));
    fields.map(|(name, outcome)| (name.expect("a name"), outcome.expect("an outcome"))).collect()
}

fn map(entries: usize) -> Value {
    (0..entries).map(|at| (format!("N{at:02}"), json!(MARK))).collect::<Map<_, _>>().into()
}

async fn a_json_map_is_imported_whole() {
    let world = world().await;
    let answer =
        import(&world, "application/json", format!(r#"{{"BB":"{MARK}","AA":"{MARK}"}}"#)).await.json();
    assert_eq!(answer["totalSize"], 2);
    let imported = answer["secrets"].as_array().expect("secrets");
    let names: Vec<_> = imported.iter().map(|secret| &secret["name"]).collect();
    assert_eq!(names, ["BB", "AA"], "the order of the import");
    let list = world.caller("view").get(world.inside("/pipeline-secrets")).await.json();
    for secret in imported {
        let listed = list["pipelineSecrets"].as_array().expect("a list");
        assert!(
            listed.iter().any(|it| it["id"] == secret["secretId"] && it["name"] == secret["name"]),
            "{list}"
        );
    }
}

async fn names_like_request_fields_are_imported_as_names() {
    let world = world().await;
    let body = json!({"name": MARK, "value": MARK, "workspaceId": MARK});
    assert_eq!(import(&world, "application/json", body.to_string()).await.json()["totalSize"], 3);
    assert_eq!(world.names().await, ["name", "value", "workspaceId"]);
}

async fn a_thousand_secrets_fit_in_one_list_and_one_more_is_rejected() {
    const LIMIT: usize = 1_000;
    let world = world().await;
    // The size of the values does not affect the list.
    let value = format!("{MARK}{}", "x".repeat(8_000));
    let names: Vec<_> = (0..LIMIT).map(|at| format!("N{at:03}")).collect();
    for names in names.chunks(32) {
        let entries: Map<_, _> = names.iter().map(|name| (name.clone(), json!(value))).collect();
        let imported = import(&world, "application/json", Value::from(entries).to_string()).await.json();
        assert_eq!(imported["totalSize"], names.len());
    }
    let list = world.caller("view").get(world.inside("/pipeline-secrets")).await;
    assert!(list.body.len() < 250 * LIMIT, "{} bytes", list.body.len());
    assert_eq!(list.json()["totalSize"], LIMIT);
    assert_eq!(world.names().await, names);

    let body = json!({"name": "ONE_MORE", "value": "v"});
    let owner = world.caller("owner");
    let rejected = owner.post(world.inside("/pipeline-secrets"), &body).await.problem(400);
    assert!(rejected.contains("at most 1000 secrets"), "{rejected}");
    let id = &list.json()["pipelineSecrets"][0]["id"];
    owner.delete(world.inside(&format!("/pipeline-secrets/{id}"))).await.no_content();
    let _ = owner.post(world.inside("/pipeline-secrets"), &body).await.json();
}

async fn dotenv_lines_are_imported_without_evaluation() {
    let world = world().await;
    let file = "\u{feff}# keys\r\n\r\nexport AA=one two\r\nBB='$HOME \"x\" $(touch /tmp/x) `id`'\nCC=\"a\\nb\nc # d\" # comment\nDD=p#ss\nEE==a=b\n";
    let answer = import(&world, "text/plain; charset=utf-8", file).await.json();
    assert_eq!(answer["totalSize"], 5);
    let body = json!({"platform": "aws-batch", "layout": "per-name", "userSecrets": []});
    let run = world.caller("owner").post(world.inside("/launches"), &body).await.json();
    for (name, value) in [
        ("AA", "one two"),
        ("BB", "$HOME \"x\" $(touch /tmp/x) `id`"),
        ("CC", "a\nb\nc # d"),
        ("DD", "p#ss"),
        ("EE", "=a=b"),
    ] {
        let copy = format!("tower-{}/{name}", run["workflowId"].as_str().expect("an id"));
        assert_eq!(world.harness.copy(&copy).await.as_deref(), Some(value), "{name}");
    }
}

async fn thirty_two_entries_are_imported_and_thirty_three_are_rejected() {
    let world = world().await;
    let rows = world.rows().await;
    let lines = |entries: usize| {
        let lines: Vec<_> = (0..entries).map(|at| format!("L{at:02}={MARK}\n")).collect();
        lines.concat()
    };
    for too_many in [33, 10_000] {
        for answer in [
            import(&world, "application/json", map(too_many).to_string()).await,
            import(&world, "text/plain", lines(too_many)).await,
        ] {
            assert!(answer.problem(400).contains("the limit is 32"));
        }
    }
    let _ = import(&world, "application/json", "{}").await.problem(400);
    let _ = import(&world, "text/plain", "# nothing\n").await.problem(400);
    let _ = import(&world, "text/plain", "").await.problem(400);
    assert_eq!(world.rows().await, rows);
    assert_eq!(import(&world, "application/json", map(32).to_string()).await.json()["totalSize"], 32);
    assert_eq!(import(&world, "text/plain", lines(32)).await.json()["totalSize"], 32);
    assert_eq!(world.names().await.len(), 64);
}

async fn one_invalid_entry_rejects_the_import_and_is_named_by_position() {
    let world = world().await;
    world.secret("TAKEN", "v").await;
    let rows = world.rows().await;
    let huge = format!("AA=v\nBB={MARK}{}", "x".repeat(32_768));
    for (file, status, words) in [
        (format!("AA=v\n{MARK} has no sign"), 400, "Line 2: "),
        (format!("AA=v\n\n#\nB-B={MARK}"), 400, "Line 4: "),
        (format!("AA=v\nPATH={MARK}"), 400, "Line 2: "),
        (format!("AA=\"{MARK}"), 400, "Line 1: "),
        (format!("AA='{MARK}'x'"), 400, "Line 1: "),
        (format!("AA={MARK}\nBB="), 400, "Line 2: "),
        (format!("AA={MARK}\0"), 400, "Line 1: "),
        (format!("AA=v\nBB={MARK}  # rotate yearly"), 400, "Line 2: "),
        (format!("AA=v\nBB=${MARK}"), 400, "Line 2: "),
        (format!("AA=v\nAA={MARK}"), 400, "already on line 1"),
        (huge, 413, "Line 2: "),
        (format!("AA=v\naa={MARK}"), 400, "AA and aa count as the same name"),
        (format!("AA=v\nTAKEN={MARK}"), 409, "TAKEN"),
        (format!("AA=v\ntaken={MARK}"), 409, "already exists"),
    ] {
        let message = import(&world, "text/plain", file).await.problem(status);
        assert!(message.contains(words), "{message}");
    }
    for (body, status, words) in [
        (format!(r#"{{"AA":"v","BB":["{MARK}"]}}"#), 400, "Entry 2: "),
        (format!(r#"{{"AA":"v","B-B":"{MARK}"}}"#), 400, "Entry 2: "),
        (format!(r#"{{"AA":"v","AA":"{MARK}"}}"#), 400, "twice"),
        (format!(r#"{{"AA":"v","TAKEN":"{MARK}"}}"#), 409, "already exists"),
    ] {
        let message = import(&world, "application/json", body).await.problem(status);
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(world.rows().await, rows);
}

async fn an_upsert_creates_and_updates_all_secrets_or_none() {
    let world = world().await;
    let owner = world.caller("owner");
    let described =
        json!({"name": "OLD", "value": MARK, "description": "a note", "expires": "2099-01-31T00:00:00Z"});
    let id = owner.post(world.inside("/pipeline-secrets"), &described).await.json()["secretId"].clone();
    world.secret("OTHER", MARK).await;
    let path = world.inside(&format!("/pipeline-secrets/{id}"));
    let before = owner.get(&path).await.json()["pipelineSecret"].clone();

    let rows = world.rows().await;
    for (mode, body, status, words) in [
        ("", json!({"OLD": MARK}), 400, "mode must be create or upsert"),
        ("replace", json!({"OLD": MARK}), 400, "mode must be create or upsert"),
        ("Upsert", json!({"OLD": MARK}), 400, "mode must be create or upsert"),
        ("upsert&mode=upsert", json!({"OLD": MARK}), 400, "mode must be create or upsert"),
        ("create", json!({"NEW": MARK, "OLD": MARK}), 409, "already exists"),
        ("upsert", json!({"NEW": MARK, "OLD": MARK, "other": MARK}), 409, "other already exists"),
        ("upsert", json!({"NEW": MARK, "OLD": ""}), 400, "Entry 2: "),
        ("upsert", map(33), 400, "the limit is 32"),
    ] {
        let message = owner.send(upsert(&world, mode, &body)).await.problem(status);
        assert!(message.contains(words), "{mode}: {message}");
        assert_eq!(world.rows().await, rows, "{mode}");
    }
    let _ = world.caller("view").send(upsert(&world, "upsert", &json!({"OLD": MARK}))).await.problem(403);
    assert_eq!(world.rows().await, rows);

    let body = json!({"NEW": format!("{MARK}1"), "OLD": format!("{MARK}2")});
    let imported = owner.send(upsert(&world, "upsert", &body)).await.json();
    assert_eq!(outcomes(&imported), [("NEW", "created"), ("OLD", "updated")]);
    assert_eq!(imported["secrets"][1]["secretId"], id);
    let after = owner.get(&path).await;
    assert_eq!(after.header("etag"), "\"2\"");
    for field in ["id", "name", "description", "expires", "dateCreated"] {
        assert_eq!(after.json()["pipelineSecret"][field], before[field], "{field}");
    }
    let history = owner.get(world.inside(&format!("/pipeline-secrets/{id}/history"))).await.json();
    assert_eq!(history["totalSize"], 2);
    let events = owner.get(world.inside("/audit-events?max=2")).await.json();
    let recorded: Vec<_> = events["events"].as_array().expect("events").iter().collect();
    let subject = |action: &str| {
        let event = recorded.iter().find(|event| event["action"] == action).expect(action);
        (event["subjects"][0]["name"].clone(), event["subjects"][0]["version"].clone())
    };
    assert_eq!(subject("secret.created"), (json!("NEW"), json!(1)));
    assert_eq!(subject("secret.updated"), (json!("OLD"), json!(2)));

    let launch = json!({"platform": "aws-batch", "layout": "per-name", "userSecrets": []});
    let run = owner.post(world.inside("/launches"), &launch).await.json();
    for (name, value) in
        [("NEW", format!("{MARK}1")), ("OLD", format!("{MARK}2")), ("OTHER", MARK.to_owned())]
    {
        let copy = format!("tower-{}/{name}", run["workflowId"].as_str().expect("an id"));
        assert_eq!(world.harness.copy(&copy).await, Some(value), "{name}");
    }
    // All 32 names that a file can contain, once as creations and once as updates.
    for outcome in ["created", "updated"] {
        let imported = owner.send(upsert(&world, "upsert", &map(32))).await.json();
        assert_eq!(imported["totalSize"], 32);
        assert!(outcomes(&imported).iter().all(|(_, it)| *it == outcome), "{imported}");
    }
}

async fn a_repeated_upsert_is_replayed_with_its_outcomes() {
    const KEY: &str = "an-import-of-this-test";
    let world = world().await;
    let owner = world.caller("owner");
    world.secret("OLD", MARK).await;
    let body = json!({"OLD": MARK, "NEW": MARK});
    let keyed = |mode: &str, body: &Value| upsert(&world, mode, body).header("idempotency-key", KEY);
    let first = owner.send(keyed("upsert", &body)).await.json();
    assert_eq!(outcomes(&first), [("NEW", "created"), ("OLD", "updated")]);
    let rows = world.rows().await;
    assert_eq!(owner.send(keyed("upsert", &body)).await.json(), first);
    let _ = owner.send(keyed("create", &body)).await.problem(422);
    let _ = owner.send(keyed("upsert", &json!({"OLD": MARK}))).await.problem(422);
    assert_eq!(world.rows().await, rows);
    let message = owner.send(keyed("upsert", &map(32))).await.problem(400);
    assert!(message.contains("at most 31 secrets"), "{message}");
}

async fn parallel_upserts_lose_no_version() {
    const WRITERS: usize = 8;
    let world = world().await;
    let owner = world.caller("owner");
    let body = json!({"AA": MARK, "BB": MARK});
    let writers = (0..WRITERS).map(async |_| {
        loop {
            let answer = owner.send(upsert(&world, "upsert", &body)).await;
            if answer.status == 200 {
                return;
            }
            let _ = answer.problem(429);
        }
    });
    join_all(writers).await;
    let list = owner.get(world.inside("/pipeline-secrets")).await.json();
    for secret in list["pipelineSecrets"].as_array().expect("a list") {
        let path = world.inside(&format!("/pipeline-secrets/{}/history", secret["id"]));
        assert_eq!(owner.get(path).await.json()["totalSize"], WRITERS);
    }
    assert_eq!(world.names().await, ["AA", "BB"]);
}
