//! The life of a call on its caller's side: asked for, let in, sent, answered or given up, tried again, over.
//! Each step here is one event or follows within one; what happens within a replica is in [`super::work`].

use super::Sim;
use super::call::{Ask, Call, End, NONE, Place, UNTRIED};
use super::engine::{ANSWER, REACH, RESEND};
use super::timers::NEVER;
use super::upstream::Settled;
use headgate_model::units::Tick;
use headgate_policy::balance;
use headgate_policy::breaker::Admission;
use headgate_policy::bulkhead::Entry;
use headgate_policy::retry::backoff;
use headgate_policy::retry::decide::{Attempt, Decision, decide};
use std::time::Duration;

impl Sim {
    /// Begins a call.
    pub(super) fn ask(&mut self, ask: Ask) {
        let Some(call) = self.calls.insert(ask) else {
            self.refused += 1;
            self.finish(ask, End::Overloaded);
            return;
        };
        let service = &mut self.services[usize::from(ask.service)];
        if let Some(cache) = &mut service.cache {
            if ask.write {
                cache.purge(ask.key);
            } else if cache.has(ask.key, &mut service.route_dice) {
                self.meter.cache_hit(usize::from(ask.service), ask.measured);
                self.answer_without_sending(call, End::Ok);
                return;
            }
        }
        self.enter(call);
    }

    /// Through the bulkhead, if there is one.
    fn enter(&mut self, call: u32) {
        let ask = self.calls[call].ask;
        let service = &mut self.services[usize::from(ask.service)];
        let upstream = &mut service.upstreams[usize::from(ask.gateway)];
        let Some(bulkhead) = upstream.bulkhead.filter(|_| !ask.bypass) else {
            self.send(call);
            return;
        };
        match bulkhead.enter(upstream.inside, upstream.gate.count) {
            Entry::Admitted => {
                upstream.inside += 1;
                self.calls[call].gated = true;
                self.send(call);
            }
            Entry::Queue => {
                if upstream.gate.count == 0 {
                    let slot = service.gate_slot + usize::from(ask.gateway);
                    self.timers.set(slot, bulkhead.deadline(Tick(self.now_ns)).0);
                }
                self.calls[call].sent_ns = bulkhead.deadline(Tick(self.now_ns)).0;
                upstream.gate.append(&mut self.calls, call);
            }
            Entry::Refused => self.answer_without_sending(call, End::Overloaded),
        }
    }

    /// Those in front of the bulkhead whose time is up are refused.
    pub(super) fn gate_timeout(&mut self, service: u16, gateway: u16) {
        let slot = self.services[usize::from(service)].gate_slot + usize::from(gateway);
        loop {
            let gate = &mut self.services[usize::from(service)].upstreams[usize::from(gateway)].gate;
            let first = gate.first;
            if first == NONE {
                self.timers.set(slot, NEVER);
                return;
            }
            let deadline_ns = self.calls[first].sent_ns;
            if deadline_ns > self.now_ns {
                self.timers.set(slot, deadline_ns);
                return;
            }
            gate.remove(&mut self.calls, first);
            self.answer_without_sending(first, End::QueueTimeout);
        }
    }

    /// Chooses a replica and sends an attempt to it.
    pub(super) fn send(&mut self, call: u32) {
        let now = Tick(self.now_ns);
        let record = &mut self.calls[call];
        let ask = record.ask;
        let service = &mut self.services[usize::from(ask.service)];
        let place = if ask.bypass {
            service.any_seat().map(|place| (place, Admission::Allowed))
        } else {
            let upstream = &mut service.upstreams[usize::from(ask.gateway)];
            if record.attempt == 1 {
                record.service_admission = upstream.admit(now);
                if record.service_admission == Admission::Refused {
                    self.answer_without_sending(call, End::BreakerOpen);
                    return;
                }
                if service.policies.retry.attempts > 1 {
                    upstream.budget.deposit(now);
                }
            }
            let asked = balance::Ask { now, hash: ask.key };
            upstream.choose(&service.policies, &service.seats, &asked, record.tried, &mut service.choice_dice)
        };
        let Some((place, admission)) = place else {
            self.answer_without_sending(call, End::NoEndpoint);
            return;
        };
        record.endpoint_admission = admission;
        record.replica = service.seats[place].replica;
        record.sent_ns = self.now_ns;
        if service.deadlines.count == 0 {
            self.timers.set(usize::from(ask.service), self.now_ns + service.timeout_ns);
        }
        let retry = record.attempt > 1;
        let replica = record.replica;
        service.deadlines.append(&mut self.calls, call);
        self.meter.attempt(usize::from(ask.service), ask.measured, retry);
        self.carry(call, replica, Place::ToReplica);
    }

    /// Puts a message to or from the replica on its way.
    pub(super) fn carry(&mut self, call: u32, replica: u32, place: Place) {
        let replica = &self.fleet.replicas[replica as usize];
        let record = &mut self.calls[call];
        let (from, to, event) = match place {
            Place::ToReplica => (record.ask.zone, replica.zone, REACH),
            _ => (replica.zone, record.ask.zone, ANSWER),
        };
        match self.network.one_way(from, to) {
            Some(one_way_ns) => {
                record.place = place;
                let at_ns = self.now_ns.saturating_add(one_way_ns).saturating_add(replica.delay_ns);
                self.queue.push(at_ns, event | call);
            }
            None => record.place = Place::Lost,
        }
    }

    /// Answers for a call that no replica has seen.
    fn answer_without_sending(&mut self, call: u32, end: End) {
        let record = &mut self.calls[call];
        (record.end, record.place, record.replica) = (end, Place::ToCaller, NONE);
        self.queue.push(self.now_ns, ANSWER | call);
    }

    /// An answer has reached the caller.
    pub(super) fn answered(&mut self, call: u32) {
        let record = &self.calls[call];
        if record.abandoned {
            self.calls.remove(call);
            return;
        }
        let end = record.end;
        if record.replica != NONE {
            self.settle(call, end);
        }
        self.conclude(call, end);
    }

    /// Attempts whose time is up are given up; the replica works on.
    pub(super) fn deadline(&mut self, service: u16) {
        let slot = usize::from(service);
        loop {
            let Some(due_ns) = self.services[slot].first_deadline_ns(&self.calls) else {
                self.timers.set(slot, NEVER);
                return;
            };
            if due_ns > self.now_ns {
                self.timers.set(slot, due_ns);
                return;
            }
            let call = self.services[slot].deadlines.first;
            self.settle(call, End::Timeout);
            if self.calls[call].place == Place::Lost {
                self.conclude(call, End::Timeout);
                continue;
            }
            // The record stays with the replica; the caller goes on with another one.
            let record = self.calls[call];
            self.calls[call].abandoned = true;
            match self.calls.insert(record.ask) {
                Some(next) => {
                    let (epoch, fresh) = (self.calls[next].epoch, &mut self.calls[next]);
                    *fresh = Call { epoch, ..record };
                    self.conclude(next, End::Timeout);
                }
                None => {
                    self.refused += 1;
                    self.give_back(&record, End::Timeout);
                    self.finish(record.ask, End::Timeout);
                }
            }
        }
    }

    /// Tells the policies how an attempt ended, and takes it out of the line of deadlines.
    fn settle(&mut self, call: u32, end: End) {
        let record = &self.calls[call];
        let ask = &record.ask;
        let service = &mut self.services[usize::from(ask.service)];
        if !ask.bypass {
            let settled = Settled {
                place: usize::from(self.fleet.replicas[record.replica as usize].place),
                sent: Tick(record.sent_ns),
                now: Tick(self.now_ns),
                end,
                admission: record.endpoint_admission,
            };
            let changes = service.upstreams[usize::from(ask.gateway)].settle(&service.policies, &settled);
            for change in changes.into_iter().flatten() {
                self.journal.note(self.now_ns, Some(ask.service), Some(record.replica), change);
            }
        }
        service.deadlines.remove(&mut self.calls, call);
    }

    /// An attempt is over and nobody else holds its record: another one, or the end of the call.
    fn conclude(&mut self, call: u32, end: End) {
        if end != End::Ok
            && let Some(wait) = self.retry(call, end)
        {
            self.back_off(call, wait);
            return;
        }
        let record = self.calls[call];
        self.calls.remove(call);
        self.give_back(&record, end);
        self.finish(record.ask, end);
    }

    /// The gateway is done with a call: its breaker hears of it, and its place in the bulkhead is free.
    fn give_back(&mut self, record: &Call, end: End) {
        let service = &mut self.services[usize::from(record.ask.service)];
        let upstream = &mut service.upstreams[usize::from(record.ask.gateway)];
        if let Some(change) = upstream.conclude(Tick(self.now_ns), record.service_admission, end) {
            self.journal.note(self.now_ns, Some(record.ask.service), None, change);
        }
        if record.gated {
            self.release(&record.ask);
        }
    }

    /// The record waits to be sent again, to another replica.
    #[cold]
    fn back_off(&mut self, call: u32, wait: Duration) {
        let record = &mut self.calls[call];
        let place = match record.replica {
            NONE => UNTRIED,
            replica => self.fleet.replicas[replica as usize].place,
        };
        record.tried = [place, record.tried[0]];
        (record.attempt, record.replica, record.place) = (record.attempt + 1, NONE, Place::Backoff);
        (record.pending, record.failed) = (0, false);
        let wait_ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.queue.push(self.now_ns.saturating_add(wait_ns), RESEND | call);
    }

    /// How long to wait before another attempt; `None` when there is none.
    fn retry(&mut self, call: u32, end: End) -> Option<Duration> {
        let record = &self.calls[call];
        let ask = record.ask;
        let service = &mut self.services[usize::from(ask.service)];
        let spec = &service.policies.retry;
        if spec.attempts <= 1 || ask.bypass {
            return None;
        }
        let attempt = Attempt {
            idempotent: !ask.write,
            body_replayable: true,
            used: record.attempt,
            failure: end.failure(),
        };
        let wait = match decide(spec, &attempt) {
            Decision::Stop(_) => return None,
            Decision::Now => Duration::ZERO,
            Decision::AfterBackoff => {
                let retry = u32::from(record.attempt);
                backoff::wait(retry, spec.backoff.0, spec.backoff_max.0, &mut service.choice_dice)
            }
        };
        let upstream = &mut service.upstreams[usize::from(ask.gateway)];
        // Who could not be connected to has no more to do by a second attempt elsewhere.
        let now = Tick(self.now_ns);
        let is_free = end == End::ConnectFailed && upstream.has_others(now);
        (is_free || upstream.budget.withdraw(now)).then_some(wait)
    }

    /// A call gives back its place in the bulkhead, and the first that waits takes it.
    fn release(&mut self, ask: &Ask) {
        let service = &mut self.services[usize::from(ask.service)];
        let upstream = &mut service.upstreams[usize::from(ask.gateway)];
        upstream.inside -= 1;
        let first = upstream.gate.first;
        if first != NONE && upstream.bulkhead.is_some_and(|bulkhead| bulkhead.leaves_queue(upstream.inside)) {
            upstream.gate.remove(&mut self.calls, first);
            upstream.inside += 1;
            self.calls[first].gated = true;
            self.send(first);
        }
    }

    /// A call is over: its caller goes on.
    pub(super) fn finish(&mut self, ask: Ask, end: End) {
        let latency_ns = self.now_ns - ask.began_ns;
        self.meter.call(usize::from(ask.service), end, latency_ns, ask.measured);
        if end == End::Ok
            && !ask.write
            && let Some(cache) = &mut self.services[usize::from(ask.service)].cache
        {
            cache.store(ask.key);
        }
        if ask.root {
            self.meter.answer(end, latency_ns, ask.measured);
            self.client_answered(ask.parent, latency_ns);
            return;
        }
        let parent = &mut self.calls[ask.parent];
        if parent.epoch != ask.parent_epoch {
            return;
        }
        parent.pending -= 1;
        parent.failed |= end != End::Ok && !ask.optional;
        if parent.pending > 0 {
            return;
        }
        if parent.failed {
            self.respond(ask.parent, End::Error);
        } else {
            parent.stage += 1;
            self.advance(ask.parent);
        }
    }
}
