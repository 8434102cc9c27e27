//! The audit trail.

use domain::audit::{AuditAction, AuditRecord, Subject};
use domain::ids::{RunId, SecretId, UserId};
use domain::name::SecretName;
use serde::Serialize;

use super::{Date, Owner, Version};

/// The response to `GET /audit-events`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditTrail<'a> {
    /// The month, such as `2026-01`.
    month: &'a str,
    events: Vec<AuditEvent<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct AuditEvent<'a> {
    /// When the event happened, to the millisecond.
    date: Date,
    id: &'a str,
    action: AuditAction,
    /// The user who performed the action. Null if the service or an operator performed it.
    actor: Option<UserId>,
    run: Option<&'a RunId>,
    /// The user that the action affects.
    person: Option<UserId>,
    detail: Option<&'a str>,
    subjects: Vec<AuditSubject<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct AuditSubject<'a> {
    secret_id: SecretId,
    name: &'a SecretName,
    owner: Owner,
    version: Version,
    /// The ID of the workspace secret that this user secret overrides.
    overrides: Option<SecretId>,
}

impl<'a> AuditTrail<'a> {
    /// Creates the answer from a month's records, newest first.
    #[must_use]
    pub fn new(month: &'a str, records: &'a [AuditRecord]) -> Self {
        Self { month, events: records.iter().map(AuditEvent::from).collect() }
    }
}

impl<'a> From<&'a AuditRecord> for AuditEvent<'a> {
    fn from(record: &'a AuditRecord) -> Self {
        Self {
            // To the millisecond, so that records of the same second keep their order.
            date: Date(record.at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
            id: &record.id,
            action: record.action,
            actor: record.actor,
            run: record.run.as_ref(),
            person: record.person,
            detail: record.detail.as_deref(),
            subjects: record.subjects.iter().map(AuditSubject::from).collect(),
        }
    }
}

impl<'a> From<&'a Subject> for AuditSubject<'a> {
    fn from(subject: &'a Subject) -> Self {
        Self {
            secret_id: subject.id,
            name: &subject.name,
            owner: subject.owner.into(),
            version: Version(subject.version),
            overrides: subject.overrides,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sample::{RUN, at, name, secret_id, user_id, workspace_id};
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
