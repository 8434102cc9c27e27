use super::*;

/// Random bytes that count up from 0x9b, or that are all the same.
enum Fixed {
    Counting,
    Repeating(u8),
}

impl Randomness for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        for (byte, count) in bytes.iter_mut().zip(0x9b..) {
            *byte = if let Self::Repeating(same) = self { *same } else { count };
        }
    }
}

fn key() -> TokenKey {
    TokenKey::make_random(&Fixed::Counting)
}

fn token_id() -> TokenId {
    TokenId::new(42).unwrap()
}

fn run_id() -> RunId {
    RunId::new("ab12ABCDEFGHIJ").unwrap()
}

/// The parts of a header, in a line of text.
fn parsed(header: &str) -> Option<String> {
    PresentedToken::from_authorization(header).map(|presented| match presented {
        PresentedToken::Access(id, key) => format!("access token {id}, key {}", key.expose()),
        PresentedToken::Run(run, key) => format!("run token {run}, key {}", key.expose()),
        PresentedToken::Jwt(token) => format!("JWT {}", *token),
        PresentedToken::Opaque(key) => format!("opaque {}", key.expose()),
    })
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn basic(user_and_password: &str) -> String {
    format!("Basic {}", STANDARD.encode(user_and_password))
}

#[test]
fn the_forms_of_tokens_and_hashes_are_frozen() {
    // Clients and rows store these forms. Computed with Python.
    let key = key();
    for (form, text, frozen) in [
        ("key", key.expose(), "9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadae"),
        ("hash", &key.hash().0, "Xi+YLL7+qr2v7Z6XLo5oXo1FI5bF7VCUsoi4moTGNGM"),
        (
            "access token",
            &key.access_token(token_id()),
            "eyJ0aWQiOiA0Mn0uOWI5YzlkOWU5ZmEwYTFhMmEzYTRhNWE2YTdhOGE5YWFhYmFjYWRhZQ==",
        ),
        (
            "run token",
            &key.run_token(&run_id()),
            "eyJ0aWQiOiJhYjEyQUJDREVGR0hJSiJ9LjliOWM5ZDllOWZhMGExYTJhM2E0YTVhNmE3YThhOWFhYWJhY2FkYWU=",
        ),
        (
            "claim token",
            TokenKey::make_claim(&Fixed::Counting).expose(),
            "m5ydnp-goaKjpKWmp6ipqqusra6vsLGys7S1tre4ubo",
        ),
    ] {
        assert_eq!(text, frozen, "{form}");
    }
    assert_eq!(serde_json::to_value(key.hash()).unwrap(), "Xi+YLL7+qr2v7Z6XLo5oXo1FI5bF7VCUsoi4moTGNGM");
}

#[test]
fn each_kind_of_token_is_parsed_under_both_schemes() {
    let (access, run) = (key().access_token(token_id()), key().run_token(&run_id()));
    let claim = TokenKey::make_claim(&Fixed::Repeating(3));
    let access_parts = format!("access token 42, key {}", key().expose());
    let run_parts = format!("run token ab12ABCDEFGHIJ, key {}", key().expose());
    for (case, token, expected) in [
        ("access token", access.as_str(), access_parts.clone()),
        ("access token without padding", access.trim_end_matches('='), access_parts),
        ("run token", run.as_str(), run_parts.clone()),
        ("run token without padding", run.trim_end_matches('='), run_parts),
        ("JWT", "eyJh.eyJi.c2ln", "JWT eyJh.eyJi.c2ln".into()),
        ("claim token", claim.expose(), format!("opaque {}", claim.expose())),
    ] {
        for header in [
            bearer(token),
            format!("bearer   {token} "),
            format!(" BEARER {token}"),
            basic(&format!("@token:{token}")),
            basic(&format!("@token:{token}")).replace("Basic", "bASIC"),
        ] {
            assert_eq!(parsed(&header).as_ref(), Some(&expected), "{case}: {header}");
        }
    }
}

#[test]
fn text_that_only_resembles_a_token_is_opaque() {
    for (case, token) in [
        ("two dots are a JWT, one is not", "eyJh.eyJi".to_owned()),
        ("three dots", "a.b.c.d".to_owned()),
        ("no dot", STANDARD.encode("{\"tid\": 42}")),
        ("no JSON", STANDARD.encode("tid 42.key")),
        ("no tid", STANDARD.encode("{\"id\": 42}.key")),
        ("an id that no token has", STANDARD.encode("{\"tid\": 0}.key")),
        ("an id beyond the largest", STANDARD.encode("{\"tid\": 9007199254740992}.key")),
        ("a tid that is no run", STANDARD.encode("{\"tid\": \"ab12\"}.key")),
        ("a tid of another type", STANDARD.encode("{\"tid\": true}.key")),
        ("no UTF-8", STANDARD.encode(b"\xff.key")),
        ("no base64", "{\"tid\": 42}.key".to_owned()),
        ("nothing", "-".to_owned()),
    ] {
        assert_eq!(parsed(&bearer(&token)), Some(format!("opaque {token}")), "{case}");
    }
}

#[test]
fn the_key_of_a_token_begins_after_the_last_dot() {
    let token = STANDARD.encode("{\"tid\": 42, \"note\": \"a.b\"}.key");
    assert_eq!(parsed(&bearer(&token)).as_deref(), Some("access token 42, key key"));
}

#[test]
fn malformed_headers_contain_no_credentials() {
    for header in [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearertoken",
        "Digest abc",
        "Token abc",
        "Basic !!!",
        &basic("user:pass"),
        &basic("@token"),
        &basic("x@token:abc"),
        &format!("Basic {}", STANDARD.encode(b"@token:\xff")),
    ] {
        assert_eq!(parsed(header), None, "{header:?}");
    }
}

#[test]
fn a_header_may_have_8192_bytes() {
    let header = |bytes: usize| bearer(&"x".repeat(bytes - "Bearer ".len()));
    for (bytes, taken) in [(8_191, true), (8_192, true), (8_193, false), (20_000, false)] {
        assert_eq!(parsed(&header(bytes)).is_some(), taken, "{bytes} bytes");
    }
}

#[test]
fn a_hash_matches_only_its_own_key() {
    let one = TokenKey::make_random(&Fixed::Repeating(1));
    for (case, other, same) in [
        ("the same key", TokenKey::make_random(&Fixed::Repeating(1)), true),
        ("another key", TokenKey::make_random(&Fixed::Repeating(2)), false),
        ("a claim token of the same bytes", TokenKey::make_claim(&Fixed::Repeating(1)), false),
    ] {
        assert_eq!(one.hash().matches(&other), same, "{case}");
        assert_eq!(one.hash() == other.hash(), same, "{case}");
    }
    let shorter = TokenHash(one.hash().0[..42].to_owned());
    assert!(one.hash() != shorter, "a hash cut short");
}
