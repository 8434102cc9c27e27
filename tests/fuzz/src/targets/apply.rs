use std::rc::Rc;

use async_trait::async_trait;
use domain::environment::{Environment, Service};
use domain::expiry::ExpiryNotice;
use domain::ids::RunPrefix;
use domain::issuer::Issuers;
use domain::ports::{AnnounceExpiry, CheckTarget, Randomness, Verdict};
use domain::settings::Settings;
use domain::use_cases::environments::{ComputeAccounts, EnvironmentService};
use domain::use_cases::identity::document::Document;
use identity::{Environments, Expiry, Handler};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::aws::{Aws, context, wait};

/// An event to `identity` is applied or rejected with a message. An event from API Gateway never
/// acts as an operator.
pub fn run(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Box<RawValue>>(data) else {
        return; // Lambda delivers only JSON
    };
    let aws = Aws::empty();
    let handler = handler(&aws);
    let served = wait(handler.handle(&event, &context(&Settings::new("test"))));
    let answer: Value = match &served {
        Ok(served) => serde_json::from_str(served.answer.get()).expect("an answer is JSON"),
        Err(error) => return super::one_line(&error.to_string()),
    };
    let Ok(event) = serde_json::from_str::<Value>(event.get()) else {
        return; // an invalid Unicode escape
    };
    if event.get("requestContext").is_some() {
        super::check_answer(&answer.to_string());
        assert!(aws.calls().iter().all(|(call, _)| call != "TransactWriteItems"), "a request wrote something");
    } else if let Some(message) = answer["error"]["message"].as_str() {
        assert!(!message.contains(super::MARK) && !message.is_empty());
    }
    if let Ok(document) = Document::parse(&event["apply"]) {
        assert!(document.users.iter().all(|user| user.user_name.is_ascii()));
    }
}

/// The function, with a deployment that allows one account in which every role works.
fn handler(aws: &Aws) -> Handler {
    let store = Rc::new(aws.store());
    let accounts = ComputeAccounts {
        partition: "aws".into(),
        region: "us-east-1".into(),
        accounts: vec!["210987654321".into()],
    };
    let deployment = Service {
        roles: Vec::new(),
        bus: String::new(),
        deployment: "test".into(),
        prefix: RunPrefix::new("ab12").expect("a prefix"),
    };
    let service = EnvironmentService { store: store.clone(), targets: Rc::new(EveryRole), accounts };
    Handler {
        store,
        issuers: Issuers::default(),
        environments: Environments { service, deployment },
        expiry: Expiry { events: Rc::new(EveryEvent), report: Box::new(|_| {}) },
    }
}

struct EveryEvent;

#[async_trait(?Send)]
impl AnnounceExpiry for EveryEvent {
    async fn announce_expiry(&self, _: &[ExpiryNotice]) -> domain::Result<usize> {
        Ok(0)
    }
}

struct EveryRole;

#[async_trait(?Send)]
impl CheckTarget for EveryRole {
    async fn check_target(&self, _: &Environment, _: &dyn Randomness) -> domain::Result<Verdict> {
        Ok(Verdict::Proved)
    }
}
