//! How much of the system faults affect at once, and whether that is within the cap: reckoned from the plan
//! before it is carried out, and from what was hit while it is.

use super::exposition::Exposition;
use super::spec::RadiusSpec;
use serde::Serialize;
use std::collections::BTreeMap;

/// Beyond this many standard deviations a measured share is not chance.
const SIGMAS: f64 = 3.0;
/// Of fewer attempts a share says nothing.
const ATTEMPTS_MIN: f64 = 50.0;

/// Endpoints by service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fleet {
    pub(super) services: BTreeMap<String, BTreeMap<String, Standing>>,
}

/// What an endpoint gets of the attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    weight: f64,
    /// The gateway has taken it out, for whatever reason.
    is_out: bool,
}

impl Fleet {
    /// What a running gateway balances over now.
    pub(super) fn of(scrape: &Exposition) -> Self {
        let mut fleet = Self::default();
        for series in scrape.named("headgate_endpoint_weight").filter(|series| series.value > 0.0) {
            let (service, endpoint) = (series.label("service"), series.label("endpoint"));
            let standing = Standing { weight: series.value, is_out: false };
            fleet.services.entry(service.to_owned()).or_default().insert(endpoint.to_owned(), standing);
        }
        for name in ["headgate_endpoint_aside", "headgate_endpoint_ejected", "headgate_endpoint_unhealthy"] {
            for series in scrape.named(name).filter(|series| series.value > 0.0) {
                let service = fleet.services.get_mut(series.label("service"));
                if let Some(endpoint) = service.and_then(|it| it.get_mut(series.label("endpoint"))) {
                    endpoint.is_out = true;
                }
            }
        }
        fleet
    }

    /// What the file alone tells: pairs of a service, empty where it is not known, and an endpoint.
    pub(super) fn of_targets(known: impl Iterator<Item = (String, String)>) -> Self {
        let mut fleet = Self::default();
        for (service, endpoint) in known {
            let standing = Standing { weight: 1.0, is_out: false };
            fleet.services.entry(service).or_default().insert(endpoint, standing);
        }
        fleet
    }

    pub(super) fn knows(&self, endpoint: &str) -> bool {
        self.services.values().any(|endpoints| endpoints.contains_key(endpoint))
    }
}

/// What one fault reaches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reach {
    pub(super) service: Option<String>,
    pub(super) endpoint: Option<String>,
    /// Share of the attempts there, 0 to 1.
    pub(super) share: f64,
    pub(super) is_process: bool,
}

/// How much is affected at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Footprint {
    /// Attempts, of the service that is hit worst.
    pub requests_percent: f64,
    /// Endpoints that faults are aimed at, of the service that is hit worst.
    pub endpoints_percent: f64,
    pub processes: usize,
}

impl Footprint {
    /// Of faults that are in force together, when attempts spread by weight over the endpoints of a service that
    /// are not out.
    pub(super) fn of(reaches: &[Reach], fleet: &Fleet) -> Self {
        let processes = reaches.iter().filter(|reach| reach.is_process).count();
        let mut worst = Self { processes, ..Self::default() };
        for (service, endpoints) in &fleet.services {
            // Without a name it is all that the file knows of.
            let is_here = |reach: &&Reach| {
                service.is_empty() || reach.service.as_ref().is_none_or(|name| name == service)
            };
            let here: Vec<&Reach> = reaches.iter().filter(is_here).collect();
            if !here.is_empty() {
                worst = worst.larger(Self { processes, ..of_service(&here, endpoints) });
            }
        }
        if fleet.services.values().all(BTreeMap::is_empty) {
            // Nothing is known of the endpoints: the worst is assumed.
            let share = |reach: &Reach| 100.0 * reach.share;
            worst.requests_percent = reaches.iter().map(share).fold(0.0, f64::max);
        }
        worst
    }

    /// What of it is beyond the cap.
    pub(super) fn beyond(&self, cap: &RadiusSpec) -> Option<String> {
        // Sums of shares are not exact.
        const SLACK: f64 = 1e-9;
        let over = |percent: f64, cap: f64, what: &str| {
            (percent > cap + SLACK)
                .then(|| format!("{percent:.1} % of the {what} would be hit, above {cap} %"))
        };
        over(self.requests_percent, cap.requests_percent, "requests")
            .or_else(|| over(self.endpoints_percent, cap.endpoints_percent, "endpoints of a service"))
            .or_else(|| {
                (self.processes > cap.processes).then(|| {
                    format!("{} processes would be under a fault, above {}", self.processes, cap.processes)
                })
            })
    }

    pub(super) fn larger(self, other: Self) -> Self {
        Self {
            requests_percent: self.requests_percent.max(other.requests_percent),
            endpoints_percent: self.endpoints_percent.max(other.endpoints_percent),
            processes: self.processes.max(other.processes),
        }
    }
}

fn of_service(reaches: &[&Reach], endpoints: &BTreeMap<String, Standing>) -> Footprint {
    let is_aimed_at =
        |endpoint: &String| reaches.iter().any(|reach| reach.endpoint.as_ref() == Some(endpoint));
    // What no fault hits goes through.
    let spared = |endpoint: &String| -> f64 {
        let hits = reaches.iter().filter(|reach| reach.endpoint.as_ref().is_none_or(|aim| aim == endpoint));
        hits.map(|reach| 1.0 - reach.share).product()
    };
    // Where all are out, the gateway uses all.
    let all_out = endpoints.values().all(|standing| standing.is_out);
    let used = || endpoints.iter().filter(|(_, standing)| all_out || !standing.is_out);
    let weight: f64 = used().map(|(_, standing)| standing.weight).sum();
    let hit: f64 = used().map(|(endpoint, standing)| standing.weight * (1.0 - spared(endpoint))).sum();
    let aimed = endpoints.keys().filter(|endpoint| is_aimed_at(endpoint)).count();
    let lost =
        endpoints.iter().filter(|(endpoint, standing)| standing.is_out || is_aimed_at(endpoint)).count();
    Footprint {
        requests_percent: 100.0 * hit / weight.max(f64::MIN_POSITIVE),
        // What is out already counts beside what is aimed at, but is no reason against a fault without an aim.
        endpoints_percent: if aimed > 0 { 100.0 * lost as f64 / endpoints.len().max(1) as f64 } else { 0.0 },
        processes: 0,
    }
}

/// Attempts that were hit, of all attempts, since faults are in force.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Measured {
    pub(super) hits: f64,
    pub(super) attempts: f64,
}

impl Measured {
    pub(super) fn percent(&self) -> f64 {
        if self.attempts > 0.0 { 100.0 * self.hits / self.attempts } else { 0.0 }
    }

    /// Whether so many hits are above the cap by more than chance explains.
    pub(super) fn is_beyond(&self, cap_percent: f64) -> bool {
        let share = (cap_percent / 100.0).clamp(0.0, 1.0);
        let expected = self.attempts * share;
        let deviation = (expected * (1.0 - share)).sqrt();
        self.attempts >= ATTEMPTS_MIN && self.hits > expected + SIGMAS * deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(service: Option<&str>, endpoint: Option<&str>, share: f64) -> Reach {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Reach { service: text(service), endpoint: text(endpoint), share, is_process: false }
    }

    fn fleet() -> Fleet {
        let endpoint = |metric: &str, service: &str, endpoint: &str| {
            format!("headgate_endpoint_{metric}{{service=\"{service}\",endpoint=\"{endpoint}\"}} 1\n")
        };
        let shop = ["a", "b", "c", "d"].map(|name| endpoint("weight", "shop", name));
        let ads = ["x", "y"].map(|name| endpoint("weight", "ads", name));
        Fleet::of(&Exposition::parse(&[shop.concat(), ads.concat()].concat()))
    }

    #[test]
    fn weights_and_what_is_out_already_count() {
        let mut fleet = fleet();
        let shop = fleet.services.get_mut("shop").unwrap();
        shop.insert("a".to_owned(), Standing { weight: 5.0, is_out: false });
        let of = |fleet: &Fleet| {
            let print = Footprint::of(&[reach(None, Some("a"), 1.0)], fleet);
            (print.requests_percent, print.endpoints_percent)
        };
        assert_eq!(of(&fleet), (62.5, 25.0));
        let out = Standing { weight: 1.0, is_out: true };
        fleet.services.get_mut("shop").unwrap().extend([("b".to_owned(), out), ("c".to_owned(), out)]);
        assert_eq!((of(&fleet).0.round(), of(&fleet).1), (83.0, 75.0));
        let print = Footprint::of(&[reach(Some("shop"), None, 0.5)], &fleet);
        assert_eq!((print.requests_percent, print.endpoints_percent), (50.0, 0.0));
    }

    #[test]
    fn shares_add_up_over_endpoints_and_multiply_on_one() {
        let of = |reaches: &[Reach]| {
            let print = Footprint::of(reaches, &fleet());
            (print.requests_percent.round(), print.endpoints_percent.round())
        };
        assert_eq!(of(&[]), (0.0, 0.0));
        assert_eq!(of(&[reach(None, Some("a"), 1.0)]), (25.0, 25.0));
        assert_eq!(of(&[reach(None, Some("a"), 1.0), reach(None, Some("b"), 0.5)]), (38.0, 50.0));
        assert_eq!(of(&[reach(None, Some("x"), 1.0)]), (50.0, 50.0), "the service that is hit worst");
        assert_eq!(of(&[reach(Some("shop"), None, 0.1)]), (10.0, 0.0));
        assert_eq!(of(&[reach(Some("shop"), None, 0.5), reach(None, None, 0.5)]), (75.0, 0.0));
    }

    #[test]
    fn what_is_beyond_the_cap_is_said() {
        let cap = RadiusSpec { requests_percent: 25.0, endpoints_percent: 25.0, processes: 1 };
        let beyond = |reaches: &[Reach]| Footprint::of(reaches, &fleet()).beyond(&cap);
        assert_eq!(beyond(&[reach(None, Some("a"), 1.0)]), None);
        assert!(beyond(&[reach(None, Some("x"), 1.0)]).unwrap().starts_with("50.0 % of the requests"));
        assert!(beyond(&[reach(None, Some("x"), 0.1)]).unwrap().contains("endpoints"));
        let process = Reach { is_process: true, ..reach(None, Some("a"), 0.0) };
        assert!(beyond(&[process.clone(), process]).unwrap().starts_with("2 processes"));
        let unknown = Footprint::of(&[reach(None, None, 0.5)], &Fleet::default());
        assert!(unknown.beyond(&cap).is_some());
    }

    #[test]
    fn a_measured_share_is_beyond_the_cap_only_when_chance_does_not_explain_it() {
        let is_beyond = |hits, attempts| Measured { hits, attempts }.is_beyond(25.0);
        assert!(!is_beyond(25.0, 100.0) && !is_beyond(30.0, 100.0) && is_beyond(45.0, 100.0));
        assert!(is_beyond(300.0, 1_000.0) && !is_beyond(40.0, 40.0));
    }
}
