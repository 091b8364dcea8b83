use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Oracle = BTreeMap<u16, (u64, i64)>;

fn state(capacity: u32, rank: TopRank, fed: &[(u16, i64)]) -> TopState {
    let mut exact: Oracle = BTreeMap::new();
    feed(&mut exact, fed);
    let keys: Vec<(String, u64, Decimal)> =
        exact.iter().map(|(key, (count, sum))| (key.to_string(), *count, Decimal((*sum).into()))).collect();
    let keys: Vec<([&str; 1], u64, Decimal)> = keys.iter().map(|(key, c, s)| ([key.as_str()], *c, *s)).collect();
    TopState::of_exact(capacity, rank, keys.iter().map(|(key, count, sum)| (key.as_slice(), *count, *sum)))
}

fn feed(exact: &mut Oracle, fed: &[(u16, i64)]) {
    for (key, value) in fed {
        let of = exact.entry(*key).or_default();
        *of = (of.0 + 1, of.1 + value);
    }
}

/// Merges as a tree of this shape: the first of each pair says how many are taken together.
fn merge_all(mut states: Vec<TopState>, order: &[prop::sample::Index]) -> TopState {
    let mut order = order.iter().cycle();
    while states.len() > 1 {
        let picked = states.swap_remove(order.next().map_or(0, |index| index.index(states.len())));
        let into = order.next().map_or(0, |index| index.index(states.len()));
        states[into].merge(&picked);
    }
    states.pop().unwrap_or_default()
}

fn check(found: &TopState, exact: &Oracle) {
    let mut kept = 0;
    for (key, (count, sum)) in exact {
        let (count, sum) = (*count, Decimal((*sum).into()));
        match found.entries().iter().find(|entry| *entry.key[0] == *key.to_string()) {
            Some(entry) => {
                kept += 1;
                assert!(entry.count - entry.count_error <= count && count <= entry.count, "{key} {count} {entry:?}");
                let low = Decimal(entry.sum.0 - entry.sum_error.0);
                assert!(low <= sum && sum <= entry.sum, "{key} {sum} {entry:?}");
            }
            None => {
                let (most, sums) = found.absent();
                assert!(count <= most && sums.contains(&sum), "{key} {count} {sum}, absent {most} {sums:?}");
            }
        }
    }
    assert_eq!(kept, found.entries().len(), "no key that never was");
    assert!(found.entries().len() <= found.capacity() as usize);
    assert_eq!(found.count(), exact.values().map(|(count, _)| count).sum::<u64>());
    assert_eq!(found.sum(), Decimal(exact.values().map(|(_, sum)| i128::from(*sum)).sum()));
}

fn pieces(values: std::ops::Range<i64>, keys: u16) -> impl Strategy<Value = Vec<Vec<(u16, i64)>>> {
    // Some keys are much more frequent than others, as keys are.
    let key = (0..keys, 0..keys, 0..keys).prop_map(|(a, b, c)| a.min(b).min(c));
    proptest::collection::vec(proptest::collection::vec((key, values), 0..30), 1..12)
}

proptest! {
    #[test]
    fn bounds_hold_in_every_order(
        pieces in pieces(-50..1000, 40), capacity in 1u32..12, by_sum: bool, order: [prop::sample::Index; 9],
    ) {
        let rank = if by_sum { TopRank::Sum } else { TopRank::Count };
        let mut exact = Oracle::new();
        pieces.iter().for_each(|piece| feed(&mut exact, piece));
        let states = pieces.iter().map(|piece| state(capacity, rank, piece)).collect();
        let found = merge_all(states, &order);
        check(&found, &exact);
        check(&TopState::decode(&found.encode()).expect("own encoding"), &exact);
    }

    #[test]
    fn the_error_is_within_the_total_by_the_capacity(
        pieces in pieces(0..1000, 60), capacity in 1u32..12, by_sum: bool, order: [prop::sample::Index; 9],
    ) {
        let rank = if by_sum { TopRank::Sum } else { TopRank::Count };
        let found = merge_all(pieces.iter().map(|piece| state(capacity, rank, piece)).collect(), &order);
        let (absent, sums) = found.absent();
        let slots = u64::from(capacity) + 1;
        match rank {
            TopRank::Count => {
                prop_assert!(absent <= found.count() / slots);
                prop_assert!(found.entries().iter().all(|entry| entry.count_error <= found.count() / slots));
            }
            TopRank::Sum => {
                let most = found.sum().0 / i128::from(slots);
                prop_assert!(sums.end().0 <= most && sums.start().0 == 0);
                prop_assert!(found.entries().iter().all(|entry| entry.sum_error.0 <= most));
            }
        }
    }

    #[test]
    fn up_to_the_capacity_it_is_exact(pieces in pieces(-1000..1000, 12), order: [prop::sample::Index; 9]) {
        let mut exact = Oracle::new();
        pieces.iter().for_each(|piece| feed(&mut exact, piece));
        let found = merge_all(pieces.iter().map(|piece| state(12, TopRank::Sum, piece)).collect(), &order);
        prop_assert!(found.is_exact());
        let figures: Oracle = found.entries().iter().map(|entry| {
            assert_eq!((entry.count_error, entry.sum_error), (0, Decimal::ZERO));
            (entry.key[0].parse().expect("a key"), (entry.count, entry.sum.0 as i64))
        }).collect();
        prop_assert_eq!(figures, exact);
    }

    #[test]
    fn merging_is_commutative_beyond_the_capacity(a in pieces(-50..50, 40), b in pieces(-50..50, 40)) {
        let (a, b) = (state(5, TopRank::Count, &a.concat()), state(5, TopRank::Count, &b.concat()));
        let (mut left, mut right) = (a.clone(), b.clone());
        left.merge(&b);
        right.merge(&a);
        prop_assert_eq!(left, right);
    }
}

#[test]
fn a_million_keys_take_the_memory_of_a_few() {
    let mut found = TopState::new(100, TopRank::Count);
    for piece in 0..100u32 {
        let fed: Vec<(u16, i64)> =
            (0..1000u32).map(|at| ((piece * 613 + at * 7) as u16, 1)).chain([(7, 1); 300]).collect();
        found.merge(&state(100, TopRank::Count, &fed));
    }
    let first = found.highest()[0];
    assert_eq!((&*first.key[0], found.entries().len()), ("7", 100));
    assert!(first.count - first.count_error >= 30_000, "{first:?}");
    assert!(found.heap_bytes() < 20_000, "{}", found.heap_bytes());
}

#[test]
fn what_cannot_be_is_refused() {
    let good = state(3, TopRank::Count, &[(1, 1), (2, 5), (3, 1), (4, 9)]);
    let refused = |change: fn(&mut TopState)| {
        let mut bad = good.clone();
        change(&mut bad);
        TopState::decode(&bad.encode()).expect_err("refused")
    };
    refused(|state| state.capacity = 2);
    refused(|state| state.capacity = u32::MAX);
    refused(|state| state.entries.swap(0, 1));
    refused(|state| state.entries[1] = state.entries[0].clone());
    refused(|state| state.entries[0].count_error = 1000);
    refused(|state| state.entries[0].sum_error = Decimal(-1));
    refused(|state| state.absent_low = Decimal(-1));
    refused(|state| state.entries[0].key = vec!["x".repeat(257).into()].into());
}
