//! What a function is asked in a measurement, from which state on, and what a right answer is.

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
    /// The function.
    pub(crate) function: &'static str,
    /// What it is asked, for tables.
    pub(crate) asked: &'static str,
    /// The account before it.
    pub(crate) from: Snapshot,
    /// The event of the first call, and those of later ones: different ones where the same would be refused.
    events: Vec<Value>,
    right: Right,
}

/// What a right answer is.
#[derive(Clone, Copy)]
enum Right {
    /// The authorizer lets the caller in.
    Authorized,
    /// The user's name.
    Named,
    /// The one secret is listed.
    Listed,
    /// The secret is stored, and its row opens to the value.
    Created,
    /// A run that is pending.
    Launched,
    /// The value.
    Claimed,
    /// The run is alive.
    Alive,
    /// A sweep that found nothing to do: nothing.
    Nothing,
}

/// The secret that is stored.
const NAME: &str = "NCBI_API_KEY";
const VALUE: &str = "a value of some length, as licence keys have it: 0123456789abcdef";

impl Scenario {
    /// One for each of our functions.
    ///
    /// `warm` is how many warm calls there will be.
    pub(crate) async fn all(fixture: &Fixture, warm: usize) -> Result<Vec<Self>> {
        let people = fixture.people.clone();
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
        let scenario = |function, asked, from: &Snapshot, events, right| Self {
            function,
            asked,
            from: from.clone(),
            events,
            right,
        };
        let sweep = json!({ "source": "pipeline-secrets.sweep" });
        Ok(vec![
            scenario(
                "authorizer",
                "a personal access token",
                &people,
                vec![fixture.authorize()],
                Right::Authorized,
            ),
            scenario("identity", "GET /user-info", &people, vec![fixture.who()], Right::Named),
            scenario("read-secrets", "a list of one", &one, vec![fixture.list()], Right::Listed),
            scenario("write-secrets", "a create", &people, creates, Right::Created),
            scenario(
                "launch-run",
                "a launch with one",
                &one,
                vec![fixture.launch("aws-batch", "bundle")],
                Right::Launched,
            ),
            scenario("claim-run", "a claim of one", &with_slurm, claims, Right::Claimed),
            scenario("report-run", "a heartbeat", &with_batch, vec![fixture.heartbeat(&batch)], Right::Alive),
            scenario("cleanup-run", "a sweep of nothing", &with_batch, vec![sweep], Right::Nothing),
        ])
    }

    /// The event of the call with this number; the first has 0.
    pub(crate) fn event(&self, call: usize) -> &Value {
        &self.events[call % self.events.len()]
    }

    /// Checks an answer of this contender and, after the first call, what it left in the account.
    pub(crate) fn check(
        &self,
        fixture: &Fixture,
        contender: &str,
        call: usize,
        answer: &Value,
    ) -> Result<()> {
        let bad = |what: &str| Err(wrong(contender, what));
        match self.right {
            Right::Authorized if answer["isAuthorized"] == true => return Ok(()),
            Right::Authorized => return bad("it does not let the caller in"),
            Right::Nothing if answer.is_null() => return Ok(()),
            Right::Nothing => return bad("a sweep answers nothing"),
            _ => {}
        }
        let body = expect(contender, answer, 200)?;
        match self.right {
            Right::Named if body["user"]["userName"] == "olivia" => Ok(()),
            Right::Listed if body["totalSize"] == 1 && body["pipelineSecrets"][0]["name"] == "SECRET_0" => {
                Ok(())
            }
            Right::Created if call > 0 && body["secretId"].is_i64() => Ok(()),
            Right::Created => opens(fixture, contender, &body),
            Right::Launched if call > 0 && body["state"] == "pending" => Ok(()),
            Right::Launched if body["state"] == "pending" => {
                match fixture.aws.with(|aws| aws.services.target.secrets.len()) {
                    1 => Ok(()),
                    copies => bad(&format!("a launch left {copies} copies, not one")),
                }
            }
            Right::Claimed if body[0]["value"] == "x".repeat(64) => Ok(()),
            Right::Alive if body["state"] == "running" => Ok(()),
            _ => bad("its body is another one"),
        }
    }
}

/// The stored envelope opens under our own code to the value that was sent.
fn opens(fixture: &Fixture, contender: &str, body: &Value) -> Result<()> {
    let bad = |what: &str| wrong(contender, what);
    let id = body["secretId"].as_i64().and_then(SecretId::new).ok_or_else(|| bad("it gives no secretId"))?;
    let scope = format!("WS#{}", fixture.workspace);
    let rows = fixture.aws.with(|aws| aws.services.database.rows());
    let secrets = format!("SECRETS#{scope}");
    let row = |kind: &str| {
        rows.iter().find(|row| row["pk"]["S"] == *secrets && row["sk"]["S"] == *format!("{kind}#{id}"))
    };
    let named = row("SECRET").and_then(|row| row["name"]["S"].as_str());
    if named != Some(NAME) {
        return Err(bad("the secret's row is not there"));
    }
    let envelope = row("VALUE").and_then(|row| STANDARD.decode(row["envelope"]["B"].as_str()?).ok());
    let envelope = envelope.ok_or_else(|| bad("the value's row is not there"))?;
    let envelope = Envelope::parse(&envelope).map_err(|_| bad("what it sealed is no envelope"))?;
    let context = EncryptionContext {
        deployment: DEPLOYMENT.to_owned(),
        owner: scope.parse().map_err(|_| bad("the scope is none"))?,
        secret: id,
        name: SecretName::parse(NAME).map_err(|_| bad("the name is none"))?,
        version: 1,
    };
    let asked = json!({
        "KeyId": KEY, "CiphertextBlob": STANDARD.encode(envelope.encrypted_key()), "EncryptionContext": context.pairs(),
    });
    let (_, key) = fixture.aws.with(|aws| aws.services.answer("Decrypt", &asked));
    let key = key["Plaintext"].as_str().and_then(|text| STANDARD.decode(text).ok());
    let key = key
        .and_then(|key| PlainDataKey::new(&key))
        .ok_or_else(|| bad("its data key is bound to something else"))?;
    let value = envelope.open(&context, &key).map_err(|_| bad("what it sealed does not open"))?;
    match value.expose() == VALUE {
        true => Ok(()),
        false => Err(bad("what it sealed opens to another value")),
    }
}
