//! What runs beside the wait for a response, in one task and without allocation: the upload of the request,
//! because an upstream may answer before it has read everything and a gRPC stream talks both ways at once;
//! after it, an eye on the client.

use crate::exchange::Timers;
use crate::presence::Presence;
use headgate_model::fault::{Blame, Fault};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// An upload in progress.
pub(crate) struct Upload<'f, F> {
    future: Pin<&'f mut F>,
    result: Option<Result<(), Fault>>,
    timers: Timers<'f>,
    client: Presence<'f>,
}

impl<'f, F: Future<Output = Result<(), Fault>>> Upload<'f, F> {
    /// `result` is that of an upload that has already ended.
    #[inline]
    pub(crate) fn new(
        future: Pin<&'f mut F>,
        result: Option<Result<(), Fault>>,
        timers: Timers<'f>,
        client: Presence<'f>,
    ) -> Self {
        if result.is_some() {
            client.begin();
        }
        Self { future, result, timers, client }
    }

    /// Waits for the response's head with the upload beside it; `uploaded` is called once, when the upload
    /// has ended. A fault of the client ends both; one of the upstream does not, because a response that
    /// explains it may be on its way.
    #[inline]
    pub(crate) async fn beside_wait<T>(
        &mut self,
        wait: impl Future<Output = Result<T, Fault>>,
        mut uploaded: impl FnMut(),
    ) -> Result<T, Fault> {
        let mut wait = pin!(wait);
        poll_fn(|cx| {
            if self.result.is_none() && self.step(cx)? {
                uploaded();
            }
            match wait.as_mut().poll(cx) {
                Poll::Pending => self.poll_gone(cx),
                done => done,
            }
        })
        .await
    }

    /// Relays the response with what is left of the upload beside it. While one direction moves, the other
    /// may pause for as long as it likes: it may be listening.
    #[inline]
    pub(crate) async fn beside_download<T>(
        &mut self,
        download: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let mut download = pin!(download);
        poll_fn(|cx| {
            if self.result.is_none() {
                let Timers { upload, download } = self.timers;
                if upload.is_due() && !download.is_due() {
                    upload.set_at(download.due_at());
                } else if download.is_due() && !upload.is_due() {
                    download.set_at(upload.due_at());
                }
                self.step(cx)?;
            }
            match download.as_mut().poll(cx) {
                Poll::Pending => self.poll_gone(cx),
                done => done,
            }
        })
        .await
    }

    /// Moves the upload on; true when it has just ended.
    fn step(&mut self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        let Poll::Ready(result) = self.future.as_mut().poll(cx) else { return Ok(false) };
        match &result {
            Err(fault) if fault.kind.blame() != Blame::Upstream => return Err(fault.clone()),
            // Complete, or the upstream takes no more of it: either way its answer is due.
            _ => self.client.begin(),
        }
        self.result = Some(result);
        Ok(true)
    }

    /// Ready when the client, who has sent all of its request, went away.
    #[inline]
    fn poll_gone<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Fault>> {
        match &self.result {
            Some(_) => self.client.poll_gone(cx).map(Err),
            None => Poll::Pending,
        }
    }

    /// Whether the whole request was sent.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.result, Some(Ok(())))
    }
}
