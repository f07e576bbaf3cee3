//! Purges that an operator asks for: by URL, by the beginning of URLs, by tag, or of everything.

use crate::cache_rules::everybodys;
use crate::worker::Shared;
use headgate_cache::rules::write_key;

/// What is purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// `http://shop.example/a?b=c`, or without a scheme for both.
    Url(String),
    /// All URLs that begin so, from the host on.
    Prefix(String),
    /// What bears this tag, in one step.
    Tag(String),
    Everything,
}

/// The text is no URL with a host and a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no URL to purge; write it with host and path, like \"shop.example/items/7\"")]
pub struct NoUrl(String);

impl Shared {
    /// Purges what is stored, and what is on its way to be stored; `soft` makes it stale, so that it is asked for
    /// again and serves while the service fails. How many responses that were; None where they are not counted.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn purge(&self, what: &Purge, soft: bool) -> Result<Option<usize>, NoUrl> {
        let cache = &self.cache;
        Ok(match what {
            Purge::Everything => Some(cache.purge_beginnings(0, vec![Vec::new()], soft)),
            Purge::Tag(tag) => {
                cache.purge_tag(tag.as_bytes(), soft);
                None
            }
            Purge::Prefix(prefix) => {
                let (schemes, rest) = schemes(prefix);
                let prefix = normal(rest).ok_or_else(|| NoUrl(prefix.clone()))?;
                let beginning = |scheme: &u8| [&[*scheme], prefix.as_bytes()].concat();
                Some(cache.purge_beginnings(SPACE_LEN, schemes.iter().map(beginning).collect(), soft))
            }
            Purge::Url(url) => Some(self.purge_url(url, soft).ok_or_else(|| NoUrl(url.clone()))?),
        })
    }

    /// Under every way in which routes keep it.
    fn purge_url(&self, url: &str, soft: bool) -> Option<usize> {
        let (schemes, rest) = schemes(url);
        let text = normal(rest)?;
        let (host, target) = text.split_at(text.find('/')?);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes())),
            None => (target, None),
        };
        let snapshot = self.snapshot();
        let mut keys = Vec::new();
        let mut count = 0;
        for rules in snapshot.routes.iter().filter_map(|route| route.cache.as_ref()) {
            for scheme in schemes {
                let mut key = rules.space.to_vec();
                key.push(*scheme);
                write_key(&mut key, host.as_bytes(), path.as_bytes(), query, &rules.query);
                if rules.identity.is_some() {
                    self.cache.purge_tag(&everybodys(&key), soft);
                }
                keys.push(key);
            }
        }
        keys.sort_unstable();
        keys.dedup();
        for key in &keys {
            count += self.cache.purge_key(key, soft);
        }
        Some(count)
    }
}

/// Before the scheme in a key.
const SPACE_LEN: usize = 8;

/// The marks in keys of the schemes that are meant, and what follows.
fn schemes(url: &str) -> (&'static [u8], &str) {
    if let Some(rest) = url.strip_prefix("https://") {
        (b"s", rest)
    } else if let Some(rest) = url.strip_prefix("http://") {
        (b"p", rest)
    } else {
        (b"ps", url)
    }
}

/// With the host in lower case. None without a host, or without a path.
fn normal(url: &str) -> Option<String> {
    let (host, rest) = url.split_at(url.find('/')?);
    let good = !host.is_empty() && url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains('#');
    good.then(|| host.to_ascii_lowercase() + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_a_path() {
        assert_eq!(normal("Shop.Example/A?b").as_deref(), Some("shop.example/A?b"));
        for bad in ["", "/a", "shop.example", "shop.example/a b", "shop.example/a#b"] {
            assert_eq!(normal(bad), None, "{bad}");
        }
        assert_eq!(schemes("https://a/"), (&b"s"[..], "a/"));
        assert_eq!(schemes("a/"), (&b"ps"[..], "a/"));
    }
}
