use std::rc::Rc;

use cleanup_run::Handler;
use delivery_secretsmanager::CopyRemover;
use domain::settings::Settings;
use domain::use_cases::clean_up::Cleaner;
use environments_sts::{Removals, RoleAssumer};
use jobs_batch::JobObserver;
use runtime::SdkConfig;

use crate::aws::{Aws, REGION, context, wait};

/// An event is handled or rejected. It alone does not delete anything, and its content is not
/// forwarded.
pub fn run(data: &[u8]) {
    let aws = Aws::empty();
    let config = aws.config();
    let cleaner = Cleaner {
        store: Rc::new(aws.store()),
        jobs: Rc::new(JobObserver::new(aws_sdk_batch::Client::new(&config))),
        copies: Rc::new(CopyRemover::new(aws_sdk_secretsmanager::Client::new(&config))),
        environments: Rc::new(Removals(RoleAssumer::new(&config, &config), |_: &SdkConfig| {
            unreachable!("no event alone opens a session")
        })),
    };
    let handler = Handler { cleaner, account: "111122223333".into(), region: REGION.into() };
    let handled = wait(handler.handle(&super::text(data), &context(&Settings::new("test"))));
    if let Err(error) = handled {
        super::one_line(&error.to_string());
    }
    for (call, body) in aws.calls() {
        assert!(["GetItem", "Query", "ListSecrets"].contains(&call.as_str()), "an event alone caused {call}");
        assert!(!body.contains(super::MARK), "{call} sends the content of an event");
    }
}
