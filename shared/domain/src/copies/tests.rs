use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::platform::Platform;
use crate::run::State;
use crate::testing::{Repeating, name, of_workspace, run, values};

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

#[test]
fn the_plugin_has_the_copies_of_a_bundle_and_the_store() {
    // An entry `{"name":"NAME","value":"value"},` takes 21 bytes more than name and value. The
    // store takes 77: brackets, and an entry with 22 bytes, a name of 21 and a value of 32.
    let fits = MAX_COPY_BYTES - 77;
    let (bundle, second, third) =
        ("tower-ab12ABCDEFGHIJ", "tower-ab12ABCDEFGHIJ.2", "tower-ab12ABCDEFGHIJ.3");
    let one = "tower-ab12ABCDEFGHIJ.nextflow";
    let (two, three) = ("tower-ab12ABCDEFGHIJ.nextflow.2", "tower-ab12ABCDEFGHIJ.nextflow.3");
    let cases: [Case<'_>; 5] = [
        ("no secrets, no store", &[], vec![]),
        (
            "one of each",
            &[("BB", 10), ("AA", 20)],
            expected(&[(bundle, &["AA", "BB"]), (one, &["AA", "BB"])]),
        ),
        (
            "a full fragment",
            &[("AA", fits - 23 - 123), ("BB", 100)],
            expected(&[(bundle, &["AA", "BB"]), (one, &["AA", "BB"])]),
        ),
        (
            "one byte over, in the store only",
            &[("AA", fits - 23 - 122), ("BB", 100)],
            expected(&[(bundle, &["AA", "BB"]), (one, &["AA"]), (two, &["BB"])]),
        ),
        (
            "as many fragments as shards",
            &[("AA", 60_000), ("BB", 60_000), ("CC", 60_000)],
            expected(&[
                (bundle, &["AA"]),
                (second, &["BB"]),
                (third, &["CC"]),
                (one, &["AA"]),
                (two, &["BB"]),
                (three, &["CC"]),
            ]),
        ),
    ];
    for (case, list, copies) in cases {
        assert_eq!(planned(Layout::Plugin, list), copies, "{case}");
        let plan = plan(&id(), Layout::Plugin, &sizes(list));
        let is_named_so = |copy: &RunCopy| copy.name.contains(".nextflow") == copy.store;
        assert!(plan.iter().all(is_named_so), "{case}: the fragments of the store are marked");
    }
}

#[test]
fn every_copy_has_its_own_name_below_the_runs_id() {
    let sizes = sizes(&[("NEXTFLOW", 60_000), ("nextflow_2", 60_000), ("_2", 60_000)]);
    let plans = [Layout::Plugin, Layout::PerName].map(|layout| plan(&id(), layout, &sizes));
    let names: BTreeSet<_> = plans.iter().flatten().map(|copy| copy.name.as_str()).collect();
    assert_eq!(names.len(), 9);
    // The `Resource` of the IAM statements.
    assert!(names.iter().all(|name| name.starts_with("tower-ab12ABCDEFGHIJ")), "{names:?}");
}

#[test]
fn the_head_job_makes_its_store_of_the_copies_per_name_or_of_the_fragments() {
    let sizes = sizes(&[("AA", 60_000), ("BB", 60_000)]);
    for (layout, expected) in [
        (Layout::Bundle, &[][..]),
        (Layout::PerName, &["tower-ab12ABCDEFGHIJ/AA", "tower-ab12ABCDEFGHIJ/BB"]),
        (Layout::Plugin, &["tower-ab12ABCDEFGHIJ.nextflow", "tower-ab12ABCDEFGHIJ.nextflow.2"]),
    ] {
        let plan = plan(&id(), layout, &sizes);
        let names: Vec<_> = of_store(layout, &plan).map(|copy| copy.name.as_str()).collect();
        assert_eq!(names, expected, "{layout}");
        assert_eq!(of_store(layout, &[]).count(), 0, "{layout}");
    }
}

#[test]
fn a_row_marks_the_copies_of_the_store_only() {
    for (store, row) in [
        (false, json!({ "name": "tower-a", "arn": null, "holds": ["AA"] })),
        (true, json!({ "name": "tower-a", "arn": null, "holds": ["AA"], "store": true })),
    ] {
        let copy = RunCopy { name: "tower-a".into(), arn: None, holds: vec![name("AA")], store };
        assert_eq!(serde_json::to_value(&copy).unwrap(), row);
        assert_eq!(serde_json::from_value::<RunCopy>(row).unwrap(), copy, "{store}");
    }
}

fn body_of(layout: Layout, holds: &[&str], list: &[(&str, &str)]) -> Result<String> {
    let holds = holds.iter().map(|text| name(text)).collect();
    let copy = RunCopy { name: "tower-ab12ABCDEFGHIJ".into(), arn: None, holds, store: false };
    body(layout, &[copy], 0, &values(list), &Repeating(0x11)).map(|text| text.as_str().to_owned())
}

/// Names and values.
type Values<'a> = &'a [(&'a str, &'a str)];

/// The bodies of all copies of a run with these values, planned from the sizes of their classes.
fn bodies(layout: Layout, list: &[(&str, &str)]) -> (Vec<RunCopy>, Vec<String>) {
    let values = values(list);
    let sizes: Vec<_> =
        values.iter().map(|(name, value)| (name.clone(), value.properties().json_bytes)).collect();
    let copies = plan(&id(), layout, &sizes);
    let body = |index| body(layout, &copies, index, &values, &Repeating(0x11)).unwrap().as_str().to_owned();
    let bodies = (0..copies.len()).map(body).collect();
    (copies, bodies)
}

#[test]
fn the_fragments_in_order_are_nextflows_store() {
    let (large, half) = ("x".repeat(32_768), "y".repeat(16_384));
    let cases: [(&str, Values<'_>, usize); 4] = [
        ("one secret", &[("AA", "1")], 1),
        ("values of every kind", &[("AA", "a\"b\n"), ("BB", "é\u{2028}"), ("CC", "[]")], 1),
        ("two fragments", &[("AA", &large), ("BB", &half), ("CC", &large)], 2),
        (
            "four fragments",
            &[("AA", &large), ("BB", &large), ("CC", &large), ("DD", &half), ("EE", &large)],
            4,
        ),
    ];
    for (case, list, fragments) in cases {
        let (copies, bodies) = bodies(Layout::Plugin, list);
        assert!(bodies.iter().all(|body| body.len() <= MAX_COPY_BYTES), "{case}");
        let of_store = copies.iter().zip(&bodies).filter(|(copy, _)| copy.store);
        let texts: Vec<_> = of_store.map(|(_, body)| body.as_str()).collect();
        assert_eq!(texts.len(), fragments, "{case}");
        // A shell adds a line break after each fragment.
        for text in [texts.concat(), texts.join("\n")] {
            let mut entries: Vec<Value> = serde_json::from_str(&text).unwrap();
            let salt = json!({ "name": "PIPELINE_SECRETS_SALT", "value": "1".repeat(32) });
            assert_eq!(entries.pop(), Some(salt), "{case}");
            entries.sort_by_key(|entry| entry["name"].as_str().map(str::to_owned));
            let expected: Vec<_> =
                list.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
            assert_eq!(entries, expected, "{case}");
        }
        if fragments == 1 {
            assert_eq!(
                texts.concat(),
                *nextflow_store::store(&values(list), &Repeating(0x11)),
                "{case}: as a claim delivers it"
            );
        }
    }
}

#[test]
fn a_bundle_of_the_plugin_is_that_of_the_bundle() {
    let (large, list) = ("x".repeat(32_768), ["AA", "BB", "CC"]);
    let list = list.map(|name| (name, large.as_str()));
    let (plugin, plugin_bodies) = bodies(Layout::Plugin, &list);
    let (bundle, bundle_bodies) = bodies(Layout::Bundle, &list);
    assert_eq!(plugin[..bundle.len()], bundle);
    assert_eq!(plugin_bodies[..bundle.len()], bundle_bodies);
}

#[test]
fn a_fragment_of_the_largest_value_fits_and_a_value_that_grew_is_a_conflict() {
    let widest = "\u{1}".repeat(9_999);
    let longest_name = "A".repeat(SecretName::MAX_LENGTH);
    let (_, bodies) = bodies(Layout::Plugin, &[(&longest_name, &widest)]);
    assert!(bodies.iter().all(|body| body.len() <= MAX_COPY_BYTES));

    let copies = plan(&id(), Layout::Plugin, &sizes(&[("AA", 32_768), ("BB", 30_000)]));
    for (bytes, fits) in [(32_642, true), (32_643, false)] {
        // Both values have quotes; each entry has 23 bytes more with its name, the store 77.
        let values = values(&[("AA", &"a".repeat(bytes)), ("BB", &"b".repeat(32_767))]);
        let body = body(Layout::Plugin, &copies, 1, &values, &Repeating(0x11)).map(|text| text.len());
        match fits {
            true => assert_eq!(body.unwrap(), MAX_COPY_BYTES),
            false => assert!(matches!(body, Err(Error::Conflict(_))), "{body:?}"),
        }
    }
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
    assert_eq!(value_from(Layout::Plugin, "arn:copy", &name("AA")), "arn:copy:AA::");
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
