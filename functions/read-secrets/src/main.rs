//! Wiring of the `read-secrets` function.

use std::process::ExitCode;

use domain::settings::Settings;
use read_secrets::Handler;
use runtime::config::{self, Table};
use runtime::{Clients, Invocation, Metrics};
use store_dynamodb::Store;

fn main() -> ExitCode {
    runtime::run(async |clients: &Clients| {
        let (table, settings) = config::load::<(Table, Settings)>(config::process)?;
        let metrics = Metrics::new(&settings.deployment);
        let store = Store::new(aws_sdk_dynamodb::Client::new(clients.data()), table.name);
        store.warm().await;
        let handler = Handler { store, settings };
        Ok(async move |invocation: Invocation| {
            let served = http_api::serve(&handler.settings, invocation.payload(), async |request| {
                handler.handle(request).await
            })
            .await;
            if let Some(code) = served.fault {
                metrics.fault(code);
            }
            Ok(served.answer)
        })
    })
}
