//! Which gateway a file was written for, as far as its shape tells. It reads no directive.

use crate::{Import, caddy, haproxy, nginx};
use std::fmt;

/// A gateway whose files can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Nginx,
    Haproxy,
    Caddy,
}

impl Dialect {
    /// What a file looks like; None for one that could be any, or is none of them.
    #[must_use]
    pub fn guess(text: &str) -> Option<Self> {
        let lines = || text.lines().map(|line| line.split('#').next().unwrap_or_default().trim_end());
        let heads = ["global", "defaults", "frontend", "backend", "listen"];
        let section = |line: &&str| {
            let mut words = line.split_whitespace();
            words.next().is_some_and(|word| heads.contains(&word)) && !line.ends_with(['{', ';'])
        };
        let (mut ended, mut opened, mut other) = (0, 0, 0);
        for line in lines().map(str::trim).filter(|line| !line.is_empty() && *line != "}") {
            match line.as_bytes().last() {
                Some(b';') => ended += 1,
                Some(b'{') => opened += 1,
                _ => other += usize::from(!line.ends_with("; }") && !line.ends_with(";}")),
            }
        }
        if lines().any(|line| section(&line)) && ended == 0 && opened == 0 {
            Some(Self::Haproxy)
        } else if ended > 0 && ended >= other {
            Some(Self::Nginx)
        } else if ended == 0
            && (opened > 0 || lines().any(|line| line.trim_start().starts_with("reverse_proxy")))
        {
            Some(Self::Caddy)
        } else {
            None
        }
    }

    /// Translates a file of this dialect. `file_name` stands in the result's first line.
    #[must_use]
    pub fn import(self, text: &str, file_name: &str) -> Import {
        match self {
            Self::Nginx => nginx(text, file_name),
            Self::Haproxy => haproxy(text, file_name),
            Self::Caddy => caddy(text, file_name),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_apart() {
        let guess = Dialect::guess;
        assert_eq!(guess("global\n  daemon\nfrontend web\n  bind :80 # {\n"), Some(Dialect::Haproxy));
        assert_eq!(
            guess("server {\n  listen 80; # x\n  location / { proxy_pass http://a; }\n}\n"),
            Some(Dialect::Nginx)
        );
        assert_eq!(guess("a.example {\n  reverse_proxy :3000\n}\n"), Some(Dialect::Caddy));
        assert_eq!(guess("a.example\nreverse_proxy :3000\n"), Some(Dialect::Caddy));
        for neither in ["", "hello\nworld\n", "[listen.web]\nbind = \":80\"\n"] {
            assert_eq!(guess(neither), None, "{neither}");
        }
    }
}
