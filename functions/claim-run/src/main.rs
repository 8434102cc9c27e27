//! Wiring of the `claim-run` function.

use std::process::ExitCode;

use claim_run::Handler;
use domain::settings::Settings;
use events_eventbridge::RunAnnouncer;
use keys_kms::KmsOpener;
use runtime::config::{self, Bus, EnvelopeKey, Table};
use runtime::{Clients, Invocation, Metric, Metrics, SystemRandomness};
use store_dynamodb::Store;

fn main() -> ExitCode {
    runtime::run(async |clients: &Clients| {
        let (table, settings, key, bus) =
            config::load::<(Table, Settings, EnvelopeKey, Bus)>(config::process)?;
        let metrics = Metrics::new(&settings.deployment);
        let store = Store::new(aws_sdk_dynamodb::Client::new(clients.data()), table.name);
        let keys = KmsOpener::new(aws_sdk_kms::Client::new(clients.data()), key.arn);
        let bus = RunAnnouncer::new(aws_sdk_eventbridge::Client::new(clients.control()), bus.name);
        store.warm().await;
        runtime::warm_up(keys.warm()).await;
        let handler = Handler { store, keys, bus, randomness: SystemRandomness::default(), settings };
        Ok(async move |invocation: Invocation| {
            let second_use = || metrics.count(Metric::SecondClaims);
            let served = http_api::serve(&handler.settings, invocation.payload(), async |request| {
                handler.handle(request, second_use).await
            })
            .await;
            if let Some(code) = served.fault {
                metrics.fault(code);
            }
            Ok(served.answer)
        })
    })
}
