//! The settings of a deployment. The defaults are the secure ones.

use jiff::SignedDuration;

use crate::layout::Layout;
use crate::names::names;

/// The settings of a deployment.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The deployment's name, in every encryption context and on every copy.
    pub deployment: String,
    /// Whether `maintain` may write workspace secrets, in addition to owners and admins.
    pub maintain_may_write: bool,
    /// Whether secrets may have names that start with `AWS_`. Off by default, because such names
    /// change a task's AWS permissions.
    pub allow_aws_names: bool,
    /// The layout of copies for launches that do not choose one.
    pub default_layout: Layout,
    /// The times in a run's lifecycle.
    pub limits: Limits,
    /// The longest life of a token that a user creates. Default: 365 days.
    pub max_token_life: SignedDuration,
    /// How many live runs and copies there may be.
    pub live_limits: LiveLimits,
    /// Who may launch with user secrets alone.
    pub launch_without_workspace: LaunchWithoutWorkspace,
    /// Whether the table was restored from a backup and is not reconciled yet. Until then no
    /// request is served.
    pub restored: bool,
}

names! {
    /// Which users may launch without a workspace, with user secrets alone.
    "launch without a workspace" pub enum LaunchWithoutWorkspace {
        /// Users with permission to launch in at least one workspace.
        Launchers = "launchers",
        /// Every user.
        Everyone = "everyone",
        /// No user.
        NoOne = "none",
    }
}

/// The maximum numbers of live runs and of their copies. A run counts until its copies are deleted.
/// The limits are soft: launches in flight can exceed them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveLimits {
    /// Live runs of one user in one workspace, or without a workspace. Default: 100.
    pub runs_per_user: u32,
    /// Live runs in one workspace. Default: 500.
    pub runs_per_workspace: u32,
    /// Copies of one user's live runs in one workspace, or without a workspace. Default: 2,000.
    pub copies_per_user: u32,
    /// Copies of the live runs in one workspace. Default: 10,000.
    pub copies_per_workspace: u32,
}

impl Default for LiveLimits {
    fn default() -> Self {
        Self {
            runs_per_user: 100,
            runs_per_workspace: 500,
            copies_per_user: 2_000,
            copies_per_workspace: 10_000,
        }
    }
}

/// The times in a run's lifecycle ([`next`](crate::run::next)).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the intent to the end of the launch; later the launch counts as crashed. Default: 2
    /// minutes.
    pub provisioning: SignedDuration,
    /// From the launch to the first heartbeat. Default: 24 hours.
    pub pending: SignedDuration,
    /// From one heartbeat to the next. Default: 30 minutes.
    pub lease: SignedDuration,
    /// From the launch to the time after which reports no longer renew the lease. Default: 30 days.
    pub longest_run: SignedDuration,
    /// From that time to the end of a run whose head job still runs. Default: 7 days.
    pub head_job_grace: SignedDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            provisioning: SignedDuration::from_mins(2),
            pending: SignedDuration::from_hours(24),
            lease: SignedDuration::from_mins(30),
            longest_run: SignedDuration::from_hours(30 * 24),
            head_job_grace: SignedDuration::from_hours(7 * 24),
        }
    }
}

impl Settings {
    /// Creates the default settings for a deployment of this name.
    #[must_use]
    pub fn new(deployment: impl Into<String>) -> Self {
        Self {
            deployment: deployment.into(),
            maintain_may_write: false,
            allow_aws_names: false,
            default_layout: Layout::Bundle,
            limits: Limits::default(),
            max_token_life: SignedDuration::from_hours(365 * 24),
            live_limits: LiveLimits::default(),
            launch_without_workspace: LaunchWithoutWorkspace::Launchers,
            restored: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_settings_are_the_secure_ones() {
        let settings = Settings::new("prod");
        assert_eq!(settings.deployment, "prod");
        assert!(!settings.maintain_may_write, "only owners and admins write");
        assert!(!settings.allow_aws_names, "no secret changes the permissions of a task");
        assert_eq!(settings.default_layout, Layout::Bundle, "the layout that costs least");
        assert_eq!(settings.max_token_life.as_hours(), 365 * 24, "no token lives forever");
        assert!(!settings.restored, "an empty table has nothing to reconcile");
        assert_eq!(settings.launch_without_workspace, LaunchWithoutWorkspace::Launchers);
    }

    #[test]
    fn the_default_limits_are_positive_and_leave_room_for_each_other() {
        let Limits { provisioning, pending, lease, longest_run, .. } = Limits::default();
        assert!(provisioning.is_positive());
        assert!(provisioning < lease, "a crashed launch is noticed before a silent run");
        assert!(lease < pending, "a queue may take longer than the pause between two heartbeats");
        assert!(pending < longest_run, "a run that waited in a queue can still begin");
    }
}
