//! A proxy, a login page or a captive portal answers instead of the service.

use std::fs;

use real_clients::{Answer, Harness, Run, WORKFLOW, under_every_shell};

const PAGE: &str =
    "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>{\"message\":\"\"}</body></html>\n";
const NOT_THE_SERVICE: &str = "did not answer as the service";

/// Answers with any status that are not the service's.
fn pages() -> Vec<(u16, &'static str)> {
    let mut pages: Vec<_> =
        [200, 202, 204, 302, 307, 403, 404, 407, 410, 511].iter().map(|status| (*status, PAGE)).collect();
    pages.extend([
        (200, ""),
        (200, "{}"),
        (200, "ok\n"),
        (200, r#"{"message":"maintenance"}"#),
        (302, ""),
        (403, ""),
    ]);
    pages.extend([(200, "<html><body>state=running"), (200, "workflow")]);
    pages
}

#[test]
fn a_page_instead_of_a_launch_is_not_the_service() {
    under_every_shell(|harness| {
        for (status, page) in pages() {
            let harness = Harness::like(harness);
            harness.service.always("POST /launches", status, page);
            let outcome = harness.run("touch ran");
            assert_eq!(outcome.status, 69, "{status} {page}: {outcome:?}");
            assert!(outcome.stderr.contains(NOT_THE_SERVICE), "{status} {page}: {outcome:?}");
            assert!(outcome.stderr.contains(&format!("status {status}")), "{outcome:?}");
            assert!(!harness.path("ran").exists() && harness.stores().is_empty());
        }
    });
}

#[test]
fn a_page_instead_of_a_claim_is_not_the_service() {
    under_every_shell(|harness| {
        for (status, page) in pages() {
            let harness = Harness::like(harness);
            harness.service.always(&format!("POST /runs/{WORKFLOW}/claim"), status, page);
            let outcome = harness.run("touch ran");
            let expected = if status == 200 && page.is_empty() || status == 511 { 75 } else { 69 };
            assert_eq!(outcome.status, expected, "{status} {page}: {outcome:?}");
            assert!(expected == 75 || outcome.stderr.contains(NOT_THE_SERVICE), "{outcome:?}");
            assert!(!harness.path("ran").exists() && harness.stores().is_empty());
            assert_eq!(harness.service.end()["success"], false);
        }
    });
}

#[test]
fn a_page_is_neither_a_heartbeat_nor_an_end() {
    under_every_shell(|harness| {
        for (status, page) in [(200, PAGE), (200, ""), (204, ""), (302, PAGE), (200, r#"{"message":"ok"}"#)] {
            let harness = Harness::like(harness);
            let heartbeat = format!("POST /runs/{WORKFLOW}/heartbeat");
            harness.service.always(&heartbeat, status, page);
            harness.service.always(&format!("POST /runs/{WORKFLOW}/end"), status, page);
            let mut command =
                harness.command(["--", "sh", "-c", "until [ -e may-end ]; do sleep 0.05; done"]);
            let run = Run::start(command.env("PIPELINE_SECRETS_HEARTBEAT_SECONDS", "1"));
            harness.service.wait_for(&heartbeat, 3);
            fs::write(harness.path("may-end"), "").expect("a file");
            let outcome = run.finish();
            assert_eq!(outcome.status, 0, "{outcome:?}");
            assert_eq!(outcome.stderr.matches("; the command continues").count(), 1, "{outcome:?}");
            assert!(
                outcome.stderr.contains(&format!("the end of run {WORKFLOW} was not reported")),
                "{outcome:?}"
            );
        }
    });
}

#[test]
fn a_launch_file_without_a_launch_says_what_it_contains() {
    under_every_shell(|harness| {
        for (content, status, words) in [
            (
                r#"{"message":"The launch is refused: there is no user secret A."}"#,
                77,
                "there is no user secret A.",
            ),
            (PAGE, 69, "does not contain an answer of the service"),
            ("curl: (6) Could not resolve host\n", 69, "does not contain an answer of the service"),
            ("", 64, "is empty"),
            (r#"{"workflowId":"a","claimToken":"b","runToken":"c"}"#, 64, "launch with Accept: text/plain"),
            ("workflowId=a\nstate=running\n", 64, "launch with Accept: text/plain"),
            ("workflowId=a\r\nclaimToken=b\r\nrunToken=c\r\n", 64, "Windows line endings"),
        ] {
            let file = harness.write_private("launch", content);
            let path = file.to_str().expect("a path");
            let outcome = harness.finish(&mut harness.command(["--launch-file", path, "--", "touch", "ran"]));
            assert_eq!(outcome.status, status, "{outcome:?}");
            assert!(outcome.stderr.contains(words) && outcome.stderr.contains(path), "{outcome:?}");
            assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        }
        assert!(harness.service.requests().is_empty() && !harness.path("ran").exists());
    });
}

#[test]
fn a_truncated_page_is_a_lost_answer() {
    under_every_shell(|harness| {
        harness.service.next("POST /launches", |_| Answer::Cut(200, PAGE.to_owned()));
        assert_eq!(harness.run("true").status, 0);
    });
}
