//! The figures as SVG.

use std::path::{Path, PathBuf};

use plotters::prelude::*;

use crate::error::{Error, Result};
use crate::report::Report;
use crate::starts::Implementation;

const SIZE: (u32, u32) = (760, 300);
const FONT: (&str, u32) = ("sans-serif", 14);

/// Draws all plots into the folder.
pub(crate) fn draw(report: &Report, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let create = report.starts.iter().filter(|one| one.function == "write-secrets");
    let order = [Implementation::Limit, Implementation::Ours, Implementation::Node, Implementation::Python];
    let bars = order.into_iter().filter_map(|implementation| {
        let found = create.clone().find(|one| one.implementation == implementation)?;
        Some((implementation.name().to_owned(), found.cold_cpu.median))
    });
    bars_to(
        &folder.join("cold-start.svg"),
        "A create on a cold start: ms of processor time",
        &bars.collect::<Vec<_>>(),
    )?;
    let bars =
        report.growth.launches.iter().map(|one| (format!("{} secrets", one.secrets), one.delays.median));
    bars_to(&folder.join("launch.svg"), "A launch, in delays of one AWS call", &bars.collect::<Vec<_>>())?;
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let bars = report.growth.sweeps.iter().map(|one| (format!("{} ended", one.ended), one.calls as f64));
    bars_to(
        &folder.join("sweep.svg"),
        "A sweep of 100 due runs: AWS calls, by number of ended runs",
        &bars.collect::<Vec<_>>(),
    )
}

/// Draws horizontal bars, each with its figure.
fn bars_to(path: &PathBuf, title: &str, bars: &[(String, f64)]) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| Error::Machine {
        what: path.display().to_string(),
        reason: error.to_string(),
    };
    let longest = bars.iter().map(|bar| bar.1).fold(0.0, f64::max);
    let count = i32::try_from(bars.len()).unwrap_or_default();
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| failed(&error))?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(110)
        .build_cartesian_2d(0.0..longest * 1.15, (0..count - 1).into_segmented())
        .map_err(|error| failed(&error))?;
    let name = |position: &SegmentValue<i32>| match position {
        SegmentValue::CenterOf(index) => {
            // The first bar is at the top.
            let index = usize::try_from(count - 1 - index).unwrap_or_default();
            bars.get(index).map(|bar| bar.0.clone()).unwrap_or_default()
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .label_style(FONT)
        .y_labels(bars.len())
        .y_label_formatter(&name)
        .draw()
        .map_err(|error| failed(&error))?;
    let position = |index: usize| count - 1 - i32::try_from(index).unwrap_or_default();
    let rectangles = bars.iter().enumerate().map(|(index, (_, value))| {
        let at = position(index);
        let corners = [(0.0, SegmentValue::Exact(at)), (*value, SegmentValue::Exact(at + 1))];
        let mut bar = Rectangle::new(corners, RGBColor(0x33, 0x66, 0x99).filled());
        bar.set_margin(8, 8, 0, 0);
        bar
    });
    chart.draw_series(rectangles).map_err(|error| failed(&error))?;
    let figures = bars.iter().enumerate().map(|(index, (_, value))| {
        let place = (*value + longest * 0.01, SegmentValue::CenterOf(position(index)));
        Text::new(format!("{value:.1}"), place, FONT.into_font())
    });
    chart.draw_series(figures).map_err(|error| failed(&error))?;
    area.present().map_err(|error| failed(&error))
}
