//! A claim is sent only once, whatever its answer.

use real_clients::{Answer, CLAIM_TOKEN, Harness, Outcome, RUN_TOKEN, WORKFLOW, under_every_shell};
use serde_json::json;

fn claim_line() -> String {
    format!("POST /runs/{WORKFLOW}/claim")
}

/// Runs with this answer to the claim of a run that the script launched, or that was launched
/// elsewhere, and checks what is common to all failed claims.
fn fail(harness: &Harness, elsewhere: bool, answer: Answer) -> (Harness, Outcome) {
    let harness = Harness::like(harness);
    harness.service.next(&claim_line(), |_| answer);
    let mut command = harness.command(["--", "touch", "ran"]);
    if elsewhere {
        command
            .env("PIPELINE_SECRETS_WORKFLOW_ID", WORKFLOW)
            .env("PIPELINE_SECRETS_CLAIM_TOKEN", CLAIM_TOKEN)
            .env("PIPELINE_SECRETS_RUN_TOKEN", RUN_TOKEN);
    }
    let outcome = harness.finish(&mut command);
    assert_eq!(harness.service.count(&claim_line()), 1, "{outcome:?}");
    assert!(!harness.path("ran").exists() && harness.stores().is_empty(), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(!outcome.stderr.contains("canary"), "{outcome:?}");
    (harness, outcome)
}

#[test]
fn a_claim_with_a_lost_answer_is_not_retried() {
    under_every_shell(|harness| {
        for answer in [
            Answer::Lost,
            Answer::Cut(200, r#"[{"name":"A","value":"canary"}]"#.to_owned()),
            Answer::error(500, "broken"),
            Answer::error(503, "slow"),
            Answer::error(429, "busy"),
            Answer::Whole(200, r#"[{"name":"A","value":"cana"#.to_owned()),
            Answer::Whole(200, String::new()),
        ] {
            let (harness, outcome) = fail(harness, false, answer);
            assert_eq!(outcome.status, 75, "{outcome:?}");
            assert!(
                outcome.stderr.to_lowercase().contains("run this script again to launch a new run"),
                "{outcome:?}"
            );
            assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": outcome.status}));
        }
    });
}

#[test]
fn a_late_or_second_claim_is_reported_in_the_services_words_and_does_not_end_the_run() {
    under_every_shell(|harness| {
        for words in ["The run has ended. Launch it again.", "The claim token has already been used."] {
            let (harness, outcome) = fail(harness, true, Answer::error(410, words));
            assert_eq!(outcome.status, 77, "{outcome:?}");
            assert!(outcome.stderr.contains(words), "{outcome:?}");
            assert_eq!(harness.service.requests().len(), 1, "the other job's run must not be ended");
        }
    });
}

#[test]
fn an_unknown_run_is_reported_with_its_service() {
    under_every_shell(|harness| {
        let (harness, outcome) = fail(harness, true, Answer::error(404, "not found"));
        assert_eq!(outcome.status, 77, "{outcome:?}");
        assert!(
            outcome.stderr.contains(&format!("was it launched at {}", harness.service.endpoint())),
            "{outcome:?}"
        );
        assert_eq!(harness.service.requests().len(), 1);
    });
}

#[test]
fn a_run_launched_by_the_script_ends_when_its_claim_is_rejected() {
    under_every_shell(|harness| {
        for (status, message) in [(410, "gone"), (422, "NCBI_API_KEY has expired")] {
            let (harness, outcome) = fail(harness, false, Answer::error(status, message));
            assert_eq!(outcome.status, 77, "{outcome:?}");
            assert!(outcome.stderr.contains(message), "{outcome:?}");
            assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 77}));
        }
    });
}
