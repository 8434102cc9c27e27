//! Runs tests on one shared stack, which is deployed for the first test and stopped after the last
//! one.

use std::future::Future;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use end_to_end::Harness;
use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

/// Connections belong to a runtime, so all tests share one, like the stack.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static SHARED: Mutex<Option<Arc<Harness>>> = Mutex::const_new(None);

/// The authorizer's decision is cached for 2 seconds instead of 60, because tests of revoked tokens
/// wait for the cache to expire. The throttle is raised, because all requests come from one
/// address.
const PARAMETERS: &[(&str, &str)] = &[
    ("AuthorizerCacheSeconds", "2"),
    ("DeletionProtection", "false"),
    ("ThrottleRate", "10000"),
    ("ThrottleBurst", "10000"),
];

/// The shared service.
pub(crate) async fn harness() -> Arc<Harness> {
    let mut shared = SHARED.lock().await;
    if shared.is_none() {
        *shared = Some(Arc::new(Harness::start(PARAMETERS).await.expect("a deployed stack")));
    }
    shared.as_ref().expect("the shared stack").clone()
}

/// Wraps an async test.
pub(crate) fn trial<F>(name: impl Into<String>, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(name, move || {
        RUNTIME.block_on(test());
        Ok(())
    })
}

/// Lists test functions. Each test is named after its function.
macro_rules! trials {
    ($($test:ident),* $(,)?) => {{
        let module = module_path!().rsplit("::").next().unwrap_or_default();
        vec![$(crate::trial::trial(format!("{module}::{}", stringify!($test)), $test)),*]
    }};
}
pub(crate) use trials;

/// Runs the tests, then those that check what all of them left behind, and stops the service.
pub(crate) fn run(tests: Vec<Vec<Trial>>, afterwards: Vec<Trial>) -> ExitCode {
    let arguments = Arguments::from_args();
    let first = libtest_mimic::run(&arguments, tests.into_iter().flatten().collect());
    let then = libtest_mimic::run(&arguments, afterwards);
    RUNTIME.block_on(stop());
    if first.has_failed() || then.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS }
}

async fn stop() {
    // This is the last reference: failed tests have dropped theirs as well.
    if let Some(harness) = SHARED.lock().await.take().and_then(Arc::into_inner) {
        harness.stop().await.expect("a stopped stack");
    }
}
