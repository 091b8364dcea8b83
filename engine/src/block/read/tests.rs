use std::sync::Arc;

use nightjar_model::partial::{TopRank, TopState};
use proptest::prelude::*;

use super::super::merge::tests::{names, write};
use super::*;
use crate::tier::Tier;

fn numbers() -> impl Strategy<Value = Number> {
    // Of every size and number of places, up to what saturated.
    let value = (any::<i128>(), 0u32..128, 0u32..12).prop_map(|(value, shift, zeros)| {
        let unit = 10i128.pow(zeros);
        Decimal((value >> shift) / unit * unit)
    });
    proptest::collection::vec(value, 0..3).prop_map(|values| values.into_iter().collect())
}

fn top(key: u8) -> Partial {
    TopState::of_exact(3, TopRank::Count, [([key.to_string().as_str()].as_slice(), 5, Decimal(7))]).into()
}

async fn all(storage: &Storage, meta: &BlockMeta, wanted: Wanted) -> Result<Vec<Row>> {
    let (mut block, mut all, mut rows) = (BlockRows::open(storage, meta, wanted).await?, Vec::new(), Vec::new());
    loop {
        block.next(&mut rows).await?;
        if rows.is_empty() {
            return Ok(all);
        }
        all.append(&mut rows);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn partials_of_every_kind_are_read_as_written(numbers in proptest::collection::vec(numbers(), 1..40), key: u8) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async {
            let dir = tempfile::tempdir().expect("tempdir");
            let storage = Arc::new(Storage::local(dir.path()).expect("storage"));
            let row = |time, field, partial| Row { table: 1, series: 2, time, field, partial };
            let rows: Vec<Row> = (0..).zip(&numbers).flat_map(|(time, number)| [
                row(time, 0, Partial::lines(number.count)), row(time, 1, (*number).into()), row(time, 2, top(key)),
            ]).collect();
            let meta = write(&storage, 1, &rows).await;
            assert_eq!(all(&storage, &meta, Wanted::ALL).await.expect("read"), rows);
            let counts = all(&storage, &meta, Wanted { figures: false, ..Wanted::ALL }).await.expect("read");
            assert!(counts.iter().zip(&rows).all(|(a, b)| a.key(Tier::Raw) == b.key(Tier::Raw) && a.partial.kind() == b.partial.kind()));
            assert!(counts.iter().zip(&rows).filter(|(row, _)| row.field < 2).all(|(a, b)| a.partial.count() == b.partial.count()));
        });
    }
}

#[tokio::test]
async fn what_a_block_says_of_its_columns_is_not_asked() {
    let dir = tempfile::tempdir().expect("tempdir");
    let storage = Arc::new(Storage::local(dir.path()).expect("storage"));
    let row = Row { table: 1, series: 2, time: 3, field: 0, partial: Partial::lines(5) };
    let meta = write(&storage, 1, std::slice::from_ref(&row)).await;
    let path = dir.path().join(crate::storage::name(1).as_ref());
    let mut bytes = std::fs::read(&path).expect("read");
    let key = b"ARROW:schema";
    let at = bytes.windows(key.len()).rposition(|part| part == key).expect("it says so") + key.len() + 8;
    bytes[at..at + 400].fill(b'A');
    std::fs::write(&path, bytes).expect("damaged");
    // A fresh one, which has not read its footer.
    let storage = Storage::local(dir.path()).expect("storage");
    assert_eq!(all(&storage, &meta, Wanted::ALL).await.expect("read"), [row]);
}

#[tokio::test]
async fn a_later_format_and_a_later_kind_are_named() {
    let dir = tempfile::tempdir().expect("tempdir");
    let storage = Arc::new(Storage::local(dir.path()).expect("storage"));
    let row = Row { table: 1, series: 2, time: 3, field: 0, partial: Partial::lines(5) };
    let meta = write(&storage, 1, std::slice::from_ref(&row)).await;
    let later = BlockMeta { format: 77, ..meta };
    let error = all(&Storage::local(dir.path()).expect("storage"), &later, Wanted::ALL).await.expect_err("refused");
    assert!(error.message.contains("77"), "{error}");
    let mut writer = super::super::write::BlockWriter::new(&storage, 2, Tier::Raw, (0, 10), 0).expect("writer");
    writer.write(&[row]).await.expect("written");
    let of_a_later_kind = |tables: &_, fields: &_| {
        let mut names = names(tables, fields);
        names.iter_mut().for_each(|(_, json)| *json = json.replace("lines", "sketch"));
        names
    };
    let meta = writer.finish(&of_a_later_kind).await.expect("finished");
    let error = all(&storage, &meta, Wanted::ALL).await.expect_err("refused");
    assert!(error.message.contains("`sketch`"), "{error}");
}

#[tokio::test]
async fn of_a_long_block_a_minute_is_read_without_the_rest() {
    let dir = tempfile::tempdir().expect("tempdir");
    let storage = Arc::new(Storage::local(dir.path()).expect("storage"));
    let minute = 60_000;
    let mut rows: Vec<Row> = (0..200u32)
        .flat_map(|series| (0..1440).map(move |at| (series, at * minute)))
        .map(|(series, time)| Row { table: 1, series, time, field: 0, partial: Partial::lines(1) })
        .collect();
    rows.sort_by_key(|row| row.key(Tier::Raw));
    let meta = write(&storage, 1, &rows).await;
    let wanted = Wanted { table: Some(1), from: 700 * minute, until: 701 * minute, ..Wanted::ALL };
    let footer = storage.footer(&meta).await.expect("footer");
    let metadata = footer.arrow.metadata();
    let groups: Vec<usize> =
        (0..metadata.num_row_groups()).filter(|group| group_fits(metadata, *group, &wanted)).collect();
    let selected = page_selection(metadata, &groups, &wanted).expect("an index").row_count();
    assert!(selected <= 200 * 120 + 3 * 8192, "{selected} of {}", rows.len());
    assert_eq!(all(&storage, &meta, wanted).await.expect("read").len(), 200);
    // A block of the first format has another order, and is read in this one.
    let first = BlockMeta { format: 1, from: 0, until: 1440 * minute, tables: vec![1, 3], ..meta };
    let parts = |wanted: Wanted| {
        let mut parts = Parts::new(&first, wanted);
        let mut all = Vec::new();
        while let Some(part) = parts.next() {
            all.push((part.table.unwrap_or_default(), part.from / minute, part.until / minute));
        }
        all
    };
    let of_day = parts(Wanted::ALL);
    assert_eq!((of_day.len(), of_day[0], of_day[12], of_day[23]), (24, (1, 0, 120), (3, 0, 120), (3, 1320, 1440)));
    let some = parts(Wanted { table: Some(3), from: 100 * minute, until: 300 * minute, ..Wanted::ALL });
    assert_eq!(some, [(3, 100, 120), (3, 120, 240), (3, 240, 300)]);
    assert_eq!(parts(Wanted { from: minute, until: 2 * minute, ..Wanted::ALL }).len(), 1);
}
