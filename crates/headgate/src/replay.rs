//! `headgate replay FILE...`: what a cache would have saved. It opens files, spreads policies and sizes over
//! threads and prints; reading and accounting are the lab's.

mod progress;

use crate::open;
use crate::say::{Failure, say, warn};
use headgate_lab::replay::format::{Csv, Format, Json, Parser};
use headgate_lab::replay::play::Played;
use headgate_lab::replay::prefetch::{self, Outcome};
use headgate_lab::replay::read::{self, Tally};
use headgate_lab::replay::result::{BELADY, Comparison, PREFETCH, Size, bytes};
use headgate_lab::replay::trace::{OBJECTS_MAX, REQUESTS_MAX, Recorder, Trace};
use headgate_lab::replay::{limit, play};
use headgate_policy::evict::Kind;
use headgate_policy::evict::adaptive::Goal;
use progress::Progress;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The options of `headgate replay`.
#[derive(clap::Args)]
pub(crate) struct ReplayArgs {
    /// Logs and traces in the order of their requests, plain or compressed by gzip, zstd or xz; `-` is standard
    /// input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Format of the files: access, haproxy, json, csv, keys, sized, arc, u32 or i64. Default: told by their
    /// content.
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// For csv: the names of the columns from the left (key, size, duration_ms, method, status, ...). For json:
    /// `meaning=field`, as in key=url,size=length,duration_ms=took.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    columns: Vec<String>,
    /// Sizes of the cache: of the distinct bytes, or 64MiB, 1GB.
    #[arg(long, value_delimiter = ',', value_name = "SIZES", default_value = "1%,5%,10%,25%", value_parser = Size::parse)]
    sizes: Vec<Size>,
    /// Also requests that a cache would not store by their method and status.
    #[arg(long)]
    all: bool,
    /// Count every object as one byte: hit ratios by number of objects.
    #[arg(long)]
    unit: bool,
    /// Also play s3fifo with fetching ahead: what is likely to come next by tables learned on the way, at the same
    /// size, for at most 10 % more origin requests.
    #[arg(long)]
    prefetch: bool,
    /// What is to be saved: objects, bytes or cost (time of the origin). It steers `adaptive` and the recommendation.
    /// Default: cost where the log has durations, objects where not.
    #[arg(long, value_name = "GOAL", value_parser = goal)]
    goal: Option<Goal>,
    /// Threads that play policies. Default: one per core.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Also write the figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write a report with curves to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

fn format(name: &str) -> Result<Format, String> {
    Format::ALL
        .into_iter()
        .find(|format| format.name() == name)
        .ok_or_else(|| format!("known formats: {}", Format::ALL.map(Format::name).join(", ")))
}

fn goal(name: &str) -> Result<Goal, String> {
    Goal::ALL
        .into_iter()
        .find(|goal| goal.name() == name)
        .ok_or_else(|| format!("known goals: {}", Goal::ALL.map(Goal::name).join(", ")))
}

/// # Errors
/// When a file cannot be opened or its format told, when no request could be read, or a result not be written.
pub(crate) fn run(args: &ReplayArgs) -> Result<(), Failure> {
    let mut recorder = Recorder::new(args.unit);
    let mut progress = Progress::new();
    let mut facts = Vec::new();
    let mut notes = Vec::new();
    for file in &args.files {
        let name = file.display().to_string();
        let (format, tally) = read_file(args, file, &mut recorder, &mut progress)?;
        progress.end();
        facts.push((name.clone(), fact(format, &tally)));
        notes.extend(complaints(&name, &tally));
    }
    if recorder.left_out > 0 {
        notes.push(format!(
            "{} requests are left out: a replay holds {REQUESTS_MAX} requests for {OBJECTS_MAX} objects; what \
             it says is about the others",
            recorder.left_out
        ));
    }
    notes.iter().for_each(warn);
    if recorder.is_empty() {
        return Err(
            "no request could be read: name the format with --format, or take what is not cacheable \
                    too with --all"
                .into(),
        );
    }
    let trace = recorder.finish();
    let (comparison, ahead, speed) = compare(&trace, args, &mut progress);
    print(&comparison, &facts)?;
    ahead.iter().try_for_each(|(capacity, outcome)| say_ahead(*capacity, outcome))?;
    if let Some(toml) = comparison.configuration() {
        say(&format!("\nRecommended configuration:\n\n{}", toml.trim_end()))?;
    }
    remark_speed(speed)?;
    if let Some(path) = &args.json {
        put(path, &serde_json::to_string_pretty(&comparison)?)?;
    }
    if let Some(path) = &args.html {
        put(path, &comparison.report(&facts, &notes).html())?;
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

fn read_file(
    args: &ReplayArgs,
    file: &Path,
    recorder: &mut Recorder,
    progress: &mut Progress,
) -> Result<(Format, Tally), Failure> {
    let name = file.display();
    let (mut input, position) =
        open::open_watched(file).map_err(|error| format!("cannot read {name}: {error}"))?;
    let start = input.fill_buf().map_err(|error| format!("cannot read {name}: {error}"))?;
    let guessed = || if args.columns.is_empty() { Format::guess(start) } else { Some(given(&args.columns)) };
    let format = args.format.or_else(guessed).ok_or_else(|| {
        format!("{name}: this is none of the known formats by its first lines; name one with --format")
    })?;
    let mut told =
        |requests: usize| progress.show(position.share(), &format!("{name}: {requests} requests read"));
    let tally = match parser(format, &args.columns)? {
        Some(mut parser) => read::lines(&mut input, &mut parser, args.all, recorder, &mut told),
        None => read::words(&mut input, format, recorder, &mut told),
    };
    Ok((format, tally))
}

/// The format that names of columns are for.
fn given(columns: &[String]) -> Format {
    if columns.iter().any(|column| column.contains('=')) { Format::Json } else { Format::Csv }
}

/// None for formats without lines.
fn parser(format: Format, columns: &[String]) -> Result<Option<Parser>, String> {
    if !columns.is_empty() && !matches!(format, Format::Csv | Format::Json) {
        return Err(format!("--columns is for csv and json, not for {}", format.name()));
    }
    Ok(Some(match format {
        Format::Access => Parser::Access,
        Format::Haproxy => Parser::Haproxy,
        Format::Json => Parser::Json(json(columns)?),
        Format::Csv if columns.is_empty() => Parser::Csv(Csv::default()),
        Format::Csv => Parser::Csv(Csv::named(&columns.iter().map(String::as_str).collect::<Vec<_>>())?),
        Format::Keys => Parser::Keys,
        Format::Sized => Parser::Sized,
        Format::Arc => Parser::Arc,
        Format::U32 | Format::I64 => return Ok(None),
    }))
}

fn json(columns: &[String]) -> Result<Json, String> {
    let mut json = Json::default();
    let keys = columns.iter().filter_map(|column| column.strip_prefix("key="));
    let keys: Vec<String> = keys.map(str::to_owned).collect();
    if !keys.is_empty() {
        json.key = keys;
    }
    for column in columns {
        let Some((meaning, field)) = column.split_once('=') else {
            return Err(format!("`{column}`: fields of json are named as in key=url,size=length"));
        };
        let field = field.to_owned();
        match meaning {
            "key" => {}
            "size" => json.bytes = field,
            "method" => json.method = field,
            "status" => json.status = field,
            "duration_us" => (json.duration, json.duration_unit_us) = (field, 1.0),
            "duration_ms" => (json.duration, json.duration_unit_us) = (field, 1e3),
            "duration_s" => (json.duration, json.duration_unit_us) = (field, 1e6),
            other => {
                return Err(format!(
                    "`{other}` is no meaning of a field (key, size, method, status, duration_us, duration_ms, \
                     duration_s)"
                ));
            }
        }
    }
    Ok(json)
}

fn fact(format: Format, tally: &Tally) -> String {
    format!(
        "{}: {} requests, {} not cacheable, {} damaged",
        format.name(),
        tally.requests,
        tally.not_cacheable,
        tally.damaged
    )
}

fn complaints(name: &str, tally: &Tally) -> Vec<String> {
    let mut complaints = Vec::new();
    if tally.damaged > 0 {
        complaints.push(format!("{name}: {} damaged lines are left out; the first:", tally.damaged));
    }
    let examples = tally.examples.iter();
    complaints.extend(examples.map(|(number, why, line)| format!("{name}:{number}: {why}: {line}")));
    complaints
        .extend(tally.broken_off.iter().map(|why| format!("{name}: what follows could not be read: {why}")));
    complaints
}

/// What one thread plays.
#[derive(Clone, Copy, PartialEq)]
enum Player {
    Policy(Kind),
    Prefetch,
    Limit,
}

/// At one size.
#[derive(Clone, Copy)]
struct Job {
    player: Player,
    capacity: u64,
}

impl Player {
    fn name(self) -> &'static str {
        match self {
            Self::Policy(kind) => kind.name(),
            Self::Prefetch => PREFETCH,
            Self::Limit => BELADY,
        }
    }
}

/// What a job gave.
#[derive(Clone)]
struct Finished {
    played: Played,
    ahead: Option<Outcome>,
    took: Duration,
}

/// Requests that were played and the time that it took, of all threads together and of the slowest policy.
#[derive(Clone, Copy)]
struct Speed {
    requests: u64,
    elapsed: Duration,
    slowest: Option<(&'static str, Duration)>,
    per_job: u64,
}

fn compare(
    trace: &Trace,
    args: &ReplayArgs,
    progress: &mut Progress,
) -> (Comparison, Vec<(u64, Outcome)>, Speed) {
    let goal = args.goal.unwrap_or(if trace.is_timed { Goal::Cost } else { Goal::Objects });
    let mut comparison = Comparison::new(trace, goal);
    let mut sizes: Vec<u64> = args.sizes.iter().map(|size| size.bytes(comparison.object_bytes)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut players: Vec<Player> = Kind::ALL.into_iter().map(Player::Policy).collect();
    players.extend(args.prefetch.then_some(Player::Prefetch));
    players.push(Player::Limit);
    let of_size = |size: &u64| {
        let capacity = *size;
        players.iter().map(move |player| Job { player: *player, capacity })
    };
    let jobs: Vec<Job> = sizes.iter().flat_map(of_size).collect();
    let next = limit::next_uses(trace);
    let threads =
        args.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let (taken, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results: Mutex<Vec<Option<Finished>>> = Mutex::new(vec![None; jobs.len()]);
    let began = Instant::now();
    let work = || {
        loop {
            let at = taken.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { return };
            let began = Instant::now();
            let (played, ahead) = match job.player {
                Player::Policy(kind) => (play::play(kind, job.capacity, goal, trace), None),
                Player::Limit => {
                    (Played { savings: limit::play(job.capacity, trace, &next), curve: None }, None)
                }
                Player::Prefetch => {
                    let rules = prefetch::Rules::new(Kind::S3Fifo, job.capacity);
                    let (savings, outcome) = prefetch::play_trace(trace, &rules);
                    (Played { savings, curve: None }, Some(outcome))
                }
            };
            let finished = Finished { played, ahead, took: began.elapsed() };
            results.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(finished);
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads.min(jobs.len())).map(|_| scope.spawn(work)).collect();
        while players.iter().any(|player| !player.is_finished()) {
            std::thread::park_timeout(Duration::from_millis(20));
            let done = done.load(Ordering::Relaxed);
            let share = done as f64 / jobs.len().max(1) as f64;
            progress.show(
                Some(share),
                &format!("{done} of {} combinations of policy and size played", jobs.len()),
            );
        }
    });
    progress.end();
    let elapsed = began.elapsed();
    let mut slowest: Option<(&'static str, Duration)> = None;
    let mut ahead = Vec::new();
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (job, Finished { played, ahead: outcome, took }) in jobs.iter().zip(results.into_iter().flatten()) {
        comparison.add(job.player.name(), job.capacity, played);
        ahead.extend(outcome.map(|outcome| (job.capacity, outcome)));
        if job.player != Player::Limit && slowest.is_none_or(|(_, most)| took > most) {
            slowest = Some((job.player.name(), took));
        }
    }
    let per_job = trace.requests.len() as u64;
    (comparison, ahead, Speed { requests: per_job * jobs.len() as u64, elapsed, slowest, per_job })
}

fn print(comparison: &Comparison, facts: &[(String, String)]) -> Result<(), Failure> {
    for (name, fact) in facts {
        say(&format!("{name}: {fact}"))?;
    }
    say(&comparison.headline())?;
    for table in comparison.tables() {
        say(&format!("\n{}", table.to_string().trim_end()))?;
    }
    let limit = if comparison.is_uniform {
        "belady knows the future: no eviction saves more."
    } else {
        "belady knows the future; for objects of many sizes it is a strong rule, and no proven bound."
    };
    say(&format!("\n{limit} An object counts as a hit however old it is: freshness is not in a log."))?;
    let doublings = comparison.doublings();
    if !doublings.is_empty() {
        say("\nBy the shadows of adaptive:")?;
        doublings.iter().try_for_each(|text| say(&format!("  {text}")))?;
    }
    Ok(())
}

fn say_ahead(capacity: u64, outcome: &Outcome) -> Result<(), Failure> {
    let unused = outcome.fetched.saturating_sub(outcome.used);
    let without = (outcome.demanded + outcome.used).max(1);
    say(&format!(
        "{PREFETCH} at {}: {} fetched ahead, {} of them used; {:.2} % more origin requests than without what was \
         fetched",
        bytes(capacity),
        outcome.fetched,
        outcome.used,
        100.0 * unused as f64 / without as f64
    ))
}

fn remark_speed(speed: Speed) -> Result<(), Failure> {
    let rate = |requests: u64, took: Duration| requests as f64 / took.as_secs_f64().max(1e-9) / 1e6;
    let slowest = speed.slowest.map_or_else(String::new, |(name, took)| {
        format!("; the slowest, {name}, {:.2} million on its thread", rate(speed.per_job, took))
    });
    crate::say::remark(&format!(
        "played {:.2} million requests per second over all threads{slowest}",
        rate(speed.requests, speed.elapsed)
    ))
}
