//! Finds the frames in one direction of an HTTP/2 connection (RFC 9113 section 4.1), in whatever pieces the bytes
//! come. It understands none of them.

/// Length of a frame's header, and with the error code of a RST_STREAM behind it.
const HEADER: usize = 9;
const RESET: usize = HEADER + 4;

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const END_STREAM: u8 = 0x1;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    /// Of a RST_STREAM; otherwise zero.
    pub code: u32,
}

/// Where one direction stands.
#[derive(Debug)]
pub(crate) struct Frames {
    header: [u8; RESET],
    header_len: usize,
    /// Bytes to pass over: what precedes the first frame, later a frame's payload.
    skip: u64,
}

impl Frames {
    /// A direction that begins with `skip` bytes that are no frame.
    pub(crate) fn behind(skip: u64) -> Self {
        Self { header: [0; RESET], header_len: 0, skip }
    }

    /// Takes the next bytes; gives each frame once its header is there.
    pub(crate) fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let passed = bytes.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= passed as u64;
            bytes = &bytes[passed..];
            let taken = bytes.len().min(self.wanted() - self.header_len);
            self.header[self.header_len..self.header_len + taken].copy_from_slice(&bytes[..taken]);
            self.header_len += taken;
            bytes = &bytes[taken..];
            if self.header_len >= HEADER && self.header_len == self.wanted() {
                let frame = self.frame();
                self.skip = u64::from(frame.length) - (self.header_len - HEADER) as u64;
                self.header_len = 0;
                found(frame);
            }
        }
    }

    /// How many bytes have to be seen of the frame that has begun.
    fn wanted(&self) -> usize {
        let is_reset = self.header_len >= HEADER && self.header[..4] == [0, 0, 4, RST_STREAM];
        if is_reset { RESET } else { HEADER }
    }

    fn frame(&self) -> Frame {
        let [high, middle, low, kind, flags, a, b, c, d, code @ ..] = self.header;
        let stream = u32::from_be_bytes([a & 0x7f, b, c, d]);
        let code = if self.header_len == RESET { u32::from_be_bytes(code) } else { 0 };
        Frame { length: u32::from_be_bytes([0, high, middle, low]), kind, flags, stream, code }
    }

    #[cfg(test)]
    pub(crate) fn is_between(&self) -> bool {
        self.skip == 0 && self.header_len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_reset_is_read_however_it_is_cut() {
        let reset = [0, 0, 4, RST_STREAM, 0, 0x80, 0, 0, 5, 0, 0, 0, 1];
        let odd = [0, 0, 3, RST_STREAM, 0, 0, 0, 0, 5, 9, 9, 9];
        let wire = [&reset[..], &odd, &reset].concat();
        for cut in 1..wire.len() {
            let (mut frames, mut seen) = (Frames::behind(0), Vec::new());
            wire.chunks(cut)
                .for_each(|piece| frames.read(piece, |frame| seen.push((frame.stream, frame.code))));
            assert_eq!(seen, [(5, 1), (5, 0), (5, 1)], "{cut}");
            assert!(frames.is_between());
        }
    }
}
