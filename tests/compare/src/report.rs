//! Prints the figures as tables or as one JSON object.

use std::fmt::Write as _;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use serde::Serialize;

use crate::cost::{self, Line, dollars};
use crate::credstash::Credstash;
use crate::growth::Growth;
use crate::micro::Micro;
use crate::starts::{Figures, Implementation};
use crate::stats::Summary;

/// All figures; `null` if a contender is missing.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Processor time of a cold start with its first call, divided by that of the minimal function:
    /// the worst of all functions.
    pub(crate) cold_over_limit: f64,
    /// The same for Node divided by ours: the worse of list and create.
    pub(crate) cold_node_ratio: Option<f64>,
    /// The same for Python divided by ours: the worse of list and create.
    pub(crate) cold_python_ratio: Option<f64>,
    /// Processor time of a warm create, Node divided by ours.
    pub(crate) warm_node_ratio: Option<f64>,
    /// Processor time of a warm create, Python divided by ours.
    pub(crate) warm_python_ratio: Option<f64>,
    /// Sealing 4 KiB minus the bare cipher, in microseconds of processor time.
    pub(crate) seal_over_cipher_us_4k: Option<f64>,
    /// Opening 4 KiB minus the bare cipher, in microseconds of processor time.
    pub(crate) open_over_cipher_us_4k: Option<f64>,
    /// Time of a launch with 64 secrets, divided by the delay of one AWS call.
    pub(crate) launch_delays_64: f64,
    /// AWS calls of that launch.
    pub(crate) launch_calls_64: usize,
    /// AWS calls of a sweep with 100 due and 1,000 ended runs.
    pub(crate) sweep_calls_1k: usize,
    /// The same with 100,000 ended runs.
    pub(crate) sweep_calls_100k: usize,
    /// Processor time to store a secret in a new process, credstash divided by ours.
    pub(crate) credstash_put_ratio: Option<f64>,
    /// The same in a long-lived process, credstash's library divided by ours.
    pub(crate) credstash_warm_put_ratio: Option<f64>,
    /// Processor time to list a hundred secrets, credstash divided by ours.
    pub(crate) credstash_list_ratio: Option<f64>,
    /// The largest zip for arm64, in megabytes.
    pub(crate) zip_mb_max: Option<f64>,
    /// Peak memory of a function, in megabytes. `growth` has that of the large launch.
    pub(crate) rss_mb_max: f64,
    /// Launches per second at the quota, bundles divided by one copy per name.
    pub(crate) quota_ratio: f64,
    /// The contenders that could not be installed, and why.
    pub(crate) missing: Vec<String>,
    /// Cold starts and warm calls.
    pub(crate) starts: Vec<Figures>,
    pub(crate) growth: Growth,
    /// Work between AWS calls.
    pub(crate) micro: Option<Micro>,
    pub(crate) credstash: Option<Credstash>,
    /// The functions' zips and their sizes in megabytes.
    pub(crate) zips: Vec<(String, f64)>,
    /// Dollars per month.
    pub(crate) cost: Vec<Line>,
}

/// The input of a report.
pub(crate) struct Parts {
    pub(crate) missing: Vec<String>,
    pub(crate) starts: Vec<Figures>,
    pub(crate) growth: Growth,
    pub(crate) micro: Option<Micro>,
    pub(crate) credstash: Option<Credstash>,
    pub(crate) zips: Vec<(String, f64)>,
}

impl Report {
    /// Computes the ratios.
    pub(crate) fn of(parts: Parts) -> Self {
        let Parts { missing, starts, growth, micro, credstash, zips } = parts;
        let cold = ratios(&starts, |figures| figures.cold_cpu);
        let warm = ratios(&starts, |figures| figures.warm_cpu);
        let create = |implementation| {
            warm.iter()
                .find(|(function, of, _)| *function == "write-secrets" && *of == implementation)
                .map(|found| found.2)
        };
        let of =
            |implementation| cold.iter().filter(move |(_, of, _)| *of == implementation).map(|found| found.2);
        let sealing = micro.as_ref().and_then(|micro| micro.sizes.iter().find(|one| one.size == "4 KiB"));
        let over = |pick: fn(&crate::micro::Sealing) -> [f64; 2]| {
            sealing.map(pick).map(|[ours, cipher]| ours - cipher)
        };
        let launch = growth.launches.last();
        let sweep =
            |ended| growth.sweeps.iter().find(|sweep| sweep.ended == ended).map_or(0, |sweep| sweep.calls);
        let ours = starts
            .iter()
            .filter(|figures| figures.implementation == Implementation::Ours)
            .map(|figures| figures.peak_mb);
        let [bundle, per_name] = growth.launches_per_second;
        Self {
            // `ratios` divides the limit by ours.
            cold_over_limit: of(Implementation::Limit).map(f64::recip).fold(0.0, f64::max),
            cold_node_ratio: of(Implementation::Node).reduce(f64::min),
            cold_python_ratio: of(Implementation::Python).reduce(f64::min),
            warm_node_ratio: create(Implementation::Node),
            warm_python_ratio: create(Implementation::Python),
            seal_over_cipher_us_4k: over(|sealing| sealing.seal_us),
            open_over_cipher_us_4k: over(|sealing| sealing.open_us),
            launch_delays_64: launch.map_or(f64::NAN, |launch| launch.delays.median),
            launch_calls_64: launch.map_or(0, |launch| launch.calls),
            sweep_calls_1k: sweep(1_000),
            sweep_calls_100k: sweep(100_000),
            credstash_put_ratio: credstash.as_ref().map(|them| them.command.median / them.our_command.median),
            credstash_warm_put_ratio: credstash.as_ref().map(|them| them.put.median / them.our_put.median),
            credstash_list_ratio: credstash.as_ref().map(|them| them.list.median / them.our_list.median),
            zip_mb_max: zips.iter().map(|zip| zip.1).reduce(f64::max),
            rss_mb_max: ours.chain([growth.peak_mb]).fold(0.0, f64::max),
            quota_ratio: bundle / per_name,
            missing,
            starts,
            growth,
            micro,
            credstash,
            zips,
            cost: cost::table(),
        }
    }

    /// The tables, in Markdown.
    pub(crate) fn tables(&self) -> String {
        let parts = [
            ("Cold starts and warm calls: ms of processor time, median (middle half)", self.starts_table()),
            ("Growth", self.growth_table()),
            ("Between AWS calls: µs of processor time", self.micro_table()),
            ("credstash: ms of processor time, median (middle half)", self.credstash_table()),
            ("Zips for arm64", self.zips_table()),
            ("Dollars per month", self.cost_table()),
            ("Goals", self.goals_table()),
        ];
        let mut text = String::new();
        for (title, table) in parts {
            let _ = write!(text, "### {title}\n\n{table}\n\n");
        }
        text
    }

    fn starts_table(&self) -> Table {
        let mut table = table(&[
            "function",
            "request",
            "contender",
            "init",
            "first call",
            "cold",
            "cold, wall",
            "warm",
            "warm, wall",
            "peak MB",
        ]);
        for one in &self.starts {
            let times =
                [one.init_cpu, one.first_cpu, one.cold_cpu, one.cold_wall, one.warm_cpu, one.warm_wall];
            let mut row =
                vec![one.function.to_owned(), one.request.to_owned(), one.implementation.name().to_owned()];
            row.extend(times.map(|time| time.to_string()));
            row.push(format!("{:.1}", one.peak_mb));
            table.add_row(row);
        }
        table
    }

    fn growth_table(&self) -> Table {
        let growth = &self.growth;
        let mut table = table(&["what", "AWS calls", "time"]);
        for one in &growth.launches {
            table.add_row([
                format!("launch with {} secrets, each call delayed", one.secrets),
                one.calls.to_string(),
                format!("{} delays", one.delays),
            ]);
        }
        for one in &growth.lists {
            table.add_row([
                format!("list of {}", one.secrets),
                one.calls.to_string(),
                format!("{} ms of processor time", one.cpu),
            ]);
        }
        for one in &growth.sweeps {
            table.add_row([
                format!("sweep of 100 due among {} ended", one.ended),
                one.calls.to_string(),
                format!("{:.0} ms of processor time", one.cpu_ms),
            ]);
        }
        let [bundle, per_name] = growth.launches_per_second;
        table.add_row([
            "launches with 20 secrets at 50 CreateSecret per second, bundle".to_owned(),
            String::new(),
            format!("{bundle:.1} per second"),
        ]);
        table.add_row([
            "the same, one copy per name".to_owned(),
            String::new(),
            format!("{per_name:.2} per second"),
        ]);
        table.add_row([
            "launch with 64 values of 32 KiB".to_owned(),
            String::new(),
            format!("{:.1} MB peak", growth.large_launch_mb),
        ]);
        table
    }

    fn micro_table(&self) -> Table {
        let mut table = table(&["what", "ours", "the cipher alone"]);
        let Some(micro) = &self.micro else { return table };
        for one in &micro.sizes {
            for (operation, [ours, cipher]) in [("seal", one.seal_us), ("open", one.open_us)] {
                table.add_row([
                    format!("{operation} {}", one.size),
                    format!("{ours:.2}"),
                    format!("{cipher:.2}"),
                ]);
            }
        }
        table.add_row([
            "resolve from 64 + 64 secrets".to_owned(),
            format!("{:.1}", micro.resolve_us),
            String::new(),
        ]);
        let message = format!(
            "a progress message of {} bytes, {} allocated",
            micro.progress_bytes, micro.progress_allocated
        );
        table.add_row([message, format!("{:.0}", micro.progress_us), String::new()]);
        table
    }

    fn credstash_table(&self) -> Table {
        let mut table = table(&["what", "credstash", "ours"]);
        if let Some(them) = &self.credstash {
            let row = |what: &str, theirs: Summary, ours: Option<Summary>| {
                [what.to_owned(), theirs.to_string(), ours.map(|ours| ours.to_string()).unwrap_or_default()]
            };
            table.add_row(row("store one, new process", them.command, Some(them.our_command)));
            table.add_row(row("store one, long-lived process", them.put, Some(them.our_put)));
            table.add_row(row("list a hundred", them.list, Some(them.our_list)));
            table.add_row(row("read one (ours has no such operation)", them.get, None));
        }
        table
    }

    fn zips_table(&self) -> Table {
        let mut table = table(&["function", "MB"]);
        for (function, size) in &self.zips {
            table.add_row([function.clone(), format!("{size:.2}")]);
        }
        table
    }

    fn cost_table(&self) -> Table {
        let mut table = table(&["", "1,000 launches", "10,000", "100,000"]);
        for line in &self.cost {
            let [few, more, many] = line.dollars.map(dollars);
            table.add_row([line.what.to_owned(), few, more, many]);
        }
        table
    }

    fn goals_table(&self) -> Table {
        let mut table = table(&["measure", "goal", "figure"]);
        let some = |figure: Option<f64>| figure.map_or("missing".to_owned(), |figure| format!("{figure:.1}"));
        for (measure, goal, figure) in [
            ("cold sum, ours ÷ limit, worst function", "≤ 1.15", format!("{:.2}", self.cold_over_limit)),
            ("cold sum, Node ÷ ours", "≥ 20", some(self.cold_node_ratio)),
            ("cold sum, Python ÷ ours", "≥ 35", some(self.cold_python_ratio)),
            ("warm create, Node ÷ ours", "≥ 8", some(self.warm_node_ratio)),
            ("warm create, Python ÷ ours", "≥ 5", some(self.warm_python_ratio)),
            ("seal 4 KiB minus the cipher, µs", "≤ 5", some(self.seal_over_cipher_us_4k)),
            ("open 4 KiB minus the cipher, µs", "≤ 5", some(self.open_over_cipher_us_4k)),
            ("launch with 64 secrets, in delays", "≤ 7", format!("{:.2}", self.launch_delays_64)),
            ("its AWS calls", "≤ 74", self.launch_calls_64.to_string()),
            (
                "sweep calls at 1,000 and at 100,000 ended",
                "equal",
                format!("{} and {}", self.sweep_calls_1k, self.sweep_calls_100k),
            ),
            ("credstash ÷ ours, store one, new process", "≥ 5", some(self.credstash_put_ratio)),
            ("the same, long-lived process", "", some(self.credstash_warm_put_ratio)),
            ("credstash ÷ ours, list a hundred", "≥ 5", some(self.credstash_list_ratio)),
            (
                "largest zip, arm64, MB",
                "≤ 3",
                self.zip_mb_max.map_or("missing".to_owned(), |size| format!("{size:.2}")),
            ),
            ("peak memory, MB", "≤ 16", format!("{:.1}", self.rss_mb_max)),
            (
                "peak memory of a launch with 64 × 32 KiB, MB",
                "≤ 32",
                format!("{:.1}", self.growth.large_launch_mb),
            ),
            (
                "launches per second at the quota, bundle ÷ per name",
                "≥ 15",
                format!("{:.0}", self.quota_ratio),
            ),
            (
                "launches per second at the quota, per name",
                "≥ 2",
                format!("{:.2}", self.growth.launches_per_second[1]),
            ),
        ] {
            table.add_row([measure.to_owned(), goal.to_owned(), figure]);
        }
        table
    }
}

/// The medians of the other implementations divided by ours, by function.
fn ratios(
    starts: &[Figures],
    pick: impl Fn(&Figures) -> Summary,
) -> Vec<(&'static str, Implementation, f64)> {
    let ours = |function| {
        starts
            .iter()
            .find(|one| one.implementation == Implementation::Ours && one.function == function)
            .map(&pick)
    };
    let others = starts.iter().filter(|one| one.implementation != Implementation::Ours);
    others
        .filter_map(|one| {
            Some((one.function, one.implementation, pick(one).median / ours(one.function)?.median))
        })
        .collect()
}

fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(columns.to_vec());
    table
}
