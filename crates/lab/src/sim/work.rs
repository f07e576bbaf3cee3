//! The life of a call within a replica: it takes a place or waits for one, works, calls others, and answers.

use super::Sim;
use super::call::{Ask, End, Place};
use super::fleet::{ReplicaState, Stage};

impl Sim {
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
    pub(super) fn advance(&mut self, call: u32) {
        loop {
            let record = &mut self.calls[call];
            let (index, replica, ask) = (usize::from(record.stage), record.replica, record.ask);
            let service = &mut self.services[usize::from(ask.service)];
            match service.stages.get(index) {
                Some(Stage::Work(sampler)) => {
                    let mut work_ns = sampler.sample(&mut service.work_dice);
                    if index == 0 {
                        let more_ns = service.work_per_kib_ns.saturating_mul(u64::from(ask.response_kib));
                        work_ns = work_ns.saturating_add(more_ns);
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
    pub(super) fn respond(&mut self, call: u32, end: End) {
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
}
