use super::*;
use crate::platform::Platform;
use crate::run::State;
use crate::testing::{name, of_workspace, run, value};

fn id() -> RunId {
    RunId::new("ab12ABCDEFGHIJ").unwrap()
}

fn sizes(list: &[(&str, usize)]) -> Vec<(SecretName, usize)> {
    list.iter().map(|(text, bytes)| (name(text), *bytes)).collect()
}

/// A case, the sizes of its secrets, and the expected copies.
type Case<'a> = (&'a str, &'a [(&'a str, usize)], Planned);

/// Copies by name, with the names of their secrets.
type Planned = Vec<(String, Vec<String>)>;

fn planned(layout: Layout, list: &[(&str, usize)]) -> Planned {
    let copies = plan(&id(), layout, &sizes(list));
    assert_eq!(count(layout, &sizes(list)), copies.len(), "a preview counts the copies that a launch makes");
    assert!(copies.iter().all(|copy| copy.arn.is_none()), "no copy has an ARN before it is made");
    copies.into_iter().map(|copy| (copy.name, copy.holds.iter().map(ToString::to_string).collect())).collect()
}

fn expected(list: &[(&str, &[&str])]) -> Planned {
    list.iter()
        .map(|(copy, holds)| ((*copy).to_owned(), holds.iter().map(|text| (*text).to_owned()).collect()))
        .collect()
}

#[test]
fn per_name_copies_are_named_after_run_and_secret() {
    assert_eq!(planned(Layout::PerName, &[]), []);
    assert_eq!(
        planned(Layout::PerName, &[("BB", 60_000), ("AA", 60_000)]),
        expected(&[("tower-ab12ABCDEFGHIJ/BB", &["BB"]), ("tower-ab12ABCDEFGHIJ/AA", &["AA"])])
    );
}

#[test]
fn a_bundle_is_as_few_copies_as_their_size_allows() {
    // An entry `"NAME":"value",` takes four bytes more than name and value. The braces take two.
    let fits = MAX_COPY_BYTES - 2;
    let one = "tower-ab12ABCDEFGHIJ";
    let (two, three) = ("tower-ab12ABCDEFGHIJ.2", "tower-ab12ABCDEFGHIJ.3");
    let cases: [Case<'_>; 6] = [
        ("nothing", &[], vec![]),
        ("all in one, by name", &[("BB", 10), ("AA", 20)], expected(&[(one, &["AA", "BB"])])),
        ("exactly full", &[("AA", fits - 6 - 106), ("BB", 100)], expected(&[(one, &["AA", "BB"])])),
        (
            "one byte over",
            &[("AA", fits - 6 - 105), ("BB", 100)],
            expected(&[(one, &["AA"]), (two, &["BB"])]),
        ),
        (
            "the largest first, then whatever fits",
            &[("A1", 30_000), ("A2", 40_000), ("A3", 50_000), ("A4", 10_000)],
            expected(&[(one, &["A3", "A4"]), (two, &["A2"]), (three, &["A1"])]),
        ),
        (
            "of one size by name",
            &[("CC", 40_000), ("BB", 40_000), ("AA", 20_000)],
            expected(&[(one, &["AA", "BB"]), (two, &["CC"])]),
        ),
    ];
    for (case, list, copies) in cases {
        assert_eq!(planned(Layout::Bundle, list), copies, "{case}");
    }
}

fn values(list: &[(&str, &str)]) -> BTreeMap<SecretName, SecretValue> {
    list.iter().map(|(text, content)| (name(text), value(content))).collect()
}

fn body_of(layout: Layout, holds: &[&str], list: &[(&str, &str)]) -> Result<String> {
    let holds = holds.iter().map(|text| name(text)).collect();
    let copy = RunCopy { name: "tower-ab12ABCDEFGHIJ".into(), arn: None, holds };
    body(layout, &copy, &values(list)).map(|text| text.as_str().to_owned())
}

#[test]
fn a_copy_per_name_holds_the_value_itself() {
    let list = [("AA", "one\n\"two\""), ("BB", "other")];
    assert_eq!(body_of(Layout::PerName, &["AA"], &list).unwrap(), "one\n\"two\"");
}

#[test]
fn a_bundle_is_a_json_object_of_strings_with_just_the_secrets_it_holds() {
    let list = [("AA", "7"), ("BB", "x\"y"), ("CC", "not in it")];
    assert_eq!(body_of(Layout::Bundle, &["AA", "BB"], &list).unwrap(), r#"{"AA":"7","BB":"x\"y"}"#);
    assert_eq!(body_of(Layout::Bundle, &["AA"], &list).unwrap(), r#"{"AA":"7"}"#);
}

#[test]
fn a_body_is_never_larger_than_a_secret_of_secrets_manager_may_be() {
    let long = |bytes: usize| "v".repeat(bytes);
    // Two entries, each with a name of 2 bytes, 2 quotes and 4 more bytes, and the braces.
    let rest = MAX_COPY_BYTES - 2 - 2 * 8 - 32_768;
    let holds = ["AA", "BB"];
    let full = body_of(Layout::Bundle, &holds, &[("AA", &long(32_768)), ("BB", &long(rest))]).unwrap();
    // The last entry has no comma.
    assert_eq!(full.len(), MAX_COPY_BYTES - 1);
    let over = body_of(Layout::Bundle, &holds, &[("AA", &long(32_768)), ("BB", &long(rest + 1))]);
    assert!(
        matches!(&over, Err(Error::Conflict(text)) if text.contains("changed during the launch")),
        "{over:?}"
    );
}

#[test]
fn a_copy_without_its_opened_value_is_a_bug() {
    for (layout, holds) in
        [(Layout::Bundle, &["AA", "NO"] as &[&str]), (Layout::PerName, &["NO"]), (Layout::PerName, &[])]
    {
        let outcome = body_of(layout, holds, &[("AA", "v")]);
        assert!(matches!(outcome, Err(Error::Bug { .. })), "{layout:?} {holds:?}: {outcome:?}");
    }
}

#[test]
fn a_job_refers_to_a_copy_or_to_a_key_of_a_bundle() {
    assert_eq!(value_from(Layout::PerName, "arn:copy", &name("AA")), "arn:copy");
    assert_eq!(value_from(Layout::Bundle, "arn:copy", &name("AA")), "arn:copy:AA::");
}

#[test]
fn the_tags_of_a_copy_name_deployment_scope_run_and_latest_end() {
    let mut run = run(Platform::AwsBatch, State::Provisioning);
    let tags = run.copy_tags("test");
    assert_eq!(
        tags,
        CopyTags {
            deployment: "test".into(),
            scope: of_workspace(),
            run: "ab12ABCDEFGHIJ".into(),
            not_after: run.not_after,
        }
    );
    run.workspace = None;
    let scope = run.copy_tags("test").scope;
    assert_eq!(scope, "USER#7".parse().unwrap(), "without a workspace the scope is the user's");
}

#[test]
fn tags_are_written_and_read_back_in_characters_that_aws_accepts() {
    for (scope, not_after, expected) in [
        (
            "WS#42",
            "2026-12-23T10:20:30.987654321Z",
            ["prod", "workspace/42", "ab12ABCDEFGHIJ", "2026-12-23T10:20:30Z"],
        ),
        ("USER#7", "2026-12-23T10:20:30Z", ["prod", "user/7", "ab12ABCDEFGHIJ", "2026-12-23T10:20:30Z"]),
    ] {
        let tags = CopyTags {
            deployment: "prod".into(),
            scope: scope.parse().unwrap(),
            run: "ab12ABCDEFGHIJ".into(),
            not_after: not_after.parse().unwrap(),
        };
        let written = tags.encode();
        let keys = ["deployment", "scope", "run", "not-after"].map(|key| format!("pipeline-secrets:{key}"));
        assert_eq!(written.each_ref().map(|(key, _)| (*key).to_owned()), keys);
        assert_eq!(written.each_ref().map(|(_, value)| value.as_str()), expected);
        let accepted =
            |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || " +-=._:/@".contains(c));
        assert!(written.iter().all(|(key, value)| accepted(key) && accepted(value)), "{written:?}");
        let found = FoundTags::decode(written.iter().map(|(key, value)| (*key, value.as_str())));
        let whole = Timestamp::from_second(tags.not_after.as_second()).unwrap();
        let expected = FoundTags {
            deployment: Some(tags.deployment),
            scope: Some(tags.scope),
            run: Some(tags.run),
            not_after: Some(whole),
        };
        assert_eq!(found, expected);
    }
}

#[test]
fn other_and_malformed_tags_are_ignored() {
    let scope = |value: &str| FoundTags::decode([("pipeline-secrets:scope", value)]).scope;
    for value in [
        "",
        "42",
        "workspace",
        "workspace/",
        "workspace/0",
        "workspace/x",
        "Workspace/42",
        "WS#42",
        "user/1/2",
    ] {
        assert_eq!(scope(value), None, "{value:?}");
    }
    let other =
        [("deployment", "prod"), ("Pipeline-Secrets:run", "x"), ("pipeline-secrets:not-after", "soon")];
    assert_eq!(FoundTags::decode(other), FoundTags::default());
}
