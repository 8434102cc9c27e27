use domain::envelope::{DataKey, EncryptionContext, Envelope, PlainDataKey, seal};
use domain::ids::SecretId;
use domain::name::SecretName;
use domain::value::SecretValue;

use crate::aws::Fixed;

/// Only sealed bytes open, and a value opens unchanged.
pub fn run(data: &[u8]) {
    let key = PlainDataKey::new(&[1; 32]).expect("32 bytes");
    if let Ok(envelope) = Envelope::parse(data) {
        assert!((1..=6_144).contains(&envelope.encrypted_key().len()));
        // No input can open: no envelope is sealed with this key.
        assert!(envelope.open(&context(), &PlainDataKey::new(&[2; 32]).expect("32 bytes")).is_err());
    }
    let text = String::from_utf8_lossy(data);
    let Ok(value) = SecretValue::new(text.clone().into_owned().into()) else {
        return;
    };
    let encrypted = vec![5; 1 + data.len() % 300];
    let sealed = seal(&value, &context(), &DataKey { plain: key, encrypted }, &Fixed).expect("it seals");
    let key = PlainDataKey::new(&[1; 32]).expect("32 bytes");
    let opened = Envelope::parse(&sealed).and_then(|envelope| envelope.open(&context(), &key)).expect("it opens");
    assert_eq!(opened.expose(), text);
    // Flip one bit, chosen by the input; and drop one byte.
    let bit = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let at = bit / 8 % sealed.len();
    let in_encrypted_key = (4..5 + data.len() % 300).contains(&at);
    let mut flipped = sealed.clone();
    flipped[at] ^= 1 << (bit % 8);
    let open = |bytes: &[u8]| Envelope::parse(bytes).and_then(|envelope| envelope.open(&context(), &key)).is_ok();
    assert!(in_encrypted_key || !open(&flipped), "byte {at}");
    assert!(!open(&sealed[..sealed.len() - 1]));
}

fn context() -> EncryptionContext {
    EncryptionContext {
        deployment: "prod".into(),
        owner: "WS#42".parse().expect("an owner"),
        secret: SecretId::new(7).expect("an id"),
        name: SecretName::parse("NCBI_API_KEY").expect("a name"),
        version: 3,
    }
}
