//! The figures of the cache's tier in Redis as metrics want them: the cache counts by name, metrics by label.

use headgate_cache::redis::Figures;
use headgate_observe::cache_metrics::RedisFigures;

pub(crate) fn of_redis(figures: &Figures) -> RedisFigures {
    RedisFigures {
        on: figures.on,
        breaker: figures.breaker,
        purges_waiting: figures.purges_waiting,
        events: [
            figures.hits,
            figures.misses,
            figures.late,
            figures.busy,
            figures.off,
            figures.errors,
            figures.put,
            figures.outdated,
            figures.dropped_full,
            figures.dropped_off,
            figures.dropped_error,
        ],
        purges: [figures.purges_sent, figures.purges_heard, figures.doubts],
    }
}
