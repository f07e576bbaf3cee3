//! What may be fetched ahead at all: nothing that could change something, or show one user what is another's.

/// What is known of a template, or of a path that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Answers to safe requests (GET) that a cache stored.
    pub stored: u32,
    /// Answers to safe requests that no cache may store: `no-store`, `private`, `Set-Cookie`, errors.
    pub refused: u32,
    /// Requests that change something (POST, PUT, PATCH, DELETE) to the same path.
    pub writes: u32,
    /// Safe requests that said who asks, by a cookie or `Authorization`.
    pub personal: u32,
}

/// Whose answers they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The same for everybody: no cookie and no authorization was sent.
    Nobody,
    /// The cache keeps them apart, and the session's own credentials are used.
    KeptApart,
    /// Credentials were sent, and the cache does not keep their answers apart.
    Shared,
}

/// Why something is not fetched ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Too few answers to know.
    Unknown,
    NotCacheable,
    SideEffects,
    Identity,
    /// It would cost more than it is likely to save.
    NotWorth,
    /// No request is left to spend.
    Budget,
    /// Too little of what was fetched ahead was used.
    Distrusted,
    /// The origin has enough to do, or fails.
    Busy,
    /// It is stored, or its fetch is under way.
    Present,
    /// Too much is under way or waits for its outcome.
    Full,
}

impl Refusal {
    pub const ALL: [Self; 10] = [
        Self::Unknown,
        Self::NotCacheable,
        Self::SideEffects,
        Self::Identity,
        Self::NotWorth,
        Self::Budget,
        Self::Distrusted,
        Self::Busy,
        Self::Present,
        Self::Full,
    ];
}

/// Answers before a template is known.
const LEAST_ANSWERS: u32 = 5;
/// One of so many answers may be none that is stored: errors happen. And one of so many requests may name its user.
const EXCEPTION_ONE_IN: u32 = 20;

/// # Errors
/// The first reason against it.
pub fn check(record: &Record, identity: Identity) -> Result<(), Refusal> {
    if record.writes > 0 {
        return Err(Refusal::SideEffects);
    }
    if identity == Identity::Shared {
        return Err(Refusal::Identity);
    }
    let answers = record.stored.saturating_add(record.refused);
    if answers < LEAST_ANSWERS {
        return Err(Refusal::Unknown);
    }
    if record.personal > answers / EXCEPTION_ONE_IN {
        return Err(Refusal::Identity);
    }
    if record.refused > answers / EXCEPTION_ONE_IN {
        return Err(Refusal::NotCacheable);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_harmless() {
        let good = Record { stored: 100, refused: 2, writes: 0, personal: 3 };
        assert_eq!(check(&good, Identity::Nobody), Ok(()));
        assert_eq!(check(&good, Identity::KeptApart), Ok(()));
        assert_eq!(check(&good, Identity::Shared), Err(Refusal::Identity));
        assert_eq!(check(&Record { writes: 1, ..good }, Identity::Nobody), Err(Refusal::SideEffects));
        assert_eq!(check(&Record { refused: 10, ..good }, Identity::Nobody), Err(Refusal::NotCacheable));
        assert_eq!(
            check(&Record { personal: 10, ..good }, Identity::Nobody),
            Err(Refusal::Identity),
            "its users name themselves"
        );
        let few = Record { stored: 4, ..Record::default() };
        assert_eq!(check(&few, Identity::Nobody), Err(Refusal::Unknown));
        let long = Record { stored: u32::MAX, refused: u32::MAX, ..Record::default() };
        assert_eq!(check(&long, Identity::Nobody), Err(Refusal::NotCacheable));
    }
}
