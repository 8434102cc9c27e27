//! Measures cold starts and warm calls. The contenders take turns, so that a disturbance affects
//! all of them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use crate::Effort;
use crate::error::Result;
use crate::fixture::{Fixture, KEY, wrong};
use crate::function::{Function, Program, Spent};
use crate::install::Peers;
use crate::scenario::Scenario;
use crate::stats::Summary;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Implementation {
    /// One of our functions.
    Ours,
    /// The minimal Rust function with the same AWS calls.
    Limit,
    /// The same operation in Node.
    Node,
    /// The same operation in Python.
    Python,
}

impl Implementation {
    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Limit => "limit",
            Self::Node => "Node",
            Self::Python => "Python",
        }
    }
}

/// The figures of one contender in one scenario, in milliseconds and megabytes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) function: &'static str,
    #[serde(rename = "asked")]
    pub(crate) request: &'static str,
    #[serde(rename = "who")]
    pub(crate) implementation: Implementation,
    /// From the start of the process until it requests an event.
    pub(crate) init_cpu: Summary,
    /// The first call.
    pub(crate) first_cpu: Summary,
    /// Start and first call.
    pub(crate) cold_cpu: Summary,
    /// Start and first call, wall-clock time.
    pub(crate) cold_wall: Summary,
    /// A later call.
    pub(crate) warm_cpu: Summary,
    /// A later call, wall-clock time.
    pub(crate) warm_wall: Summary,
    /// Peak memory.
    pub(crate) peak_mb: f64,
}

/// A contender with its measurements.
struct Contender<'a> {
    scenario: &'a Scenario,
    implementation: Implementation,
    program: Program,
    init: Vec<Spent>,
    first: Vec<Spent>,
    warm: Vec<Spent>,
    peak: u64,
    process: Option<Function>,
}

/// Consecutive calls of one contender before the next one takes its turn.
const BLOCK: usize = 25;

/// Measures all contenders.
pub(crate) async fn measure(
    fixture: &Fixture,
    scenarios: &[Scenario],
    peers: &Peers,
    effort: Effort,
) -> Result<Vec<Figures>> {
    let mut contenders: Vec<_> =
        scenarios.iter().flat_map(|scenario| contenders(fixture, scenario, peers)).collect();
    // The AWS calls of each of our functions. The other contenders must make the same ones.
    let mut calls = BTreeMap::new();
    for _ in 0..effort.cold {
        for contender in &mut contenders {
            contender.start(fixture, &mut calls).await?;
        }
    }
    for _ in 0..effort.warm.div_ceil(BLOCK) {
        for contender in &mut contenders {
            contender.warm_calls(fixture).await?;
        }
    }
    Ok(contenders.into_iter().map(Contender::figures).collect())
}

/// The contenders for a scenario.
fn contenders<'a>(fixture: &Fixture, scenario: &'a Scenario, peers: &Peers) -> Vec<Contender<'a>> {
    let mut programs = vec![
        (Implementation::Ours, fixture.ours(scenario.function)),
        (Implementation::Limit, limit(fixture, scenario)),
    ];
    let peer = match scenario.function {
        "read-secrets" => Some("list"),
        "write-secrets" => Some("create"),
        _ => None,
    };
    if let (Some(script), Some((node, bundle))) = (peer, &peers.node) {
        let command = vec![node.into(), bundle.join(format!("{script}.mjs")).into()];
        programs.push((
            Implementation::Node,
            Program { name: format!("Node's {script}"), command, environment: fixture.environment() },
        ));
    }
    if let (Some(script), Some(python)) = (peer, &peers.python) {
        let command =
            vec![python.into(), "-m".into(), "awslambdaric".into(), format!("{script}.handler").into()];
        let mut environment = fixture.environment();
        environment.push(("PYTHONPATH".to_owned(), peers.sources.join("python").into()));
        programs.push((
            Implementation::Python,
            Program { name: format!("Python's {script}"), command, environment },
        ));
    }
    let contenders = programs.into_iter().map(|(implementation, program)| Contender {
        scenario,
        implementation,
        program,
        init: Vec::new(),
        first: Vec::new(),
        warm: Vec::new(),
        peak: 0,
        process: None,
    });
    contenders.collect()
}

/// The minimal function, with the same rows to read and a ciphertext to decrypt.
fn limit(fixture: &Fixture, scenario: &Scenario) -> Program {
    let scope = format!("WS#{}", fixture.workspace);
    let context =
        json!({ "deployment": "compare", "name": "SECRET_0", "scope": scope, "secret": "7", "version": "1" });
    let request = json!({ "KeyId": KEY, "EncryptionContext": context });
    let (_, key) = fixture.aws.with(|aws| aws.services.answer("GenerateDataKey", &request));
    let mut program = fixture.limit(scenario.function);
    let ciphertext = key["CiphertextBlob"].as_str().unwrap_or_default().to_owned();
    for (name, value) in [("SCOPE", scope), ("CONTEXT", context.to_string()), ("CIPHERTEXT", ciphertext)] {
        program.environment.push((name.to_owned(), value.into()));
    }
    program
}

impl Contender<'_> {
    /// Runs a cold start with its first call. The last process stays for the warm calls.
    async fn start(
        &mut self,
        fixture: &Fixture,
        calls: &mut BTreeMap<&'static str, Vec<String>>,
    ) -> Result<()> {
        self.process = None;
        fixture.aws.restore(&self.scenario.from);
        let mut process = fixture.start(&self.program).await?;
        let at_start = fixture.aws.take_calls();
        let (answer, spent) = process.invoke(self.scenario.event(0)).await?;
        let mut made = fixture.aws.take_calls();
        if matches!(self.implementation, Implementation::Ours | Implementation::Limit) {
            made.extend(at_start);
        }
        made.sort();
        self.same_calls(&made, calls)?;
        self.check(fixture, 0, &answer)?;
        self.init.push(process.init);
        self.first.push(spent);
        self.peak = self.peak.max(process.peak_memory()?);
        self.process = Some(process);
        Ok(())
    }

    /// Runs a block of warm calls.
    async fn warm_calls(&mut self, fixture: &Fixture) -> Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        // Restore once per block: restoring before each call would evict the process from the
        // processor's caches.
        fixture.aws.restore(&self.scenario.from);
        for _ in 0..BLOCK {
            let call = self.warm.len() + 1;
            let (answer, spent) = process.invoke(self.scenario.event(call)).await?;
            self.check(fixture, call, &answer)?;
            self.warm.push(spent);
        }
        self.peak = self.peak.max(process.peak_memory()?);
        self.process = Some(process);
        Ok(())
    }

    fn check(&self, fixture: &Fixture, call: usize, answer: &serde_json::Value) -> Result<()> {
        match self.implementation {
            Implementation::Limit if answer["statusCode"] == 200 => Ok(()),
            Implementation::Limit => Err(wrong(&self.program.name, "its status is not 200")),
            _ => self.scenario.check(fixture, &self.program.name, call, answer),
        }
    }

    /// Checks the AWS calls: the limit makes exactly ours; the peers, which open no connections in
    /// advance, a subset.
    fn same_calls(&self, made: &[String], calls: &mut BTreeMap<&'static str, Vec<String>>) -> Result<()> {
        let ours = calls.entry(self.scenario.function).or_insert_with(|| made.to_owned());
        let same = match self.implementation {
            Implementation::Ours | Implementation::Limit => made == ours.as_slice(),
            Implementation::Node | Implementation::Python => made.iter().all(|call| ours.contains(call)),
        };
        match same {
            true => Ok(()),
            false => Err(wrong(&self.program.name, format!("it calls {made:?}; ours calls {ours:?}"))),
        }
    }

    fn figures(self) -> Figures {
        let both = self.init.iter().zip(&self.first);
        let cpu = |spent: &[Spent]| Summary::of_times(spent.iter().map(|spent| spent.cpu));
        Figures {
            function: self.scenario.function,
            request: self.scenario.request,
            implementation: self.implementation,
            init_cpu: cpu(&self.init),
            first_cpu: cpu(&self.first),
            cold_cpu: Summary::of_times(both.clone().map(|(init, first)| init.cpu + first.cpu)),
            cold_wall: Summary::of_times(both.map(|(init, first)| init.wall + first.wall)),
            warm_cpu: cpu(&self.warm),
            warm_wall: Summary::of_times(self.warm.iter().map(|spent| spent.wall)),
            peak_mb: megabytes(self.peak),
        }
    }
}

/// Converts bytes to megabytes.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
