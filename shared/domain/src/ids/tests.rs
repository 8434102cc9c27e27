use std::cell::Cell;

use super::*;

const LARGEST: i64 = 9_007_199_254_740_991;

/// Random bytes that count up from the first byte.
struct CountingFrom(Cell<u8>);

impl Randomness for CountingFrom {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.0.get();
            self.0.set(byte.wrapping_add(1));
        }
    }
}

/// One repeated random byte.
struct Repeating(u8);

impl Randomness for Repeating {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

fn counting_from(first: u8) -> CountingFrom {
    CountingFrom(Cell::new(first))
}

fn run_prefix(text: &str) -> RunPrefix {
    RunPrefix::new(text).unwrap()
}

#[test]
fn a_numeric_id_is_at_least_1_and_exact_in_javascript() {
    for (number, valid) in
        [(i64::MIN, false), (-1, false), (0, false), (1, true), (LARGEST, true), (LARGEST + 1, false)]
    {
        assert_eq!(SecretId::new(number).map(SecretId::number), valid.then_some(number), "{number}");
        match SecretId::try_from(number) {
            Ok(id) => assert!(valid && i64::from(id) == number, "{number}"),
            Err(error) => assert!(!valid && matches!(error, Error::NotFound), "{number}: {error:?}"),
        }
    }
}

#[test]
fn a_numeric_id_parses_from_plain_digits_only() {
    for (text, number) in [
        ("1", Some(1)),
        ("42", Some(42)),
        ("0000000000000042", Some(42)),
        ("9007199254740991", Some(LARGEST)),
        ("9007199254740992", None),
        ("00000000000000042", None),
        ("0", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        (" 1", None),
        ("1.0", None),
        ("1e3", None),
        ("0x1", None),
        ("٣", None),
    ] {
        let parsed = text.parse::<UserId>();
        assert!(matches!(parsed, Ok(_) | Err(Error::NotFound)), "{text:?}: {parsed:?}");
        assert_eq!(parsed.ok().map(UserId::number), number, "{text:?}");
    }
}

#[test]
fn a_numeric_id_is_a_number_in_json_and_digits_in_text() {
    let id = WorkspaceId::new(LARGEST).unwrap();
    assert_eq!(serde_json::to_string(&id).unwrap(), "9007199254740991");
    assert_eq!(serde_json::from_str::<WorkspaceId>("9007199254740991").unwrap(), id);
    assert_eq!(id.to_string(), "9007199254740991");
    for json in ["0", "9007199254740992", "\"1\"", "1.0"] {
        assert!(serde_json::from_str::<WorkspaceId>(json).is_err(), "{json}");
    }
}

#[test]
fn a_random_numeric_id_is_the_low_53_bits_and_never_0() {
    for (case, id, number) in [
        ("all bits clear", TokenId::make_random(&Repeating(0)), 1),
        ("all bits set", TokenId::make_random(&Repeating(0xff)), LARGEST),
        ("counting bytes", TokenId::make_random(&counting_from(1)), 0x02_0304_0506_0708),
    ] {
        assert_eq!(id.number(), number, "{case}");
    }
}

#[test]
fn no_id_from_outside_is_the_absent_workspace() {
    assert_eq!(WorkspaceId::new(WorkspaceId::ABSENT.number()), None);
}

#[test]
fn a_run_prefix_is_four_letters_or_digits() {
    for (text, valid) in [
        ("ab12", true),
        ("ZZ99", true),
        ("", false),
        ("ab1", false),
        ("ab123", false),
        ("ab-1", false),
        ("ab 1", false),
        ("é12", false),
    ] {
        match RunPrefix::new(text) {
            Ok(prefix) => assert!(valid && prefix.as_str() == text, "{text:?}"),
            Err(error) => assert!(!valid && matches!(error, Error::Invalid(_)), "{text:?}: {error:?}"),
        }
    }
}

#[test]
fn a_run_id_is_14_letters_or_digits() {
    for (text, valid) in [
        ("ab12ABCDEFGHIJ", true),
        ("00000000000000", true),
        ("", false),
        ("ab12ABCDEFGHI", false),
        ("ab12ABCDEFGHIJK", false),
        ("ab12ABCDEF/HIJ", false),
        ("ab12ABCDEF*HIJ", false),
        ("ab12ABCDEFGHé", false),
    ] {
        match RunId::new(text) {
            Ok(id) => assert!(valid && id.as_str() == text && id.to_string() == text, "{text:?}"),
            Err(error) => assert!(!valid && matches!(error, Error::NotFound), "{text:?}: {error:?}"),
        }
        let json = serde_json::to_string(text).unwrap();
        match serde_json::from_str::<RunId>(&json) {
            Ok(id) => assert!(valid && serde_json::to_string(&id).unwrap() == json, "{text:?}"),
            Err(_) => assert!(!valid, "{text:?}"),
        }
    }
}

#[test]
fn a_random_run_id_follows_its_prefix_and_favours_no_character() {
    let prefix = run_prefix("ab12");
    for (first_byte, id) in [
        (0, "ab120123456789"),
        (9, "ab129ABCDEFGHI"),
        (61, "ab12z012345678"),
        (124, "ab120123456789"),
        // Bytes from 248 to 255 are skipped: they would make the first eight characters more
        // likely.
        (240, "ab12stuvwxyz01"),
        (248, "ab120123456789"),
    ] {
        let made = RunId::make_random(&prefix, &counting_from(first_byte));
        assert_eq!(made.as_str(), id, "from byte {first_byte}");
        assert!(RunId::new(made.as_str()).is_ok(), "from byte {first_byte}");
    }
}
