//! Attacks by a user who also has the credentials of one function. With all rights of the
//! function's role and all operations of a user, the attacker does not obtain a value, a token,
//! another identity or another workspace's run. Each attack succeeded in an earlier version or was
//! plausible.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use domain::token::{TokenHash, TokenKey};
use end_to_end::rights::exercises::text;
use end_to_end::rights::harness::{Call, Harness, World};
use end_to_end::rights::sealed::{CallResult, Sealed, call_result};
use end_to_end::rights::{Outcome, ensure};
use http_api::Operation;
use runtime::SystemRandomness;
use serde_json::{Value, json};

/// The key of an audit record that a transaction writes with its change.
const FORGED: (&str, &str) = ("AUDIT#WS#1#2026-01", "x");

const NAME: &str = "LICENCE_KEY";
const VALUE: &str = "a value"; // as `World::store` stores it

/// The victim's workspace with a secret and two runs, and the attacker's own workspace.
struct Fixture {
    harness: Harness,
    victim: World,
    secret: i64,
    /// A live run on Slurm with an unused claim token.
    unclaimed: Value,
    attacker: World,
}

type Row = HashMap<String, AttributeValue>;

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn key(pk: &str, sk: &str) -> Row {
    HashMap::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s(sk))])
}

fn hash(key: &TokenKey) -> AttributeValue {
    let hash: TokenHash = key.hash();
    s(serde_json::to_value(hash).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default())
}

impl Fixture {
    async fn start() -> Outcome<Self> {
        let harness = Harness::start(&[("SweepSchedule", "rate(7 days)")]).await?;
        let victim = World::make(&harness, "victim").await?;
        let attacker = World::make(&harness, "attacker").await?;
        let secret = victim.store(&harness, NAME).await?;
        let unclaimed = victim.launch(&harness, "slurm").await?;
        Ok(Self { harness, victim, secret, unclaimed, attacker })
    }

    fn victims_run(&self) -> String {
        format!("RUN#{}", text(&self.unclaimed, "workflowId"))
    }

    async fn role(&self, function: &str) -> Outcome<SdkConfig> {
        self.harness.role(function).await
    }

    fn table(&self) -> Outcome<&str> {
        Ok(self.harness.stack.output("TableName")?)
    }

    async fn row(&self, pk: &str, sk: &str) -> Outcome<Row> {
        let row = self.harness.row(pk, sk).await?.ok_or_else(|| format!("no row {pk} {sk}"))?;
        Ok(row.into_iter().collect())
    }

    async fn put(&self, function: &str, row: Row) -> Outcome<CallResult> {
        let client = aws_sdk_dynamodb::Client::new(&self.role(function).await?);
        Ok(call_result(client.put_item().table_name(self.table()?).set_item(Some(row)).send().await))
    }

    /// Sets an attribute, once in a separate request and once in a transaction with an audit
    /// record.
    async fn update(
        &self,
        function: &str,
        pk: &str,
        sk: &str,
        name: &str,
        value: AttributeValue,
    ) -> Outcome<[CallResult; 2]> {
        let client = aws_sdk_dynamodb::Client::new(&self.role(function).await?);
        let alone = client.update_item().table_name(self.table()?).set_key(Some(key(pk, sk)));
        let alone = alone.update_expression("SET #a = :a").expression_attribute_names("#a", name);
        let alone = call_result(alone.expression_attribute_values(":a", value.clone()).send().await);
        let update = Update::builder().table_name(self.table()?).set_key(Some(key(pk, sk)));
        let update = update.update_expression("SET #a = :a").expression_attribute_names("#a", name);
        let update = update.expression_attribute_values(":a", value).build()?;
        let put = Put::builder().table_name(self.table()?).set_item(Some(key(FORGED.0, FORGED.1))).build()?;
        let items = [
            TransactWriteItem::builder().update(update).build(),
            TransactWriteItem::builder().put(put).build(),
        ];
        let together = client.transact_write_items().set_transact_items(Some(items.into()));
        Ok([alone, call_result(together.send().await)])
    }

    async fn delete(&self, function: &str, pk: &str, sk: &str) -> Outcome<CallResult> {
        let client = aws_sdk_dynamodb::Client::new(&self.role(function).await?);
        Ok(call_result(
            client.delete_item().table_name(self.table()?).set_key(Some(key(pk, sk))).send().await,
        ))
    }

    /// Claims a run with a token, and returns the status and body.
    async fn claim(&self, run: &str, token: &str) -> Outcome<(i64, Value)> {
        let claim = Call::new(Operation::ClaimRun).path("workflowId", &run).bearer(&json!(token));
        let answer = self.harness.request(&claim).await?;
        Ok((answer.http_status(), answer.body()))
    }

    /// Returns the authorizer's answer for this token.
    async fn authorized(&self, token: &str) -> Outcome<Value> {
        let event =
            json!({"version": "2.0", "type": "REQUEST", "identitySource": [format!("Bearer {token}")]});
        Ok(self.harness.invoke("authorizer", &event).await?.answer)
    }

    /// Launches a run of the attacker. Its row is the base for a forged row.
    async fn own_run(&self, body: &Value) -> Outcome<(String, Value, Row)> {
        let launched = self.harness.done(&self.attacker.call(Operation::LaunchRun).body(body)).await?;
        let id = text(&launched, "workflowId").to_owned();
        let row = self.row(&format!("RUN#{id}"), "RUN").await?;
        Ok((id, launched, row))
    }

    fn victims_secret(&self) -> AttributeValue {
        AttributeValue::L(vec![AttributeValue::M(HashMap::from([
            ("name".to_owned(), s(NAME)),
            ("owner".to_owned(), s(format!("WS#{}", self.victim.workspace))),
            ("id".to_owned(), AttributeValue::N(self.secret.to_string())),
            ("version".to_owned(), AttributeValue::N("1".into())),
        ]))])
    }
}

/// The number of attacks and the successful ones.
#[derive(Default)]
struct Tally {
    attacks: usize,
    succeeded: Vec<String>,
}

impl Tally {
    fn denied(&mut self, what: &str, outcome: &CallResult) {
        let denied = outcome.as_ref().is_err_and(|code| code.contains("AccessDenied"));
        self.check(what, denied, &format!("{outcome:?}"));
    }

    fn check(&mut self, what: &str, holds: bool, detail: &str) {
        self.attacks += 1;
        if !holds {
            self.succeeded.push(format!("{what}: {detail}"));
        }
    }

    fn no_value(&mut self, what: &str, answer: &(i64, Value)) {
        let shown = answer.1.to_string().contains(VALUE);
        self.check(what, answer.0 != 200 && !shown, &format!("{answer:?}"));
    }
}

#[tokio::test]
async fn the_credentials_of_five_functions_give_no_value_token_identity_or_run() -> Outcome {
    let fixture = Fixture::start().await?;
    let mut tally = Tally::default();
    forged_runs(&fixture, &mut tally).await?;
    reports(&fixture, &mut tally).await?;
    clean_ups(&fixture, &mut tally).await?;
    tokens(&fixture, &mut tally).await?;
    writers(&fixture, &mut tally).await?;
    readers(&fixture, &mut tally).await?;
    audit_records(&fixture, &mut tally).await?;
    fixture.harness.stop().await?;
    println!("{} attacks, {} successes", tally.attacks, tally.succeeded.len());
    ensure(tally.succeeded.is_empty(), || tally.succeeded.join("\n"))?;
    ensure(tally.attacks >= 60, || format!("only {} attacks", tally.attacks))
}

/// A forged run that pins the victim's secret, with a claim token of the attacker.
async fn forged_runs(fixture: &Fixture, tally: &mut Tally) -> Outcome {
    let claim = TokenKey::make_claim(&SystemRandomness::default());
    for function in ["report-run", "cleanup-run", "authorizer", "write-secrets", "read-secrets"] {
        let (id, _, mut row) = fixture.own_run(&json!({"platform": "slurm"})).await?;
        row.insert("secrets".into(), fixture.victims_secret());
        row.insert("claimToken".into(), hash(&claim));
        let forged = format!("{}{}", &id[..id.len() - 1], if id.ends_with('A') { 'B' } else { 'A' });
        row.insert("pk".into(), s(format!("RUN#{forged}")));
        tally.denied(&format!("{function} puts a forged run"), &fixture.put(function, row).await?);
        let own = format!("RUN#{id}");
        for (name, value) in [("secrets", fixture.victims_secret()), ("claimToken", hash(&claim))] {
            for outcome in fixture.update(function, &own, "RUN", name, value.clone()).await? {
                tally.denied(&format!("{function} changes {name} of the attacker's run"), &outcome);
            }
        }
        for run in [&forged, &id] {
            tally.no_value(&format!("{function}: a claim"), &fixture.claim(run, claim.expose()).await?);
        }
    }
    Ok(())
}

/// `report-run` may write the lifecycle of every run.
async fn reports(fixture: &Fixture, tally: &mut Tally) -> Outcome {
    let (victims_run, token) = (fixture.victims_run(), TokenKey::make_claim(&SystemRandomness::default()));
    let id = text(&fixture.unclaimed, "workflowId");
    for name in [
        "claimToken",
        "runToken",
        "claimed",
        "secrets",
        "copies",
        "user",
        "workspace",
        "runScope",
        "notAfter",
        "platform",
    ] {
        for outcome in fixture.update("report-run", &victims_run, "RUN", name, hash(&token)).await? {
            tally.denied(&format!("report-run changes {name} of a victim's run"), &outcome);
        }
    }
    tally.no_value("a claim of the victim's run", &fixture.claim(id, token.expose()).await?);
    // A row with only the attributes that this role may write is not a valid run.
    let created = fixture.update("report-run", "RUN#ab12AAAAAAAAAA", "RUN", "state", s("pending")).await?;
    tally.check("a run is created from only its state", created[0].is_ok(), "the control failed");
    tally.no_value("a claim of it", &fixture.claim("ab12AAAAAAAAAA", token.expose()).await?);
    // A used claim token stays used in any state.
    fixture.attacker.store(&fixture.harness, "OWN_KEY").await?;
    let (own, launched, _) = fixture.own_run(&json!({"platform": "slurm"})).await?;
    let claim_token = text(&launched, "claimToken");
    let first = fixture.claim(&own, claim_token).await?;
    tally.check("the first claim", first.0 == 200, "the control failed");
    let reset = fixture.update("report-run", &format!("RUN#{own}"), "RUN", "state", s("pending")).await?;
    tally.check("the state is reset", reset[0].is_ok(), "the control failed");
    tally.no_value("a second claim", &fixture.claim(&own, claim_token).await?);
    tally.denied("report-run deletes a run", &fixture.delete("report-run", &victims_run, "RUN").await?);
    let secrets = format!("SECRETS#WS#{}", fixture.victim.workspace);
    for outcome in fixture
        .update("report-run", &secrets, &format!("SECRET#{}", fixture.secret), "lastUsed", s("x"))
        .await?
    {
        tally.denied("report-run changes a secret", &outcome);
    }
    Ok(())
}

/// `cleanup-run` may write the lifecycle of every run, and the last use of secrets.
async fn clean_ups(fixture: &Fixture, tally: &mut Tally) -> Outcome {
    let (secrets, secret) =
        (format!("SECRETS#WS#{}", fixture.victim.workspace), format!("SECRET#{}", fixture.secret));
    for (name, value) in [
        ("name", s("OTHER")),
        ("version", AttributeValue::N("9".into())),
        ("expires", s("x")),
        ("lost", AttributeValue::Bool(true)),
    ] {
        for outcome in fixture.update("cleanup-run", &secrets, &secret, name, value).await? {
            tally.denied(&format!("cleanup-run changes {name} of a secret"), &outcome);
        }
    }
    for outcome in fixture
        .update("cleanup-run", &secrets, &format!("VALUE#{}", fixture.secret), "envelope", s("x"))
        .await?
    {
        tally.denied("cleanup-run changes a sealed value", &outcome);
    }
    for name in ["platforms", "ownerCount", "name"] {
        for outcome in fixture
            .update("cleanup-run", &format!("WS#{}", fixture.victim.workspace), "META", name, s("x"))
            .await?
        {
            tally.denied(&format!("cleanup-run changes {name} of a workspace"), &outcome);
        }
    }
    // It cannot read an attribute by changing it.
    let client = aws_sdk_dynamodb::Client::new(&fixture.role("cleanup-run").await?);
    let read = client.update_item().table_name(fixture.table()?).set_key(Some(key(&secrets, &secret)));
    let read = read.update_expression("SET #a = :a").expression_attribute_names("#a", "lastUsed");
    let read = read.expression_attribute_values(":a", s("2026-01-01T00:00:00Z"));
    let read = read.return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld).send().await;
    tally.denied("cleanup-run reads a secret's row through an update", &call_result(read));
    for name in ["copies", "claimToken", "secrets", "headJob"] {
        for outcome in fixture.update("cleanup-run", &fixture.victims_run(), "RUN", name, s("x")).await? {
            tally.denied(&format!("cleanup-run changes {name} of a run"), &outcome);
        }
    }
    Ok(())
}

/// The authorizer may write the last use of tokens.
async fn tokens(fixture: &Fixture, tally: &mut Tally) -> Outcome {
    let forged = TokenKey::make_random(&SystemRandomness::default());
    for (name, value) in [
        ("user", AttributeValue::N(fixture.victim.owner.to_string())),
        ("hash", hash(&forged)),
        ("expires", s("2099-01-01T00:00:00Z")),
    ] {
        for outcome in fixture.update("authorizer", "TOKEN#7", "TOKEN", name, value).await? {
            tally.denied(&format!("the authorizer writes {name} of a token"), &outcome);
        }
    }
    let client = aws_sdk_dynamodb::Client::new(&fixture.role("authorizer").await?);
    let created = client.update_item().table_name(fixture.table()?).set_key(Some(key("TOKEN#7", "TOKEN")));
    let created = created.update_expression("SET #a = :a").expression_attribute_names("#a", "lastUsed");
    let created = created.expression_attribute_values(":a", s("2026-01-01T00:00:00Z")).send().await;
    tally.check("the authorizer creates a token's row", created.is_ok(), "the control failed");
    let token = forged.access_token(domain::ids::TokenId::new(7).ok_or("an id")?);
    let answer = fixture.authorized(&token).await?;
    tally.check("a token with only its last use", answer["isAuthorized"] != true, &answer.to_string());
    let owner = AttributeValue::N(fixture.victim.owner.to_string());
    for (pk, sk) in [
        ("LOGIN#https://issuer.example.org", "me"),
        ("LOGIN#name", "me"),
        ("USER#5", "META"),
        ("TOKEN#8", "TOKEN"),
        ("MEMBERS#1", "MEMBER#1"),
        ("AUDIT#WS#1#2026-01", "x"),
    ] {
        let mut row = key(pk, sk);
        row.insert("user".into(), owner.clone());
        tally.denied(&format!("the authorizer puts {pk}"), &fixture.put("authorizer", row).await?);
    }
    Ok(())
}

/// `write-secrets` may write secrets and idempotency records of creations.
async fn writers(fixture: &Fixture, tally: &mut Tally) -> Outcome {
    // A forged idempotency record of the attacker's launch that names the victim's run: a repeated
    // launch would get new tokens of that run.
    let body = json!({"platform": "slurm"});
    let launch = fixture
        .attacker
        .call(Operation::LaunchRun)
        .header("idempotency-key", "an-attackers-key-0001")
        .body(&body);
    let launched = fixture.harness.done(&launch).await?;
    let mut forged = None;
    for row in idempotency_rows(fixture).await? {
        if row.get("run").and_then(|run| run.as_s().ok()).map(String::as_str)
            == launched["workflowId"].as_str()
        {
            forged = Some(row);
        }
    }
    let mut forged = forged.ok_or("no idempotency record of the launch")?;
    forged.insert("run".into(), s(text(&fixture.unclaimed, "workflowId")));
    tally.denied(
        "write-secrets forges a launch's idempotency record",
        &fixture.put("write-secrets", forged.clone()).await?,
    );
    forged.insert("pk".into(), s(format!("IDEM#{}", fixture.attacker.owner)));
    let put = fixture.put("write-secrets", forged).await?;
    tally.check("write-secrets puts an idempotency record of a creation", put.is_ok(), "the control failed");
    let repeated = fixture.harness.done(&launch).await?;
    let same = repeated["workflowId"] == launched["workflowId"];
    tally.check("a repeated launch returns the victim's run", same, &repeated["workflowId"].to_string());

    // The victim's rows, copied into the attacker's workspace.
    let theirs = format!("SECRETS#WS#{}", fixture.victim.workspace);
    let ours = format!("SECRETS#WS#{}", fixture.attacker.workspace);
    for sk in [
        format!("SECRET#{}", fixture.secret),
        format!("VALUE#{}", fixture.secret),
        format!("NAME#{}", NAME.to_lowercase()),
    ] {
        let mut row = fixture.row(&theirs, &sk).await?;
        row.insert("pk".into(), s(&ours));
        // Also forge the attribute that repeats the key.
        row.insert("owner".into(), s(format!("WS#{}", fixture.victim.workspace)));
        let put = fixture.put("write-secrets", row).await?;
        tally.check("write-secrets puts a secret", put.is_ok(), "the control failed");
    }
    let stolen = json!({"platform": "slurm", "workspaceSecrets": [NAME], "userSecrets": []});
    let call = fixture.attacker.call(Operation::LaunchRun).body(&stolen);
    let launched = fixture.harness.request(&call).await?.body();
    let answer = fixture.claim(text(&launched, "workflowId"), text(&launched, "claimToken")).await?;
    tally.no_value("a claim of a copied secret", &answer);
    let batch = json!({"platform": "aws-batch", "workspaceSecrets": [NAME], "userSecrets": []});
    let launched = fixture.harness.request(&fixture.attacker.call(Operation::LaunchRun).body(&batch)).await?;
    tally.check("a launch with a copied secret", launched.http_status() >= 400, &launched.answer.to_string());
    // A name that changes a shell's behaviour, planted in the victim's workspace.
    let mut planted = fixture.row(&theirs, &format!("SECRET#{}", fixture.secret)).await?;
    planted.insert("name".into(), s("BASH_ENV"));
    planted.insert("sk".into(), s("SECRET#4242"));
    let put = fixture.put("write-secrets", planted).await?;
    tally.check("write-secrets plants a secret", put.is_ok(), "the control failed");
    for platform in ["aws-batch", "slurm"] {
        let launch = fixture.victim.call(Operation::LaunchRun).body(&json!({"platform": platform}));
        let rejected = fixture.harness.request(&launch).await?;
        let message = rejected.answer.to_string();
        let named = rejected.http_status() == 422 && message.contains("BASH_ENV");
        tally.check(&format!("a launch on {platform} with a planted name"), named, &message);
    }
    fixture.delete("write-secrets", &theirs, "SECRET#4242").await??;
    for sk in ["SECRET", "VALUE"] {
        fixture.delete("write-secrets", &ours, &format!("{sk}#{}", fixture.secret)).await??;
    }
    for (pk, sk) in [
        (format!("MEMBERS#{}", fixture.victim.workspace), format!("MEMBER#{}", fixture.attacker.owner)),
        (format!("WS#{}", fixture.victim.workspace), "META".to_owned()),
        (format!("USER#{}", fixture.attacker.owner), format!("IN#{}", fixture.victim.workspace)),
        ("TOKEN#9".to_owned(), "TOKEN".to_owned()),
        (fixture.victims_run(), "RUN".to_owned()),
    ] {
        tally
            .denied(&format!("write-secrets puts {pk}"), &fixture.put("write-secrets", key(&pk, &sk)).await?);
    }
    let audit = format!("AUDIT#WS#{}#2026-01", fixture.victim.workspace);
    for function in ["write-secrets", "report-run", "cleanup-run", "authorizer", "read-secrets"] {
        tally.denied(
            &format!("{function} deletes an audit record"),
            &fixture.delete(function, &audit, "x").await?,
        );
        for outcome in fixture.update(function, &audit, "x", "actor", s("x")).await? {
            tally.denied(&format!("{function} changes an audit record"), &outcome);
        }
    }
    Ok(())
}

/// `read-secrets` may read ciphertext and hashes, but nothing that opens them.
async fn readers(fixture: &Fixture, tally: &mut Tally) -> Outcome {
    let scope = format!("WS#{}", fixture.victim.workspace);
    let target =
        (fixture.harness.stack.output("EnvelopeKeyArn")?, fixture.table()?, fixture.harness.stack.name());
    let sealed = Sealed::of(&fixture.harness.operator, target, (&scope, fixture.secret, NAME)).await?;
    for function in ["read-secrets", "write-secrets", "report-run", "cleanup-run", "authorizer"] {
        let role = fixture.role(function).await?;
        tally.denied(&format!("{function} opens a value"), &sealed.open(&role).await);
        let copy = format!("tower-{}", text(&fixture.unclaimed, "workflowId"));
        let read = aws_sdk_secretsmanager::Client::new(&role).get_secret_value().secret_id(copy).send().await;
        tally.denied(&format!("{function} reads a copy"), &call_result(read));
    }
    let run = fixture.row(&fixture.victims_run(), "RUN").await?;
    let hash = run["claimToken"].as_s().map_err(|_| "the run has no claim token")?;
    tally
        .no_value("a claim by the hash", &fixture.claim(text(&fixture.unclaimed, "workflowId"), hash).await?);
    for (pk, sk) in [
        (format!("MEMBERS#{}", fixture.victim.workspace), "MEMBER#1"),
        ("TOKEN#9".to_owned(), "TOKEN"),
        (format!("AUDIT#{scope}#2026-01"), "x"),
    ] {
        tally.denied(&format!("read-secrets puts {pk}"), &fixture.put("read-secrets", key(&pk, sk)).await?);
    }
    Ok(())
}

/// The check against the log lines, which no other function can change, finds records that
/// `PutItem` overwrote or forged.
async fn audit_records(fixture: &Fixture, tally: &mut Tally) -> Outcome {
    let check = async || {
        let checked = fixture.harness.script("check-audit", &["--since", "2026-01-01T00:00:00Z"]).await?;
        let output =
            String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
        Outcome::Ok((checked.status.success(), output))
    };
    // The control attacks above have written these records with their changes.
    let (same, output) = check().await?;
    tally.check(
        "a record without a log line",
        !same && output.contains("a record that no function writes"),
        &output,
    );
    let client = aws_sdk_dynamodb::Client::new(&fixture.harness.operator);
    let (pk, sk) = FORGED;
    client.delete_item().table_name(fixture.table()?).set_key(Some(key(pk, sk))).send().await?;
    let (same, output) = check().await?;
    ensure(same, || format!("before any change: {output}"))?;
    let scan = client.scan().table_name(fixture.table()?).filter_expression("begins_with(pk, :audit)");
    let records =
        scan.expression_attribute_values(":audit", s("AUDIT#")).send().await?.items.unwrap_or_default();
    let created = |row: &&Row| row.get("action").is_some_and(|it| *it == s("secret.created"));
    let original = records.iter().find(created).ok_or("no record")?;
    let subject = |name: &str, value: AttributeValue| {
        let mut subject =
            original["subjects"].as_l().ok().and_then(|all| all[0].as_m().ok()).cloned().unwrap_or_default();
        subject.insert(name.to_owned(), value);
        AttributeValue::L(vec![AttributeValue::M(subject)])
    };
    let number = |text: &str| AttributeValue::N(text.to_owned());
    let changed = "was changed after it was logged";
    let forged_record = "a record that no function writes";
    // An attribute, its new value, and the finding of the check.
    let overwrites = [
        ("actor", number("1"), changed),
        ("subjects", subject("name", s("OTHER")), changed),
        ("subjects", subject("owner", s("USER#1")), changed),
        ("subjects", subject("overrides", number("7")), changed),
        ("subjects", subject("more", s("x")), forged_record),
        ("subjects", AttributeValue::L(vec![s("x")]), forged_record),
        ("person", AttributeValue::Bool(true), forged_record),
        ("id", number("77"), forged_record),
        ("ttl", number("1"), forged_record),
        ("more", s("x"), forged_record),
    ];
    for (name, value, words) in overwrites {
        for function in ["report-run", "cleanup-run", "write-secrets"] {
            let mut row = original.clone();
            row.insert(name.to_owned(), value.clone());
            let put = fixture.put(function, row).await?;
            tally.check(&format!("{function} overwrites {name}"), put.is_ok(), "the control failed");
        }
        let (same, output) = check().await?;
        tally.check(&format!("an overwritten {name}"), !same && output.contains(words), &output);
    }
    tally.check(
        "the original is restored",
        fixture.put("report-run", original.clone()).await?.is_ok(),
        "the control failed",
    );
    // Forged records, some in partitions that no query reads.
    let forged = [
        ("sk", s("0")),
        ("sk", s("2999-01-01T00:00:00.000Z#99")),
        ("pk", s("AUDIT#WS#1#2999-01")),
        ("pk", s("AUDIT#x")),
    ];
    for (name, value) in forged {
        let mut row = original.clone();
        row.insert(name.to_owned(), value);
        let (pk, sk) = (row["pk"].clone(), row["sk"].clone());
        tally.check(
            "a record is forged",
            fixture.put("cleanup-run", row).await?.is_ok(),
            "the control failed",
        );
        let (same, output) = check().await?;
        tally.check(&format!("a forged record, {sk:?}"), !same && output.contains(forged_record), &output);
        let key = HashMap::from([("pk".to_owned(), pk), ("sk".to_owned(), sk)]);
        client.delete_item().table_name(fixture.table()?).set_key(Some(key)).send().await?;
    }
    let (same, output) = check().await?;
    tally.check("the original table", same, &output);
    let key =
        HashMap::from([("pk".to_owned(), original["pk"].clone()), ("sk".to_owned(), original["sk"].clone())]);
    client.delete_item().table_name(fixture.table()?).set_key(Some(key)).send().await?;
    let (same, output) = check().await?;
    tally.check("a removed record", !same && output.contains("is not in the table"), &output);
    Ok(())
}

/// Reads the idempotency records of the attacker's launches.
async fn idempotency_rows(fixture: &Fixture) -> Outcome<Vec<Row>> {
    let client = aws_sdk_dynamodb::Client::new(&fixture.harness.operator);
    let query = client.query().table_name(fixture.table()?).key_condition_expression("pk = :pk");
    let query = query.expression_attribute_values(":pk", s(format!("LAUNCH#{}", fixture.attacker.owner)));
    Ok(query.send().await?.items.unwrap_or_default())
}
