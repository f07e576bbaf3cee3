//! How the levels of a factor change the study's base: tables that are laid over it, and single values that
//! are put at a path. Knows TOML values and nothing of what they mean.

use toml::{Table, Value};

/// Stands for every entry of a table or array that is there.
const EVERY: &str = "*";

/// Why a patch does not fit its base.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatchError {
    #[error("`{0}` is not in the study's base; write it there first")]
    Nowhere(String),
    #[error("`{0}` is a single value, nothing can lie within it")]
    NotATable(String),
}

/// Lays `over` over `base`: tables entry by entry, all else replaces what was there.
pub(super) fn lay(base: &mut Table, over: &Table) -> Result<(), PatchError> {
    for (key, value) in over {
        match (key.as_str(), value) {
            (EVERY, Value::Table(inner)) => {
                for (_, entry) in base.iter_mut() {
                    lay_into(entry, inner).map_err(|error| error.within(EVERY))?;
                }
            }
            (_, Value::Table(inner)) => {
                let entry = base.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
                match entry {
                    // A plain value or a list gives way to the table as a whole: `balance = "p2c"`.
                    Value::Table(entry) => lay(entry, inner).map_err(|error| error.within(key))?,
                    other => *other = value.clone(),
                }
            }
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(())
}

fn lay_into(entry: &mut Value, over: &Table) -> Result<(), PatchError> {
    match entry {
        Value::Table(table) => lay(table, over),
        _ => Err(PatchError::NotATable(String::new())),
    }
}

/// Puts `value` at `path`, whose parts are keys, places in lists counted from 0, or `*`. Tables on the way are
/// made where there are none; lists must be there.
pub(super) fn put(base: &mut Table, path: &[&str], value: &Value) -> Result<(), PatchError> {
    let Some((first, rest)) = path.split_first() else { return Ok(()) };
    match (*first, rest) {
        (EVERY, _) => base.iter_mut().try_for_each(|(_, entry)| put_into(entry, rest, value)),
        (key, []) => {
            base.insert(key.to_owned(), value.clone());
            Ok(())
        }
        // What makes no sense there is an unknown key to whoever reads the result.
        (key, _) => put_into(base.entry(key).or_insert_with(|| Value::Table(Table::new())), rest, value),
    }
    .map_err(|error| error.within(first))
}

fn put_into(entry: &mut Value, path: &[&str], value: &Value) -> Result<(), PatchError> {
    let Some((first, rest)) = path.split_first() else {
        *entry = value.clone();
        return Ok(());
    };
    match entry {
        Value::Table(table) => put(table, path, value),
        Value::Array(list) if *first == EVERY => {
            list.iter_mut().try_for_each(|item| put_into(item, rest, value))
        }
        Value::Array(list) => {
            let item = first.parse::<usize>().ok().and_then(|place| list.get_mut(place));
            let item = item.ok_or_else(|| PatchError::Nowhere(String::new()));
            item.and_then(|item| put_into(item, rest, value)).map_err(|error| error.within(first))
        }
        _ => Err(PatchError::NotATable(String::new())),
    }
}

impl PatchError {
    fn within(self, outer: &str) -> Self {
        let join =
            |inner: String| if inner.is_empty() { outer.to_owned() } else { format!("{outer}.{inner}") };
        match self {
            Self::Nowhere(inner) => Self::Nowhere(join(inner)),
            Self::NotATable(inner) => Self::NotATable(join(inner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn tables_are_laid_over_entry_by_entry_and_a_star_means_all_that_is_there() {
        let mut base = table("[service.a]\nreplicas = 1\n[service.b]\nreplicas = 2\nbalance = \"random\"");
        lay(&mut base, &table("[service.'*']\nbalance = \"p2c\"\n[service.b]\nreplicas = 9")).unwrap();
        let expected =
            "[service.a]\nreplicas = 1\nbalance = \"p2c\"\n[service.b]\nreplicas = 9\nbalance = \"p2c\"";
        assert_eq!(base, table(expected));
    }

    #[test]
    fn a_value_is_put_at_a_path_through_lists() {
        let mut base = table("phases = [{ level = 1 }, { level = 2 }]\n[a]\nb = 1");
        put(&mut base, &["phases", "*", "level"], &Value::from(5)).unwrap();
        put(&mut base, &["phases", "0", "level"], &Value::from(7)).unwrap();
        put(&mut base, &["a", "c"], &Value::from(3)).unwrap();
        put(&mut base, &["x", "y"], &Value::from(4)).unwrap();
        assert_eq!(base, table("phases = [{ level = 7 }, { level = 5 }]\n[a]\nb = 1\nc = 3\n[x]\ny = 4"));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_named() {
        let mut base = table("[a]\nb = 1\nlist = [1]");
        let told =
            |path: &[&str], base: &mut Table| put(base, path, &Value::from(1)).unwrap_err().to_string();
        assert!(told(&["a", "b", "c"], &mut base).starts_with("`a.b` is a single value"));
        assert!(told(&["a", "list", "4", "z"], &mut base).starts_with("`a.list.4` is not"));
    }
}
