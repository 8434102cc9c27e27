use domain::issuer::{IssuerKind, Issuers};
use serde_json::Value;

/// The fields of an issuer, by which a misspelled field is found.
const FIELDS: [&str; 8] =
    ["issuer", "audience", "kind", "clientId", "scopes", "authorizedParties", "requiredClaims", "signUp"];

/// A configuration is accepted only if it requires what its text says, according to a check without
/// our types, and a refusal quotes nothing.
pub fn run(data: &[u8]) {
    let text = super::text(data);
    let issuers = match Issuers::parse(&text) {
        Ok(issuers) => issuers,
        Err(problem) => return super::one_line(&problem),
    };
    let Ok(read) = serde_json::from_str::<Vec<Value>>(&text) else { panic!("not a list was accepted") };
    assert!(read.len() <= 3 && read.len() == issuers.all().len());
    for (issuer, read) in issuers.all().iter().zip(&read) {
        let fields = read.as_object().expect("an object");
        assert!(fields.keys().all(|name| FIELDS.contains(&name.as_str())), "an unknown field was accepted");
        assert!(read["issuer"] == *issuer.issuer && read["audience"] == *issuer.audience);
        assert!(!issuer.audience.is_empty(), "every audience is accepted");
        let loopback = ["http://localhost", "http://127.", "http://["];
        let is_secure = issuer.issuer.starts_with("https://")
            || loopback.iter().any(|prefix| issuer.issuer.starts_with(prefix));
        assert!(is_secure && !issuer.issuer.contains(['@', '?', '#', ' ']), "{}", issuer.issuer);
        let required = fields.get("requiredClaims").and_then(Value::as_object);
        assert_eq!(required.map_or(0, serde_json::Map::len), issuer.required_claims.len());
        assert_eq!(fields.get("signUp").is_some_and(|flag| *flag == true), issuer.sign_up);
        assert!(!issuer.sign_up || issuer.kind == IssuerKind::People || !issuer.required_claims.is_empty());
        assert_eq!(issuers.find(&issuer.issuer), Some(issuer));
    }
}
