//! Recorded series: request rates over time, and sequences of keys. It reads text, not files; the caller says
//! what stands in a file.

use super::error::SpecError;

/// Gives the text of a file that a description names, or why it cannot.
pub type Files<'a> = &'a mut dyn FnMut(&str) -> Result<String, String>;

/// For descriptions that name no files.
pub fn no_files() -> impl FnMut(&str) -> Result<String, String> {
    |name: &str| Err(name.to_owned())
}

/// Rates beyond this are mistakes rather than load.
pub(crate) const RATE_MAX: f64 = 1e9;

/// Non-negative numbers, one per line: `157`, or the last column of `1998-04-30 21:30:00,157` under a heading.
/// Empty lines and lines that begin with `#` are skipped.
pub fn parse_rates(text: &str) -> Result<Vec<f64>, SpecError> {
    let mut rates = Vec::new();
    for (number, line) in lines(text) {
        let last = line.rsplit(',').next().unwrap_or(line).trim();
        match last.parse::<f64>() {
            Ok(rate) if (0.0..=RATE_MAX).contains(&rate) => rates.push(rate),
            // A heading.
            Err(_) if rates.is_empty() && number == 1 => {}
            _ => {
                let problem = format!("`{}` is not a rate", shortened(last));
                return Err(SpecError::new(
                    format!("line {number}"),
                    problem,
                    "write one number from 0 to 1e9 per line, last on it after a comma",
                ));
            }
        }
    }
    if rates.is_empty() {
        return Err(SpecError::new("", "has no rates", "write one number per line"));
    }
    Ok(rates)
}

/// Whole numbers, one per line.
pub fn parse_keys(text: &str) -> Result<Vec<u64>, SpecError> {
    let key = |(number, line): (usize, &str)| {
        line.trim().parse().map_err(|_| {
            let problem = format!("`{}` is not a key", shortened(line));
            SpecError::new(format!("line {number}"), problem, "write one whole number per line")
        })
    };
    let keys: Vec<u64> = lines(text).map(key).collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(SpecError::new("", "has no keys", "write one whole number per line"));
    }
    Ok(keys)
}

pub(crate) fn rates_of(file: &str, files: Files<'_>) -> Result<Vec<f64>, SpecError> {
    parse_rates(&text_of(file, files)?).map_err(|error| error.within(&format!("file `{file}`")))
}

pub(crate) fn key_sequence(file: &str, files: Files<'_>) -> Result<Vec<u64>, SpecError> {
    parse_keys(&text_of(file, files)?).map_err(|error| error.within(&format!("file `{file}`")))
}

fn text_of(file: &str, files: Files<'_>) -> Result<String, SpecError> {
    files(file)
        .map_err(|why| SpecError::new("file", format!("cannot be read: {why}"), "name a readable file"))
}

/// Lines with something on them, numbered from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    numbered.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_and_the_last_column_are_rates() {
        assert_eq!(parse_rates("157\n158.5\n\n# a remark\n0\n").unwrap(), [157.0, 158.5, 0.0]);
        let with_heading = "period,count\n1998-04-30 21:30:00,2\n1998-04-30 21:31:00,11\n";
        assert_eq!(parse_rates(with_heading).unwrap(), [2.0, 11.0]);
    }

    #[test]
    fn damaged_text_is_refused_with_its_line() {
        for (text, expected) in [
            ("", "has no rates"),
            ("count\n", "has no rates"),
            ("1\n2\nx\n", "line 3: `x`"),
            ("1\n-2\n", "line 2: `-2`"),
            ("1\nNaN\n", "line 2: `NaN`"),
            ("1\n1e300\n", "line 2: `1e300`"),
        ] {
            let error = parse_rates(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        assert!(parse_keys("1\n-1\n").unwrap_err().to_string().contains("line 2: `-1` is not a key"));
        assert!(parse_keys("\n").is_err());
    }
}
