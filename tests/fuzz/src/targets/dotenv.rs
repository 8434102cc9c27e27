use domain::settings::Settings;
use domain::use_cases::create_secrets::MAX_IN_IMPORT;
use http_api::wire::imports::{from_dotenv, from_json};

/// A file is read without evaluation and is equivalent to a JSON import, or the error names a line.
pub fn run(data: &[u8]) {
    let text = super::text(data);
    let settings = Settings::new("test");
    let drafts = match from_dotenv(&text, &settings) {
        Ok(drafts) => drafts,
        Err(problem) => {
            super::one_line(problem.message());
            assert!(problem.message().starts_with("Line ") || problem.message().starts_with("The import "));
            return;
        }
    };
    assert!(drafts.len() <= MAX_IN_IMPORT);
    let mut object = String::from("{");
    for draft in &drafts {
        let value = draft.value.expose();
        assert!(value.len() <= text.len(), "a value is longer than the file");
        assert!(text.contains(value) || text.contains('\\'), "a value is neither in the file nor escaped");
        if object.len() > 1 {
            object.push(',');
        }
        object.extend(["\"", draft.name.as_str(), "\":"]);
        draft.value.write_json(&mut object);
    }
    object.push('}');
    // The use case rejects duplicate names, for both formats.
    let reparsed = from_json(&object, &settings).unwrap_or_else(|problem| panic!("{}", problem.message()));
    assert_eq!(reparsed.len(), drafts.len());
    for (one, other) in drafts.iter().zip(&reparsed) {
        assert!(one.name == other.name && one.value.expose() == other.value.expose());
    }
}
