//! The two ends of a relayed connection: ordered bytes both ways, half-close, and a reset when it must be passed on.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::TransportConnector;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use pingora::upstreams::peer::BasicPeer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The service is on loopback, or as good as: a connection that takes longer will not come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One end of a relayed connection.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin {
    /// Makes the close of this end a reset, as its peer would see it without the sidecar.
    fn reset_on_close(&self);
}

/// The end towards the client: pingora's stream without its buffers, so that a reset can be passed on.
pub(crate) struct Client(TcpStream);

/// The end towards the service.
pub(crate) struct Upstream {
    stream: Stream,
    /// The same socket: pingora's stream shows its descriptor only as a number, which no safe call takes.
    socket: Option<OwnedFd>,
}

// === impl Client ===

impl Client {
    /// Wraps an accepted connection.
    pub(crate) fn new(stream: TcpStream) -> Client {
        Client(stream)
    }
}

impl Wire for Client {
    fn reset_on_close(&self) {
        // A socket that cannot be reset any more is closed already.
        rustix::net::sockopt::set_socket_linger(&self.0, Some(Duration::ZERO)).ok();
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
    /// Opens a connection to the service; never one from a pool.
    pub(crate) async fn connect(
        connector: &TransportConnector,
        address: std::net::SocketAddr,
    ) -> pingora::Result<Upstream> {
        let socket: Arc<Mutex<Option<OwnedFd>>> = Arc::default();
        let mut peer = BasicPeer::new(&address.to_string());
        peer.options.connection_timeout = Some(CONNECT_TIMEOUT);
        let slot = socket.clone();
        peer.options.upstream_tcp_sock_tweak_hook = Some(Arc::new(move |opened| {
            // Without a duplicate a reset reaches the service as an orderly close.
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = rustix::io::dup(opened).ok();
            Ok(())
        }));
        let stream = connector.new_stream(&peer).await?;
        let socket = socket.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Upstream { stream, socket })
    }
}

impl Wire for Upstream {
    fn reset_on_close(&self) {
        if let Some(socket) = &self.socket {
            // A socket that cannot be reset any more is closed already.
            rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)).ok();
        }
    }
}

impl AsyncRead for Upstream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Upstream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
