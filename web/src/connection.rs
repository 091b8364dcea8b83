//! The listener's connections, as the server behind them takes them.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use nightjar_listener::{Connection, Connections, Guarded, Limits, Protected, UnderWay};
use nightjar_model::address::AddressRange;
use tokio::net::TcpStream;
use tower::Service;

use crate::config::WebConfig;

/// The first request has to begin within this.
const FIRST_WITHIN: Duration = Duration::from_secs(15);
/// Between two requests; longer than clients keep a connection that they do not use, so that they part first
/// and send no request into one that is being closed: 90 s in Go's and reqwest's pools, less elsewhere.
const IDLE: Duration = Duration::from_secs(100);
/// A connection of HTTP/2 on which nothing comes is asked whether it lives, and has this long to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Who takes nothing of an answer for this long does not want it.
const STALLED: Duration = Duration::from_secs(30);
/// Headers of one request, and what is read ahead of HTTP/1.
const HEADERS_BYTES: usize = 64 << 10;
/// Requests of one connection of HTTP/2 at one time.
const STREAMS: u32 = 64;

pub(crate) fn connections(config: &WebConfig) -> Arc<Connections> {
    let limits = Limits {
        connections: config.max_connections,
        per_address: config.max_connections_per_address,
        first: FIRST_WITHIN,
        idle: IDLE,
        stalled: STALLED,
    };
    let proxies = config.trusted_proxies.iter().filter_map(|text| AddressRange::parse(text)).collect();
    Connections::new("http", limits, proxies)
}

/// What HTTP itself lets a client do, bounded.
pub(crate) fn limit(builder: &mut Builder<TokioExecutor>) {
    // Runs from the answer before, not from the first byte, so it ends idle connections too.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(HEADERS_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS_BYTES as u32)
        // What a client may send ahead of being read.
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(256 << 10)
        // Streams that are opened and reset at once, and resets that its own mistakes bring about.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(128);
}

/// Gives a connection its place and counts what goes on in it.
#[derive(Clone)]
pub(crate) struct Gate(pub(crate) Arc<Connections>);

impl<S> Accept<TcpStream, S> for Gate {
    type Stream = Guarded<TcpStream>;
    type Service = Counted<S>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let admitted = stream.peer_addr().and_then(|peer| {
            self.0.admit(stream, peer.ip()).ok_or_else(|| io::Error::other("as many connections as may be are at work"))
        });
        ready(admitted.map(|stream| {
            let connection = Arc::clone(stream.connection());
            (stream, Counted { service, connection })
        }))
    }
}

/// A request is under way from its headers' end until its answer is sent.
#[derive(Clone)]
pub(crate) struct Counted<S> {
    service: S,
    connection: Arc<Connection>,
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<Sending<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let under_way = self.connection.begin();
        request.extensions_mut().insert(Arc::clone(&self.connection));
        let answer = self.service.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            let protected = answer.extensions_mut().remove::<Arc<Protected>>();
            Ok(answer.map(|body| Sending { body, _under_way: under_way, _protected: protected }))
        })
    }
}

/// An answer on its way.
pub(crate) struct Sending<R> {
    body: R,
    _under_way: UnderWay,
    _protected: Option<Arc<Protected>>,
}

impl<R: Body + Unpin> Body for Sending<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
