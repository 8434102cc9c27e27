//! Replays Nextflow's recorded `-with-tower` messages with a run's id and token. The run's
//! lifecycle follows them, and their content is not stored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use real_clients::deployed::{DeployedStack, Outcome};
use real_clients::real::folder;
use reqwest::Method;
use serde_json::{Value, json};

/// A recorded request.
struct Message {
    method: Method,
    path: String,
    body: Value,
    basic: bool,
}

/// Reads the messages of a recording, with their run replaced.
fn recording(name: &str, run: &str) -> Outcome<Vec<Message>> {
    let text = std::fs::read_to_string(folder().join("recordings/nextflow").join(name))?;
    let mut recorded = String::new();
    let mut messages = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line)?;
        if let Some(id) = line["answer"]["body"]["workflowId"].as_str() {
            id.clone_into(&mut recorded);
        }
        let path = line["path"].as_str().unwrap_or_default();
        // One recording has an additional path prefix.
        let path = path.strip_prefix("/api").unwrap_or(path).replace(&recorded, run);
        let workspace = line["query"]["workspaceId"][0].as_str();
        let query = workspace.map(|id| format!("?workspaceId={id}")).unwrap_or_default();
        let authorization = line["headers"]["Authorization"].as_str().unwrap_or_default();
        messages.push(Message {
            method: line["method"].as_str().unwrap_or_default().parse()?,
            path: format!("{path}{query}"),
            body: line["body"].clone(),
            basic: authorization.starts_with("Basic"),
        });
    }
    Ok(messages)
}

async fn send(deployed: &DeployedStack, message: &Message, path: &str, token: &str) -> Outcome<(u16, Value)> {
    let http = reqwest::Client::new();
    let url = format!("{}{path}", deployed.stack.api_endpoint);
    let request = http.request(message.method.clone(), url).json(&message.body);
    let request = match message.basic {
        true => {
            request.header("authorization", format!("Basic {}", STANDARD.encode(format!("@token:{token}"))))
        }
        false => request.bearer_auth(token),
    };
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let text = answer.text().await?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
}

async fn launched(deployed: &DeployedStack) -> Outcome<(String, String)> {
    let answer = deployed.launch(&json!({"platform": "aws-batch"})).await?;
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    Ok((text("workflowId"), text("runToken")))
}

#[tokio::test]
async fn a_run_follows_the_recorded_messages_and_their_content_is_not_stored() -> Outcome {
    let deployed = DeployedStack::new(&[]).await?;
    deployed.store("NCBI_API_KEY", "0f1e2d3c4b5a").await?;

    for (name, succeeded) in [
        ("24.10.0-launch.jsonl", true),
        ("25.04.4-launch.jsonl", true),
        ("25.04.4-plain.jsonl", true),
        ("25.04.4-workspace.jsonl", true),
        ("25.04.4-config-heartbeat.jsonl", true),
        ("25.04.4-config-secret.jsonl", true),
        ("25.04.4-fail.jsonl", false),
    ] {
        let (run, token) = launched(&deployed).await?;
        let messages = recording(name, &run)?;
        for (position, message) in messages.iter().enumerate() {
            let (status, answer) = send(&deployed, message, &message.path, &token).await?;
            assert_eq!(status, 200, "{name}: {}", message.path);
            assert_eq!(answer["workflowId"], run.as_str(), "{name}: {}", message.path);
            if position + 1 < messages.len() {
                assert_eq!(deployed.receipt(&run).await?["state"], "running", "{name}: {}", message.path);
            }
        }
        let receipt = deployed.until(&run, "ended").await?;
        let expected = if succeeded { "succeeded" } else { "failed" };
        assert_eq!(receipt["outcome"]["result"], expected, "{name}");
        assert_eq!(receipt["outcome"]["reportedBy"], "report", "{name}");

        // Late and repeated messages of an ended run succeed and change nothing.
        for message in messages.iter().skip(1) {
            assert_eq!(send(&deployed, message, &message.path, &token).await?.0, 200, "{name} again");
        }
        assert_eq!(deployed.receipt(&run).await?, receipt, "{name}");
    }

    let stored = deployed.rows().await? + &deployed.logs().await?;
    // The recordings contain task commands, parameters, script text and a resolved secret.
    for leak in ["barvalue", "happy_babbage", "slow.nf", "commandLine", "scriptFile"] {
        assert!(!stored.contains(leak), "{leak} was stored");
    }
    deployed.stack.stop().await?;
    Ok(())
}

#[tokio::test]
async fn messages_to_null_apply_to_the_tokens_run_and_invalid_tokens_change_nothing() -> Outcome {
    let deployed = DeployedStack::new(&[]).await?;
    let (run, token) = launched(&deployed).await?;
    let (other, _) = launched(&deployed).await?;
    let messages = recording("25.04.4-plain.jsonl", "null")?;
    let create = &messages[0];
    let begin = &messages[1];
    let complete = messages.last().ok_or("an empty recording")?;

    // A wrong key, another run, an unknown run: answered without any change.
    let wrong = STANDARD.encode(format!("{{\"tid\":\"{run}\"}}.{}", "0".repeat(40)));
    assert_eq!(send(&deployed, create, "/trace/create", &wrong).await?.0, 200);
    assert_eq!(send(&deployed, begin, "/trace/null/begin", &wrong).await?.0, 200);
    assert_eq!(send(&deployed, complete, &format!("/trace/{other}/complete"), &token).await?.0, 200);
    let unknown = STANDARD.encode(format!("{{\"tid\":\"zzzzzzzzzzzzzz\"}}.{}", "0".repeat(40)));
    assert_eq!(send(&deployed, create, "/trace/create", &unknown).await?.0, 200);
    for run in [&run, &other] {
        assert_eq!(deployed.receipt(run).await?["state"], "pending");
    }

    // `create` has another run in its body: the token's run is used.
    let mut elsewhere = recording("25.04.4-plain.jsonl", "null")?.remove(0);
    elsewhere.body["workflowId"] = json!(other);
    let (status, answer) = send(&deployed, &elsewhere, "/trace/create", &token).await?;
    assert_eq!((status, answer["workflowId"].as_str()), (200, Some(run.as_str())));

    // After a failed `create`, Nextflow sends its messages to /trace/null.
    for message in messages.iter().skip(1) {
        let path = &message.path;
        assert!(path.starts_with("/trace/null/"), "{path}");
        assert_eq!(send(&deployed, message, path, &token).await?.0, 200, "{path}");
    }
    deployed.until(&run, "ended").await?;
    assert_eq!(deployed.receipt(&other).await?["state"], "pending");

    // Malformed messages of a live run succeed. A malformed end still ends the run.
    let (run, token) = launched(&deployed).await?;
    let url = |step: &str| format!("{}/trace/{run}/{step}", deployed.stack.api_endpoint);
    let http = reqwest::Client::new();
    for body in ["", "{", "null", "[1,2", "\u{1}", &"x".repeat(3_000_000)] {
        for step in ["begin", "progress", "heartbeat"] {
            let sent = http.put(url(step)).bearer_auth(&token).body(body.to_owned()).send().await?;
            assert_eq!(sent.status().as_u16(), 200, "{step}");
        }
    }
    assert_eq!(http.put(url("complete")).bearer_auth(&token).body("{").send().await?.status().as_u16(), 200);
    assert_eq!(deployed.until(&run, "ended").await?["outcome"]["result"], "failed");
    deployed.stack.stop().await?;
    Ok(())
}
