//! Spans as tracing systems export them: Jaeger JSON, Zipkin JSON (both versions), CSV with named columns, and the
//! fifteen columns without a head of the SLATE traces.

use serde_json::Value;
use std::collections::BTreeMap;

/// Spans that are read; what is beyond is counted.
pub const SPANS_MAX: usize = 2_000_000;

/// One span. Ids and services are numbers into tables of [`Spans`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub trace: u32,
    pub id: u32,
    pub parent: Option<u32>,
    pub service: u32,
    pub start_us: u64,
    pub end_us: u64,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    pub spans: Vec<Span>,
    services: Names,
    ids: Names,
    traces: Names,
    /// Records that are no spans, or lack what is needed.
    pub damaged: usize,
    /// Spans beyond [`SPANS_MAX`].
    pub left_out: usize,
}

#[derive(Clone, Debug, Default)]
struct Names {
    numbers: BTreeMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        // At most three names come with a span, and spans are limited.
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

/// Text that holds no spans in any of the forms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{problem}; spans are read as Jaeger JSON, Zipkin JSON, or CSV with the columns trace, span, parent, service, start_us and duration_us"
)]
pub struct NoSpans {
    problem: String,
}

/// The parts of a span as text.
struct Raw<'a> {
    trace: &'a str,
    id: &'a str,
    parent: &'a str,
    service: &'a str,
    start_us: f64,
    duration_us: f64,
}

impl Spans {
    /// Adds the spans of one file.
    ///
    /// # Errors
    /// When it has none of the forms. Single damaged records are counted.
    pub fn read(&mut self, text: &str) -> Result<(), NoSpans> {
        match text.trim_start().as_bytes().first() {
            Some(b'{' | b'[') => {
                let json: Value = serde_json::from_str(text)
                    .map_err(|error| NoSpans { problem: format!("not JSON: {error}") })?;
                match &json {
                    Value::Array(spans) => self.zipkin(spans),
                    json => self.jaeger(json)?,
                }
                Ok(())
            }
            Some(_) => self.csv(text),
            None => Err(NoSpans { problem: "the file is empty".to_owned() }),
        }
    }

    #[must_use]
    pub fn service_name(&self, service: u32) -> &str {
        self.services.names.get(service as usize).map_or("", String::as_str)
    }

    #[must_use]
    pub fn traces(&self) -> usize {
        self.traces.names.len()
    }

    fn add(&mut self, raw: Option<Raw<'_>>) {
        let good = raw.filter(|raw| {
            let times = [raw.start_us, raw.duration_us];
            !raw.service.is_empty()
                && !raw.id.is_empty()
                && times.iter().all(|time| time.is_finite() && (0.0..1e18).contains(time))
        });
        let Some(raw) = good else {
            self.damaged += 1;
            return;
        };
        if self.spans.len() >= SPANS_MAX {
            self.left_out += 1;
            return;
        }
        let trace = self.traces.number(raw.trace);
        // Ids are unique within their trace only.
        let mut id = |id: &str| self.ids.number(&format!("{trace} {id}"));
        let (own, parent) = (id(raw.id), Some(raw.parent).filter(|parent| !is_none(parent)).map(&mut id));
        self.spans.push(Span {
            trace,
            id: own,
            parent: parent.filter(|parent| *parent != own),
            service: self.services.number(raw.service),
            start_us: raw.start_us as u64,
            end_us: (raw.start_us + raw.duration_us) as u64,
        });
    }

    fn jaeger(&mut self, json: &Value) -> Result<(), NoSpans> {
        let traces = json["data"].as_array();
        let traces = traces.ok_or_else(|| NoSpans { problem: "JSON without `data`".to_owned() })?;
        for trace in traces {
            for span in trace["spans"].as_array().into_iter().flatten() {
                let process = span["processID"].as_str().unwrap_or_default();
                let parents = span["references"].as_array().into_iter().flatten();
                let parent = parents
                    .filter(|other| other["refType"] == "CHILD_OF")
                    .find_map(|other| other["spanID"].as_str());
                self.add((|| {
                    Some(Raw {
                        trace: span["traceID"].as_str()?,
                        id: span["spanID"].as_str()?,
                        parent: parent.unwrap_or_default(),
                        service: trace["processes"][process]["serviceName"].as_str()?,
                        start_us: span["startTime"].as_f64()?,
                        duration_us: span["duration"].as_f64()?,
                    })
                })());
            }
        }
        Ok(())
    }

    fn zipkin(&mut self, spans: &[Value]) {
        // A call may be told twice, by who called and by who was called, under one id.
        let told_by_callee = |span: &Value| {
            span["kind"] == "SERVER"
                || span["annotations"].as_array().into_iter().flatten().any(|note| note["value"] == "sr")
        };
        let mut callees: BTreeMap<(&str, &str), ()> = BTreeMap::new();
        for span in spans.iter().filter(|span| told_by_callee(span)) {
            if let (Some(trace), Some(id)) = (span["traceId"].as_str(), span["id"].as_str()) {
                callees.insert((trace, id), ());
            }
        }
        for span in spans {
            let (trace, id) = (span["traceId"].as_str(), span["id"].as_str());
            if !told_by_callee(span) && trace.zip(id).is_some_and(|key| callees.contains_key(&key)) {
                continue;
            }
            let notes = || span["annotations"].as_array().into_iter().flatten();
            let noted = notes().find(|note| note["value"] == "sr").or_else(|| notes().next());
            let service = span["localEndpoint"]["serviceName"]
                .as_str()
                .or_else(|| noted.and_then(|note| note["endpoint"]["serviceName"].as_str()));
            self.add((|| {
                Some(Raw {
                    trace: trace?,
                    id: id?,
                    parent: span["parentId"].as_str().unwrap_or_default(),
                    service: service?,
                    start_us: span["timestamp"].as_f64()?,
                    duration_us: span["duration"].as_f64()?,
                })
            })());
        }
    }

    fn csv(&mut self, text: &str) -> Result<(), NoSpans> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let first = lines.clone().next().unwrap_or_default();
        let header: Vec<&str> = first.split(',').map(str::trim).collect();
        let place = |name: &str| header.iter().position(|column| *column == name);
        let columns = (|| {
            Some([
                place("trace")?,
                place("span")?,
                place("parent")?,
                place("service")?,
                place("start_us")?,
                place("duration_us")?,
            ])
        })();
        // cluster, service, method, path, trace, span, parent, start, end, duration in milliseconds, and five more.
        const SLATE: [usize; 6] = [4, 5, 6, 1, 7, 9];
        let (columns, us) = match columns {
            Some(columns) => {
                lines.next();
                (columns, 1.0)
            }
            None if header.len() == 15 => (SLATE, 1_000.0),
            None => return Err(NoSpans { problem: "CSV with other columns".to_owned() }),
        };
        for line in lines {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let [trace, id, parent, service, start, duration] = columns;
            self.add((|| {
                Some(Raw {
                    trace: cells.get(trace)?,
                    id: cells.get(id)?,
                    parent: cells.get(parent)?,
                    service: cells.get(service)?,
                    start_us: cells.get(start)?.parse::<f64>().ok()? * us,
                    duration_us: cells.get(duration)?.parse::<f64>().ok()? * us,
                })
            })());
        }
        Ok(())
    }
}

/// How exports write that there is no parent.
fn is_none(parent: &str) -> bool {
    matches!(parent, "" | "nan" | "null" | "None" | "0" | "0000000000000000")
}
