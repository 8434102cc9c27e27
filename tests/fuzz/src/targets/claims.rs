use authorizer::oidc::claims::Claims;
use domain::Timestamp;
use domain::issuer::{Issuer, Issuers};
use serde_json::{Value, json};

const ISSUER: &str = "https://login.example.org/realms/lab";
const AUDIENCE: &str = "pipeline-secrets";
/// 2026-11-25T00:00:00Z.
const NOW: i64 = 1_795_564_800;
/// A minute of leeway.
const LEEWAY: f64 = 60.0;

/// An issuer of people whose tokens must be for one client and have one claim.
fn issuer() -> Issuer {
    let entry = json!([{
        "issuer": ISSUER, "audience": AUDIENCE, "kind": "people", "authorizedParties": ["console", AUDIENCE],
        "requiredClaims": { "lab": "7" },
    }]).to_string();
    Issuers::parse(&entry).expect("a valid issuer").all()[0].clone()
}

/// Claims are accepted only if issuer, audience, client, use, required claim and both times are
/// valid according to a check without our types, and only for their subject.
pub fn run(data: &[u8]) {
    let Ok(claims) = serde_json::from_slice::<Claims>(data) else { return };
    let now = Timestamp::from_second(NOW).expect("a time");
    let Ok(verified) = claims.check(&issuer(), None, now) else { return };
    // An unused field may contain invalid Unicode, which this check cannot read.
    let Ok(read) = serde_json::from_slice::<Value>(data) else { return };
    // Our types reject duplicate names, so each name in this map is the only one.
    assert_eq!(read["iss"], ISSUER, "a token of another issuer was accepted");
    let named = read["aud"] == AUDIENCE
        || read["aud"].as_array().is_some_and(|all| all.iter().any(|one| *one == *AUDIENCE));
    // Amazon Cognito has the client instead of an audience.
    let cognito = read["aud"].is_null() && read["token_use"] == "access" && read["client_id"] == AUDIENCE;
    assert!(named || cognito, "a token for another audience was accepted");
    let party = ["azp", "client_id", "cid", "appid"].iter().find_map(|name| read[name].as_str());
    assert!(party.is_some_and(|party| ["console", AUDIENCE].contains(&party)), "another client was accepted");
    let is = |value: &Value| *value == "7" || *value == 7;
    let required = is(&read["lab"]) || read["lab"].as_array().is_some_and(|all| all.iter().any(is));
    assert!(required, "a token without the required claim was accepted");
    assert!(read.get("cnf").is_none() && read.get("events").is_none(), "not a bearer token was accepted");
    let id_token = ["nonce", "at_hash", "c_hash", "s_hash"].iter().any(|name| read.get(name).is_some());
    let access = read["typ"] == "Bearer" || read["token_use"] == "access";
    let scope = ["scope", "scp"].iter().any(|name| read.get(name).is_some());
    assert!(access || (scope && !id_token), "an ID token was accepted");
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
    let now = NOW as f64;
    let time = |name: &str| read[name].as_f64();
    assert!(time("exp").is_some_and(|end| end > now - LEEWAY), "an expired token was accepted");
    assert!(time("nbf").is_none_or(|begin| begin <= now + LEEWAY), "a token was accepted before its start");
    let login = &verified.login;
    assert_eq!((login.issuer.as_str(), read["sub"].as_str()), (ISSUER, Some(login.subject.as_str())));
    assert!(!login.subject.is_empty() && login.subject.len() <= 255);
    assert!(!login.subject.contains(char::is_control));
    if let Some(email) = &verified.verified_email {
        assert_eq!(read["email"].as_str(), Some(email.as_str()));
        assert!(read["email_verified"] == true || read["email_verified"] == "true", "an unverified address was accepted");
        assert!(email.contains('@') && !email.contains(char::is_whitespace) && email.len() <= 254);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_token_passes_the_checks() {
        let valid = include_str!("../../corpus/claims/seed-good");
        let claims: Claims = serde_json::from_str(valid).expect("claims");
        let verified = claims.check(&issuer(), None, Timestamp::from_second(NOW).expect("a time"));
        assert_eq!(verified.ok().and_then(|verified| verified.verified_email).as_deref(), Some("ada@example.org"));
    }
}
