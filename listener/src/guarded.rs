//! A stream that ends by itself: when its place is taken, when nothing happens on it, when its other side
//! takes nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::activity::Connection;
use crate::connections::Place;

/// A connection with its place.
#[derive(Debug)]
pub struct Guarded<S> {
    stream: S,
    connection: Arc<Connection>,
    place: Place,
    silence: Option<Pin<Box<Sleep>>>,
    stall: Option<Pin<Box<Sleep>>>,
    stalled: Duration,
}

impl<S> Guarded<S> {
    pub(crate) fn new(stream: S, connection: Arc<Connection>, place: Place, stalled: Duration) -> Self {
        Self { stream, connection, place, silence: None, stall: None, stalled }
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Whether the connection has to end now.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.connection.register(cx.waker());
        if self.connection.is_evicted() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the place was needed for another"));
        }
        let Some(due) = self.connection.due() else {
            self.silence = None;
            return Ok(());
        };
        let sleep = self.silence.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        if sleep.as_mut().poll(cx).is_ready() {
            self.place.count_closed("silent");
            return Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was asked for too long"));
        }
        Ok(())
    }

    /// Passes on what came of writing, unless it has been waiting for too long.
    fn written<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stall = None;
            return outcome;
        }
        let stalled = self.stalled;
        let sleep = self.stall.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + stalled)));
        ready!(sleep.as_mut().poll(cx));
        self.place.count_closed("stalled");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was taken for too long")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Asked first: who sends something all the time must end, too.
        this.check(cx)?;
        Pin::new(&mut this.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, data);
        this.written(cx, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, data);
        this.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.written(cx, outcome)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tasks of the tests, which end with their ends of the connection")]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::connections::{Connections, Limits};

    fn guarded() -> (Guarded<DuplexStream>, DuplexStream) {
        let limits = Limits {
            connections: 1,
            per_address: 1,
            first: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            stalled: Duration::from_secs(30),
        };
        let (near, far) = tokio::io::duplex(16);
        let peer = "192.0.2.1".parse().expect("an address");
        (Connections::new("test", limits, Vec::new()).admit(near, peer).expect("a place"), far)
    }

    async fn seconds_to_the_end(guarded: &mut Guarded<DuplexStream>) -> u64 {
        let begun = Instant::now();
        let error = guarded.read_to_end(&mut Vec::new()).await.expect_err("it ends");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_and_so_do_bytes_that_are_no_request() {
        let (mut silent, _far) = guarded();
        assert_eq!(seconds_to_the_end(&mut silent).await, 15);
        let (mut dripping, mut far) = guarded();
        let drip = tokio::spawn(async move {
            while far.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        assert_eq!(seconds_to_the_end(&mut dripping).await, 15);
        drop(dripping);
        drip.await.expect("it ends with the connection");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_may_take_its_time() {
        let (mut guarded, _far) = guarded();
        let connection = Arc::clone(guarded.connection());
        let under_way = connection.begin();
        let work = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(300)).await;
            drop(under_way);
        });
        assert_eq!(seconds_to_the_end(&mut guarded).await, 300 + 60);
        work.await.expect("done");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_left() {
        let (mut guarded, mut far) = guarded();
        let begun = Instant::now();
        let _under_way = guarded.connection().begin();
        let reader = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            far.read_exact(&mut [0; 16]).await.expect("sent");
            far
        });
        let error = guarded.write_all(&[0; 64]).await.expect_err("nobody takes it");
        assert_eq!((error.kind(), begun.elapsed().as_secs()), (io::ErrorKind::TimedOut, 20 + 30));
        drop(reader.await.expect("read"));
    }

    #[tokio::test]
    async fn whose_place_is_needed_is_woken() {
        let (mut guarded, _far) = guarded();
        let connection = Arc::clone(guarded.connection());
        let reading = tokio::spawn(async move { guarded.read_u8().await });
        tokio::task::yield_now().await;
        connection.evict();
        let error = reading.await.expect("no panic").expect_err("it ends");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
