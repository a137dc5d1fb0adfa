//! The rows as a chart: a panel for each workload and size, with steps a second over callers, of idem and of the bare
//! backend.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::load::plan::Plan;
use crate::load::workload::Workload;
use crate::result::Result;
use crate::run::row::{Row, Rows};

const PANEL: (u32, u32) = (460, 300);
const IDEM: RGBColor = RGBColor(0x1F, 0x6F, 0xB4);
const BARE: RGBColor = RGBColor(0x99, 0x99, 0x99);

/// Draws `rows` as an SVG file.
pub(crate) fn draw(path: &Path, name: &str, rows: &Rows, plan: &Plan) -> Result<()> {
    let workloads: Vec<Workload> =
        plan.workloads.iter().copied().filter(|workload| *workload != Workload::HotReplay).collect();
    let size = (PANEL.0 * count(workloads.len())?, PANEL.1 * count(plan.bytes.len())? + 40);
    let area = SVGBackend::new(path, size).into_drawing_area();
    area.fill(&WHITE)?;
    let title = format!("{name}: steps a second, idem (blue) beside {} (grey)", rows.baseline);
    let area = area.titled(&title, ("sans-serif", 20))?;
    let panels = area.split_evenly((plan.bytes.len(), workloads.len()));
    let subjects = plan.bytes.iter().flat_map(|bytes| workloads.iter().map(move |work| (*work, *bytes)));
    for (panel, (workload, bytes)) in panels.iter().zip(subjects) {
        let rows: Vec<&Row> =
            rows.rows.iter().filter(|row| row.workload == workload && row.bytes == bytes).collect();
        draw_panel(panel, &format!("{workload}, {} KiB", bytes / 1_024), &rows)?;
    }
    area.present()?;
    Ok(())
}

fn draw_panel(panel: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, rows: &[&Row]) -> Result<()> {
    let rates = || rows.iter().flat_map(|row| [row.ops_per_s, row.raw_ops_per_s]);
    let low = decade(rates().fold(f64::INFINITY, f64::min) * 0.9);
    let high = decade(rates().fold(1.0, f64::max) * 1.1) * 10.0;
    let most = rows.iter().map(|row| row.callers).max().unwrap_or(1);
    let mut chart = ChartBuilder::on(panel)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(32)
        .y_label_area_size(64)
        .build_cartesian_2d((0.8..float(most) * 1.25).log_scale().base(2.0), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("callers")
        .y_labels(6)
        .x_label_formatter(&|callers| format!("{callers:.0}"))
        .y_label_formatter(&|rate| short(*rate))
        .draw()?;
    for (colour, rate) in [(BARE, raw_rate as fn(&Row) -> f64), (IDEM, idem_rate)] {
        let points: Vec<(f64, f64)> = rows.iter().map(|row| (float(row.callers), rate(row))).collect();
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, colour.filled())))?;
    }
    Ok(())
}

fn idem_rate(row: &Row) -> f64 {
    row.ops_per_s
}

fn raw_rate(row: &Row) -> f64 {
    row.raw_ops_per_s
}

/// The power of ten at or below `rate`.
fn decade(rate: f64) -> f64 {
    10_f64.powf(rate.max(1.0).log10().floor())
}

/// A rate in as few characters as distinguish it from its neighbours.
fn short(rate: f64) -> String {
    if rate >= 1e6 {
        format!("{:.1} M", rate / 1e6)
    } else if rate >= 1e3 {
        format!("{:.1} k", rate / 1e3)
    } else {
        format!("{rate:.0}")
    }
}

fn count(items: usize) -> Result<u32> {
    Ok(u32::try_from(items)?)
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred callers")]
fn float(callers: usize) -> f64 {
    callers as f64
}
