//! The measured requests, each with the state it starts from and the expected answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::envelope::{EncryptionContext, Envelope, PlainDataKey};
use domain::ids::SecretId;
use domain::name::SecretName;
use serde_json::{Value, json};

use crate::aws::{DEPLOYMENT, Snapshot};
use crate::error::Result;
use crate::fixture::{Fixture, KEY, expect, wrong};

/// One request to one function.
pub(crate) struct Scenario {
    pub(crate) function: &'static str,
    /// The request's name in tables.
    pub(crate) request: &'static str,
    /// The account before the request.
    pub(crate) from: Snapshot,
    /// The events of the first and later calls. They differ if a repeated one would be rejected.
    events: Vec<Value>,
    expected: Expected,
}

/// The expected answer.
#[derive(Clone, Copy)]
enum Expected {
    /// The authorizer allows the caller.
    Authorized,
    /// The answer has the user's name.
    Named,
    /// The list has the one secret.
    Listed,
    /// The secret is stored, and its envelope opens to the value.
    Created,
    /// The run is pending.
    Launched,
    /// The answer has the value.
    Claimed,
    /// The run is running.
    Alive,
    /// The sweep returns no body.
    Nothing,
}

const NAME: &str = "NCBI_API_KEY";
const VALUE: &str = "a value of some length, as licence keys have it: 0123456789abcdef";

impl Scenario {
    /// Creates one scenario for each of our functions.
    ///
    /// `warm` is the number of warm calls.
    pub(crate) async fn all(fixture: &Fixture, warm: usize) -> Result<Vec<Self>> {
        let empty = fixture.empty_workspace.clone();
        let one = fixture.secrets(1, 64).await?;
        let batch = fixture.run(&one, "aws-batch").await?;
        let with_batch = fixture.aws.snapshot();
        let mut claims = vec![fixture.claim(&fixture.run(&one, "slurm").await?)];
        let mut launcher = fixture.start(&fixture.ours("launch-run")).await?;
        for _ in 0..warm {
            claims.push(fixture.claim(&fixture.launched(&mut launcher, "slurm").await?));
        }
        let with_slurm = fixture.aws.snapshot();
        let names =
            std::iter::once(NAME.to_owned()).chain((0..warm).map(|number| format!("{NAME}_{number}")));
        let creates: Vec<_> = names.map(|name| fixture.create(&name, VALUE)).collect();
        let scenario = |function, request, from: &Snapshot, events, expected| Self {
            function,
            request,
            from: from.clone(),
            events,
            expected,
        };
        let sweep = json!({ "source": "pipeline-secrets.sweep" });
        Ok(vec![
            scenario(
                "authorizer",
                "a personal access token",
                &empty,
                vec![fixture.authorize()],
                Expected::Authorized,
            ),
            scenario("identity", "GET /user-info", &empty, vec![fixture.user_info()], Expected::Named),
            scenario("read-secrets", "a list of one", &one, vec![fixture.list()], Expected::Listed),
            scenario("write-secrets", "a create", &empty, creates, Expected::Created),
            scenario(
                "launch-run",
                "a launch with one",
                &one,
                vec![fixture.launch("aws-batch", "bundle")],
                Expected::Launched,
            ),
            scenario("claim-run", "a claim of one", &with_slurm, claims, Expected::Claimed),
            scenario(
                "report-run",
                "a heartbeat",
                &with_batch,
                vec![fixture.heartbeat(&batch)],
                Expected::Alive,
            ),
            scenario("cleanup-run", "a sweep of nothing", &with_batch, vec![sweep], Expected::Nothing),
        ])
    }

    /// The event of the call with this number, counted from 0.
    pub(crate) fn event(&self, call: usize) -> &Value {
        &self.events[call % self.events.len()]
    }

    /// Checks a contender's answer and, after the first call, the state of the account.
    pub(crate) fn check(
        &self,
        fixture: &Fixture,
        contender: &str,
        call: usize,
        answer: &Value,
    ) -> Result<()> {
        let bad = |what: &str| Err(wrong(contender, what));
        match self.expected {
            Expected::Authorized if answer["isAuthorized"] == true => return Ok(()),
            Expected::Authorized => return bad("it rejects the caller"),
            Expected::Nothing if answer.is_null() => return Ok(()),
            Expected::Nothing => return bad("a sweep must not return a body"),
            _ => {}
        }
        let body = expect(contender, answer, 200)?;
        match self.expected {
            Expected::Named if body["user"]["userName"] == "olivia" => Ok(()),
            Expected::Listed
                if body["totalSize"] == 1 && body["pipelineSecrets"][0]["name"] == "SECRET_0" =>
            {
                Ok(())
            }
            Expected::Created if call > 0 && body["secretId"].is_i64() => Ok(()),
            Expected::Created => opens(fixture, contender, &body),
            Expected::Launched if call > 0 && body["state"] == "pending" => Ok(()),
            Expected::Launched if body["state"] == "pending" => {
                match fixture.aws.with(|aws| aws.services.target.secrets.len()) {
                    1 => Ok(()),
                    copies => bad(&format!("a launch left {copies} copies, expected one")),
                }
            }
            Expected::Claimed if body[0]["value"] == "x".repeat(64) => Ok(()),
            Expected::Alive if body["state"] == "running" => Ok(()),
            _ => bad("its body differs from the expected one"),
        }
    }
}

/// Checks that our code opens the stored envelope to the value that was sent.
fn opens(fixture: &Fixture, contender: &str, body: &Value) -> Result<()> {
    let bad = |what: &str| wrong(contender, what);
    let id =
        body["secretId"].as_i64().and_then(SecretId::new).ok_or_else(|| bad("its answer has no secretId"))?;
    let scope = format!("WS#{}", fixture.workspace);
    let rows = fixture.aws.with(|aws| aws.services.database.rows());
    let secrets = format!("SECRETS#{scope}");
    let row = |kind: &str| {
        rows.iter().find(|row| row["pk"]["S"] == *secrets && row["sk"]["S"] == *format!("{kind}#{id}"))
    };
    let named = row("SECRET").and_then(|row| row["name"]["S"].as_str());
    if named != Some(NAME) {
        return Err(bad("the secret's row is missing"));
    }
    let envelope = row("VALUE").and_then(|row| STANDARD.decode(row["envelope"]["B"].as_str()?).ok());
    let envelope = envelope.ok_or_else(|| bad("the value's row is missing"))?;
    let envelope = Envelope::parse(&envelope).map_err(|_| bad("the stored value is not an envelope"))?;
    let context = EncryptionContext {
        deployment: DEPLOYMENT.to_owned(),
        owner: scope.parse().map_err(|_| bad("the scope is invalid"))?,
        secret: id,
        name: SecretName::parse(NAME).map_err(|_| bad("the name is invalid"))?,
        version: 1,
    };
    let request = json!({
        "KeyId": KEY, "CiphertextBlob": STANDARD.encode(envelope.encrypted_key()), "EncryptionContext": context.pairs(),
    });
    let (_, key) = fixture.aws.with(|aws| aws.services.answer("Decrypt", &request));
    let key = key["Plaintext"].as_str().and_then(|text| STANDARD.decode(text).ok());
    let key = key
        .and_then(|key| PlainDataKey::new(&key))
        .ok_or_else(|| bad("its data key is bound to another encryption context"))?;
    let value = envelope.open(&context, &key).map_err(|_| bad("the envelope does not open"))?;
    match value.expose() == VALUE {
        true => Ok(()),
        false => Err(bad("the envelope opens to another value")),
    }
}
