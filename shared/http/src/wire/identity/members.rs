//! Members of organizations.

use domain::identity::{User, fold};
use domain::ids::UserId;
use serde::Serialize;

use super::workspaces::OrgRole;

/// A member of an organization. `memberId` is the ID of the user.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Member"))]
struct MemberRow<'a> {
    member_id: UserId,
    user_name: &'a str,
    email: &'a str,
    first_name: (),
    last_name: (),
    avatar: (),
    role: OrgRole,
}

/// The response to `GET /orgs/{orgId}/members`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemberList<'a> {
    members: Vec<MemberRow<'a>>,
    total_size: usize,
}

impl<'a> MemberList<'a> {
    /// Creates the answer with at most `max` members, from `offset` on. With `search`, only with
    /// the member that has this name or email address (case-insensitive): `tw participants add`
    /// adds the first member of the answer, so a partial match would give access to the wrong
    /// person.
    #[must_use]
    pub fn new(members: &'a [User], search: Option<&str>, offset: usize, max: usize) -> Self {
        let search = search.filter(|text| !text.is_empty()).map(fold);
        let is = |text: &str| search.as_deref().is_none_or(|search| fold(text) == search);
        let found: Vec<_> = members.iter().filter(|user| is(&user.user_name) || is(&user.email)).collect();
        let total_size = found.len();
        let page = found.into_iter().skip(offset).take(max);
        let row = |user: &'a User| MemberRow {
            member_id: user.id,
            user_name: &user.user_name,
            email: &user.email,
            first_name: (),
            last_name: (),
            avatar: (),
            role: OrgRole::Member,
        };
        Self { members: page.map(row).collect(), total_size }
    }
}
