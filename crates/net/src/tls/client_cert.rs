//! A client's verified certificates in the form in which a service is told of them (RFC 9440): made once per
//! connection, then only copied. Who is told is not decided here.

use crate::base64;
use rustls::pki_types::CertificateDer;

/// Longest value of `Client-Cert`; RSA certificates take some 2 KiB, post-quantum ones some 8 KiB.
const LEAF_MAX: usize = 10 * 1024;
/// Longest value of `Client-Cert-Chain`.
const CHAIN_MAX: usize = 16 * 1024;

/// Values of the two fields.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientCert {
    leaf: Box<[u8]>,
    chain: Option<Box<[u8]>>,
}

/// The certificates are too long to be told in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    #[error("Client-Cert would be longer than 10 KiB")]
    Leaf,
    #[error("Client-Cert-Chain would be longer than 16 KiB")]
    Chain,
}

impl ClientCert {
    /// From the certificates in the order of the handshake, the client's own first; `None` without any. `chain`: the
    /// others too.
    ///
    /// # Errors
    /// When a field would be longer than services can be expected to read.
    pub fn of(certificates: &[CertificateDer<'_>], chain: bool) -> Result<Option<Self>, TooLong> {
        let Some((own, others)) = certificates.split_first() else { return Ok(None) };
        let leaf = byte_sequences(std::slice::from_ref(own), LEAF_MAX).ok_or(TooLong::Leaf)?;
        let others = if chain { others } else { &[] };
        let chain = match others {
            [] => None,
            others => Some(byte_sequences(others, CHAIN_MAX).ok_or(TooLong::Chain)?),
        };
        Ok(Some(Self { leaf, chain }))
    }

    /// Value of `Client-Cert`: one byte sequence of RFC 8941.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// Value of `Client-Cert-Chain`: a list of byte sequences; `None` where there is nothing to list.
    #[must_use]
    pub fn chain(&self) -> Option<&[u8]> {
        self.chain.as_deref()
    }
}

/// A list of byte sequences (RFC 8941 section 3.3.5); `None` when it is longer than `most`.
fn byte_sequences(items: &[CertificateDer<'_>], most: usize) -> Option<Box<[u8]>> {
    let mut out = Vec::new();
    for item in items {
        // Checked before it is written: a handshake may bring much more.
        if out.len() + item.len().div_ceil(3) * 4 + b", ::".len() > most {
            return None;
        }
        out.extend_from_slice(if out.is_empty() { b":" } else { b", :" });
        base64::write(item, &mut out);
        out.push(b':');
    }
    Some(out.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificates(lens: &[usize]) -> Vec<CertificateDer<'static>> {
        lens.iter().map(|len| CertificateDer::from(vec![0xff; *len])).collect()
    }

    #[test]
    fn the_chain_is_told_only_where_it_is_asked_for() {
        let leaf_only = ClientCert::of(&certificates(&[3, 3, 1]), false).unwrap().unwrap();
        assert_eq!((leaf_only.leaf(), leaf_only.chain()), (&b":////:"[..], None));
        let both = ClientCert::of(&certificates(&[3, 3, 1]), true).unwrap().unwrap();
        assert_eq!(both.chain(), Some(&b":////:, :/w==:"[..]));
        // RFC 9440 section 2.3: no list without members.
        assert_eq!(ClientCert::of(&certificates(&[3]), true).unwrap().unwrap().chain(), None);
        assert_eq!(ClientCert::of(&[], true), Ok(None));
    }

    #[test]
    fn what_no_service_would_read_is_refused() {
        let fits = LEAF_MAX / 4 * 3 - 12;
        assert!(ClientCert::of(&certificates(&[fits]), false).is_ok());
        assert_eq!(ClientCert::of(&certificates(&[fits + 100]), false), Err(TooLong::Leaf));
        let long = certificates(&[3, fits, fits]);
        assert_eq!(ClientCert::of(&long, true), Err(TooLong::Chain));
        assert!(ClientCert::of(&long, false).is_ok());
    }
}
