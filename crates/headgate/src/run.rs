//! `headgate run`, `check` and `schema`: from a file or flags to a configuration, and from there to a
//! running server.

use crate::file::{ConfigFile, Overrides, load};
use crate::say::{Failure, say};
use crate::service::{self, ServiceOptions};
use crate::supervisor;
use headgate_control::watch::Watch;
use headgate_gateway::snapshot::{Discovered, Snapshot};
use headgate_model::spec::{
    Balance, BalancePolicy, Config, EndpointSpec, ListenSpec, RouteSpec, ServiceSpec,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The flags of `headgate run`.
pub(crate) struct RunFlags {
    pub to: Vec<String>,
    pub listen: String,
    pub from: Option<String>,
    pub http2: bool,
    pub balance: Option<String>,
    pub overrides: Overrides,
}

pub(crate) fn run(file: Option<PathBuf>, flags: &RunFlags) -> Result<(), Failure> {
    let watch = Watch::new(file.clone());
    let file = file.map(|path| ConfigFile { path, overrides: flags.overrides.clone() });
    let config = match &file {
        Some(file) => file.load()?,
        None => from_flags(flags)?,
    };
    supervisor::run(file, watch, config, |running| {
        for (name, address) in running.addresses() {
            say(&format!("listening on {address} [{name}]"))?;
        }
        Ok(())
    })
}

pub(crate) fn check(file: &Path) -> Result<(), Failure> {
    let config = load(file)?;
    let (listeners, services, routes) = (config.listeners.len(), config.services.len(), config.routes.len());
    Snapshot::compile(Arc::new(config), &Discovered::new(), None)?;
    say(&format!("{}: fine ({listeners} listeners, {services} services, {routes} routes)", file.display()))
}

pub(crate) fn service(options: ServiceOptions) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(service::run(options))?)
}

pub(crate) fn schema() -> Result<(), Failure> {
    say(&format!("{:#}", headgate_model::schema::json_schema()))
}

/// The configuration that the flags stand for.
fn from_flags(flags: &RunFlags) -> Result<Config, Failure> {
    let endpoints = flags.to.iter().map(|address| EndpointSpec::Address(address.clone())).collect();
    let balance = match &flags.balance {
        None => None,
        Some(name) => {
            let text = toml::Value::String(name.clone());
            Some(Balance::Name(
                text.try_into::<BalancePolicy>().map_err(|error| format!("--balance: {error}"))?,
            ))
        }
    };
    let mut config = Config::default();
    let listen = ListenSpec { bind: flags.listen.clone(), http2: flags.http2, ..ListenSpec::default() };
    config.listeners.insert("web".to_owned(), listen);
    let service = ServiceSpec { endpoints, balance, ..ServiceSpec::default() };
    config.services.insert("upstream".to_owned(), service);
    config.routes.push(RouteSpec {
        pattern: format!("{}/*", flags.from.as_deref().unwrap_or_default()),
        service: Some("upstream".to_owned()),
        ..RouteSpec::default()
    });
    flags.overrides.apply(&mut config);
    Ok(config)
}
