//! A process beside a game day that takes its faults back when the game day ends without having done so: killed,
//! or crashed. It is told of each fault before it begins, and acts on the end of its input only.

use super::act::{Act, Reins};
use super::run::GameDayError;
use crate::load::Target;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// A longer line is from nobody who starts guards.
const LINE_MAX: u64 = 1 << 20;

/// What a guard is told, one JSON document a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// Address of the admin listener; the first word.
    Admin(String),
    /// This is about to be done.
    Arm { id: String, act: Act },
    /// It has been taken back.
    Disarm(String),
}

/// The game day's side.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
    /// None when the guard does not listen any more.
    words: Mutex<Option<ChildStdin>>,
}

impl Guard {
    /// Starts `command`, which calls [`guard`].
    ///
    /// # Errors
    /// [`GameDayError::Guard`]: without one, faults could stay.
    pub(super) fn start(mut command: Command, admin: &str) -> Result<Self, GameDayError> {
        // A Ctrl-C in the terminal goes to the whole group, and this is the one that must not end by it.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().map_err(GameDayError::Guard)?;
        let words = Mutex::new(child.stdin.take());
        let guard = Self { child, words };
        guard.tell(&Word::Admin(admin.to_owned()));
        Ok(guard)
    }

    pub(super) fn arm(&self, id: &str, act: &Act) {
        if act.outlives_us() {
            self.tell(&Word::Arm { id: id.to_owned(), act: act.clone() });
        }
    }

    pub(super) fn disarm(&self, id: &str) {
        self.tell(&Word::Disarm(id.to_owned()));
    }

    fn tell(&self, word: &Word) {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let told = words.as_mut().map(|pipe| {
            // It consists of text and numbers.
            let line = serde_json::to_string(word).unwrap_or_default();
            writeln!(pipe, "{line}").and_then(|()| pipe.flush())
        });
        // A guard that is gone is a net that is missing, no reason to fall.
        if matches!(told, Some(Err(_))) {
            *words = None;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // With the end of its input it takes back what is still armed, and ends.
        self.words.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = self.child.wait();
    }
}

/// The guard's side: reads until the input ends, then takes back what is armed. Gives what could not be.
pub fn guard(input: impl BufRead) -> Vec<String> {
    let mut input = input;
    let (mut admin, mut armed) = (None, BTreeMap::new());
    loop {
        let mut line = String::new();
        match input.by_ref().take(LINE_MAX).read_line(&mut line) {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
        match serde_json::from_str(&line) {
            Ok(Word::Admin(url)) => admin = Target::parse(&url).ok(),
            Ok(Word::Arm { id, act }) => {
                armed.insert(id, act);
            }
            Ok(Word::Disarm(id)) => {
                armed.remove(&id);
            }
            // A line that was cut by the end of its writer.
            Err(_) => {}
        }
    }
    let Some(admin) = admin else { return Vec::new() };
    let reins = Reins { admin: &admin, rig: None };
    armed.values().rev().filter_map(|act| act.end(reins).problem).collect()
}
