use std::fmt::Display;
use std::str::FromStr;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{AuditAction, AuditRecord};
use crate::ids::{RunId, SecretId, UserId};
use crate::owner::SecretOwner;

/// The log line of an audit record. The log survives a restore of the table: `infra/reconcile`
/// reads these lines back. They contain ids and no names, because more people read logs than the
/// table.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(crate) struct AuditLine {
    message: Message,
    #[serde(rename = "audit.id", default)]
    id: String,
    #[serde(rename = "audit.at")]
    pub(crate) at: Timestamp,
    pub(crate) scope: SecretOwner,
    pub(crate) action: AuditAction,
    #[serde(default, deserialize_with = "parsed")]
    actor: Option<UserId>,
    #[serde(rename = "run.id")]
    run: Option<RunId>,
    #[serde(default, deserialize_with = "parsed")]
    pub(crate) person: Option<UserId>,
    pub(crate) detail: Option<String>,
    /// Secrets with their versions: `7@3,8@1`.
    #[serde(deserialize_with = "subjects")]
    pub(crate) subjects: Vec<(SecretId, u64)>,
    /// The digest of the whole record, including names. `infra/check-audit` uses it to find
    /// modified records.
    #[serde(rename = "audit.digest", default)]
    digest: String,
}

/// The message that distinguishes audit lines from other log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
enum Message {
    #[serde(rename = "audit")]
    Audit,
}

impl AuditLine {
    /// Parses a line that [`AuditRecord::log`] wrote. Returns `None` for other lines, and for lines
    /// of a version that this one does not understand.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    fn of(record: &AuditRecord) -> Self {
        Self {
            message: Message::Audit,
            id: record.id.clone(),
            at: record.at,
            scope: record.scope,
            action: record.action,
            actor: record.actor,
            run: record.run.clone(),
            person: record.person,
            detail: record.detail.clone(),
            subjects: record.subjects.iter().map(|subject| (subject.id, subject.version)).collect(),
            digest: digest(record),
        }
    }

    fn log(&self) {
        let subjects: Vec<_> = self.subjects.iter().map(|(id, version)| format!("{id}@{version}")).collect();
        tracing::info!(
            // Log filters never exclude this target.
            target: "audit",
            {
                audit.id = self.id,
                audit.at = %self.at,
                scope = %self.scope,
                action = self.action.as_str(),
                actor = self.actor.map(tracing::field::display),
                run.id = self.run.as_ref().map(tracing::field::display),
                person = self.person.map(tracing::field::display),
                detail = self.detail,
                subjects = %subjects.join(","),
                audit.digest = self.digest,
            },
            "audit"
        );
    }
}

impl AuditRecord {
    /// Logs the record. Call it after the transaction took effect.
    pub fn log(&self) {
        AuditLine::of(self).log();
    }
}

/// Returns the SHA-256, in base64, of the record's parts, each as `<bytes>:<text>,` with an empty
/// text for an absent part. The parts are id, time, scope, action, actor, run, person and detail,
/// then for each subject owner, id, name, version and overridden id.
fn digest(record: &AuditRecord) -> String {
    let some = |part: Option<String>| part.unwrap_or_default();
    let mut parts = vec![
        record.id.clone(),
        record.at.to_string(),
        record.scope.to_string(),
        record.action.as_str().to_owned(),
        some(record.actor.map(|actor| actor.to_string())),
        some(record.run.as_ref().map(ToString::to_string)),
        some(record.person.map(|person| person.to_string())),
        some(record.detail.clone()),
    ];
    for subject in &record.subjects {
        parts.extend([
            subject.owner.to_string(),
            subject.id.to_string(),
            subject.name.to_string(),
            subject.version.to_string(),
            some(subject.overrides.map(|id| id.to_string())),
        ]);
    }
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(format!("{}:{part},", part.len()).as_bytes());
    }
    STANDARD_NO_PAD.encode(context.finish())
}

/// Ids are logged as text.
fn parsed<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
}

fn subjects<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(SecretId, u64)>, D::Error> {
    let subject = |one: &str| {
        let (id, version) = one.split_once('@')?;
        Some((id.parse().ok()?, version.parse().ok()?))
    };
    let text = String::deserialize(deserializer)?;
    let read: Option<_> = text.split(',').filter(|one| !one.is_empty()).map(subject).collect();
    read.ok_or_else(|| D::Error::custom("subjects must be ids with versions"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Subject;
    use crate::name::SecretName;
    use crate::testing::logged_json;

    fn record(action: AuditAction) -> AuditRecord {
        AuditRecord {
            scope: "WS#42".parse().unwrap(),
            at: "2026-11-23T10:20:30.123Z".parse().unwrap(),
            id: "77".into(),
            actor: None,
            action,
            subjects: Vec::new(),
            run: None,
            person: None,
            detail: None,
        }
    }

    /// A record in which every field has a value.
    fn full(action: AuditAction) -> AuditRecord {
        let subject = |id, version| Subject {
            owner: "USER#5".parse().unwrap(),
            id: SecretId::new(id).unwrap(),
            name: SecretName::parse("NCBI_API_KEY").unwrap(),
            version,
            overrides: None,
        };
        AuditRecord {
            actor: UserId::new(5),
            subjects: vec![subject(7, 3), subject(8, 1)],
            run: RunId::new("ab12ABCDEFGHIJ").ok(),
            person: UserId::new(9),
            detail: Some("a \"detail\"".into()),
            ..record(action)
        }
    }

    #[test]
    fn a_logged_record_is_read_back() {
        for action in AuditAction::ALL.iter().copied() {
            for record in [record(action), full(action)] {
                let ((), lines) = logged_json(|| record.log());
                let [line] = &lines[..] else { panic!("{lines:?}") };
                assert_eq!(AuditLine::parse(&line.to_string()), Some(AuditLine::of(&record)), "{line}");
            }
        }
    }

    #[test]
    fn the_digest_of_a_record_is_frozen_and_changes_with_each_of_its_parts() {
        // Computed with Python, like infra/check-audit does.
        let original = full(AuditAction::RunLaunched);
        assert_eq!(digest(&original), "vqZjnOL3SnWy655qkJIL4PWVc1ExQ5dfl8fcCKtOc+Q");
        let other = |change: fn(&mut AuditRecord)| {
            let mut record = original.clone();
            change(&mut record);
            digest(&record)
        };
        let changes: [fn(&mut AuditRecord); 14] = [
            |record| record.id = "78".into(),
            |record| record.at = "2026-11-23T10:20:30.124Z".parse().unwrap(),
            |record| record.scope = "USER#42".parse().unwrap(),
            |record| record.action = AuditAction::RunEnded,
            |record| record.actor = None,
            |record| record.run = None,
            |record| record.person = None,
            |record| record.detail = None,
            |record| record.subjects[0].owner = "USER#6".parse().unwrap(),
            |record| record.subjects[0].id = SecretId::new(9).unwrap(),
            |record| record.subjects[0].name = SecretName::parse("OTHER").unwrap(),
            |record| record.subjects[0].version = 4,
            |record| record.subjects[0].overrides = SecretId::new(7),
            |record| record.subjects.swap(0, 1),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert_ne!(other(change), digest(&original), "change {index}");
        }
    }

    #[test]
    fn a_line_has_the_fields_that_operators_read_and_no_name() {
        let ((), lines) = logged_json(|| full(AuditAction::RunLaunched).log());
        let expected = serde_json::json!({
            "message": "audit",
            "audit.id": "77",
            "audit.at": "2026-11-23T10:20:30.123Z",
            "scope": "WS#42",
            "action": "run.launched",
            "actor": "5",
            "run.id": "ab12ABCDEFGHIJ",
            "person": "9",
            "detail": "a \"detail\"",
            "subjects": "7@3,8@1",
            "audit.digest": digest(&full(AuditAction::RunLaunched)),
        });
        assert_eq!(lines, [expected]);
    }
}
