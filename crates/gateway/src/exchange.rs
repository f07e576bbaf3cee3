//! One request through all phases, in order; and what comes of it.

use crate::dispatch::dispatch;
use crate::identify::Peer;
use crate::record::Record;
use crate::respond::{self, Answer};
use crate::route::{Ask, Expansion, Match};
use crate::snapshot::{Action, Route};
use crate::tunnel::Tunnel;
use crate::view::View;
use crate::worker::Worker;
use headgate_model::fault::{Fault, FaultKind};
use headgate_model::units::Tick;
use headgate_net::body::Source;
use headgate_net::buffer::Lent;
use headgate_net::deadline::Deadline;
use headgate_net::downstream::Downstream;
use headgate_net::head::RequestHead;
use std::time::Duration;

/// What the phases know of one request.
pub(crate) struct Exchange<'c> {
    pub worker: &'c Worker,
    pub view: &'c View,
    pub listener: usize,
    pub peer: &'c Peer,
    pub head: &'c RequestHead,
    pub timers: Timers<'c>,
    /// Longest pause within a body, in either direction.
    pub pause: Duration,
    pub started: Tick,
    pub target: TargetPlan,
}

/// The two directions wait independently, so each has its deadline.
#[derive(Clone, Copy)]
pub(crate) struct Timers<'c> {
    pub upload: &'c Deadline,
    pub download: &'c Deadline,
}

/// The request target that the endpoint sees.
pub(crate) enum TargetPlan {
    AsSent,
    /// Without this many bytes at its start.
    Stripped(usize),
    Rewritten(Lent<Vec<u8>>),
}

impl TargetPlan {
    /// The target, in two pieces to be written one after the other.
    #[inline]
    pub fn parts<'a>(&'a self, head: &'a RequestHead) -> [&'a [u8]; 2] {
        match self {
            Self::AsSent => [head.target(), b""],
            Self::Stripped(len) => match &head.target()[*len..] {
                rest @ [b'/', ..] => [rest, b""],
                rest => [b"/", rest],
            },
            Self::Rewritten(target) => [target, b""],
        }
    }
}

/// How an exchange ended that did not fail.
pub(crate) enum Finish {
    Done,
    /// The response broke off; the client must be able to tell.
    Cut,
    /// The connection now carries another protocol.
    Switched(Box<Tunnel>),
}

/// How an exchange failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub fault: Fault,
    /// The response had begun: it can only be cut.
    pub committed: bool,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, committed: false }
    }
}

/// Runs the phases and, where one fails, answers with the fault.
#[inline]
pub(crate) async fn run(
    x: &mut Exchange<'_>,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Finish {
    let failure = match phases(x, body, client, record).await {
        Ok(finish) => return finish,
        Err(failure) => failure,
    };
    if failure.committed {
        record.fault = Some(failure.fault.kind);
        x.worker.faults.record(failure.fault.kind);
        return Finish::Cut;
    }
    refuse(x, failure.fault, body, client, record).await
}

/// Answers with a fault in place of a response.
#[cold]
pub(crate) async fn refuse(
    x: &Exchange<'_>,
    fault: Fault,
    body: &Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Finish {
    record.fault = Some(fault.kind);
    record.status = fault.kind.status();
    x.worker.faults.record(fault.kind);
    match respond::fault(&fault, body, client, x.timers.download, x.pause).await {
        Ok(()) => Finish::Done,
        Err(_) => Finish::Cut,
    }
}

async fn phases(
    x: &mut Exchange<'_>,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    admit(x)?;
    let ask = Ask {
        listener: x.listener as u32,
        host: x.head.host(),
        path: x.head.path(),
        query: x.head.query(),
        method: x.head.method(),
        fields: x.head,
    };
    let Some(matched) = x.view.snapshot.table.find(&ask) else {
        return Err(Fault::new(FaultKind::NoRoute, "no route matches this host and path").into());
    };
    record.route = Some(matched.route);
    let route = &x.view.snapshot.routes[matched.route];
    match &route.action {
        Action::Service(service) => {
            x.target = plan_target(x, route, &ask, &matched);
            dispatch(x, route, *service, body, client, record).await
        }
        Action::Respond { status, body: text, content_type } => {
            let answer = Answer { status: *status, content_type, body: text, fields: &[] };
            answer_directly(x, route, &answer, body, client, record).await
        }
        Action::Redirect { to, status } => {
            let location = filled(x, to, &ask, &matched);
            let fields: &[(&[u8], &[u8])] = &[(b"location", &location)];
            let answer = Answer { status: *status, content_type: b"", body: b"", fields };
            answer_directly(x, route, &answer, body, client, record).await
        }
    }
}

/// Refuses what no route may see.
#[inline]
fn admit(x: &Exchange<'_>) -> Result<(), Fault> {
    if x.worker.draining.get() && x.head.line.version == headgate_net::head::Version::Http2 {
        return Err(Fault::new(FaultKind::Draining, "this Headgate is stopping"));
    }
    if has_dot_segment(x.head.path()) {
        // Two readers that resolve dots differently see two different paths (RFC 3986 section 5.2.4).
        return Err(Fault::new(
            FaultKind::BadRequest,
            "a dot segment in the path; resolve it before sending",
        ));
    }
    Ok(())
}

/// Whether a segment of `path` is `.` or `..`, percent-encoded or not.
fn has_dot_segment(path: &[u8]) -> bool {
    let mut from = 0;
    while let Some(slash) = path[from..].iter().position(|&byte| byte == b'/') {
        from += slash + 1;
        let mut rest = &path[from..];
        let mut dots = 0;
        loop {
            rest = match rest {
                [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
                _ => break,
            };
            dots += 1;
        }
        let ends = matches!(rest, [] | [b'/' | b'\\' | b';', ..] | [b'%', b'2' | b'5', ..]);
        if (1..=2).contains(&dots) && ends {
            return true;
        }
    }
    false
}

async fn answer_directly(
    x: &Exchange<'_>,
    route: &Route,
    answer: &Answer<'_>,
    body: &Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    record.status = answer.status;
    if !body.is_finished() {
        client.close_after();
    }
    let edited: Vec<(&[u8], &[u8])> = answer
        .fields
        .iter()
        .copied()
        .chain(route.response.write.iter().map(|(name, value)| (&**name, &**value)))
        .collect();
    let answer = Answer { fields: &edited, ..*answer };
    answer.send(client, x.timers.download, x.pause).await?;
    Ok(Finish::Done)
}

fn plan_target(x: &Exchange<'_>, route: &Route, ask: &Ask<'_>, matched: &Match) -> TargetPlan {
    if let Some(rewrite) = &route.rewrite {
        let mut target = filled(x, rewrite, ask, matched);
        if let Some(query) = ask.query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        return TargetPlan::Rewritten(target);
    }
    match &route.strip {
        Some(strip) if ask.path.starts_with(strip) => TargetPlan::Stripped(strip.len()),
        _ => TargetPlan::AsSent,
    }
}

fn filled(x: &Exchange<'_>, expansion: &Expansion, ask: &Ask<'_>, matched: &Match) -> Lent<Vec<u8>> {
    let mut out = x.worker.buffers.out();
    expansion.expand(ask, &matched.captures, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::has_dot_segment;

    #[test]
    fn dot_segments_are_found_however_they_are_written() {
        for path in [
            "/..",
            "/a/../b",
            "/a/./b",
            "/.",
            "/a/.",
            "/%2e%2E/b",
            "/a/.%2e",
            "/a/..;x=1/b",
            "/..%2fb",
            "/..\\b",
        ] {
            assert!(has_dot_segment(path.as_bytes()), "{path}");
        }
        for path in ["/", "/a.b", "/.well-known/x", "/a/...", "/a/..b", "/a..", "*", "/%2ehidden"] {
            assert!(!has_dot_segment(path.as_bytes()), "{path}");
        }
    }
}
