//! One request that was served, as the learner of fetching ahead is told of it.

use headgate_model::units::Tick;
use headgate_policy::prefetch::desk::{Answer, Seen};
use headgate_policy::prefetch::foresight::{Event, Field};
use std::net::IpAddr;

/// One request with its answer.
pub(crate) struct Told {
    /// When it was answered.
    pub at: Tick,
    pub session: u64,
    /// Scheme, host and target as one path.
    pub place: String,
    pub is_safe: bool,
    pub is_stored: bool,
    pub is_personal: bool,
    pub answer: Answer,
    /// Index of its service.
    pub service: u32,
    /// Of the service, 0 to 1, where that answered.
    pub load: f64,
    pub bytes: u64,
    pub waited_us: f64,
    pub origin: Origin,
}

/// Who asked, for a request in that one's place.
#[derive(Clone)]
pub(crate) struct Origin {
    pub worker: usize,
    /// Of the snapshot that it was served under.
    pub generation: u64,
    pub listener: u32,
    pub client: IpAddr,
    /// Fields that may choose between variants.
    pub shown: Box<[u8]>,
}

impl Told {
    /// As the desk takes it, with what its answer showed.
    pub(crate) fn seen<'a>(&'a self, unix_s: u64, fields: &'a [Field]) -> Seen<'a> {
        let from_origin = matches!(self.answer, Answer::Origin | Answer::Failed);
        Seen {
            event: Event {
                at: self.at,
                session: self.session,
                path: &self.place,
                is_safe: self.is_safe,
                is_stored: self.is_stored,
                is_personal: self.is_personal,
                bytes: self.bytes,
                latency_us: if from_origin { self.waited_us } else { 0.0 },
                fields,
            },
            unix_s,
            service: self.service,
            answer: self.answer,
            load: self.load,
            waited_us: self.waited_us,
        }
    }
}
