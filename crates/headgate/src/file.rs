//! The configuration file, read and checked, with what the command line says over it; and errors that come up
//! later, put at the place in it that they are about.

use crate::mistakes::Mistakes;
use crate::say::Failure;
use headgate_gateway::compile_error::CompileError;
use headgate_model::address::BindAddress;
use headgate_model::spec::{AccessLog, AdminSpec, Config};
use headgate_model::{ConfigError, locate, warnings};
use headgate_observe::log::{self, Level};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// A file that a running Headgate follows.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    pub path: PathBuf,
    pub overrides: Overrides,
}

/// What flags say in place of the file, at the start and at each reload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub workers: Option<usize>,
    pub admin: Option<String>,
    pub access_log: Option<String>,
}

impl ConfigFile {
    /// Reads the file as it is now.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        let (mut config, warnings) = load_with_warnings(&self.path)?;
        for warning in &warnings {
            let summary = warning.summary();
            log::event(Level::Warn, "configuration: a warning", &[("place", &summary)]);
        }
        self.overrides.apply(&mut config)?;
        Ok(config)
    }
}

impl Overrides {
    /// # Errors
    /// When the admin listener would be reached at the address of another one.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<(), Failure> {
        if self.workers.is_some() {
            config.workers = self.workers;
        }
        if let Some(bind) = &self.admin {
            let hosts = config.admin.take().map(|admin| admin.hosts).unwrap_or_default();
            config.admin = Some(AdminSpec { bind: bind.clone(), hosts });
        }
        if let Some(format) = &self.access_log {
            config.log = Some(AccessLog { format: format.clone().into(), path: None });
        }
        self.admin.as_deref().map_or(Ok(()), |admin| apart(admin, config))
    }
}

/// Clients of a listener must not come to the admin listener. What the file says of both was checked with it.
fn apart(admin: &str, config: &Config) -> Result<(), Failure> {
    let Ok(place) = admin.parse::<BindAddress>() else { return Ok(()) };
    let same = config.listeners.iter().find(|(_, listener)| {
        listener.bind.parse::<BindAddress>().is_ok_and(|address| address.clashes(&place))
    });
    match same {
        Some((name, _)) => {
            Err(format!("--admin {admin} is where the listener {name} is; write another address").into())
        }
        None => Ok(()),
    }
}

/// Reads `file`; the error lists every mistake with its place.
pub(crate) fn load(file: &Path) -> Result<Config, Failure> {
    load_with_warnings(file).map(|(config, _)| config)
}

/// The same, and what in it is most likely a mistake or wants to be known.
pub(crate) fn load_with_warnings(file: &Path) -> Result<(Config, Vec<ConfigError>), Failure> {
    let name = file.display().to_string();
    let text = read_to_string(file).map_err(|error| format!("cannot read {name}: {error}"))?;
    let config = headgate_model::load(&text, &name, &|variable| std::env::var(variable).ok());
    let config = config.map_err(Mistakes)?;
    let warnings = warnings(&text, &name, &config);
    Ok((config, warnings))
}

/// An error of compiling with the line that it is about; any other, or without a file, as it is.
pub(crate) fn located(file: Option<&Path>, error: Failure) -> Failure {
    match (
        file.and_then(|file| Some((file, read_to_string(file).ok()?))),
        error.downcast_ref::<CompileError>(),
    ) {
        (Some((file, text)), Some(CompileError { place, message })) => {
            let mut found = locate(&text, &file.display().to_string(), place, message);
            if message.contains("No such file") {
                found.help = std::env::current_dir().ok().map(relative_to);
            }
            Mistakes(vec![found]).into()
        }
        _ => error,
    }
}

fn relative_to(directory: PathBuf) -> String {
    format!("relative paths begin at the working directory, {}", directory.display())
}
