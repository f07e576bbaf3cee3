//! The rules of HTTP caching as pure functions: heads and times come in, verdicts go out. They follow RFC 9111, 9110
//! (conditions and ranges), 5861, 8246, 9211 and 9213 for a shared cache.

mod cache_status;
mod condition;
pub mod date;
mod directives;
mod fields;
mod freshness;
mod invalidate;
mod multipart;
mod query;
mod range;
mod request;
mod response;
mod settings;
mod store;
mod stored;
mod targeted;
mod vary;

pub use cache_status::{CacheStatus, Forwarded};
pub use condition::{Answer, evaluate, if_range_holds, in_not_modified, in_part};
pub use directives::RequestDirectives;
pub use fields::{Block, Fields, first, lines, write_field};
pub use freshness::{Failure, Freshness, Use, WhenStale, Why};
pub use invalidate::{Target, answers_itself, further_targets, invalidates};
pub use multipart::{Multipart, MultipartPiece};
pub use query::{QueryRules, write_key};
pub use range::{
    ByteRange, ContentRange, Parts, Ranges, ranges, write_content_range, write_unsatisfied_range,
};
pub use request::Asked;
pub use settings::{SetCookie, Settings};
pub use store::{Exchange, Reason, Storing, may_keep, may_store};
pub use stored::{HeadEffect, Validators, head_effect, is_stored_block, write_stored, write_updated};
pub use vary::{Vary, matches, vary, write_selecting};
