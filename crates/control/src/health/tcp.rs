//! Connections for probes, and the check that asks for no more than one.

use super::plan::Plan;
use super::probe::ProbeError;
use headgate_model::address::{EndpointAddress, Target};
use headgate_model::spec::ProxyProtocol;
use headgate_net::proxy_protocol::{V1_MAX_BYTES, V2_ENCODED_MAX_BYTES, encode_v1, encode_v2};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// A connection's bytes, whatever carries them.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// Passes when the endpoint accepts a connection. No byte is sent: what the endpoint speaks is not known.
pub(super) async fn probe(address: &EndpointAddress) -> Result<(), ProbeError> {
    connect(address).await.map(drop)
}

/// Connects with the PROXY header and the TLS that the service's requests have.
pub(super) async fn open(plan: &Plan, address: &EndpointAddress) -> Result<Box<dyn Transport>, ProbeError> {
    let mut stream = connect(address).await?;
    // Without addresses: the connection is our own (PROXY protocol, section 2: UNKNOWN and LOCAL).
    match plan.proxy_protocol {
        None => {}
        Some(ProxyProtocol::V1) => stream.write_all(encode_v1(None, &mut [0; V1_MAX_BYTES])).await?,
        Some(ProxyProtocol::V2) => stream.write_all(encode_v2(None, &mut [0; V2_ENCODED_MAX_BYTES])).await?,
    }
    let Some((config, name)) = plan.tls(address)? else { return Ok(stream) };
    let tls = TlsConnector::from(config).connect(name, stream).await.map_err(ProbeError::Handshake)?;
    Ok(Box::new(tls))
}

async fn connect(address: &EndpointAddress) -> Result<Box<dyn Transport>, ProbeError> {
    let boxed: io::Result<Box<dyn Transport>> = match &address.target {
        Target::Ip(address) => TcpStream::connect(address).await.map(|stream| Box::new(stream) as _),
        Target::Name { host, port } => {
            TcpStream::connect((host.as_str(), *port)).await.map(|stream| Box::new(stream) as _)
        }
        Target::Unix(path) => UnixStream::connect(path).await.map(|stream| Box::new(stream) as _),
    };
    boxed.map_err(ProbeError::Connect)
}
