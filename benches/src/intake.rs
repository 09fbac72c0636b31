//! Blocking reads of frames: their heads are seen, their record bytes dropped without being copied.

use std::io::{self, ErrorKind, Read};

use crate::line::Line;

const BUFFER_BYTES: usize = 64 * 1024;
const DROPPED_AT_ONCE_BYTES: usize = 1024 * 1024;

/// A connection and what was read of it.
#[derive(Debug)]
pub struct Intake {
    line: Line,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    /// Where dropped bytes go.
    hole: Vec<u8>,
}

impl Intake {
    /// Of a connection of which nothing was read yet.
    pub fn new(line: Line) -> Intake {
        let buffer = vec![0; BUFFER_BYTES];
        Intake { line, buffer, begin: 0, end: 0, hole: Vec::new() }
    }

    /// The connection itself, for writing.
    pub fn line(&mut self) -> &mut Line {
        &mut self.line
    }

    fn held(&self) -> &[u8] {
        self.buffer.get(self.begin..self.end).unwrap_or_default()
    }

    /// The size of the next frame, where it is here already.
    fn size_held(&self) -> Option<usize> {
        let size = self.held().first_chunk::<4>()?;
        usize::try_from(u32::from_be_bytes(*size)).ok()
    }

    /// Whether the next frame is here completely, so that taking it cannot block.
    pub fn frame_is_here(&self) -> bool {
        self.size_held().is_some_and(|size| self.end - self.begin >= size.saturating_add(4))
    }

    /// The size of the next frame and its first bytes: all of it, or at least `head_bytes`. Blocks until they are
    /// here; `None` at the end of the stream.
    pub fn frame(&mut self, head_bytes: usize) -> io::Result<Option<(usize, &[u8])>> {
        if !self.hold(4)? {
            return Ok(None);
        }
        let size = self.size_held().unwrap_or(0);
        if !self.hold(4 + size.min(head_bytes))? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let held = self.held();
        Ok(Some((size, held.get(4..held.len().min(4 + size)).unwrap_or_default())))
    }

    /// Drops the frame whose size `frame` told.
    pub fn drop_frame(&mut self, size: usize) -> io::Result<()> {
        self.drop_bytes(size + 4)
    }

    /// Drops the next `count` bytes.
    pub fn drop_bytes(&mut self, count: usize) -> io::Result<()> {
        let held = (self.end - self.begin).min(count);
        self.begin += held;
        let mut rest = count - held;
        if rest > 0 && self.hole.is_empty() {
            self.hole = vec![0; DROPPED_AT_ONCE_BYTES];
        }
        while rest > 0 {
            let limit = rest.min(self.hole.len());
            match self.line.drop_up_to(self.hole.get_mut(..limit).unwrap_or_default())? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                dropped => rest -= dropped,
            }
        }
        Ok(())
    }

    /// Reads until `count` bytes are held; false where the stream ends before the first of them.
    fn hold(&mut self, count: usize) -> io::Result<bool> {
        while self.end - self.begin < count {
            if self.begin == self.end {
                (self.begin, self.end) = (0, 0);
            } else if self.buffer.len() - self.begin < count {
                self.buffer.copy_within(self.begin..self.end, 0);
                (self.begin, self.end) = (0, self.end - self.begin);
            }
            match self.line.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) if self.begin == self.end => return Ok(false),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
