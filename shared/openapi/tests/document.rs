//! The document is up to date, complete and consistent.

use std::collections::BTreeSet;
use std::path::Path;

use domain::secret::Description;
use http_api::Operation;
use serde_json::{Value, json};

#[test]
fn the_checked_in_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(checked_in == openapi::text(), "docs/openapi.json is out of date: run cargo run -p openapi");
}

#[test]
fn the_document_contains_every_operation_once() {
    let document = openapi::document();
    let mut ids = BTreeSet::new();
    for methods in document["paths"].as_object().unwrap().values() {
        for entry in methods.as_object().unwrap().values() {
            assert!(ids.insert(entry["operationId"].as_str().unwrap().to_owned()));
        }
    }
    assert_eq!(ids, Operation::ALL.iter().map(|operation| operation.id().to_owned()).collect());
}

#[test]
fn the_pattern_of_a_description_refuses_the_characters_that_the_service_refuses() {
    let document = openapi::document();
    let body = &document["paths"]["/pipeline-secrets"]["post"]["requestBody"]["content"]["application/json"]
        ["schema"];
    let pattern = json!({"pattern": body["properties"]["description"]["pattern"]});
    let pattern = jsonschema::validator_for(&pattern).unwrap();
    for character in '\0'..='\u{ffff}' {
        let text = format!("a{character}b");
        let taken = Description::new(&text).is_ok();
        assert_eq!(pattern.is_valid(&json!(text)), taken, "{:?}", character.escape_unicode().to_string());
    }
}

#[test]
fn every_reference_resolves_and_every_component_is_used() {
    let document = openapi::document();
    let mut references = BTreeSet::new();
    visit(&document, &mut |value| {
        if let Some(reference) = value["$ref"].as_str() {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            references.insert(reference.to_owned());
        }
    });
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(references.contains(&reference), "{reference} is not used");
        }
    }
}

#[test]
fn every_example_of_an_answer_conforms_to_its_schema() {
    let document = openapi::document();
    for operation in Operation::ALL {
        let answers = &document["paths"][operation.path()][operation.method().to_lowercase()]["responses"];
        for (status, answer) in answers.as_object().unwrap() {
            let answer = match answer["$ref"].as_str() {
                Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
                None => answer,
            };
            let example = &answer["content"]["application/json"]["example"];
            assert_eq!(openapi::conforms(*operation, status.parse().unwrap(), example), Ok(()));
        }
    }
}

#[test]
fn every_example_of_a_body_conforms_to_its_schema() {
    let document = openapi::document();
    for operation in Operation::ALL {
        let entry = &document["paths"][operation.path()][operation.method().to_lowercase()];
        let body = &entry["requestBody"]["content"]["application/json"];
        let schema = json!({"allOf": [body["schema"]], "components": document["components"]});
        let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema);
        if !body.is_null() {
            assert_eq!(validator.unwrap().validate(&body["example"]).map_err(|e| e.to_string()), Ok(()));
        }
    }
}

#[test]
fn the_query_parameters_are_those_that_the_operation_knows() {
    let document = openapi::document();
    for operation in Operation::ALL {
        let entry = &document["paths"][operation.path()][operation.method().to_lowercase()];
        let parameters = entry["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        let queries = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let described: BTreeSet<_> = queries
            .filter_map(|parameter| parameter["name"].as_str())
            .filter(|name| *name != "workspaceId")
            .collect();
        assert_eq!(described, operation.query().iter().copied().collect(), "{}", operation.id());
    }
}

/// An HTTP API can answer a refused token only with 403, so clients tell it from a role by the
/// body. The matrix of `tests/end-to-end` checks that the service does so.
#[test]
fn a_refused_token_and_a_forbidden_action_are_told_apart() {
    let forbidden = &openapi::document()["components"]["responses"]["Forbidden"];
    let description = forbidden["description"].as_str().unwrap();
    assert!(description.contains(r#"the body is exactly `{"message":"Forbidden"}`"#), "{description}");
    let example = &forbidden["content"]["application/json"]["example"]["message"];
    assert!(example.as_str().is_some_and(|text| text.contains("Required role")), "{example}");
}

/// A field that is not required narrows or restricts what the operation does, or is harmless: its
/// absence is described here, so that a new field gets a decision.
#[test]
fn every_optional_field_of_a_body_is_decided() {
    let decided = BTreeSet::from([
        "AddParticipant.memberId",        // one of the two is required
        "AddParticipant.userNameOrEmail", // one of the two is required
        "AddParticipant.role",            // the lowest role
        "CreateComputeEnv.labelIds",      // must be empty
        "CreatePipelineSecret.description",
        "CreatePipelineSecret.expires", // null and absent: no expiry
        // Absent: the limits of the caller's token; without limits there, MaxTokenDays and none.
        "CreateToken.expires",
        "CreateToken.scope",
        "CreateToken.workspaceId",
        "EndRun.exitStatus",
        "LaunchRun.computeEnvId", // null and absent: the account of the deployment
        "LaunchRun.layout",
        "LaunchRun.optional",         // null and absent: no secret may be missing
        "LaunchRun.report",           // null and absent: no variables for reports
        "LaunchRun.userSecrets",      // absent: all; null is refused
        "LaunchRun.workspaceSecrets", // absent: all; null is refused
        "PreviewLaunch.computeEnvId", // as for a launch
        "PreviewLaunch.layout",
        "PreviewLaunch.optional",
        "PreviewLaunch.report", // no effect
        "PreviewLaunch.userSecrets",
        "PreviewLaunch.workspaceSecrets",
        "UpdateComputeEnv.credentialsId",   // null and absent: unchanged
        "UpdateComputeEnv.description",     // null and absent: unchanged
        "UpdateComputeEnv.name",            // null and absent: unchanged
        "UpdatePipelineSecret.description", // absent: unchanged; null removes it
        "UpdatePipelineSecret.expires",     // absent: unchanged; null removes it
    ]);
    let document = openapi::document();
    let mut optional = BTreeSet::new();
    for operation in Operation::ALL
        .iter()
        .filter(|it| it.function() != http_api::operation::Function::ReportRun || it.id() == "EndRun")
    {
        let entry = &document["paths"][operation.path()][operation.method().to_lowercase()];
        let schema = &entry["requestBody"]["content"]["application/json"]["schema"];
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        for name in schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys()) {
            if !required.iter().any(|it| it == name) {
                optional.insert(format!("{}.{name}", operation.id()));
            }
        }
    }
    assert_eq!(optional, decided.into_iter().map(str::to_owned).collect());
}

#[test]
fn every_operation_lists_its_errors() {
    for operation in Operation::ALL {
        let document = openapi::document();
        let entry = &document["paths"][operation.path()][operation.method().to_lowercase()];
        let answers = entry["responses"].as_object().unwrap();
        for status in ["429", "500", "503"] {
            assert!(answers.contains_key(status), "{} lacks {status}", operation.id());
        }
        assert!(!entry["summary"].as_str().unwrap().is_empty());
        let body = &entry["requestBody"]["content"]["application/json"];
        assert!(body.is_null() || !body["example"].is_null(), "{} lacks an example", operation.id());
    }
}

fn visit(value: &Value, see: &mut impl FnMut(&Value)) {
    see(value);
    match value {
        Value::Object(map) => map.values().for_each(|value| visit(value, see)),
        Value::Array(list) => list.iter().for_each(|value| visit(value, see)),
        _ => {}
    }
}
