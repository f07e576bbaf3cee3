//! Where batches of whole lines are written: a file or standard output. It counts the lines that could not
//! be written and repairs a line that was torn by an error; it does not try again.

use std::io::{self, ErrorKind, Write};

/// A writer of batches.
#[derive(Debug)]
pub(super) struct Output<W> {
    inner: W,
    /// The last write ended within a line.
    torn: bool,
}

/// A batch that was not written to its end.
#[derive(Debug)]
pub(super) struct WriteFailed {
    /// The torn line counts as lost.
    pub(super) lines_lost: u64,
    pub(super) source: io::Error,
}

impl<W: Write> Output<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, torn: false }
    }

    pub(super) fn write(&mut self, batch: &[u8]) -> Result<(), WriteFailed> {
        if self.torn && !batch.is_empty() {
            // Nothing of the batch is written when even this fails.
            self.write_from(b"\n").map_err(|(_, source)| WriteFailed { lines_lost: lines(batch), source })?;
            self.torn = false;
        }
        self.write_from(batch).map_err(|(written, source)| {
            let (done, left) = batch.split_at(written);
            self.torn = done.last().is_some_and(|&byte| byte != b'\n');
            WriteFailed { lines_lost: lines(left), source }
        })
    }

    /// How much was written before the error is what `write_all` does not tell.
    fn write_from(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < bytes.len() {
            match self.inner.write(&bytes[written..]) {
                Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
                Ok(n) => written += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, seven at a time, and then fails until it is given room again.
    #[derive(Debug)]
    struct Disk {
        content: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room).min(7);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.content.extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_and_lost_lines_are_counted() {
        let mut output = Output::new(Disk { content: Vec::new(), room: 14 });
        let failed = output.write(b"line one\nline two\nline three\n").unwrap_err();
        assert_eq!((failed.lines_lost, failed.source.kind()), (2, ErrorKind::StorageFull));
        assert_eq!(output.write(b"still full\n").unwrap_err().lines_lost, 1);
        output.inner.room = 100;
        output.write(b"line four\n").unwrap();
        output.write(b"line five\n").unwrap();
        assert_eq!(
            String::from_utf8(output.inner.content).unwrap(),
            "line one\nline \nline four\nline five\n"
        );
    }

    #[test]
    fn a_failure_between_lines_leaves_nothing_to_repair() {
        let mut output = Output::new(Disk { content: Vec::new(), room: 9 });
        assert_eq!(output.write(b"line one\nline two\n").unwrap_err().lines_lost, 1);
        output.inner.room = 100;
        output.write(b"line three\n").unwrap();
        assert_eq!(output.inner.content, b"line one\nline three\n");
    }
}
