//! A chart over one numeric axis: lines or points, with bands around them. What is drawn, not how: that is the
//! charting library's matter.

use serde::Serialize;

/// A chart.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Chart {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    /// The scale of the values is logarithmic.
    pub logarithmic: bool,
    pub x: Vec<f64>,
    pub series: Vec<Series>,
}

/// One line, or points, of a chart.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Series {
    pub name: String,
    /// A value for each place on the axis; none where there is none.
    pub y: Vec<Option<f64>>,
    /// The least and the most that the values might be, drawn as a band around the line; empty for none.
    pub low: Vec<Option<f64>>,
    pub high: Vec<Option<f64>>,
    /// Points without a line.
    pub points: bool,
    /// What belongs together has the same colour; there are six.
    pub colour: usize,
}
