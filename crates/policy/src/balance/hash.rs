//! The 64-bit hash of the hashing policies: XXH64 by its published specification. Stable: the same
//! bytes give the same value on every machine and in every version of Headgate, so that a fleet and a
//! restarted gateway agree on where a key lives. It is not keyed: who chooses keys can aim them.

const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const PRIME_3: u64 = 0x1656_67b1_9e37_79f9;
const PRIME_4: u64 = 0x85eb_ca77_c2b2_ae63;
const PRIME_5: u64 = 0x27d4_eb2f_1656_67c5;

/// XXH64 of `bytes` with seed zero. Source: "xxHash fast digest algorithm", specification 0.1.1.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let (stripes, tail) = bytes.as_chunks::<32>();
    let mut digest = if stripes.is_empty() { PRIME_5 } else { long(stripes) };
    digest = digest.wrapping_add(bytes.len() as u64);

    let (words, tail) = tail.as_chunks::<8>();
    for word in words {
        digest ^= round(0, u64::from_le_bytes(*word));
        digest = digest.rotate_left(27).wrapping_mul(PRIME_1).wrapping_add(PRIME_4);
    }
    let (halves, tail) = tail.as_chunks::<4>();
    for half in halves {
        digest ^= u64::from(u32::from_le_bytes(*half)).wrapping_mul(PRIME_1);
        digest = digest.rotate_left(23).wrapping_mul(PRIME_2).wrapping_add(PRIME_3);
    }
    for &byte in tail {
        digest ^= u64::from(byte).wrapping_mul(PRIME_5);
        digest = digest.rotate_left(11).wrapping_mul(PRIME_1);
    }
    avalanche(digest)
}

/// One hash out of two: the throw of a key for an endpoint, or an endpoint's n-th point.
#[must_use]
pub fn mix(first: u64, second: u64) -> u64 {
    avalanche(first ^ second)
}

/// A hash as a number in the open interval (0, 1), from its upper 52 bits: with 53 the half that keeps
/// it off zero would round the highest up to one.
#[must_use]
pub fn to_unit(hash: u64) -> f64 {
    ((hash >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
}

fn long(stripes: &[[u8; 32]]) -> u64 {
    let mut lanes = [PRIME_1.wrapping_add(PRIME_2), PRIME_2, 0, 0u64.wrapping_sub(PRIME_1)];
    for stripe in stripes {
        let (words, _) = stripe.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = round(*lane, u64::from_le_bytes(*word));
        }
    }
    let merged = lanes
        .iter()
        .zip([1, 7, 12, 18])
        .fold(0u64, |sum, (lane, bits)| sum.wrapping_add(lane.rotate_left(bits)));
    lanes
        .iter()
        .fold(merged, |digest, &lane| (digest ^ round(0, lane)).wrapping_mul(PRIME_1).wrapping_add(PRIME_4))
}

fn round(lane: u64, input: u64) -> u64 {
    lane.wrapping_add(input.wrapping_mul(PRIME_2)).rotate_left(31).wrapping_mul(PRIME_1)
}

fn avalanche(mut digest: u64) -> u64 {
    digest ^= digest >> 33;
    digest = digest.wrapping_mul(PRIME_2);
    digest ^= digest >> 29;
    digest = digest.wrapping_mul(PRIME_3);
    digest ^ (digest >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the reference implementation; they pin the value for every later version.
    #[test]
    fn agrees_with_the_reference() {
        let ramp: Vec<u8> = (0..=255).collect();
        for (bytes, expected) in [
            (&b""[..], 0xef46_db37_51d8_e999),
            (b"a", 0xd24e_c4f1_a98c_6e5b),
            (b"abc", 0x44bc_2cf5_ad77_0999),
            (b"10.0.0.1:8080", 0xcb97_2177_068e_b685),
            (&ramp[..32], 0xcbf5_9c51_16ff_32b4),
            (&ramp[..79], 0x5306_130d_1ba4_b651),
            (&ramp[..], 0x1fac_be84_06cd_904b),
        ] {
            assert_eq!(hash(bytes), expected, "{bytes:?}");
        }
    }

    /// Flipping one bit of either input of `mix` flips about half of the output.
    #[test]
    fn mix_avalanches() {
        for key in 0..64u64 {
            for bit in 0..64 {
                let seed = hash(b"endpoint");
                let flipped = (mix(key, seed) ^ mix(key ^ (1 << bit), seed)).count_ones();
                assert!((10..=54).contains(&flipped), "key {key}, bit {bit}: {flipped}");
            }
        }
    }

    #[test]
    fn unit_is_open() {
        assert!(to_unit(0) > 0.0);
        assert!(to_unit(u64::MAX) < 1.0);
    }
}
