//! Runs: attributes that are fixed at launch, and a lifecycle that only `UpdateItem` writes, so
//! that attributes of other versions of this code survive.

mod due;
mod head_job;
mod launch;
mod lifecycle;
mod list;
mod live;
mod row;

use async_trait::async_trait;
use domain::Result;
use domain::ids::RunId;
use domain::ports::ReadRuns;
use domain::run::Run;

use crate::Store;
use crate::keys::Key;

#[async_trait(?Send)]
impl ReadRuns for Store {
    async fn run(&self, id: &RunId) -> Result<Option<Run>> {
        self.find(Key::run(id)).await
    }
}
