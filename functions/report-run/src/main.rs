//! Wiring of the `report-run` function.

use std::process::ExitCode;
use std::rc::Rc;

use domain::ports::ObserveJobs;
use domain::use_cases::cancel_run::Canceller;
use domain::use_cases::report::Reporter;
use environments_sts::{Observations, RoleAssumer};
use events_eventbridge::RunAnnouncer;
use jobs_batch::JobObserver;
use report_run::Handler;
use runtime::config::{Bus, Home, Table};
use runtime::{SdkConfig, Service};
use store_dynamodb::Store;

fn main() -> ExitCode {
    runtime::serve_http(async |service: &Service<'_>, (table, bus, home): (Table, Bus, Home)| {
        let (data, control) = (service.clients.data(), service.clients.control());
        let store = Store::new(aws_sdk_dynamodb::Client::new(data), table.name);
        let jobs = JobObserver::new(aws_sdk_batch::Client::new(control));
        let bus = RunAnnouncer::new(aws_sdk_eventbridge::Client::new(control), bus.name);
        store.warm_for_runs().await;
        let (store, jobs, bus) = (Rc::new(store), Rc::new(jobs), Rc::new(bus));
        let roles = RoleAssumer::new(control, service.clients.elsewhere());
        let environments = Rc::new(Observations(roles, |session: &SdkConfig| {
            Rc::new(JobObserver::new(aws_sdk_batch::Client::new(session))) as Rc<dyn ObserveJobs>
        }));
        let Home { account, region } = home;
        Handler {
            canceller: Canceller {
                store: store.clone(),
                jobs: jobs.clone(),
                environments: environments.clone(),
                bus: bus.clone(),
            },
            reporter: Reporter { store, jobs, environments, bus, account, region },
        }
    })
}
