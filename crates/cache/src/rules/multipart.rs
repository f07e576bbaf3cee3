//! `multipart/byteranges` (RFC 9110 section 14.6): the text around the parts of an answer to several ranges.

use super::range::{ByteRange, write_content_range};

/// What separates the parts: 32 hexadecimal digits, from dice of the caller, so that content cannot hold it but by
/// a chance of 2^-128.
#[derive(Clone, Copy, Debug)]
pub struct Boundary([u8; 32]);

impl Boundary {
    #[must_use]
    pub fn new(dice: u128) -> Self {
        Self(std::array::from_fn(|at| {
            let digit = (dice >> (4 * at) & 15) as u8;
            if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
        }))
    }

    /// Writes the value of `Content-Type` of the whole answer.
    pub fn write_type(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"multipart/byteranges; boundary=");
        out.extend_from_slice(&self.0);
    }

    /// Writes what stands before the bytes of one part. `content_type` is that of the stored response.
    pub fn write_part(
        &self,
        out: &mut Vec<u8>,
        content_type: Option<&[u8]>,
        range: ByteRange,
        complete: u64,
    ) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(&self.0);
        if let Some(content_type) = content_type {
            out.extend_from_slice(b"\r\nContent-Type: ");
            out.extend_from_slice(content_type);
        }
        out.extend_from_slice(b"\r\nContent-Range: ");
        write_content_range(out, range, Some(complete));
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Writes what stands behind the last part.
    pub fn write_end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(&self.0);
        out.extend_from_slice(b"--\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_separated_and_closed() {
        let boundary = Boundary::new(0x1f);
        let mut out = Vec::new();
        boundary.write_type(&mut out);
        boundary.write_part(&mut out, Some(b"text/plain"), ByteRange { first: 0, last: 1 }, 10);
        boundary.write_part(&mut out, None, ByteRange { first: 4, last: 9 }, 10);
        boundary.write_end(&mut out);
        let text = String::from_utf8(out).unwrap().replace(&format!("f1{}", "0".repeat(30)), "B");
        assert_eq!(
            text,
            "multipart/byteranges; boundary=B\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n\
             \r\n--B\r\nContent-Range: bytes 4-9/10\r\n\r\n\r\n--B--\r\n"
        );
    }
}
