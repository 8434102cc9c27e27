use domain::name::SecretName;
use domain::settings::Settings;

/// An accepted name is safe in every shell, file system and JSON document, and has no special
/// meaning there in any case.
pub fn run(data: &[u8]) {
    let text = super::text(data);
    let strict = SecretName::new(&text, &Settings::new("test"));
    let lenient = SecretName::new(&text, &Settings { allow_aws_names: true, ..Settings::new("test") });
    if let Ok(name) = &lenient {
        assert_eq!(name.as_str(), text);
        assert!((2..=SecretName::MAX_LENGTH).contains(&text.len()));
        assert!(!text.starts_with(|c: char| c.is_ascii_digit()));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        let upper = text.to_uppercase();
        assert!(!["PATH", "HOME", "IFS", "ENV"].contains(&upper.as_str()));
        assert!(!["LD_", "DYLD_", "BASH", "NXF_", "TOWER_", "GIT_"].iter().any(|begin| upper.starts_with(begin)));
        // Names that differ only in case are the same name.
        let other = SecretName::new(&upper, &Settings { allow_aws_names: true, ..Settings::new("test") });
        assert_eq!(other.expect("the same name in capitals").folded(), name.folded());
    }
    match strict {
        Ok(name) => assert!(lenient.is_ok() && !name.folded().starts_with("aws_")),
        Err(error) => super::one_line(&error.to_string()),
    }
}
