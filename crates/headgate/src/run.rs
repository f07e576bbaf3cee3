//! `headgate run`, `check` and `schema`: from a file or flags to a configuration, and from there to a
//! running server.

use crate::file::{ConfigFile, Overrides, load_with_warnings, located};
use crate::parent;
use crate::say::{Failure, remark, say, warn};
use crate::service::{self, ServiceOptions};
use crate::supervisor;
use headgate_control::watch::Watch;
use headgate_gateway::snapshot::{Discovered, Snapshot};
use headgate_model::spec::{
    Balance, BalancePolicy, CacheChoice, Config, EndpointSpec, ListenSpec, RouteSpec, ServiceSpec,
};
use headgate_model::{ConfigError, locate};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The flags of `headgate run`.
pub(crate) struct RunFlags {
    pub to: Vec<String>,
    pub listen: String,
    pub from: Option<String>,
    pub http2: bool,
    pub cache: bool,
    pub balance: Option<BalancePolicy>,
    pub with_parent: bool,
    pub overrides: Overrides,
}

pub(crate) fn run(file: Option<PathBuf>, flags: &RunFlags) -> Result<(), Failure> {
    if flags.with_parent {
        parent::follow()?;
        parent::watch_input()?;
    }
    let watch = Watch::new(file.clone());
    let file = file.map(|path| ConfigFile { path, overrides: flags.overrides.clone() });
    let config = match &file {
        Some(file) => file.load()?,
        None => from_flags(flags)?,
    };
    // Whoever pipes the access log into a parser wants nothing else there.
    let is_log = config.log.as_ref().is_some_and(|log| log.path.is_none());
    let tell = if is_log { remark } else { say };
    supervisor::run(file, watch, config, |running| {
        for (name, address) in running.addresses() {
            tell(&format!("listening on {address} [{name}]"))?;
        }
        if let Some(address) = running.admin_address() {
            tell(&format!("admin on {address}"))?;
        }
        Ok(())
    })
}

pub(crate) fn check(file: &Path) -> Result<(), Failure> {
    let (config, mut warnings) = load_with_warnings(file)?;
    warnings.extend(absent_lists(file, &config));
    warnings.extend(absent_log_folder(file, &config));
    let (listeners, services, routes) = (config.listeners.len(), config.services.len(), config.routes.len());
    Snapshot::compile(Arc::new(config), &Discovered::new(), None)
        .map_err(|error| located(Some(file), error.into()))?;
    warnings.sort_by_key(|warning| (warning.line, warning.column));
    for warning in &warnings {
        warn(warning);
    }
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let verdict = if warnings.is_empty() { "fine" } else { "usable, with warnings" };
    say(&format!(
        "{}: {verdict} ({}, {}, {})",
        file.display(),
        count(listeners, "listener"),
        count(services, "service"),
        count(routes, "route")
    ))
}

/// Watched files of endpoints that are not there: they may come later, until then the service has none.
fn absent_lists(file: &Path, config: &Config) -> Vec<ConfigError> {
    let Ok(text) = std::fs::read_to_string(file) else { return Vec::new() };
    let warning = |(name, service): (&String, &ServiceSpec)| {
        let source = service.discover.as_ref()?;
        let list = source.strip_prefix("file:")?;
        let error = std::fs::File::open(list).err()?;
        let message = format!("cannot read {source}: {error}; until it is there the service has no endpoint");
        Some(locate(&text, &file.display().to_string(), &format!("service.{name}"), &message))
    };
    config.services.iter().filter_map(warning).collect()
}

/// An access log in a folder that is not there, or not here: checks are made on other machines too.
fn absent_log_folder(file: &Path, config: &Config) -> Option<ConfigError> {
    let path = Path::new(config.log.as_ref()?.path.as_ref()?);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    if folder.is_dir() {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    let message =
        format!("there is no folder {}; without it the access log cannot be opened", folder.display());
    Some(locate(&text, &file.display().to_string(), "log.path", &message))
}

pub(crate) fn service(options: ServiceOptions) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(service::run(options))
}

pub(crate) fn schema() -> Result<(), Failure> {
    say(&format!("{:#}", headgate_model::schema::json_schema()))
}

/// The configuration that the flags stand for.
fn from_flags(flags: &RunFlags) -> Result<Config, Failure> {
    let endpoints = flags.to.iter().map(|address| EndpointSpec::Address(address.clone())).collect();
    let balance = flags.balance.map(Balance::Name);
    let mut config = Config::default();
    let http2 = flags.http2.then_some(true);
    let listen = ListenSpec { bind: flags.listen.clone(), http2, ..ListenSpec::default() };
    config.listeners.insert("web".to_owned(), listen);
    let service = ServiceSpec { endpoints, balance, ..ServiceSpec::default() };
    config.services.insert("upstream".to_owned(), service);
    config.routes.push(RouteSpec {
        pattern: format!("{}/*", flags.from.as_deref().unwrap_or_default()),
        service: Some("upstream".to_owned()),
        cache: flags.cache.then_some(CacheChoice::Switch(true)),
        ..RouteSpec::default()
    });
    flags.overrides.apply(&mut config)?;
    Ok(config)
}
