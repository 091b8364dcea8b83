use proptest::prelude::*;

use super::*;
use crate::decimal::Decimal;

/// Partials of one kind, as a window's are: of a Top all with one capacity, and few enough keys to be exact.
fn of_kind(kind: PartialKind) -> BoxedStrategy<Partial> {
    match kind {
        PartialKind::Lines => any::<u32>().prop_map(|count| Partial::Lines(count.into())).boxed(),
        PartialKind::Number => proptest::collection::vec(any::<i64>(), 0..6)
            .prop_map(|values| values.into_iter().map(|value| Decimal(value.into())).collect::<Number>().into())
            .boxed(),
        PartialKind::Top => proptest::collection::vec(("[a-d]{0,1}", "[a-b]{0,1}", 1u64..9, any::<i64>()), 0..6)
            .prop_map(|keys| {
                let keys: Vec<([&str; 2], u64, Decimal)> = keys
                    .iter()
                    .map(|(a, b, count, sum)| ([a.as_str(), b.as_str()], *count, Decimal((*sum).into())))
                    .collect();
                let keys = keys.iter().map(|(key, count, sum)| (key.as_slice(), *count, *sum));
                TopState::of_exact(15, TopRank::Sum, keys).into()
            })
            .boxed(),
    }
}

fn three() -> impl Strategy<Value = (PartialKind, [Partial; 3])> {
    proptest::sample::select(PartialKind::ALL.as_slice())
        .prop_flat_map(|kind| (Just(kind), [of_kind(kind), of_kind(kind), of_kind(kind)]))
}

fn merged<'a>(kind: PartialKind, parts: impl IntoIterator<Item = &'a Partial>) -> Partial {
    let mut all = Partial::empty(kind);
    parts.into_iter().for_each(|part| all.merge(part).expect("of one kind"));
    all
}

proptest! {
    #[test]
    fn merging_is_associative_and_commutative((kind, [a, b, c]) in three()) {
        let whole = merged(kind, [&a, &b, &c]);
        prop_assert_eq!(&merged(kind, [&a, &merged(kind, [&b, &c])]), &whole);
        prop_assert_eq!(&merged(kind, [&c, &b, &a]), &whole);
        prop_assert_eq!(merged(kind, [&b, &a]), merged(kind, [&a, &b]));
        let mut same = a.clone();
        same.merge(&Partial::empty(kind)).expect("of one kind");
        prop_assert_eq!(same, merged(kind, [&a]));
        prop_assert_eq!(whole.count(), a.count() + b.count() + c.count());
        prop_assert_eq!((whole.kind(), a.kind()), (kind, kind));
    }

    #[test]
    fn states_travel((kind, parts) in three()) {
        for partial in parts {
            prop_assert_eq!(Partial::decode(kind, &partial.encode()), Ok(partial));
        }
    }

    #[test]
    fn what_is_cut_off_is_an_error((kind, parts) in three(), garbage: Vec<u8>) {
        let _outcome = Partial::decode(kind, &garbage);
        let whole = parts[0].encode();
        for cut in 0..whole.len() {
            if let Ok(partial) = Partial::decode(kind, &whole[..cut]) {
                prop_assert_eq!(partial.kind(), kind);
            }
        }
    }

    #[test]
    fn numbers_in_pieces_are_as_numbers_at_once(values: Vec<i64>, cut: prop::sample::Index) {
        let values: Vec<Decimal> = values.into_iter().map(|value| Decimal(value.into())).collect();
        let at = if values.is_empty() { 0 } else { cut.index(values.len()) };
        let (left, right) = values.split_at(at);
        let mut merged: Number = right.iter().copied().collect();
        merged.merge(&left.iter().copied().collect());
        prop_assert_eq!(merged, values.iter().copied().collect());
    }
}

#[test]
fn kinds_have_numbers_and_names_of_their_own() {
    for kind in PartialKind::ALL {
        assert_eq!(PartialKind::from_id(kind.id()), Ok(kind));
        assert_eq!(PartialKind::from_name(kind.name()), Some(kind));
        assert_eq!(Partial::empty(kind).kind(), kind);
        assert_eq!(Partial::empty(kind).count(), 0);
    }
    // What is on disks and on its way.
    assert_eq!(PartialKind::ALL.map(PartialKind::id), [1, 2, 3]);
    assert_eq!((PartialKind::of_untyped("*"), PartialKind::of_untyped("v")), (PartialKind::Lines, PartialKind::Number));
}

#[test]
fn an_unknown_kind_and_another_one_are_named() {
    let unknown = PartialKind::from_id(4711).expect_err("unknown").to_string();
    assert!(unknown.contains("4711"), "{unknown}");
    let mut lines = Partial::Lines(3);
    let other = lines.merge(&Partial::empty(PartialKind::Top)).expect_err("another kind").to_string();
    assert!(other.contains("`lines`") && other.contains("`top`"), "{other}");
    assert_eq!(lines, Partial::Lines(3));
}
