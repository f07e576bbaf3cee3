//! Following the SRV records of a service to endpoints (RFC 2782).

use super::dns::{Answer, ResolveError, Resolver, failed, ttl};
use headgate_model::address::{EndpointAddress, Target};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Names of one answer that are looked up at the same time.
const TARGETS_AT_ONCE: usize = 16;
/// Endpoints that one answer may lead to before it is taken for a mistake or an attack.
const REACHED_MAX: usize = 10_000;
/// The largest weight of an endpoint.
const WEIGHT_MAX: u32 = 1_000;

/// The endpoints that the SRV records of `name` lead to (RFC 2782): those of the best priority that leads
/// to any. Weights are scaled to at most 1,000, and zero counts as one. A target without addresses is left
/// out; when asking for one fails, all fails, so that an outage of DNS does not make a service small.
pub(super) async fn services(
    resolver: &Arc<Resolver>,
    name: &str,
    known: &[(EndpointAddress, u16)],
) -> Result<Answer<(EndpointAddress, u16)>, ResolveError> {
    let lookup = resolver.ask(name, RecordType::SRV).await.map_err(|source| failed(name, source))?;
    let records: Vec<&SRV> = lookup.iter().flat_map(Lookup::answers).filter_map(srv).collect();
    if records.is_empty() {
        return Err(ResolveError::Empty { name: name.to_owned(), records: "SRV" });
    }
    // The lowest priority is the best.
    let mut by_priority: BTreeMap<u16, Vec<&SRV>> = BTreeMap::new();
    for record in records.into_iter().filter(|record| !record.target.is_root()) {
        by_priority.entry(record.priority).or_default().push(record);
    }
    if by_priority.is_empty() {
        return Err(ResolveError::NotAvailable { name: name.to_owned() });
    }
    for records in by_priority.into_values() {
        let targets = records.iter().map(|record| record.target.to_ascii()).collect();
        let targets = addresses_of(resolver, name, targets).await?;
        // Where a family was always out of reach it is not missed.
        let missed = targets.missing.iter().find(|&&records| known.iter().any(|known| is_of(known, records)));
        if let Some(&records) = missed {
            return Err(ResolveError::Missing { name: name.to_owned(), records });
        }
        let found = reached(name, &records, &targets.addresses)?;
        if !found.is_empty() {
            return Ok(Answer { found, ttl: ttl(lookup.as_ref()).min(targets.ttl), missing: None });
        }
    }
    Err(ResolveError::Empty { name: format!("no target of {name}"), records: "A or AAAA" })
}

/// What the targets of one priority lead to.
struct Targets {
    addresses: BTreeMap<String, Vec<IpAddr>>,
    /// The shortest.
    ttl: Duration,
    /// Records that could not be asked for, of some target.
    missing: Vec<RecordType>,
}

/// Asks for the addresses of all targets.
async fn addresses_of(
    resolver: &Arc<Resolver>,
    name: &str,
    targets: BTreeSet<String>,
) -> Result<Targets, ResolveError> {
    let mut all = Targets { addresses: BTreeMap::new(), ttl: Duration::MAX, missing: Vec::new() };
    let mut count = 0;
    let (mut asking, mut waiting) = (JoinSet::new(), targets.into_iter());
    loop {
        while asking.len() < TARGETS_AT_ONCE
            && let Some(target) = waiting.next()
        {
            let resolver = Arc::clone(resolver);
            asking.spawn(async move {
                let answer = resolver.addresses(&target, &[]).await;
                (target, answer)
            });
        }
        // A panic in a lookup leaves its target out.
        let Some(answered) = asking.join_next().await else { return Ok(all) };
        match answered {
            Ok((target, Ok(answer))) => {
                all.ttl = all.ttl.min(answer.ttl);
                all.missing.extend(answer.missing);
                count += answer.found.len();
                all.addresses.insert(target, answer.found);
            }
            Ok((_, Err(ResolveError::Empty { .. }))) | Err(_) => {}
            Ok((_, Err(error))) => return Err(error),
        }
        if count > REACHED_MAX {
            return Err(ResolveError::TooMany { name: name.to_owned() });
        }
    }
}

/// Whether such records lead to the endpoint.
fn is_of((known, _): &(EndpointAddress, u16), records: RecordType) -> bool {
    matches!(&known.target, Target::Ip(address) if address.is_ipv4() == (records == RecordType::A))
}

fn srv(record: &Record) -> Option<&SRV> {
    match &record.data {
        RData::SRV(srv) => Some(srv),
        _ => None,
    }
}

/// The endpoints of records of one priority, in order.
fn reached(
    name: &str,
    records: &[&SRV],
    addresses: &BTreeMap<String, Vec<IpAddr>>,
) -> Result<Vec<(EndpointAddress, u16)>, ResolveError> {
    let heaviest = records.iter().map(|record| u32::from(record.weight)).max().unwrap_or(0);
    // Two records may lead to one endpoint; the heavier counts.
    let mut found = BTreeMap::new();
    for record in records {
        for &address in addresses.get(&record.target.to_ascii()).into_iter().flatten() {
            let target = Target::Ip(SocketAddr::new(address, record.port));
            let weight = found.entry(EndpointAddress { target, tls: None }).or_insert(0);
            *weight = scaled(record.weight, heaviest).max(*weight);
        }
        if found.len() > REACHED_MAX {
            return Err(ResolveError::TooMany { name: name.to_owned() });
        }
    }
    Ok(found.into_iter().collect())
}

/// A weight of 16 bits as one of an endpoint. Zero would mean no requests at all, but in DNS it means few.
fn scaled(weight: u16, heaviest: u32) -> u16 {
    let weight = u32::from(weight);
    let scaled = if heaviest > WEIGHT_MAX { weight * WEIGHT_MAX / heaviest } else { weight };
    scaled.clamp(1, WEIGHT_MAX) as u16
}
