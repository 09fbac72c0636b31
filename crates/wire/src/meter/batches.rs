//! How many records a records field has, from the headers of its batches.

/// Bytes up to the magic number, which says how the rest is laid out.
const MAGIC_END: usize = 17;
/// Bytes of a batch's header.
const HEADER_BYTES: usize = 61;
/// Offset and size, which the size does not count.
const LOG_OVERHEAD: u64 = 12;
/// Where the size is: of a batch, or of a message of magic 0 or 1.
const SIZE_AT: usize = 8;
/// Where a batch says how many records it has.
const COUNT_AT: usize = 57;
/// The shortest message: checksum, magic, attributes, and the lengths of key and value.
const MESSAGE_BYTES_MIN: u64 = 14;

/// Counts the records of one field while its bytes pass. What cannot be read ends the count, not the field.
#[derive(Debug, Clone)]
pub(crate) struct Batches {
    records: u64,
    /// Bytes up to the next header.
    skip: u64,
    header: [u8; HEADER_BYTES],
    /// Bytes of the header that are here,
    have: u8,
    /// and whether it is a batch's.
    is_batch: bool,
}

impl Batches {
    pub(crate) const fn new() -> Batches {
        Batches { records: 0, skip: 0, header: [0; HEADER_BYTES], have: 0, is_batch: false }
    }

    /// Records of all headers that have passed. A batch counts with the number that it announces, a message of magic 0
    /// or 1 as one, also when it is a compressed wrapper around others.
    pub(crate) const fn records(&self) -> u64 {
        self.records
    }

    /// Takes the next bytes of the field.
    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.skip > 0 {
                let here = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(self.skip);
                self.skip = self.skip.saturating_sub(here);
                rest = rest.get(usize::try_from(here).unwrap_or(usize::MAX)..).unwrap_or_default();
                continue;
            }
            let wanted = if self.is_batch { HEADER_BYTES } else { MAGIC_END };
            let have = usize::from(self.have);
            let take = wanted.saturating_sub(have).min(rest.len());
            let Some((part, after)) = rest.split_at_checked(take) else { return };
            let Some(place) = self.header.get_mut(have..have.saturating_add(take)) else { return };
            place.copy_from_slice(part);
            rest = after;
            let have = have.saturating_add(take);
            self.have = u8::try_from(have).unwrap_or(u8::MAX);
            if have == wanted {
                self.look();
            }
        }
    }

    /// Looks at a header, or at its beginning.
    fn look(&mut self) {
        if self.is_batch {
            let records = u32::try_from(self.number(COUNT_AT)).unwrap_or(0);
            self.next(HEADER_BYTES, HEADER_BYTES, records);
            return;
        }
        match self.header.get(MAGIC_END.saturating_sub(1)) {
            Some(0 | 1) => {
                let shortest = usize::try_from(LOG_OVERHEAD.saturating_add(MESSAGE_BYTES_MIN));
                self.next(MAGIC_END, shortest.unwrap_or(usize::MAX), 1);
            }
            Some(2) => self.is_batch = true,
            Some(_) | None => self.lose(),
        }
    }

    /// Counts a header and goes on to the next one; `seen` bytes of this entry have passed, and fewer than `shortest`
    /// it cannot have.
    fn next(&mut self, seen: usize, shortest: usize, records: u32) {
        let size = u64::try_from(self.number(SIZE_AT)).ok().map(|size| size.saturating_add(LOG_OVERHEAD));
        let bytes = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let Some(size) = size.filter(|size| *size >= bytes(shortest)) else { return self.lose() };
        self.records = self.records.saturating_add(u64::from(records));
        self.skip = size.saturating_sub(bytes(seen));
        self.have = 0;
        self.is_batch = false;
    }

    /// Looks at nothing any more.
    fn lose(&mut self) {
        self.skip = u64::MAX;
    }

    fn number(&self, at: usize) -> i32 {
        let bytes = self.header.get(at..).and_then(<[u8]>::first_chunk);
        i32::from_be_bytes(bytes.copied().unwrap_or_default())
    }
}
