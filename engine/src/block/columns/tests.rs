use std::sync::Arc;

use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::super::Row;
use super::super::merge::tests::{KINDS, Seed, TIER, names, rows, seeds};
use super::super::read::BlockRows;
use super::super::write::BlockWriter;
use super::*;

/// Row by row, as everything can be read.
async fn by_rows(storage: &Storage, block: &BlockMeta, wanted: &Wanted) -> Vec<Row> {
    let mut source = BlockRows::open(storage, block, wanted.clone()).await.expect("opened");
    let (mut all, mut some) = (Vec::new(), Vec::new());
    loop {
        source.next(&mut some).await.expect("read");
        if some.is_empty() {
            return all;
        }
        all.append(&mut some);
    }
}

/// From columns; as if the block did not say what windows it has, unless `told`.
async fn by_columns(storage: &Storage, block: &BlockMeta, wanted: &Wanted, told: bool) -> Vec<Row> {
    let mut reader = ColumnReader::open(storage, block, wanted.clone(), Need::ALL, None).await.expect("opened");
    if !told {
        reader.cycle = None;
    }
    let mut all = Vec::new();
    while let Some(columns) = reader.next().await.expect("read") {
        for row in 0..columns.rows {
            let field = match &columns.fields {
                RowFields::Cycle(cycle, first) => cycle[(first + row) % cycle.len()],
                RowFields::Each(fields) => fields[row],
            };
            all.push(Row {
                table: wanted.table.expect("one"),
                series: columns.series.as_ref().expect("series")[row],
                time: columns.time.as_ref().expect("time")[row],
                field,
                partial: columns.partial(row, KINDS[field as usize]).expect("a partial"),
            });
        }
    }
    all
}

/// Of some tables every window has the same fields.
fn even(mut seed: Seed, tables: u32, fields: u32) -> Seed {
    let windows: Vec<(u32, u32, i64)> = seed.keys().map(|(table, series, time, _)| (*table, *series, *time)).collect();
    seed.retain(|(table, ..), _| *table >= tables);
    for (place, (table, series, time)) in windows.into_iter().enumerate().filter(|(_, window)| window.0 < tables) {
        for field in 0..fields {
            seed.insert((table, series, time, field), (place as u64 + 1, Some(place as i128 * 1_000 - 7_000_000)));
        }
    }
    seed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn columns_say_what_rows_say(
        seed in seeds(), tables in 0u32..4, fields in 1u32..4, group_rows in 1usize..80,
        series in proptest::option::of(proptest::collection::btree_set(0u32..6, 0..4)),
        from in 0i64..50, minutes in 1i64..60,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async {
            let dir = tempfile::tempdir().expect("tempdir");
            let storage = Arc::new(Storage::local(dir.path()).expect("storage"));
            let span = (i64::MIN / 2, i64::MAX / 2);
            let writer = BlockWriter::new(&storage, 1, TIER, span, 0).expect("writer");
            let mut writer = writer.with_group_rows(group_rows);
            writer.write(&rows(&even(seed, tables, fields))).await.expect("written");
            let block = writer.finish(&names).await.expect("finished");
            let series: Option<RoaringBitmap> = series.map(|ids| ids.into_iter().collect());
            for table in 0..3 {
                for (series, from, until) in [
                    (None, i64::MIN, i64::MAX),
                    (series.clone(), i64::MIN, i64::MAX),
                    (series.clone(), from * 600_000, (from + minutes) * 600_000),
                ] {
                    let wanted = Wanted { table: Some(table), series, from, until, figures: true };
                    let expected = by_rows(&storage, &block, &wanted).await;
                    for told in [true, false] {
                        assert_eq!(by_columns(&storage, &block, &wanted, told).await, expected, "{wanted:?} {told}");
                    }
                }
            }
        });
    }
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_read() {
    let dir = tempfile::tempdir().expect("tempdir");
    let storage = Arc::new(Storage::local(dir.path()).expect("storage"));
    let seed: Seed =
        (0..50).flat_map(|n| [0, 1].map(|field| ((1, n % 5, i64::from(n) * 600_000, field), (1, Some(9))))).collect();
    let mut writer = BlockWriter::new(&storage, 1, TIER, (0, i64::MAX / 2), 0).expect("writer").with_group_rows(20);
    writer.write(&rows(&seed)).await.expect("written");
    let block = writer.finish(&names).await.expect("finished");
    let wanted = Wanted { table: Some(1), ..Wanted::ALL };
    let mut reader = ColumnReader::open(&storage, &block, wanted, Need::default(), None).await.expect("opened");
    let mut found = 0;
    while let Some(columns) = reader.next().await.expect("read") {
        assert!(columns.series.is_none() && columns.time.is_none() && columns.count.is_none() && columns.sum.is_none());
        found += columns.rows;
    }
    assert_eq!(found, 100);
    assert_eq!(reader.footer.arrow.metadata().num_row_groups(), 5);
}
