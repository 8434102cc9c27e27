//! Wiring of the `read-secrets` function.

use std::process::ExitCode;
use std::rc::Rc;

use read_secrets::Handler;
use runtime::Service;
use runtime::config::Table;
use store_dynamodb::Store;

fn main() -> ExitCode {
    runtime::serve_http(async |service: &Service<'_>, table: Table| {
        let store = Rc::new(Store::new(aws_sdk_dynamodb::Client::new(service.clients.data()), table.name));
        store.warm().await;
        Handler { secrets: store.clone(), audit: store.clone(), runs: store.clone(), names: store }
    })
}
