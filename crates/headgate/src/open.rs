//! Opens a log or trace as it lies on disk: plain, gzip, zstd or xz, told by its first bytes. What a compressed
//! file can make the decoder hold is bounded.

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

const BUFFER: usize = 256 * 1024;
/// The most that `xz -9` asks for is 64 MiB and a little.
const XZ_MEMORY_KIB: u32 = 256 * 1024;
const ZSTD_WINDOW_BYTES: u64 = 128 * 1024 * 1024;

/// How much of a file was read, as it lies on disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    read: Rc<Cell<u64>>,
    /// Bytes in all; none of a pipe.
    whole: Option<u64>,
}

impl Position {
    /// 0 to 1, where the end is known.
    pub(crate) fn share(&self) -> Option<f64> {
        self.whole.map(|whole| (self.read.get() as f64 / whole.max(1) as f64).min(1.0))
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

/// The decoded content. `-` is standard input.
pub(crate) fn open(path: &Path) -> io::Result<BufReader<Box<dyn Read>>> {
    open_watched(path).map(|(content, _)| content)
}

/// [`open`], with how far it is.
pub(crate) fn open_watched(path: &Path) -> io::Result<(BufReader<Box<dyn Read>>, Position)> {
    let mut position = Position::default();
    let read = Rc::clone(&position.read);
    let file: Box<dyn Read> = if path == Path::new("-") {
        Box::new(Counted { inner: io::stdin(), read })
    } else {
        position.whole = Some(fs::metadata(path)?).filter(fs::Metadata::is_file).map(|file| file.len());
        Box::new(Counted { inner: File::open(path)?, read })
    };
    let mut file = BufReader::with_capacity(BUFFER, file);
    let start = file.fill_buf()?;
    let decoded: Box<dyn Read> = match start {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(Zstd { frame: None, rest: Some(file) }),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Box::new(XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB)),
        _ => Box::new(file),
    };
    Ok((BufReader::with_capacity(BUFFER, decoded), position))
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
