//! Hostile bytes made harmless for one line of text: as the inside of a JSON string (RFC 8259) and with
//! `\xHH`. No output holds a control character, so a line stays one line and a terminal stays unharmed.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends the inside of a JSON string. A byte that is not part of valid UTF-8 appears as the four
/// characters `\xHH` (its backslash escaped), so that its value is not lost.
pub(crate) fn json_inside(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend([b'\\', c as u8]),
                '\n' => out.extend(b"\\n"),
                '\r' => out.extend(b"\\r"),
                '\t' => out.extend(b"\\t"),
                // C0, delete and C1 controls are all below U+0100.
                _ if c.is_control() => {
                    out.extend(b"\\u00");
                    hex(c as u8, out);
                }
                _ => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for &byte in chunk.invalid() {
            out.extend(b"\\\\x");
            hex(byte, out);
        }
    }
}

/// Appends a whole JSON string.
pub(crate) fn json_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    json_inside(bytes, out);
    out.push(b'"');
}

/// Appends printable ASCII as it is, and `"`, `\` and every other byte as `\xHH`.
pub(crate) fn backslash_hex(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        if matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\' {
            out.push(byte);
        } else {
            out.extend(b"\\x");
            hex(byte, out);
        }
    }
}

/// Appends `bytes` as lower-case hexadecimal digits.
pub(crate) fn hex_all(bytes: &[u8], out: &mut Vec<u8>) {
    bytes.iter().for_each(|&byte| hex(byte, out));
}

/// The two lower-case hexadecimal digits of `byte`.
pub(crate) fn hex_digits(byte: u8) -> [u8; 2] {
    [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
}

fn hex(byte: u8, out: &mut Vec<u8>) {
    out.extend(hex_digits(byte));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(escape: impl Fn(&[u8], &mut Vec<u8>), bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_escapes() {
        assert_eq!(with(json_string, b"a\"b\\c\n\x1b[0m\xff\xc3\xa9"), r#""a\"b\\c\n\u001b[0m\\xffé""#);
        assert_eq!(with(json_string, "\u{9b}\u{7f}".as_bytes()), r#""\u009b\u007f""#);
        assert_eq!(with(backslash_hex, b"a\"b\\c\n\xff ~"), r"a\x22b\x5cc\x0a\xff ~");
    }

    proptest! {
        #[test]
        fn any_bytes_give_one_json_string(bytes: Vec<u8>) {
            let text = with(json_string, &bytes);
            prop_assert!(!text.chars().any(char::is_control));
            let back: String = serde_json::from_str(&text).unwrap();
            if let Ok(valid) = std::str::from_utf8(&bytes) {
                prop_assert_eq!(back, valid);
            }
        }

        #[test]
        fn any_bytes_give_printable_ascii_without_quotes(bytes: Vec<u8>) {
            let text = with(backslash_hex, &bytes);
            prop_assert!(text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"'));
        }
    }
}
