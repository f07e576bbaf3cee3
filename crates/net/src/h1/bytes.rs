//! Which bytes may stand where (RFC 9110 section 5.6.2 tokens, 5.5 field values; RFC 3986 targets).

const fn table(allowed: &[u8], ranges: &[(u8, u8)]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut i = 0;
    while i < allowed.len() {
        table[allowed[i] as usize] = true;
        i += 1;
    }
    let mut r = 0;
    while r < ranges.len() {
        let mut byte = ranges[r].0;
        loop {
            table[byte as usize] = true;
            if byte == ranges[r].1 {
                break;
            }
            byte += 1;
        }
        r += 1;
    }
    table
}

static TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~", &[(b'0', b'9'), (b'a', b'z'), (b'A', b'Z')]);

/// Unreserved, reserved and percent of RFC 3986, without `#`: a fragment never travels. Quotes, braces
/// and the like are let through because browsers send them in queries; space, controls and bytes above
/// 0x7e are not.
static TARGET: [bool; 256] = table(b"!\"", &[(b'$', b'~')]);

/// What RFC 3986 has in a `reg-name`, an address and a port, without the comma: a list of hosts, which is
/// what two Host lines that were joined on the way look like, is not one host.
static HOST: [bool; 256] = table(b"-._~%!$&'()*+;=:[]", &[(b'0', b'9'), (b'a', b'z'), (b'A', b'Z')]);

static PLAIN_HOST: [bool; 256] = table(b"-.", &[(b'0', b'9'), (b'a', b'z'), (b'A', b'Z')]);

#[inline]
#[must_use]
pub fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether `bytes` is a non-empty token.
#[must_use]
pub fn is_token_str(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token(byte))
}

/// Whether `byte` may stand in a request target.
#[inline]
#[must_use]
pub fn is_target(byte: u8) -> bool {
    TARGET[byte as usize]
}

/// Whether `byte` may stand in a Host value: `uri-host [ ":" port ]`.
#[inline]
#[must_use]
pub fn is_host(byte: u8) -> bool {
    HOST[byte as usize]
}

/// Letters, digits, hyphens and dots: what nearly every host consists of.
#[inline]
#[must_use]
pub fn is_plain_host(byte: u8) -> bool {
    PLAIN_HOST[byte as usize]
}

/// Whether `byte` may stand in a field value: visible, space, tab, or obs-text.
#[inline]
#[must_use]
pub fn is_value(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7f || byte == b'\t'
}

/// Index of the first byte at or after `from` that may not stand in a field value; eight at a time.
#[inline]
#[must_use]
pub fn value_end(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = from;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes([
            chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
        ]);
        // Classic zero-byte tricks: a byte below 0x20, or equal to 0x7f, sets its high bit. Borrows can
        // only set bits above a true hit, and the lowest is what counts; the tail loop re-checks it.
        let below = word.wrapping_sub(ONES * 0x20) & !word;
        let delete = word ^ (ONES * 0x7f);
        let delete = delete.wrapping_sub(ONES) & !delete;
        let hits = (below | delete) & HIGH;
        if hits == 0 {
            at += 8;
            continue;
        }
        let stop = at + (hits.trailing_zeros() / 8) as usize;
        if !is_value(bytes[stop]) {
            return stop;
        }
        at = stop + 1; // a tab
    }
    while at < bytes.len() && is_value(bytes[at]) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_end_agrees_with_the_plain_loop() {
        let mut dice = headgate_model::dice::Dice::new(11);
        for _ in 0..20_000 {
            let len = dice.below(40) as usize;
            let bytes: Vec<u8> = (0..len)
                .map(|_| match dice.below(12) {
                    0 => b'\t',
                    1 => dice.below(256) as u8,
                    _ => 0x20 + dice.below(0x5f) as u8,
                })
                .collect();
            let from = dice.below(len as u64 + 1) as usize;
            let plain = (from..len).find(|&i| !is_value(bytes[i])).unwrap_or(len);
            assert_eq!(value_end(&bytes, from), plain, "{bytes:?} from {from}");
        }
    }
}
