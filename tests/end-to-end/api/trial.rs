//! Tests that share one stack: it is deployed when the first one needs it, and stopped when the last one is done.

use std::future::Future;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use end_to_end::Harness;
use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

/// Connections belong to a runtime: all tests share it, as they share the stack.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static BENCH: Mutex<Option<Arc<Harness>>> = Mutex::const_new(None);

/// A checked token is believed for 2 seconds rather than 60: tests of revoked ones wait for the end of it. One address
/// sends more here than a deployment expects.
const PARAMETERS: &[(&str, &str)] = &[
    ("AuthorizerCacheSeconds", "2"),
    ("DeletionProtection", "false"),
    ("ThrottleRate", "10000"),
    ("ThrottleBurst", "10000"),
];

/// The shared service.
pub(crate) async fn harness() -> Arc<Harness> {
    let mut shared = BENCH.lock().await;
    if shared.is_none() {
        *shared = Some(Arc::new(Harness::start(PARAMETERS).await.expect("a deployed stack")));
    }
    shared.as_ref().expect("the shared stack").clone()
}

/// A test.
pub(crate) fn trial<F>(name: impl Into<String>, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(name, move || {
        RUNTIME.block_on(test());
        Ok(())
    })
}

/// Tests by the names of their functions.
macro_rules! trials {
    ($($test:ident),* $(,)?) => {{
        let module = module_path!().rsplit("::").next().unwrap_or_default();
        vec![$(crate::trial::trial(format!("{module}::{}", stringify!($test)), $test)),*]
    }};
}
pub(crate) use trials;

/// Runs the tests, then those that look at what all of them left behind, and stops the service.
pub(crate) fn run(tests: Vec<Vec<Trial>>, afterwards: Vec<Trial>) -> ExitCode {
    let arguments = Arguments::from_args();
    let first = libtest_mimic::run(&arguments, tests.into_iter().flatten().collect());
    let then = libtest_mimic::run(&arguments, afterwards);
    RUNTIME.block_on(stop());
    if first.has_failed() || then.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS }
}

async fn stop() {
    // Nobody holds it any more: a test that failed has let go of it as well.
    if let Some(harness) = BENCH.lock().await.take().and_then(Arc::into_inner) {
        harness.stop().await.expect("a stopped stack");
    }
}
