use domain::Timestamp;
use domain::settings::Settings;
use http_api::operation::Credential;
use http_api::wire::identity::{NewParticipant, NewPlatforms, NewRole, NewToken};
use http_api::wire::launches::LaunchBody;
use http_api::wire::reports::{EndReport, HeadJobReport};
use http_api::wire::secrets::{NewSecret, SecretUpdate};
use http_api::{Answer, Problem, Request};
use serde_json::Value;
use serde_json::value::RawValue;

/// An event gets an answer that API Gateway accepts, and has a caller only if the authorizer
/// identified one.
pub fn run(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Box<RawValue>>(data) else {
        return; // Lambda delivers only JSON
    };
    let served = crate::aws::wait(http_api::serve(&Settings::new("test"), &event, async |request| {
        read_all(&request, event.get())
    }));
    super::check_answer(served.answer.get());
    assert_eq!(served.fault, None);
}

/// Reads everything that a handler can read.
fn read_all(request: &Request<'_>, event: &str) -> Result<Answer, Problem> {
    let actor = request.actor();
    // This check cannot read an event with half of a surrogate pair, for example in the body.
    if let (Ok(actor), Ok(event)) = (&actor, serde_json::from_str::<Value>(event)) {
        let user_id = &event["requestContext"]["authorizer"]["lambda"]["userId"];
        assert_eq!(user_id.as_str().and_then(|id| id.parse().ok()), Some(actor.user.number()));
    }
    if let Ok(run) = request.run_id() {
        assert!(run.as_str().len() == 14 && run.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
    let month = request.month(Timestamp::UNIX_EPOCH);
    assert!(month.as_ref().is_ok_and(|month| month.len() == 7) || month.is_err());
    if let Ok(limit) = request.limit("max", 50, 100) {
        assert!((1..=100).contains(&limit));
    }
    let _ = (request.workspace(), request.secret_id(), request.if_version(), request.presented().is_ok());
    let _ = (request.wants_text(), request.content_type(), request.idempotency_key());
    let body = request.body()?;
    assert!(body.len() <= request.operation.max_body());
    let _ = (request.json::<NewSecret>().is_ok(), request.json::<SecretUpdate>().is_ok());
    let _ = (request.json::<LaunchBody>().is_ok(), request.json::<NewToken>().is_ok());
    let _ = (request.json::<NewParticipant>().is_ok(), request.json::<NewPlatforms>().is_ok());
    let _ = (request.json::<HeadJobReport>().is_ok(), request.json::<EndReport>().is_ok());
    request.json::<NewRole>()?;
    if request.operation.credential() == Credential::User {
        actor?;
    }
    Ok(Answer::no_content())
}
