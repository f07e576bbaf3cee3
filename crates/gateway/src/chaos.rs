//! The chaos rules in force: compiled with a snapshot, asked by each worker, counted. What they say is acted on
//! elsewhere, and which are in force is decided elsewhere.

use headgate_model::address::EndpointAddress;
use headgate_model::dice::Dice;
use headgate_model::spec::ChaosRule;
use headgate_model::units::Tick;
use headgate_observe::chaos_metrics::chaos_hits;
use headgate_observe::counter::Counter;
use headgate_observe::registry::WorkerMetrics;
use headgate_policy::chaos::{Aim, Rule, Rules, Verdict};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The rules in force: part of a snapshot, absent when there are none.
pub struct Chaos {
    rules: Rules,
    /// Name and hits of each rule, over all workers and reloads.
    counts: Vec<(Box<str>, Arc<AtomicU64>)>,
}

/// A rule that is to be in force.
pub struct InForce<'a> {
    pub rule: &'a ChaosRule,
    /// From this point on it hits nothing.
    pub until: Option<Tick>,
    pub hits: Arc<AtomicU64>,
    /// Attempts that a rule with a seed was about.
    pub asked: Arc<AtomicU64>,
}

impl Chaos {
    /// `None` for no rules, so that no request looks at them.
    pub fn compile<'a>(rules: impl IntoIterator<Item = InForce<'a>>) -> Option<Arc<Self>> {
        let mut counts = Vec::new();
        let compiled = rules.into_iter().map(|InForce { rule, until, hits, asked }| {
            counts.push((rule.name.as_str().into(), hits));
            // An endpoint is known by its address in full, however the rule writes it.
            let endpoint = rule.endpoint.as_ref().map(|written| {
                written.parse::<EndpointAddress>().map_or_else(|_| written.clone(), |it| it.to_string())
            });
            Rule::new(rule, endpoint.as_deref(), until, &asked)
        });
        let compiled: Vec<Rule> = compiled.collect();
        (!compiled.is_empty()).then(|| Arc::new(Self { rules: Rules::new(compiled), counts }))
    }

    /// What befalls a health probe of this endpoint. Hits are attempts, so that this is none.
    pub fn verdict_on_probe(
        &self,
        service: &str,
        endpoint: &str,
        now: Tick,
        dice: &mut Dice,
    ) -> Option<Verdict> {
        self.rules.verdict_on_probe(service, endpoint, now, dice)
    }
}

/// One worker's side of the rules.
pub(crate) struct ChaosView {
    chaos: Arc<Chaos>,
    /// Of each rule.
    hits: Vec<Arc<Counter>>,
}

impl ChaosView {
    pub(crate) fn new(chaos: &Arc<Chaos>, metrics: &WorkerMetrics) -> Self {
        let hits = chaos.counts.iter().map(|(name, _)| chaos_hits(metrics, name)).collect();
        Self { chaos: Arc::clone(chaos), hits }
    }

    /// What befalls an attempt; counted.
    pub(crate) fn verdict(&self, aim: &Aim<'_>, now: Tick, dice: &mut Dice) -> Option<Verdict> {
        let verdict = self.chaos.rules.verdict(aim, now, dice)?;
        for &hit in &verdict.hits {
            self.hits[hit].inc();
            self.chaos.counts[hit].1.fetch_add(1, Ordering::Relaxed);
        }
        Some(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_observe::registry::Registry;

    #[test]
    fn an_endpoint_is_known_however_its_address_is_written_and_hits_are_counted() {
        let config =
            "[listen.web]\nbind = \":0\"\n[[chaos]]\nname = \"a\"\nendpoint = \":1\"\nfault = \"stall\"\n";
        let config = headgate_model::load(config, "test.toml", &|_| None).unwrap();
        let hits = Arc::<AtomicU64>::default();
        let rule =
            InForce { rule: &config.chaos[0], until: None, hits: Arc::clone(&hits), asked: Arc::default() };
        let chaos = Chaos::compile([rule]).unwrap();
        let view = ChaosView::new(&chaos, &Registry::default().worker(0));
        let hit = |endpoint| {
            let aim = Aim { route: "r", service: "s", endpoint };
            view.verdict(&aim, Tick(0), &mut Dice::new(1)).is_some()
        };
        assert!(hit("127.0.0.1:1") && !hit("127.0.0.1:2"));
        assert_eq!(hits.load(Ordering::Relaxed), 1);
        assert!(Chaos::compile([]).is_none(), "no rule costs nothing");
    }
}
