//! Which series have a value of a column. Of columns with very many values most are of one series alone, and a set of
//! one takes a hundred times what it holds.

use roaring::RoaringBitmap;

#[derive(Debug, Clone)]
pub(super) enum Holders {
    One(u32),
    Many(Box<RoaringBitmap>),
}

impl Holders {
    pub(super) fn insert(&mut self, id: u32) {
        match self {
            Self::One(one) => *self = Self::Many(Box::new([*one, id].into_iter().collect())),
            Self::Many(ids) => {
                ids.insert(id);
            }
        }
    }

    /// Takes one out. Answers whether none is left.
    pub(super) fn remove(&mut self, id: u32) -> bool {
        match self {
            Self::One(one) => *one == id,
            Self::Many(ids) => {
                ids.remove(id);
                ids.is_empty()
            }
        }
    }

    pub(super) fn add_to(&self, selected: &mut RoaringBitmap) {
        match self {
            Self::One(id) => {
                selected.insert(*id);
            }
            Self::Many(ids) => *selected |= &**ids,
        }
    }

    pub(super) fn take_from(&self, selected: &mut RoaringBitmap) {
        match self {
            Self::One(id) => {
                selected.remove(*id);
            }
            Self::Many(ids) => *selected -= &**ids,
        }
    }
}
