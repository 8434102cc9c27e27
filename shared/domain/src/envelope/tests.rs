use super::*;
use proptest::prelude::*;

struct Fixed;
impl Randomness for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(9);
    }
}

fn context() -> EncryptionContext {
    EncryptionContext {
        deployment: "prod".into(),
        owner: "WS#42".parse().unwrap(),
        secret: SecretId::new(7).unwrap(),
        name: SecretName::parse("NCBI_API_KEY").unwrap(),
        version: 3,
    }
}

fn key(byte: u8) -> PlainDataKey {
    PlainDataKey::new(&[byte; 32]).unwrap()
}

fn seal_under(text: &str, encrypted_key: &[u8]) -> Result<Vec<u8>> {
    let value = SecretValue::new(text.to_owned().into()).unwrap();
    let data_key = DataKey { plain: key(1), encrypted: encrypted_key.to_vec() };
    seal(&value, &context(), &data_key, &Fixed)
}

fn sealed(text: &str) -> Vec<u8> {
    seal_under(text, &[5; 184]).unwrap()
}

fn open(bytes: &[u8], context: &EncryptionContext, key: &PlainDataKey) -> Result<SecretValue> {
    Envelope::parse(bytes)?.open(context, key)
}

#[test]
fn a_frozen_vector_of_format_1_still_opens() {
    let frozen = include_str!("../../vectors/envelope-1.hex");
    let bytes: Vec<u8> = (0..frozen.trim().len() / 2)
        .map(|i| u8::from_str_radix(&frozen[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    let value = open(&bytes, &context(), &key(1)).unwrap();
    assert_eq!(value.expose(), "line 1\nline 2 \"quoted\" €\n");
    assert_eq!(sealed("line 1\nline 2 \"quoted\" €\n"), bytes, "sealing still writes format 1");
}

#[test]
fn every_changed_bit_and_every_truncation_is_refused() {
    let good = sealed("v");
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        // KMS verifies the bytes of the encrypted key. The envelope verifies all others.
        let in_encrypted_key = (4..4 + 184).contains(&(bit / 8));
        assert!(in_encrypted_key || open(&bad, &context(), &key(1)).is_err(), "bit {bit}");
    }
    for length in 0..good.len() {
        assert!(open(&good[..length], &context(), &key(1)).is_err(), "{length} bytes");
    }
}

#[test]
fn another_context_or_key_is_refused() {
    let good = sealed("v");
    let others: [fn(&mut EncryptionContext); 5] = [
        |c| c.deployment = "test".into(),
        |c| c.owner = "USER#42".parse().unwrap(),
        |c| c.secret = SecretId::new(8).unwrap(),
        |c| c.name = SecretName::parse("NCBI_API_KEX").unwrap(),
        |c| c.version = 4,
    ];
    for change in others {
        let mut other = context();
        change(&mut other);
        assert!(matches!(open(&good, &other, &key(1)), Err(Error::EnvelopeRefused)));
    }
    assert!(matches!(open(&good, &context(), &key(2)), Err(Error::EnvelopeRefused)));
}

#[test]
fn equal_length_classes_make_equal_lengths() {
    assert_eq!(sealed("a").len(), sealed(&"b".repeat(256)).len());
    assert_eq!(sealed(&"b".repeat(257)).len(), sealed("a").len() + 256);
}

#[test]
fn the_context_that_kms_shows_in_cloudtrail_names_all_that_a_value_is_bound_to() {
    let pairs = context().pairs();
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| (*key, value.as_str())).collect();
    assert_eq!(
        pairs,
        [
            ("deployment", "prod"),
            ("name", "NCBI_API_KEY"),
            ("scope", "WS#42"),
            ("secret", "7"),
            ("version", "3")
        ]
    );
}

#[test]
fn a_data_key_has_32_bytes() {
    for (length, valid) in [(0, false), (31, false), (32, true), (33, false)] {
        assert_eq!(PlainDataKey::new(&vec![1; length]).is_some(), valid, "{length} bytes");
    }
}

#[test]
fn an_encrypted_data_key_has_1_to_6144_bytes() {
    for (length, valid) in [(0, false), (1, true), (6_144, true), (6_145, false), (65_536, false)] {
        match seal_under("v", &vec![5; length]) {
            Ok(bytes) => {
                assert!(valid, "{length} bytes");
                assert_eq!(Envelope::parse(&bytes).unwrap().encrypted_key(), vec![5; length]);
                assert_eq!(open(&bytes, &context(), &key(1)).unwrap().expose(), "v", "{length} bytes");
            }
            Err(error) => assert!(!valid && matches!(error, Error::Bug { .. }), "{length} bytes"),
        }
    }
}

#[test]
fn the_largest_value_under_the_largest_encrypted_key_seals_and_opens() {
    let text = "x".repeat(SecretValue::MAX_BYTES);
    let bytes = seal_under(&text, &[5; 6_144]).unwrap();
    assert_eq!(open(&bytes, &context(), &key(1)).unwrap().expose(), text);
}

#[test]
fn sealing_leaves_no_copy_of_the_text_in_a_buffer_that_grew() {
    for length in [1, 256, 257, SecretValue::MAX_BYTES] {
        let bytes = sealed(&"x".repeat(length));
        assert_eq!(bytes.capacity(), bytes.len(), "{length} bytes");
    }
}

#[test]
fn the_flag_says_whether_nextflows_store_carries_the_value() {
    for (text, flags) in [("plain", 1), ("two\nlines", 0)] {
        let bytes = sealed(text);
        assert_eq!(bytes[..2], [1, flags], "{text:?}");
        assert_eq!(open(&bytes, &context(), &key(1)).unwrap().expose(), text);
    }
}

#[test]
fn an_envelope_with_an_impossible_header_or_length_is_refused() {
    // Format, flags, length of the encrypted key, bytes of ciphertext and tag.
    for (case, format, flags, key_length, rest, valid) in [
        ("the smallest", 1, 0, 1, 256 + 16, true),
        ("with the flag", 1, 1, 1, 256 + 16, true),
        ("an unknown flag", 1, 2, 1, 256 + 16, false),
        ("an unknown flag beside the known one", 1, 0x81, 1, 256 + 16, false),
        ("format 0", 0, 0, 1, 256 + 16, false),
        ("format 2", 2, 0, 1, 256 + 16, false),
        ("no encrypted key", 1, 0, 0, 256 + 16, false),
        ("the longest encrypted key", 1, 0, 6_144, 256 + 16, true),
        ("an encrypted key too long", 1, 0, 6_145, 256 + 16, false),
        ("no tag", 1, 0, 1, 15, false),
        ("no ciphertext", 1, 0, 1, 16, false),
        ("ciphertext without its padding", 1, 0, 1, 255 + 16, false),
        ("ciphertext with a byte too many", 1, 0, 1, 257 + 16, false),
        ("the largest", 1, 0, 6_144, 32_768 + 16, true),
        ("a step larger than the largest", 1, 0, 6_144, 33_024 + 16, false),
    ] {
        let mut bytes = vec![format, flags];
        bytes.extend_from_slice(&u16::to_be_bytes(key_length));
        bytes.resize(4 + usize::from(key_length) + 32 + 12 + rest, 7);
        match Envelope::parse(&bytes) {
            Ok(_) => assert!(valid, "{case}"),
            Err(error) => assert!(!valid && matches!(error, Error::EnvelopeRefused), "{case}: {error:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_sealed_value_opens_to_the_same_bytes(text in "[^\0]{1,600}") {
        let opened = open(&sealed(&text), &context(), &key(1)).unwrap();
        prop_assert_eq!(opened.expose(), &text);
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(open(&bytes, &context(), &key(1)).is_err());
    }
}
