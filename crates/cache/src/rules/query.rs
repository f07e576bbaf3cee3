//! The text under which responses are found: host, path and query, of which an operator may say what does not
//! matter. The path stands as it was sent: a server may tell `/%61` from `/a`, and what it said of the one must not
//! be given for the other.

/// What of a query makes a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryRules {
    /// Parameters in another order are the same. Several of one name keep their order.
    pub sort: bool,
    /// Names of parameters that do not matter; `utm_*` is all that begin with `utm_`.
    pub drop: Vec<String>,
    /// Names of the only parameters that matter, written as in `drop`. None: all.
    pub keep: Option<Vec<String>>,
}

impl QueryRules {
    fn counts(&self, parameter: &[u8]) -> bool {
        let name = name_of(parameter);
        let listed = |patterns: &[String]| {
            patterns.iter().any(|pattern| match pattern.as_bytes() {
                [start @ .., b'*'] => name.starts_with(start),
                whole => name == whole,
            })
        };
        !listed(&self.drop) && self.keep.as_deref().is_none_or(listed)
    }

    fn leaves_as_it_is(&self) -> bool {
        !self.sort && self.drop.is_empty() && self.keep.is_none()
    }
}

/// Names are compared as they are sent, encoded or not.
fn name_of(parameter: &[u8]) -> &[u8] {
    parameter.split(|&byte| byte == b'=').next().unwrap_or_default()
}

/// Writes the key of a request: host in lower case, path, and what of the query counts. No two requests that differ
/// otherwise have the same.
pub fn write_key(out: &mut Vec<u8>, host: &[u8], path: &[u8], query: Option<&[u8]>, rules: &QueryRules) {
    out.extend(host.iter().map(u8::to_ascii_lowercase));
    out.extend_from_slice(path);
    let Some(query) = query else { return };
    if rules.leaves_as_it_is() {
        out.push(b'?');
        out.extend_from_slice(query);
        return;
    }
    let mut parameters: Vec<&[u8]> =
        query.split(|&byte| byte == b'&').filter(|parameter| rules.counts(parameter)).collect();
    if rules.sort {
        parameters.sort_by_key(|parameter| name_of(parameter));
    }
    for (at, parameter) in parameters.iter().enumerate() {
        out.push(if at == 0 { b'?' } else { b'&' });
        out.extend_from_slice(parameter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(query: Option<&str>, rules: &QueryRules) -> String {
        let mut out = Vec::new();
        write_key(&mut out, b"Shop.Example", b"/%61", query.map(str::as_bytes), rules);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn without_rules_nothing_is_lost() {
        let rules = QueryRules::default();
        assert_eq!(key(None, &rules), "shop.example/%61");
        assert_eq!(key(Some(""), &rules), "shop.example/%61?");
        assert_eq!(key(Some("b=1&a=2&&"), &rules), "shop.example/%61?b=1&a=2&&");
    }

    #[test]
    fn parameters_are_dropped_kept_and_sorted() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let rules = QueryRules { sort: true, drop: names(&["utm_*", "t"]), keep: None };
        assert_eq!(key(Some("b=2&utm_x=1&a&b=1&t=5&tt=1"), &rules), "shop.example/%61?a&b=2&b=1&tt=1");
        assert_eq!(key(Some("utm_x=1"), &rules), "shop.example/%61");
        let rules = QueryRules { sort: false, drop: names(&["a"]), keep: Some(names(&["page", "a"])) };
        assert_eq!(key(Some("x=1&page=2&a=1&page=3"), &rules), "shop.example/%61?page=2&page=3");
    }
}
