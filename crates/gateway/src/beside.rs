//! Runs the upload of a request beside the wait for its response, in one task and without allocation:
//! an upstream may answer before it has read everything, and a gRPC stream talks both ways at once.

use headgate_model::fault::{Blame, Fault};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// An upload in progress.
pub(crate) struct Upload<'f, F> {
    future: Pin<&'f mut F>,
    result: Option<Result<(), Fault>>,
}

impl<'f, F: Future<Output = Result<(), Fault>>> Upload<'f, F> {
    pub(crate) fn new(future: Pin<&'f mut F>) -> Self {
        Self { future, result: None }
    }

    /// Runs `main` to its end with the upload beside it; `uploaded` is called once, when the upload has
    /// ended. A fault of the client ends both; one of the upstream does not, because a response that
    /// explains it may be on its way.
    pub(crate) async fn beside<T>(
        &mut self,
        main: impl Future<Output = Result<T, Fault>>,
        mut uploaded: impl FnMut(),
    ) -> Result<T, Fault> {
        let mut main = pin!(main);
        poll_fn(|cx| {
            if self.result.is_none() {
                self.step(cx, &mut uploaded)?;
            }
            main.as_mut().poll(cx)
        })
        .await
    }

    fn step(&mut self, cx: &mut Context<'_>, uploaded: &mut impl FnMut()) -> Result<(), Fault> {
        let Poll::Ready(result) = self.future.as_mut().poll(cx) else { return Ok(()) };
        match &result {
            Err(fault) if fault.kind.blame() != Blame::Upstream => return Err(fault.clone()),
            // Complete, or the upstream takes no more of it: either way its answer is due.
            _ => uploaded(),
        }
        self.result = Some(result);
        Ok(())
    }

    /// Whether the whole request was sent.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.result, Some(Ok(())))
    }
}
