//! foyer's hybrid cache in the comparison, with as little memory as it takes, so that reads come from its files.

use crate::tier::{Tier, key_of};
use bytes::Bytes;
use foyer::{
    BlockEngineConfig, DeviceBuilder, FsDeviceBuilder, HybridCache, HybridCacheBuilder, PsyncIoEngineConfig,
};
use std::path::Path;

#[derive(Clone)]
pub(crate) struct Foyer(HybridCache<Vec<u8>, Bytes>);

impl Tier for Foyer {
    async fn open(folder: &Path, budget: u64) -> Self {
        let device = FsDeviceBuilder::new(folder).with_capacity(budget as usize).build();
        let device = device.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let block = (budget as usize / 16).min(16 << 20);
        let built = HybridCacheBuilder::new()
            .memory(1 << 20)
            .with_weighter(|key: &Vec<u8>, value: &Bytes| key.len() + value.len())
            .storage()
            .with_io_engine_config(PsyncIoEngineConfig::new())
            .with_engine_config(
                BlockEngineConfig::new(device)
                    .with_block_size(block)
                    // As much as may wait in ours.
                    .with_buffer_pool_size(64 << 20)
                    .with_submit_queue_size_threshold(64 << 20),
            )
            .build()
            .await;
        Self(built.unwrap_or_else(|error| panic!("{}: {error}", folder.display())))
    }

    fn put(&self, id: u64, bytes: Bytes) {
        self.0.storage_writer(key_of(id)).insert(bytes);
    }

    async fn get(&self, id: u64) -> Option<Bytes> {
        let entry = self.0.get(&key_of(id)).await.ok().flatten();
        entry.map(|entry| entry.value().clone())
    }

    async fn written(&self) {
        self.0.storage().wait().await;
    }

    async fn close(self) {
        // What was not written is lost, and counted by who reads again.
        let _ = self.0.close().await;
    }
}
