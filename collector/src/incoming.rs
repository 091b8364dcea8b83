//! Connections from the outside, before anybody knows whose they are.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Limited;
use nightjar_listener::{Connection, Connections, Guarded, Limits};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::transport::server::{Connected, TlsConnectInfo};
use tower::{Layer, Service};

/// A connection without an enrolled agent is given this long.
const STRANGER: Duration = Duration::from_secs(15);
const STALLED: Duration = Duration::from_secs(30);
/// Connections of agents that come, beside the sessions there may be: as many as these, within limits.
const FEWEST_COMING: usize = 64;
const MOST_COMING: usize = 1024;
/// An agent that enrols says little of itself.
const ENROL_BYTES: usize = 64 << 10;

/// How many connections there are at most where there may be so many sessions.
fn most_connections(max_sessions: u32) -> usize {
    let sessions = max_sessions as usize;
    sessions.saturating_add(sessions.clamp(FEWEST_COMING, MOST_COMING))
}

/// For how many sessions so many connections are enough; for one at least.
pub fn sessions_within(connections: usize) -> u32 {
    let sessions = if connections >= 2 * MOST_COMING { connections - MOST_COMING } else { connections / 2 };
    let sessions = sessions.min(connections.saturating_sub(FEWEST_COMING)).max(1);
    u32::try_from(sessions).unwrap_or(u32::MAX)
}

/// All of a network's agents may come from one address, so it is held to no number of its own; but
/// whoever has the most connections that are no session loses the oldest of these first.
pub(crate) fn connections(max_sessions: u32) -> Arc<Connections> {
    let most = most_connections(max_sessions);
    let limits = Limits { connections: most, per_address: most, first: STRANGER, idle: STRANGER, stalled: STALLED };
    Connections::new("agents", limits, Vec::new())
}

/// A connection and its place.
pub(crate) struct Incoming(Guarded<TcpStream>);

impl Incoming {
    pub(crate) fn admit(connections: &Arc<Connections>, stream: TcpStream) -> Option<Self> {
        let peer = stream.peer_addr().ok()?;
        connections.admit(stream, peer.ip()).map(Self)
    }
}

/// What a call can be asked of its connection.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) connection: Arc<Connection>,
}

impl Caller {
    /// `None` where the service is called without a connection.
    pub(crate) fn of(extensions: &tonic::Extensions) -> Option<&Self> {
        extensions.get::<Self>().or_else(|| extensions.get::<TlsConnectInfo<Self>>().map(TlsConnectInfo::get_ref))
    }
}

impl Connected for Incoming {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        Caller { address: self.0.stream().peer_addr().ok(), connection: Arc::clone(self.0.connection()) }
    }
}

impl AsyncRead for Incoming {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Incoming {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

/// Holds what strangers send to the little there is to say; a session's messages are read once its agent is known.
#[derive(Clone)]
pub(crate) struct LimitStrangers;

impl<S> Layer<S> for LimitStrangers {
    type Service = Limiting<S>;

    fn layer(&self, service: S) -> Limiting<S> {
        Limiting(service)
    }
}

#[derive(Clone)]
pub(crate) struct Limiting<S>(S);

impl<S: Service<http::Request<Body>>> Service<http::Request<Body>> for Limiting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> S::Future {
        let request = if request.uri().path().ends_with("/Session") {
            request
        } else {
            request.map(|body| Body::new(Limited::new(body, ENROL_BYTES)))
        };
        self.0.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_leave_room_for_those_who_come() {
        for connections in [65, 100, 127, 128, 512, 2047, 2048, 5000, 1 << 20] {
            let sessions = sessions_within(connections);
            assert!(most_connections(sessions) <= connections, "{sessions} of {connections}");
            assert!(most_connections(sessions + 1) + 1 >= connections, "{sessions} of {connections} are too few");
        }
        assert_eq!((sessions_within(0), sessions_within(usize::MAX)), (1, u32::MAX));
    }
}
