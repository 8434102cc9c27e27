//! The authorizer with the real store on an in-memory table.

use std::rc::Rc;
use std::time::Duration;

use authorizer::Handler;
use authorizer::oidc::Jwts;
use domain::identity::{Login, VerifiedLogin};
use domain::issuer::Issuers;
use domain::settings::Settings;
use domain::use_cases::identity::apply::{Applied, apply};
use domain::use_cases::identity::document::Document;
use domain::use_cases::register_login::register_login;
use domain::{Context, Result, Timestamp};
use runtime::{Deadline, SystemRandomness};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use store_dynamodb::Store;
use support::Table;
use support::oidc::entry;

pub(crate) struct Harness {
    pub(crate) table: Table,
    pub(crate) store: Store,
    pub(crate) handler: Handler,
    pub(crate) randomness: SystemRandomness,
    pub(crate) settings: Settings,
}

impl Harness {
    /// Starts with this issuer, or without one if `issuer` is empty.
    pub(crate) async fn start(issuer: &str) -> Self {
        // Nothing listens at this address: tests without an issuer fetch no keys.
        let issuer = if issuer.is_empty() { "http://127.0.0.1:9" } else { issuer };
        Self::with(&[entry(issuer, &json!({}))]).await
    }

    /// Starts with these entries of `OIDC_ISSUERS`.
    pub(crate) async fn with(issuers: &[Value]) -> Self {
        let table = Table::start().await;
        let store = Store::new(table.client.clone(), table.name.clone());
        let jwts = Jwts::new(&Issuers::parse(&json!(issuers).to_string()).unwrap()).unwrap();
        let handler = Handler { store: Rc::new(store.clone()), jwts: Rc::new(jwts) };
        let (randomness, settings) = (SystemRandomness::default(), Settings::new("test"));
        Self { table, store, handler, randomness, settings }
    }

    pub(crate) async fn apply(&self, document: &Value) -> Applied {
        let document = Document::parse(document).unwrap();
        apply(&self.store, &document, &self.context(Timestamp::now(), &deadline())).await.unwrap()
    }

    /// Returns the context of use cases.
    pub(crate) fn context<'a>(&'a self, now: Timestamp, deadline: &'a Deadline) -> Context<'a> {
        Context { now, randomness: &self.randomness, backoff: deadline, settings: &self.settings }
    }

    /// Returns the answer to this `Authorization` header.
    pub(crate) async fn answer(&self, header: &str) -> Result<Value> {
        self.send(&event(header)).await
    }

    pub(crate) async fn send(&self, event: &Value) -> Result<Value> {
        let answer = self
            .handler
            .handle(&to_raw_value(event).unwrap(), &self.context(Timestamp::now(), &deadline()))
            .await?;
        Ok(serde_json::from_str(answer.get()).unwrap())
    }

    /// Returns the user ID that the header authorizes, or `None` if it is refused. Registers a new
    /// login, as `identity` does.
    pub(crate) async fn user(&self, header: &str) -> Option<String> {
        let answer = self.answer(header).await.unwrap();
        if answer == json!({ "isAuthorized": false }) {
            return None;
        }
        assert_eq!(answer["isAuthorized"], true);
        let text = |name: &str| answer["context"][name].as_str().map(str::to_owned);
        if let Some(user) = text("userId") {
            return Some(user);
        }
        let login = Login { issuer: text("issuer").unwrap(), subject: text("subject").unwrap() };
        let sign_up = text("signUp").unwrap() == "true";
        let verified = VerifiedLogin { login, verified_email: text("email"), sign_up };
        let deadline = deadline();
        let context = &self.context(Timestamp::now(), &deadline);
        let actor = register_login(&self.store, &verified, context).await.unwrap();
        Some(actor.user.to_string())
    }

    pub(crate) async fn users(&self) -> usize {
        self.table
            .rows()
            .await
            .iter()
            .filter(|row| text(row, "pk").starts_with("USER#") && text(row, "sk") == "META")
            .count()
    }
}

pub(crate) fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

pub(crate) fn text(
    row: &std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>,
    name: &str,
) -> String {
    row.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

pub(crate) fn event(header: &str) -> Value {
    json!({
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": "arn:aws:execute-api:eu-west-1:123456789012:abc/$default/GET/pipeline-secrets",
        "identitySource": [header],
        "routeKey": "GET /pipeline-secrets",
        "rawPath": "/pipeline-secrets",
        "headers": { "authorization": header },
        "requestContext": { "http": { "method": "GET" } },
    })
}
