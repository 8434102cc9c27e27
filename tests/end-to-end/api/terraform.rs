//! The Terraform provider `seqera`, resource `seqera_pipeline_secret`, exchange by exchange, as version 0.42.0 was seen
//! to speak under `tofu` 1.10.10.

use end_to_end::{Answer, Ask, Caller, MARK, World};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::secrets::created;
use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_resource_lives_from_creation_to_destruction,
        what_others_did_is_found_out,
        errors_are_shown_with_their_body
    ]
}

/// The provider: always with a workspace.
struct Provider {
    caller: Caller,
    workspace: i64,
}

impl Provider {
    fn of(world: &World, role: &str) -> Self {
        Self { caller: world.caller(role), workspace: world.workspace }
    }

    async fn send(&self, ask: Ask) -> Answer {
        self.caller.ask(ask.header("accept", "application/json")).await
    }

    fn path(&self, id: Option<i64>) -> String {
        let id = id.map(|id| format!("/{id}")).unwrap_or_default();
        format!("/pipeline-secrets{id}?workspaceId={}", self.workspace)
    }

    /// The resource as a refresh reads it; `None` where it is to be planned anew.
    async fn read(&self, id: i64) -> Option<Value> {
        let answer = self.send(Ask::get(self.path(Some(id)))).await;
        if answer.status == 404 {
            let _ = answer.problem(404);
            return None;
        }
        Some(answer.json()["pipelineSecret"].clone())
    }

    async fn create(&self, name: &str) -> i64 {
        let id = created(&self.send(Ask::post(self.path(None), &json!({"name": name, "value": MARK}))).await);
        assert_eq!(self.read(id).await.expect("read after it was created")["name"], name);
        id
    }
}

async fn a_resource_lives_from_creation_to_destruction() {
    let world = World::make(harness().await).await;
    let provider = Provider::of(&world, "admin");
    let id = provider.create("TF_LICENCE").await;
    let planned = provider.read(id).await.expect("no change");
    assert_eq!(provider.read(id).await.expect("no change"), planned);
    provider.send(Ask::put(provider.path(Some(id)), &json!({"value": "new"}))).await.no_content();
    let updated = provider.read(id).await.expect("read after the change");
    assert_eq!((&updated["id"], &updated["name"]), (&planned["id"], &planned["name"]));
    // `terraform import` begins with an id alone.
    assert_eq!(Provider::of(&world, "owner").read(id).await.expect("imported"), updated);
    provider.read(id).await.expect("still there");
    provider.send(Ask::delete(provider.path(Some(id)))).await.no_content();
    assert_eq!(provider.read(id).await, None);
}

async fn what_others_did_is_found_out() {
    let world = World::make(harness().await).await;
    let provider = Provider::of(&world, "owner");
    let id = provider.create("TF_DRIFT").await;
    world.caller("admin").delete(world.inside(&format!("/pipeline-secrets/{id}"))).await.no_content();
    assert_eq!(provider.read(id).await, None, "planned anew");
    let anew = provider.create("TF_DRIFT").await;
    assert_ne!(anew, id);
    // Replaced behind its back by one of the same name.
    world.caller("admin").delete(world.inside(&format!("/pipeline-secrets/{anew}"))).await.no_content();
    world.secret("TF_DRIFT", "another").await;
    assert_eq!(provider.read(anew).await, None);
    let taken =
        provider.send(Ask::post(provider.path(None), &json!({"name": "TF_DRIFT", "value": MARK}))).await;
    assert!(taken.problem(409).contains("already exists"));
}

async fn errors_are_shown_with_their_body() {
    let world = World::make(harness().await).await;
    let body = json!({"name": "TF_REFUSED", "value": MARK});
    let viewer = Provider::of(&world, "view");
    assert!(viewer.send(Ask::post(viewer.path(None), &body)).await.problem(403).contains("role"));
    let nobody = Provider { caller: Caller::presenting(&world.harness, None), workspace: world.workspace };
    let _ = nobody.send(Ask::post(nobody.path(None), &body)).await.problem(401);
    // It repeats what is answered 429, 502, 503 or 504, so a creation may come twice, without a key.
    let owner = Provider::of(&world, "owner");
    created(&owner.send(Ask::post(owner.path(None), &body)).await);
    assert!(owner.send(Ask::post(owner.path(None), &body)).await.problem(409).contains("already exists"));
}
