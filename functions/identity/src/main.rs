//! Wiring of the `identity` function.

use std::process::ExitCode;
use std::rc::Rc;

use domain::environment::Service;
use domain::ids::RunPrefix;
use domain::issuer::Issuers;
use domain::settings::Settings;
use domain::use_cases::environments::{ComputeAccounts, EnvironmentService};
use environments_sts::{Checks, RoleAssumer};
use events_eventbridge::ExpiryAnnouncer;
use identity::{Environments, Expiry, Handler};
use runtime::config::{self, Bus, ComputeEnvironments, Home, Table};
use runtime::{Clients, Failed, Invocation, Metric, Metrics, SystemRandomness};
use store_dynamodb::Store;

type Configuration = (Table, Settings, Home, RunPrefix, ComputeEnvironments, Issuers, Bus);

fn main() -> ExitCode {
    runtime::run(async |clients: &Clients| {
        let (table, settings, home, prefix, environments, issuers, bus) =
            config::load::<Configuration>(config::process)?;
        let metrics = Metrics::new(&settings.deployment);
        let store = Rc::new(Store::new(aws_sdk_dynamodb::Client::new(clients.data()), table.name));
        store.warm().await;
        let targets = Checks {
            assumer: RoleAssumer::new(clients.control(), clients.elsewhere()),
            copy: format!("tower-{}", prefix.as_str()),
        };
        let accounts = ComputeAccounts {
            partition: environments.partition().to_owned(),
            region: home.region,
            accounts: environments.accounts,
        };
        let deployment = settings.deployment.clone();
        let environments = Environments {
            service: EnvironmentService { store: store.clone(), targets: Rc::new(targets), accounts },
            deployment: Service { roles: environments.roles, bus: environments.bus, deployment, prefix },
        };
        let found = metrics.clone();
        let expiry = Expiry {
            events: Rc::new(ExpiryAnnouncer::new(
                aws_sdk_eventbridge::Client::new(clients.control()),
                bus.name,
            )),
            report: Box::new(move |summary| {
                found.put(&[
                    (Metric::ExpiringSecrets, i64::from(summary.secrets)),
                    (Metric::ExpiringTokens, i64::from(summary.tokens)),
                ]);
            }),
        };
        let handler = Handler { store, issuers, environments, expiry };
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
