//! Bounds how often a request is sent again because its endpoint says that it has not processed it. Such a
//! request cannot have had an effect, whatever its method, so this is no retry: it costs neither an attempt
//! nor the budget.

use headgate_model::fault::FaultKind;

/// Each GOAWAY means another connection; an endpoint may take fewer requests on one than wait for it.
const MOST_MOVES: u8 = 8;
/// A refused stream may be a matter of streams at once, which the next moment mends. More would be retries
/// of an endpoint that wants less.
const MOST_REFUSALS: u8 = 1;

/// How often one request was sent again so far.
#[derive(Default)]
pub(crate) struct Resends {
    moves: u8,
    refusals: u8,
}

impl Resends {
    /// Whether the request may be sent again at once after a fault of this kind; counts it if so.
    pub(crate) fn allow(&mut self, kind: FaultKind) -> bool {
        let (used, most) = match kind {
            FaultKind::GoneAway => (&mut self.moves, MOST_MOVES),
            FaultKind::Refused => (&mut self.refusals, MOST_REFUSALS),
            _ => return false,
        };
        let allowed = *used < most;
        *used += u8::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_again_without_end() {
        let mut resends = Resends::default();
        let mut allowed = |kind| (0..100).filter(|_| resends.allow(kind)).count();
        assert_eq!(allowed(FaultKind::GoneAway), usize::from(MOST_MOVES));
        assert_eq!(allowed(FaultKind::Refused), usize::from(MOST_REFUSALS));
        assert_eq!(allowed(FaultKind::UpstreamReset), 0);
    }
}
