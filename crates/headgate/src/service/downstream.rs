//! Calls from one service to the next over kept-alive connections, straight or through a gateway. It follows no
//! redirects, retries nothing and trusts its peers: they are services of the same demo or study.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap, HeaderName};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a call may take in all.
const PATIENCE: Duration = Duration::from_secs(30);
/// Idle connections that are kept.
const IDLE: usize = 64;
/// What a called service learns of the request that caused the call.
const PASSED_ON: [HeaderName; 2] =
    [HeaderName::from_static("traceparent"), HeaderName::from_static("x-request-id")];

/// One called service.
#[derive(Debug)]
pub(super) struct Downstream {
    url: String,
    authority: String,
    path: String,
    idle: Mutex<Vec<SendRequest<Empty<Bytes>>>>,
}

impl Downstream {
    /// Reads `http://host:port/path`; the error says what is wrong with it.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let wrong = || format!("`{url}` is not a URL to call; write it like http://127.0.0.1:8080/path");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(wrong)?;
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            url: url.to_owned(),
            authority: format!("{}:{port}", authority.host()),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// The gateway at this address.
    pub(super) fn gateway(address: SocketAddr) -> Self {
        Self {
            url: format!("http://{address}/"),
            authority: address.to_string(),
            path: "/".to_owned(),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Calls the service and reads its whole answer; the error names it.
    pub(super) async fn call(&self, cause: &HeaderMap) -> Result<(), String> {
        self.ask(Method::GET, &self.path, cause).await
    }

    /// Calls it for something of its own.
    pub(super) async fn ask(&self, method: Method, path: &str, cause: &HeaderMap) -> Result<(), String> {
        let failed = |why: String| format!("{}: {why}", self.url);
        match tokio::time::timeout(PATIENCE, self.exchange(method, path, cause)).await {
            Err(_) => Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Ok(Ok(status)) if status >= 500 => Err(failed(format!("answered {status}"))),
            Ok(Ok(_)) => Ok(()),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        cause: &HeaderMap,
    ) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
        let mut connection = self.connection().await?;
        let request = Request::builder().method(method).uri(path).header(HOST, &self.authority);
        let mut request = request.body(Empty::new())?;
        for name in &PASSED_ON {
            if let Some(value) = cause.get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        let answer = connection.send_request(request).await?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(status)
    }

    /// The most recently used idle connection that is still open, else a new one.
    async fn connection(
        &self,
    ) -> Result<SendRequest<Empty<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        while let Some(mut connection) = self.pop() {
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends with its sender; what goes wrong is reported there.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn pop(&self) -> Option<SendRequest<Empty<Bytes>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

#[cfg(test)]
mod tests {
    use super::Downstream;

    #[test]
    fn only_plain_http_urls_are_taken() {
        for wrong in ["", "/path", "127.0.0.1:80", "https://a/", "ftp://a/"] {
            let error = Downstream::new(wrong).unwrap_err();
            assert!(error.contains("http://127.0.0.1:8080/path"), "{error}");
        }
        assert_eq!(Downstream::new("http://a/b?c").unwrap().authority, "a:80");
    }
}
