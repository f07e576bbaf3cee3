//! What is valid in a configuration and yet worth a word: what has no effect is most likely a mistake, and
//! faults are not injected unawares. Never an error.

use crate::locate::locate;
use crate::source::ConfigError;
use crate::spec::Config;

/// Remarks on a configuration that loaded from `text`, in the order of the file.
#[must_use]
pub fn warnings(text: &str, file_name: &str, config: &Config) -> Vec<ConfigError> {
    let mut found = Vec::new();
    let mut warn = |place: String, message: String| found.push(locate(text, file_name, &place, &message));
    for name in config.listeners.keys() {
        if !config.routes.iter().any(|route| route.listeners.is_empty() || route.listeners.contains(name)) {
            warn(
                format!("listen.{name}"),
                format!("no route belongs to the listener {name}: it answers every request with 404"),
            );
        }
    }
    for name in config.services.keys() {
        let by_route = config.routes.iter().any(|route| route.service.as_ref() == Some(name));
        let stands_in = |fallback: &crate::spec::Fallback| fallback.service.as_ref() == Some(name);
        let by_fallback =
            config.services.values().filter_map(|service| service.fallback.as_ref()).any(stands_in);
        if !by_route && !by_fallback {
            warn(format!("service.{name}"), format!("no route and no fallback leads to the service {name}"));
        }
    }
    for (index, rule) in config.chaos.iter().enumerate() {
        warn(
            format!("chaos {}", index + 1),
            format!("the rule {} injects faults into live traffic", rule.name),
        );
    }
    found.sort_by_key(|warning| (warning.line, warning.column));
    found
}

#[cfg(test)]
mod tests {
    use super::warnings;

    #[test]
    fn what_nothing_reaches_is_named_with_its_line() {
        let text = "[listen.a]\nbind = \":1\"\n[listen.b]\nbind = \":2\"\n[service.used]\nendpoints = [\":3\"]\n\
                    fallback = { service = \"spare\" }\n[service.spare]\nendpoints = [\":4\"]\n[service.idle]\n\
                    endpoints = [\":5\"]\n[[route]]\nmatch = \"/*\"\nlisteners = [\"a\"]\nservice = \"used\"\n";
        let config = crate::load(text, "f.toml", &|_| None).unwrap();
        let found: Vec<String> =
            warnings(text, "f.toml", &config).iter().map(|found| found.summary()).collect();
        assert_eq!(
            found,
            [
                "f.toml:3:9: no route belongs to the listener b: it answers every request with 404",
                "f.toml:10:10: no route and no fallback leads to the service idle",
            ]
        );
    }
}
