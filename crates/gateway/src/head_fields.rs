//! Heads as the rules of caching see them.

use headgate_cache::rules::Fields;
use headgate_net::head::Flat;

/// The fields of a head.
pub(crate) struct HeadFields<'h, L>(pub &'h Flat<L>);

impl<L: Default> Fields for HeadFields<'_, L> {
    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.fields.iter().map(|field| (self.0.part(field.name), self.0.part(field.value)))
    }
}
