//! Another account and region with a role for one environment, as far as sessions of it need them:
//! STS, and the copies and jobs there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::others::{Job, describe};
use super::secrets::Target;
use super::{Answer, refusal};

/// Another account in another region.
#[derive(Default)]
pub struct Elsewhere {
    /// Secrets Manager.
    pub target: Target,
    /// AWS Batch: jobs by id.
    pub jobs: Vec<Job>,
    /// The ARN and the external id of the role, while it exists.
    pub role: Option<(String, String)>,
    /// Duty and name of each session, in order.
    pub sessions: Vec<(String, String)>,
}

/// The start of the access keys of sessions. The duty follows.
const SESSION: &str = "ASIA";

/// The operations that a role grants to sessions with a duty.
fn granted(duty: &str) -> &'static [&'static str] {
    match duty {
        "check" => &["DescribeSecret", "POST /v1/describejobs"],
        "deliver" => &["CreateSecret"],
        "observe" => &["POST /v1/describejobs"],
        "remove" => &["DescribeSecret", "DeleteSecret", "ListSecrets", "POST /v1/describejobs"],
        _ => &[],
    }
}

/// Whether an access key is one of a session elsewhere.
#[must_use]
pub fn is_session(access_key: &str) -> bool {
    access_key.starts_with(SESSION)
}

impl Elsewhere {
    /// The trust policy demands the external id, and the duty as the only tag.
    pub(super) fn assume_role(&mut self, body: &Value) -> Answer {
        let form = form(body.as_str().unwrap_or_default());
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let asked = (field("RoleArn"), field("ExternalId"));
        let trusted = self.role.as_ref().is_some_and(|(arn, id)| asked == (arn.as_str(), id.as_str()));
        let duty = field("Tags.member.1.Value");
        let tagged = field("Tags.member.1.Key") == "duty"
            && !form.contains_key("Tags.member.2.Key")
            && !granted(duty).is_empty();
        if !trusted || !tagged || field("DurationSeconds") != "900" {
            return in_xml(refusal("AccessDenied"));
        }
        self.sessions.push((duty.to_owned(), field("RoleSessionName").to_owned()));
        let key = format!("{SESSION}{}", duty.to_uppercase());
        let text = format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
             <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
             <SessionToken>token</SessionToken><Expiration>2036-01-01T00:00:00Z</Expiration></Credentials>\
             </AssumeRoleResult></AssumeRoleResponse>"
        );
        (200, text.into())
    }

    /// Answers a request of a session.
    pub(super) fn answer(&mut self, access_key: &str, operation: &str, body: &Value) -> Answer {
        let duty = access_key.trim_start_matches(SESSION).to_lowercase();
        match operation {
            _ if !granted(&duty).contains(&operation) => refusal("AccessDeniedException"),
            "POST /v1/describejobs" => describe(&self.jobs, body),
            _ => self.target.answer(operation, body),
        }
    }
}

/// Writes an error like STS does.
#[must_use]
pub fn in_xml((status, body): Answer) -> Answer {
    let code = body["__type"].as_str().unwrap_or_default();
    let text = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>refused by a test</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    );
    (status, text.into())
}

/// The fields of a request of the query protocol. The values of the tests need few escapes.
fn form(text: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| text.replace("%3A", ":").replace("%2F", "/");
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}
