//! Launches made elsewhere, and jobs that a scheduler restarts.

use real_clients::{Answer, CLAIM_TOKEN, Harness, RUN_TOKEN, STORE, WORKFLOW, under_every_shell};

#[test]
fn a_launch_made_elsewhere_is_claimed_without_a_user_token() {
    under_every_shell(|harness| {
        let file = harness.write_private(
            "launch",
            &format!(
                "workflowId={WORKFLOW}\nstate=pending\nrunToken={RUN_TOKEN}\nclaimToken={CLAIM_TOKEN}\n"
            ),
        );
        let by_file = |harness: &Harness| {
            harness.finish(
                harness
                    .command(["--launch-file", file.to_str().expect("a path"), "--", "true"])
                    .env_remove("PIPELINE_SECRETS_TOKEN_FILE"),
            )
        };
        let by_environment = |harness: &Harness| {
            harness.finish(
                harness
                    .command(["--", "true"])
                    .env("PIPELINE_SECRETS_WORKFLOW_ID", WORKFLOW)
                    .env("PIPELINE_SECRETS_CLAIM_TOKEN", CLAIM_TOKEN)
                    .env("PIPELINE_SECRETS_RUN_TOKEN", RUN_TOKEN)
                    .env_remove("PIPELINE_SECRETS_TOKEN_FILE"),
            )
        };
        for run in [&by_file as &dyn Fn(&Harness) -> real_clients::Outcome, &by_environment] {
            let harness = Harness::like(harness);
            let outcome = run(&harness);
            assert_eq!(outcome.status, 0, "{outcome:?}");
            let lines: Vec<_> = harness.service.requests().into_iter().map(|request| request.line).collect();
            assert_eq!(lines, [format!("POST /runs/{WORKFLOW}/claim"), format!("POST /runs/{WORKFLOW}/end")]);
        }
    });
}

#[test]
fn a_restarted_job_does_not_claim_a_launch_made_elsewhere() {
    under_every_shell(|harness| {
        for (variable, value) in [("SLURM_RESTART_COUNT", "1"), ("RESTARTED", "1"), ("LSB_RESTART", "y")] {
            let harness = Harness::like(harness);
            let mut command = harness.command(["--", "touch", "ran"]);
            command
                .env(variable, value)
                .env("PIPELINE_SECRETS_WORKFLOW_ID", WORKFLOW)
                .env("PIPELINE_SECRETS_CLAIM_TOKEN", CLAIM_TOKEN)
                .env("PIPELINE_SECRETS_RUN_TOKEN", RUN_TOKEN);
            let outcome = harness.finish(&mut command);
            assert_eq!(outcome.status, 75, "{outcome:?}");
            assert!(outcome.stderr.contains("restarted, but its run was launched elsewhere"), "{outcome:?}");
            assert!(
                harness.service.requests().is_empty()
                    && harness.stores().is_empty()
                    && !harness.path("ran").exists()
            );
        }
    });
}

#[test]
fn a_restarted_job_launches_again_with_another_key() {
    under_every_shell(|harness| {
        for count in ["0", "1"] {
            harness
                .service
                .next(&format!("POST /runs/{WORKFLOW}/claim"), |_| Answer::Whole(200, STORE.to_owned()));
            let outcome = harness.finish(harness.command(["--", "true"]).env("SLURM_RESTART_COUNT", count));
            assert_eq!(outcome.status, 0, "{outcome:?}");
        }
        let launches: Vec<_> =
            harness.service.requests().into_iter().filter(|r| r.line.contains("launches")).collect();
        assert_ne!(launches[0].header("idempotency-key"), launches[1].header("idempotency-key"));
    });
}
