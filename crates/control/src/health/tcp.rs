//! Connections for probes, and the check that asks for no more than one.

use super::plan::Plan;
use super::probe::ProbeError;
use headgate_model::spec::ProxyProtocol;
use headgate_model::state::EndpointState;
use headgate_net::connect;
use headgate_net::proxy_protocol::{V1_MAX_BYTES, V2_ENCODED_MAX_BYTES, encode_v1, encode_v2};
use headgate_net::socket::Plain;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsConnector;

/// A connection's bytes, whatever carries them.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// Passes when the endpoint accepts a connection. No byte is sent: what the endpoint speaks is not known.
pub(super) async fn probe(endpoint: &EndpointState) -> Result<(), ProbeError> {
    connect(endpoint).await.map(drop)
}

/// Connects with the PROXY header and the TLS that the service's requests have.
pub(super) async fn open(plan: &Plan, endpoint: &EndpointState) -> Result<Box<dyn Transport>, ProbeError> {
    let mut stream = connect(endpoint).await?;
    // Without addresses: the connection is our own (PROXY protocol, section 2: UNKNOWN and LOCAL).
    match plan.proxy_protocol {
        None => {}
        Some(ProxyProtocol::V1) => stream.write_all(encode_v1(None, &mut [0; V1_MAX_BYTES])).await?,
        Some(ProxyProtocol::V2) => stream.write_all(encode_v2(None, &mut [0; V2_ENCODED_MAX_BYTES])).await?,
    }
    let Some((config, name)) = plan.tls(&endpoint.address)? else { return Ok(Box::new(stream)) };
    let tls = TlsConnector::from(config).connect(name, stream).await.map_err(ProbeError::Handshake)?;
    Ok(Box::new(tls))
}

/// The first address that accepts, always in the same order: a verdict shall not hang on dice.
async fn connect(endpoint: &EndpointState) -> Result<Plain, ProbeError> {
    connect::connect(endpoint, 0).await.map_err(ProbeError::Connect)
}
