//! The service, users and their tokens, workspaces and participants.

use domain::role::Role;
use serde_json::{Value, json};

use super::{platform, role};
use crate::parts::{boolean, count, date, described, id, list, object, one_of, or_null, text};

/// Each by its name.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("ServiceInfo", service_info()),
        ("UserInfo", user_info()),
        ("OrgsAndWorkspaces", orgs_and_workspaces()),
        ("TokenList", token_list()),
        ("TokenCreated", token_created()),
        ("OrganizationList", organization_list()),
        ("WorkspaceList", workspace_list()),
        ("WorkspaceAnswer", workspace_answer()),
        ("ParticipantList", participant_list()),
        ("ParticipantAnswer", participant_answer()),
    ]
}

fn service_info() -> Value {
    object(
        &[(
            "serviceInfo",
            object(
                &[
                    ("version", text()),
                    (
                        "apiVersion",
                        described(text(), "The version of Seqera Platform's API whose shapes these are."),
                    ),
                    unused("commitId"),
                    ("authTypes", list(text())),
                    unused("loginPath"),
                    ("navbar", object(&[("menus", list(text()))], &[])),
                    ("heartbeatInterval", described(count(), "Seconds.")),
                    ("userWorkspaceEnabled", boolean()),
                    ("allowInstanceCredentials", boolean()),
                    unused("landingUrl"),
                    unused("termsOfUseUrl"),
                    unused("contentUrl"),
                    unused("analytics"),
                    ("waveEnabled", boolean()),
                ],
                &[],
            ),
        )],
        &[],
    )
}

fn user_info() -> Value {
    object(
        &[
            (
                "user",
                object(
                    &[
                        ("id", id()),
                        ("userName", text()),
                        ("email", text()),
                        unused("firstName"),
                        unused("lastName"),
                        unused("organization"),
                        unused("description"),
                        unused("avatar"),
                        ("notification", boolean()),
                        ("termsOfUseConsent", boolean()),
                        ("marketingConsent", boolean()),
                        ("deleted", boolean()),
                        unused("lastAccess"),
                        ("dateCreated", date()),
                        ("lastUpdated", date()),
                    ],
                    &[],
                ),
            ),
            ("needConsent", boolean()),
            unused("defaultWorkspaceId"),
        ],
        &[],
    )
}

fn orgs_and_workspaces() -> Value {
    object(
        &[(
            "orgsAndWorkspaces",
            list(object(
                &[
                    ("orgId", id()),
                    ("orgName", text()),
                    unused("orgLogoUrl"),
                    ("workspaceId", or_null(id())),
                    ("workspaceName", or_null(text())),
                    ("workspaceFullName", or_null(text())),
                    ("visibility", or_null(visibility())),
                    ("roles", list(one_of(Role::ALL.map(Role::as_str).into_iter().chain(["member"])))),
                ],
                &[],
            )),
        )],
        &[],
    )
}

fn token_list() -> Value {
    object(&[("tokens", list(token()))], &[])
}

fn token_created() -> Value {
    object(&[("accessKey", described(text(), "The token itself, shown this once.")), ("token", token())], &[])
}

fn organization_list() -> Value {
    object(
        &[
            ("totalSize", count()),
            (
                "organizations",
                list(object(
                    &[
                        ("orgId", id()),
                        ("name", text()),
                        ("fullName", text()),
                        unused("description"),
                        unused("location"),
                        unused("website"),
                        unused("logoId"),
                        unused("logoUrl"),
                        ("memberId", id()),
                        ("memberRole", org_role()),
                    ],
                    &[],
                )),
            ),
        ],
        &[],
    )
}

fn workspace_list() -> Value {
    object(&[("workspaces", list(workspace(&[])))], &[])
}

fn workspace_answer() -> Value {
    object(
        &[(
            "workspace",
            workspace(&[
                ("dateCreated", date()),
                ("lastUpdated", date()),
                ("platforms", described(list(platform()), "Where launches may go.")),
            ]),
        )],
        &[],
    )
}

fn participant_list() -> Value {
    object(&[("participants", list(participant())), ("totalSize", count())], &[])
}

fn participant_answer() -> Value {
    object(&[("participant", participant())], &[])
}

/// A field of Seqera Platform's that this service knows nothing of: clients read it.
fn unused(name: &'static str) -> (&'static str, Value) {
    (name, json!({"type": "null"}))
}

fn visibility() -> Value {
    one_of(["PRIVATE"])
}

fn org_role() -> Value {
    one_of(["member"])
}

fn token() -> Value {
    object(
        &[("id", id()), ("name", text()), ("dateCreated", date()), ("lastUsed", or_null(date()))],
        &[("expires", date())],
    )
}

fn participant() -> Value {
    object(
        &[
            ("participantId", id()),
            ("memberId", id()),
            ("userName", text()),
            unused("firstName"),
            unused("lastName"),
            ("email", text()),
            ("orgRole", org_role()),
            unused("teamId"),
            unused("teamName"),
            ("wspRole", role()),
            ("type", one_of(["MEMBER"])),
            unused("teamAvatarUrl"),
            unused("userAvatarUrl"),
        ],
        &[],
    )
}

fn workspace(more: &[(&str, Value)]) -> Value {
    let mut fields = vec![("id", id()), ("name", text()), ("fullName", text()), unused("description")];
    fields.push(("visibility", visibility()));
    fields.extend_from_slice(more);
    object(&fields, &[])
}
