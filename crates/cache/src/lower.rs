//! The tiers below the memory, as the cache sees them: responses go down as bytes under a key, and come back for the
//! requests that they answer. Where responses differ by request fields, the key holds what those fields are, and
//! each response has a key of its own. What may be used of what comes back, the rules say.

use crate::object::{Draft, Object};
use crate::rules::{Block, Fields, first, matches, write_field, write_selecting};
use crate::steady;
use crate::store::Store;
use crate::tier::{Birth, Kept, Moment, Notice, Noticed, Purge, Purged, Put, TagHash, Tier};
use crate::wire::{Decoded, Response, Varies, decode, encode, encode_varies};
use bytes::Bytes;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Begins the keys of what is found by the key alone, and of what is found by request fields too.
const PLAIN: u8 = b'k';
const VARIANT: u8 = b'v';
/// The key of a text that is no response.
const REMEMBERED: &[u8] = b"remembered";
/// How long a response is kept beyond its use without asking: it may be asked about, and serve while the service
/// fails.
const KEEP_STALE_MS: u64 = 24 * 3_600_000;

/// The tiers, in the order in which they are asked.
#[derive(Default)]
pub struct Lower {
    levels: Vec<Level>,
    purged: Arc<Purged>,
    /// Tiers of this machine are not asked: what others purged meanwhile is not known yet.
    held: AtomicBool,
}

/// A tier at its place.
pub struct Level {
    pub tier: Arc<dyn Tier>,
    /// Shortest and longest content that goes there, in bytes.
    pub min_object: u64,
    pub max_object: u64,
    /// Other gateways use it too.
    pub shared: bool,
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
    /// Where one of the levels is shared, the others are not asked before [`Self::release`].
    #[must_use]
    pub fn new(levels: Vec<Level>) -> Self {
        let held = AtomicBool::new(levels.iter().any(|level| level.shared));
        Self { levels, purged: Arc::default(), held }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// What others purged is known from here on.
    pub fn release(&self) {
        self.held.store(false, Ordering::Release);
    }

    /// Whether they are asked.
    #[must_use]
    pub fn is_released(&self) -> bool {
        !self.held.load(Ordering::Acquire)
    }

    /// Keeps a text in the tiers of this machine, behind what was purged there so far. False before
    /// [`Self::release`].
    pub fn remember(&self, text: &str) -> bool {
        if !self.is_released() {
            return false;
        }
        for level in self.levels.iter().filter(|level| !level.shared) {
            level.tier.put(Put {
                key: REMEMBERED.into(),
                value: vec![Bytes::copy_from_slice(text.as_bytes())],
                tags: Box::default(),
                received_ms: 0,
                keep_until_ms: u64::MAX,
                birth: Birth::now(&self.purged, REMEMBERED, Moment::default()),
            });
        }
        true
    }

    /// The text that was kept last.
    pub fn recall(&self) -> impl Future<Output = Option<String>> + Send + use<> {
        let looked = self.levels.iter().find(|level| !level.shared).map(|level| level.tier.get(REMEMBERED));
        async move { String::from_utf8(looked?.await?.bytes.to_vec()).ok() }
    }

    /// The moment, for what is asked for now and may go down later.
    #[must_use]
    pub fn birth(&self, key: &[u8]) -> Birth {
        let shared = self.levels.iter().find(|level| level.shared);
        let moment = shared.map_or(Moment::default(), |level| level.tier.moment());
        Birth::now(&self.purged, &plain(key), moment)
    }

    /// The response under `key` that answers `request`. `born` is the moment on the purge clock of `store`, which
    /// has to be read before.
    pub async fn find(&self, key: &[u8], request: &impl Fields, store: &Store, born: u64) -> Option<Risen> {
        for level in &self.levels {
            if !level.shared && self.held.load(Ordering::Acquire) {
                continue;
            }
            let tier = &level.tier;
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
                    ahead: None,
                    born,
                };
                return Some(Risen { draft, tier: tier.name() });
            }
        }
        None
    }

    /// Gives a response that was stored to all tiers that take one of its length, if it is whole; the others forget
    /// what they have under its key.
    pub async fn offer(&self, key: &[u8], object: &Object, birth: &Birth) {
        let Some((place, value)) = encode_for(key, object) else {
            self.forget(key);
            return;
        };
        let tags: Box<[TagHash]> = object.tags.iter().map(|tag| TagHash::of(tag.name())).collect();
        let received_ms = object.freshness.received_ms;
        let keep_until_ms = object.freshness.usable_until_ms().saturating_add(KEEP_STALE_MS);
        let put = |key: Vec<u8>, value: Vec<Bytes>| Put {
            key: key.into(),
            value,
            tags: tags.clone(),
            received_ms,
            keep_until_ms,
            birth: birth.clone(),
        };
        for level in &self.levels {
            let tier = &*level.tier;
            if !(level.min_object..=level.max_object).contains(&object.content.len()) {
                self.forget_in(level, key);
                continue;
            }
            match &place {
                Where::Plain => tier.put(put(plain(key), value.clone())),
                Where::Variant { vary } => {
                    let epoch = match look(tier, &plain(key), key).await {
                        Some((Decoded::Varies(varies), _)) if *varies.vary == **vary => varies.epoch,
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
    pub fn purge(&self, notice: &Notice) {
        if self.levels.is_empty() {
            return;
        }
        let purge = below(&notice.what);
        self.purged.note(&purge);
        for level in &self.levels {
            level.tier.announce(&purge, notice);
        }
    }

    /// Purges in the tiers of this machine what another gateway has purged. To be called before the same is purged
    /// in the memory.
    pub fn hear(&self, what: &Noticed) {
        let purge = below(what);
        self.purged.note(&purge);
        for level in self.levels.iter().filter(|level| !level.shared) {
            level.tier.purge(&purge);
        }
    }

    /// Forgets what is under `key`, also where there is nothing better to take its place. No other gateway hears of
    /// it.
    pub fn forget(&self, key: &[u8]) {
        for level in &self.levels {
            self.forget_in(level, key);
        }
    }

    fn forget_in(&self, level: &Level, key: &[u8]) {
        let purge = Purge::Key(plain(key).into());
        // A shared tier has a clock of its own; what goes to another tier now must not look purged there.
        if !level.shared {
            self.purged.note(&purge);
        }
        level.tier.purge(&purge);
    }

    /// Waits until purges so far cannot be undone by a failure of power, nor by another gateway; the names of tiers
    /// that cannot promise it.
    pub async fn unsettled(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for level in &self.levels {
            if !level.tier.settled().await {
                names.push(level.tier.name());
            }
        }
        names
    }
}

/// What is purged, by the keys of tiers.
fn below(what: &Noticed) -> Purge {
    match what {
        Noticed::Key(key) => Purge::Key(plain(key).into()),
        // Where responses differ, what they differ by goes, and with it the way to them.
        Noticed::Beginning { at, bytes } => {
            Purge::Beginning { at: if bytes.is_empty() { 0 } else { at + 1 }, bytes: bytes.clone() }
        }
        Noticed::Tag(name) => Purge::Tag(TagHash::of(name)),
    }
}

/// What other gateways hear of a purge by the keys of tiers; `tag` is the name of its tag. None where it is no purge
/// that [`below`] makes.
pub(crate) fn above(purge: &Purge, tag: &[u8]) -> Option<Noticed> {
    Some(match purge {
        Purge::Key(key) => Noticed::Key(key.strip_prefix(&[PLAIN])?.into()),
        Purge::Tag(hash) => (*hash == TagHash::of(tag)).then(|| Noticed::Tag(tag.into()))?,
        Purge::Beginning { bytes, .. } if bytes.is_empty() => Noticed::everything(),
        Purge::Beginning { at, bytes } => Noticed::Beginning { at: at.checked_sub(1)?, bytes: bytes.clone() },
    })
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

/// What lies there, and when it came, where the tier knows better than the bytes.
async fn look(tier: &dyn Tier, at: &[u8], key: &[u8]) -> Option<(Decoded, Option<u64>)> {
    let Kept { bytes, received_ms } = tier.get(at).await?;
    Some((decode(key, &bytes)?, received_ms))
}

async fn find_in(tier: &dyn Tier, key: &[u8], request: &impl Fields) -> Option<Response> {
    let (mut response, received_ms) = match look(tier, &plain(key), key).await? {
        (Decoded::Response(response), received_ms) => (response, received_ms),
        (Decoded::Varies(varies), _) => {
            let mut selecting = Vec::new();
            if !write_selecting(&Block(&varies.vary), request, &mut selecting) {
                return None;
            }
            match look(tier, &variant(key, varies.epoch, &selecting), key).await? {
                (Decoded::Response(response), received_ms) => (response, received_ms),
                (Decoded::Varies(_), _) => return None,
            }
        }
    };
    match received_ms {
        Some(received_ms) => response.freshness.received_ms = received_ms,
        // Kept by a process whose clock was ahead of this one's: nobody knows how old it is.
        None if response.freshness.received_ms > steady::now_ms() => return None,
        None => {}
    }
    let language = Block(&response.head);
    matches(&response.selecting, request, first(&language, b"content-language")).then_some(response)
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let kept = |value: &Vec<u8>| Kept { bytes: Bytes::copy_from_slice(value), received_ms: None };
            let value = self.0.lock().unwrap().get(key).map(kept);
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
            head: (*b"content-type: text/plain\r\n").into(),
            selecting: selecting.into(),
            ..Draft::fresh(Bytes::copy_from_slice(text.as_bytes()))
        })
    }

    struct Bench {
        lower: Lower,
        store: Store,
    }

    impl Bench {
        fn new(tiers: usize) -> Self {
            let level =
                |_| Level { tier: Arc::new(Map::default()), min_object: 2, max_object: 10, shared: false };
            Self {
                lower: Lower::new((0..tiers).map(level).collect()),
                store: Store::new(Kind::Lru, 1 << 20, 1),
            }
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
        bench.lower.purge(&Notice { what: Noticed::Key((*b"key").into()), soft: false });
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
        for other in ["-", "longer than ten"] {
            bench.offer("hello", ENGLISH, b"");
            bench.offer(other, ENGLISH, b"");
            assert_eq!(bench.find(ENGLISH), None);
        }
    }

    #[test]
    fn what_others_hear_of_a_purge_is_what_was_purged() {
        for what in [
            Noticed::Key((*b"key").into()),
            Noticed::Tag((*b"shoes").into()),
            Noticed::Beginning { at: 8, bytes: (*b"pshop").into() },
            Noticed::everything(),
        ] {
            assert_eq!(above(&below(&what), b"shoes"), Some(what));
        }
        assert_eq!(above(&Purge::Key((*b"v").into()), b""), None);
        assert_eq!(above(&Purge::Tag(TagHash::of(b"a")), b"b"), None);
    }
}
