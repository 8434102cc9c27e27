//! Wiring of the `write-secrets` function.

use std::process::ExitCode;
use std::rc::Rc;

use domain::use_cases::create_secrets::SecretService;
use keys_kms::KmsSealer;
use runtime::Service;
use runtime::config::{EnvelopeKey, Table};
use store_dynamodb::Store;
use write_secrets::Handler;

fn main() -> ExitCode {
    runtime::serve_http(async |service: &Service<'_>, (table, key): (Table, EnvelopeKey)| {
        let clients = service.clients;
        let store = Store::new(aws_sdk_dynamodb::Client::new(clients.data()), table.name);
        let keys = KmsSealer::new(aws_sdk_kms::Client::new(clients.data()), key.arn);
        store.warm().await;
        runtime::warm_up(keys.warm()).await;
        Handler { service: SecretService { store: Rc::new(store), keys: Rc::new(keys) } }
    })
}
