//! Wiring of the `cleanup-run` function.

use std::process::ExitCode;
use std::rc::Rc;

use cleanup_run::Handler;
use delivery_secretsmanager::CopyRemover;
use domain::ports::CleanupSession;
use domain::settings::Settings;
use domain::use_cases::clean_up::Cleaner;
use environments_sts::{Removals, RoleAssumer};
use jobs_batch::JobObserver;
use runtime::config::{self, Home, Table};
use runtime::{Clients, Failed, Invocation, Metric, Metrics, SdkConfig, SystemRandomness};
use serde_json::value::RawValue;
use store_dynamodb::Store;

fn main() -> ExitCode {
    runtime::run(async |clients: &Clients| {
        let (table, settings, home) = config::load::<(Table, Settings, Home)>(config::process)?;
        let metrics = Metrics::new(&settings.deployment);
        let store = Store::new(aws_sdk_dynamodb::Client::new(clients.data()), table.name);
        let jobs = JobObserver::new(aws_sdk_batch::Client::new(clients.control()));
        let copies = CopyRemover::new(aws_sdk_secretsmanager::Client::new(clients.control()));
        store.warm_for_runs().await;
        let roles = RoleAssumer::new(clients.control(), clients.elsewhere());
        let environments = Removals(roles, |session: &SdkConfig| CleanupSession {
            jobs: Rc::new(JobObserver::new(aws_sdk_batch::Client::new(session))),
            copies: Rc::new(CopyRemover::new(aws_sdk_secretsmanager::Client::new(session))),
        });
        let cleaner = Cleaner {
            store: Rc::new(store),
            jobs: Rc::new(jobs),
            copies: Rc::new(copies),
            environments: Rc::new(environments),
        };
        let handler = Handler { cleaner, account: home.account, region: home.region };
        let randomness = SystemRandomness::default();
        Ok(async move |invocation: Invocation| {
            let context = invocation.context(&settings, &randomness);
            match handler.handle(invocation.payload().get(), &context).await {
                Ok(swept) => {
                    if let Some(swept) = swept {
                        metrics.put(&[
                            (Metric::CleanupFailures, i64::from(swept.failed + swept.orphans_failed)),
                            (Metric::OrphansFound, i64::from(swept.orphans)),
                            (Metric::UnknownCopies, i64::from(swept.unknown)),
                            (Metric::EnvironmentsUnreachable, i64::from(swept.unreachable)),
                            (Metric::RunsAbandoned, i64::from(swept.abandoned)),
                            (Metric::OverdueHeadJobs, i64::from(swept.overdue_head_jobs)),
                            (Metric::OldestOverdueSeconds, swept.longest_due_seconds),
                        ]);
                    }
                    Ok(RawValue::NULL.to_owned())
                }
                Err(error) => {
                    domain::log::error(&error).operation("cleanup-run").by_fault();
                    metrics.count(Metric::CleanupFailures);
                    Err(Failed::from(&error))
                }
            }
        })
    })
}
