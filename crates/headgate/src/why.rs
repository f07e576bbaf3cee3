//! `headgate why`: what a running Headgate decided and on what evidence, or what is left in the folder of one that does
//! not run.

use crate::admin_client::ask;
use crate::say::{Failure, say};
use headgate_observe::journal::{Page, Query, load, render};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(10);
/// Entries that are read from a folder before they are picked from.
const READ_MAX: usize = 1 << 16;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct WhyOptions {
    /// A policy or a part of a subject; empty for everything.
    pub about: String,
    pub since: Option<Duration>,
    pub limit: usize,
    pub json: bool,
    pub admin: String,
    /// The folder of the journal, instead of the admin address.
    pub dir: Option<PathBuf>,
}

/// # Errors
/// When nobody answers at the admin address, or the folder cannot be read.
pub(crate) fn run(options: &WhyOptions) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let page = match &options.dir {
        Some(_) => from_folder(options, now)?,
        None => from_admin(options)?,
    };
    if options.json {
        return say(&serde_json::to_string(&page)?);
    }
    if page.entries.is_empty() {
        return say("no decision is journaled that was asked for");
    }
    let now_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    let lines: Vec<String> = page.entries.iter().map(|entry| render(entry, now_us)).collect();
    say(&lines.join("\n"))
}

fn from_admin(options: &WhyOptions) -> Result<Page, Failure> {
    let mut path = format!("/journal?limit={}&about={}", options.limit, encode(&options.about));
    if let Some(since) = options.since {
        // Writing into a String cannot fail.
        let _ = write!(path, "&since={}ms", since.as_millis());
    }
    let answer = ask(&options.admin, "GET", &path, PATIENCE)?;
    if answer.status != 200 {
        return Err(
            format!("{} answered {}: {}", options.admin, answer.status, answer.body.trim_end()).into()
        );
    }
    Ok(serde_json::from_str(&answer.body)?)
}

fn from_folder(options: &WhyOptions, now: Duration) -> Result<Page, Failure> {
    let dir = options.dir.as_deref().unwrap_or(".".as_ref());
    let loaded = load(dir, READ_MAX).map_err(|error| format!("{}: {error}", dir.display()))?;
    let since = options.since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
    let query = Query {
        about: options.about.clone(),
        since_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX),
        limit: options.limit,
        ..Query::default()
    };
    let entries = query.pick(loaded.entries.into_iter().map(Arc::new).collect());
    Ok(Page { entries, dropped: loaded.damaged })
}

fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin_client::tests::serve_once;

    fn options() -> WhyOptions {
        WhyOptions {
            about: "10.0.0.1:80 x".to_owned(),
            since: Some(Duration::from_secs(3_600)),
            limit: 5,
            json: false,
            admin: String::new(),
            dir: None,
        }
    }

    #[test]
    fn the_question_says_what_was_asked_for() {
        let body = r#"{"entries":[],"dropped":0}"#;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let (admin, serving) = serve_once(&answer);
        run(&WhyOptions { admin, ..options() }).unwrap();
        let request = serving.join().unwrap();
        let asked = "GET /journal?limit=5&about=10.0.0.1%3A80%20x&since=3600000ms HTTP/1.1";
        assert!(request.starts_with(asked), "{request}");
    }

    #[test]
    fn a_refusal_and_a_folder_that_is_not_there_are_failures() {
        let (admin, serving) = serve_once("HTTP/1.1 400 No\r\ncontent-length: 3\r\n\r\nodd");
        let error = run(&WhyOptions { admin, ..options() }).unwrap_err().to_string();
        serving.join().unwrap();
        assert!(error.ends_with("400: odd"), "{error}");
        let error =
            run(&WhyOptions { dir: Some("/nowhere/at/all".into()), ..options() }).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/at/all: "), "{error}");
    }
}
