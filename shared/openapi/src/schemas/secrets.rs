//! Pipeline secrets, and the audit trail.

use domain::audit::AuditAction;
use domain::name::SecretName;
use serde_json::{Value, json};

use super::{note, owner};
use crate::parts::{
    count, date, described, id, list, object, one_of, or_null, reference, run_id, secret_name, text, version,
};

/// Each by its name.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("SecretName", secret_name_schema()),
        ("PipelineSecret", pipeline_secret()),
        ("PipelineSecretList", pipeline_secret_list()),
        ("PipelineSecretAnswer", pipeline_secret_answer()),
        ("PipelineSecretCreated", pipeline_secret_created()),
        ("PipelineSecretsImported", pipeline_secrets_imported()),
        ("PipelineSecretHistory", pipeline_secret_history()),
        ("AuditTrail", audit_trail()),
        ("AuditEvent", audit_event()),
    ]
}

fn secret_name_schema() -> Value {
    json!({
        "type": "string",
        "pattern": "^(?!__)[A-Za-z_](?:[0-9A-Za-z]|_(?!_))+$",
        "minLength": 2,
        "maxLength": SecretName::MAX_LENGTH,
        "description": "Letters, digits and underscores, not two of these in a row, the first no digit; after the first \
            character at most 49 groups of letters and digits, and underscores, together. Names that mean something to a shell, \
            a runtime or the platform (`PATH`, `LD_*`, `PYTHON*`, `AWS_*`, `NXF_*`, `SLURM_*` …) are refused in any case, and \
            names that differ only by case count as one.",
    })
}

fn pipeline_secret() -> Value {
    described(
        object(
            &[
                ("id", id()),
                ("name", secret_name()),
                ("lastUsed", described(or_null(date()), "When a run was last given it.")),
                ("dateCreated", date()),
                ("lastUpdated", described(date(), "When its present value was written.")),
            ],
            &[("description", note()), ("expires", described(date(), "After this no launch takes it."))],
        ),
        "A secret, without its value. Description and expiry are there where they were set.",
    )
}

fn pipeline_secret_list() -> Value {
    object(&[("pipelineSecrets", list(reference("PipelineSecret"))), ("totalSize", count())], &[])
}

fn pipeline_secret_answer() -> Value {
    object(&[("pipelineSecret", reference("PipelineSecret"))], &[])
}

fn pipeline_secret_created() -> Value {
    object(&[("secretId", id())], &[])
}

fn pipeline_secrets_imported() -> Value {
    object(
        &[
            ("secrets", list(object(&[("name", secret_name()), ("secretId", id())], &[]))),
            ("totalSize", count()),
        ],
        &[],
    )
}

fn pipeline_secret_history() -> Value {
    object(
        &[
            (
                "versions",
                list(object(
                    &[
                        ("version", version()),
                        ("writtenBy", described(id(), "The user.")),
                        ("dateWritten", date()),
                        ("dateReplaced", described(or_null(date()), "Null of the present version.")),
                    ],
                    &[],
                )),
            ),
            ("totalSize", count()),
        ],
        &[],
    )
}

fn audit_trail() -> Value {
    object(&[("month", described(text(), "`2026-01`")), ("events", list(reference("AuditEvent")))], &[])
}

fn audit_event() -> Value {
    object(
        &[
            ("date", described(date(), "To the millisecond.")),
            ("id", text()),
            ("action", one_of(AuditAction::ALL.iter().map(|action| action.as_str()))),
            ("actor", described(or_null(id()), "Who did it; null: the service, or an operator.")),
            ("run", or_null(run_id())),
            ("person", described(or_null(id()), "Whom it concerns.")),
            ("detail", or_null(text())),
            (
                "subjects",
                list(object(
                    &[
                        ("secretId", id()),
                        ("name", secret_name()),
                        ("owner", owner()),
                        ("version", version()),
                        (
                            "overrides",
                            described(or_null(id()), "The workspace's secret whose place it takes."),
                        ),
                    ],
                    &[],
                )),
            ),
        ],
        &[],
    )
}
