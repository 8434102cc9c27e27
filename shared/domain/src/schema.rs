//! JSON schemas of the types in the API description. Behind the feature `schema`, which no function
//! enables.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::audit::AuditAction;
use crate::copies::Layout;
use crate::environment::EnvironmentId;
use crate::ids::{OrgId, RunId, SecretId, TokenId, UserId, WorkspaceId};
use crate::name::SecretName;
use crate::platform::Platform;
use crate::role::Role;
use crate::run::{ReportedBy, RunResult, State};
use crate::secret::{Description, WriteOutcome};
use crate::token_scope::TokenScope;
use crate::use_cases::import_secrets::ImportMode;

/// Implements an inline schema for a type.
macro_rules! inline_schema {
    ($name:ident, $schema:expr) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

macro_rules! numeric_ids {
    ($($name:ident),*) => {
        $(inline_schema!($name, json_schema!({
            "type": "integer", "format": "int64", "minimum": 1, "maximum": crate::ids::ID_BOUND - 1,
        }));)*
    };
}

numeric_ids!(OrgId, SecretId, TokenId, UserId, WorkspaceId);
inline_schema!(EnvironmentId, json_schema!({ "type": "string", "pattern": "^[0-9A-Za-z]{22}$" }));
inline_schema!(RunResult, json_schema!({ "type": "string", "enum": RunResult::ALL }));
inline_schema!(ReportedBy, json_schema!({ "type": "string", "enum": ReportedBy::ALL }));
inline_schema!(AuditAction, json_schema!({ "type": "string", "enum": AuditAction::ALL }));
inline_schema!(TokenScope, json_schema!({ "type": "string", "enum": TokenScope::ALL }));
inline_schema!(Role, json_schema!({ "type": "string", "enum": Role::ALL }));
inline_schema!(WriteOutcome, json_schema!({ "type": "string", "enum": WriteOutcome::ALL }));
inline_schema!(
    ImportMode,
    json_schema!({ "type": "string", "enum": ImportMode::ALL, "default": ImportMode::Create })
);
inline_schema!(State, json_schema!({ "type": "string", "enum": State::ALL }));

inline_schema!(
    Platform,
    json_schema!({
        "type": "string",
        "enum": Platform::ALL,
        "description": "Where a run executes. All values except `aws-batch` are HPC schedulers, where the head job claims the secrets.",
    })
);

inline_schema!(
    Layout,
    json_schema!({
        "type": "string",
        "enum": Layout::ALL,
        "description": "`bundle`: one copy per run, a JSON object, for job definitions. `per-name`: one copy per name, raw text. `plugin`: a bundle, and Nextflow's secrets store for the head job.",
    })
);

inline_schema!(
    RunId,
    json_schema!({ "type": "string", "pattern": format!("^[0-9A-Za-z]{{{}}}$", RunId::LENGTH) })
);

inline_schema!(
    Description,
    json_schema!({
        "type": "string",
        "maxLength": Description::MAX_BYTES,
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]*$",
        "description": format!(
            "A note of at most {} bytes of UTF-8, without control characters, line breaks, and characters that change \
             the direction of text.",
            Description::MAX_BYTES
        ),
    })
);

impl JsonSchema for SecretName {
    fn schema_name() -> Cow<'static, str> {
        "SecretName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(?!__)[A-Za-z_](?:[0-9A-Za-z]|_(?!_))+$",
            "minLength": 2,
            "maxLength": SecretName::MAX_LENGTH,
            "description": "Letters, digits and underscores. It starts with a letter or an underscore and has no two underscores \
                in a row. After the first character it has at most 49 parts: a part is one underscore, or a group of letters \
                and digits. Names that a shell, a runtime or the platform uses (`PATH`, `LD_*`, `PYTHON*`, `AWS_*`, `NXF_*`, \
                `SLURM_*` …) are refused in any case. Names that differ only in case count as the same name.",
        })
    }
}
