//! `headgate run`, `check` and `schema`: from a file or flags to a configuration, and from there to a
//! running server.

use crate::file::load;
use crate::say::{Failure, say};
use crate::service::{self, ServiceOptions};
use crate::supervisor;
use headgate_control::watch::Watch;
use headgate_gateway::snapshot::{Discovered, Snapshot};
use headgate_model::spec::{
    AccessLog, AdminSpec, Balance, BalancePolicy, Config, EndpointSpec, ListenSpec, RouteSpec, ServiceSpec,
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
    pub workers: Option<usize>,
    pub admin: Option<String>,
    pub access_log: Option<String>,
}

pub(crate) fn run(file: Option<PathBuf>, flags: &RunFlags) -> Result<(), Failure> {
    let watch = Watch::new(file.clone());
    let mut config = match &file {
        Some(file) => load(file)?,
        None => from_flags(flags)?,
    };
    if flags.workers.is_some() {
        config.workers = flags.workers;
    }
    if let Some(bind) = &flags.admin {
        config.admin = Some(AdminSpec { bind: bind.clone(), hosts: Vec::new() });
    }
    if let Some(format) = &flags.access_log {
        config.log = Some(AccessLog { format: format.clone().into(), path: None });
    }
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
    Ok(config)
}
