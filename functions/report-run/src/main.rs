//! Wiring of the `report-run` function.

use std::process::ExitCode;

use domain::settings::Settings;
use events_eventbridge::RunAnnouncer;
use jobs_batch::JobObserver;
use report_run::Handler;
use runtime::config::{self, Bus, Home, Table};
use runtime::{Clients, Invocation, Metrics, SystemRandomness};
use store_dynamodb::Store;

fn main() -> ExitCode {
    runtime::run(async |clients: &Clients| {
        let (table, settings, bus, home) = config::load::<(Table, Settings, Bus, Home)>(config::process)?;
        let metrics = Metrics::new(&settings.deployment);
        let store = Store::new(aws_sdk_dynamodb::Client::new(clients.data()), table.name);
        let jobs = JobObserver::new(aws_sdk_batch::Client::new(clients.control()));
        let bus = RunAnnouncer::new(aws_sdk_eventbridge::Client::new(clients.control()), bus.name);
        store.warm_for_runs().await;
        let randomness = SystemRandomness::default();
        let handler = Handler { store, jobs, bus, randomness, settings, region: home.region };
        Ok(async move |invocation: Invocation| {
            let pace = invocation.deadline();
            let served = http_api::serve(&handler.settings, invocation.payload(), async |request| {
                handler.handle(request, pace).await
            })
            .await;
            if let Some(code) = served.fault {
                metrics.fault(code);
            }
            Ok(served.answer)
        })
    })
}
