//! Exercises each function in a few invocations that use each of its rights. If an exercise fails
//! without a right, the function needs that right. If a function continues without a right, its log
//! or the table shows the difference.

use aws_sdk_dynamodb::types::AttributeValue;
use local::JobStatus;
use local::platform::Platform;
use serde_json::{Value, json};

use crate::rights::harness::{Call, Harness, World};
use crate::rights::{Outcome, ensure};
use http_api::Operation;
use support::oidc::{Issuer, Key};

/// The stack and the users of the exercises.
pub struct Exercises<'a> {
    /// The stack, deployed with the issuer of logins.
    pub harness: &'a Harness,
    /// The issuer of logins and its key.
    pub issuer: (&'a Issuer, &'a Key),
    /// A workspace with its users.
    pub world: &'a World,
    counter: std::cell::Cell<u32>,
}

impl<'a> Exercises<'a> {
    /// Creates the exercises.
    #[must_use]
    pub fn new(harness: &'a Harness, issuer: (&'a Issuer, &'a Key), world: &'a World) -> Self {
        Self { harness, issuer, world, counter: std::cell::Cell::new(0) }
    }

    /// Returns a new number.
    fn fresh(&self) -> u32 {
        self.counter.set(self.counter.get() + 1);
        self.counter.get()
    }

    /// Exercises a function, and returns an error if any result is wrong. On a busy machine, calls
    /// to the emulator occasionally time out, which says nothing about rights: these are retried.
    pub async fn exercise(&self, function: &str) -> Outcome {
        let mut outcome = self.once(function).await;
        for _ in 0..2 {
            match &outcome {
                Err(error) if error.to_string().contains("unavailable") => {
                    outcome = self.once(function).await;
                }
                _ => break,
            }
        }
        outcome
    }

    async fn once(&self, function: &str) -> Outcome {
        match function {
            "authorizer" => self.authorizer().await,
            "identity" => self.identity().await,
            "read-secrets" => self.read_secrets().await,
            "write-secrets" => self.write_secrets().await,
            "launch-run" => self.launch_run().await,
            "claim-run" => self.claim_run().await,
            "report-run" => self.report_run().await,
            "console" => self.console().await,
            _ => self.cleanup_run().await,
        }
    }

    /// Returns the authorizer's context for this token.
    async fn authorize(&self, token: &str) -> Outcome<Value> {
        let event =
            json!({"version": "2.0", "type": "REQUEST", "identitySource": [format!("Bearer {token}")]});
        let invoked = self.harness.invoke("authorizer", &event).await?;
        ensure(!invoked.failed, || format!("the authorizer failed: {}", invoked.answer))?;
        ensure(invoked.answer["isAuthorized"] == true, || "the authorizer rejected the token".into())?;
        Ok(invoked.answer["context"].clone())
    }

    /// A token whose use is recorded, and a login without a user.
    async fn authorizer(&self) -> Outcome {
        let (world, harness) = (self.world, self.harness);
        let id = token_id(&world.token)?;
        let (pk, sk) = (format!("TOKEN#{id}"), "TOKEN");
        harness.clear(&pk, sk, "lastUsed").await?;
        let context = self.authorize(&world.token).await?;
        ensure(context["userId"].as_str() == Some(&world.owner.to_string()), || {
            format!("another user: {context}")
        })?;
        let row = harness.row(&pk, sk).await?.ok_or("the token's row is missing")?;
        ensure(row.contains_key("lastUsed"), || "the use of the token was not recorded".into())?;
        let (issuer, key) = self.issuer;
        let subject = format!("subject-{}", self.fresh());
        let mut claims = issuer.claims(&subject);
        claims["email"] = json!(format!("{subject}@issuer.example.org"));
        claims["email_verified"] = json!(true);
        // Long enough for a slow emulator.
        claims["exp"] = json!(claims["iat"].as_u64().unwrap_or_default() + 600);
        let context = self.authorize(&key.token(&claims)).await?;
        ensure(context["subject"] == subject && context["userId"].is_null(), || format!("{context}"))
    }

    /// `apply`, then every operation of users.
    async fn identity(&self) -> Outcome {
        let (harness, name) = (self.harness, format!("identity-{}", self.fresh()));
        let world = World::make(harness, &name).await?;
        let organization = json!({"name": format!("org-{name}"), "workspaces": [{"name": "genomics"}]});
        harness.apply(&json!({"organizations": [organization]})).await?;
        let by = |operation| Call::new(operation).by(world.owner);
        let inside =
            |operation| by(operation).path("orgId", &world.org).path("workspaceId", &world.workspace);
        harness.done(&by(Operation::DescribeUser)).await?;
        let login = Call::new(Operation::DescribeUser).by_new_login("https://issuer.example.org", &name);
        let first = harness.done(&login).await?["user"]["id"].clone();
        ensure(harness.done(&login).await?["user"]["id"] == first, || "two users for one login".into())?;
        harness.done(&by(Operation::ListUserWorkspaces).path("userId", &world.owner)).await?;
        let created = harness.done(&by(Operation::CreateToken).body(&json!({"name": "second"}))).await?;
        let listed = harness.done(&by(Operation::ListTokens)).await?;
        ensure(listed["tokens"].as_array().is_some_and(|tokens| tokens.len() == 2), || format!("{listed}"))?;
        let token = created["token"]["id"].as_i64().ok_or_else(|| format!("no token id: {created}"))?;
        harness.done(&by(Operation::DeleteToken).path("tokenId", &token)).await?;
        let listed = harness.invoke("identity", &json!({"list": {"limit": 1}})).await?;
        ensure(!listed.failed && listed.answer["users"][0].is_object(), || format!("{}", listed.answer))?;
        for disabled in [true, false] {
            let user = format!("{name}-disabled");
            let email = format!("{user}@example.org");
            harness.apply(&json!({"users": [{"userName": user, "email": email}]})).await?;
            let user = json!({"userName": user, "email": email, "disabled": disabled});
            harness.apply(&json!({"users": [user]})).await?;
        }
        let user = format!("{name}-disabled");
        let user = json!({"userName": user, "email": format!("{user}@example.org"), "removed": true});
        harness.apply(&json!({"users": [user]})).await?;
        let platforms = json!({"platforms": ["aws-batch"]});
        harness.done(&inside(Operation::UpdateWorkspacePlatforms).body(&platforms)).await?;
        let role = json!({"role": "view"});
        let update = inside(Operation::UpdateParticipantRole).path("participantId", &world.member);
        harness.done(&update.body(&role)).await?;
        let remove = inside(Operation::DeleteParticipant).path("participantId", &world.member);
        harness.done(&remove).await?;
        let listed = harness.done(&inside(Operation::ListParticipants)).await?;
        ensure(listed["totalSize"] == 1, || format!("{listed}"))?;
        self.environments(&world).await?;
        self.expiry(&world, &name).await?;
        let deleted = harness.request(&inside(Operation::DeleteWorkspace)).await?;
        ensure(deleted.http_status() == 204, || format!("{}", deleted.answer))?;
        ensure(!deleted.log.contains("could not delete"), || "the secrets were not deleted".into())?;
        self.set_removed(&format!("WS#{}", world.workspace)).await?;
        self.set_removed(&format!("USER#{}", world.member)).await?;
        let finished = harness.invoke("identity", &json!({"finish": {}})).await?;
        ensure(!finished.failed && finished.answer["finished"].as_u64() >= Some(2), || {
            format!("finish: {}", finished.answer)
        })
    }

    /// A secret and a token that expire tomorrow, as an earlier version wrote them, are indexed and
    /// announced.
    async fn expiry(&self, world: &World, name: &str) -> Outcome {
        let harness = self.harness;
        let expires = domain::Timestamp::from_second(domain::Timestamp::now().as_second() + 86_000)?;
        let body = json!({"name": "EXPIRES", "value": "one", "expires": expires.to_string()});
        let secret = harness.done(&world.call(Operation::CreatePipelineSecret).body(&body)).await?;
        let body = json!({"name": "expires", "expires": expires.to_string()});
        let token = harness.done(&world.own(Operation::CreateToken).body(&body)).await?;
        let secret = (format!("SECRETS#WS#{}", world.workspace), format!("SECRET#{}", secret["secretId"]));
        let token = (format!("TOKEN#{}", token["token"]["id"]), "TOKEN".to_owned());
        for (pk, sk) in [&secret, &token] {
            for attribute in ["dueShard", "due"] {
                harness.clear(pk, sk, attribute).await?;
            }
        }
        let mut before = format!("olivia-{name}");
        before.pop();
        let indexed = harness.invoke("identity", &json!({"indexExpiry": {"after": before}})).await?;
        ensure(!indexed.failed && indexed.answer["error"].is_null(), || {
            format!("index: {}", indexed.answer)
        })?;
        for (pk, sk) in [&secret, &token] {
            let row = harness.row(pk, sk).await?.ok_or("a row is missing")?;
            ensure(row.contains_key("dueShard"), || format!("{pk} is not indexed"))?;
        }
        let checked = harness.invoke("identity", &json!({"announceExpiry": {}})).await?;
        let found = |what: &str| checked.answer[what].as_u64() >= Some(1);
        ensure(!checked.failed && found("secrets") && found("tokens"), || {
            format!("announceExpiry: {}", checked.answer)
        })
    }

    /// Reads, renames and deletes an environment. Its rows are written here: the service stores
    /// only one whose role it assumed.
    async fn environments(&self, world: &World) -> Outcome {
        let (harness, id) = (self.harness, format!("{:0>22}", self.fresh()));
        let pk = format!("ENVS#{}", world.workspace);
        let text = |text: &str| AttributeValue::S(text.to_owned());
        for kind in ["ENV", "CRED"] {
            for (attribute, value) in [
                ("id", text(&id)),
                ("workspace", AttributeValue::N(world.workspace.to_string())),
                ("name", text("stored")),
                ("region", text("eu-west-1")),
                ("credentials", text(&id)),
                ("config", text("{}")),
                ("role", text("arn:aws:iam::210987654321:role/pipeline-secrets-lab")),
                ("externalId", text(&"x".repeat(32))),
                ("environmentCount", AttributeValue::N("1".into())),
                ("provedAt", text("2026-11-23T10:20:30Z")),
                ("createdAt", text("2026-11-23T10:20:30Z")),
                ("createdBy", AttributeValue::N(world.owner.to_string())),
                ("updatedAt", text("2026-11-23T10:20:30Z")),
            ] {
                harness.set(&pk, &format!("{kind}#{id}"), attribute, value).await?;
            }
        }
        let call = |operation| world.call(operation).path("computeEnvId", &id);
        let listed = harness.done(&world.call(Operation::ListComputeEnvs)).await?;
        ensure(listed["computeEnvs"][0]["id"] == *id, || format!("{listed}"))?;
        harness.done(&call(Operation::DescribeComputeEnv)).await?;
        // The answer follows all reads of a creation.
        let draft = json!({"computeEnv": {"name": "another", "platform": "aws-batch",
            "credentialsId": "z".repeat(22), "config": {"region": "eu-west-1"}}});
        let refused = harness.request(&world.call(Operation::CreateComputeEnv).body(&draft)).await?;
        ensure(refused.http_status() == 422, || format!("with unknown credentials: {}", refused.answer))?;
        let renamed = json!({"name": "renamed"});
        harness.done(&call(Operation::UpdateComputeEnv).body(&renamed)).await?;
        harness.done(&call(Operation::DeleteComputeEnv)).await.map(drop)
    }

    /// Records that the owner of secrets and runs was removed long ago.
    async fn set_removed(&self, scope: &str) -> Outcome {
        let at = AttributeValue::S("2026-01-01T00:00:00Z".into());
        self.harness.set("REMOVED#SCOPES", scope, "removedAt", at).await
    }

    async fn read_secrets(&self) -> Outcome {
        let (harness, world) = (self.harness, self.world);
        let name = format!("READ_{}", self.fresh());
        let secret = world.store(harness, &name).await?;
        let run = self.launch(&no_secrets("slurm")).await?;
        for call in [
            world.call(Operation::ListPipelineSecrets),
            world.own(Operation::ListPipelineSecrets),
            world.call(Operation::ListPipelineSecrets).query("authors", "true"),
            world.call(Operation::ValidatePipelineSecretName).query("name", "NOT_TAKEN"),
            world.call(Operation::DescribePipelineSecret).path("secretId", &secret),
            world.call(Operation::ListPipelineSecretHistory).path("secretId", &secret),
            world.call(Operation::ListRuns),
            world.own(Operation::ListRuns),
            world.call(Operation::DescribeRun).path("workflowId", &text(&run, "workflowId")),
            world.call(Operation::ListAuditEvents),
            world.own(Operation::ListAuditEvents),
        ] {
            harness.done(&call).await?;
        }
        harness.done(&world.call(Operation::DeletePipelineSecret).path("secretId", &secret)).await.map(drop)
    }

    async fn write_secrets(&self) -> Outcome {
        let (harness, world, number) = (self.harness, self.world, self.fresh());
        let key = format!("an-idempotency-key-{number}");
        let body = json!({"name": format!("WRITE_{number}"), "value": "one"});
        let create =
            || world.call(Operation::CreatePipelineSecret).header("idempotency-key", &key).body(&body);
        let created = harness.done(&create()).await?;
        ensure(harness.done(&create()).await? == created, || "a retry created a second secret".into())?;
        let id = created["secretId"].as_i64().ok_or("no id")?;
        let new = json!({"value": "two"});
        harness.done(&world.call(Operation::UpdatePipelineSecret).path("secretId", &id).body(&new)).await?;
        harness.done(&world.call(Operation::DeletePipelineSecret).path("secretId", &id)).await?;
        self.pair("OWN").await?.delete(self).await
    }

    /// A launch with secrets of both scopes, repeated so that its tokens are renewed.
    async fn launch_run(&self) -> Outcome {
        let (harness, world) = (self.harness, self.world);
        let pair = self.pair("LAUNCH").await?;
        let body = pair.launch_on("aws-batch");
        harness.done(&world.call(Operation::PreviewLaunch).body(&body)).await?;
        let key = format!("an-idempotency-key-{}", self.fresh());
        let launch = world.call(Operation::LaunchRun).header("idempotency-key", &key).body(&body);
        let launched = harness.request(&launch).await?;
        ensure(launched.http_status() == 200, || format!("launch: {}", launched.answer))?;
        ensure(!launched.log.contains("could not announce"), || "no event announced the delivery".into())?;
        let replayed = harness.done(&launch).await?;
        let (run, first) = (text(&replayed, "workflowId"), launched.body());
        ensure(first["workflowId"] == run && first["runToken"] != replayed["runToken"], || {
            "the launch was not replayed".into()
        })?;
        let end = Call::new(Operation::EndRun).path("workflowId", &run).bearer(&replayed["runToken"]);
        harness.done(&end.body(&json!({"success": true}))).await?;
        let own = world.own(Operation::LaunchRun).body(&no_secrets("slurm"));
        let (own, run) = (harness.done(&own).await?, Operation::EndRun);
        let end = Call::new(run).path("workflowId", &text(&own, "workflowId")).bearer(&own["runToken"]);
        harness.done(&end.body(&json!({"success": true}))).await?;
        self.launch_with_many_copies().await?;
        let mut elsewhere = body;
        elsewhere["computeEnvId"] = json!("0".repeat(22));
        let unknown = harness.request(&world.call(Operation::LaunchRun).body(&elsewhere)).await?;
        ensure(unknown.http_status() == 422, || format!("launch in no environment: {}", unknown.answer))?;
        pair.delete(self).await
    }

    /// Launches with so many copies that their creations are reserved.
    async fn launch_with_many_copies(&self) -> Outcome {
        let (one, other) = (self.pair("MANY").await?, self.pair("MANY").await?);
        let mut body = one.launch_on("aws-batch");
        body["layout"] = json!("per-name");
        for (kind, name) in ["workspaceSecrets", "userSecrets"].into_iter().zip(&other.names) {
            body[kind].as_array_mut().ok_or("no list")?.push(json!(name));
        }
        let launched = self.harness.request(&self.world.call(Operation::LaunchRun).body(&body)).await?;
        ensure(launched.http_status() == 200, || format!("launch: {}", launched.answer))?;
        ensure(!launched.log.contains("could not reserve"), || "no creations were reserved".into())?;
        let run = launched.body();
        let end = Call::new(Operation::EndRun).path("workflowId", &text(&run, "workflowId"));
        self.harness.done(&end.bearer(&run["runToken"]).body(&json!({"success": true}))).await?;
        one.delete(self).await?;
        other.delete(self).await
    }

    async fn claim_run(&self) -> Outcome {
        let pair = self.pair("CLAIM").await?;
        let run = self.launch(&pair.launch_on("slurm")).await?;
        let claim = Call::new(Operation::ClaimRun).path("workflowId", &text(&run, "workflowId"));
        let claimed = self.harness.request(&claim.bearer(&run["claimToken"])).await?;
        ensure(claimed.http_status() == 200, || format!("claim: {}", claimed.http_status()))?;
        ensure(!claimed.log.contains("could not announce"), || "no event announced the delivery".into())?;
        let own = self.world.own(Operation::LaunchRun).body(&no_secrets("slurm"));
        let run = self.harness.done(&own).await?;
        let claim = Call::new(Operation::ClaimRun).path("workflowId", &text(&run, "workflowId"));
        self.harness.done(&claim.bearer(&run["claimToken"])).await?;
        pair.delete(self).await
    }

    async fn report_run(&self) -> Outcome {
        let harness = self.harness;
        let run = self.launch(&no_secrets("aws-batch")).await?;
        let id = text(&run, "workflowId");
        let call = |operation| Call::new(operation).path("workflowId", &id).bearer(&run["runToken"]);
        harness.done(&call(Operation::RenewLease)).await?;
        let job = Platform::new(&harness.stack).await.start_head_job(id).await?;
        let recorded =
            harness.request(&call(Operation::RecordHeadJob).body(&Platform::head_job(&job))).await?;
        ensure(recorded.http_status() == 200, || format!("head-job: {}", recorded.answer))?;
        ensure(!recorded.log.contains("could not announce"), || "no event announced the head job".into())?;
        harness.stack.move_job(&job, JobStatus::Succeeded).await?;
        let end = call(Operation::EndRun).body(&json!({"success": true}));
        harness.done(&end).await?;
        let run = self.launch(&no_secrets("slurm")).await?;
        let cancel = self.world.call(Operation::CancelRun).path("workflowId", &text(&run, "workflowId"));
        harness.done(&cancel).await.map(drop)
    }

    /// The page.
    async fn console(&self) -> Outcome {
        let page = self.harness.invoke("console", &json!({"version": "2.0", "headers": {}})).await?;
        ensure(page.http_status() == 200, || format!("console: {}", page.http_status()))
    }

    /// An event of each kind, and a sweep.
    async fn cleanup_run(&self) -> Outcome {
        let harness = self.harness;
        let pair = self.pair("CLEANUP").await?;
        let run = self.launch(&pair.launch_on("aws-batch")).await?;
        let id = text(&run, "workflowId");
        let event = |kind: &str| json!({"source": "pipeline-secrets", "detail-type": kind, "detail": {"workflowId": id}});
        self.clean(&event("Run Delivered")).await?;
        let job = Platform::new(&harness.stack).await.start_head_job(id).await?;
        let record = Call::new(Operation::RecordHeadJob).path("workflowId", &id).bearer(&run["runToken"]);
        harness.done(&record.body(&Platform::head_job(&job))).await?;
        harness.stack.move_job_silently(&job, JobStatus::Succeeded).await?;
        let ended = json!({"source": "aws.batch", "account": local::ACCOUNT, "region": local::REGION, "detail": {"jobId": job}});
        self.clean(&ended).await?;
        let row = harness.row(&format!("RUN#{id}"), "RUN").await?.ok_or("the run's row is missing")?;
        ensure(row["state"].as_s().is_ok_and(|state| state == "ended"), || "the run did not end".into())?;
        self.end_of_removed().await?;
        pair.delete(self).await
    }

    /// A sweep that ends the runs of a deleted workspace and of a removed user.
    async fn end_of_removed(&self) -> Outcome {
        let harness = self.harness;
        let world = World::make(harness, &format!("cleanup-{}", self.fresh())).await?;
        let run = world.launch(harness, "slurm").await?;
        let own = world.own(Operation::LaunchRun).body(&no_secrets("slurm"));
        let own = harness.done(&own).await?;
        self.set_removed(&format!("WS#{}", world.workspace)).await?;
        self.set_removed(&format!("USER#{}", world.owner)).await?;
        self.clean(&json!({"source": "pipeline-secrets.sweep"})).await?;
        for run in [run, own] {
            let row = harness.row(&format!("RUN#{}", text(&run, "workflowId")), "RUN").await?;
            let row = row.ok_or("the run's row is missing")?;
            ensure(row["state"].as_s().is_ok_and(|state| state == "ended"), || "a run did not end".into())?;
        }
        Ok(())
    }

    /// Invokes cleanup-run with an event.
    pub async fn clean(&self, event: &Value) -> Outcome {
        let invoked = self.harness.invoke("cleanup-run", event).await?;
        ensure(!invoked.failed, || format!("cleanup-run: {}", invoked.answer))
    }

    async fn launch(&self, request: &Value) -> Outcome<Value> {
        self.harness.done(&self.world.call(Operation::LaunchRun).body(request)).await
    }

    /// Stores a workspace secret and a user secret of the owner.
    async fn pair(&self, kind: &str) -> Outcome<Pair> {
        let number = self.fresh();
        let names = [format!("{kind}_{number}"), format!("OWN_{kind}_{number}")];
        let workspace = self.world.store(self.harness, &names[0]).await?;
        let body = json!({"name": names[1], "value": "one"});
        let user = self.harness.done(&self.world.own(Operation::CreatePipelineSecret).body(&body)).await?;
        let user = user["secretId"].as_i64().ok_or("no id")?;
        Ok(Pair { workspace, user, names })
    }
}

/// A secret of each scope.
struct Pair {
    workspace: i64,
    user: i64,
    names: [String; 2],
}

impl Pair {
    /// A launch with only these two secrets: failed exercises leave others behind.
    fn launch_on(&self, platform: &str) -> Value {
        json!({"platform": platform, "workspaceSecrets": [self.names[0]], "userSecrets": [self.names[1]]})
    }

    async fn delete(&self, exercises: &Exercises<'_>) -> Outcome {
        let (harness, delete) = (exercises.harness, Operation::DeletePipelineSecret);
        harness.done(&exercises.world.call(delete).path("secretId", &self.workspace)).await?;
        harness.done(&exercises.world.own(delete).path("secretId", &self.user)).await.map(drop)
    }
}

fn no_secrets(platform: &str) -> Value {
    json!({"platform": platform, "workspaceSecrets": [], "userSecrets": []})
}

/// Returns a text field of an answer, or an empty string.
#[must_use]
pub fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// The id in a personal access token.
fn token_id(token: &str) -> Outcome<i64> {
    let text = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, token)?;
    let text = String::from_utf8(text)?;
    let (head, _) = text.rsplit_once('.').ok_or("no signature")?;
    let head: Value = serde_json::from_str(head)?;
    head["tid"].as_i64().ok_or_else(|| "no tid".into())
}
