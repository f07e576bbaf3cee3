//! Buffers of one worker, lent out while a message is in motion and taken back when it rests, so that an
//! idle connection holds none. Last in, first out: the buffer that is warm in the cache goes out next.

use crate::head::{Flat, RequestHead, ResponseHead};
use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// A body buffer's usual size.
pub const SMALL: usize = 16 * 1024;
/// A body buffer's size once a body has shown that it is long.
pub const LARGE: usize = 128 * 1024;

/// Free buffers kept for the next use; what is beyond is given back to the system.
const KEEP_SMALL: usize = 256;
const KEEP_LARGE: usize = 32;

/// Room for bytes with a filled window.
#[derive(Debug)]
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity].into_boxed_slice(), start: 0, end: 0 }
    }

    #[inline]
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Room after the window. When the window is empty it is all of the buffer.
    #[inline]
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        &mut self.bytes[self.end..]
    }

    /// Moves the window to the front, so that all room lies behind it.
    pub fn compact(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }

    /// `count` bytes of the room were written.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// `count` bytes of the window were used up.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// The last `count` bytes that were used up; valid until the next write.
    #[inline]
    #[must_use]
    pub fn consumed(&self, count: usize) -> &[u8] {
        &self.bytes[self.start - count.min(self.start)..self.start]
    }

    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

/// Sizes of the heads that a pool lends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadSize {
    pub bytes: usize,
    pub fields: usize,
}

impl HeadSize {
    fn head<Line: Default>(self) -> Flat<Line> {
        Flat::new(self.bytes, self.fields)
    }
}

/// One worker's free buffers.
pub struct Buffers {
    requests: Shelf<RequestHead>,
    responses: Shelf<ResponseHead>,
    small: Shelf<Buffer>,
    large: Shelf<Buffer>,
    out: Shelf<Vec<u8>>,
    size: Cell<HeadSize>,
}

impl Buffers {
    #[must_use]
    pub fn new(size: HeadSize) -> Rc<Self> {
        Rc::new(Self {
            requests: Shelf::new(KEEP_SMALL),
            responses: Shelf::new(KEEP_SMALL),
            small: Shelf::new(KEEP_SMALL),
            large: Shelf::new(KEEP_LARGE),
            out: Shelf::new(KEEP_SMALL),
            size: Cell::new(size),
        })
    }

    /// Lends heads of another size from now on. Those that are lent out stay as they are.
    pub fn resize_heads(&self, size: HeadSize) {
        if self.size.replace(size) != size {
            self.requests.free.borrow_mut().clear();
            self.responses.free.borrow_mut().clear();
        }
    }

    #[must_use]
    pub fn request(self: &Rc<Self>) -> Lent<RequestHead> {
        let mut head = self.requests.take(|| self.size.get().head());
        head.clear();
        Lent::new(self, head)
    }

    #[must_use]
    pub fn response(self: &Rc<Self>) -> Lent<ResponseHead> {
        let mut head = self.responses.take(|| self.size.get().head());
        head.clear();
        Lent::new(self, head)
    }

    #[must_use]
    pub fn small(self: &Rc<Self>) -> Lent<Buffer> {
        let mut buffer = self.small.take(|| Buffer::new(SMALL));
        buffer.clear();
        Lent::new(self, buffer)
    }

    #[must_use]
    pub fn large(self: &Rc<Self>) -> Lent<Buffer> {
        let mut buffer = self.large.take(|| Buffer::new(LARGE));
        buffer.clear();
        Lent::new(self, buffer)
    }

    /// An empty vector with room for a head and a small body.
    #[must_use]
    pub fn out(self: &Rc<Self>) -> Lent<Vec<u8>> {
        let mut out = self.out.take(|| Vec::with_capacity(SMALL));
        out.clear();
        Lent::new(self, out)
    }

    /// Buffers now lent out, of all kinds.
    #[must_use]
    pub fn lent(&self) -> usize {
        self.requests.lent.get()
            + self.responses.lent.get()
            + self.small.lent.get()
            + self.large.lent.get()
            + self.out.lent.get()
    }
}

struct Shelf<T> {
    free: RefCell<Vec<Box<T>>>,
    keep: usize,
    lent: Cell<usize>,
}

impl<T> Shelf<T> {
    fn new(keep: usize) -> Self {
        Self { free: RefCell::new(Vec::new()), keep, lent: Cell::new(0) }
    }

    #[inline]
    fn take(&self, make: impl FnOnce() -> T) -> Box<T> {
        self.lent.set(self.lent.get() + 1);
        self.free.borrow_mut().pop().unwrap_or_else(|| Box::new(make()))
    }

    /// What does not fit any more is not kept.
    #[inline]
    fn give(&self, item: Box<T>, fits: bool) {
        self.lent.set(self.lent.get() - 1);
        let mut free = self.free.borrow_mut();
        if fits && free.len() < self.keep {
            free.push(item);
        }
    }
}

/// What a pool lends out; goes back when dropped.
pub struct Lent<T: Pooled> {
    item: Option<Box<T>>,
    pool: Rc<Buffers>,
}

impl<T: Pooled> Lent<T> {
    fn new(pool: &Rc<Buffers>, item: Box<T>) -> Self {
        Self { item: Some(item), pool: Rc::clone(pool) }
    }
}

impl<T: Pooled> Deref for Lent<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.item {
            Some(item) => item,
            None => unreachable!("only drop empties it"),
        }
    }
}

impl<T: Pooled> DerefMut for Lent<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.item {
            Some(item) => item,
            None => unreachable!("only drop empties it"),
        }
    }
}

impl<T: Pooled> Drop for Lent<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(item) = self.item.take() {
            T::give_back(&self.pool, item);
        }
    }
}

/// Kinds of buffers that a pool lends.
pub trait Pooled: Sized {
    fn give_back(pool: &Buffers, item: Box<Self>);
}

impl Pooled for RequestHead {
    fn give_back(pool: &Buffers, item: Box<Self>) {
        let fits = item.limit == pool.size.get().bytes;
        pool.requests.give(item, fits);
    }
}

impl Pooled for ResponseHead {
    fn give_back(pool: &Buffers, item: Box<Self>) {
        let fits = item.limit == pool.size.get().bytes;
        pool.responses.give(item, fits);
    }
}

impl Pooled for Buffer {
    fn give_back(pool: &Buffers, item: Box<Self>) {
        if item.capacity() == LARGE {
            pool.large.give(item, true);
        } else {
            pool.small.give(item, true);
        }
    }
}

impl Pooled for Vec<u8> {
    fn give_back(pool: &Buffers, mut item: Box<Self>) {
        // One rare large head must not keep its memory for ever.
        if item.capacity() > 4 * SMALL {
            *item = Self::with_capacity(SMALL);
        }
        pool.out.give(item, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_is_lent_again_and_empty() {
        let pool = Buffers::new(HeadSize { bytes: 64, fields: 4 });
        let mut first = pool.small();
        first.room()[0] = 7;
        first.advance(1);
        let address = first.filled().as_ptr();
        assert_eq!(pool.lent(), 1);
        drop(first);
        assert_eq!(pool.lent(), 0);
        let mut again = pool.small();
        assert!(again.is_empty());
        assert_eq!(again.room().as_ptr(), address);
    }

    #[test]
    fn heads_of_another_size_replace_those_that_come_back() {
        let pool = Buffers::new(HeadSize { bytes: 64, fields: 4 });
        let (resting, lent) = (pool.request(), pool.request());
        drop(resting);
        pool.resize_heads(HeadSize { bytes: 128, fields: 4 });
        assert_eq!((pool.request().limit, lent.limit), (128, 64));
        drop(lent);
        let both = [pool.request(), pool.request()];
        assert_eq!(both.map(|head| head.limit), [128, 128]);
        assert_eq!(pool.lent(), 0);
    }

    #[test]
    fn no_more_than_the_keep_is_kept() {
        let pool = Buffers::new(HeadSize { bytes: 64, fields: 4 });
        drop((0..KEEP_LARGE + 9).map(|_| pool.large()).collect::<Vec<_>>());
        assert_eq!(pool.large.free.borrow().len(), KEEP_LARGE);
    }
}
