//! Wiring of the `launch-run` function.

use std::process::ExitCode;
use std::rc::Rc;

use delivery_secretsmanager::CopyMaker;
use domain::environment::Environment;
use domain::ids::RunPrefix;
use domain::ports::CreateCopies;
use domain::use_cases::launch::Launcher;
use environments_sts::{Deliveries, RoleAssumer};
use events_eventbridge::RunAnnouncer;
use keys_kms::KmsOpener;
use launch_run::Handler;
use runtime::config::{Bus, EnvelopeKey, Launch, Table};
use runtime::{SdkConfig, Service};
use store_dynamodb::Store;

type Configuration = (Table, EnvelopeKey, Bus, RunPrefix, Launch);

fn main() -> ExitCode {
    runtime::serve_http(async |service: &Service<'_>, configuration: Configuration| {
        let (table, key, bus, prefix, launch) = configuration;
        let home = key.home;
        let (data, control) = (service.clients.data(), service.clients.control());
        let store = Store::new(aws_sdk_dynamodb::Client::new(data), table.name);
        let keys = KmsOpener::new(aws_sdk_kms::Client::new(data), key.arn);
        let copies = CopyMaker::new(aws_sdk_secretsmanager::Client::new(control), launch.copy_key.clone());
        let roles = RoleAssumer::new(control, service.clients.elsewhere());
        let environments = Deliveries(roles, |session: &SdkConfig, environment: &Environment| {
            let client = aws_sdk_secretsmanager::Client::new(session);
            Rc::new(CopyMaker::new(client, environment.copy_key.clone())) as Rc<dyn CreateCopies>
        });
        let bus = RunAnnouncer::new(aws_sdk_eventbridge::Client::new(control), bus.name);
        store.warm_for_runs().await;
        runtime::warm_up(keys.warm()).await;
        let launcher = Launcher {
            store: Rc::new(store),
            keys: Rc::new(keys),
            copies: Rc::new(copies),
            environments: Rc::new(environments),
            bus: Rc::new(bus),
            prefix,
        };
        Handler { launcher, endpoint: launch.api_endpoint, copy_key: launch.copy_key, home }
    })
}
