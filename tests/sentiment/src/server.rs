//! HTTP around the model: accepts connections until the process ends.

use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::options::Options;

mod body;
mod cache;
mod service;

use service::Service;

/// Serves `listener` until its future is dropped.
pub async fn serve(listener: TcpListener, options: Options) -> anyhow::Result<()> {
    let service = Arc::new(Service::new(options)?);
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(connection(stream, Arc::clone(&service)));
                }
                // Out of descriptors, or a client that was gone at once: others may still be served. The pause keeps
                // a lasting shortage from spinning.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        }
    };
    tokio::select! {
        stopped = service.node.run() => Ok(stopped?),
        never = accepting => never,
    }
}

async fn connection(stream: TcpStream, service: Arc<Service>) {
    // Nagle's algorithm would hold small answers back; without it they only come later.
    stream.set_nodelay(true).ok();
    let mut connection = http1::Builder::new().serve_connection(
        TokioIo::new(stream),
        service_fn(move |request| {
            let service = Arc::clone(&service);
            async move { service.serve(request).await }
        }),
    );
    let Err(error) = (&mut connection).await else { return };
    if service::is_reset(&error) {
        // A socket closed with nothing left to linger for sends RST, not FIN.
        let stream = connection.into_parts().io.into_inner();
        SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).ok();
    }
}
