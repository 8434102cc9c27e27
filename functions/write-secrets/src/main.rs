//! Wiring of the `write-secrets` function.

use std::process::ExitCode;

use domain::settings::Settings;
use keys_kms::KmsSealer;
use runtime::config::{self, EnvelopeKey, Table};
use runtime::{Clients, Invocation, Metrics, SystemRandomness};
use store_dynamodb::Store;
use write_secrets::Handler;

fn main() -> ExitCode {
    runtime::run(async |clients: &Clients| {
        let (table, settings, key) = config::load::<(Table, Settings, EnvelopeKey)>(config::process)?;
        let metrics = Metrics::new(&settings.deployment);
        let store = Store::new(aws_sdk_dynamodb::Client::new(clients.data()), table.name);
        let keys = KmsSealer::new(aws_sdk_kms::Client::new(clients.data()), key.arn);
        store.warm().await;
        runtime::warm_up(keys.warm()).await;
        let handler = Handler { store, keys, randomness: SystemRandomness::default(), settings };
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
