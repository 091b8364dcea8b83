//! Who has which place.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightjar_model::address::{AddressRange, network};

use crate::activity::Connection;
use crate::guarded::Guarded;

/// So many of an address's connections are looked at for one that is only kept alive.
const LOOKED_AT: usize = 1024;

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at one time.
    pub connections: usize,
    /// Of one address, or of one IPv6 network of 64 bits.
    pub per_address: usize,
    /// A connection on which nothing has begun after this long is closed.
    pub first: Duration,
    /// One on which nothing has begun for this long since the last thing ended is closed.
    pub idle: Duration,
    /// One whose other side has taken nothing of what is sent to it for this long is closed.
    pub stalled: Duration,
}

/// The connections of one listener.
#[derive(Debug)]
pub struct Connections {
    listener: &'static str,
    limits: Limits,
    /// Addresses through which many come, such as a reverse proxy: only the cap of all holds for them.
    shared: Vec<AddressRange>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    total: usize,
    /// By network. As many as there are connections, at most.
    peers: HashMap<IpAddr, Peer>,
}

#[derive(Debug, Default)]
struct Peer {
    /// Oldest first.
    connections: BTreeMap<u64, Arc<Connection>>,
    /// How many of them are at work.
    protected: Arc<AtomicUsize>,
}

impl Peer {
    /// How many it could do without.
    fn idle(&self) -> usize {
        self.connections.len().saturating_sub(self.protected.load(Ordering::Relaxed))
    }

    /// One that is only kept alive, else the oldest that is not at work. One on which nothing has begun is as good as
    /// those on which something is under way: else who holds many of these would keep every new one from beginning.
    fn dispensable(&self) -> Option<u64> {
        let kept_alive = self.connections.iter().take(LOOKED_AT).find(|(_, connection)| connection.is_kept_alive());
        let idle = || self.connections.iter().find(|(_, connection)| !connection.is_protected());
        kept_alive.or_else(idle).map(|(id, _)| *id)
    }
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    peer: IpAddr,
    id: u64,
}

impl Connections {
    /// `listener` is its name in metrics.
    pub fn new(listener: &'static str, limits: Limits, shared: Vec<AddressRange>) -> Arc<Self> {
        Arc::new(Self { listener, limits, shared, state: Mutex::default() })
    }

    /// Takes the connection in; `None` where all that could make room are at work. Drop it then.
    pub fn admit<S>(self: &Arc<Self>, stream: S, peer: IpAddr) -> Option<Guarded<S>> {
        let many_share_it = self.shared.iter().any(|range| range.contains(peer));
        let peer = network(peer);
        let mut state = self.state();
        let of_peer = state.peers.get(&peer).map_or(0, |of_peer| of_peer.connections.len());
        if !many_share_it && of_peer >= self.limits.per_address && !self.part_with_one(&mut state, Some(peer)) {
            self.count_closed("refused");
            return None;
        }
        if state.total >= self.limits.connections && !self.part_with_one(&mut state, None) {
            self.count_closed("refused");
            return None;
        }
        let id = state.next;
        state.next += 1;
        state.total += 1;
        let of_peer = state.peers.entry(peer).or_default();
        let connection = Connection::new(self.limits.first, self.limits.idle, Arc::clone(&of_peer.protected));
        of_peer.connections.insert(id, Arc::clone(&connection));
        metrics::gauge!("nightjar_connections", "listener" => self.listener).set(state.total as f64);
        drop(state);
        let place = Place { connections: Arc::clone(self), peer, id };
        Some(Guarded::new(stream, connection, place, self.limits.stalled))
    }

    /// How many there are.
    pub fn open(&self) -> usize {
        self.state().total
    }

    /// Ends a connection that is not at work: of `peer`, or of who has the most such.
    fn part_with_one(&self, state: &mut State, peer: Option<IpAddr>) -> bool {
        let busiest = || state.peers.iter().max_by_key(|(_, of_peer)| of_peer.idle()).map(|(peer, _)| *peer);
        let victim = peer.or_else(busiest).and_then(|peer| Some((peer, state.peers.get(&peer)?.dispensable()?)));
        let Some((peer, id)) = victim else { return false };
        if let Some(connection) = state.remove(peer, id) {
            connection.evict();
            self.count_closed("evicted");
        }
        true
    }

    pub(crate) fn count_closed(&self, reason: &'static str) {
        metrics::counter!("nightjar_connections_closed_total", "listener" => self.listener, "reason" => reason)
            .increment(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, peer: IpAddr, id: u64) -> Option<Arc<Connection>> {
        let of_peer = self.peers.get_mut(&peer)?;
        let connection = of_peer.connections.remove(&id)?;
        if of_peer.connections.is_empty() {
            self.peers.remove(&peer);
        }
        self.total -= 1;
        Some(connection)
    }
}

impl Place {
    pub(crate) fn count_closed(&self, reason: &'static str) {
        self.connections.count_closed(reason);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        // Whoever was parted with has given it back already.
        state.remove(self.peer, self.id);
        metrics::gauge!("nightjar_connections", "listener" => self.connections.listener).set(state.total as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(all: usize, per_address: usize) -> Arc<Connections> {
        let second = Duration::from_secs(1);
        let limits = Limits { connections: all, per_address, first: second, idle: second, stalled: second };
        Connections::new("test", limits, vec![AddressRange::parse("10.0.0.0/8").expect("a range")])
    }

    fn admit(connections: &Arc<Connections>, peer: &str) -> Option<Guarded<()>> {
        connections.admit((), peer.parse().expect("an address"))
    }

    fn evicted(guarded: &[Option<Guarded<()>>]) -> Vec<usize> {
        let gone = |(at, guarded): (usize, &Option<Guarded<()>>)| {
            guarded.as_ref().is_some_and(|guarded| guarded.connection().is_evicted()).then_some(at)
        };
        guarded.iter().enumerate().filter_map(gone).collect()
    }

    #[tokio::test]
    async fn an_address_takes_its_places_from_itself() {
        let connections = connections(100, 3);
        let other = admit(&connections, "192.0.2.9");
        let mut taken: Vec<_> = (0..3).map(|_| admit(&connections, "192.0.2.1")).collect();
        let first = taken[0].as_ref().expect("taken").connection().protect();
        taken.extend((0..2).map(|_| admit(&connections, "192.0.2.1")));
        assert_eq!(evicted(&taken), [1, 2], "the oldest that are not at work");
        assert_eq!(evicted(&[other]), [0usize; 0]);
        drop(first);
        taken.push(admit(&connections, "192.0.2.1"));
        assert_eq!(evicted(&taken), [0, 1, 2]);
        let _at_work: Vec<_> = taken[3..].iter().flatten().map(|guarded| guarded.connection().protect()).collect();
        assert!(admit(&connections, "192.0.2.1").is_none(), "all are at work");
        drop(taken);
        assert_eq!(connections.open(), 0);
    }

    #[tokio::test]
    async fn who_is_only_kept_alive_goes_first() {
        let connections = connections(100, 3);
        let mut taken: Vec<_> = (0..3).map(|_| admit(&connections, "192.0.2.1")).collect();
        let begin = |guarded: &Option<Guarded<()>>| guarded.as_ref().expect("taken").connection().begin();
        // The first one is sent an answer, the second one had its own, on the third one nothing has begun.
        let _sending = begin(&taken[0]);
        drop(begin(&taken[1]));
        taken.push(admit(&connections, "192.0.2.1"));
        assert_eq!(evicted(&taken), [1]);
        // None is kept alive: the oldest makes room, and not the one that has just come.
        taken.push(admit(&connections, "192.0.2.1"));
        assert_eq!(evicted(&taken), [0, 1]);
    }

    #[tokio::test]
    async fn at_the_cap_of_all_who_has_the_most_makes_room() {
        let connections = connections(5, 4);
        let few = admit(&connections, "192.0.2.9");
        let many: Vec<_> = (0..4).map(|_| admit(&connections, "192.0.2.1")).collect();
        let one_more = admit(&connections, "192.0.2.2");
        assert_eq!((evicted(&many), evicted(&[few, one_more]).len()), (vec![0], 0));
        assert_eq!(connections.open(), 3, "those that were dropped gave their places back");
    }

    #[tokio::test]
    async fn a_proxy_is_not_one_address_and_a_network_of_ipv6_is() {
        let connections = connections(100, 1);
        let proxied: Vec<_> = (0..9).map(|_| admit(&connections, "10.0.0.1")).collect();
        assert_eq!(evicted(&proxied).len(), 0);
        let near = [admit(&connections, "2001:db8::1"), admit(&connections, "2001:db8::2")];
        assert_eq!(evicted(&near), [0]);
    }
}
