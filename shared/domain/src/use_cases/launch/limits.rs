//! The limits of live runs and of their copies.
//!
//! A launch counts the live runs of its scope in an index, in parallel with its other reads. A
//! counter would be one row that every launch and every end of a workspace writes
//! ([ADR 21](../../../../../docs/adr/0021-live-runs-are-an-index.md)).

use crate::context::Context;
use crate::environment::Target;
use crate::ports::{ListLiveRuns, LiveRun, LiveRuns};
use crate::settings::LiveLimits;
use crate::use_cases::preview::LaunchScopes;
use crate::{Error, Result};

/// Reads the live runs of the scope that the launch counts in, as many as a limit needs. Runs that
/// wait for a compute environment that cannot be used do not keep others from running at home.
pub(super) async fn read_live_runs(
    store: &dyn ListLiveRuns,
    scopes: &LaunchScopes,
    target: &Target,
    context: &Context<'_>,
) -> Result<Vec<LiveRun>> {
    let limits = &context.settings.live_limits;
    let limit = match &scopes.workspace {
        Some(_) => limits.runs_per_workspace,
        None => limits.runs_per_user,
    };
    let which = if target.is_home() { LiveRuns::ExceptEndedElsewhere } else { LiveRuns::All };
    store.live_runs(scopes.of_run().owner(), which, limit).await
}

/// Checks that the launch exceeds no limit.
pub(super) fn check(
    live: &[LiveRun],
    scopes: &LaunchScopes,
    copies: usize,
    context: &Context<'_>,
) -> Result<()> {
    let of_user: Vec<_> = live.iter().filter(|run| run.user == scopes.user.actor()).collect();
    let workspace = scopes.workspace.is_some();
    let place = if workspace { "in this workspace" } else { "without a workspace" };
    let LiveLimits { runs_per_user, runs_per_workspace, copies_per_user, copies_per_workspace } =
        context.settings.live_limits;
    within(&of_user, copies, runs_per_user, copies_per_user, &format!("Your live runs {place}"))?;
    if workspace {
        let all: Vec<_> = live.iter().collect();
        within(&all, copies, runs_per_workspace, copies_per_workspace, "The live runs in this workspace")?;
    }
    Ok(())
}

fn within(live: &[&LiveRun], copies: usize, runs: u32, most_copies: u32, whose: &str) -> Result<()> {
    let copies = u64::try_from(copies).unwrap_or(u64::MAX);
    if copies > u64::from(most_copies) {
        return Err(Error::Refused(format!(
            "The launch is refused: it needs {copies} copies of secrets, and {} can have {most_copies} at most. \
             Select fewer secrets, or choose the layout bundle.",
            lower_first(whose)
        )));
    }
    if live.len() >= usize::try_from(runs).unwrap_or(usize::MAX) {
        return Err(Error::TooManyLiveRuns(format!(
            "{whose} have reached the limit of {runs}. Launch again when one of them has ended."
        )));
    }
    let existing: u64 = live.iter().map(|run| u64::from(run.copies)).sum();
    if existing.saturating_add(copies) > u64::from(most_copies) {
        return Err(Error::TooManyLiveRuns(format!(
            "{whose} have {existing} copies of secrets, and this launch needs {copies} more: the limit is \
             {most_copies}. Launch again when some of them have ended."
        )));
    }
    Ok(())
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Actor;
    use crate::ids::{RunId, UserId};
    use crate::owner::Scope;
    use crate::role::{Permission, Role};
    use crate::testing::{Fixture, actor, user_id, workspace_id};

    fn live(user: UserId, copies: u32) -> LiveRun {
        LiveRun { id: RunId::new("ab12ABCDEFGHIJ").unwrap(), user, copies }
    }

    fn scopes(fixture: &Fixture, workspace: bool) -> LaunchScopes {
        let actor: Actor = actor();
        let scope = || {
            Scope::for_role(&fixture.settings, &actor, workspace_id(), Role::Launch, Permission::Launch)
                .unwrap()
        };
        let user = Scope::own(&actor, Permission::Launch).unwrap();
        LaunchScopes { workspace: workspace.then(scope), user }
    }

    /// Live runs as user and copies, the copies of the launch, and the outcome in a workspace and
    /// without one.
    type Case<'a> = (&'a str, &'a [(UserId, u32)], usize, &'a str, &'a str);

    #[test]
    fn a_launch_is_refused_at_each_limit_and_not_before() {
        let mut fixture = Fixture::new();
        fixture.settings.live_limits = LiveLimits {
            runs_per_user: 2,
            runs_per_workspace: 3,
            copies_per_user: 10,
            copies_per_workspace: 20,
        };
        let (me, other) = (actor().user, user_id(8));
        let cases: [Case<'_>; 10] = [
            ("none", &[], 1, "", ""),
            ("one below", &[(me, 1)], 1, "", ""),
            ("as many as a user may have", &[(me, 1), (me, 1)], 1, "Your live runs", "Your live runs"),
            ("of others", &[(other, 1), (other, 1)], 1, "", ""),
            ("as many as a workspace may have", &[(other, 1); 3], 1, "The live runs in this", ""),
            ("all copies", &[(me, 4)], 6, "", ""),
            ("one copy too many", &[(me, 5)], 6, "and this launch needs 6 more", "the limit is 10"),
            ("copies of others", &[(other, 10), (other, 5)], 6, "have 15 copies", ""),
            ("a claim", &[(me, 10)], 0, "", ""),
            ("never", &[], 11, "choose the layout bundle", "choose the layout bundle"),
        ];
        for (case, runs, copies, in_workspace, without) in cases {
            let runs: Vec<_> = runs.iter().map(|(user, copies)| live(*user, *copies)).collect();
            for (workspace, expected) in [(true, in_workspace), (false, without)] {
                let outcome = check(&runs, &scopes(&fixture, workspace), copies, &fixture.context());
                let text = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
                let code = outcome.err().map(|error| error.code());
                let refused = match case {
                    "never" => Some("refused"),
                    _ => (!expected.is_empty()).then_some("too-many-live-runs"),
                };
                assert_eq!(code, refused, "{case}, workspace {workspace}: {text}");
                assert!(text.contains(expected), "{case}, workspace {workspace}: {text}");
            }
        }
    }
}
