//! The figures: as tables for people, as one JSON object for machines.

use std::fmt::Write as _;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use serde::Serialize;

use crate::cost::{self, Line, dollars};
use crate::credstash::Credstash;
use crate::growth::Growth;
use crate::micro::Micro;
use crate::starts::{Figures, Who};
use crate::stats::Summary;

/// Everything that was measured; `null` where a contender could not be had.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// A cold start with its first call over that of the least function: the worst of all functions, processor time.
    pub(crate) cold_over_limit: f64,
    /// Node's over ours: the worse of list and create.
    pub(crate) cold_node_ratio: Option<f64>,
    /// Python's over ours: the worse of list and create.
    pub(crate) cold_python_ratio: Option<f64>,
    /// A warm create, Node's over ours, processor time.
    pub(crate) warm_node_ratio: Option<f64>,
    /// A warm create, Python's over ours, processor time.
    pub(crate) warm_python_ratio: Option<f64>,
    /// Sealing 4 KiB, less the bare cipher, in microseconds of processor time.
    pub(crate) seal_over_cipher_us_4k: Option<f64>,
    /// Opening 4 KiB, less the bare cipher, in microseconds of processor time.
    pub(crate) open_over_cipher_us_4k: Option<f64>,
    /// A launch with 64 secrets, over the time that each call of AWS is late.
    pub(crate) launch_delays_64: f64,
    /// Its calls of AWS.
    pub(crate) launch_calls_64: usize,
    /// Calls of AWS in a sweep with 100 runs due and 1,000 ended.
    pub(crate) sweep_calls_1k: usize,
    /// The same with 100,000 ended.
    pub(crate) sweep_calls_100k: usize,
    /// Storing a secret by a process of its own, credstash's over ours, processor time.
    pub(crate) credstash_put_ratio: Option<f64>,
    /// The same in processes that stay, credstash's library over ours.
    pub(crate) credstash_warm_put_ratio: Option<f64>,
    /// Listing a hundred, credstash's over ours, processor time.
    pub(crate) credstash_list_ratio: Option<f64>,
    /// The largest zip for arm64, in megabytes.
    pub(crate) zip_mb_max: Option<f64>,
    /// The most memory that a function held, in megabytes; the large launch is apart, in `growth`.
    pub(crate) rss_mb_max: f64,
    /// Launches a second at the quota, with bundles over with a copy per name.
    pub(crate) quota_ratio: f64,
    /// What could not be had, and why.
    pub(crate) missing: Vec<String>,
    /// Cold starts and warm calls.
    pub(crate) starts: Vec<Figures>,
    /// Launches, lists, sweeps.
    pub(crate) growth: Growth,
    /// Between calls.
    pub(crate) micro: Option<Micro>,
    /// credstash.
    pub(crate) credstash: Option<Credstash>,
    /// The zips.
    pub(crate) zips: Vec<(String, f64)>,
    /// Dollars a month.
    pub(crate) cost: Vec<Line>,
}

/// The parts that a report is made of.
pub(crate) struct Parts {
    /// What could not be had.
    pub(crate) missing: Vec<String>,
    /// Cold starts and warm calls.
    pub(crate) starts: Vec<Figures>,
    /// Launches, lists, sweeps.
    pub(crate) growth: Growth,
    /// Between calls.
    pub(crate) micro: Option<Micro>,
    /// credstash.
    pub(crate) credstash: Option<Credstash>,
    /// The zips.
    pub(crate) zips: Vec<(String, f64)>,
}

impl Report {
    /// Puts the parts together.
    pub(crate) fn of(parts: Parts) -> Self {
        let Parts { missing, starts, growth, micro, credstash, zips } = parts;
        let cold = ratios(&starts, |figures| figures.cold_cpu);
        let warm = ratios(&starts, |figures| figures.warm_cpu);
        let create = |who| {
            warm.iter()
                .find(|(function, of, _)| *function == "write-secrets" && *of == who)
                .map(|found| found.2)
        };
        let of = |who| cold.iter().filter(move |(_, of, _)| *of == who).map(|found| found.2);
        let sealing = micro.as_ref().and_then(|micro| micro.sizes.iter().find(|one| one.size == "4 KiB"));
        let over = |pick: fn(&crate::micro::Sealing) -> [f64; 2]| {
            sealing.map(pick).map(|[ours, cipher]| ours - cipher)
        };
        let launch = growth.launches.last();
        let sweep =
            |ended| growth.sweeps.iter().find(|sweep| sweep.ended == ended).map_or(0, |sweep| sweep.calls);
        let ours = starts.iter().filter(|figures| figures.who == Who::Ours).map(|figures| figures.peak_mb);
        let [bundle, per_name] = growth.launches_per_second;
        Self {
            // The limit's over ours, turned over.
            cold_over_limit: of(Who::Limit).map(f64::recip).fold(0.0, f64::max),
            cold_node_ratio: of(Who::Node).reduce(f64::min),
            cold_python_ratio: of(Who::Python).reduce(f64::min),
            warm_node_ratio: create(Who::Node),
            warm_python_ratio: create(Who::Python),
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
            ("Between calls: µs of processor time", self.micro_table()),
            ("credstash: ms of processor time, median (middle half)", self.credstash_table()),
            ("Zips for arm64", self.zips_table()),
            ("Dollars a month", self.cost_table()),
            ("What it must reach", self.goals_table()),
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
            "asked",
            "who",
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
            let mut row = vec![one.function.to_owned(), one.asked.to_owned(), one.who.name().to_owned()];
            row.extend(times.map(|time| time.to_string()));
            row.push(format!("{:.1}", one.peak_mb));
            table.add_row(row);
        }
        table
    }

    fn growth_table(&self) -> Table {
        let growth = &self.growth;
        let mut table = table(&["what", "calls of AWS", "time"]);
        for one in &growth.launches {
            table.add_row([
                format!("launch with {} secrets, each call late", one.secrets),
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
            "launches with 20 secrets at 50 CreateSecret a second, bundle".to_owned(),
            String::new(),
            format!("{bundle:.1} a second"),
        ]);
        table.add_row([
            "the same, a copy per name".to_owned(),
            String::new(),
            format!("{per_name:.1} a second"),
        ]);
        table.add_row([
            "launch with 64 values of 32 KiB".to_owned(),
            String::new(),
            format!("{:.1} MB at most", growth.large_launch_mb),
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
            "choose from 64 + 64 secrets".to_owned(),
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
            table.add_row(row("store one, a process each", them.command, Some(them.our_command)));
            table.add_row(row("store one, in a process that stays", them.put, Some(them.our_put)));
            table.add_row(row("list a hundred", them.list, Some(them.our_list)));
            table.add_row(row("read one, which ours lets nobody", them.get, None));
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
            ("cold sum over the limit's, worst function", "≤ 1.15", format!("{:.2}", self.cold_over_limit)),
            ("cold sum, Node ÷ ours", "≥ 20", some(self.cold_node_ratio)),
            ("cold sum, Python ÷ ours", "≥ 35", some(self.cold_python_ratio)),
            ("warm create, Node ÷ ours", "≥ 8", some(self.warm_node_ratio)),
            ("warm create, Python ÷ ours", "≥ 5", some(self.warm_python_ratio)),
            ("seal 4 KiB less the cipher, µs", "≤ 5", some(self.seal_over_cipher_us_4k)),
            ("open 4 KiB less the cipher, µs", "≤ 5", some(self.open_over_cipher_us_4k)),
            ("launch with 64, in delays", "≤ 7", format!("{:.2}", self.launch_delays_64)),
            ("its calls of AWS", "≤ 74", self.launch_calls_64.to_string()),
            (
                "sweep calls at 1,000 and at 100,000 ended",
                "equal",
                format!("{} and {}", self.sweep_calls_1k, self.sweep_calls_100k),
            ),
            ("credstash ÷ ours, store one, a process each", "≥ 5", some(self.credstash_put_ratio)),
            ("the same in processes that stay", "", some(self.credstash_warm_put_ratio)),
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
            ("launches a second at the quota, bundle ÷ per name", "≥ 15", format!("{:.0}", self.quota_ratio)),
        ] {
            table.add_row([measure.to_owned(), goal.to_owned(), figure]);
        }
        table
    }
}

/// Everybody's median over ours, function by function.
fn ratios(starts: &[Figures], pick: impl Fn(&Figures) -> Summary) -> Vec<(&'static str, Who, f64)> {
    let ours =
        |function| starts.iter().find(|one| one.who == Who::Ours && one.function == function).map(&pick);
    let others = starts.iter().filter(|one| one.who != Who::Ours);
    others
        .filter_map(|one| Some((one.function, one.who, pick(one).median / ours(one.function)?.median)))
        .collect()
}

fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(columns.to_vec());
    table
}
