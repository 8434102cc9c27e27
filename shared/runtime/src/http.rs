//! The `main` of a function that serves the HTTP API.

use std::process::ExitCode;

use domain::settings::Settings;
use http_api::{Handle, serve};

use crate::config::{self, Section};
use crate::{Clients, Invocation, Metrics, SystemRandomness, run};

/// The resources of a function when it starts.
pub struct Service<'a> {
    /// AWS clients.
    pub clients: &'a Clients,
    /// The deployment's settings.
    pub settings: &'a Settings,
    /// The deployment's metrics.
    pub metrics: &'a Metrics,
}

/// Runs a function of the HTTP API: loads its configuration, calls `start` once to create the
/// handler, and answers each request with it. Counts faults of the service.
pub fn serve_http<Configuration, Handler>(
    start: impl AsyncFnOnce(&Service<'_>, Configuration) -> Handler,
) -> ExitCode
where
    Configuration: Section,
    Handler: Handle,
{
    run(async |clients: &Clients| {
        let (settings, configuration) = config::load::<(Settings, Configuration)>(config::process)?;
        let metrics = Metrics::new(&settings.deployment);
        let service = Service { clients, settings: &settings, metrics: &metrics };
        let handler = start(&service, configuration).await;
        let randomness = SystemRandomness::default();
        Ok(async move |invocation: Invocation| {
            let context = invocation.context(&settings, &randomness);
            let handle = async |request| handler.handle(request, &context).await;
            let served = serve(&settings, invocation.payload(), handle).await;
            if let Some(code) = served.fault {
                metrics.fault(code);
            }
            Ok(served.answer)
        })
    })
}
