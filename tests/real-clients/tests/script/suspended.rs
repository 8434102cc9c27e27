//! Jobs that are suspended for longer than their lease.

use std::{fs, process::Command};

use real_clients::{Answer, Harness, Run, STORE, WORKFLOW, set_age, signal, under_every_shell, wait_until};
use serde_json::json;

/// An age of more than twice the lease of half an hour.
const OLD: u64 = 3700;
/// A command that uses its secrets late.
const COMMAND: &str = "touch runs; until [ -e may-end ]; do sleep 0.05; done; cat $NXF_SECRETS_FILE";

fn start(harness: &Harness) -> Run {
    let mut command = harness.command(["--", "sh", "-c", COMMAND]);
    let run = Run::start(command.env("PIPELINE_SECRETS_HEARTBEAT_SECONDS", "1"));
    wait_until("the command runs", || harness.path("runs").exists());
    run
}

/// Returns the processes of this home.
fn processes(harness: &Harness) -> Vec<u32> {
    let home = format!("HOME={}", harness.home.path().display());
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter(|process| {
            fs::read(process.path().join("environ"))
                .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(&home))
        })
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .collect()
}

fn start_a_neighbour(harness: &Harness) {
    let run = format!("GET /runs/{WORKFLOW}");
    harness.service.always(&run, 200, &format!("workflowId={WORKFLOW}\nstate=ended\n"));
    harness.service.next(&format!("POST /runs/{WORKFLOW}/claim"), |_| Answer::Whole(200, "[]".to_owned()));
    let outcome = harness.run("true");
    assert_eq!(outcome.status, 0, "{outcome:?}");
}

#[test]
fn a_suspended_job_on_the_same_host_keeps_its_secrets() {
    under_every_shell(|harness| {
        for killed in [false, true] {
            let harness = Harness::like(harness);
            let run = start(&harness);
            if killed {
                run.signal("KILL"); // the guard and the command remain
            }
            let suspended = processes(&harness);
            for process in &suspended {
                signal(*process, "STOP");
            }
            let stores = harness.stores();
            set_age(&stores[0].join("owner"), OLD);
            start_a_neighbour(&harness);
            assert_eq!(harness.stores(), stores, "{killed}");
            fs::write(harness.path("may-end"), "").expect("a file");
            for process in &suspended {
                signal(*process, "CONT");
            }
            let outcome = run.finish();
            assert_eq!(outcome.status, if killed { 137 } else { 0 }, "{outcome:?}");
            assert_eq!(outcome.stdout, STORE, "{outcome:?}");
            wait_until("the store is deleted", || harness.stores().is_empty());
        }
    });
}

#[test]
fn a_job_that_is_suspended_before_its_claim_keeps_its_directory() {
    under_every_shell(|harness| {
        let pid = std::process::id();
        let name = String::from_utf8(Command::new("uname").arg("-n").output().expect("uname").stdout);
        let name = name.expect("a name");
        let directory = harness.leave("suspended", WORKFLOW, OLD);
        let owner = format!(
            "endpoint={}\nworkflowId={WORKFLOW}\nprocess={pid} on {name}",
            harness.service.endpoint()
        );
        let fields = fs::read_to_string("/proc/self/stat").expect("/proc");
        let fields = fields.rsplit_once(") ").expect("fields").1;
        let started = fields.split(' ').nth(19).expect("the start time").to_owned();
        for (kept, owner) in [
            (true, format!("{owner}started={started}\n")),
            (true, owner.clone()),
            // Another process with the same ID, another host, and no process.
            (false, format!("{owner}started=1\n")),
            (false, owner.replace(name.trim(), "elsewhere")),
            (false, owner.replace(&format!("process={pid}"), "process=99999999")),
            (false, owner.replace(&format!("process={pid}"), "process=-1")),
        ] {
            fs::create_dir_all(&directory).expect("a directory");
            fs::write(directory.join("owner"), &owner).expect("an owner file");
            set_age(&directory.join("owner"), OLD);
            harness.service.always(&format!("POST /runs/{WORKFLOW}/claim"), 200, "[]");
            start_a_neighbour(harness);
            assert_eq!(directory.exists(), kept, "{owner}");
        }
    });
}

#[test]
fn a_job_whose_store_was_deleted_ends_its_command_with_a_status_of_its_own() {
    under_every_shell(|harness| {
        let run = start(harness);
        harness.service.always(
            &format!("POST /runs/{WORKFLOW}/heartbeat"),
            200,
            &format!("workflowId={WORKFLOW}\nstate=ended\n"),
        );
        fs::remove_dir_all(&harness.stores()[0]).expect("another host deletes it");
        let outcome = run.finish();
        assert_eq!((outcome.status, outcome.stdout.as_str()), (75, ""), "{outcome:?}");
        assert!(outcome.stderr.contains("was deleted while the command ran"), "{outcome:?}");
        assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 75}));
    });
}

#[test]
fn a_command_that_succeeds_without_its_store_is_not_a_success() {
    under_every_shell(|harness| {
        let outcome = harness.run("rm $NXF_SECRETS_FILE");
        assert_eq!(outcome.status, 75, "{outcome:?}");
        assert_eq!(harness.service.end(), json!({"success": false, "exitStatus": 75}));
        assert!(harness.stores().is_empty());
    });
}
