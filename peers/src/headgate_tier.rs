//! Headgate's disk tier in the comparison.

use crate::tier::{Tier, key_of};
use bytes::Bytes;
use headgate_cache::disk::Disk;
use headgate_cache::lower::Lower;
use headgate_cache::tier::{Put, Tier as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct Headgate {
    disk: Arc<Disk>,
    lower: Arc<Lower>,
    puts: Arc<AtomicU64>,
}

impl Tier for Headgate {
    async fn open(folder: &Path, budget: u64) -> Self {
        let disk = match Disk::start(folder, budget, |_| {}) {
            Ok(disk) => Arc::new(disk),
            Err(error) => panic!("{}: {error}", folder.display()),
        };
        while !disk.figures().ready {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        Self { disk, lower: Arc::new(Lower::new(Vec::new())), puts: Arc::default() }
    }

    fn put(&self, id: u64, bytes: Bytes) {
        let key = key_of(id).into_boxed_slice();
        let birth = self.lower.birth(&key);
        let (tags, keep_until_ms) = (Box::default(), u64::MAX);
        self.disk.put(Put { key, value: vec![bytes], tags, received_ms: 0, keep_until_ms, birth });
        self.puts.fetch_add(1, Ordering::Relaxed);
    }

    async fn get(&self, id: u64) -> Option<Bytes> {
        self.disk.get(&key_of(id)).await.map(|kept| kept.bytes)
    }

    async fn written(&self) {
        let puts = self.puts.load(Ordering::Relaxed);
        loop {
            let figures = self.disk.figures();
            if figures.written + figures.dropped >= puts {
                return;
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    }

    async fn close(self) {
        self.disk.close();
    }
}
