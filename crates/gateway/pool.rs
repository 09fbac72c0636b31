//! Read buffers that belong to a thread and are lent to a connection only while bytes are there.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Bytes that one buffer takes. Large enough that a large frame costs few system calls, and that every head the gateway
/// has to see whole fits in (see `wire::head::REQUEST_HEAD_BYTES_MAX`).
pub const BUFFER_BYTES: usize = 256 * 1024;

/// What the first read of a connection takes at most. Each read that finds more lets the next one take twice as much, up to
/// all of a buffer: who has little to say does not touch all of it.
const FIRST_BYTES_MAX: usize = 32 * 1024;

/// What is read begins in the middle of a page, at least half a one behind the buffer's beginning: that is left free for a
/// beginning which is replaced by a longer one.
///
/// Other buffers, those of the kernel too, mostly begin where a page does. A copy whose target lies, within a page, a little
/// behind its source stalls on x86 at every line: a load takes the store before it for its own ("4K aliasing"). With half a
/// page between them neither reading nor writing nor encrypting does.
const PAGE_BYTES: usize = 4096;

/// Buffers a thread keeps for the next reader; more are given back to the allocator.
const KEPT_MAX: usize = 16;

thread_local! {
    /// Not state of the program but a cache of memory: nothing is lost when it is empty.
    static KEPT: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Asks for pages of ordinary size. Of a huge one, which allocators like, all is resident as soon as a connection touches a
/// little of it. Where the system does not care, the process is merely larger.
pub fn keep_pages_small() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// A lent buffer, which returns to its thread's pool when dropped.
pub struct Buffer {
    /// Empty only during `drop`.
    bytes: Box<[u8]>,
    /// Where what is read begins.
    front: usize,
}

impl Buffer {
    /// Lends a buffer of [`BUFFER_BYTES`]. Its contents are whatever the last reader left.
    pub fn lend() -> Self {
        let kept = KEPT.with_borrow_mut(Vec::pop);
        let new = || vec![0; 2 * PAGE_BYTES + BUFFER_BYTES].into_boxed_slice();
        let bytes = kept.unwrap_or_else(new);
        let front = PAGE_BYTES / 2 + bytes.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
        Self { bytes, front }
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        // During the thread's end the pool may be gone already; then the allocator takes the buffer.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < KEPT_MAX {
                kept.push(bytes);
            }
        });
    }
}

/// What one direction has read and not yet disposed of: a lent buffer while there are bytes, nothing while idle.
///
/// The bytes in `start..ready` may go on as they are, in one write; those in `ready..end` were not looked at, or are
/// the beginning of something that is wanted whole. A fill moves what is unread to the front first.
#[derive(Default)]
pub struct Intake {
    buffer: Option<Buffer>,
    start: usize,
    ready: usize,
    end: usize,
    /// How often reads have found all that they could take.
    grown: u8,
    /// How much the next read may take, if that is something else.
    once: Option<usize>,
}

impl Intake {
    /// The bytes that may go on.
    pub fn ready(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[self.start..self.ready])
    }

    /// The bytes behind the ready ones.
    pub fn rest(&mut self) -> &mut [u8] {
        match &mut self.buffer {
            Some(buffer) => &mut buffer[self.ready..self.end],
            None => &mut [],
        }
    }

    /// Adds the first `n` bytes of the rest to those that may go on.
    pub fn pass(&mut self, n: usize) {
        debug_assert!(n <= self.end - self.ready);
        self.ready += n;
    }

    /// Says that the ready bytes have gone; an empty intake gives its buffer back.
    pub fn gone(&mut self) {
        self.start = self.ready;
        if self.start == self.end {
            self.release();
        }
    }

    /// Says that the first `n` of the ready bytes have gone, or go nowhere.
    pub fn gone_first(&mut self, n: usize) {
        debug_assert!(n <= self.ready - self.start);
        self.start += n;
        if self.start == self.end {
            self.release();
        }
    }

    /// Leaves only these of the ready bytes: no more than there were.
    pub fn keep_ready(&mut self, bytes: &[u8]) {
        let Some(buffer) = &mut self.buffer else { return };
        let start = self.ready.saturating_sub(bytes.len()).max(self.start);
        buffer[start..self.ready].copy_from_slice(bytes);
        self.start = start;
        if self.start == self.end {
            self.release();
        }
    }

    /// Takes the first `n` bytes of the rest out, which go on in another form or not at all. None may be ready.
    pub fn take_out(&mut self, n: usize) {
        debug_assert!(self.start == self.ready);
        self.pass(n);
        self.gone();
    }

    /// Puts `bytes` in the place of the first `consumed` ones of the rest. False where there is no room for them.
    pub fn replace(&mut self, consumed: usize, bytes: &[u8]) -> bool {
        let Some(buffer) = &mut self.buffer else { return false };
        let Some(start) = (self.start + consumed).checked_sub(bytes.len()) else { return false };
        debug_assert!(consumed <= self.end - self.ready);
        buffer.copy_within(self.start..self.ready, start);
        self.ready = start + (self.ready - self.start);
        self.start = start;
        buffer[self.ready..self.ready + bytes.len()].copy_from_slice(bytes);
        true
    }

    /// Whether the buffer is full of one unfinished thing.
    pub fn is_full(&self) -> bool {
        self.end - self.start >= BUFFER_BYTES
    }

    /// Space behind the unread bytes; never empty unless the intake is full.
    pub fn space(&mut self) -> &mut [u8] {
        let held = self.end - self.start;
        let space = self.reach().min(BUFFER_BYTES.saturating_sub(held));
        let buffer = self.buffer.get_or_insert_with(Buffer::lend);
        let start = buffer.front;
        if self.start != start && space > 0 {
            buffer.copy_within(self.start..self.end, start);
            self.ready = start + (self.ready - self.start);
            (self.start, self.end) = (start, start + held);
        }
        &mut buffer[self.end..self.end + space]
    }

    /// Says that `n` bytes were read into [`Intake::space`].
    pub fn filled(&mut self, n: usize) {
        if self.once.take().is_none() && n == self.reach() && n < BUFFER_BYTES {
            self.grown += 1;
        }
        self.end += n;
    }

    /// How much the next read may take.
    fn reach(&self) -> usize {
        self.once.unwrap_or((FIRST_BYTES_MAX << self.grown).min(BUFFER_BYTES))
    }

    /// Lets the next read take no more than so many bytes.
    pub fn take_next(&mut self, bytes: usize) {
        self.once = Some(bytes);
    }

    /// Puts bytes that were read before in front of all others, into an intake that is empty.
    pub fn seed(&mut self, early: &[u8]) {
        let n = early.len().min(BUFFER_BYTES);
        if n > 0 {
            let buffer = self.buffer.get_or_insert_with(Buffer::lend);
            let start = buffer.front;
            buffer[start..start + n].copy_from_slice(&early[..n]);
            (self.start, self.ready, self.end) = (start, start, start + n);
        }
    }

    /// Takes everything out and gives the buffer back, for a long wait; [`Intake::seed`] ends it. None may be ready.
    pub fn park(&mut self) -> Vec<u8> {
        debug_assert!(self.start == self.ready);
        let rest = self.rest().to_vec();
        self.release();
        rest
    }

    /// Gives the buffer back, with all that is in it.
    fn release(&mut self) {
        *self = Self { grown: self.grown, once: self.once, ..Self::default() };
    }

    /// True when no byte is held. An idle intake holds no buffer.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Gives the buffer back when nothing is in it: after a read that found the socket dry.
    pub fn release_if_empty(&mut self) {
        if self.is_empty() {
            self.release();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_intake_keeps_an_unfinished_head_and_gives_its_buffer_back_when_empty() {
        let mut intake = Intake::default();
        intake.space()[..5].copy_from_slice(b"abcde");
        intake.filled(5);
        intake.pass(3);
        assert_eq!(intake.ready(), b"abc");
        intake.gone();
        assert_eq!(intake.space().len(), FIRST_BYTES_MAX);
        assert_eq!(intake.rest(), b"de");
        intake.take_out(2);
        assert!(intake.buffer.is_none());
    }

    #[test]
    fn reads_that_find_all_they_could_take_may_take_more() {
        let mut intake = Intake::default();
        let mut taken = Vec::new();
        for _ in 0..5 {
            let n = intake.space().len();
            taken.push(n);
            intake.filled(n);
            intake.pass(n);
            intake.gone();
        }
        assert_eq!(taken, [32 << 10, 64 << 10, 128 << 10, BUFFER_BYTES, BUFFER_BYTES]);
        intake.take_next(1000);
        assert_eq!(intake.space().len(), 1000);
        intake.filled(10);
        assert_eq!(intake.space().len(), BUFFER_BYTES - 10);
    }

    #[test]
    fn reads_begin_in_the_middle_of_a_page_and_what_fills_a_buffer_stays_where_it_is() {
        let mut intake = Intake::default();
        assert_eq!(intake.space().as_ptr().addr() % PAGE_BYTES, PAGE_BYTES / 2);
        while !intake.is_full() {
            let n = intake.space().len();
            intake.filled(n);
        }
        assert!(intake.replace(2, b"three"));
        assert!(intake.is_full() && intake.space().is_empty());
        assert_eq!(intake.ready(), b"");
        let rest = intake.rest();
        assert_eq!((&rest[..6], rest.len()), (&b"three\0"[..], BUFFER_BYTES + 3));
    }

    fn both(intake: &mut Intake) -> (Vec<u8>, Vec<u8>) {
        (intake.ready().to_vec(), intake.rest().to_vec())
    }

    #[test]
    fn a_beginning_is_replaced_where_it_stands_as_long_as_there_is_room_before_it() {
        let mut intake = Intake::default();
        intake.seed(b"gone, ready, old, rest");
        intake.pass(6);
        intake.gone();
        intake.pass(7);
        assert!(intake.replace(4, b"longer,"));
        assert_eq!(both(&mut intake), (b"ready, ".to_vec(), b"longer, rest".to_vec()));
        assert!(intake.replace(7, b"new,"));
        assert_eq!(both(&mut intake), (b"ready, ".to_vec(), b"new, rest".to_vec()));
        assert!(!intake.replace(4, &[b'x'; 2 * PAGE_BYTES]));
        assert_eq!(both(&mut intake), (b"ready, ".to_vec(), b"new, rest".to_vec()));
        intake.space();
        assert_eq!(both(&mut intake), (b"ready, ".to_vec(), b"new, rest".to_vec()));
    }
}
