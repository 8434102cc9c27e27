//! Replays the HTTP exchanges of the Terraform provider `seqera`, resource
//! `seqera_pipeline_secret`, as recorded from version 0.42.0 under `tofu` 1.10.10.

use end_to_end::{Answer, ApiRequest, Caller, MARK, World};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::secrets::created;
use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![a_resource_is_created_updated_and_destroyed, drift_is_detected, errors_include_the_response_body]
}

/// The provider, which always sends a workspace.
struct Provider {
    caller: Caller,
    workspace: i64,
}

impl Provider {
    fn of(world: &World, role: &str) -> Self {
        Self { caller: world.caller(role), workspace: world.workspace }
    }

    async fn send(&self, request: ApiRequest) -> Answer {
        self.caller.send(request.header("accept", "application/json")).await
    }

    fn path(&self, id: Option<i64>) -> String {
        let id = id.map(|id| format!("/{id}")).unwrap_or_default();
        format!("/pipeline-secrets{id}?workspaceId={}", self.workspace)
    }

    /// Reads the resource like a refresh; `None` if Terraform will plan a new one.
    async fn read(&self, id: i64) -> Option<Value> {
        let answer = self.send(ApiRequest::get(self.path(Some(id)))).await;
        if answer.status == 404 {
            let _ = answer.problem(404);
            return None;
        }
        Some(answer.json()["pipelineSecret"].clone())
    }

    async fn create(&self, name: &str) -> i64 {
        let id = created(
            &self.send(ApiRequest::post(self.path(None), &json!({"name": name, "value": MARK}))).await,
        );
        assert_eq!(self.read(id).await.expect("the resource after its creation")["name"], name);
        id
    }
}

async fn a_resource_is_created_updated_and_destroyed() {
    let world = World::make(harness().await).await;
    let provider = Provider::of(&world, "admin");
    let id = provider.create("TF_LICENCE").await;
    let planned = provider.read(id).await.expect("no change");
    assert_eq!(provider.read(id).await.expect("no change"), planned);
    provider.send(ApiRequest::put(provider.path(Some(id)), &json!({"value": "new"}))).await.no_content();
    let updated = provider.read(id).await.expect("the resource after the update");
    assert_eq!((&updated["id"], &updated["name"]), (&planned["id"], &planned["name"]));
    // `terraform import` starts with only an id.
    assert_eq!(Provider::of(&world, "owner").read(id).await.expect("imported"), updated);
    provider.read(id).await.expect("still there");
    provider.send(ApiRequest::delete(provider.path(Some(id)))).await.no_content();
    assert_eq!(provider.read(id).await, None);
}

async fn drift_is_detected() {
    let world = World::make(harness().await).await;
    let provider = Provider::of(&world, "owner");
    let id = provider.create("TF_DRIFT").await;
    world.caller("admin").delete(world.inside(&format!("/pipeline-secrets/{id}"))).await.no_content();
    assert_eq!(provider.read(id).await, None, "a new resource is planned");
    let second = provider.create("TF_DRIFT").await;
    assert_ne!(second, id);
    // Replaced outside Terraform by a secret of the same name.
    world.caller("admin").delete(world.inside(&format!("/pipeline-secrets/{second}"))).await.no_content();
    world.secret("TF_DRIFT", "another").await;
    assert_eq!(provider.read(second).await, None);
    let taken = provider
        .send(ApiRequest::post(provider.path(None), &json!({"name": "TF_DRIFT", "value": MARK})))
        .await;
    assert!(taken.problem(409).contains("already exists"));
}

async fn errors_include_the_response_body() {
    let world = World::make(harness().await).await;
    let body = json!({"name": "TF_REFUSED", "value": MARK});
    let viewer = Provider::of(&world, "view");
    assert!(viewer.send(ApiRequest::post(viewer.path(None), &body)).await.problem(403).contains("role"));
    let anonymous =
        Provider { caller: Caller::with_authorization(&world.harness, None), workspace: world.workspace };
    let _ = anonymous.send(ApiRequest::post(anonymous.path(None), &body)).await.problem(401);
    // The provider retries after 429, 502, 503 or 504, so a creation can arrive twice without a
    // key.
    let owner = Provider::of(&world, "owner");
    created(&owner.send(ApiRequest::post(owner.path(None), &body)).await);
    assert!(
        owner.send(ApiRequest::post(owner.path(None), &body)).await.problem(409).contains("already exists")
    );
}
