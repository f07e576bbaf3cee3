//! HAProxy's HTTP log (`option httplog`), with or without a syslog head: `client [date] frontend backend/server
//! TR/Tw/Tc/Tr/Ta status bytes ... "request"`. Found by its five timers, so that what precedes does not matter.

use super::{Line, http, request_line};

pub(super) fn line(line: &str) -> Line {
    let mut words = line.split_ascii_whitespace().skip_while(|word| !is_timers(word));
    let Some(timers) = words.next() else {
        return Line::Damaged("no five timers");
    };
    let Some(status) = words.next().and_then(|word| word.parse().ok()) else {
        // -1: the request was broken off before there was an answer.
        return Line::Damaged("no status after the timers");
    };
    let Some(bytes) = words.next().and_then(|word| word.trim_start_matches('+').parse().ok()) else {
        return Line::Damaged("no number of bytes after the status");
    };
    let request = line.trim_end().strip_suffix('"').and_then(|line| line.rsplit_once('"'));
    let Some((method, target)) = request.and_then(|(_, request)| request_line(request)) else {
        return Line::Damaged("no quoted request at the end");
    };
    let total_ms = timers.rsplit('/').next().and_then(|ms| ms.trim_start_matches('+').parse::<f64>().ok());
    http(method, target, status, Some(bytes), total_ms.filter(|ms| *ms >= 0.0).map(|ms| ms * 1e3))
}

/// `10/0/30/69/109`; -1 where a phase was not reached, `+` where the log was written before the end.
pub(super) fn is_timers(word: &str) -> bool {
    word.split('/').count() == 5
        && word.split('/').all(|part| part.trim_start_matches('+').parse::<i64>().is_ok())
}
