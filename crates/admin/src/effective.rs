//! The configuration in force as a TOML file that could be loaded again, without its secrets. What a
//! secret is, is told by its key; values that came from the environment look like any other.

use headgate_model::spec::Config;
use toml::Value;

/// Stands for a secret: to load the file again, someone has to supply it.
const HIDDEN: &str = "${HIDDEN}";

/// Parts of keys and header names whose values are credentials.
const CREDENTIALS: &[&str] =
    &["secret", "authorization", "token", "api-key", "api_key", "apikey", "password", "credential"];
/// The tables whose keys are names of header fields or query parameters.
const FIELDS: &[&str] = &["headers", "query", "set", "add"];

/// # Errors
/// None in practice: what was read from TOML can be written as TOML.
pub(crate) fn config_text(config: &Config) -> Result<String, toml::ser::Error> {
    let mut root = Value::try_from(config)?;
    hide(&mut root, false);
    toml::to_string(&root)
}

fn hide(value: &mut Value, in_fields: bool) {
    match value {
        Value::Table(table) => {
            for (key, child) in table.iter_mut() {
                let name = key.to_ascii_lowercase();
                let credential = CREDENTIALS.iter().any(|word| name.contains(word))
                    || (in_fields && matches!(&*name, "cookie" | "set-cookie"));
                if credential && !child.is_table() {
                    *child = Value::String(HIDDEN.to_owned());
                } else {
                    hide(child, FIELDS.contains(&&*name));
                }
            }
        }
        Value::Array(array) => array.iter_mut().for_each(|child| hide(child, false)),
        // Loaded again it must not be taken for a reference to the environment.
        Value::String(text) => *text = text.replace("${", "$${"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::config_text;
    use headgate_model::load;
    use headgate_model::spec::Config;

    const FILE: &str = r#"
        workers = 2
        drain = "90s"

        [admin]
        bind = "127.0.0.1:9090"

        [listen.web]
        bind = ":8080"
        limits = { head = "8KiB" }

        [service.catalog]
        endpoints = ["10.0.0.1:80", { address = "10.0.0.2:80", weight = 3 }]
        balance = { policy = "ring_hash", key = "header:x-user", bounded_load = 1.25 }
        health = "/healthz"
        sticky = { cookie = "stay", secret = "${KEY}" }

        [[route]]
        match = "shop.example/api/*"
        service = "catalog"
        headers = { "x-api-key" = "hush-1", "x-beta" = "1" }
        query = { token = "hush-2" }
        request_headers = { set = { Authorization = "hush-3", Cookie = "hush-4", "x-a" = "$${kept}" } }
    "#;

    fn read(text: &str, key: &str) -> Config {
        let env = |name: &str| ["KEY", "HIDDEN"].contains(&name).then(|| key.to_owned());
        load(text, "test.toml", &env)
            .unwrap_or_else(|errors| panic!("{}", errors.iter().map(ToString::to_string).collect::<String>()))
    }

    #[test]
    fn no_secret_is_shown() {
        let text = config_text(&read(FILE, "hush-0-of-more-than-thirty-two-bytes")).unwrap();
        assert!(!text.contains("hush"), "{text}");
        assert_eq!(text.matches("${HIDDEN}").count(), 5, "{text}");
        assert!(text.contains("cookie = \"stay\""), "the name of a cookie is no secret: {text}");
    }

    #[test]
    fn the_text_is_the_configuration_when_the_secrets_are_supplied() {
        let same = "one-value-of-more-than-thirty-two-bytes";
        let file = (1..=4).fold(FILE.to_owned(), |file, n| file.replace(&format!("hush-{n}"), same));
        let config = read(&file, same);
        assert_eq!(read(&config_text(&config).unwrap(), same), config);
    }
}
