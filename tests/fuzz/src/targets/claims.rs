use authorizer::oidc::claims::Claims;
use domain::Timestamp;
use serde_json::Value;

const ISSUER: &str = "https://login.example.org/realms/lab";
const AUDIENCE: &str = "pipeline-secrets";
/// 2026-11-25T00:00:00Z.
const NOW: i64 = 1_795_564_800;
/// A minute of leeway.
const LEEWAY: f64 = 60.0;

/// Claims of any shape vouch for somebody only where issuer, audience and both times are right, by a check that reads
/// them without our types; and then for nobody but the subject.
pub fn run(data: &[u8]) {
    let Ok(claims) = serde_json::from_slice::<Claims>(data) else { return };
    let now = Timestamp::from_second(NOW).expect("a time");
    let Ok(vouched) = claims.check(ISSUER, AUDIENCE, now) else { return };
    // A field that nobody reads may hold what is no text; then this could compare nothing.
    let Ok(read) = serde_json::from_slice::<Value>(data) else { return };
    // Where a name comes twice the types refuse; so the last one of a map is the only one.
    assert_eq!(read["iss"], ISSUER, "another issuer's token was taken");
    let named = read["aud"] == AUDIENCE
        || read["aud"].as_array().is_some_and(|all| all.iter().any(|one| *one == *AUDIENCE));
    assert!(named, "a token for others was taken");
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
    let now = NOW as f64;
    let time = |name: &str| read[name].as_f64();
    assert!(time("exp").is_some_and(|end| end > now - LEEWAY), "a token that is over was taken");
    assert!(time("nbf").is_none_or(|begin| begin <= now + LEEWAY), "a token of the future was taken");
    let login = &vouched.login;
    assert_eq!((login.issuer.as_str(), read["sub"].as_str()), (ISSUER, Some(login.subject.as_str())));
    assert!(!login.subject.is_empty() && login.subject.len() <= 255);
    assert!(!login.subject.contains(char::is_control));
    if let Some(email) = &vouched.verified_email {
        assert_eq!(read["email"].as_str(), Some(email.as_str()));
        assert!(read["email_verified"] == true || read["email_verified"] == "true", "an address that is not verified");
        assert!(email.contains('@') && !email.contains(char::is_whitespace) && email.len() <= 254);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_token_reaches_the_checks() {
        let good = include_str!("../../corpus/claims/seed-good");
        let claims: Claims = serde_json::from_str(good).expect("claims");
        let vouched = claims.check(ISSUER, AUDIENCE, Timestamp::from_second(NOW).expect("a time"));
        assert_eq!(vouched.ok().and_then(|vouched| vouched.verified_email).as_deref(), Some("ada@example.org"));
    }
}
