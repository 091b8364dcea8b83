//! The series index: which labels a series id stands for, and which ids have a label.
//!
//! A **table** is a monitor's windows of one width and tier. A monitor is its uid, and its name a label: one made
//! again under a name has tables of its own. What came before windows had a uid belongs to the first uid that
//! claims its name. A **field** is a figure's name and the kind of its partials, so
//! that those that meet always merge; a **series** is a table with its labels. Blocks hold ids only. Ids are never given twice; series that no block and no memtable
//! holds any more are forgotten.

pub(crate) mod file;
mod holders;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use nightjar_model::delta::PartialKind;
use nightjar_model::names::{MonitorKey, OTHER_KEY};
use roaring::RoaringBitmap;

use self::holders::Holders;
use crate::tier::Tier;

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
    /// `None` until one claims it.
    pub(crate) uid: Option<Arc<str>>,
    /// Milliseconds.
    pub(crate) width: i64,
    pub(crate) tier: Tier,
    series: RoaringBitmap,
    columns: BTreeMap<Arc<str>, HashMap<Arc<str>, Holders>>,
}

/// Name and kind.
pub(crate) type Field = (Arc<str>, PartialKind);

#[derive(Debug)]
pub(crate) struct SeriesIndex {
    tables: BTreeMap<u32, Table>,
    next_table: u32,
    /// The uid that has the name, or had it last.
    names: HashMap<MonitorKey, Arc<str>>,
    of_uid: HashMap<Arc<str>, Vec<u32>>,
    unclaimed: HashMap<MonitorKey, Vec<u32>>,
    /// Tables that were claimed since the index was opened, each with the number of its claim.
    claims: Vec<(u32, u32, Arc<str>)>,
    /// Claims that there ever were.
    claimed: u32,
    fields: Vec<Field>,
    field_ids: HashMap<Field, u32>,
    series: HashMap<u32, Arc<Series>>,
    /// Ids by the hash of what they stand for.
    ids: HashTable<u32>,
    next: u32,
    /// Of which windows came since somebody wants to know.
    seen: Option<RoaringBitmap>,
    hasher: DefaultHashBuilder,
    max_series: u32,
}

impl SeriesIndex {
    pub(crate) fn new(max_series: u32) -> Self {
        Self {
            tables: BTreeMap::new(),
            next_table: 0,
            names: HashMap::new(),
            of_uid: HashMap::new(),
            unclaimed: HashMap::new(),
            claims: Vec::new(),
            claimed: 0,
            fields: Vec::new(),
            field_ids: HashMap::new(),
            series: HashMap::new(),
            ids: HashTable::new(),
            next: 0,
            seen: None,
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
        self.tables.get(&id)
    }

    /// In the order of their ids.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (u32, &Table)> {
        self.tables.iter().map(|(id, table)| (*id, table))
    }

    pub(crate) fn field(&self, name: &str, kind: PartialKind) -> Option<u32> {
        self.field_ids.get(&FieldRef(name, kind)).copied()
    }

    /// In the order of their ids.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The tables of the monitor with this uid: those that nobody has claimed yet are of the one that has their
    /// name. Without a uid, of the monitor that has the name. In the order of their ids.
    pub(crate) fn tables_of(&self, monitor: &MonitorKey, uid: Option<&str>) -> Vec<u32> {
        let uid = uid.or_else(|| self.names.get(monitor).map(|uid| &**uid));
        let claimed = uid.and_then(|uid| self.of_uid.get(uid)).into_iter().flatten();
        let here = |id: &&u32| self.tables.get(*id).is_some_and(|table| table.monitor.workspace == monitor.workspace);
        let unclaimed = self.unclaimed.get(monitor).into_iter().flatten();
        let mut tables: Vec<u32> = claimed.filter(here).chain(unclaimed).copied().collect();
        tables.sort_unstable();
        tables
    }

    /// The table of a monitor's windows, made if there is none.
    pub(crate) fn table_id(&mut self, monitor: &MonitorKey, uid: Option<&str>, width: i64, tier: Tier) -> u32 {
        if let Some(uid) = uid {
            self.claim(monitor, uid);
        }
        let of = self.tables_of(monitor, uid);
        let same = |id: &&u32| self.table(**id).is_some_and(|table| (table.width, table.tier) == (width, tier));
        if let Some(id) = of.iter().find(same) {
            return *id;
        }
        let uid = uid.map(Arc::from).or_else(|| self.names.get(monitor).cloned());
        self.add_table(self.next_table, monitor.clone(), uid, width, tier)
    }

    fn add_table(&mut self, id: u32, monitor: MonitorKey, uid: Option<Arc<str>>, width: i64, tier: Tier) -> u32 {
        match &uid {
            Some(uid) => {
                // A monitor that was deleted may still send; it does not take its name back by that.
                if !self.of_uid.contains_key(uid) {
                    self.names.insert(monitor.clone(), Arc::clone(uid));
                }
                self.of_uid.entry(Arc::clone(uid)).or_default().push(id);
            }
            None => self.unclaimed.entry(monitor.clone()).or_default().push(id),
        }
        let table = Table { monitor, uid, width, tier, series: RoaringBitmap::new(), columns: BTreeMap::new() };
        self.tables.insert(id, table);
        self.next_table = self.next_table.max(id + 1);
        id
    }

    /// Gives the tables of this name that nobody has claimed yet to the monitor with this uid. Answers whether
    /// there were any.
    pub(crate) fn claim(&mut self, monitor: &MonitorKey, uid: &str) -> bool {
        let Some(tables) = self.unclaimed.remove(monitor) else { return false };
        let uid: Arc<str> = Arc::from(uid);
        for id in tables {
            if let Some(table) = self.tables.get_mut(&id) {
                table.uid = Some(Arc::clone(&uid));
            }
            self.of_uid.entry(Arc::clone(&uid)).or_default().push(id);
            self.claims.push((self.claimed, id, Arc::clone(&uid)));
            self.claimed += 1;
        }
        self.names.insert(monitor.clone(), uid);
        true
    }

    /// Whether there is something of this name of before windows had a uid.
    pub(crate) fn is_unclaimed(&self, monitor: &MonitorKey) -> bool {
        self.unclaimed.contains_key(monitor)
    }

    /// Whether this id was given to a series, be it forgotten.
    pub(crate) fn has_given(&self, id: u32) -> bool {
        id < self.next
    }

    /// Whether one of these ids stands for nothing here.
    pub(crate) fn lacks(&self, ids: &RoaringBitmap) -> bool {
        ids.iter().any(|id| !self.series.contains_key(&id))
    }

    pub(crate) fn field_id(&mut self, name: &str, kind: PartialKind) -> u32 {
        if let Some(id) = self.field(name, kind) {
            return id;
        }
        let (id, name) = (self.fields.len() as u32, Arc::<str>::from(name));
        self.fields.push((Arc::clone(&name), kind));
        self.field_ids.insert((name, kind), id);
        id
    }

    /// The series of `table` with these labels, sorted by column; a new one if there is none. Over the
    /// limit it is the one whose every value is [`OTHER_KEY`], and the second answer is true. No table gets
    /// more series than are left to the others, so that one with keys without end folds its own only.
    pub(crate) fn series_id(&mut self, table: u32, labels: &[(&str, &str)]) -> (u32, bool) {
        let (id, folded) = self.find_or_create(table, labels);
        if let Some(seen) = &mut self.seen {
            seen.insert(id);
        }
        (id, folded)
    }

    fn find_or_create(&mut self, table: u32, labels: &[(&str, &str)]) -> (u32, bool) {
        if let Some(id) = self.find(table, labels) {
            return (id, false);
        }
        let left = u64::from(self.max_series).saturating_sub(self.series.len() as u64);
        let has = self.tables.get(&table).map_or(0, |table| table.series.len());
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
            ids.add_to(&mut selected);
        }
        if accepts(None) {
            let mut without = table.series.clone();
            for ids in values.into_iter().flat_map(HashMap::values) {
                ids.take_from(&mut without);
            }
            selected |= without;
        }
        selected
    }

    /// Ids whose value of `column` is this one.
    pub(crate) fn with_value(&self, table: u32, column: &str, value: &str) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        if let Some(ids) = self.table(table).and_then(|table| table.columns.get(column)?.get(value)) {
            ids.add_to(&mut found);
        }
        found
    }

    pub(crate) fn has_series(&self, table: u32) -> bool {
        self.tables.get(&table).is_some_and(|table| !table.series.is_empty())
    }

    /// Of every table the series that are not in `live`.
    pub(crate) fn without(&self, live: &RoaringBitmap) -> RoaringBitmap {
        let mut others = RoaringBitmap::new();
        self.tables.values().for_each(|table| others |= &table.series - live);
        others
    }

    /// From now on it is noted which series windows come of, so that those are not forgotten.
    pub(crate) fn watch(&mut self) {
        self.seen = Some(RoaringBitmap::new());
    }

    pub(crate) fn unwatch(&mut self) {
        self.seen = None;
    }

    /// Forgets those of these series of which no window has come since [`SeriesIndex::watch`]. Answers how many.
    pub(crate) fn forget(&mut self, ids: &[u32]) -> usize {
        let is_seen = |id: &u32| self.seen.as_ref().is_some_and(|seen| seen.contains(*id));
        let gone: Vec<u32> = ids.iter().copied().filter(|id| !is_seen(id)).collect();
        gone.iter().for_each(|id| self.remove(*id));
        gone.len()
    }

    fn remove(&mut self, id: u32) {
        let Some(series) = self.series.get(&id) else { return };
        let hash = self.hash(series.table, series.labels.iter().map(|(column, value)| (&**column, &**value)));
        if let Ok(entry) = self.ids.find_entry(hash, |known| *known == id) {
            entry.remove();
        }
        let Some(series) = self.series.remove(&id) else { return };
        if let Some(table) = self.tables.get_mut(&series.table) {
            table.series.remove(id);
            for (column, value) in &series.labels {
                let Some(values) = table.columns.get_mut(column) else { continue };
                if values.get_mut(value).is_some_and(|ids| ids.remove(id)) {
                    values.remove(value);
                }
                if values.is_empty() {
                    table.columns.remove(column);
                }
            }
        }
    }

    /// Forgets these tables, of which there are no series.
    pub(crate) fn forget_tables(&mut self, gone: &BTreeSet<u32>) {
        self.tables.retain(|id, _| !gone.contains(id));
        for of in [&mut self.of_uid.values_mut().collect::<Vec<_>>(), &mut self.unclaimed.values_mut().collect()] {
            of.iter_mut().for_each(|tables| tables.retain(|id| !gone.contains(id)));
        }
        self.of_uid.retain(|_, tables| !tables.is_empty());
        self.unclaimed.retain(|_, tables| !tables.is_empty());
        let of_uid = &self.of_uid;
        self.names.retain(|_, uid| of_uid.contains_key(uid));
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
        let labels = labels.iter().map(|(column, value)| self.label(table, column, value)).collect();
        let id = self.next;
        self.insert(id, Arc::new(Series { table, labels }));
        id
    }

    /// Takes a series as it was stored. One that was forgotten, and came again before that was stored, stands there
    /// twice: nothing has the first id any more.
    fn load(&mut self, id: u32, series: Arc<Series>) {
        let labels: Vec<(&str, &str)> = series.labels.iter().map(|(column, value)| (&**column, &**value)).collect();
        let before = self.find(series.table, &labels);
        before.into_iter().for_each(|before| self.remove(before));
        self.insert(id, series);
    }

    fn insert(&mut self, id: u32, series: Arc<Series>) {
        if let Some(table) = self.tables.get_mut(&series.table) {
            table.series.insert(id);
            for (column, value) in &series.labels {
                let values = table.columns.entry(Arc::clone(column)).or_default();
                let ids = values.entry(Arc::clone(value));
                ids.and_modify(|ids| ids.insert(id)).or_insert(Holders::One(id));
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

    /// Column and value, the very ones that the table has already: most come again and again.
    fn label(&self, table: u32, column: &str, value: &str) -> (Arc<str>, Arc<str>) {
        let known = self.table(table).and_then(|table| table.columns.get_key_value(column));
        let kept = known.and_then(|(_, values)| values.get_key_value(value));
        (
            known.map_or_else(|| Arc::from(column), |(column, _)| Arc::clone(column)),
            kept.map_or_else(|| Arc::from(value), |(value, _)| Arc::clone(value)),
        )
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
        let table = index.table_id(&MonitorKey::new("w", "m"), None, 60_000, Tier::Raw);
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
        let modest = index.table_id(&MonitorKey::new("other", "m"), None, 60_000, Tier::Raw);
        assert!(keys.iter().take(20).all(|key| !index.series_id(modest, &[("k", key.as_str())]).1));
    }

    #[test]
    fn forgotten_series_leave_room_and_their_ids_are_not_given_again() {
        let (mut index, table) = index(2);
        let (one, _) = index.series_id(table, &[("k", "1")]);
        let (two, _) = index.series_id(table, &[("k", "2")]);
        assert_eq!(index.without(&[one].into_iter().collect()), [two].into_iter().collect());
        assert_eq!(index.forget(&[two]), 1);
        assert!(index.get(two).is_none());
        assert_eq!(index.with_value(table, "k", "2"), RoaringBitmap::new());
        assert_eq!(index.series_id(table, &[("k", "1")]), (one, false));
        let (three, folded) = index.series_id(table, &[("k", "2")]);
        assert!(!folded && three > two);
    }

    #[test]
    fn what_came_meanwhile_is_not_forgotten() {
        let (mut index, table) = index(10);
        let ids: Vec<u32> = ["1", "2", "3"].map(|key| index.series_id(table, &[("k", key)]).0).into();
        index.watch();
        assert_eq!(index.forget(&ids[..1]), 1);
        index.series_id(table, &[("k", "2")]);
        let again = index.series_id(table, &[("k", "1")]).0;
        assert_eq!(index.forget(&ids[1..]), 1);
        assert!(index.get(ids[2]).is_none());
        assert!(again > ids[2] && index.get(again).is_some());
        assert_eq!(index.select(table, "k", |_| true), [ids[1], again].into_iter().collect());
        assert_eq!(index.with_value(table, "k", "3"), RoaringBitmap::new());
    }

    #[test]
    fn a_monitor_is_its_uid_and_the_first_takes_what_had_none() {
        let (mut index, old) = index(10);
        let monitor = MonitorKey::new("w", "m");
        let elsewhere = index.table_id(&MonitorKey::new("other", "m"), None, 60_000, Tier::Raw);
        let table = |index: &mut SeriesIndex, uid: &str| index.table_id(&monitor, Some(uid), 60_000, Tier::Raw);
        assert_eq!(index.tables_of(&monitor, Some("u1")), [old], "before it is claimed");
        assert_eq!(table(&mut index, "u1"), old);
        let second = table(&mut index, "u2");
        assert_ne!(second, old);
        assert_eq!(table(&mut index, "u1"), old, "late lines of the deleted one");
        assert_eq!(index.tables_of(&monitor, Some("u2")), [second]);
        assert_eq!(index.tables_of(&monitor, Some("u3")), [0u32; 0]);
        // Who does not say means the one that has the name.
        assert_eq!(index.table_id(&monitor, None, 60_000, Tier::Raw), second);
        assert_eq!(index.tables_of(&MonitorKey::new("other", "m"), Some("u1")), [elsewhere]);
        assert!(!index.claim(&monitor, "u3"));
        index.forget_tables(&[old, second].into());
        assert_eq!(index.tables_of(&monitor, None), [0u32; 0]);
        assert!(index.table_id(&monitor, None, 60_000, Tier::Raw) > second);
    }
}
