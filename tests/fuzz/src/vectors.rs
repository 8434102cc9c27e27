//! Project Wycheproof's vectors for the envelope's algorithms, through the calls that the envelope
//! makes.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use serde_json::Value;

const AES_256_GCM_VECTORS: &str = include_str!("../vectors/aes_256_gcm.json");
const HKDF_SHA512_VECTORS: &str = include_str!("../vectors/hkdf_sha512.json");

/// Checks every vector, and returns their number.
///
/// # Panics
///
/// If a vector's result is wrong.
#[must_use]
pub fn check() -> usize {
    check_each(AES_256_GCM_VECTORS, aes_256_gcm) + check_each(HKDF_SHA512_VECTORS, hkdf_sha512)
}

fn check_each(vectors: &str, check: fn(&Vector) -> bool) -> usize {
    let vectors: Vec<Value> = serde_json::from_str(vectors).expect("JSON");
    for vector in &vectors {
        let vector = Vector(vector);
        let valid = match vector.0["result"].as_str() {
            Some("valid") => true,
            Some("invalid") => false,
            other => panic!("unknown result {other:?}"),
        };
        assert_eq!(check(&vector), valid, "{}", vector.0);
    }
    vectors.len()
}

struct Vector<'a>(&'a Value);

impl Vector<'_> {
    /// Decodes a hexadecimal field.
    fn bytes(&self, name: &str) -> Vec<u8> {
        let text = self.0[name].as_str().expect("text");
        let digits = text.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).expect("ASCII"));
        digits.map(|two| u8::from_str_radix(two, 16).expect("hexadecimal")).collect()
    }
}

/// Opens like the envelope. If it opens, sealing must give the same bytes.
fn aes_256_gcm(vector: &Vector<'_>) -> bool {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &vector.bytes("key")).expect("32 bytes"));
    let nonce = || Nonce::try_assume_unique_for_key(&vector.bytes("iv")).expect("12 bytes");
    let (message, tag) = (vector.bytes("msg"), vector.bytes("tag"));
    let mut sealed = [vector.bytes("ct"), tag.clone()].concat();
    let Ok(opened) = key.open_in_place(nonce(), Aad::from(vector.bytes("aad")), &mut sealed) else {
        return false;
    };
    assert_eq!(opened, message);
    let mut body = message;
    let computed_tag =
        key.seal_in_place_separate_tag(nonce(), Aad::from(vector.bytes("aad")), &mut body).expect("it seals");
    body == vector.bytes("ct") && computed_tag.as_ref() == tag
}

/// Derives keys like the envelope.
fn hkdf_sha512(vector: &Vector<'_>) -> bool {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let size = usize::try_from(vector.0["size"].as_u64().expect("a size")).expect("a size");
    let mut derived = vec![0; size];
    let key = hkdf::Salt::new(hkdf::HKDF_SHA512, &vector.bytes("salt")).extract(&vector.bytes("ikm"));
    let info = vector.bytes("info");
    key.expand(&[&info], Length(size)).and_then(|okm| okm.fill(&mut derived)).is_ok()
        && derived == vector.bytes("okm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aes_256_gcm_and_hkdf_sha512_match_wycheproofs_vectors() {
        assert_eq!(check(), 66 + 83);
    }

    #[test]
    fn a_wrong_result_is_detected() {
        for (vectors, check) in [
            (AES_256_GCM_VECTORS, aes_256_gcm as fn(&Vector<'_>) -> bool),
            (HKDF_SHA512_VECTORS, hkdf_sha512),
        ] {
            let swapped = vectors.replace("\"invalid\"", "\"-\"").replace("\"valid\"", "\"invalid\"");
            assert!(std::panic::catch_unwind(|| check_each(&swapped, check)).is_err());
        }
    }
}
