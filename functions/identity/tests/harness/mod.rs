//! The function with the real store on an in-memory table, and the invariants of the table.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::environment::{Duty, Environment, Service};
use domain::expiry::ExpiryNotice;
use domain::ids::RunPrefix;
use domain::issuer::Issuers;
use domain::ports::{AnnounceExpiry, CheckTarget, Randomness, Verdict};
use domain::settings::Settings;
use domain::use_cases::announce_expiring::ExpirySummary;
use domain::use_cases::environments::{ComputeAccounts, EnvironmentService};
use domain::{Context, Timestamp};
use http_api::Operation;
use identity::{Environments, Expiry, Handler};
use runtime::{Deadline, SystemRandomness};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use store_dynamodb::Store;
use support::{Fault, Table};

/// The only issuer of the deployment.
pub(crate) const ISSUER: &str = "https://login.example.org";

pub(crate) struct Harness {
    pub(crate) table: Table,
    pub(crate) handler: Handler,
    pub(crate) roles: Rc<Roles>,
    pub(crate) bus: Rc<Bus>,
    pub(crate) reported: Rc<RefCell<Vec<ExpirySummary>>>,
    pub(crate) randomness: SystemRandomness,
    pub(crate) settings: Settings,
}

/// Roles in other accounts, which all answer a check in the same way.
pub(crate) struct Roles {
    verdict: Cell<Verdict>,
    checks: Cell<usize>,
}

impl Default for Roles {
    fn default() -> Self {
        Self { verdict: Cell::new(Verdict::Proved), checks: Cell::new(0) }
    }
}

impl Roles {
    pub(crate) fn answer(&self, verdict: Verdict) {
        self.verdict.set(verdict);
    }

    /// The number of checks so far.
    pub(crate) fn checks(&self) -> usize {
        self.checks.get()
    }
}

#[async_trait(?Send)]
impl CheckTarget for Roles {
    async fn check_target(&self, _: &Environment, _: &dyn Randomness) -> domain::Result<Verdict> {
        self.checks.set(self.checks.get() + 1);
        Ok(self.verdict.get())
    }
}

/// The event bus, which rejects this many entries of each call.
#[derive(Default)]
pub(crate) struct Bus {
    pub(crate) notices: RefCell<Vec<ExpiryNotice>>,
    pub(crate) rejects: Cell<usize>,
}

#[async_trait(?Send)]
impl AnnounceExpiry for Bus {
    async fn announce_expiry(&self, notices: &[ExpiryNotice]) -> domain::Result<usize> {
        self.notices.borrow_mut().extend_from_slice(notices);
        Ok(self.rejects.get())
    }
}

fn environments(store: Rc<Store>, roles: Rc<Roles>) -> Environments {
    let accounts = ComputeAccounts {
        partition: "aws".into(),
        region: "us-east-1".into(),
        accounts: vec!["210987654321".into()],
    };
    Environments {
        service: EnvironmentService { store, targets: roles, accounts },
        deployment: Service {
            roles: Duty::ALL.map(|duty| format!("arn:aws:iam::123456789012:role/{}", duty.as_str())).into(),
            bus: "arn:aws:events:us-east-1:123456789012:event-bus/environments".into(),
            deployment: "test".into(),
            prefix: RunPrefix::new("ab12").unwrap(),
        },
    }
}

/// A response over HTTP.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u64,
    pub(crate) body: Value,
}

/// A request over HTTP.
#[derive(Clone, Default)]
pub(crate) struct TestRequest {
    pub(crate) user: i64,
    pub(crate) path: Vec<(&'static str, i64)>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

impl Harness {
    pub(crate) async fn start() -> Self {
        let table = Table::start().await;
        let store = Rc::new(Store::new(table.client.clone(), table.name.clone()));
        let roles = Rc::<Roles>::default();
        let issuers = json!([{ "issuer": ISSUER, "audience": "secrets", "kind": "people" }]).to_string();
        let (bus, reported) = (Rc::<Bus>::default(), Rc::<RefCell<Vec<ExpirySummary>>>::default());
        let reports = reported.clone();
        let handler = Handler {
            store: store.clone(),
            issuers: Issuers::parse(&issuers).unwrap(),
            environments: environments(store, roles.clone()),
            expiry: Expiry {
                events: bus.clone(),
                report: Box::new(move |summary| reports.borrow_mut().push(*summary)),
            },
        };
        Self {
            table,
            handler,
            roles,
            bus,
            reported,
            randomness: SystemRandomness::default(),
            settings: Settings::new("test"),
        }
    }

    /// Starts with the users and the workspace of [`declaration`].
    pub(crate) async fn with_declaration() -> (Self, Ids) {
        let harness = Self::start().await;
        let applied = harness.apply(&declaration()).await;
        let ids = Ids::of(&applied);
        (harness, ids)
    }

    pub(crate) async fn send(&self, event: &Value) -> domain::Result<Value> {
        self.send_raw(&to_raw_value(event).unwrap()).await
    }

    pub(crate) async fn send_raw(&self, event: &RawValue) -> domain::Result<Value> {
        let context = Context {
            now: Timestamp::now(),
            randomness: &self.randomness,
            backoff: &Deadline::after(Duration::from_secs(20)),
            settings: &self.settings,
        };
        self.handler.handle(event, &context).await.map(|served| parse(&served.answer))
    }

    /// Applies a valid document.
    pub(crate) async fn apply(&self, document: &Value) -> Value {
        let answer = self.send(&json!({ "apply": document })).await.unwrap();
        assert!(answer.get("error").is_none(), "{answer}");
        answer
    }

    pub(crate) async fn ask(&self, operation: Operation, request: TestRequest) -> HttpResponse {
        let answer = self.send(&event(operation, request)).await.unwrap();
        let text = answer["body"].as_str().unwrap_or("null");
        HttpResponse {
            status: answer["statusCode"].as_u64().unwrap(),
            body: serde_json::from_str(text).unwrap(),
        }
    }

    /// Fails the `nth` call of this operation and the SDK's retries.
    pub(crate) fn crash_at(&self, operation: &str, nth: usize, first: Fault) {
        self.table.faults.fail_operation(operation, nth, first);
        self.table.faults.fail_operation(operation, nth + 1, Fault::Unreachable);
        self.table.faults.fail_operation(operation, nth + 2, Fault::Unreachable);
    }

    /// Returns the rows as JSON, by `pk` and `sk`.
    pub(crate) async fn rows(&self) -> BTreeMap<(String, String), Value> {
        let rows = self.table.rows().await;
        let text = |row: &BTreeMap<_, _>, name: &str| -> String {
            let value: &Value = row.get(name).unwrap();
            value.as_str().unwrap().to_owned()
        };
        rows.into_iter()
            .map(|row| {
                let row: BTreeMap<String, Value> =
                    row.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
                ((text(&row, "pk"), text(&row, "sk")), json!(row))
            })
            .collect()
    }

    /// Checks the invariants of the table: mirrored rows, guard rows and owner counts.
    pub(crate) async fn check(&self) {
        let rows = self.rows().await;
        let has = |pk: &str, sk: &str| rows.contains_key(&(pk.to_owned(), sk.to_owned()));
        let mut owners: BTreeMap<&str, i64> = BTreeMap::new();
        for ((pk, sk), row) in &rows {
            let scope = pk.split_once('#').unwrap_or((pk, ""));
            match (scope.0, sk.split_once('#').unwrap_or((sk, ""))) {
                ("MEMBERS", ("MEMBER", user)) => {
                    let mirror = rows
                        .get(&(format!("USER#{user}"), format!("IN#{}", scope.1)))
                        .expect("a mirrored row");
                    assert_eq!(mirror["role"], row["role"]);
                    *owners.entry(scope.1).or_default() += i64::from(row["role"] == "owner");
                }
                ("USER", ("IN", workspace)) => {
                    assert!(has(&format!("MEMBERS#{workspace}"), &format!("MEMBER#{}", scope.1)));
                }
                ("USER", ("TOKEN", token)) => {
                    assert!(has(&format!("TOKEN#{token}"), "TOKEN"));
                }
                ("USER", ("META", _)) if row.get("removed").is_none() => {
                    assert!(has("LOGIN#name", &row["userName"].as_str().unwrap().to_lowercase()));
                    assert!(has("LOGIN#email", &row["email"].as_str().unwrap().to_lowercase()));
                }
                ("TOKEN", _) => {
                    assert!(has(&format!("USER#{}", row["user"]), &format!("TOKEN#{}", scope.1)));
                    let name = row["name"].as_str().unwrap().to_lowercase();
                    assert!(has(&format!("USER#{}", row["user"]), &format!("TOKEN-NAME#{name}")));
                }
                ("WS", ("META", _)) => {
                    assert!(has(&format!("ORG#{}", row["org"]), "META"), "a workspace has its organization");
                }
                _ => {}
            }
        }
        for ((pk, sk), row) in rows.iter().filter(|((pk, sk), _)| pk.starts_with("WS#") && sk == "META") {
            if row.get("deleted").is_some() {
                assert!(!owners.contains_key(pk.trim_start_matches("WS#")), "{pk} is deleted");
                continue;
            }
            let owners = owners[pk.trim_start_matches("WS#")];
            assert_eq!(row["ownerCount"], owners, "{pk} {sk}");
            assert!(owners >= 1, "{pk} has no owner");
        }
    }

    /// Returns the actions of the audit trail, sorted.
    pub(crate) async fn audited(&self) -> Vec<String> {
        let rows = self.rows().await;
        let audit = rows.iter().filter(|((pk, _), _)| pk.starts_with("AUDIT#"));
        let mut actions: Vec<_> = audit.map(|(_, row)| row["action"].as_str().unwrap().to_owned()).collect();
        actions.sort();
        actions
    }

    /// Returns the roles in the table by user name.
    pub(crate) async fn roles(&self, workspace: i64) -> BTreeMap<String, String> {
        let rows = self.rows().await;
        let members = rows.iter().filter(|((pk, _), _)| *pk == format!("MEMBERS#{workspace}"));
        members
            .map(|((_, sk), row)| {
                let user = sk.trim_start_matches("MEMBER#");
                let name = &rows[&(format!("USER#{user}"), "META".to_owned())]["userName"];
                (name.as_str().unwrap().to_owned(), row["role"].as_str().unwrap().to_owned())
            })
            .collect()
    }
}

/// The IDs of the declared users and of the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    pub(crate) org: i64,
    pub(crate) workspace: i64,
    pub(crate) users: BTreeMap<String, i64>,
}

impl Ids {
    pub(crate) fn of(applied: &Value) -> Self {
        let organization = &applied["organizations"][0];
        let users = applied["users"].as_array().unwrap();
        Self {
            org: organization["id"].as_i64().unwrap(),
            workspace: organization["workspaces"][0]["id"].as_i64().unwrap(),
            users: users
                .iter()
                .map(|user| (user["userName"].as_str().unwrap().to_owned(), user["id"].as_i64().unwrap()))
                .collect(),
        }
    }

    /// The id of the first workspace of an answer.
    pub(crate) fn of_workspace(applied: &Value) -> i64 {
        applied["organizations"][0]["workspaces"][0]["id"].as_i64().unwrap()
    }

    pub(crate) fn user(&self, name: &str) -> i64 {
        self.users[name]
    }

    /// Creates a request about the workspace by this user.
    pub(crate) fn request(&self, user: &str) -> TestRequest {
        TestRequest {
            user: self.user(user),
            path: vec![("orgId", self.org), ("workspaceId", self.workspace)],
            ..TestRequest::default()
        }
    }
}

impl TestRequest {
    pub(crate) fn by(user: i64) -> Self {
        Self { user, ..Self::default() }
    }

    pub(crate) fn path(mut self, name: &'static str, id: i64) -> Self {
        self.path.push((name, id));
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

/// An organization with a workspace, a participant with each role, and a user who is not a
/// participant. Each user has a token.
pub(crate) fn declaration() -> Value {
    let people = ["owner", "admin", "maintain", "launch", "connect", "view"];
    let user = |name: &str| json!({ "userName": name, "email": format!("{name}@example.org"), "tokens": [{ "name": "cli" }] });
    let mut users: Vec<_> = people.iter().map(|name| user(name)).collect();
    users.push(user("outsider"));
    let participants: Vec<_> = people.iter().map(|name| json!({ "user": name, "role": name })).collect();
    json!({
        "organizations": [{ "name": "Lab", "workspaces": [{
            "name": "genomics",
            "fullName": "Genomics group",
            "platforms": ["aws-batch"],
            "participants": participants,
        }] }],
        "users": users,
    })
}

pub(crate) fn event(operation: Operation, request: TestRequest) -> Value {
    let path: BTreeMap<_, _> = request.path.iter().map(|(name, id)| (*name, id.to_string())).collect();
    let query: BTreeMap<_, _> = request.query.into_iter().collect();
    json!({
        "version": "2.0",
        "routeKey": operation.route_key(),
        "headers": { "content-type": "application/json" },
        "pathParameters": path,
        "queryStringParameters": query,
        "requestContext": { "authorizer": { "lambda": { "userId": request.user.to_string() } } },
        "body": request.body.map(|body| body.to_string()),
        "isBase64Encoded": false,
    })
}

pub(crate) fn names(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn parse(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap()
}

fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!(text),
        AttributeValue::N(number) => serde_json::from_str(number).unwrap(),
        AttributeValue::Bool(flag) => json!(flag),
        AttributeValue::L(values) => values.iter().map(plain).collect(),
        AttributeValue::M(map) => map.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        _ => Value::Null,
    }
}
