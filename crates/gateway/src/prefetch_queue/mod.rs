//! What workers and the learner of fetching ahead give each other: what was served one way, orders the other, through
//! queues that drop. Neither of both is here.

mod hub;
mod order;
mod question;
mod told;

pub(crate) use hub::{Ends, Hub};
pub(crate) use order::Order;
pub(crate) use question::{TARGET_MAX, place, question, read, shown};
pub(crate) use told::{Origin, Told};
