//! Lets chaos rules have their way with an attempt before it is made: the wait, and what takes its place. Byte
//! faults are only handed on: the connection applies them.

use crate::attempt::Attempt;
use crate::chaos::ChaosView;
use crate::exchange::{Failure, Finish};
use crate::presence::Presence;
use crate::record::Record;
use crate::respond::{Answer, answer_directly};
use headgate_model::fault::{Fault, FaultKind};
use headgate_net::body::Source;
use headgate_net::deadline::DueAt;
use headgate_net::downstream::Downstream;
use headgate_policy::chaos::{Aim, Instead};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Lets the rules have their way with an attempt that is about to be made: its result where they take its place;
/// `None` where it is to be made, with the byte faults that it was given.
#[cold]
pub(crate) async fn meet(
    chaos: &ChaosView,
    attempt: &mut Attempt<'_, '_>,
    body: &Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Option<Result<Finish, Failure>> {
    let (worker, service) = (attempt.x.worker, &attempt.service.state.name);
    let aim = Aim { route: &attempt.route.name, service, endpoint: &attempt.link.endpoint.name };
    let verdict = chaos.verdict(&aim, worker.now(), &mut worker.dice.borrow_mut())?;
    record.injected = true;
    if !verdict.delay.is_zero()
        && let Err(fault) = hold(attempt, verdict.delay, first_byte(attempt), NO_FIRST_BYTE, client).await
    {
        return Some(Err(fault.into()));
    }
    let Some(instead) = verdict.instead else {
        if !verdict.toxics.is_empty() {
            attempt.fresh = true;
            attempt.toxics = Some(verdict.toxics.into());
        }
        return None;
    };
    let result = stand_in(&instead, attempt, body, client, record).await;
    record.ended = worker.now();
    Some(result)
}

const NO_FIRST_BYTE: Fault =
    Fault::new(FaultKind::FirstByteTimeout, "an injected fault: nothing within the first-byte timeout");

/// What happens in place of the attempt.
async fn stand_in(
    instead: &Instead,
    attempt: &Attempt<'_, '_>,
    body: &Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    match instead {
        Instead::Abort { status, .. } if attempt.puts_aside(*status) => Err(Failure::put_aside(*status)),
        Instead::Abort { status, body: text } => {
            let content_type = b"text/plain; charset=utf-8";
            let answer = Answer { status: *status, content_type, body: text.as_bytes(), fields: &[] };
            answer_directly(attempt.x, &attempt.route.response.write, &answer, body, client, record).await
        }
        Instead::Reset => {
            record.status = FaultKind::Injected.status();
            let fault = Fault::new(FaultKind::Injected, "an injected fault: the client is cut off");
            Err(Failure::committed(fault))
        }
        Instead::Stall => {
            hold(attempt, Duration::MAX, first_byte(attempt), NO_FIRST_BYTE, client).await?;
            Err(NO_FIRST_BYTE.into())
        }
        Instead::Refuse => {
            Err(Fault::new(FaultKind::ConnectFailed, "an injected fault: the connection is refused").into())
        }
        Instead::ConnectTimeout => {
            const UNANSWERED: Fault = Fault::new(
                FaultKind::ConnectTimeout,
                "an injected fault: the endpoint is not reached in time",
            );
            let connect = attempt.service.state.spec.timeouts.connect.0;
            let due = attempt.x.timers.download.at(connect).min(attempt.until);
            hold(attempt, Duration::MAX, due, UNANSWERED, client).await?;
            Err(UNANSWERED.into())
        }
    }
}

/// When the first byte of a response is overdue.
fn first_byte(attempt: &Attempt<'_, '_>) -> DueAt {
    let (timeouts, deadline) = (&attempt.service.state.spec.timeouts, attempt.x.timers.download);
    let per_try = match timeouts.per_try.0 {
        Duration::ZERO => DueAt::NEVER,
        per_try => deadline.at(per_try),
    };
    deadline.at(timeouts.first_byte.0).min(per_try).min(attempt.until)
}

/// Waits as for an endpoint that says nothing: for `time`; `late` when it is `due` before.
/// An eye is kept on the client.
async fn hold(
    attempt: &Attempt<'_, '_>,
    time: Duration,
    due: DueAt,
    late: Fault,
    client: &Downstream<'_>,
) -> Result<(), Fault> {
    let timers = attempt.x.timers;
    timers.download.set_at(due);
    let mut watched = Presence::new(client.socket(), timers.upload);
    watched.begin();
    let mut over = pin!(tokio::time::sleep(time));
    let held = poll_fn(|cx| {
        if over.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if timers.download.poll_due(cx).is_ready() {
            return Poll::Ready(Err(late.clone()));
        }
        watched.poll_gone(cx).map(Err)
    })
    .await;
    timers.upload.clear();
    held
}
