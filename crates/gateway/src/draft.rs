//! A response as it is stored, made from its head and what is known of its request. Its content comes later, and whether
//! the store takes it is the store's affair.

use crate::cache_rules::{Cache, CacheRules, Tag};
use crate::head_fields::HeadFields;
use headgate_cache::object::{Content, Draft, Part};
use headgate_cache::rules::{self, Asked, Fields, may_store, write_selecting};
use headgate_net::head::{Body, RequestHead, ResponseHead};

/// A request whose response may be stored.
pub(crate) struct AskedFor<'a> {
    pub cache: &'a Cache,
    pub rules: &'a CacheRules,
    pub request: &'a RequestHead,
    pub asked: &'a Asked,
    /// Whether `Content-Location` of the response names what was asked for; only asked of POST.
    pub answers_itself: bool,
    /// The tag of what all clients have under this target, where each has its own.
    pub everybodys: Option<Tag>,
    /// By the wall clock, with which dates are compared.
    pub requested_unix_ms: u64,
    pub received_unix_ms: u64,
    /// By the clock by which stored responses age.
    pub received_ms: u64,
    pub fetch_ms: u32,
    /// When it was asked for, on the purge clock.
    pub born: u64,
}

impl AskedFor<'_> {
    /// The response without its lines and content; None when it is not to be stored.
    pub(crate) fn draft(&self, head: &ResponseHead) -> Option<Draft> {
        let (request, response) = (HeadFields(self.request), HeadFields(head));
        let exchange = rules::Exchange {
            method: self.request.method(),
            asked: self.asked,
            answers_itself: self.answers_itself,
            status: head.line.status,
            response: &response,
            requested_unix_ms: self.requested_unix_ms,
            received_unix_ms: self.received_unix_ms,
            received_ms: self.received_ms,
        };
        let storing = may_store(&exchange, &self.rules.settings).ok()?;
        if matches!(head.line.body, Body::Length(length) if length > self.rules.max_object) {
            return None;
        }
        let mut selecting = Vec::new();
        if !write_selecting(&response, &request, &mut selecting) {
            return None;
        }
        let mut names = tag_names(&response);
        names.extend(self.everybodys.iter().map(|tag| &tag[..]));
        let tags = self.cache.store.tags(names.iter().copied()).ok()?;
        let part = match storing.part {
            Some(range) => Some(Part { range, asked: rules::first(&request, b"range")?.into() }),
            None => None,
        };
        Some(Draft {
            status: head.line.status,
            head: Box::default(),
            content: Content::default(),
            bodiless: head.line.body == Body::None,
            part,
            freshness: storing.freshness,
            selecting: selecting.into(),
            fetch_ms: self.fetch_ms,
            tags,
            ahead: None,
            born: self.born,
        })
    }
}

/// Names under which a response may be purged: `Surrogate-Key` between spaces, `Cache-Tag` between commas.
fn tag_names(response: &impl Fields) -> Vec<&[u8]> {
    let spaced = rules::lines(response, b"surrogate-key").flat_map(|line| line.split(|&byte| byte == b' '));
    let listed = rules::lines(response, b"cache-tag").flat_map(|line| line.split(|&byte| byte == b','));
    spaced.chain(listed).map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()).collect()
}
