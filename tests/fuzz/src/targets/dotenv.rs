use domain::settings::Settings;
use domain::use_cases::create_secrets::MAX_IN_IMPORT;
use http_api::wire::imports::{from_dotenv, from_json};

/// A file is read as it stands, nothing in it evaluated, and what it says can be said as JSON; or a line is named.
pub fn run(data: &[u8]) {
    let text = super::text(data);
    let settings = Settings::new("test");
    let drafts = match from_dotenv(&text, &settings) {
        Ok(drafts) => drafts,
        Err(problem) => {
            super::one_line(problem.message());
            assert!(problem.message().starts_with("Line ") || problem.message().starts_with("An import "));
            return;
        }
    };
    assert!(drafts.len() <= MAX_IN_IMPORT);
    let mut object = String::from("{");
    for draft in &drafts {
        let value = draft.value.expose();
        assert!(value.len() <= text.len(), "nothing grows by being read");
        assert!(text.contains(value) || text.contains('\\'), "a value stands in the file as it is, or is escaped");
        if object.len() > 1 {
            object.push(',');
        }
        object.extend(["\"", draft.name.as_str(), "\":"]);
        draft.value.write_json(&mut object);
    }
    object.push('}');
    // A name that stands twice is refused by the use case, for both forms.
    let again = from_json(&object, &settings).unwrap_or_else(|problem| panic!("{}", problem.message()));
    assert_eq!(again.len(), drafts.len());
    for (one, other) in drafts.iter().zip(&again) {
        assert!(one.name == other.name && one.value.expose() == other.value.expose());
    }
}
