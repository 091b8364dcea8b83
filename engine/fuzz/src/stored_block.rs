//! A block as we write it, damaged: reading it is an error or yields rows, and nothing panics; one that is
//! not damaged yields what was written.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, LazyLock};

use futures::executor::block_on;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use nightjar_model::Decimal;
use nightjar_model::Result;
use nightjar_model::delta::{Number, Partial, PartialKind};
use nightjar_model::partial::{TopRank, TopState};
use tempfile::TempDir;

use crate::block::read::{BlockRows, Wanted, series};
use crate::block::write::BlockWriter;
use crate::block::{BlockMeta, FIELDS_KEY, Row};
use crate::damage::Damage;
use crate::storage::{Storage, name};
use crate::tier::Tier;

#[derive(Debug, Arbitrary)]
pub struct Block {
    damage: Damage,
    table: Option<bool>,
    from: u8,
    until: u8,
    figures: bool,
}

struct Written {
    dir: TempDir,
    meta: BlockMeta,
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = Arc::new(Storage::local(dir.path()).expect("a directory"));
    let row = |no: u32| {
        let value = Decimal::from_int(i64::from(no));
        let field = no % 3;
        let partial = match PartialKind::ALL[field as usize] {
            PartialKind::Lines => Partial::lines(2),
            // Now and then one that is too long for its columns.
            PartialKind::Number if no % 4 == 0 => [Decimal(i128::MAX), value].into_iter().collect::<Number>().into(),
            PartialKind::Number => [value].into_iter().collect::<Number>().into(),
            PartialKind::Top => TopState::of_exact(1, TopRank::Sum, [(["x"].as_slice(), 3, value)]).into(),
        };
        Row { table: no / 60, series: no / 30, time: i64::from(no / 3 % 10), field, partial }
    };
    let rows: Vec<Row> = (0..120).map(row).collect();
    let names = |_: &_, fields: &BTreeSet<u32>| {
        let field =
            |id: &u32| format!(r#"{{"id":{id},"name":"f","kind":"{}"}}"#, PartialKind::ALL[*id as usize].name());
        let fields: Vec<String> = fields.iter().map(field).collect();
        vec![(FIELDS_KEY.to_owned(), format!("[{}]", fields.join(",")))]
    };
    // What is caught is no finding; libFuzzer's own hook would end the process before it is.
    std::panic::set_hook(Box::new(|_| ()));
    let write = async {
        let mut writer = BlockWriter::new(&storage, 1, Tier::Raw, (0, 256), 0)?;
        writer.write(&rows).await?;
        writer.finish(&names).await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let meta = runtime.block_on(write).expect("written");
    let bytes = fs::read(dir.path().join(name(1).as_ref())).expect("written");
    Written { dir, meta, bytes, rows }
});

pub fn check(block: &Block) {
    let mut bytes = WRITTEN.bytes.clone();
    block.damage.apply(&mut bytes);
    let meta = BlockMeta { bytes: bytes.len() as u64, ..WRITTEN.meta.clone() };
    fs::write(WRITTEN.dir.path().join(name(1).as_ref()), &bytes).expect("written");
    // A fresh one, which has no footer of it yet.
    let storage = Storage::local(WRITTEN.dir.path()).expect("a directory");
    let table = block.table.map(u32::from);
    let (from, until) = (i64::from(block.from), i64::from(block.until));
    for wanted in [Wanted::ALL, Wanted { table, series: None, from, until, figures: block.figures }] {
        let all = wanted.table.is_none() && wanted.from == i64::MIN;
        let rows = block_on(read(&storage, &meta, wanted));
        if bytes == WRITTEN.bytes {
            let rows = rows.expect("it is whole");
            assert!(!all || rows == WRITTEN.rows);
            assert_eq!(block_on(series(&storage, &meta)).expect("it is whole").len(), 4);
        } else {
            let _either = block_on(series(&storage, &meta));
        }
    }
}

async fn read(storage: &Storage, meta: &BlockMeta, wanted: Wanted) -> Result<Vec<Row>> {
    let mut block = BlockRows::open(storage, meta, wanted).await?;
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    loop {
        block.next(&mut rows).await?;
        if rows.is_empty() {
            return Ok(all);
        }
        all.append(&mut rows);
    }
}
