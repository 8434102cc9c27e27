//! The next start removes the leftovers of killed jobs, but nothing that may still be needed.

use std::{
    fs,
    os::unix::fs::{chown, symlink},
    path::PathBuf,
    thread,
};

use real_clients::{Answer, Harness, Run, USER_TOKEN, WORKFLOW, set_age, under_every_shell, wait_until};

/// An age of more than twice the lease of half an hour.
const OLD: u64 = 3700;
const YOUNG: u64 = 3500;

fn answer_state(harness: &Harness, workflow: &str, state: &str) {
    harness.service.always(
        &format!("GET /runs/{workflow}"),
        200,
        &format!("workflowId={workflow}\nstate={state}\n"),
    );
}

fn start_and_end(harness: &Harness) {
    let outcome = harness.run("true");
    assert_eq!(outcome.status, 0, "{outcome:?}");
}

#[test]
fn the_old_directory_of_an_ended_run_is_removed() {
    under_every_shell(|harness| {
        let directory = harness.leave("dead", "dead", OLD);
        fs::write(directory.join(".nf-0123.secrets"), "export A=\"b\"\n").expect("Nextflow's second file");
        fs::create_dir(directory.join("below")).expect("a directory");
        answer_state(harness, "dead", "ended");
        start_and_end(harness);
        assert_eq!(harness.stores(), Vec::<PathBuf>::new());
        let request = harness.service.requests().remove(0);
        assert_eq!(request.line, "GET /runs/dead?workspaceId=42");
        assert_eq!(request.header("authorization"), format!("Bearer {USER_TOKEN}"));
        assert_eq!(request.header("accept"), "text/plain");
    });
}

#[test]
fn directories_that_may_still_be_needed_are_kept() {
    under_every_shell(|harness| {
        let mut kept: Vec<_> = ["provisioning", "pending", "running", "ending", "ende", "ended2", ""]
            .iter()
            .enumerate()
            .map(|(number, state)| {
                answer_state(harness, &format!("state{number}"), state);
                harness.leave(&format!("state{number}"), &format!("state{number}"), OLD)
            })
            .collect();
        answer_state(harness, "young", "ended");
        kept.push(harness.leave("young", "young", YOUNG));
        kept.push(harness.leave("unknown", "unknown", OLD));
        harness.service.always("GET /runs/broken", 500, "state=ended\n");
        kept.push(harness.leave("broken", "broken", OLD));
        harness.service.next("GET /runs/lying", |_| Answer::error(200, "\\nstate=ended\\n"));
        kept.push(harness.leave("lying", "lying", OLD));
        kept.sort();
        start_and_end(harness);
        assert_eq!(harness.stores(), kept);
        assert_eq!(harness.service.count("GET /runs/young"), 0, "a young directory causes no request");
    });
}

#[test]
fn without_an_answer_from_the_service_every_directory_is_kept_after_one_request() {
    under_every_shell(|harness| {
        let kept = [harness.leave("a", "a", OLD), harness.leave("b", "b", OLD)];
        harness.service.next("GET /runs/a", |_| Answer::Lost);
        start_and_end(harness);
        assert_eq!(harness.stores(), kept);
        assert_eq!(harness.service.count("GET /runs"), 1);
    });
}

#[test]
fn directories_of_other_services_and_users_are_kept() {
    under_every_shell(|harness| {
        answer_state(harness, "dead", "ended");
        let other_service = harness.leave("other_service", "dead", OLD);
        fs::write(other_service.join("owner"), "endpoint=https://elsewhere.example\nworkflowId=dead\n")
            .expect("an owner file");
        set_age(&other_service.join("owner"), OLD);
        let mut kept = vec![other_service];
        let other_user = harness.leave("others", "dead", OLD);
        if chown(&other_user, Some(65534), None).is_ok() {
            kept.push(other_user);
        }
        start_and_end(harness);
        assert_eq!(harness.stores(), kept);
    });
}

#[test]
fn malformed_owner_files_are_harmless() {
    under_every_shell(|harness| {
        let endpoint = harness.service.endpoint();
        let kept: Vec<_> = ["../launches", "a b", "a;touch x", "$(touch x)", "dead\"", "*"]
            .iter()
            .enumerate()
            .map(|(number, workflow)| {
                let directory = harness.leave(&format!("strange{number}"), "", OLD);
                fs::write(directory.join("owner"), format!("endpoint={endpoint}\nworkflowId={workflow}\n"))
                    .expect("an owner file");
                set_age(&directory.join("owner"), OLD);
                directory
            })
            .collect();
        start_and_end(harness);
        assert_eq!(harness.stores(), kept);
        assert_eq!(harness.service.requests().len(), 3, "launch, claim, end");
        assert!(!harness.path("x").exists());
    });
}

#[test]
fn a_directory_without_a_claim_is_removed_only_if_it_has_no_store() {
    under_every_shell(|harness| {
        for name in ["empty", "stopped", "full"] {
            let directory = harness.leave(name, "", OLD);
            fs::write(directory.join("owner"), "process=1 on node\n").expect("an owner file");
            set_age(&directory.join("owner"), OLD);
        }
        fs::remove_file(harness.path("stores/run.empty/store.json")).expect("a file");
        // As a start leaves it that is killed while it looks up a config or submits a job.
        fs::rename(
            harness.path("stores/run.stopped/store.json"),
            harness.path("stores/run.stopped/overrides"),
        )
        .expect("a file");
        start_and_end(harness);
        assert_eq!(harness.stores(), [harness.path("stores/run.full")]);
        assert!(harness.path("stores/run.full/store.json").exists());
    });
}

#[test]
fn links_are_never_followed() {
    under_every_shell(|harness| {
        answer_state(harness, "dead", "ended");
        // A link instead of a leftover directory, and a link inside one.
        let precious = harness.leave("precious", "dead", OLD);
        let precious = {
            let moved = harness.path("precious");
            fs::rename(precious, &moved).expect("a move");
            moved
        };
        symlink(&precious, harness.path("stores/run.link")).expect("a link");
        let dead = harness.leave("dead", "dead", OLD);
        symlink(&precious, dead.join("link")).expect("a link");
        start_and_end(harness);
        assert_eq!(harness.stores(), [harness.path("stores/run.link")]);
        assert!(precious.join("store.json").exists());
    });
}

#[test]
fn a_link_that_replaces_a_directory_before_its_removal_is_not_followed() {
    under_every_shell(|harness| {
        let dead = harness.leave("dead", "dead", OLD);
        let precious = harness.path("precious");
        fs::create_dir(&precious).expect("a directory");
        fs::write(precious.join("owner"), "").expect("a file");
        set_age(&precious.join("owner"), OLD);
        let (from, to, aside) = (dead.clone(), precious.clone(), harness.path("aside"));
        harness.service.next("GET /runs/dead", move |_| {
            fs::rename(&from, aside).expect("a move");
            symlink(to, from).expect("a link");
            Answer::Whole(200, "workflowId=dead\nstate=ended\n".to_owned())
        });
        start_and_end(harness);
        assert!(precious.join("owner").exists());
        assert!(dead.is_symlink(), "the link must not be removed");
    });
}

#[test]
fn a_directory_with_a_heartbeat_during_the_request_is_kept() {
    under_every_shell(|harness| {
        let resumed = harness.leave("resumed", "resumed", OLD);
        let owner = resumed.join("owner");
        harness.service.next("GET /runs/resumed", move |_| {
            set_age(&owner, 0);
            Answer::Whole(200, "state=ended\n".to_owned())
        });
        start_and_end(harness);
        assert_eq!(harness.stores(), [resumed]);
    });
}

#[test]
fn concurrent_starts_clean_up_and_all_run() {
    under_every_shell(|harness| {
        for number in 0..8 {
            answer_state(harness, &format!("dead{number}"), "ended");
            let directory = harness.leave(&format!("dead{number}"), &format!("dead{number}"), OLD);
            fs::create_dir(directory.join("below")).expect("a directory");
        }
        let claim = format!("POST /runs/{WORKFLOW}/claim");
        harness.service.always(&claim, 200, "[]");
        let runs: Vec<_> = (0..3).map(|_| Run::start(&mut harness.command(["--", "true"]))).collect();
        for outcome in runs.into_iter().map(Run::finish) {
            assert_eq!(outcome.status, 0, "{outcome:?}");
            assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        }
        assert_eq!(harness.stores(), Vec::<PathBuf>::new());
    });
}

#[test]
fn a_live_runs_directory_is_kept_even_if_the_service_reports_its_end() {
    under_every_shell(|harness| {
        answer_state(harness, WORKFLOW, "ended");
        let mut command = harness.command([
            "--",
            "sh",
            "-c",
            "touch runs; until [ -e may-end ]; do sleep 0.05; done; cat $NXF_SECRETS_FILE",
        ]);
        let live = Run::start(command.env("PIPELINE_SECRETS_HEARTBEAT_SECONDS", "1"));
        wait_until("the other job runs", || harness.path("runs").exists());
        let heartbeat = format!("POST /runs/{WORKFLOW}/heartbeat");
        harness.service.always(&heartbeat, 500, "down");
        // The next heartbeat makes the directory young again, whatever the service answers.
        let owner = harness.stores()[0].join("owner");
        set_age(&owner, OLD);
        let is_young = || {
            fs::metadata(&owner)
                .and_then(|owner| owner.modified())
                .is_ok_and(|then| then.elapsed().is_ok_and(|age| age.as_secs() < YOUNG))
        };
        harness.service.wait_for(&heartbeat, harness.service.count(&heartbeat) + 2);
        wait_until("the owner file is touched", is_young);
        harness
            .service
            .next(&format!("POST /runs/{WORKFLOW}/claim"), |_| Answer::Whole(200, "[]".to_owned()));
        start_and_end(harness);
        assert_eq!(harness.stores().len(), 1);
        fs::write(harness.path("may-end"), "").expect("a file");
        let outcome = live.finish();
        assert_eq!((outcome.status, outcome.stdout.as_str()), (0, real_clients::STORE), "{outcome:?}");
    });
}

#[test]
fn a_completely_killed_job_is_cleaned_up_by_a_later_start() {
    under_every_shell(|harness| {
        let mut command = harness.command(["--", "sh", "-c", "echo $$ >pid; mv pid runs; exec sleep 600"]);
        let run = Run::start(&mut command);
        wait_until("the command runs", || harness.path("runs").exists());
        let home = harness.home.path().to_str().expect("a path").to_owned();
        let of_this_job = move || -> Vec<u32> {
            let processes = fs::read_dir("/proc").expect("/proc").flatten();
            processes
                .filter(|process| {
                    fs::read(process.path().join("environ"))
                        .is_ok_and(|e| String::from_utf8_lossy(&e).contains(&home))
                })
                .filter_map(|process| process.file_name().to_str()?.parse().ok())
                .collect()
        };
        let killer = thread::spawn(move || {
            wait_until("all processes of the job are dead", || {
                let processes = of_this_job();
                // Stopped first: the script would clean up if it saw its command die before itself.
                for signal in ["STOP", "KILL"] {
                    for process in &processes {
                        real_clients::signal(*process, signal);
                    }
                }
                processes.is_empty()
            });
        });
        let outcome = run.finish();
        killer.join().expect("a killer");
        assert_eq!(outcome.status, 137, "{outcome:?}");
        let left = harness.stores();
        assert_eq!(left.len(), 1);
        harness.service.always(&format!("POST /runs/{WORKFLOW}/claim"), 200, "[]");
        answer_state(harness, WORKFLOW, "ended");
        start_and_end(harness);
        assert_eq!(harness.stores(), left, "the directory is not old enough");
        set_age(&left[0].join("owner"), OLD);
        answer_state(harness, WORKFLOW, "running");
        start_and_end(harness);
        assert_eq!(harness.stores(), left, "the run has not ended");
        answer_state(harness, WORKFLOW, "ended");
        start_and_end(harness);
        assert_eq!(harness.stores(), Vec::<PathBuf>::new());
    });
}
