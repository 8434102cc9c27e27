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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sample::{RUN, at, name, secret_id, user_id, workspace_id};
    use domain::audit::AuditAction;
    use domain::ids::RunId;
    use domain::owner::SecretOwner;
    use serde_json::json;

    #[test]
    fn audit_events_show_every_field_with_dates_to_the_millisecond() {
        let by_the_service = AuditRecord {
            scope: SecretOwner::Workspace(workspace_id(42)),
            at: at("2026-10-25T12:42:21.0429Z"),
            id: "8859411891220411".to_owned(),
            actor: None,
            action: AuditAction::RunEnded,
            subjects: Vec::new(),
            run: None,
            person: None,
            detail: None,
        };
        let by_a_user = AuditRecord {
            actor: Some(user_id(17)),
            action: AuditAction::RunLaunched,
            subjects: vec![
                Subject {
                    owner: SecretOwner::User(user_id(17)),
                    id: secret_id(502),
                    name: name("AA"),
                    version: 3,
                    overrides: Some(secret_id(501)),
                },
                Subject {
                    owner: SecretOwner::Workspace(workspace_id(42)),
                    id: secret_id(503),
                    name: name("BB"),
                    version: 1,
                    overrides: None,
                },
            ],
            run: Some(RunId::new(RUN).unwrap()),
            person: Some(user_id(18)),
            detail: Some("launch".to_owned()),
            ..by_the_service.clone()
        };
        let expected = json!({ "month": "2026-10", "events": [
            {
                "date": "2026-10-25T12:42:21.042Z", "id": "8859411891220411", "action": "run.launched",
                "actor": 17, "run": RUN, "person": 18, "detail": "launch",
                "subjects": [
                    { "secretId": 502, "name": "AA", "owner": "user", "version": 3, "overrides": 501 },
                    { "secretId": 503, "name": "BB", "owner": "workspace", "version": 1, "overrides": null },
                ],
            },
            {
                "date": "2026-10-25T12:42:21.042Z", "id": "8859411891220411", "action": "run.ended",
                "actor": null, "run": null, "person": null, "detail": null, "subjects": [],
            },
        ]});
        let records = [by_a_user, by_the_service];
        assert_eq!(serde_json::to_value(AuditTrail::new("2026-10", &records)).unwrap(), expected);
        let empty = json!({ "month": "2026-11", "events": [] });
        assert_eq!(serde_json::to_value(AuditTrail::new("2026-11", &[])).unwrap(), empty);
    }
}
