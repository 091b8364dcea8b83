use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nightjar_model::Decimal;
use nightjar_model::delta::{Number, Partial, PartialKind};
use nightjar_model::partial::{TopRank, TopState};
use proptest::prelude::*;

use super::super::read::{self, Wanted};
use super::super::write::BlockWriter;
use super::super::{Block, BlockMeta, RowKey};
use super::*;
use crate::storage::Storage;
use crate::tier::Tier;

type Key = RowKey;

pub(in crate::block) const TIER: Tier = Tier::Raw;

/// Of the fields by their ids.
pub(in crate::block) const KINDS: [PartialKind; 3] = PartialKind::ALL;

pub(in crate::block) fn names(_: &BTreeSet<u32>, fields: &BTreeSet<u32>) -> Vec<(String, String)> {
    let field = |id: &u32| serde_json::json!({ "id": id, "name": "f", "kind": KINDS[*id as usize].name() });
    let fields: Vec<serde_json::Value> = fields.iter().map(field).collect();
    vec![("nightjar.fields".to_owned(), serde_json::Value::from(fields).to_string())]
}

/// Table, series, time and field.
pub(in crate::block) type Place = (u32, u32, i64, u32);

pub(in crate::block) type Seed = BTreeMap<Place, (u64, Option<i128>)>;

pub(in crate::block) fn rows(seed: &Seed) -> Vec<Row> {
    let row = |((table, series, time, field), (count, value)): (&Place, &(u64, Option<i128>))| {
        let value = Decimal(value.unwrap_or(7));
        let partial = match KINDS[*field as usize] {
            PartialKind::Lines => Partial::lines(*count),
            PartialKind::Number if value.0 % 5 == 0 => Number::EMPTY.into(),
            PartialKind::Number => Number { count: *count, sum: value, min: value, max: value }.into(),
            PartialKind::Top => {
                let key = (value.0 % 20).to_string();
                TopState::of_exact(40, TopRank::Count, [([key.as_str()].as_slice(), *count, Decimal(7))]).into()
            }
        };
        Row { table: *table, series: *series, time: *time, field: *field, partial }
    };
    let mut rows: Vec<Row> = seed.iter().map(row).collect();
    rows.sort_by_key(|row| row.key(TIER));
    rows
}

pub(in crate::block) fn seeds() -> impl Strategy<Value = Seed> {
    // Sums saturate at the ends of the range: those travel too.
    let value = prop_oneof![
        Just(None),
        any::<i64>().prop_map(|v| Some(i128::from(v))),
        Just(Some(i128::MAX)),
        Just(Some(i128::MIN))
    ];
    proptest::collection::btree_map(
        (0u32..3, 0u32..6, (0i64..50).prop_map(|at| at * 600_000), 0u32..3),
        (1u64..100, value),
        0..200,
    )
}

async fn all(cursors: Vec<Cursor>, step: usize) -> Vec<Row> {
    let (mut merge, mut out) = (Merge::new(TIER, cursors), Vec::new());
    loop {
        let before = out.len();
        merge.next(step, &mut out).await.expect("merged");
        if out.len() == before {
            return out;
        }
    }
}

pub(in crate::block) async fn write(storage: &Arc<Storage>, id: u64, rows: &[Row]) -> BlockMeta {
    let mut writer = BlockWriter::new(storage, id, TIER, (i64::MIN / 2, i64::MAX / 2), 0).expect("writer");
    writer.write(rows).await.expect("written");
    writer.finish(&names).await.expect("finished")
}

fn merged(sources: &[Vec<Row>]) -> Vec<(Key, Partial)> {
    let mut expected: BTreeMap<Key, Partial> = BTreeMap::new();
    for row in sources.iter().flatten() {
        let merged = expected.entry(row.key(TIER)).or_insert_with(|| Partial::empty(row.partial.kind()));
        merged.merge(&row.partial).expect("of one kind");
    }
    expected.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn merging_is_the_sum_of_all(seeds in proptest::collection::vec(seeds(), 0..4), step in 1usize..40) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async {
            let dir = tempfile::tempdir().expect("tempdir");
            let storage = Arc::new(Storage::local(dir.path()).expect("storage"));
            let sources: Vec<Vec<Row>> = seeds.iter().map(rows).collect();
            let mut cursors = Vec::new();
            for (id, source) in sources.iter().enumerate() {
                // Half from memory, half from blocks.
                cursors.push(if id % 2 == 0 { Cursor::rows(source.clone()) } else {
                    let meta = write(&storage, id as u64, source).await;
                    assert_eq!(read::series(&storage, &meta).await.expect("series"), source.iter().map(|row| row.series).collect());
                    Cursor::block(BlockRows::open(&storage, &meta, Wanted::ALL).await.expect("open"))
                });
            }
            let out: Vec<(Key, Partial)> = all(cursors, step).await.into_iter().map(|row| (row.key(TIER), row.partial)).collect();
            assert_eq!(out, merged(&sources));
        });
    }
}

#[tokio::test]
async fn only_what_is_wanted_is_read() {
    let dir = tempfile::tempdir().expect("tempdir");
    let storage = Arc::new(Storage::local(dir.path()).expect("storage"));
    // More than a row group, so that groups and pages are left out.
    let mut source = Vec::new();
    for (table, series) in [(1, 10), (1, 11), (2, 20)] {
        source.extend((0..60_000).map(|time| Row { table, series, time, field: 0, partial: Partial::lines(1) }));
    }
    let meta = write(&storage, 1, &source).await;
    let check = async |wanted: Wanted| {
        let rows =
            all(vec![Cursor::block(BlockRows::open(&storage, &meta, wanted.clone()).await.expect("open"))], 1000).await;
        let expected: Vec<Row> = source
            .iter()
            .filter(|row| {
                wanted.table.is_none_or(|t| t == row.table) && (wanted.from..wanted.until).contains(&row.time)
            })
            .filter(|row| wanted.series.as_ref().is_none_or(|s| s.contains(row.series)))
            .cloned()
            .collect();
        assert_eq!(rows.len(), expected.len(), "{wanted:?}");
        assert!(rows == expected);
    };
    check(Wanted::ALL).await;
    check(Wanted { table: Some(2), figures: false, ..Wanted::ALL }).await;
    check(Wanted { series: Some([11].into_iter().collect()), ..Wanted::ALL }).await;
    check(Wanted { from: 30_000, until: 30_010, ..Wanted::ALL }).await;
    check(Wanted {
        table: Some(1),
        series: Some([10, 20].into_iter().collect()),
        from: 59_990,
        until: 60_010,
        figures: true,
    })
    .await;
    check(Wanted { table: Some(3), ..Wanted::ALL }).await;
    let block = Block { meta };
    assert!(block.has(1) && !block.has(3));
}

#[tokio::test]
async fn large_states_come_a_few_at_a_time() {
    let key = "k".repeat(1 << 20);
    let state = TopState::of_exact(40, TopRank::Count, [([key.as_str()].as_slice(), 1, Decimal(7))]);
    let row = |time: i64| Row { table: 0, series: 0, time, field: 2, partial: state.clone().into() };
    let mut merge = Merge::new(TIER, vec![Cursor::rows((0..20).map(row).collect())]);
    let (mut rows, mut sizes) = (Vec::new(), Vec::new());
    loop {
        rows.clear();
        merge.next(1000, &mut rows).await.expect("merged");
        if rows.is_empty() {
            break;
        }
        sizes.push(rows.len());
    }
    assert_eq!((sizes.iter().sum::<usize>(), sizes.iter().max()), (20, Some(&4)), "{sizes:?}");
}
