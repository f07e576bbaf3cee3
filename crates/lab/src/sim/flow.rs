//! The life of a call: asked for, let in, sent, queued, worked on, answered, given up, tried again. Each step
//! here is one event or follows within one.

use super::Sim;
use super::call::{Ask, End, NONE, Place, UNTRIED};
use super::engine::{ANSWER, REACH, RESEND};
use super::fleet::{ReplicaState, Stage};
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
                upstream.budget.deposit(now);
            }
            record.service_admission = upstream.admit(now);
            if record.service_admission == Admission::Refused {
                self.answer_without_sending(call, End::BreakerOpen);
                return;
            }
            let asked = balance::Ask { now, hash: ask.key };
            let dice = &mut service.choice_dice;
            let place = upstream.choose(&service.policies, &service.seats, &asked, record.tried, dice);
            if place.is_none() {
                upstream.abandon(now, record.service_admission);
            }
            place
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
    fn carry(&mut self, call: u32, replica: u32, place: Place) {
        let replica = &self.fleet.replicas[replica as usize];
        let record = &mut self.calls[call];
        let (from, to, event) = match place {
            Place::ToReplica => (record.ask.zone, replica.zone, REACH),
            _ => (replica.zone, record.ask.zone, ANSWER),
        };
        match self.network.one_way(from, to) {
            Some(one_way_ns) => {
                record.place = place;
                self.queue.push(self.now_ns + one_way_ns + replica.delay_ns, event | call);
            }
            None => record.place = Place::Lost,
        }
    }

    /// An attempt has reached its replica.
    pub(super) fn reach(&mut self, call: u32) {
        if self.calls[call].abandoned {
            self.calls.remove(call);
            return;
        }
        let index = self.calls[call].replica;
        let replica = &mut self.fleet.replicas[index as usize];
        let service = &mut self.services[usize::from(replica.service)];
        if replica.state != ReplicaState::Up {
            self.respond_from_outside(call, End::ConnectFailed);
        } else if replica.fails > 0.0 && service.route_dice.unit() < replica.fails {
            self.respond_from_outside(call, End::Error);
        } else if replica.inside < service.spec.concurrency {
            self.begin(call);
        } else if replica.queue.len() < service.spec.queue as usize {
            replica.queue.push_back(call);
            self.calls[call].place = Place::Queued;
        } else {
            self.respond_from_outside(call, End::Full);
        }
    }

    /// A call takes a place in its replica.
    fn begin(&mut self, call: u32) {
        let replica = self.calls[call].replica;
        self.fleet.replicas[replica as usize].enter(self.now_ns);
        self.calls[call].stage = 0;
        self.advance(call);
    }

    /// Runs stages until one has to wait.
    fn advance(&mut self, call: u32) {
        loop {
            let record = &mut self.calls[call];
            let (index, replica, ask) = (usize::from(record.stage), record.replica, record.ask);
            let service = &mut self.services[usize::from(ask.service)];
            match service.stages.get(index) {
                Some(Stage::Work(sampler)) => {
                    let mut work_ns = sampler.sample(&mut service.work_dice);
                    if index == 0 {
                        work_ns += service.work_per_kib_ns * u64::from(ask.response_kib);
                    }
                    record.place = Place::Running;
                    self.fleet.replicas[replica as usize].server.add(self.now_ns, work_ns, call);
                    self.fleet.changed(replica, &mut self.timers, self.now_ns);
                    return;
                }
                Some(&Stage::Calls { first, count }) => {
                    record.place = Place::Calling;
                    if self.call_others(call, first, count) {
                        return;
                    }
                    self.calls[call].stage += 1;
                }
                None => {
                    self.respond(call, End::Ok);
                    return;
                }
            }
        }
    }

    /// Calls other services; false when there is nothing to wait for.
    fn call_others(&mut self, call: u32, first: u16, count: u16) -> bool {
        let record = &mut self.calls[call];
        let (ask, epoch, replica) = (record.ask, record.epoch, record.replica);
        // One more, so that an answer within this loop does not end the stage.
        record.pending = 1;
        let zone = self.fleet.replicas[replica as usize].zone;
        for index in first..first + count {
            let service = &mut self.services[usize::from(ask.service)];
            let edge = service.edges[usize::from(index)];
            if edge.share < 1.0 && service.route_dice.unit() >= edge.share {
                continue;
            }
            let bypass = self.bypass > 0.0 && service.route_dice.unit() < self.bypass;
            self.calls[call].pending += 1;
            self.ask(Ask {
                parent: call,
                parent_epoch: epoch,
                began_ns: self.now_ns,
                zone,
                service: edge.service,
                root: false,
                optional: edge.optional,
                bypass,
                ..ask
            });
        }
        let record = &mut self.calls[call];
        record.pending -= 1;
        if record.pending == 0 && record.failed {
            self.respond(call, End::Error);
            return true;
        }
        self.calls[call].pending > 0
    }

    /// The processor has done a job.
    pub(super) fn worked(&mut self, replica: u32) {
        let done = self.fleet.replicas[replica as usize].server.complete(self.now_ns);
        self.fleet.changed(replica, &mut self.timers, self.now_ns);
        if let Some(call) = done {
            self.calls[call].stage += 1;
            self.advance(call);
        }
    }

    /// A call gives up its place in the replica and answers.
    fn respond(&mut self, call: u32, end: End) {
        let index = self.calls[call].replica;
        let replica = &mut self.fleet.replicas[index as usize];
        replica.leave(self.now_ns, 1);
        let next = replica.queue.pop_front();
        self.respond_from_outside(call, end);
        match next {
            Some(next) => self.begin(next),
            None => self.leave_if_empty(index),
        }
    }

    /// Answers for a call that holds no place.
    pub(super) fn respond_from_outside(&mut self, call: u32, end: End) {
        let record = &mut self.calls[call];
        if record.abandoned {
            self.calls.remove(call);
            return;
        }
        record.end = end;
        let replica = record.replica;
        self.carry(call, replica, Place::ToCaller);
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
                    *fresh = super::call::Call { epoch, ..record };
                    self.conclude(next, End::Timeout);
                }
                None => {
                    self.refused += 1;
                    self.release(&record.ask, record.gated);
                    self.finish(record.ask, End::Timeout);
                }
            }
        }
    }

    /// Tells the policies how an attempt ended, and takes it out of the line of deadlines.
    fn settle(&mut self, call: u32, end: End) {
        let record = self.calls[call];
        let service = &mut self.services[usize::from(record.ask.service)];
        service.deadlines.remove(&mut self.calls, call);
        if record.ask.bypass {
            return;
        }
        let settled = Settled {
            place: usize::from(self.fleet.replicas[record.replica as usize].place),
            now: Tick(self.now_ns),
            took: Duration::from_nanos(self.now_ns - record.sent_ns),
            ok: end == End::Ok,
            service_admission: record.service_admission,
            endpoint_admission: record.endpoint_admission,
        };
        service.upstreams[usize::from(record.ask.gateway)].settle(&service.policies, &settled);
    }

    /// An attempt is over and nobody else holds its record: another one, or the end of the call.
    fn conclude(&mut self, call: u32, end: End) {
        let record = self.calls[call];
        if end != End::Ok
            && let Some(wait) = self.retry(call, end)
        {
            let place = match record.replica {
                NONE => UNTRIED,
                replica => self.fleet.replicas[replica as usize].place,
            };
            let record = &mut self.calls[call];
            record.tried = [place, record.tried[0]];
            (record.attempt, record.replica, record.place) = (record.attempt + 1, NONE, Place::Backoff);
            (record.pending, record.failed) = (0, false);
            let wait_ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
            self.queue.push(self.now_ns.saturating_add(wait_ns), RESEND | call);
            return;
        }
        self.calls.remove(call);
        self.release(&record.ask, record.gated);
        self.finish(record.ask, end);
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
        upstream.budget.withdraw(Tick(self.now_ns)).then_some(wait)
    }

    /// A call gives back its place in the bulkhead, and the first that waits takes it.
    fn release(&mut self, ask: &Ask, gated: bool) {
        if !gated {
            return;
        }
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
    fn finish(&mut self, ask: Ask, end: End) {
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
            self.client_answered(ask.parent);
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
