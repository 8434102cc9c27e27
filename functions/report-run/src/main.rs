//! Wiring of the `report-run` function.

use std::process::ExitCode;
use std::rc::Rc;

use domain::use_cases::cancel_run::Canceller;
use domain::use_cases::report::Reporter;
use events_eventbridge::RunAnnouncer;
use jobs_batch::JobObserver;
use report_run::Handler;
use runtime::Service;
use runtime::config::{Bus, Home, Table};
use store_dynamodb::Store;

fn main() -> ExitCode {
    runtime::serve_http(async |service: &Service<'_>, (table, bus, home): (Table, Bus, Home)| {
        let (data, control) = (service.clients.data(), service.clients.control());
        let store = Store::new(aws_sdk_dynamodb::Client::new(data), table.name);
        let jobs = JobObserver::new(aws_sdk_batch::Client::new(control));
        let bus = RunAnnouncer::new(aws_sdk_eventbridge::Client::new(control), bus.name);
        store.warm_for_runs().await;
        let (store, jobs, bus) = (Rc::new(store), Rc::new(jobs), Rc::new(bus));
        Handler {
            canceller: Canceller { store: store.clone(), jobs: jobs.clone(), bus: bus.clone() },
            reporter: Reporter { store, jobs, bus, region: home.region },
        }
    })
}
