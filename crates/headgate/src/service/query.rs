//! What a request asks of a replica, in its path: `/SERVICE/KEY?bytes=N` from outside, with
//! `size` and `zone` in place of `bytes` from another replica. What is missing or no number counts as zero.

use hyper::Uri;

/// The checked query of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) key: u64,
    /// Bytes of the body to answer with. Replicas answer each other with none.
    pub(super) bytes: u64,
    /// Bytes that the client from outside asked for, which work may depend on.
    pub(super) size: u64,
    /// Number of the caller's zone.
    pub(super) zone: usize,
}

impl Query {
    pub(super) fn of(uri: &Uri) -> Self {
        let key = uri.path().rsplit('/').next().and_then(|key| key.parse().ok()).unwrap_or(0);
        let mut query = Self { key, ..Self::default() };
        for (name, value) in
            uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='))
        {
            let value: u64 = value.parse().unwrap_or(0);
            match name {
                "bytes" => (query.bytes, query.size) = (value, value),
                "size" => query.size = value,
                "zone" => query.zone = usize::try_from(value).unwrap_or(usize::MAX),
                _ => {}
            }
        }
        query
    }

    /// The path of a call to another service that follows from this request, made in `zone`.
    pub(super) fn onward(&self, service: &str, zone: u16) -> String {
        format!("/{service}/{}?size={}&zone={zone}", self.key, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str) -> Query {
        Query::of(&uri.parse().unwrap())
    }

    #[test]
    fn what_was_asked_for_is_passed_on_but_for_the_body() {
        let outside = of("/edge/17?bytes=2048");
        assert_eq!(outside, Query { key: 17, bytes: 2048, size: 2048, zone: 0 });
        let inner = of(&outside.onward("items", 2));
        assert_eq!(inner, Query { key: 17, bytes: 0, size: 2048, zone: 2 });
        assert_eq!(of("/edge/x?bytes=-1&zone=&a"), Query::default());
    }
}
