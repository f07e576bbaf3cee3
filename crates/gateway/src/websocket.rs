//! The handshake of a WebSocket that a client opens over HTTP/2 (RFC 8441), as an HTTP/1 endpoint wants it
//! (RFC 6455 section 4): its key, and whether the answer fits. The bytes behind it are the tunnel's matter.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use headgate_model::dice::Dice;
use headgate_model::fault::{Fault, FaultKind};
use headgate_net::base64;
use headgate_net::head::ResponseHead;

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// One handshake under way.
pub(crate) struct Handshake {
    key: Vec<u8>,
}

impl Handshake {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let nonce = [dice.bits().to_le_bytes(), dice.bits().to_le_bytes()].concat();
        let mut key = Vec::new();
        base64::write(&nonce, &mut key);
        Self { key }
    }

    /// Value of `Sec-WebSocket-Key`.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Value of `Sec-WebSocket-Accept` that answers the key.
    fn accept(&self) -> Vec<u8> {
        let mut accept = Vec::new();
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&self.key, GUID].concat());
        base64::write(hash.as_ref(), &mut accept);
        accept
    }

    /// Whether a 101 switches to the WebSocket that was asked for (RFC 6455 section 4.1).
    ///
    /// # Errors
    /// When the endpoint means something else by it.
    #[cold]
    pub(crate) fn check(&self, head: &ResponseHead) -> Result<(), Fault> {
        let is = |name: &[u8], wanted: &[u8]| head.value_of(name).is_some_and(|value| value == wanted);
        let upgrades =
            head.value_of(b"upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
        if upgrades && is(b"sec-websocket-accept", &self.accept()) {
            return Ok(());
        }
        let detail = "the upstream's 101 does not answer this WebSocket handshake (RFC 6455 section 4.1)";
        Err(Fault::new(FaultKind::BadResponse, detail))
    }
}

/// A 2xx to a client that waits for a WebSocket over HTTP/2 would say that it is open. Over HTTP/1 the same answer says
/// that it is not, so that the endpoint is not to blame.
///
/// # Errors
/// When this status would say what is not true.
#[inline]
pub(crate) fn refuse_success(asked: Option<&Handshake>, status: u16) -> Result<(), Fault> {
    if asked.is_some() && (200..300).contains(&status) {
        let detail = "there is no WebSocket here: the request was answered without a switch of protocols";
        return Err(Fault::new(FaultKind::BadRequest, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_as_the_rfc_shows_it() {
        let handshake = Handshake { key: b"dGhlIHNhbXBsZSBub25jZQ==".to_vec() };
        assert_eq!(handshake.accept(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let mut dice = Dice::new(1);
        let keys = [Handshake::new(&mut dice), Handshake::new(&mut dice)];
        assert!(keys.iter().all(|handshake| handshake.key().len() == 24));
        assert_ne!(keys[0].key(), keys[1].key());
    }
}
