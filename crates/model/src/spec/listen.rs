//! What a listener is: where it binds, what it speaks, whom it trusts, what it refuses.

use super::{Bytes, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListenSpec {
    /// `"0.0.0.0:8080"`, `"[::]:8080"`, `":8080"` (all addresses, IPv6 and IPv4) or `"unix:/path"`.
    pub bind: String,
    /// Speak HTTP/2: by ALPN over TLS, by prior knowledge without. Absent: over TLS only.
    pub http2: Option<bool>,
    /// Terminate TLS here.
    pub tls: Option<ListenTls>,
    /// Expect a PROXY protocol header (v1 or v2) before anything else, from trusted proxies only.
    pub proxy_protocol: bool,
    /// Addresses or networks whose `Forwarded`, `X-Forwarded-*` and PROXY headers are believed.
    pub trusted_proxies: Vec<String>,
    /// In which fields a service is told who the client is.
    pub forwarded: ForwardedFields,
    /// Whether a service is told the certificate that a client showed (RFC 9440).
    pub client_cert: ClientCertFields,
    pub limits: Limits,
    pub timeouts: ClientTimeouts,
}

impl ListenSpec {
    /// Whether HTTP/2 is spoken here.
    #[must_use]
    pub fn speaks_http2(&self) -> bool {
        self.http2.unwrap_or(self.tls.is_some())
    }
}

/// Which fields say who the client is, and over what it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedFields {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    Both,
}

/// What a service sees in `Client-Cert` and `Client-Cert-Chain` (RFC 9440). What a client writes there itself is
/// dropped, whatever stands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertFields {
    /// Neither field, whoever sent it.
    #[default]
    Drop,
    /// `Client-Cert`: the certificate that was verified on this connection.
    Leaf,
    /// `Client-Cert-Chain` too: the others that the client sent with it.
    Chain,
    /// What a proxy of `trusted_proxies` wrote.
    Pass,
}

/// TLS towards clients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListenTls {
    /// Certificates; chosen by SNI against their DNS names (wildcards included), the first is the default.
    pub certificates: Vec<Certificate>,
    /// PEM file of authorities for client certificates.
    pub client_ca: Option<String>,
    /// What to do about client certificates when `client_ca` is set.
    pub client_auth: ClientAuth,
    /// `"1.2"` or `"1.3"`.
    pub min_version: Option<String>,
}

/// A certificate chain and its key, both PEM files. Both are re-read when they change on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    pub cert: String,
    pub key: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// A handshake without a valid client certificate fails.
    #[default]
    Required,
    /// A certificate is verified when the client sends one.
    Optional,
}

/// Version of the PROXY protocol that is sent to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProxyProtocol {
    V1,
    V2,
}

/// What a client may send and hold. Every limit answers with its own status and is counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Request line and headers together; larger is answered 431.
    pub head: Bytes<16_384>,
    /// Number of header fields; more is answered 431.
    pub headers: u16,
    /// Length of the request target; longer is answered 414.
    pub uri: Bytes<8_192>,
    /// Length of a request body; larger is answered 413. Zero: no limit.
    pub body: Bytes<0>,
    /// Connections of this listener over all workers; beyond it new ones are closed at once.
    pub connections: u32,
    /// Requests on one connection before it is closed politely. Zero: no limit.
    pub requests: u32,
    /// Concurrent HTTP/2 streams of one connection.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Bytes::default(),
            headers: 100,
            uri: Bytes::default(),
            body: Bytes::default(),
            connections: 65_536,
            requests: 0,
            streams: 128,
        }
    }
}

/// How long a client may take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientTimeouts {
    /// From the first byte of a request to the end of its head; also the TLS handshake.
    pub head: Span<10_000>,
    /// Between two requests on a kept-alive connection.
    pub idle: Span<75_000>,
    /// Between two pieces of a body, in either direction; also an idle tunnel's direction of progress.
    pub body: Span<60_000>,
    /// A tunnel (WebSocket, upgrade) without a byte in either direction.
    pub tunnel: Span<3_600_000>,
}
