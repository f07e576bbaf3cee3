//! Trace context and request ids: what a request is known by, here, at its endpoint and in the logs. No
//! spans are sent anywhere.

use headgate_model::dice::Dice;
use headgate_model::spec::TraceSpec;
use headgate_net::fields::{FieldWriter, HeadOut};
use headgate_net::head::RequestHead;
use headgate_observe::trace::{TRACEPARENT_LEN, TraceParent, passes_tracestate, request_id};

/// The longest request id that is taken over from a client, in bytes.
const CLIENT_ID_MAX: usize = 128;

const TRACEPARENT: &[u8] = b"traceparent";
const TRACESTATE: &[u8] = b"tracestate";

/// What the configuration asks for.
pub(crate) struct Tracing {
    create: bool,
    /// In lower case.
    request_id: Option<Box<[u8]>>,
}

/// What one request is known by.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    /// The span of this request at Headgate.
    pub span: Option<TraceParent>,
    /// The client's trace goes on, so its `tracestate` does too.
    continued: bool,
    id: Id,
}

#[derive(Debug, Default)]
enum Id {
    #[default]
    None,
    /// The one that the client sent.
    Clients,
    Fresh([u8; 32]),
}

/// Header fields of a request that are written anew, in lower case.
pub(crate) fn fields_written(spec: &TraceSpec) -> impl Iterator<Item = Box<[u8]>> {
    let context = if spec.create { &[TRACEPARENT, TRACESTATE][..] } else { &[] };
    let id = spec.request_id.as_ref().map(|name| name.to_ascii_lowercase().into_bytes().into());
    context.iter().map(|&name| name.into()).chain(id)
}

impl Tracing {
    /// `None` when nothing is asked for.
    pub(crate) fn new(spec: &TraceSpec) -> Option<Self> {
        let request_id = spec.request_id.as_ref().map(|name| name.to_ascii_lowercase().into_bytes().into());
        (spec.create || request_id.is_some()).then_some(Self { create: spec.create, request_id })
    }

    /// Takes up the trace and the id that the client sent, or starts them.
    pub(crate) fn identify(&self, head: &RequestHead, dice: &mut Dice) -> Traced {
        let mut traced = Traced::default();
        if self.create {
            let parent = only(values(head, TRACEPARENT)).and_then(TraceParent::parse);
            traced.continued = parent.is_some();
            // Started as sampled: whoever samples by the parent's flag would otherwise record nothing.
            traced.span = Some(match parent {
                Some(parent) => parent.child(dice),
                None => TraceParent::root(true, dice),
            });
        }
        if let Some(name) = &self.request_id {
            let is_good = only(values(head, name)).is_some_and(is_good_id);
            traced.id = if is_good { Id::Clients } else { Id::Fresh(request_id(dice)) };
        }
        traced
    }

    /// Writes the request's fields for its endpoint.
    pub(crate) fn write(&self, traced: &Traced, head: &RequestHead, out: &mut HeadOut) {
        if let Some(span) = &traced.span {
            let mut text = [0; TRACEPARENT_LEN];
            span.write(&mut text);
            out.field(TRACEPARENT, &text);
        }
        if traced.continued && passes_tracestate(values(head, TRACESTATE)) {
            values(head, TRACESTATE).for_each(|line| out.field(TRACESTATE, line));
        }
        if let Some((name, id)) = self.id(traced, head) {
            out.field(name, id);
        }
    }

    /// Name and value of the request id's field.
    pub(crate) fn id<'a>(
        &'a self,
        traced: &'a Traced,
        head: &'a RequestHead,
    ) -> Option<(&'a [u8], &'a [u8])> {
        let name = self.request_id.as_deref()?;
        match &traced.id {
            Id::None => None,
            Id::Clients => Some((name, head.value_of(name)?)),
            Id::Fresh(id) => Some((name, id)),
        }
    }
}

fn values<'h>(head: &'h RequestHead, name: &[u8]) -> impl Iterator<Item = &'h [u8]> {
    let fields = head.fields.iter().filter(move |field| head.part(field.name).eq_ignore_ascii_case(name));
    fields.map(|field| head.part(field.value))
}

/// The only item; which of several to believe would be a guess.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

/// Bounded, and nothing in it that a log, a header or a shell could misread.
fn is_good_id(id: &[u8]) -> bool {
    (1..=CLIENT_ID_MAX).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~:+/=@".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_net::h1::parse::{self, HeadLimits};

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn sent_on(spec: &TraceSpec, fields: &str) -> Vec<(String, String)> {
        let text = format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
        let mut head = RequestHead::new(4_096, 32);
        head.bytes[..text.len()].copy_from_slice(text.as_bytes());
        head.filled = text.len();
        parse::request(&mut head, &HeadLimits { head_bytes: usize::MAX, fields: 32, target_bytes: 1_000 })
            .unwrap();
        let tracing = Tracing::new(spec).unwrap();
        let traced = tracing.identify(&head, &mut Dice::new(1));
        let mut out = HeadOut::H2(Box::default());
        tracing.write(&traced, &head, &mut out);
        let HeadOut::H2(fields) = out else { unreachable!() };
        let map = fields.into_map();
        map.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    fn traces() -> TraceSpec {
        TraceSpec { create: true, request_id: None }
    }

    fn ids() -> TraceSpec {
        TraceSpec { create: false, request_id: Some("X-Request-Id".to_owned()) }
    }

    #[test]
    fn a_trace_goes_on_with_a_span_of_our_own() {
        let sent =
            sent_on(&traces(), &format!("Traceparent: {PARENT}\r\ntracestate: a=1\r\nTracestate: b=2\r\n"));
        let [(parent, ours), (_, first), (_, second)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(parent, "traceparent");
        assert_eq!((&ours[..36], &ours[52..]), (&PARENT[..36], "-01"));
        assert_ne!(ours[36..52], PARENT[36..52]);
        assert_eq!((first.as_str(), second.as_str()), ("a=1", "b=2"));
    }

    #[test]
    fn a_trace_that_cannot_be_read_is_started_anew_without_its_state() {
        for bad in
            ["traceparent: 00-x\r\n", "", &format!("traceparent: {PARENT}\r\ntraceparent: {PARENT}\r\n")]
        {
            let sent = sent_on(&traces(), &format!("{bad}tracestate: a=1\r\n"));
            let [(_, ours)] = &sent[..] else { panic!("{sent:?}") };
            assert_ne!(&ours[3..35], &PARENT[3..35], "{bad}");
            assert_eq!(&ours[53..], "01");
        }
    }

    #[test]
    fn a_client_may_name_its_request_within_bounds() {
        let good = format!("X-REQUEST-ID: {}\r\n", "a".repeat(CLIENT_ID_MAX));
        assert_eq!(sent_on(&ids(), &good)[0].1, "a".repeat(CLIENT_ID_MAX));
        let long = format!("x-request-id: {}\r\n", "a".repeat(CLIENT_ID_MAX + 1));
        for bad in [
            "",
            &long,
            "x-request-id: a b\r\n",
            "x-request-id: a\"\r\n",
            "x-request-id:\r\n",
            &good.repeat(2),
        ] {
            let sent = sent_on(&ids(), bad);
            let [(_, id)] = &sent[..] else { panic!("{sent:?}") };
            assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{bad}: {id}");
        }
    }

    #[test]
    fn nothing_is_asked_for_by_default() {
        assert!(Tracing::new(&TraceSpec::default()).is_none());
        assert_eq!(fields_written(&TraceSpec::default()).count(), 0);
    }
}
