//! The two ends of a relayed connection: ordered bytes both ways, half-close, and a reset when it must be passed on.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// The service is on loopback, or as good as: a connection that takes longer will not come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One end of a relayed connection.
pub(crate) trait Wire {
    /// What it reads from and writes to.
    fn socket(&mut self) -> &mut TcpStream;

    /// Makes the close of this end a reset, as its peer would see it without the sidecar.
    fn reset_on_close(&mut self) {
        // A socket that cannot be reset any more is closed already.
        rustix::net::sockopt::set_socket_linger(self.socket(), Some(Duration::ZERO)).ok();
    }
}

/// The end towards the client: pingora's stream without its buffers, so that a reset can be passed on.
pub(crate) struct Client(TcpStream);

/// The end towards the service.
pub(crate) struct Upstream(TcpStream);

// === impl Client ===

impl Client {
    /// Wraps an accepted connection.
    pub(crate) fn new(stream: TcpStream) -> Client {
        Client(stream)
    }
}

impl Wire for Client {
    fn socket(&mut self) -> &mut TcpStream {
        &mut self.0
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Client {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.as_raw_fd()).finish()
    }
}

#[async_trait]
impl Shutdown for Client {
    async fn shutdown(&mut self) {
        // Fails only when the connection is gone, which is what is asked for.
        tokio::io::AsyncWriteExt::shutdown(&mut self.0).await.ok();
    }
}

impl UniqueID for Client {
    fn id(&self) -> UniqueIDType {
        self.0.as_raw_fd()
    }
}

impl Ssl for Client {}

impl Peek for Client {}

impl GetTimingDigest for Client {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Client {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }

    fn set_proxy_digest(&mut self, _digest: ProxyDigest) {}
}

impl GetSocketDigest for Client {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }

    fn set_socket_digest(&mut self, _digest: SocketDigest) {}
}

// === impl Upstream ===

impl Upstream {
    /// Opens a connection to the service. Not by pingora's connector: of its stream no safe call reaches the socket, so a
    /// reset could be passed on only with a third descriptor for each connection, and its buffers would hold bytes back.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Upstream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_nodelay(true)?;
        let connected = timeout(CONNECT_TIMEOUT, socket.connect(address)).await;
        connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(Upstream)
    }
}

impl Wire for Upstream {
    fn socket(&mut self) -> &mut TcpStream {
        &mut self.0
    }
}
