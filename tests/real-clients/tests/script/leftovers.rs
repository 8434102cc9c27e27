//! What a killed job leaves is removed by the next start: only that, and only when nobody can need it.

use std::{
    fs,
    os::unix::fs::{chown, symlink},
    path::PathBuf,
    thread,
};

use real_clients::{Answer, Harness, Run, USER_TOKEN, WORKFLOW, grow_old, under_every_shell, wait_until};

/// More than twice the lease of half an hour.
const OLD: u64 = 3700;
const YOUNG: u64 = 3500;

fn says(harness: &Harness, workflow: &str, state: &str) {
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
fn an_ended_runs_old_directory_is_removed_whole() {
    under_every_shell(|harness| {
        let directory = harness.leave("dead", "dead", OLD);
        fs::write(directory.join(".nf-0123.secrets"), "export A=\"b\"\n").expect("Nextflow's second file");
        fs::create_dir(directory.join("below")).expect("a directory");
        says(harness, "dead", "ended");
        start_and_end(harness);
        assert_eq!(harness.stores(), Vec::<PathBuf>::new());
        let asked = harness.service.requests().remove(0);
        assert_eq!(asked.line, "GET /runs/dead?workspaceId=42");
        assert_eq!(asked.header("authorization"), format!("Bearer {USER_TOKEN}"));
        assert_eq!(asked.header("accept"), "text/plain");
    });
}

#[test]
fn what_may_still_be_needed_stays() {
    under_every_shell(|harness| {
        let mut kept: Vec<_> = ["provisioning", "pending", "running", "ending", "ende", "ended2", ""]
            .iter()
            .enumerate()
            .map(|(number, state)| {
                says(harness, &format!("state{number}"), state);
                harness.leave(&format!("state{number}"), &format!("state{number}"), OLD)
            })
            .collect();
        says(harness, "young", "ended");
        kept.push(harness.leave("young", "young", YOUNG));
        kept.push(harness.leave("unknown", "unknown", OLD));
        harness.service.always("GET /runs/broken", 500, "state=ended\n");
        kept.push(harness.leave("broken", "broken", OLD));
        harness.service.next("GET /runs/lying", |_| Answer::error(200, "\\nstate=ended\\n"));
        kept.push(harness.leave("lying", "lying", OLD));
        kept.sort();
        start_and_end(harness);
        assert_eq!(harness.stores(), kept);
        assert_eq!(harness.service.count("GET /runs/young"), 0, "a young one is not even asked for");
    });
}

#[test]
fn a_service_that_does_not_answer_keeps_all_and_delays_little() {
    under_every_shell(|harness| {
        let kept = [harness.leave("a", "a", OLD), harness.leave("b", "b", OLD)];
        harness.service.next("GET /runs/a", |_| Answer::Lost);
        start_and_end(harness);
        assert_eq!(harness.stores(), kept);
        assert_eq!(harness.service.count("GET /runs"), 1);
    });
}

#[test]
fn another_services_and_another_users_directories_stay() {
    under_every_shell(|harness| {
        says(harness, "dead", "ended");
        let foreign = harness.leave("foreign", "dead", OLD);
        fs::write(foreign.join("owner"), "endpoint=https://elsewhere.example\nworkflowId=dead\n")
            .expect("an owner file");
        grow_old(&foreign.join("owner"), OLD);
        let mut kept = vec![foreign];
        let others = harness.leave("others", "dead", OLD);
        if chown(&others, Some(65534), None).is_ok() {
            kept.push(others);
        }
        start_and_end(harness);
        assert_eq!(harness.stores(), kept);
    });
}

#[test]
fn strange_owner_files_harm_nothing() {
    under_every_shell(|harness| {
        let endpoint = harness.service.endpoint();
        let kept: Vec<_> = ["../launches", "a b", "a;touch x", "$(touch x)", "dead\"", "*"]
            .iter()
            .enumerate()
            .map(|(number, workflow)| {
                let directory = harness.leave(&format!("strange{number}"), "", OLD);
                fs::write(directory.join("owner"), format!("endpoint={endpoint}\nworkflowId={workflow}\n"))
                    .expect("an owner file");
                grow_old(&directory.join("owner"), OLD);
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
fn one_that_was_never_claimed_goes_unless_there_is_something_in_it() {
    under_every_shell(|harness| {
        for name in ["empty", "full"] {
            let directory = harness.leave(name, "", OLD);
            fs::write(directory.join("owner"), "process=1 on node\n").expect("an owner file");
            grow_old(&directory.join("owner"), OLD);
        }
        fs::remove_file(harness.path("stores/run.empty/store.json")).expect("a file");
        start_and_end(harness);
        assert_eq!(harness.stores(), [harness.path("stores/run.full")]);
        assert!(harness.path("stores/run.full/store.json").exists());
    });
}

#[test]
fn links_are_never_followed() {
    under_every_shell(|harness| {
        says(harness, "dead", "ended");
        // A link in the place of a leftover, and a link inside one.
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
fn a_link_swapped_in_between_look_and_removal_is_not_followed() {
    under_every_shell(|harness| {
        let dead = harness.leave("dead", "dead", OLD);
        let precious = harness.path("precious");
        fs::create_dir(&precious).expect("a directory");
        fs::write(precious.join("owner"), "").expect("a file");
        grow_old(&precious.join("owner"), OLD);
        let (from, to, aside) = (dead.clone(), precious.clone(), harness.path("aside"));
        harness.service.next("GET /runs/dead", move |_| {
            fs::rename(&from, aside).expect("a move");
            symlink(to, from).expect("a link");
            Answer::Whole(200, "workflowId=dead\nstate=ended\n".to_owned())
        });
        start_and_end(harness);
        assert!(precious.join("owner").exists());
        assert!(dead.is_symlink(), "what is no directory is not ours");
    });
}

#[test]
fn one_that_shows_life_while_the_service_is_asked_stays() {
    under_every_shell(|harness| {
        let resumed = harness.leave("resumed", "resumed", OLD);
        let owner = resumed.join("owner");
        harness.service.next("GET /runs/resumed", move |_| {
            grow_old(&owner, 0);
            Answer::Whole(200, "state=ended\n".to_owned())
        });
        start_and_end(harness);
        assert_eq!(harness.stores(), [resumed]);
    });
}

#[test]
fn two_starts_at_once_clean_up_and_both_run() {
    under_every_shell(|harness| {
        for number in 0..8 {
            says(harness, &format!("dead{number}"), "ended");
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
fn a_live_neighbour_is_never_touched_even_if_the_service_calls_it_ended() {
    under_every_shell(|harness| {
        says(harness, WORKFLOW, "ended");
        let mut command = harness.command([
            "--",
            "sh",
            "-c",
            "touch runs; until [ -e may-end ]; do sleep 0.05; done; cat $NXF_SECRETS_FILE",
        ]);
        let live = Run::start(command.env("PIPELINE_SECRETS_HEARTBEAT_SECONDS", "1"));
        wait_until("the neighbour runs", || harness.path("runs").exists());
        let beat = format!("POST /runs/{WORKFLOW}/heartbeat");
        harness.service.always(&beat, 500, "down");
        // However old it looked, its next heartbeat makes it young, whatever the service answers.
        let owner = harness.stores()[0].join("owner");
        grow_old(&owner, OLD);
        let is_young = || {
            fs::metadata(&owner)
                .and_then(|owner| owner.modified())
                .is_ok_and(|then| then.elapsed().is_ok_and(|age| age.as_secs() < YOUNG))
        };
        harness.service.wait_for(&beat, harness.service.count(&beat) + 2);
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
fn a_job_that_was_killed_whole_is_cleaned_up_by_the_next_start() {
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
            wait_until("all of the job is dead", || {
                let processes = of_this_job();
                for process in &processes {
                    real_clients::signal(*process, "KILL");
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
        says(harness, WORKFLOW, "ended");
        start_and_end(harness);
        assert_eq!(harness.stores(), left, "it is not old enough");
        grow_old(&left[0].join("owner"), OLD);
        says(harness, WORKFLOW, "running");
        start_and_end(harness);
        assert_eq!(harness.stores(), left, "its run has not ended");
        says(harness, WORKFLOW, "ended");
        start_and_end(harness);
        assert_eq!(harness.stores(), Vec::<PathBuf>::new());
    });
}
