//! Wiring of the `identity` function.

use std::process::ExitCode;
use std::rc::Rc;

use domain::issuer::Issuers;
use domain::settings::Settings;
use identity::Handler;
use runtime::config::{self, Table};
use runtime::{Clients, Failed, Invocation, Metric, Metrics, SystemRandomness};
use store_dynamodb::Store;

fn main() -> ExitCode {
    runtime::run(async |clients: &Clients| {
        let (table, settings, issuers) = config::load::<(Table, Settings, Issuers)>(config::process)?;
        let metrics = Metrics::new(&settings.deployment);
        let store = Store::new(aws_sdk_dynamodb::Client::new(clients.data()), table.name);
        store.warm().await;
        let handler = Handler { store: Rc::new(store), issuers };
        let randomness = SystemRandomness::default();
        Ok(async move |invocation: Invocation| {
            let context = invocation.context(&settings, &randomness);
            let served = handler.handle(invocation.payload(), &context).await.map_err(|error| {
                domain::log::error(&error).operation("Direct").by_fault();
                metrics.count(Metric::ServiceErrors);
                Failed::from(&error)
            })?;
            if served.fault.is_some() {
                metrics.count(Metric::ServiceErrors);
            }
            Ok(served.answer)
        })
    })
}
