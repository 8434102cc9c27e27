//! Wiring of the `claim-run` function.

use std::process::ExitCode;
use std::rc::Rc;

use claim_run::Handler;
use domain::use_cases::claim::Claimer;
use events_eventbridge::RunAnnouncer;
use keys_kms::KmsOpener;
use runtime::config::{Bus, EnvelopeKey, Table};
use runtime::{Metric, Service};
use store_dynamodb::Store;

fn main() -> ExitCode {
    runtime::serve_http(async |service: &Service<'_>, (table, key, bus): (Table, EnvelopeKey, Bus)| {
        let (data, control) = (service.clients.data(), service.clients.control());
        let store = Store::new(aws_sdk_dynamodb::Client::new(data), table.name);
        let keys = KmsOpener::new(aws_sdk_kms::Client::new(data), key.arn);
        let bus = RunAnnouncer::new(aws_sdk_eventbridge::Client::new(control), bus.name);
        store.warm_for_runs().await;
        runtime::warm_up(keys.warm()).await;
        let metrics = service.metrics.clone();
        Handler {
            claimer: Claimer { store: Rc::new(store), keys: Rc::new(keys), bus: Rc::new(bus) },
            second_use: Box::new(move || metrics.count(Metric::SecondClaims)),
        }
    })
}
