//! Requests in their order, as numbers: four bytes for each, and a few dozen for each distinct object.

use super::format::Request;
use headgate_policy::evict::index::Index;

/// Requests that are kept; what follows is left out, and counted.
pub const REQUESTS_MAX: usize = 200_000_000;
/// Distinct objects that are kept; requests for others are left out, and counted.
pub const OBJECTS_MAX: usize = 50_000_000;

/// One object.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Object {
    /// The most bytes that one of its responses had, one at least: answers to HEAD, conditional and range requests
    /// have fewer.
    pub bytes: u64,
    /// Sum of the durations that the log has for it, and of how many requests.
    duration_us: f64,
    timed: u32,
}

impl Object {
    /// Mean time that a request for it took; zero when the log has none.
    #[must_use]
    pub fn mean_us(&self) -> f64 {
        if self.timed == 0 { 0.0 } else { self.duration_us / f64::from(self.timed) }
    }
}

/// A recorded past.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Places in `objects`, in the order of the requests.
    pub requests: Vec<u32>,
    pub objects: Vec<Object>,
    /// Some requests had a duration.
    pub is_timed: bool,
}

impl Trace {
    /// Bytes of all distinct objects.
    #[must_use]
    pub fn object_bytes(&self) -> u64 {
        self.objects.iter().fold(0, |sum, object| sum.saturating_add(object.bytes))
    }

    /// Bytes of all requests.
    #[must_use]
    pub fn request_bytes(&self) -> u64 {
        self.requests.iter().fold(0, |sum: u64, at| sum.saturating_add(self.objects[*at as usize].bytes))
    }

    /// Time that all requests took.
    #[must_use]
    pub fn total_us(&self) -> f64 {
        self.requests.iter().map(|at| self.objects[*at as usize].mean_us()).sum()
    }

    /// Whether all objects have the same size, so that Belady's rule is the limit.
    #[must_use]
    pub fn is_uniform(&self) -> bool {
        self.objects.windows(2).all(|pair| pair[0].bytes == pair[1].bytes)
    }
}

/// Builds a [`Trace`]. Keys are kept as 64-bit hashes: among fifty million the chance of one collision is 1e-4.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    trace: Trace,
    index: Index,
    /// All objects count one byte.
    unit: bool,
    /// Requests beyond the limits.
    pub left_out: u64,
}

impl Recorder {
    /// `unit`: every object has the same size, whatever the log says.
    #[must_use]
    pub fn new(unit: bool) -> Self {
        Self { unit, ..Self::default() }
    }

    pub fn add(&mut self, request: &Request) {
        let known = self.index.get(request.key);
        if self.trace.requests.len() >= REQUESTS_MAX
            || (known.is_none() && self.trace.objects.len() >= OBJECTS_MAX)
        {
            self.left_out += 1;
            return;
        }
        let at = known.unwrap_or_else(|| {
            let at = self.trace.objects.len() as u32; // below OBJECTS_MAX
            self.index.put(request.key, at);
            self.trace.objects.push(Object { bytes: 1, ..Object::default() });
            at
        });
        let object = &mut self.trace.objects[at as usize];
        if !self.unit {
            object.bytes = object.bytes.max(request.bytes.unwrap_or(1));
        }
        if let Some(duration_us) = request.duration_us {
            object.duration_us += duration_us;
            object.timed = object.timed.saturating_add(1);
            self.trace.is_timed = true;
        }
        self.trace.requests.push(at);
    }

    /// Requests so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.trace.requests.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trace.requests.is_empty()
    }

    #[must_use]
    pub fn finish(self) -> Trace {
        self.trace
    }
}
