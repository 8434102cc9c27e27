//! Wiring of the `launch-run` function.

use std::process::ExitCode;

use delivery_secretsmanager::CopyMaker;
use domain::ids::RunPrefix;
use domain::settings::Settings;
use events_eventbridge::RunAnnouncer;
use keys_kms::KmsOpener;
use launch_run::Handler;
use runtime::config::{self, Bus, EnvelopeKey, Launch, Table};
use runtime::{Clients, Invocation, Metrics, SystemRandomness};
use store_dynamodb::Store;

type Configuration = (Table, Settings, EnvelopeKey, Bus, RunPrefix, Launch);

fn main() -> ExitCode {
    runtime::run(async |clients: &Clients| {
        let (table, settings, key, bus, prefix, launch) = config::load::<Configuration>(config::process)?;
        let metrics = Metrics::new(&settings.deployment);
        let (data, control) = (clients.data(), clients.control());
        let store = Store::new(aws_sdk_dynamodb::Client::new(data), table.name);
        let keys = KmsOpener::new(aws_sdk_kms::Client::new(data), key.arn);
        let copies = CopyMaker::new(aws_sdk_secretsmanager::Client::new(control), launch.copy_key.clone());
        let bus = RunAnnouncer::new(aws_sdk_eventbridge::Client::new(control), bus.name);
        store.warm().await;
        runtime::warm_up(keys.warm()).await;
        let (endpoint, copy_key) = (launch.api_endpoint, launch.copy_key);
        let randomness = SystemRandomness::default();
        let handler = Handler { store, keys, copies, bus, randomness, settings, prefix, endpoint, copy_key };
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
