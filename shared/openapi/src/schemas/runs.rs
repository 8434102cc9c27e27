//! Runs, and what is answered to their reports.

use domain::run::State;
use serde_json::{Value, json};

use super::{layout, owner, platform};
use crate::parts::{
    boolean, count, date, described, id, list, object, one_of, or_null, reference, run_id, secret_name, text,
    version,
};

/// Each by its name.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("Launched", launched()),
        ("Preview", preview()),
        ("Run", run()),
        ("RunList", run_list()),
        ("RunState", run_state()),
        ("NextflowStore", nextflow_store()),
        ("Watched", watched()),
    ]
}

fn launched() -> Value {
    described(
        object(
            &[
                ("workflowId", run_id()),
                ("state", state()),
                ("platform", platform()),
                ("layout", or_null(layout())),
                ("expires", described(date(), "When the run ends by itself unless it is heard of before.")),
                (
                    "secrets",
                    list(object(
                        &given(),
                        &[
                            ("arn", described(text(), "The copy in AWS Secrets Manager.")),
                            (
                                "valueFrom",
                                described(text(), "What a job definition refers to: `secrets[].valueFrom`."),
                            ),
                        ],
                    )),
                ),
            ],
            &[
                ("runToken", described(text(), "For the head job's reports; shown once.")),
                ("claimToken", described(text(), "HPC: for the one claim; shown once.")),
                (
                    "environment",
                    described(
                        object(
                            &[
                                ("TOWER_API_ENDPOINT", text()),
                                ("TOWER_ACCESS_TOKEN", described(text(), "The run token.")),
                                ("TOWER_WORKFLOW_ID", run_id()),
                            ],
                            &[("TOWER_WORKSPACE_ID", text())],
                        ),
                        "The head job's environment, with which Nextflow reports the run.",
                    ),
                ),
                (
                    "batch",
                    object(
                        &[("secrets", list(object(&[("name", text()), ("valueFrom", text())], &[])))],
                        &[],
                    ),
                ),
                (
                    "nextflow",
                    described(
                        object(&[("config", text()), ("prelude", text())], &[]),
                        "Layout `per-name`: for open-source Nextflow, a configuration for `-c` and a script that the \
                                 head job sources.",
                    ),
                ),
                (
                    "iam",
                    described(
                        object(
                            &[("statements", list(json!({"type": "object", "additionalProperties": {}})))],
                            &[],
                        ),
                        "What the role needs that reads the copies.",
                    ),
                ),
            ],
        ),
        "A launched run: references to its secrets, never values. A repeated launch of a run that is under way has no \
                 tokens.",
    )
}

fn preview() -> Value {
    object(
        &[
            ("platform", platform()),
            ("layout", or_null(layout())),
            ("copies", described(count(), "Copies in AWS Secrets Manager that it would make.")),
            (
                "secrets",
                list(object(
                    &[
                        ("name", secret_name()),
                        ("owner", owner()),
                        ("secretId", id()),
                        ("version", version()),
                        (
                            "overrides",
                            described(or_null(id()), "The workspace's secret whose place it takes."),
                        ),
                    ],
                    &[("expires", date())],
                )),
            ),
            ("warnings", described(list(text()), "What the launcher should know before.")),
        ],
        &[],
    )
}

fn run() -> Value {
    described(
        object(
            &[
                ("workflowId", run_id()),
                ("state", state()),
                ("workspaceId", or_null(id())),
                ("userId", described(id(), "Who launched it.")),
                ("platform", platform()),
                ("layout", or_null(layout())),
                ("dateLaunched", date()),
                ("dateDelivered", or_null(date())),
                ("dateEnding", or_null(date())),
                ("dateRemoved", described(or_null(date()), "When nothing of its copies was left.")),
                (
                    "leaseUntil",
                    described(or_null(date()), "When it ends by itself unless it is heard of before."),
                ),
                (
                    "headJob",
                    or_null(object(&[("jobId", text()), ("jobQueue", text()), ("region", text())], &[])),
                ),
                (
                    "outcome",
                    or_null(object(
                        &[
                            ("result", one_of(["succeeded", "failed", "launch-failed", "lost"])),
                            ("exitStatus", or_null(json!({"type": "integer", "format": "int64"}))),
                            ("toldBy", one_of(["launch", "report", "head-job", "sweep"])),
                        ],
                        &[],
                    )),
                ),
                ("secrets", list(object(&given(), &[]))),
                ("copies", described(list(text()), "Names of its copies in AWS Secrets Manager.")),
            ],
            &[],
        ),
        "A run's receipt: what it was given, when, and how it ended.",
    )
}

fn run_list() -> Value {
    object(
        &[
            ("runs", list(reference("Run"))),
            ("next", described(or_null(run_id()), "Passed as `after`, it gives the next page.")),
        ],
        &[],
    )
}

fn run_state() -> Value {
    object(&[("workflowId", run_id()), ("state", state())], &[])
}

fn nextflow_store() -> Value {
    described(
        list(object(&[("name", secret_name()), ("value", text())], &[])),
        "The file that `NXF_SECRETS_FILE` names.",
    )
}

fn watched() -> Value {
    object(&[("workflowId", run_id()), ("watchUrl", or_null(text())), ("status", one_of(["OK"]))], &[])
}

fn state() -> Value {
    one_of(State::ALL.map(State::as_str))
}

/// What a run was given under a name.
fn given() -> Vec<(&'static str, Value)> {
    vec![
        ("name", secret_name()),
        ("owner", owner()),
        ("secretId", id()),
        ("version", version()),
        ("overrides", described(boolean(), "Whether it takes the place of the workspace's.")),
    ]
}
