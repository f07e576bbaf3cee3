//! `headgate lab gameday`: from a file to a game day, and its outcome to text, JSON and a report. What a game day
//! is, is the lab's own matter.

use crate::exit::Exit;
use crate::interrupt::{Second, stop_on_signal};
use crate::lab::beside;
use crate::load::{Display, environment, write};
use crate::mistakes::Mistakes;
use crate::say::{Failure, say};
use headgate_lab::gameday::{GameDay, GameDayError, Stage, Verdict};
use std::fs::{create_dir_all, read_to_string};
use std::io::stdin;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What `headgate lab gameday` was asked.
pub(crate) struct GameDayOptions {
    pub file: PathBuf,
    pub seed: Option<u64>,
    pub dry_run: bool,
    pub out: Option<PathBuf>,
    pub quiet: bool,
}

/// # Errors
/// When the file is faulty, the game day cannot begin, or a result cannot be written.
pub(crate) fn run(options: &GameDayOptions) -> Result<Exit, Failure> {
    let name = options.file.display().to_string();
    let text = read_to_string(&options.file).map_err(|error| format!("cannot read {name}: {error}"))?;
    let lookup = |variable: &str| std::env::var(variable).ok();
    let mut files = |named: &str| beside(&options.file, named);
    let game_day = GameDay::read(&text, &name, options.seed, &lookup, &mut files).map_err(Mistakes)?;
    say(game_day.schedule().trim_end())?;
    if options.dry_run {
        return Ok(Exit::Done);
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    stop_on_signal(&interrupted, Second::DoesNothing)?;
    let out = options.out.clone().unwrap_or_else(|| Path::new("lab-results").join(&game_day.spec.name));
    create_dir_all(&out).map_err(|error| format!("cannot make {}: {error}", out.display()))?;
    let mut course = Course { display: Display::new(options.quiet), stage: None, quiet: options.quiet };
    let program = std::env::current_exe()?;
    let outcome = game_day.run(&mut files, &interrupted, &program, &mut |stage, moment| {
        course.enter(stage);
        course.display.show(moment);
    });
    course.display.end();
    let outcome = outcome.map_err(|error| match error {
        GameDayError::Misfit(mistakes) => Failure::from(Mistakes(mistakes)),
        error => error.into(),
    })?;
    let (json, page) = (out.join("report.json"), out.join("report.html"));
    write(&json, &outcome.json()?)?;
    write(&page, &outcome.report(&environment()).html())?;
    say(&format!("\n{}\nreport         {}", outcome.text().trim_end(), page.display()))?;
    Ok(match outcome.verdict {
        Verdict::Held => Exit::Done,
        Verdict::NotHeld => Exit::Incomplete,
        Verdict::NotBegun | Verdict::Aborted | Verdict::Interrupted => Exit::Aborted,
    })
}

/// What a game day starts beside itself: takes its faults back if it does not.
pub(crate) fn guard() -> Result<(), Failure> {
    match headgate_lab::gameday::guard(stdin().lock()).as_slice() {
        [] => Ok(()),
        problems => Err(format!("faults of a game day are still there: {}", problems.join("; ")).into()),
    }
}

/// The course on standard error, with a line where a stage begins.
struct Course {
    display: Display,
    stage: Option<Stage>,
    quiet: bool,
}

impl Course {
    fn enter(&mut self, stage: Stage) {
        if self.stage == Some(stage) {
            return;
        }
        self.stage = Some(stage);
        self.display.end();
        self.display = Display::new(self.quiet);
        if !self.quiet {
            self.display.say(stage.name());
        }
    }
}
