//! Whatever is stored or sent as the state of a partial is an error, or a partial that encodes to itself; two of
//! them are one, the same whichever is merged into the other, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nightjar_model::partial::{Partial, PartialKind};

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (kind, one, other) = input;
    let kind = PartialKind::ALL[usize::from(kind) % PartialKind::ALL.len()];
    let Ok(one) = Partial::decode(kind, one) else { return };
    let again = Partial::decode(kind, &one.encode()).expect("own encoding");
    assert_eq!(again, one);
    let Ok(other) = Partial::decode(kind, other) else { return };
    let (mut left, mut right) = (one.clone(), other.clone());
    let merged = (left.merge(&other), right.merge(&one));
    assert_eq!(merged.0.is_ok(), merged.1.is_ok());
    if merged.0.is_ok() {
        assert_eq!(left.count(), right.count());
        Partial::decode(kind, &left.encode()).expect("a merge can be stored");
    }
});
