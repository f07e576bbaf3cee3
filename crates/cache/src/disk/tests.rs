//! The tier as its users see it: what comes back after a restart, a kill, damage, a full disk and purges.

use super::*;
use crate::disk::folder::SegmentFile;
use crate::tier::{Birth, Moment, Purged, TagHash};
use bytes::Bytes;
use headgate_model::dice::Dice;
use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::atomic::AtomicBool;

/// Segment files in memory, which outlive the tier; the device fails and fills up when it is told to.
#[derive(Clone, Default)]
struct Device {
    files: Arc<Mutex<BTreeMap<u32, Contents>>>,
    locked: Arc<AtomicBool>,
    fails: Arc<AtomicBool>,
    fails_reading: Arc<AtomicBool>,
    /// Bytes that it takes yet; less than nothing is never asked for.
    room: Arc<Mutex<Option<u64>>>,
}

type Contents = Arc<Mutex<Vec<u8>>>;

struct Holder {
    device: Device,
    holds: bool,
}

struct Open {
    device: Device,
    contents: Contents,
}

fn failure() -> io::Error {
    io::Error::other("the device fails")
}

impl Folder for Holder {
    fn lock(&mut self) -> io::Result<bool> {
        self.holds |= !self.device.locked.swap(true, Ordering::SeqCst);
        Ok(self.holds)
    }

    fn unlock(&mut self) {
        if std::mem::take(&mut self.holds) {
            self.device.locked.store(false, Ordering::SeqCst);
        }
    }

    fn list(&self) -> io::Result<Vec<u32>> {
        Ok(self.device.files.lock().unwrap().keys().copied().collect())
    }

    fn create(&self, id: u32) -> io::Result<Box<dyn SegmentFile>> {
        if self.device.fails.load(Ordering::SeqCst) {
            return Err(failure());
        }
        let contents = Contents::default();
        let before = self.device.files.lock().unwrap().insert(id, Arc::clone(&contents));
        assert!(before.is_none(), "a segment was written over");
        Ok(Box::new(Open { device: self.device.clone(), contents }))
    }

    fn open(&self, id: u32) -> io::Result<Box<dyn SegmentFile>> {
        let contents = Arc::clone(&self.device.files.lock().unwrap()[&id]);
        Ok(Box::new(Open { device: self.device.clone(), contents }))
    }

    fn remove(&self, id: u32) -> io::Result<()> {
        let gone = self.device.files.lock().unwrap().remove(&id);
        if let (Some(gone), Some(room)) = (gone, self.device.room.lock().unwrap().as_mut()) {
            *room += gone.lock().unwrap().len() as u64;
        }
        Ok(())
    }
}

impl SegmentFile for Open {
    fn append(&self, pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        if self.device.fails.load(Ordering::SeqCst) {
            return Err(failure());
        }
        let mut room = self.device.room.lock().unwrap();
        for byte in pieces.iter().flat_map(|piece| piece.iter()) {
            if let Some(room) = room.as_mut() {
                *room = room.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            }
            self.contents.lock().unwrap().push(*byte);
        }
        Ok(())
    }

    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        if self.device.fails_reading.load(Ordering::SeqCst) {
            return Err(failure());
        }
        let contents = self.contents.lock().unwrap();
        let from = contents.get(at as usize..at as usize + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.contents.lock().unwrap().len() as u64)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        let mut contents = self.contents.lock().unwrap();
        if let Some(room) = self.device.room.lock().unwrap().as_mut() {
            *room += contents.len() as u64 - len;
        }
        contents.truncate(len as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

const SEGMENT: u64 = 64 * 1024;

impl Device {
    fn start(&self, segments: u64) -> Tester {
        let holder = Holder { device: self.clone(), holds: false };
        let limits = Limits { budget: segments * SEGMENT, segment: SEGMENT };
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        let say = Box::new(move |event: &Event| told.lock().unwrap().push(event.clone()));
        let disk = Disk::start_in(Box::new(holder), limits, say).unwrap();
        Tester { disk, purged: Arc::default(), events }
    }

    fn bytes(&self) -> u64 {
        self.files.lock().unwrap().values().map(|contents| contents.lock().unwrap().len() as u64).sum()
    }

    /// A device with what is on this one now: what a kill leaves.
    fn snapshot(&self) -> Self {
        let files = self.files.lock().unwrap();
        let copy = |contents: &Contents| Arc::new(Mutex::new(contents.lock().unwrap().clone()));
        let files = files.iter().map(|(id, contents)| (*id, copy(contents))).collect();
        Self { files: Arc::new(Mutex::new(files)), ..Self::default() }
    }

    /// Changes each segment.
    fn damage(&self, mut change: impl FnMut(&mut Vec<u8>)) {
        for contents in self.files.lock().unwrap().values() {
            change(&mut contents.lock().unwrap());
        }
    }
}

struct Tester {
    disk: Disk,
    purged: Arc<Purged>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Tester {
    fn put(&self, key: &str, value: Vec<u8>, tag: &str) {
        self.put_born(key, value, tag, Birth::now(&self.purged, key.as_bytes(), Moment::default()));
    }

    fn put_born(&self, key: &str, value: Vec<u8>, tag: &str, birth: Birth) {
        self.disk.put(Put {
            key: key.as_bytes().into(),
            value: vec![Bytes::from(value)],
            tags: [TagHash::of(tag.as_bytes())].into(),
            received_ms: 0,
            keep_until_ms: u64::MAX,
            birth,
        });
    }

    fn purge(&self, purge: &Purge) {
        self.purged.note(purge);
        self.disk.purge(purge);
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        wait(self.disk.get(key.as_bytes())).map(|kept| kept.bytes.to_vec())
    }

    fn settle(&self) -> bool {
        wait(self.disk.settled())
    }
}

/// Waits for a future without a runtime.
fn wait<T>(mut future: std::pin::Pin<Box<dyn Future<Output = T> + Send>>) -> T {
    struct Thread(std::thread::Thread);
    impl std::task::Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Thread(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

fn purge_key(key: &str) -> Purge {
    Purge::Key(key.as_bytes().into())
}

/// Content that says of itself whether it is right.
fn value(key: &str, version: u32, len: usize) -> Vec<u8> {
    let mut dice = Dice::new(u64::from(version) ^ (len as u64) << 32);
    let mut bytes = format!("{key} {version} ").into_bytes();
    bytes.extend((0..len).map(|_| dice.bits() as u8));
    bytes
}

fn tag_of(key: &str) -> String {
    format!("tag-{}", key.len())
}

#[test]
fn what_was_put_comes_back_after_a_restart() {
    let device = Device::default();
    let first = device.start(8);
    assert!(first.settle());
    first.put("a", value("a", 1, 100), "");
    first.put("b", value("b", 1, 5_000), "");
    first.put("a", value("a", 2, 200), "");
    assert!(first.settle());
    assert_eq!(first.get("a"), Some(value("a", 2, 200)));
    assert_eq!(first.get("c"), None);
    drop(first);
    let second = device.start(8);
    assert!(second.settle());
    assert_eq!(second.get("a"), Some(value("a", 2, 200)));
    assert_eq!(second.get("b"), Some(value("b", 1, 5_000)));
    assert_eq!(second.disk.figures().objects, 2);
}

#[test]
fn what_was_purged_does_not_come_back_also_after_a_restart() {
    let device = Device::default();
    let first = device.start(8);
    assert!(first.settle());
    for (key, tag) in [("key", "x"), ("tagged", "shoes"), ("shop/1", "x"), ("stays", "x"), ("again", "shoes")]
    {
        first.put(key, value(key, 1, 50), tag);
    }
    assert!(first.settle());
    let before = Birth::now(&first.purged, b"late", Moment::default());
    let beginning = Purge::Beginning { at: 0, bytes: (*b"shop/").into() };
    let purges = [purge_key("key"), Purge::Tag(TagHash::of(b"shoes")), beginning];
    purges.iter().for_each(|purge| first.purge(purge));
    let gone = ["key", "tagged", "shop/1", "again"];
    assert!(gone.iter().all(|key| first.get(key).is_none()));
    // Asked for before the purge, there after it.
    first.put_born("late", value("late", 1, 50), "shoes", before);
    first.put("again", value("again", 2, 50), "shoes");
    assert!(first.settle());
    assert_eq!(first.get("late"), None);
    drop(first);
    let second = device.start(8);
    assert!(second.settle());
    assert!(["key", "tagged", "shop/1", "late"].iter().all(|key| second.get(key).is_none()));
    assert_eq!(second.get("stays"), Some(value("stays", 1, 50)));
    assert_eq!(second.get("again"), Some(value("again", 2, 50)));
    second.purge(&Purge::everything());
    assert_eq!(second.get("stays"), None);
    drop(second);
    let third = device.start(8);
    assert!(third.settle());
    assert_eq!(third.disk.figures().objects, 0);
}

#[test]
fn the_budget_holds_and_what_is_asked_for_stays() {
    let device = Device::default();
    let tester = device.start(4);
    assert!(tester.settle());
    tester.put("wanted", value("wanted", 1, 1_000), "");
    for round in 0..200 {
        let key = format!("once-{round}");
        tester.put(&key, value(&key, 1, 4_000), "");
        assert!(tester.settle());
        assert!(device.bytes() <= 4 * SEGMENT);
        assert_eq!(tester.get("wanted"), Some(value("wanted", 1, 1_000)), "in round {round}");
    }
    assert_eq!(tester.get("once-0"), None);
    assert_eq!(tester.get("once-199"), Some(value("once-199", 1, 4_000)));
    // Tags are carried over with what has them.
    tester.put("shoe", value("shoe", 1, 10), "shoes");
    for round in 0..100 {
        tester.put("filler", value("filler", round, 4_000), "");
        assert!(tester.settle());
        assert!(tester.get("shoe").is_some());
    }
    tester.purge(&Purge::Tag(TagHash::of(b"shoes")));
    assert_eq!(tester.get("shoe"), None);
}

#[test]
fn a_full_device_costs_nothing_but_what_is_not_kept() {
    let device = Device::default();
    let tester = device.start(8);
    assert!(tester.settle());
    tester.put("old", value("old", 1, 10_000), "");
    tester.put("gone", value("gone", 1, 100), "");
    assert!(tester.settle());
    *device.room.lock().unwrap() = Some(1_000);
    tester.put("new", value("new", 1, 10_000), "");
    tester.put("next", value("next", 1, 10), "");
    assert!(tester.settle());
    assert_eq!(tester.get("old"), Some(value("old", 1, 10_000)));
    assert_eq!((tester.get("new"), tester.get("next")), (None, None));
    let figures = tester.disk.figures();
    assert_eq!((figures.write_errors, figures.dropped), (1, 2), "the second was not tried");
    assert!(tester.events.lock().unwrap().iter().any(|event| matches!(event, Event::WriteFailed { .. })));
    // A purge needs little room, and finds it.
    tester.purge(&purge_key("gone"));
    assert!(tester.settle());
    drop(tester);
    let tester = device.snapshot().start(8);
    assert!(tester.settle());
    assert_eq!(tester.get("gone"), None);
    assert_eq!(tester.get("old"), Some(value("old", 1, 10_000)));
}

#[test]
fn a_purge_that_cannot_be_written_empties_the_tier() {
    let device = Device::default();
    let tester = device.start(8);
    assert!(tester.settle());
    for key in ["a", "b"] {
        tester.put(key, value(key, 1, 100), "");
    }
    assert!(tester.settle());
    device.fails.store(true, Ordering::SeqCst);
    tester.purge(&purge_key("a"));
    assert!(tester.settle());
    assert_eq!((tester.get("a"), tester.get("b")), (None, None));
    assert!(tester.events.lock().unwrap().contains(&Event::Emptied { emptied: true }));
    drop(tester);
    device.fails.store(false, Ordering::SeqCst);
    let tester = device.start(8);
    assert!(tester.settle());
    assert_eq!(tester.disk.figures().objects, 0);
}

#[test]
fn a_device_that_cannot_be_read_is_left_alone() {
    let device = Device::default();
    let tester = device.start(8);
    assert!(tester.settle());
    tester.put("a", value("a", 1, 100), "");
    assert!(tester.settle());
    device.fails_reading.store(true, Ordering::SeqCst);
    assert_eq!(tester.get("a"), None);
    device.fails_reading.store(false, Ordering::SeqCst);
    assert_eq!(tester.get("a"), None, "it was not tried");
    assert_eq!(tester.disk.figures().read_errors, 1);
}

#[test]
fn a_second_process_waits_for_the_first() {
    let device = Device::default();
    let first = device.start(8);
    assert!(first.settle());
    first.put("a", value("a", 1, 100), "");
    first.put("b", value("b", 1, 100), "");
    assert!(first.settle());
    let second = device.start(8);
    while !second.events.lock().unwrap().contains(&Event::Waiting) {
        std::thread::yield_now();
    }
    assert_eq!(second.get("a"), None);
    // Purged while it is not known what lies there.
    second.purge(&purge_key("a"));
    second.put("c", value("c", 1, 100), "");
    first.put("d", value("d", 1, 100), "");
    drop(first);
    assert!(second.settle());
    assert_eq!((second.get("a"), second.get("c")), (None, None));
    assert_eq!(second.get("b"), Some(value("b", 1, 100)));
    assert_eq!(second.get("d"), Some(value("d", 1, 100)));
}

/// What is in the tier, and what a client may get of it.
#[derive(Default)]
struct Model {
    latest: BTreeMap<String, u32>,
}

/// Puts, purges and gets at random; every answer is right. Gives what may come back later.
fn exercise(tester: &Tester, model: &mut Model, dice: &mut Dice, steps: u32) {
    for step in 0..steps {
        let key = format!("key-{}", dice.bits() % 40);
        match dice.bits() % 10 {
            0..6 => {
                let version = model.latest.get(&key).map_or(0, |version| version & !1) + 2;
                let len = (dice.bits() % 6_000) as usize;
                tester.put(&key, value(&key, version, len), &tag_of(&key));
                model.latest.insert(key, version);
            }
            6 => {
                tester.purge(&purge_key(&key));
                // Odd: purged.
                model.latest.entry(key).and_modify(|version| *version |= 1);
            }
            7 if step % 16 == 0 => {
                tester.purge(&Purge::Tag(TagHash::of(b"tag-5")));
                let tagged = model.latest.iter_mut().filter(|(key, _)| key.len() == 5);
                tagged.for_each(|(_, version)| *version |= 1);
            }
            _ => check(tester, model, &key, false),
        }
    }
}

/// What comes back under `key` is whole, and no older than allowed.
fn check(tester: &Tester, model: &Model, key: &str, may_be_older: bool) {
    let Some(found) = tester.get(key) else { return };
    let text = String::from_utf8_lossy(&found);
    let mut words = text.split(' ');
    assert_eq!(words.next(), Some(key));
    let version: u32 = words.next().unwrap().parse().unwrap();
    let start = format!("{key} {version} ").len();
    assert_eq!(found, value(key, version, found.len() - start), "damaged");
    let latest = model.latest[key];
    assert!(latest & 1 == 0 || version > latest, "{key}: version {version} was purged, latest {latest}");
    // What waits to be written may not be there yet; what was there before may be.
    assert!(version <= latest && (may_be_older || version >= 2));
}

#[test]
fn kills_at_any_moment_leave_nothing_wrong() {
    for seed in 0..12 {
        let mut dice = Dice::new(seed);
        let mut device = Device::default();
        let mut model = Model::default();
        for _ in 0..6 {
            let tester = device.start(4);
            assert!(tester.settle());
            exercise(&tester, &mut model, &mut dice, 150);
            // Purges are waited for; what is put after that may be lost, or half written.
            assert!(tester.settle());
            let key = format!("key-{}", dice.bits() % 40);
            let version = model.latest.get(&key).map_or(0, |version| version & !1) + 2;
            let before = device.bytes();
            tester.put(&key, value(&key, version, 20_000), &tag_of(&key));
            model.latest.insert(key, version);
            while device.bytes() == before {
                std::hint::spin_loop();
            }
            // Often in the middle of a write.
            device = device.snapshot();
            for key in model.latest.keys() {
                check(&tester, &model, key, true);
            }
        }
    }
}

#[test]
fn damage_at_any_place_leaves_nothing_wrong() {
    for seed in 0..20 {
        let mut dice = Dice::new(1_000 + seed);
        let device = Device::default();
        let mut model = Model::default();
        for _ in 0..4 {
            let tester = device.start(4);
            assert!(tester.settle(), "seed {seed}");
            for key in model.latest.keys() {
                check(&tester, &model, key, true);
            }
            exercise(&tester, &mut model, &mut dice, 150);
            assert!(tester.settle());
            drop(tester);
            let flips = dice.bits() % 4;
            device.damage(|contents| {
                for _ in 0..flips {
                    let at = dice.bits() as usize % contents.len().max(1);
                    if let Some(byte) = contents.get_mut(at) {
                        *byte ^= 1 << (dice.bits() % 8);
                    }
                }
            });
        }
    }
}

#[test]
fn a_purge_that_was_damaged_is_not_undone() {
    for further in [false, true] {
        let device = Device::default();
        let tester = device.start(8);
        assert!(tester.settle());
        tester.put("a", value("a", 1, 100), "");
        assert!(tester.settle());
        tester.purge(&purge_key("a"));
        if further {
            tester.put("b", value("b", 1, 100), "");
        }
        assert!(tester.settle());
        drop(tester);
        device.damage(|contents| {
            let at = contents.windows(5).position(|bytes| bytes == b"hgr\x01\x01").unwrap();
            contents[at + 20] ^= 1;
        });
        // However often: what was found out must not be forgotten.
        for _ in 0..3 {
            let tester = device.start(8);
            assert!(tester.settle());
            assert_eq!(tester.get("a"), None);
            assert_eq!(tester.get("b").is_some(), further);
        }
    }
}

#[test]
fn content_that_looks_like_a_record_is_not_taken_for_one() {
    let device = Device::default();
    let tester = device.start(8);
    assert!(tester.settle());
    tester.put("victim", value("victim", 1, 10), "");
    tester.put("bait", vec![0; 4_096], "");
    assert!(tester.settle());
    // As it would lie in another segment: what an origin could have seen.
    let other = Device::default();
    let forger = other.start(8);
    assert!(forger.settle());
    forger.put("victim", b"forged".to_vec(), "");
    assert!(forger.settle());
    let forged =
        other.files.lock().unwrap().values().next().unwrap().lock().unwrap()[SEGMENT_HEAD..].to_vec();
    drop(tester);
    device.damage(|contents| {
        let len = contents.len();
        // Hidden by damage to the head of the record that holds it.
        let bait = (len - 4_096 - 128).next_multiple_of(64);
        contents[bait - 64..bait + 64].fill(0xff);
        contents[bait + 64..bait + 64 + forged.len()].copy_from_slice(&forged);
    });
    let tester = device.start(8);
    assert!(tester.settle());
    assert_ne!(tester.get("victim"), Some(b"forged".to_vec()));
}
