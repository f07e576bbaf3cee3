//! Sends a client what is stored or on its way: whole, a part of it, or the word that it has not changed.

use super::answer::{Lookup, next_piece};
use super::extent::{Extent, Known};
use crate::exchange::{Failure, Finish};
use crate::presence::Presence;
use crate::record::Record;
use crate::respond::reason;
use headgate_cache::fill::{FillHead, Interim, Reader};
use headgate_cache::object::{Content, Object};
use headgate_cache::rules::{
    Block, ByteRange, CacheStatus, Fields, Forwarded, Multipart, MultipartPiece, in_not_modified, in_part,
    write_content_range, write_unsatisfied_range,
};
use headgate_model::fault::Fault;
use headgate_net::body::Sink;
use headgate_net::deadline::Deadline;
use headgate_net::downstream::{Downstream, Promise};
use headgate_net::fields::{FieldWriter, HeadOut, decimal};
use headgate_net::head::Body;

/// What `Cache-Status` says besides.
#[derive(Clone, Copy, Default)]
pub(super) struct Told {
    pub hit: bool,
    pub forwarded: Option<Forwarded>,
    pub forwarded_status: Option<u16>,
    pub collapsed: bool,
    /// The tier that it came from, where that is not the memory.
    pub tier: Option<&'static str>,
    /// It was fetched before anybody asked.
    pub ahead: bool,
}

/// Passes on what the service says before its answer.
pub(super) async fn deliver_interim(
    look: &Lookup<'_, '_>,
    interim: &Interim,
    client: &mut Downstream<'_>,
) -> Result<(), Failure> {
    let mut head = client.start(interim.status, reason(interim.status).as_bytes());
    write_lines(&interim.lines, &mut head);
    let timer = look.x.timers.download;
    timer.set(look.x.pause);
    client.interim(interim.status, head, timer).await.map_err(Failure::committed)
}

/// Answers with a stored response.
#[inline]
pub(super) async fn deliver_object(
    look: &Lookup<'_, '_>,
    object: &Object,
    told: Told,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    let timer = look.x.timers.download;
    timer.set(look.x.pause);
    let length = object.content.len();
    let known = Known {
        status: object.status,
        lines: &object.head,
        freshness: Some(&object.freshness),
        length: Some(length),
        bodiless: object.bodiless,
        is_complete: true,
        part: object.part.as_ref(),
    };
    let extent = known.extent(look);
    let (from, to) = match &extent {
        Extent::Whole => (0, length),
        Extent::NotModified | Extent::Unsatisfiable | Extent::Ranges(_) => (0, 0),
        Extent::Range(range) => (range.first, range.last + 1),
    };
    let (from, to) = match &object.part {
        // Its content begins where its range does.
        Some(part) if matches!(extent, Extent::Range(_)) => {
            (from - part.range.range.first, (to - part.range.range.first).min(length))
        }
        _ => (from, to),
    };
    let (head, promise) = head(look, &known, &extent, (from, to), told, client, record);
    let mut sink = client.begin(head, &promise)?;
    let sent = match &extent {
        Extent::Ranges(multipart) => Box::pin(send_parts(&object.content, multipart, &mut sink, timer)).await,
        _ => send_slices(&object.content, (from, to), &mut sink, timer).await,
    };
    sent.map_err(Failure::committed)?;
    sink.finish(None, timer).await.map_err(Failure::committed)?;
    record.bytes_out = sink.sent();
    Ok(Finish::Done)
}

/// Sends the bytes from `from` up to `to`.
#[inline]
async fn send_slices(
    content: &Content,
    (from, to): (u64, u64),
    sink: &mut Sink<'_>,
    timer: &Deadline,
) -> Result<(), Fault> {
    for piece in content.slices(from, to) {
        sink.push(piece, timer).await?;
    }
    Ok(())
}

async fn send_parts(
    content: &Content,
    multipart: &Multipart,
    sink: &mut Sink<'_>,
    timer: &Deadline,
) -> Result<(), Fault> {
    for piece in multipart.pieces() {
        match piece {
            MultipartPiece::Text(text) => sink.push(text, timer).await?,
            MultipartPiece::Content(ByteRange { first, last }) => {
                send_slices(content, (first, last + 1), sink, timer).await?;
            }
        }
    }
    Ok(())
}

/// Answers with a response that is still coming.
pub(super) async fn deliver_stream(
    look: &Lookup<'_, '_>,
    fill: &FillHead,
    reader: &mut Reader,
    mut watched: Presence<'_>,
    told: Told,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    let timer = look.x.timers.download;
    timer.set(look.x.pause);
    if fill.own {
        return deliver_own(look, fill, reader, watched, client, record).await;
    }
    let known = Known {
        status: fill.status,
        lines: fill.lines_once.as_ref().filter(|_| !told.collapsed).unwrap_or(&fill.lines),
        freshness: fill.stored.as_ref().map(|stored| &stored.freshness),
        length: fill.length,
        bodiless: fill.bodiless,
        is_complete: false,
        part: None,
    };
    let extent = known.extent(look);
    let (from, to) = match &extent {
        Extent::Whole => (0, u64::MAX),
        Extent::NotModified | Extent::Unsatisfiable | Extent::Ranges(_) => (0, 0),
        Extent::Range(range) => (range.first, range.last + 1),
    };
    let (head, promise) = head(look, &known, &extent, (from, to), told, client, record);
    let mut sink = client.begin(head, &promise)?;
    let result = pass_on(look, reader, &mut watched, &mut sink, (from, to), timer).await;
    record.bytes_out = sink.sent();
    result.map_err(Failure::committed)?;
    record.ended = look.x.worker.now();
    Ok(Finish::Done)
}

/// Passes the bytes from `from` up to `to` of a fill on, each piece as soon as it is there.
async fn pass_on(
    look: &Lookup<'_, '_>,
    reader: &mut Reader,
    watched: &mut Presence<'_>,
    sink: &mut Sink<'_>,
    (from, to): (u64, u64),
    timer: &Deadline,
) -> Result<(), Fault> {
    let mut at = 0;
    while at < to {
        if !reader.is_ready() {
            timer.set(look.x.pause);
            sink.flush(timer).await?;
        }
        let Some(piece) = next_piece(reader, watched).await? else { break };
        let (start, end) = (at, at + piece.len() as u64);
        at = end;
        let (first, last) = (from.max(start), to.min(end));
        if first < last {
            timer.set(look.x.pause);
            // Offsets within one piece fit its length.
            sink.push(&piece[(first - start) as usize..(last - start) as usize], timer).await?;
        }
    }
    timer.set(look.x.pause);
    sink.finish(None, timer).await
}

/// Answers as Headgate does in place of an endpoint.
async fn deliver_own(
    look: &Lookup<'_, '_>,
    fill: &FillHead,
    reader: &mut Reader,
    mut watched: Presence<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    let mut head = client.start(fill.status, reason(fill.status).as_bytes());
    write_lines(&fill.lines, &mut head);
    record.status = fill.status;
    let body = body(fill.bodiless, fill.length);
    let mut sink = client.begin(head, &Promise { status: fill.status, body, declared_length: None })?;
    let timer = look.x.timers.download;
    pass_on(look, reader, &mut watched, &mut sink, (0, u64::MAX), timer).await.map_err(Failure::committed)?;
    record.bytes_out = sink.sent();
    Ok(Finish::Done)
}

fn body(bodiless: bool, length: Option<u64>) -> Body {
    match length {
        _ if bodiless => Body::None,
        Some(length) => Body::Length(length),
        None => Body::Chunked,
    }
}

/// Writes the head of the answer and says what its framing promises.
#[inline]
fn head(
    look: &Lookup<'_, '_>,
    known: &Known<'_>,
    extent: &Extent,
    (from, to): (u64, u64),
    told: Told,
    client: &Downstream<'_>,
    record: &mut Record,
) -> (HeadOut, Promise) {
    let status = match extent {
        Extent::Whole => known.status,
        Extent::NotModified => 304,
        Extent::Range(_) | Extent::Ranges(_) => 206,
        Extent::Unsatisfiable => 416,
    };
    record.status = status;
    let mut head = client.start(status, reason(status).as_bytes());
    let mut content_range = Vec::new();
    let promise = match extent {
        Extent::Whole => {
            write_lines(known.lines, &mut head);
            Promise { status, body: body(known.bodiless, known.length), declared_length: None }
        }
        Extent::NotModified => {
            write_some(known.lines, &mut head, in_not_modified);
            Promise { status, body: Body::None, declared_length: None }
        }
        Extent::Range(range) => {
            write_some(known.lines, &mut head, in_part);
            let complete = if known.status == 200 { known.length } else { None };
            write_content_range(&mut content_range, *range, complete);
            head.field(b"content-range", &content_range);
            Promise { status, body: Body::Length(to - from), declared_length: None }
        }
        Extent::Ranges(multipart) => {
            let keeps = |name: &[u8]| in_part(name) && !name.eq_ignore_ascii_case(b"content-type");
            write_some(known.lines, &mut head, keeps);
            head.field(b"content-type", &multipart.content_type());
            Promise { status, body: Body::Length(multipart.len()), declared_length: None }
        }
        Extent::Unsatisfiable => {
            write_unsatisfied_range(&mut content_range, known.length.unwrap_or(0));
            head.field(b"content-range", &content_range);
            Promise { status, body: Body::Length(0), declared_length: None }
        }
    };
    if let Some(freshness) = known.freshness {
        // What was just asked for is as old as the origin says, and says so itself where that is not nothing.
        let age = freshness.age_s(look.now_ms);
        if told.hit || told.collapsed || age > 0 {
            head.field(b"age", decimal(u64::from(age), &mut [0; 20]));
        }
    }
    cache_status(look, known, told, &mut head);
    for (name, value) in &look.route.response.write {
        head.field(name, value);
    }
    (head, promise)
}

fn cache_status(look: &Lookup<'_, '_>, known: &Known<'_>, told: Told, head: &mut HeadOut) {
    let name = &look.x.view.snapshot.config.cache.status_name.0;
    if name.is_empty() {
        return;
    }
    let status = CacheStatus {
        hit: told.hit,
        forwarded: told.forwarded,
        forwarded_status: told.forwarded_status,
        stored: !told.hit && known.freshness.is_some(),
        collapsed: told.collapsed,
        ttl_s: known.freshness.map(|freshness| freshness.ttl_s(look.now_ms)),
        key: None,
        detail: told.tier.or(told.ahead.then_some("prefetch")),
    };
    let mut text = look.x.worker.buffers.out();
    status.write(name, &mut text);
    head.field(b"cache-status", &text);
}

/// Writes stored lines as they are.
#[inline]
fn write_lines(lines: &[u8], head: &mut HeadOut) {
    match head {
        HeadOut::H1(out) => out.extend_from_slice(lines),
        HeadOut::H2(_) => write_some(lines, head, |_| true),
    }
}

fn write_some(lines: &[u8], head: &mut HeadOut, keeps: impl Fn(&[u8]) -> bool) {
    let block = Block(lines);
    for (name, value) in block.fields().filter(|(name, _)| keeps(name)) {
        head.field(name, value);
    }
}
