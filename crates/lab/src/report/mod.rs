//! Reports: one HTML file that needs no network, with tables and charts that can be zoomed; the same as Markdown
//! and, for programs, as data. It lays out what it is given and computes nothing.

mod chart;
mod html;
mod markdown;
mod text;

pub use chart::{Chart, Series};

use serde::Serialize;

/// A report, from top to bottom.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    title: String,
    blocks: Vec<Block>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Block {
    Heading(String),
    Text(String),
    /// What a reader must not overlook.
    Warning(String),
    /// Lines as they are.
    Code(String),
    Table(Table),
    Chart(Chart),
    Bars(Bars),
}

/// A table; its first column is text, the others are mostly numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    pub caption: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Below the table.
    pub notes: Vec<String>,
}

/// Lengths side by side, each made of parts: one bar for each row.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Bars {
    pub caption: String,
    /// Names of the parts.
    pub parts: Vec<String>,
    /// Label and the length of each part.
    pub rows: Vec<(String, Vec<f64>)>,
    pub unit: &'static str,
}

impl Report {
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), blocks: Vec::new() }
    }

    pub fn heading(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Heading(text.into()));
    }

    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    pub fn warning(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Warning(text.into()));
    }

    /// Lines that are kept as they are, as of a configuration.
    pub fn code(&mut self, lines: impl Into<String>) {
        self.blocks.push(Block::Code(lines.into()));
    }

    pub fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    pub fn chart(&mut self, chart: Chart) {
        self.blocks.push(Block::Chart(chart));
    }

    pub fn bars(&mut self, bars: Bars) {
        self.blocks.push(Block::Bars(bars));
    }

    /// The whole file.
    #[must_use]
    pub fn html(&self) -> String {
        html::page(&self.title, &self.blocks)
    }
}
