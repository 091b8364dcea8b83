//! The series index: which labels a series id stands for, and which ids have a label.
//!
//! A **table** is a monitor at one window width; a **field** is a figure's name and the kind of its partials, so
//! that those that meet always merge; a **series** is a table with its labels. Blocks hold ids only. Ids are never given twice; series that no block and no memtable
//! holds any more are forgotten.

pub(crate) mod file;

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};
use nightjar_model::delta::PartialKind;
use nightjar_model::names::{MonitorKey, OTHER_KEY};
use roaring::RoaringBitmap;

/// Column and value, sorted by column.
pub(crate) type Labels = Box<[(Arc<str>, Arc<str>)]>;

#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) table: u32,
    pub(crate) labels: Labels,
}

impl Series {
    /// `None` if it has no such column.
    pub(crate) fn value(&self, column: &str) -> Option<&Arc<str>> {
        self.labels.iter().find(|(name, _)| &**name == column).map(|(_, value)| value)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) monitor: MonitorKey,
    /// Milliseconds.
    pub(crate) width: i64,
    series: RoaringBitmap,
    columns: BTreeMap<Arc<str>, HashMap<Arc<str>, RoaringBitmap>>,
}

/// Name and kind.
pub(crate) type Field = (Arc<str>, PartialKind);

#[derive(Debug)]
pub(crate) struct SeriesIndex {
    tables: Vec<Table>,
    table_ids: HashMap<(MonitorKey, i64), u32>,
    fields: Vec<Field>,
    field_ids: HashMap<Field, u32>,
    series: HashMap<u32, Arc<Series>>,
    /// Ids by the hash of what they stand for.
    ids: HashTable<u32>,
    next: u32,
    strings: HashSet<Arc<str>>,
    hasher: DefaultHashBuilder,
    max_series: u32,
}

impl SeriesIndex {
    pub(crate) fn new(max_series: u32) -> Self {
        Self {
            tables: Vec::new(),
            table_ids: HashMap::new(),
            fields: Vec::new(),
            field_ids: HashMap::new(),
            series: HashMap::new(),
            ids: HashTable::new(),
            next: 0,
            strings: HashSet::new(),
            hasher: DefaultHashBuilder::default(),
            max_series,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Arc<Series>> {
        self.series.get(&id)
    }

    pub(crate) fn table(&self, id: u32) -> Option<&Table> {
        self.tables.get(id as usize)
    }

    pub(crate) fn field(&self, name: &str, kind: PartialKind) -> Option<u32> {
        self.field_ids.get(&FieldRef(name, kind)).copied()
    }

    /// In the order of their ids.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The tables of a monitor: one, unless the width of its windows was changed.
    pub(crate) fn tables_of(&self, monitor: &MonitorKey) -> Vec<u32> {
        let of = |(id, table): (usize, &Table)| (table.monitor == *monitor).then_some(id as u32);
        self.tables.iter().enumerate().filter_map(of).collect()
    }

    pub(crate) fn table_id(&mut self, monitor: &MonitorKey, width: i64) -> u32 {
        if let Some(id) = self.table_ids.get(&(monitor.clone(), width)) {
            return *id;
        }
        let id = self.tables.len() as u32;
        let table = Table { monitor: monitor.clone(), width, series: RoaringBitmap::new(), columns: BTreeMap::new() };
        self.tables.push(table);
        self.table_ids.insert((monitor.clone(), width), id);
        id
    }

    pub(crate) fn field_id(&mut self, name: &str, kind: PartialKind) -> u32 {
        if let Some(id) = self.field(name, kind) {
            return id;
        }
        let (id, name) = (self.fields.len() as u32, self.intern(name));
        self.fields.push((Arc::clone(&name), kind));
        self.field_ids.insert((name, kind), id);
        id
    }

    /// The series of `table` with these labels, sorted by column; a new one if there is none. Over the
    /// limit it is the one whose every value is [`OTHER_KEY`], and the second answer is true. No table gets
    /// more series than are left to the others, so that one with keys without end folds its own only.
    pub(crate) fn series_id(&mut self, table: u32, labels: &[(&str, &str)]) -> (u32, bool) {
        if let Some(id) = self.find(table, labels) {
            return (id, false);
        }
        let left = u64::from(self.max_series).saturating_sub(self.series.len() as u64);
        let has = self.tables.get(table as usize).map_or(0, |table| table.series.len());
        if left > 0 && has <= left {
            return (self.create(table, labels), false);
        }
        let folded: Vec<(&str, &str)> = labels.iter().map(|(column, _)| (*column, OTHER_KEY)).collect();
        (self.find(table, &folded).unwrap_or_else(|| self.create(table, &folded)), true)
    }

    /// Ids whose value of `column` is accepted; an absent column is `None`.
    pub(crate) fn select(
        &self,
        table: u32,
        column: &str,
        mut accepts: impl FnMut(Option<&str>) -> bool,
    ) -> RoaringBitmap {
        let Some(table) = self.table(table) else { return RoaringBitmap::new() };
        let values = table.columns.get(column);
        let mut selected = RoaringBitmap::new();
        for (_, ids) in values.into_iter().flatten().filter(|(value, _)| accepts(Some(value))) {
            selected |= ids;
        }
        if accepts(None) {
            let mut without = table.series.clone();
            for ids in values.into_iter().flat_map(HashMap::values) {
                without -= ids;
            }
            selected |= without;
        }
        selected
    }

    /// Ids whose value of `column` is this one.
    pub(crate) fn with_value(&self, table: u32, column: &str, value: &str) -> RoaringBitmap {
        let ids = self.table(table).and_then(|table| table.columns.get(column)?.get(value));
        ids.cloned().unwrap_or_default()
    }

    /// Keeps only these series.
    pub(crate) fn retain(&mut self, live: &RoaringBitmap) {
        let kept: Vec<(u32, Arc<Series>)> = self.series.drain().filter(|(id, _)| live.contains(*id)).collect();
        self.ids.clear();
        self.strings = self.fields.iter().map(|(name, _)| Arc::clone(name)).collect();
        for table in &mut self.tables {
            table.series.clear();
            table.columns.clear();
        }
        for (id, series) in kept {
            for (column, value) in &series.labels {
                self.strings.insert(Arc::clone(column));
                self.strings.insert(Arc::clone(value));
            }
            self.insert(id, series);
        }
    }

    fn find(&self, table: u32, labels: &[(&str, &str)]) -> Option<u32> {
        let same = |id: &u32| {
            self.series.get(id).is_some_and(|series| {
                series.table == table
                    && series.labels.len() == labels.len()
                    && series
                        .labels
                        .iter()
                        .zip(labels)
                        .all(|((c, v), (column, value))| &**c == *column && &**v == *value)
            })
        };
        self.ids.find(self.hash(table, labels.iter().copied()), same).copied()
    }

    fn create(&mut self, table: u32, labels: &[(&str, &str)]) -> u32 {
        let labels = labels.iter().map(|(column, value)| (self.intern(column), self.intern(value))).collect();
        let id = self.next;
        self.insert(id, Arc::new(Series { table, labels }));
        id
    }

    /// Takes a series as it was stored.
    fn insert(&mut self, id: u32, series: Arc<Series>) {
        if let Some(table) = self.tables.get_mut(series.table as usize) {
            table.series.insert(id);
            for (column, value) in &series.labels {
                let values = table.columns.entry(Arc::clone(column)).or_default();
                values.entry(Arc::clone(value)).or_default().insert(id);
            }
        }
        let hash_of = |hasher: &DefaultHashBuilder, series: &Series| {
            hash(hasher, series.table, series.labels.iter().map(|(c, v)| (&**c, &**v)))
        };
        let hash = hash_of(&self.hasher, &series);
        self.series.insert(id, series);
        let (all, hasher) = (&self.series, &self.hasher);
        self.ids.insert_unique(hash, id, |id| all.get(id).map_or(0, |series| hash_of(hasher, series)));
        self.next = self.next.max(id + 1);
    }

    fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = Arc::from(text);
        self.strings.insert(Arc::clone(&text));
        text
    }

    fn hash<'a>(&self, table: u32, labels: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
        hash(&self.hasher, table, labels)
    }
}

/// A [`Field`] to look up.
#[derive(Hash)]
struct FieldRef<'a>(&'a str, PartialKind);

impl hashbrown::Equivalent<Field> for FieldRef<'_> {
    fn equivalent(&self, (name, kind): &Field) -> bool {
        self.0 == &**name && self.1 == *kind
    }
}

fn hash<'a>(hasher: &DefaultHashBuilder, table: u32, labels: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut state = hasher.build_hasher();
    table.hash(&mut state);
    labels.for_each(|label| label.hash(&mut state));
    state.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(max_series: u32) -> (SeriesIndex, u32) {
        let mut index = SeriesIndex::new(max_series);
        let table = index.table_id(&MonitorKey::new("w", "m"), 60_000);
        (index, table)
    }

    #[test]
    fn labels_find_their_series_and_ids_their_labels() {
        let (mut index, table) = index(100);
        let (a, _) = index.series_id(table, &[("goods", "x"), ("host", "h1")]);
        let (b, _) = index.series_id(table, &[("goods", "y"), ("host", "h1")]);
        let (c, _) = index.series_id(table, &[("goods", "x")]);
        assert_eq!(index.series_id(table, &[("goods", "x"), ("host", "h1")]), (a, false));
        assert_eq!(index.get(c).and_then(|s| s.value("host")), None);
        assert_eq!(index.select(table, "goods", |v| v == Some("x")), [a, c].into_iter().collect());
        assert_eq!(index.select(table, "host", |v| v.is_none()), [c].into_iter().collect());
        assert_eq!(index.select(table, "nothing", |v| v != Some("q")), [a, b, c].into_iter().collect());
    }

    #[test]
    fn over_the_limit_keys_are_folded_but_not_lost() {
        let (mut index, table) = index(2);
        index.series_id(table, &[("k", "1")]);
        index.series_id(table, &[("k", "2")]);
        let (three, folded) = index.series_id(table, &[("k", "3")]);
        assert!(folded);
        assert_eq!(index.series_id(table, &[("k", "4")]), (three, true));
        assert_eq!(index.get(three).and_then(|s| s.value("k")).map(|v| &**v), Some(OTHER_KEY));
        assert!(!index.series_id(table, &[("k", "1")]).1);
    }

    #[test]
    fn a_table_with_keys_without_end_leaves_room_for_others() {
        let (mut index, hog) = index(100);
        let keys: Vec<String> = (0..1000).map(|key| key.to_string()).collect();
        let folded = keys.iter().filter(|key| index.series_id(hog, &[("k", key.as_str())]).1).count();
        assert!((940..960).contains(&folded), "{folded}");
        let modest = index.table_id(&MonitorKey::new("other", "m"), 60_000);
        assert!(keys.iter().take(20).all(|key| !index.series_id(modest, &[("k", key.as_str())]).1));
    }

    #[test]
    fn forgotten_series_leave_room_and_their_ids_are_not_given_again() {
        let (mut index, table) = index(2);
        let (one, _) = index.series_id(table, &[("k", "1")]);
        let (two, _) = index.series_id(table, &[("k", "2")]);
        index.retain(&[one].into_iter().collect());
        assert!(index.get(two).is_none());
        assert_eq!(index.series_id(table, &[("k", "1")]), (one, false));
        let (three, folded) = index.series_id(table, &[("k", "2")]);
        assert!(!folded && three > two);
    }
}
