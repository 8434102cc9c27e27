//! Runs the commands of the clients guide unchanged, with the real curl.

use std::path::Path;
use std::process::Stdio;

use end_to_end::World;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![the_guides_commands_work]
}

const NEEDED: [&str; 3] = ["curl", "jq", "openssl"];

async fn the_guides_commands_work() {
    for program in NEEDED {
        let found =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.await.is_err() {
            assert!(
                std::env::var_os("CI").is_none(),
                "{program} is not installed, and no test may be skipped in CI"
            );
            return;
        }
    }
    let world = World::make(harness().await).await;
    let folder = tempfile::tempdir().expect("a folder");
    let ran = Command::new("sh")
        .args(["-euc", &commands()])
        .current_dir(folder.path())
        .env("TOWER_API_ENDPOINT", &world.harness.stack.api_endpoint)
        .env("TOWER_ACCESS_TOKEN", &world.person("owner").token)
        .env("TOWER_WORKSPACE_ID", world.workspace.to_string())
        .env("no_proxy", "*")
        .output()
        .await
        .expect("a shell");
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && errors.is_empty(), "{}: {errors}", ran.status);

    let printed = String::from_utf8(ran.stdout).expect("text");
    let printed: Vec<Value> = serde_json::Deserializer::from_str(&printed)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|_| panic!("not a sequence of JSON answers: {printed}"));
    let [list, added, viewed, free, first, replayed, taken, stale, rejected, history, imported] =
        printed.as_slice()
    else {
        panic!("{printed:?}");
    };
    assert_eq!(*list, json!({"pipelineSecrets": [], "totalSize": 0}));
    assert_eq!(
        (&viewed["pipelineSecret"]["id"], &viewed["pipelineSecret"]["name"]),
        (&added["secretId"], &json!("NCBI_API_KEY"))
    );
    assert_eq!((free, taken, rejected), (&json!(204), &json!(204), &json!(412)));
    assert!(first["secretId"].is_i64() && first == replayed, "{first} {replayed}");
    assert!(stale["message"].as_str().is_some_and(|it| it.contains("changed after you read it")), "{stale}");
    assert_eq!((&history["totalSize"], &imported["totalSize"]), (&json!(2), &json!(2)));

    assert_eq!(world.names().await, ["DOCKER_TOKEN", "LICENSE", "SENTIEON_LICENSE"]);
    let tokens = world.caller("owner").get("/tokens").await.json();
    assert_eq!(tokens["tokens"].as_array().map(Vec::len), Some(1), "{tokens}");
}

/// The guide's blocks with curl, except those that log in: they need an identity provider.
fn commands() -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide-clients.md");
    let guide = std::fs::read_to_string(guide).expect("the guide");
    let blocks = guide.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains("curl") && !block.contains("$JWT")).collect()
}
