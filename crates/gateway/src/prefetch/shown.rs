//! What stored answers show, read once for each: a small memory of the last ones beside [`super::values`].

use super::values;
use headgate_cache::object::Object;
use headgate_policy::prefetch::foresight::Field;
use std::sync::{Arc, Weak};

/// Answers that are remembered; one that others took the place of is read again.
const REMEMBERED: usize = 1_024;

pub(super) struct Shown(Box<[Option<Read>]>);

/// An answer and its values. As long as it is known here, no other answer has its address.
struct Read(Weak<Object>, Arc<[Field]>);

impl Default for Shown {
    fn default() -> Self {
        Self(std::iter::repeat_with(|| None).take(REMEMBERED).collect())
    }
}

impl Shown {
    pub(super) fn by(&mut self, object: &Arc<Object>) -> Arc<[Field]> {
        let address = Arc::as_ptr(object);
        // The lowest bits of addresses are alike.
        let place = &mut self.0[(address as usize >> 4) % REMEMBERED];
        match place {
            Some(Read(known, fields)) if known.as_ptr() == address => Arc::clone(fields),
            _ => {
                let fields: Arc<[Field]> = values::shown(object).into();
                *place = Some(Read(Arc::downgrade(object), Arc::clone(&fields)));
                fields
            }
        }
    }
}
