//! Head jobs in a pod: the Secret of the run, the config with the pod settings of the site, and
//! every refusal. The API server is `tests/kubernetes/stand_in.py`, which
//! `tests/kubernetes/compare.py` compares with a real one. Nextflow is a small program that notes
//! what it gets.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use real_clients::{
    Answer, CLAIM_TOKEN, Harness, Outcome, RUN_TOKEN, USER_TOKEN, WORKFLOW, under_every_shell, wait_until,
};
use serde_json::{Value, json};

const SECRET: &str = "tower-a1b2xyz0123456";
const CLUSTER_TOKEN: &str = "stand-in.token_of-the-service-account";

/// Prints the config in the file `flat`, and copies what it gets for a run.
const NEXTFLOW: &str = r#"#!/bin/sh
for word in "$@"; do
  case $word in config) cat "$HOME/flat" && exit; echo 'no such profile' >&2; exit 1 ;; esac
done
printf '%s|' "$@" >"$HOME/arguments"
env | grep -e canary -e stand-in.token >"$HOME/leaked"
cp "$NXF_SECRETS_FILE" "$HOME/store"
while [ $# -gt 1 ]; do shift; done
cp "$1" "$HOME/config"
exit "$(cat "$HOME/status" 2>/dev/null || echo 0)"
"#;

/// Notes the arguments of every call.
const CURL: &str =
    "#!/bin/sh\nprintf '%s|' \"$@\" >>\"$HOME/curl.calls\"\nPATH=${PATH#*:} exec curl \"$@\"\n";

/// An API server, and a directory for stores in memory.
struct Cluster {
    harness: Harness,
    server: Child,
    memory: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Cluster {
    fn new(like: &Harness) -> Self {
        let harness = Harness::like(like);
        harness.write_program("nextflow", NEXTFLOW);
        harness.write_program("curl", CURL);
        harness.write_private("flat", "process.executor = 'k8s'\n");
        harness.service.next(&claim_line(), |_| Answer::Whole(200, claim_text(&values())));
        let directory = harness.path("cluster");
        fs::create_dir(&directory).expect("a directory of the cluster");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kubernetes/stand_in.py");
        let server = Command::new("python3")
            .arg("-B")
            .arg(program)
            .arg(&directory)
            .stderr(Stdio::null())
            .spawn()
            .expect("python3");
        wait_until("the API server is ready", || directory.join("port").exists());
        let memory = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
        Self { harness, server, memory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.harness.path("cluster").join(name)
    }

    fn command(&self, options: &[&str]) -> Command {
        let words = ["--", "nextflow", "run", "main.nf", "-c", "site.config"];
        let mut command =
            self.harness.command(["--platform", "kubernetes"].iter().chain(options).chain(&words));
        command
            .env("PIPELINE_SECRETS_DIR", self.memory.path().join("runs"))
            .env("PIPELINE_SECRETS_SERVICE_ACCOUNT", self.path("account"))
            .env("PIPELINE_SECRETS_POD_NAME", "head-x7k2p")
            .env("PIPELINE_SECRETS_POD_UID", "0f6c1c2e-0000-4000-8000-5b7b0a6d0001")
            .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            .env("KUBERNETES_SERVICE_PORT", fs::read_to_string(self.path("port")).expect("a port"))
            .env("https_proxy", "http://127.0.0.1:9");
        command
    }

    fn run(&self) -> Outcome {
        self.harness.finish(&mut self.command(&[]))
    }

    fn secrets(&self) -> Value {
        let text = fs::read_to_string(self.path("secrets.json")).unwrap_or("{}".to_owned());
        serde_json::from_str(&text).expect("JSON")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.harness.path(name)).unwrap_or_default()
    }

    fn left(&self) -> usize {
        fs::read_dir(self.memory.path().join("runs")).map_or(0, Iterator::count)
    }
}

fn claim_line() -> String {
    format!("POST /runs/{WORKFLOW}/claim")
}

/// One value that Nextflow's store carries, and one with what it does not.
fn values() -> Vec<(String, String)> {
    vec![
        ("LINES".to_owned(), "canary \"1\"\n$(`canary`)\\ é\u{1}\r\n\n".to_owned()),
        ("PLAIN".to_owned(), "canary 'p' #".to_owned()),
    ]
}

/// The answer of the service to a claim.
fn claim_text(values: &[(String, String)]) -> String {
    let store: Vec<_> = values.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let data: serde_json::Map<_, _> =
        values.iter().map(|(name, value)| (name.clone(), STANDARD.encode(value).into())).collect();
    format!("store={}\nsecretData={}\n", Value::from(store), Value::from(data))
}

#[test]
fn the_pod_owns_one_immutable_secret_and_tasks_name_its_entries() {
    under_every_shell(|harness| {
        let cluster = Cluster::new(harness);
        let outcome = cluster.run();
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let expected = format!("run {WORKFLOW} has its secrets; tasks get them from the Secret {SECRET}\n");
        assert_eq!(outcome.stderr, format!("nextflow-with-secrets: {expected}"));
        let secrets = cluster.secrets();
        assert_eq!(secrets.as_object().map(serde_json::Map::len), Some(1), "{secrets}");
        let secret = &secrets[SECRET];
        let owner = json!([{"apiVersion": "v1", "kind": "Pod", "name": "head-x7k2p",
            "uid": "0f6c1c2e-0000-4000-8000-5b7b0a6d0001"}]);
        assert_eq!(secret["metadata"]["ownerReferences"], owner, "{secret}");
        assert_eq!((&secret["immutable"], &secret["type"]), (&json!(true), &json!("Opaque")));
        let data: serde_json::Map<_, _> =
            values().iter().map(|(name, value)| (name.clone(), STANDARD.encode(value).into())).collect();
        assert_eq!(secret["data"], Value::from(data));

        let store: Value = serde_json::from_str(&cluster.read("store")).expect("a store");
        let entries: Vec<_> =
            values().into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        assert_eq!(store, Value::from(entries), "{}", outcome.shell);
        let config = cluster.read("config");
        let pod = format!("secret: '{SECRET}/' + name] }} }}\n");
        assert!(config.contains("process.pod = { [task.secret]") && config.ends_with(&pod), "{config}");
        let arguments = cluster.read("arguments");
        assert!(arguments.starts_with("run|main.nf|-c|site.config|-c|/dev/shm/"), "{arguments}");

        let (curl, leaked) = (cluster.read("curl.calls"), cluster.read("leaked"));
        assert!(curl.contains("--config") && leaked.is_empty(), "{curl} {leaked}");
        for token in [CLUSTER_TOKEN, USER_TOKEN, RUN_TOKEN, CLAIM_TOKEN, "canary", "secret.json"] {
            assert!(!curl.contains(token), "{token}: {curl}");
        }
        assert_eq!(cluster.harness.service.end(), json!({"success": true, "exitStatus": 0}));
        assert_eq!(cluster.left(), 0, "{outcome:?}");
    });
}

#[test]
fn the_end_of_the_command_is_the_end_of_the_run() {
    under_every_shell(|harness| {
        let cluster = Cluster::new(harness);
        cluster.harness.write_private("status", "3");
        let outcome = cluster.run();
        assert_eq!((outcome.status, cluster.left()), (3, 0), "{outcome:?}");
        assert_eq!(cluster.harness.service.end(), json!({"success": false, "exitStatus": 3}));
    });
}

#[test]
fn secrets_are_added_to_the_pod_settings_of_the_site() {
    let secrets = format!(
        "[task.secret].flatten().findAll().collect {{ name -> [env: name, secret: '{SECRET}/' + name] }}"
    );
    let cases = [
        ("k8s.pod = [label:'a']\nprocess.ext.pod = 'x'\n", format!("process.pod = {{ {secrets} }}\n")),
        (
            "process.pod = [[nodeSelector:'disk=ssd'], [toleration:[key:'a b', seconds:5]], [env:'A', value:'$x, {y}']]\n",
            format!(
                "process.pod = {{ [[[nodeSelector:'disk=ssd'], [toleration:[key:'a b', seconds:5]], [env:'A', \
                 value:'$x, {{y}}']]].flatten() + {secrets} }}\n"
            ),
        ),
        (
            "process.'withName:A|B:.*'.pod = [label:'a/b', value:'x']\nprocess.'withLabel:big'.pod = []\n",
            format!(
                "process.pod = {{ {secrets} }}\nprocess {{ withName: 'A|B:.*' {{ pod = {{ [[label:'a/b', \
                 value:'x']].flatten() + {secrets} }} }} }}\nprocess {{ withLabel: 'big' {{ pod = {{ [[]].flatten() + \
                 {secrets} }} }} }}\n"
            ),
        ),
    ];
    under_every_shell(|harness| {
        for (flat, expected) in &cases {
            let cluster = Cluster::new(harness);
            cluster.harness.write_private("flat", flat);
            let outcome = cluster.run();
            let config = cluster.read("config");
            let (comment, config) = config.split_once('\n').expect("a comment");
            assert!(comment.starts_with("// Pipeline Secrets, run"), "{comment}");
            assert_eq!((config, outcome.status), (expected.as_str(), 0), "{outcome:?}");
        }
    });
}

/// What a refusal leaves: whether a run was launched, claimed and reported as failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reached {
    Nothing,
    Launch,
    Claim,
}

type Arrange = fn(&Cluster, &mut Command);

fn assert_refused(harness: &Harness, arrange: Arrange, status: i32, words: &str, reached: Reached) {
    let cluster = Cluster::new(harness);
    let mut command = cluster.command(&[]);
    arrange(&cluster, &mut command);
    let before = cluster.secrets();
    let outcome = cluster.harness.finish(&mut command);
    assert_eq!(outcome.status, status, "{outcome:?}");
    assert!(outcome.stderr.contains(words), "{words}: {outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(!outcome.stderr.contains("canary"), "{outcome:?}");
    let service = &cluster.harness.service;
    let counts = (service.count("POST /launches"), service.count(&claim_line()));
    let expected = match reached {
        Reached::Nothing => (0, 0),
        Reached::Launch => (1, 0),
        Reached::Claim => (1, 1),
    };
    assert_eq!(counts, expected, "{outcome:?}");
    if reached != Reached::Nothing {
        assert_eq!(service.end(), json!({"success": false, "exitStatus": status}));
    }
    assert_eq!((cluster.read("arguments").as_str(), cluster.left()), ("", 0), "{outcome:?}");
    assert_eq!(cluster.secrets(), before, "{outcome:?}");
}

#[test]
fn what_this_pod_lacks_is_refused_before_the_launch() {
    let cases: [(Arrange, i32, &str); 11] = [
        (
            |_, command| {
                command.env_remove("PIPELINE_SECRETS_POD_UID");
            },
            64,
            "set them with the downward API",
        ),
        (
            |_, command| {
                command.env("PIPELINE_SECRETS_POD_NAME", "a\"b");
            },
            64,
            "is not the name or UID of a pod",
        ),
        (
            |cluster, _| fs::remove_dir_all(cluster.path("account")).expect("an account"),
            64,
            "this pod has no service account",
        ),
        (
            |_, command| {
                command.env_remove("KUBERNETES_SERVICE_HOST");
            },
            64,
            "this script runs in a pod",
        ),
        (
            |_, command| {
                command.env("KUBERNETES_SERVICE_PORT", "x");
            },
            64,
            "is not valid",
        ),
        (
            |cluster, command| {
                command.env("PIPELINE_SECRETS_DIR", cluster.harness.path("stores"));
            },
            73,
            "is not in memory: mount an emptyDir with medium Memory",
        ),
        (
            |cluster, _| {
                cluster
                    .harness
                    .write_private("flat", "process.pod = { [[label: 'x', value: task.process]] }\n");
            },
            64,
            "the config sets process.pod to a value to which secrets cannot be added: write it as a list of maps",
        ),
        (
            |cluster, _| {
                cluster.harness.write_private("flat", "process.'withName:A'.pod = [[label:'it\\'s']]\n");
            },
            64,
            "the config sets process.'withName:A'.pod to a value",
        ),
        (
            |cluster, _| {
                cluster.harness.write_private("flat", "process.pod.env = 'X'\n");
            },
            64,
            "the config sets process.pod.env to a value",
        ),
        (
            |cluster, _| {
                cluster.harness.write_private("flat", "k8s.namespace = 'other'\n");
            },
            64,
            "k8s.namespace is other, and this pod is in pipelines",
        ),
        (
            |cluster, _| fs::remove_file(cluster.harness.path("flat")).expect("a config"),
            64,
            "the config of the pipeline cannot be read",
        ),
    ];
    under_every_shell(|harness| {
        for (arrange, status, words) in cases {
            assert_refused(harness, arrange, status, words, Reached::Nothing);
        }
    });
}

#[test]
fn what_the_cluster_refuses_fails_the_run_before_its_claim() {
    let cases: [(Arrange, i32, &str); 6] = [
        (
            |cluster, _| fs::write(cluster.path("rules.json"), r#"{"verbs": []}"#).expect("rules"),
            77,
            "cannot create resource 'secrets' in API group '' in the namespace 'pipelines'. Check the role",
        ),
        (
            |cluster, _| {
                fs::write(cluster.path("rules.json"), r#"{"verbs": ["create"], "quota": 0}"#).expect("rules");
            },
            77,
            "exceeded quota: few, requested: secrets=1",
        ),
        (
            |cluster, _| {
                let other = json!({SECRET: {"metadata": {"name": SECRET}}}).to_string();
                fs::write(cluster.path("secrets.json"), other).expect("a Secret");
            },
            75,
            "the namespace pipelines has a Secret tower-a1b2xyz0123456 already: run this script again",
        ),
        (
            |cluster, _| fs::write(cluster.path("account/token"), "another.token").expect("a token"),
            77,
            "the API server refused the Secret of run a1b2XYZ0123456 (401): Unauthorized",
        ),
        (
            |_, command| {
                command.env("KUBERNETES_SERVICE_PORT", "1");
            },
            69,
            "cannot be reached: cannot connect",
        ),
        (
            |cluster, _| fs::write(cluster.path("fault"), "dry 4 503").expect("a fault"),
            77,
            "(503): etcdserver: request timed out",
        ),
    ];
    under_every_shell(|harness| {
        for (arrange, status, words) in cases {
            assert_refused(harness, arrange, status, words, Reached::Launch);
        }
    });
}

#[test]
fn a_claim_that_cannot_become_a_secret_fails_the_run() {
    let large: Arrange = |cluster, _| {
        let values: Vec<_> = (0..33).map(|number| (format!("L{number}"), "x".repeat(32_000))).collect();
        answer_next_claim(cluster, claim_text(&values));
    };
    let cases: [(Arrange, i32, &str); 5] = [
        (large, 77, "(422): Secret 'tower-a1b2xyz0123456' is invalid: data: Too long"),
        (
            |cluster, _| answer_next_claim(cluster, "store=[]\nsecretData={\"A\":\"eA=".to_owned()),
            75,
            "the response with the secrets is incomplete",
        ),
        (|cluster, _| answer_next_claim(cluster, "<html>".to_owned()), 69, "did not answer as the service"),
        (
            |cluster, _| {
                let data = r#"{"A":"eA=="},"type":"kubernetes.io/tls","metadata":{"name":"evil"},"z":{}"#;
                answer_next_claim(cluster, format!("store=[]\nsecretData={data}"));
            },
            69,
            "did not answer as the service",
        ),
        (
            |cluster, _| fs::write(cluster.path("fault"), "real 4 500").expect("a fault"),
            77,
            "(500): etcdserver: request timed out",
        ),
    ];
    under_every_shell(|harness| {
        for (arrange, status, words) in cases {
            assert_refused(harness, arrange, status, words, Reached::Claim);
        }
    });
}

/// Replaces the answer that every cluster of these tests has planned.
fn answer_next_claim(cluster: &Cluster, body: String) {
    cluster.harness.service.replace_next(&claim_line(), Answer::Whole(200, body));
}

/// The script may not read or delete Secrets, so it cannot know whether the lost request created
/// one.
#[test]
fn a_lost_answer_of_the_api_server_leads_to_another_name() {
    under_every_shell(|harness| {
        for (fault, names) in [
            ("dry 2 lost", vec![SECRET.to_owned()]),
            ("real 1 lost", vec![SECRET.to_owned(), format!("{SECRET}-1")]),
            ("real 2 500", vec![format!("{SECRET}-1-2")]),
        ] {
            let cluster = Cluster::new(harness);
            fs::write(cluster.path("fault"), fault).expect("a fault");
            let outcome = cluster.run();
            assert_eq!(outcome.status, 0, "{fault}: {outcome:?}");
            let secrets = cluster.secrets();
            let found: Vec<_> = secrets.as_object().expect("Secrets").keys().cloned().collect();
            assert_eq!(found, names, "{fault}");
            let last = format!("'{}/' + name", names.last().expect("a name"));
            assert!(cluster.read("config").contains(&last), "{fault}");
        }
    });
}

#[test]
fn a_run_that_was_launched_elsewhere_belongs_to_the_pod_that_claimed_it() {
    type Case<'a> = (fn(&Cluster), i32, &'a str);
    let no_role =
        |cluster: &Cluster| fs::write(cluster.path("rules.json"), r#"{"verbs": []}"#).expect("rules");
    let no_account = |cluster: &Cluster| fs::remove_dir_all(cluster.path("account")).expect("an account");
    let claimed = |cluster: &Cluster| {
        let answer = Answer::error(410, "The claim token has already been used.");
        cluster.harness.service.replace_next(&claim_line(), answer);
    };
    let conflict = |cluster: &Cluster| {
        let other = json!({SECRET: {"metadata": {"name": SECRET}}}).to_string();
        fs::write(cluster.path("secrets.json"), other).expect("a Secret");
    };
    let cases: [Case<'_>; 4] =
        [(conflict, 75, ""), (claimed, 77, "claim"), (no_role, 77, "end"), (no_account, 64, "end")];
    under_every_shell(|harness| {
        for (arrange, status, last) in cases {
            let cluster = Cluster::new(harness);
            arrange(&cluster);
            let outcome = cluster.harness.finish(
                cluster
                    .command(&[])
                    .env("PIPELINE_SECRETS_WORKFLOW_ID", WORKFLOW)
                    .env("PIPELINE_SECRETS_CLAIM_TOKEN", CLAIM_TOKEN)
                    .env("PIPELINE_SECRETS_RUN_TOKEN", RUN_TOKEN),
            );
            assert_eq!(outcome.status, status, "{outcome:?}");
            let lines: Vec<_> = cluster.harness.service.requests().into_iter().map(|it| it.line).collect();
            let expected = format!("POST /runs/{WORKFLOW}/{last}");
            assert_eq!(lines, if last.is_empty() { vec![] } else { vec![expected] }, "{outcome:?}");
        }
    });
}

#[test]
fn a_run_without_secrets_creates_no_secret() {
    under_every_shell(|harness| {
        let cluster = Cluster::new(harness);
        answer_next_claim(&cluster, claim_text(&[]));
        let outcome = cluster.run();
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(outcome.stderr.contains("has no secrets"), "{outcome:?}");
        assert_eq!((cluster.secrets(), cluster.read("store").as_str()), (json!({}), "[]"));
        assert!(cluster.read("config").contains(SECRET), "a task that names a secret fails");
    });
}

/// As many and as large as a Secret can be.
#[test]
fn sixty_four_secrets_of_a_mebibyte_arrive_within_seconds() {
    under_every_shell(|harness| {
        let cluster = Cluster::new(harness);
        let mut values = Vec::new();
        for number in 0..64 {
            let mut value = String::new();
            let _ = write!(value, "{number}");
            value.push_str(&if number % 2 == 0 { "x".repeat(16_000) } else { "\u{1}\n".repeat(8_000) });
            values.push((format!("S{number:02}"), value));
        }
        answer_next_claim(&cluster, claim_text(&values));
        let begun = std::time::Instant::now();
        let outcome = cluster.run();
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
        let secrets = cluster.secrets();
        for (name, value) in &values {
            assert_eq!(secrets[SECRET]["data"][name], STANDARD.encode(value), "{name}");
        }
        let store: Vec<Value> = serde_json::from_str(&cluster.read("store")).expect("a store");
        assert_eq!(store.len(), 64);
    });
}
