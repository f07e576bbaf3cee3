//! What is asked of a disk tier in the comparison, and the objects.

use bytes::Bytes;
use headgate_model::dice::Dice;
use std::path::Path;

pub(crate) trait Tier: Clone + Send + Sync + 'static {
    /// Opens the tier in `folder`, with room for `budget` bytes; ready to be read.
    fn open(folder: &Path, budget: u64) -> impl Future<Output = Self> + Send;
    fn put(&self, id: u64, bytes: Bytes);
    fn get(&self, id: u64) -> impl Future<Output = Option<Bytes>> + Send;
    /// When what was put was written to files.
    fn written(&self) -> impl Future<Output = ()> + Send;
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Bytes of an object: 1 to 64 KiB, most of them small.
pub(crate) fn bytes_of(id: u64) -> Bytes {
    let mut dice = Dice::new(id);
    let len = (1024.0 * 64_f64.powf(dice.unit())) as usize;
    let word = dice.below(u64::MAX).to_le_bytes();
    word.iter().copied().cycle().take(len).collect()
}

/// A key as long as those of responses are.
pub(crate) fn key_of(id: u64) -> Vec<u8> {
    format!("shop.example/products/{id:06}?currency=EUR").into_bytes()
}
