//! The tiers below the memory, as the cache sees them: responses go down as bytes under a key, and come back for the
//! requests that they answer. Where responses differ by request fields, the key holds what those fields are, and
//! each response has a key of its own. What may be used of what comes back, the rules say.

use crate::object::{Draft, Object};
use crate::rules::{Block, Fields, first, matches, write_field, write_selecting};
use crate::store::Store;
use crate::tier::{Birth, Purge, Purged, Put, TagHash, Tier};
use crate::wire::{Decoded, Response, Varies, decode, encode, encode_varies};
use bytes::Bytes;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Begins the keys of what is found by the key alone, and of what is found by request fields too.
const PLAIN: u8 = b'k';
const VARIANT: u8 = b'v';
/// How long a response is kept beyond its use without asking: it may be asked about, and serve while the service
/// fails.
const KEEP_STALE_MS: u64 = 24 * 3_600_000;

/// The tiers, in the order in which they are asked.
#[derive(Default)]
pub struct Lower {
    tiers: Vec<Arc<dyn Tier>>,
    /// Shortest content that goes down, in bytes.
    min_object: u64,
    purged: Arc<Purged>,
}

/// A response from below.
#[derive(Debug)]
pub struct Risen {
    /// Not in the store yet.
    pub draft: Draft,
    /// Name of its tier.
    pub tier: &'static str,
}

impl Lower {
    #[must_use]
    pub fn new(tiers: Vec<Arc<dyn Tier>>, min_object: u64) -> Self {
        Self { tiers, min_object, purged: Arc::default() }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// The moment, for what is asked for now and may go down later.
    #[must_use]
    pub fn birth(&self, key: &[u8]) -> Birth {
        Birth::now(&self.purged, &plain(key))
    }

    /// The response under `key` that answers `request`. `born` is the moment on the purge clock of `store`, which
    /// has to be read before.
    pub async fn find(&self, key: &[u8], request: &impl Fields, store: &Store, born: u64) -> Option<Risen> {
        for tier in &self.tiers {
            if let Some(response) = find_in(&**tier, key, request).await
                && let Ok(tags) = store.tags(response.tags.iter().map(|name| &name[..]))
            {
                let Response { status, head, content, bodiless, freshness, selecting, fetch_ms, .. } =
                    response;
                let part = None;
                let draft = Draft {
                    status,
                    head,
                    content,
                    bodiless,
                    part,
                    freshness,
                    selecting,
                    fetch_ms,
                    tags,
                    born,
                };
                return Some(Risen { draft, tier: tier.name() });
            }
        }
        None
    }

    /// Gives a response that was stored to all tiers, if it is whole and not too short; else they forget what they
    /// have under its key.
    pub async fn offer(&self, key: &[u8], object: &Object, birth: &Birth) {
        let pieces = if object.content.len() < self.min_object { None } else { encode_for(key, object) };
        let Some((place, value)) = pieces else {
            self.forget(key);
            return;
        };
        let tags: Box<[TagHash]> = object.tags.iter().map(|tag| TagHash::of(tag.name())).collect();
        let keep_until_ms = object.freshness.usable_until_ms().saturating_add(KEEP_STALE_MS);
        let put = |key: Vec<u8>, value: Vec<Bytes>| Put {
            key: key.into(),
            value,
            tags: tags.clone(),
            keep_until_ms,
            birth: birth.clone(),
        };
        for tier in &self.tiers {
            match &place {
                Where::Plain => tier.put(put(plain(key), value.clone())),
                Where::Variant { vary } => {
                    let known = look(&**tier, &plain(key), key).await;
                    let epoch = match known {
                        Some(Decoded::Varies(varies)) if *varies.vary == **vary => varies.epoch,
                        _ => {
                            let epoch = RandomState::new().hash_one(key);
                            let varies = encode_varies(key, &Varies { epoch, vary: vary.as_slice().into() });
                            tier.put(put(plain(key), varies));
                            epoch
                        }
                    };
                    tier.put(put(variant(key, epoch, &object.selecting), value.clone()));
                }
            }
        }
    }

    /// Purges in all tiers. To be called before the same is purged in the memory.
    pub fn purge(&self, purge: &Purge) {
        if self.tiers.is_empty() {
            return;
        }
        let purge = match purge {
            Purge::Key(key) => Purge::Key(plain(key).into()),
            // Where responses differ, what they differ by goes, and with it the way to them.
            Purge::Beginning { at, bytes } => {
                Purge::Beginning { at: if bytes.is_empty() { 0 } else { at + 1 }, bytes: bytes.clone() }
            }
            Purge::Tag(tag) => Purge::Tag(*tag),
        };
        self.purged.note(&purge);
        for tier in &self.tiers {
            tier.purge(&purge);
        }
    }

    /// Forgets what is under `key`, also where there is nothing better to take its place.
    pub fn forget(&self, key: &[u8]) {
        self.purge(&Purge::Key(key.into()));
    }

    /// Waits until purges so far cannot be undone by a failure of power; false where a tier cannot promise it.
    pub async fn settled(&self) -> bool {
        let mut all = true;
        for tier in &self.tiers {
            all &= tier.settled().await;
        }
        all
    }
}

/// Where a response goes.
enum Where {
    Plain,
    Variant { vary: Vec<u8> },
}

fn encode_for(key: &[u8], object: &Object) -> Option<(Where, Vec<Bytes>)> {
    let value = encode(key, object)?;
    if object.selecting.is_empty() {
        return Some((Where::Plain, value));
    }
    let selecting = Block(&object.selecting);
    let names: Vec<&[u8]> = selecting.fields().map(|(name, _)| name).collect();
    let mut vary = Vec::new();
    write_field(&mut vary, b"vary", &names.join(&b", "[..]));
    Some((Where::Variant { vary }, value))
}

fn plain(key: &[u8]) -> Vec<u8> {
    [&[PLAIN], key].concat()
}

/// The epoch has a fixed length, and the key's length stands before it: no two are the same.
fn variant(key: &[u8], epoch: u64, selecting: &[u8]) -> Vec<u8> {
    let len = (key.len() as u64).to_le_bytes();
    [&[VARIANT], &epoch.to_le_bytes()[..], &len, key, selecting].concat()
}

async fn look(tier: &dyn Tier, at: &[u8], key: &[u8]) -> Option<Decoded> {
    decode(key, &tier.get(at).await?)
}

async fn find_in(tier: &dyn Tier, key: &[u8], request: &impl Fields) -> Option<Response> {
    let response = match look(tier, &plain(key), key).await? {
        Decoded::Response(response) => response,
        Decoded::Varies(varies) => {
            let mut selecting = Vec::new();
            if !write_selecting(&Block(&varies.vary), request, &mut selecting) {
                return None;
            }
            match look(tier, &variant(key, varies.epoch, &selecting), key).await? {
                Decoded::Response(response) => response,
                Decoded::Varies(_) => return None,
            }
        }
    };
    let language = Block(&response.head);
    matches(&response.selecting, request, first(&language, b"content-language")).then_some(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Content;
    use crate::rules::{Freshness, WhenStale};
    use headgate_policy::evict::Kind;
    use std::collections::HashMap;
    use std::pin::Pin;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Waker};

    /// A tier that is a map.
    #[derive(Default)]
    struct Map(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

    impl Tier for Map {
        fn name(&self) -> &'static str {
            "map"
        }

        fn get(&self, key: &[u8]) -> crate::tier::Looked {
            let value = self.0.lock().unwrap().get(key).map(|value| Bytes::copy_from_slice(value));
            Box::pin(std::future::ready(value))
        }

        fn put(&self, put: Put) {
            if !put.birth.was_purged(&put.tags) {
                self.0.lock().unwrap().insert(put.key.into(), put.value.concat());
            }
        }

        fn purge(&self, purge: &Purge) {
            let Purge::Key(key) = purge else { panic!("not in this test") };
            self.0.lock().unwrap().remove(&**key);
        }

        fn settled(&self) -> Pin<Box<dyn Future<Output = bool> + Send>> {
            Box::pin(std::future::ready(true))
        }
    }

    /// Nothing here waits.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("a map does not wait"),
        }
    }

    fn object(text: &str, selecting: &[u8]) -> Object {
        Object::loose(Draft {
            status: 200,
            head: (*b"content-type: text/plain\r\n").into(),
            content: Content::new(vec![Bytes::copy_from_slice(text.as_bytes())]),
            bodiless: false,
            part: None,
            freshness: Freshness {
                received_ms: 1,
                initial_age_s: 0,
                lifetime_s: 60,
                stale_while_revalidate_s: 0,
                stale_if_error_s: 0,
                when_stale: WhenStale::Allowed,
                always_revalidate: false,
                immutable: false,
            },
            selecting: selecting.into(),
            fetch_ms: 1,
            tags: Box::default(),
            born: 0,
        })
    }

    struct Bench {
        lower: Lower,
        store: Store,
    }

    impl Bench {
        fn new(tiers: usize) -> Self {
            let tiers = (0..tiers).map(|_| Arc::new(Map::default()) as Arc<dyn Tier>).collect();
            Self { lower: Lower::new(tiers, 2), store: Store::new(Kind::Lru, 1 << 20, 1) }
        }

        fn offer(&self, text: &str, request: &[(&[u8], &[u8])], vary: &[u8]) {
            let mut selecting = Vec::new();
            assert!(write_selecting(&Block(vary), &request, &mut selecting));
            now(self.lower.offer(b"key", &object(text, &selecting), &self.lower.birth(b"key")));
        }

        fn find(&self, request: &[(&[u8], &[u8])]) -> Option<String> {
            let found = now(self.lower.find(b"key", &request, &self.store, 0))?;
            let content = found.draft.content;
            let bytes = content.slices(0, content.len()).collect::<Vec<_>>().concat();
            Some(String::from_utf8(bytes).unwrap())
        }
    }

    impl Fields for &[(&[u8], &[u8])] {
        fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
            self.iter().copied()
        }
    }

    const ENGLISH: &[(&[u8], &[u8])] = &[(b"accept-language", b"en")];
    const GERMAN: &[(&[u8], &[u8])] = &[(b"accept-language", b"de")];
    const VARY: &[u8] = b"vary: accept-language\r\n";

    #[test]
    fn a_response_comes_back_by_its_key() {
        let bench = Bench::new(2);
        assert_eq!(bench.find(ENGLISH), None);
        bench.offer("hello", ENGLISH, b"");
        assert_eq!(bench.find(GERMAN).as_deref(), Some("hello"));
    }

    #[test]
    fn responses_that_differ_come_back_for_the_requests_that_they_answer() {
        let bench = Bench::new(1);
        bench.offer("hello", ENGLISH, VARY);
        assert_eq!(bench.find(GERMAN), None);
        bench.offer("hallo", GERMAN, VARY);
        assert_eq!(bench.find(GERMAN).as_deref(), Some("hallo"));
        assert_eq!(bench.find(ENGLISH).as_deref(), Some("hello"));
        bench.offer("bonjour", &[], VARY);
        assert_eq!(bench.find(&[]).as_deref(), Some("bonjour"));
    }

    #[test]
    fn a_purge_of_the_key_takes_all_that_differ_and_what_is_on_its_way() {
        let bench = Bench::new(2);
        bench.offer("hello", ENGLISH, VARY);
        bench.offer("hallo", GERMAN, VARY);
        let before = bench.lower.birth(b"key");
        bench.lower.purge(&Purge::Key((*b"key").into()));
        assert_eq!((bench.find(ENGLISH), bench.find(GERMAN)), (None, None));
        now(bench.lower.offer(b"key", &object("hello", b""), &before));
        assert_eq!(bench.find(ENGLISH), None);
        bench.offer("salut", ENGLISH, VARY);
        assert_eq!((bench.find(ENGLISH).as_deref(), bench.find(GERMAN)), (Some("salut"), None));
    }

    #[test]
    fn what_does_not_go_down_replaces_what_is_there() {
        let bench = Bench::new(1);
        bench.offer("hello", ENGLISH, b"");
        bench.offer("-", ENGLISH, b"");
        assert_eq!(bench.find(ENGLISH), None);
    }
}
