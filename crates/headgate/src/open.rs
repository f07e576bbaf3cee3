//! Opens a log or trace as it lies on disk: plain, gzip, zstd or xz, told by its first bytes. What a compressed
//! file can make the decoder hold is bounded.

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

const BUFFER: usize = 256 * 1024;
/// The most that `xz -9` asks for is 64 MiB and a little.
const XZ_MEMORY_KIB: u32 = 256 * 1024;
const ZSTD_WINDOW_BYTES: u64 = 128 * 1024 * 1024;

/// The decoded content. `-` is standard input.
pub(crate) fn open(path: &Path) -> io::Result<BufReader<Box<dyn Read>>> {
    let file: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut file = BufReader::with_capacity(BUFFER, file);
    let start = file.fill_buf()?;
    let decoded: Box<dyn Read> = match start {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(Zstd { frame: None, rest: Some(file) }),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Box::new(XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB)),
        _ => Box::new(file),
    };
    Ok(BufReader::with_capacity(BUFFER, decoded))
}

type Encoded = BufReader<Box<dyn Read>>;

/// Frames one after the other, as `cat a.zst b.zst` makes them; the crate decodes one.
struct Zstd {
    frame: Option<StreamingDecoder<Encoded, ruzstd::decoding::FrameDecoder>>,
    /// The input between two frames; none while one is read, or after an error.
    rest: Option<Encoded>,
}

impl Read for Zstd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                match frame.read(buffer)? {
                    0 if !buffer.is_empty() => {
                        self.rest = self.frame.take().map(StreamingDecoder::into_inner)
                    }
                    read => return Ok(read),
                }
            }
            let Some(mut rest) = self.rest.take() else { return Ok(0) };
            if rest.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let frame = StreamingDecoder::new_with_max_window_size(rest, ZSTD_WINDOW_BYTES)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            self.frame = Some(frame);
        }
    }
}
