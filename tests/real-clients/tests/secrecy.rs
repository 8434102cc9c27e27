//! Tokens and values appear only where they must.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use real_clients::{
    Answer, CLAIM_TOKEN, Harness, RUN_TOKEN, STORE, USER_TOKEN, WORKFLOW, set_mode, under_every_shell,
};

/// The texts that must not be visible: tokens, and the mark in each value of the store.
const HIDDEN: [&str; 4] = [USER_TOKEN, CLAIM_TOKEN, RUN_TOKEN, "canary"];

fn holds_hidden(text: &str) -> bool {
    HIDDEN.iter().any(|hidden| text.contains(hidden))
}

/// Returns the arguments of every process, and the environments of this harness's processes.
fn visible_now(home: &str) -> Vec<String> {
    let mut visible = Vec::new();
    for process in fs::read_dir("/proc").expect("/proc").flatten() {
        let read = |name: &str| {
            fs::read(process.path().join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        visible.extend(read("cmdline"));
        visible.extend(read("environ").into_iter().filter(|environment| environment.contains(home)));
    }
    visible
}

#[test]
fn no_argument_or_environment_shows_a_token_or_a_value_during_requests() {
    under_every_shell(|harness| {
        let home = harness.home.path().to_str().expect("a path").to_owned();
        let visible = Arc::new(Mutex::new(Vec::new()));
        for line in
            ["POST /launches", &format!("POST /runs/{WORKFLOW}/claim"), &format!("POST /runs/{WORKFLOW}/end")]
        {
            let (visible, home) = (Arc::clone(&visible), home.clone());
            let answer = match line.rsplit('/').next() {
                Some("launches") => {
                    format!("workflowId={WORKFLOW}\nrunToken={RUN_TOKEN}\nclaimToken={CLAIM_TOKEN}\n")
                }
                Some("claim") => STORE.to_owned(),
                _ => format!("workflowId={WORKFLOW}\nstate=ended\n"),
            };
            harness.service.next(line, move |_| {
                visible.lock().expect("a list").extend(visible_now(&home));
                Answer::Whole(200, answer)
            });
        }
        let outcome = harness.run("env; tr '\\0' '\\n' </proc/$$/environ; cat /proc/$$/cmdline");
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(!holds_hidden(&outcome.stdout) && !holds_hidden(&outcome.stderr), "{outcome:?}");
        let visible = visible.lock().expect("a list");
        assert!(
            visible.iter().any(|text| text.contains("curl\0-q\0--config\0-")),
            "curl was not running: {visible:?}"
        );
        assert!(visible.iter().any(|text| text.contains(&format!("HOME={home}"))), "no environment was read");
        assert!(!visible.iter().any(|text| holds_hidden(text)), "{visible:?}");
    });
}

#[test]
fn tokens_from_the_environment_do_not_reach_the_command() {
    under_every_shell(|harness| {
        let mut command = harness.command(["--", "env"]);
        command
            .env_remove("PIPELINE_SECRETS_TOKEN_FILE")
            .env("PIPELINE_SECRETS_TOKEN", USER_TOKEN)
            .env("TOWER_ACCESS_TOKEN", USER_TOKEN)
            .env("PIPELINE_SECRETS_WORKFLOW_ID", WORKFLOW)
            .env("PIPELINE_SECRETS_CLAIM_TOKEN", CLAIM_TOKEN)
            .env("PIPELINE_SECRETS_RUN_TOKEN", RUN_TOKEN);
        let outcome = harness.finish(&mut command);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(!holds_hidden(&outcome.stdout), "{outcome:?}");
    });
}

#[test]
fn exported_variables_of_the_same_name_do_not_leak_tokens() {
    under_every_shell(|harness| {
        let script = fs::read_to_string(real_clients::script()).expect("the script");
        let mut command = harness.command(["--", "env"]);
        // Every word of the script that could be a variable.
        for word in
            script.split(|c: char| !c.is_ascii_lowercase() && c != '_').filter(|word| !word.is_empty())
        {
            command.env(word, "exported");
        }
        let outcome = harness.finish(&mut command);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(!holds_hidden(&outcome.stdout), "{outcome:?}");
    });
}

#[test]
fn tracing_shows_no_token() {
    under_every_shell(|harness| {
        let mut command = harness.command(["--", "env"]);
        command.env("SHELLOPTS", "allexport:xtrace:verbose");
        let outcome = harness.finish(&mut command);
        assert!(!holds_hidden(&outcome.stdout) && !holds_hidden(&outcome.stderr), "{outcome:?}");
    });
}

#[test]
fn the_users_curl_settings_cannot_make_it_write_a_trace() {
    under_every_shell(|harness| {
        let trace = harness.path("trace");
        fs::write(harness.path(".curlrc"), format!("trace-ascii = \"{}\"\nverbose\n", trace.display()))
            .expect("a file");
        let outcome = harness.run("true");
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(!trace.exists() && !holds_hidden(&outcome.stderr), "{outcome:?}");
    });
}

#[test]
fn no_token_or_value_is_left_in_any_file() {
    under_every_shell(|harness| {
        let outcome = harness.run("cat $NXF_SECRETS_FILE >/dev/null; exit 3");
        assert_eq!(outcome.status, 3, "{outcome:?}");
        fs::remove_file(harness.path("token")).expect("the token file");
        assert_eq!(files_with_hidden(harness.home.path()), Vec::<String>::new());
    });
}

fn files_with_hidden(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        if entry.path().is_dir() {
            found.extend(files_with_hidden(&entry.path()));
        } else if fs::read(entry.path()).is_ok_and(|bytes| holds_hidden(&String::from_utf8_lossy(&bytes))) {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

#[test]
fn a_token_file_accessible_by_others_is_rejected() {
    under_every_shell(|harness| {
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644] {
            set_mode(&harness.path("token"), mode);
            let outcome = harness.run("true");
            assert_eq!(outcome.status, 64, "{mode:o}: {outcome:?}");
            assert!(outcome.stderr.contains("chmod 600"), "{outcome:?}");
        }
        for mode in [0o600, 0o400] {
            set_mode(&harness.path("token"), mode);
            let accepted = harness.run("true");
            assert!(accepted.status != 64, "{mode:o}: {accepted:?}");
        }
    });
}

#[test]
fn a_malformed_token_is_rejected_without_being_printed_or_sent() {
    under_every_shell(|harness| {
        for content in ["", "\n", "two words", "quote\"d", "new\\nline", "$(id)", "\u{e9}", "a\r\n"] {
            fs::write(harness.path("token"), content).expect("the token file");
            let outcome = harness.run("true");
            assert_eq!(outcome.status, 64, "{content:?}: {outcome:?}");
            assert!(content.trim().len() < 4 || !outcome.stderr.contains(content.trim()), "{outcome:?}");
            assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        }
        assert!(harness.service.requests().is_empty());
    });
}

#[test]
fn tokens_are_sent_over_plain_http_only_to_loopback() {
    under_every_shell(|harness| {
        let port = harness.service.endpoint().rsplit(':').next().expect("a port").to_owned();
        let sends =
            |endpoint: &str| harness.finish(&mut harness.command(["--endpoint", endpoint, "--", "true"]));
        for host in [
            "127.0.0.1.example",
            "localhost.example",
            "example",
            "127.1",
            "0.0.0.0",
            "localhost@example",
            "10.0.0.1",
            "[::2]",
            "",
        ] {
            let outcome = sends(&format!("http://{host}:{port}"));
            assert_eq!(outcome.status, 64, "{host}: {outcome:?}");
        }
        for endpoint in [
            "ftp://127.0.0.1",
            "127.0.0.1",
            "http://",
            "https://",
            "http:/127.0.0.1",
            "https://a b",
            "https://a\"b",
        ] {
            let outcome = sends(endpoint);
            assert_eq!(outcome.status, 64, "{endpoint}: {outcome:?}");
        }
        assert!(harness.service.requests().is_empty());
        for host in ["127.0.0.1", "localhost", "a1b2.execute-api.localhost"] {
            let harness = Harness::like(harness);
            let port = harness.service.endpoint().rsplit(':').next().expect("a port").to_owned();
            let mut command =
                harness.command(["--endpoint", &format!("http://{host}:{port}/"), "--", "true"]);
            // Requests to loopback must bypass proxies.
            let outcome = harness.finish(
                command.env("http_proxy", "http://127.0.0.1:9").env("all_proxy", "http://127.0.0.1:9"),
            );
            assert_eq!(outcome.status, 0, "{host}: {outcome:?}");
            assert_eq!(harness.service.requests()[0].header("host"), format!("{host}:{port}"));
        }
    });
}

#[test]
fn wrong_usage_is_reported_without_any_request() {
    under_every_shell(|harness| {
        let cases: [(&[&str], i32, &str); 14] = [
            (&[], 64, "no command given"),
            (&["--"], 64, "no command given"),
            (&["--workspace"], 64, "--workspace needs a value"),
            (&["--workspace", "demo", "--", "true"], 64, "must be a number"),
            (&["--token", USER_TOKEN, "--", "true"], 64, "unknown option --token"),
            (&["--workspace=42", "--", "true"], 64, "unknown option --workspace;"),
            (&["--platform", "pbs", "--", "true"], 64, "unknown platform"),
            (&["--optional", "A,B;C", "--", "true"], 64, "lists of secrets"),
            (&["--endpoint", "", "--", "true"], 64, "--endpoint needs a value"),
            (&["--token-file", "absent", "--", "true"], 64, "absent cannot be read"),
            (&["--token-file", "/", "--", "true"], 64, "/ cannot be read"),
            (&["--launch-file", "token", "--", "true"], 69, "does not contain an answer of the service"),
            (&["--", "no-such-command", "run"], 127, "no such command: no-such-command"),
            (&["--report", "--", "true", "-with-tower", "x"], 64, "leave it out"),
        ];
        for (arguments, status, message) in cases {
            let outcome = harness.finish(&mut harness.command(arguments));
            assert_eq!(outcome.status, status, "{arguments:?}: {outcome:?}");
            assert!(outcome.stderr.contains(message), "{arguments:?}: {outcome:?}");
            assert!(!outcome.stderr.contains(USER_TOKEN), "{outcome:?}");
            assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        }
        assert!(harness.service.requests().is_empty() && harness.stores().is_empty());
    });
}
