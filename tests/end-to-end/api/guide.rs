//! The guide for clients does what it says: its commands, as they stand there, with the real curl.

use std::path::Path;
use std::process::Stdio;

use end_to_end::World;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![its_commands_do_what_it_says]
}

const NEEDED: [&str; 3] = ["curl", "jq", "openssl"];

async fn its_commands_do_what_it_says() {
    for program in NEEDED {
        let found =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.await.is_err() {
            assert!(std::env::var_os("CI").is_none(), "nothing may be skipped here: there is no {program}");
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
        .unwrap_or_else(|_| panic!("{printed} is no row of answers"));
    let [list, added, viewed, free, first, again, taken, stale, refused, history, imported] =
        printed.as_slice()
    else {
        panic!("{printed:?}");
    };
    assert_eq!(*list, json!({"pipelineSecrets": [], "totalSize": 0}));
    assert_eq!(
        (&viewed["pipelineSecret"]["id"], &viewed["pipelineSecret"]["name"]),
        (&added["secretId"], &json!("NCBI_API_KEY"))
    );
    assert_eq!((free, taken, refused), (&json!(204), &json!(204), &json!(412)));
    assert!(first["secretId"].is_i64() && first == again, "{first} {again}");
    assert!(stale["message"].as_str().is_some_and(|it| it.contains("changed since")), "{stale}");
    assert_eq!((&history["totalSize"], &imported["totalSize"]), (&json!(2), &json!(2)));

    assert_eq!(world.names().await, ["DOCKER_TOKEN", "LICENCE", "SENTIEON_LICENSE"]);
    let tokens = world.caller("owner").get("/tokens").await.json();
    assert_eq!(tokens["tokens"].as_array().map(Vec::len), Some(1), "{tokens}");
}

/// The guide's blocks with curl, but for those of a login, which an issuer of tokens would have to be there for.
fn commands() -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide-clients.md");
    let guide = std::fs::read_to_string(guide).expect("the guide");
    let blocks = guide.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains("curl") && !block.contains("$JWT")).collect()
}
