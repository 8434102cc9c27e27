//! The audit trail.

use domain::audit::{AuditRecord, Subject};
use serde::Serialize;

/// `GET /audit-events`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditTrail<'a> {
    month: &'a str,
    events: Vec<AuditEvent<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditEvent<'a> {
    date: String,
    id: &'a str,
    action: &'static str,
    actor: Option<i64>,
    run: Option<&'a str>,
    person: Option<i64>,
    detail: Option<&'a str>,
    subjects: Vec<AuditSubject<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditSubject<'a> {
    secret_id: i64,
    name: &'a str,
    owner: &'static str,
    version: u64,
    overrides: Option<i64>,
}

impl<'a> AuditTrail<'a> {
    /// A month's records, newest first.
    #[must_use]
    pub fn new(month: &'a str, records: &'a [AuditRecord]) -> Self {
        Self { month, events: records.iter().map(AuditEvent::from).collect() }
    }
}

impl<'a> From<&'a AuditRecord> for AuditEvent<'a> {
    fn from(record: &'a AuditRecord) -> Self {
        Self {
            // To the millisecond: records of one second keep their order.
            date: record.at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            id: &record.id,
            action: record.action.as_str(),
            actor: record.actor.map(domain::ids::UserId::number),
            run: record.run.as_ref().map(domain::ids::RunId::as_str),
            person: record.person.map(domain::ids::UserId::number),
            detail: record.detail.as_deref(),
            subjects: record.subjects.iter().map(AuditSubject::from).collect(),
        }
    }
}

impl<'a> From<&'a Subject> for AuditSubject<'a> {
    fn from(subject: &'a Subject) -> Self {
        Self {
            secret_id: subject.id.number(),
            name: subject.name.as_str(),
            owner: subject.owner.kind(),
            version: subject.version,
            overrides: subject.overrides.map(domain::ids::SecretId::number),
        }
    }
}
