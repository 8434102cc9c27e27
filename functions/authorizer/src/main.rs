//! Wiring of the `authorizer` function.

use std::process::ExitCode;
use std::rc::Rc;

use authorizer::Handler;
use authorizer::oidc::Jwts;
use domain::settings::Settings;
use runtime::config::{self, Table};
use runtime::{Clients, Failed, Invocation, Metric, Metrics, SystemRandomness};
use store_dynamodb::Store;

fn main() -> ExitCode {
    runtime::run(async |clients: &Clients| {
        let (table, settings, jwts) = config::load::<(Table, Settings, Jwts)>(config::process)?;
        let metrics = Metrics::new(&settings.deployment);
        let store = Store::new(aws_sdk_dynamodb::Client::new(clients.data()), table.name);
        store.warm_for_tokens().await;
        let handler = Handler { store: Rc::new(store), jwts: Rc::new(jwts) };
        let randomness = SystemRandomness::default();
        Ok(async move |invocation: Invocation| {
            let context = invocation.context(&settings, &randomness);
            handler.handle(invocation.payload(), &context).await.map_err(|error| {
                metrics.count(Metric::AuthorizerFailures);
                domain::log::error(&error).operation("Authorize").by_fault();
                Failed::from(&error)
            })
        })
    })
}
