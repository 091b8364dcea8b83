//! How many requests are under way, in all and from whom.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderValue, StatusCode, header};
use nightjar_model::address::network;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::problem::{Answer, Failure};

/// Work is counted while it is done, not while its body is awaited: who sends slowly must not keep others from
/// being answered. Of one address both count.
pub(crate) struct Places {
    work: Semaphore,
    per_address: usize,
    /// As many as there are requests.
    by_address: Arc<Mutex<UnderWay>>,
}

/// Requests by address.
type UnderWay = HashMap<IpAddr, usize>;

/// One of an address's requests; over when dropped.
#[derive(Debug)]
pub(crate) struct Share(Option<(Arc<Mutex<UnderWay>>, IpAddr)>);

impl Places {
    pub(crate) fn new(work: usize, per_address: usize) -> Self {
        Self { work: Semaphore::new(work), per_address, by_address: Arc::default() }
    }

    /// # Errors
    /// 503 where as many are worked on as may be.
    pub(crate) fn work(&self) -> Answer<SemaphorePermit<'_>> {
        self.work.try_acquire().map_err(|_none| {
            refused("all");
            later(StatusCode::SERVICE_UNAVAILABLE, "Too many requests are under way; try again in a moment.")
        })
    }

    /// # Errors
    /// 429 where the address has as many under way as it may.
    pub(crate) fn share(&self, address: Option<IpAddr>) -> Answer<Share> {
        let Some(address) = address.map(network) else { return Ok(Share(None)) };
        let mut by_address = lock(&self.by_address);
        let under_way = by_address.entry(address).or_default();
        if *under_way >= self.per_address {
            refused("address");
            let message = "Too many requests from your address are under way; try again in a moment.";
            return Err(later(StatusCode::TOO_MANY_REQUESTS, message));
        }
        *under_way += 1;
        Ok(Share(Some((Arc::clone(&self.by_address), address))))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((by_address, address)) = &self.0 else { return };
        let mut by_address = lock(by_address);
        if let Some(under_way) = by_address.get_mut(address) {
            *under_way -= 1;
            if *under_way == 0 {
                by_address.remove(address);
            }
        }
    }
}

fn lock(by_address: &Mutex<UnderWay>) -> MutexGuard<'_, UnderWay> {
    by_address.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(why: &'static str) {
    metrics::counter!("nightjar_web_refused_total", "cap" => why).increment(1);
}

fn later(status: StatusCode, message: &str) -> Failure {
    Failure::of(status, message).with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn an_address_has_its_share_and_no_more() {
        let places = Places::new(8, 2);
        let address = |text: &str| Some(text.parse().expect("an address"));
        let held: Vec<_> = (0..2).map(|_| places.share(address("192.0.2.1")).expect("a share")).collect();
        let refused = places.share(address("::ffff:192.0.2.1")).expect_err("no third").into_response();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        places.share(address("192.0.2.2")).expect("another address");
        drop(held);
        places.share(address("192.0.2.1")).expect("given back");
        assert_eq!(lock(&places.by_address).len(), 0, "nobody is remembered who is not there");
    }
}
