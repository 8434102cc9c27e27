//! One client of a storm.

use std::time::Duration;

use domain::Error;
use domain::copies::Layout;
use domain::platform::Platform;
use domain::run::{Run, State};
use tokio::time::Instant;

use crate::operations::only;
use crate::world::World;

/// A client and its answers.
#[derive(Default)]
pub(super) struct Client {
    /// The run, once it is live.
    pub(super) run: Option<Run>,
    /// The number of requests that returned 429.
    pub(super) rejected: usize,
    /// The longest duration of a request.
    pub(super) longest: Duration,
    /// The time of the last answer.
    pub(super) end: Duration,
    pub(super) violation: Option<String>,
}

impl Client {
    /// Launches once, and returns `Retry-After` if the launch is rejected.
    pub(super) async fn launch(
        &mut self,
        world: &World,
        layout: Layout,
        names: &[String],
        started: Instant,
    ) -> Option<Duration> {
        world.follow_clock(started);
        let sent = Instant::now();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let answer = world.launch_of(Platform::AwsBatch, layout, None, only(&names)).await;
        self.longest = self.longest.max(sent.elapsed());
        self.end = started.elapsed();
        let retry_after = match answer.map(|launched| launched.run) {
            Ok(run) if run.lifecycle.state == State::Pending => {
                self.run = Some(run);
                return None;
            }
            Err(Error::QuotaReached { retry_after }) => retry_after,
            // The value in `shared/http/src/problem.rs`.
            Err(Error::Contended) => 1,
            other => {
                self.violation = Some(format!("a launch returned {:?}", other.map(|run| run.id)));
                return None;
            }
        };
        self.rejected += 1;
        Some(Duration::from_secs(retry_after.into()))
    }
}
