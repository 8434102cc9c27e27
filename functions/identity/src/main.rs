//! Wiring of the `identity` function.

use domain::settings::Settings;
use identity::Handler;
use runtime::config::{self, Table};
use runtime::{Clients, Failed, Invocation, Metric, Metrics, SystemRandomness};
use store_dynamodb::Store;

fn main() -> std::process::ExitCode {
    runtime::run(async |clients: &Clients| {
        let (table, settings) = config::load::<(Table, Settings)>(config::process)?;
        let metrics = Metrics::new(&settings.deployment);
        let store = Store::new(aws_sdk_dynamodb::Client::new(clients.data()), table.name);
        store.warm().await;
        let handler = Handler { store, randomness: SystemRandomness::default(), settings };
        Ok(async move |invocation: Invocation| {
            let served =
                handler.handle(invocation.payload(), invocation.deadline()).await.map_err(|error| {
                    runtime::log::error("Direct", &error);
                    Failed::from(&error)
                })?;
            if served.fault.is_some() {
                metrics.count(Metric::ServiceErrors);
            }
            Ok(served.answer)
        })
    })
}
