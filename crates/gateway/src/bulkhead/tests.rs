//! The gate with hand-polled tickets, and with threads.

use super::*;
use headgate_model::spec;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::Wake;

fn limits(in_flight: u32, queue: u32) -> Bulkhead {
    Bulkhead::new(&spec::Bulkhead { in_flight, queue, ..spec::Bulkhead::default() })
}

fn gate(in_flight: u32, queue: u32) -> Gate {
    Gate::new(Arc::default(), limits(in_flight, queue))
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

fn queue_up(gate: &Gate) -> Ticket<'_> {
    let Arrival::Ticket(ticket) = gate.arrive() else { panic!("not queued") };
    ticket
}

fn is_ready(ticket: &Ticket<'_>, flag: &Arc<Flag>) -> bool {
    ticket.poll(&Context::from_waker(&Waker::from(Arc::clone(flag)))).is_ready()
}

#[test]
fn places_go_to_who_waits_in_order_of_arrival() {
    let gate = gate(1, 2);
    let flags: [Arc<Flag>; 2] = Default::default();
    let place = gate.try_enter(&limits(1, 2)).unwrap();
    assert!(gate.try_enter(&limits(1, 2)).is_none());
    let (first, second) = (queue_up(&gate), queue_up(&gate));
    assert!(matches!(gate.arrive(), Arrival::Refused), "the queue is full");
    assert!(!is_ready(&first, &flags[0]) && !is_ready(&second, &flags[1]));

    drop(place);
    assert!(flags[0].0.load(Relaxed) && !flags[1].0.load(Relaxed), "only the first is woken");
    assert!(gate.try_enter(&limits(1, 2)).is_none(), "its place is not taken from it");
    assert!(is_ready(&first, &flags[0]) && !is_ready(&second, &flags[1]));
    drop(first.redeem());
    assert!(flags[1].0.load(Relaxed) && is_ready(&second, &flags[1]));
    drop(second.redeem());
    assert_eq!(gate.in_flight.load(Relaxed), 0);
}

#[test]
fn who_gives_up_leaves_the_queue_or_the_place_it_was_handed() {
    let gate = gate(1, 8);
    let place = gate.try_enter(&limits(1, 8)).unwrap();
    let (first, second, third) = (queue_up(&gate), queue_up(&gate), queue_up(&gate));
    drop(second);
    assert_eq!(gate.queued.load(Relaxed), 2);
    drop(place);
    drop(first);
    assert!(is_ready(&third, &Arc::default()), "the first was handed the place but had given up");
    drop(third.redeem());
    assert!(gate.try_enter(&limits(1, 8)).is_some());
}

#[test]
fn a_reload_that_adds_places_lets_the_queue_in() {
    let gate = gate(1, 8);
    let _place = gate.try_enter(&limits(1, 8)).unwrap();
    let tickets = [queue_up(&gate), queue_up(&gate), queue_up(&gate)];
    gate.follow(limits(3, 8));
    let ready: Vec<bool> = tickets.iter().map(|ticket| is_ready(ticket, &Arc::default())).collect();
    assert_eq!(ready, [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_at_the_deadline() {
    let gate = gate(1, 8);
    let deadlines = headgate_net::deadline::Deadlines::new();
    let deadline = deadlines.deadline();
    let place = gate.try_enter(&limits(1, 8)).unwrap();
    deadline.set_at(give_up_at(&deadline, &limits(1, 8), DueAt::NEVER));
    let fault = tokio::select! {
        place = gate.wait(&deadline) => place.err().unwrap(),
        () = deadlines.sweep() => unreachable!("the sweep never ends"),
    };
    assert_eq!(fault.kind, FaultKind::QueueTimeout);
    assert_eq!(gate.queued.load(Relaxed), 0);
    drop(place);
}

/// Threads that come and go: never more inside than there are places, and nobody is forgotten.
#[test]
fn threads_share_the_places() {
    const PLACES: u32 = 3;
    let gate = gate(PLACES, 100);
    let (inside, most, entered) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let place = gate.try_enter(&limits(PLACES, 100)).unwrap_or_else(|| match gate.arrive() {
                        Arrival::Place(place) => place,
                        Arrival::Refused => panic!("there is room in the queue"),
                        Arrival::Ticket(ticket) => {
                            while ticket.poll(&Context::from_waker(Waker::noop())).is_pending() {
                                std::thread::yield_now();
                            }
                            ticket.redeem()
                        }
                    });
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    entered.fetch_add(1, SeqCst);
                    inside.fetch_sub(1, SeqCst);
                    drop(place);
                }
            });
        }
    });
    assert_eq!(entered.load(SeqCst), 16_000);
    assert!((1..=PLACES).contains(&most.load(SeqCst)));
    assert_eq!((gate.in_flight.load(SeqCst), gate.queued.load(SeqCst)), (0, 0));
}
