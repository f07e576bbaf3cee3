//! Where a request goes: what it shows to the route table, and what the endpoint sees as its target.

use crate::exchange::{Exchange, TargetPlan};
use crate::path::has_dot_segment;
use crate::route::{Ask, Expansion, Match};
use crate::snapshot::Route;
use headgate_model::fault::{Fault, FaultKind};
use headgate_model::pattern::start_len;
use headgate_net::buffer::Lent;

/// What the request shows to the route table.
#[inline]
pub(crate) fn ask<'x>(x: &Exchange<'x>) -> Ask<'x> {
    Ask {
        listener: x.listener as u32,
        host: x.head.host(),
        path: x.head.path(),
        query: x.head.query(),
        method: x.head.method(),
        fields: x.head,
    }
}

/// What the endpoint shall see as the target: a path that begins with a slash and means one thing.
#[inline]
pub(crate) fn plan_target(
    x: &Exchange<'_>,
    route: &Route,
    ask: &Ask<'_>,
    matched: &Match,
) -> Result<TargetPlan, Fault> {
    const BAD: Fault =
        Fault::new(FaultKind::BadRequest, "this path would become another one at the endpoint");
    if let Some(rewrite) = &route.rewrite {
        let mut target = filled(x, rewrite, ask, matched);
        if !target.starts_with(b"/") || has_dot_segment(&target) {
            return Err(BAD);
        }
        if let Some(query) = ask.query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        return Ok(TargetPlan::Rewritten(target));
    }
    match route.strip.as_ref().and_then(|strip| start_len(ask.path, strip)) {
        // What is left of a segment that was cut through may be dots.
        Some(len) if has_dot_segment(&ask.path[len..]) => Err(BAD),
        Some(len) => Ok(TargetPlan::Stripped(len)),
        None => Ok(TargetPlan::AsSent),
    }
}

pub(crate) fn filled(
    x: &Exchange<'_>,
    expansion: &Expansion,
    ask: &Ask<'_>,
    matched: &Match,
) -> Lent<Vec<u8>> {
    let mut out = x.worker.buffers.out();
    expansion.expand(ask, &matched.captures, &mut out);
    out
}
