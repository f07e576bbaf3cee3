//! Expressions that say how a segment anywhere in the path begins, as `/\.ht` does, as the patterns of all such
//! paths. No other expressions.

/// Patterns can name a segment at a fixed depth only: those up to here are named, deeper paths are taken whole.
pub(super) const MAX_DEPTH: usize = 8;

/// The patterns of all paths in which an expression finds a segment's beginning, and of all that are deeper than
/// patterns reach; none for other expressions.
pub(super) fn patterns(expression: &str) -> Option<Vec<String>> {
    let begins = beginnings(expression)?;
    let mut patterns = Vec::new();
    let mut parents = String::from("/");
    for depth in 1..=MAX_DEPTH {
        patterns.extend(begins.iter().map(|begin| format!("{parents}{begin}*")));
        parents.push_str(&format!("{{s{depth}}}/"));
    }
    patterns.push(format!("{parents}*"));
    Some(patterns)
}

/// `/\.ht`, `/\.(git|svn)`, `/(\.a|b).*`, `/\.(?!well-known)`: what is excepted is taken as well.
fn beginnings(expression: &str) -> Option<Vec<String>> {
    let rest = ["/", "(^|/)", "(?:^|/)"].iter().find_map(|start| expression.strip_prefix(start))?;
    let rest = rest.strip_suffix("(.*)").or(rest.strip_suffix(".*")).unwrap_or(rest);
    let (literal, group) = match rest.split_once('(') {
        Some((literal, group)) => (literal, group.strip_suffix(')')?),
        None => (rest, ""),
    };
    let alternatives = if group.starts_with("?!") { "" } else { group.strip_prefix("?:").unwrap_or(group) };
    let all = alternatives.split('|').map(|alternative| {
        let begin = plain(literal)? + &plain(alternative)?;
        (!begin.is_empty()).then_some(begin)
    });
    all.collect()
}

/// The text that an expression without any operator stands for.
fn plain(expression: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = expression.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().filter(|c| "._-/~".contains(*c))?),
            c if c.is_ascii_alphanumeric() || "_-/~".contains(c) => text.push(c),
            _ => return None,
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_beginning_is_found_at_any_depth() {
        let begins = |expression| beginnings(expression).map(|all| all.join(" "));
        assert_eq!(begins(r"/\.ht").as_deref(), Some(".ht"));
        assert_eq!(begins(r"/\.").as_deref(), Some("."));
        assert_eq!(begins(r"/\.(?!well-known).*").as_deref(), Some("."));
        assert_eq!(begins(r"(^|/)\.(git|svn)").as_deref(), Some(".git .svn"));
        assert_eq!(begins(r"/(\.env|backup)").as_deref(), Some(".env backup"));
        for other in
            [r"\.php$", r"/\.ht$", "/.ht", "^/a", "/", r"/a(b)c", r"/[.]ht", r"/\d", "/(a|)", "/(a|(b))"]
        {
            assert_eq!(begins(other), None, "{other}");
        }
        let patterns = patterns(r"/\.ht").unwrap();
        assert_eq!((patterns[0].as_str(), patterns[1].as_str()), ("/.ht*", "/{s1}/.ht*"));
        assert_eq!(patterns.len(), MAX_DEPTH + 1);
    }
}
