//! Each toxic on a connection between two ends of the test, in paused time.

use super::*;
use crate::stream::Transport;
use headgate_model::spec::Direction::{Downstream, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// The gateway's end of a connection with these toxics, and the endpoint's.
fn poisoned(toxics: &[(Direction, ToxicKind)]) -> (impl Transport + use<>, DuplexStream) {
    let (ours, endpoint) = tokio::io::duplex(1 << 20);
    let toxics: Vec<Toxic> = toxics.iter().map(|&(stream, kind)| Toxic { stream, kind }).collect();
    (poison(Stream::over(Box::new(ours)), &toxics, Carries::Http1, Dice::new(1), || {}), endpoint)
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(tokio::runtime::LocalOptions::default());
    runtime.unwrap().block_on(test);
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn without_a_toxic_in_its_direction_everything_passes_at_once() {
    run(async {
        let (mut gateway, mut endpoint) =
            poisoned(&[(Upstream, ToxicKind::Latency { latency: ms(50), jitter: ms(0) })]);
        let started = Instant::now();
        endpoint.write_all(b"hello").await.unwrap();
        endpoint.shutdown().await.unwrap();
        let mut got = Vec::new();
        gateway.read_to_end(&mut got).await.unwrap();
        assert_eq!((got.as_slice(), started.elapsed()), (&b"hello"[..], ms(0)));
    });
}

#[test]
fn latency_delays_each_piece_but_not_one_after_the_other() {
    run(async {
        let (gateway, mut endpoint) =
            poisoned(&[(Upstream, ToxicKind::Latency { latency: ms(100), jitter: ms(0) })]);
        let mut gateway = gateway;
        let started = Instant::now();
        gateway.write_all(b"one").await.unwrap();
        tokio::time::sleep(ms(40)).await;
        gateway.write_all(b"two").await.unwrap();
        let mut room = [0; 3];
        endpoint.read_exact(&mut room).await.unwrap();
        assert_eq!((&room, started.elapsed()), (b"one", ms(100)));
        endpoint.read_exact(&mut room).await.unwrap();
        assert_eq!((&room, started.elapsed()), (b"two", ms(140)));
    });
}

#[test]
fn jitter_lies_around_the_latency() {
    run(async {
        let jittery = ToxicKind::Latency { latency: ms(100), jitter: ms(60) };
        let (mut gateway, mut endpoint) = poisoned(&[(Downstream, jittery)]);
        let mut seen = Vec::new();
        for _ in 0..50 {
            let started = Instant::now();
            endpoint.write_all(b"x").await.unwrap();
            gateway.read_exact(&mut [0]).await.unwrap();
            seen.push(started.elapsed());
        }
        // The timer counts whole milliseconds.
        assert!(seen.iter().all(|took| (ms(40)..=ms(161)).contains(took)), "{seen:?}");
        assert!(seen.iter().min().unwrap() < &ms(80) && seen.iter().max().unwrap() > &ms(120), "{seen:?}");
    });
}

#[test]
fn bandwidth_is_kept_to() {
    run(async {
        let (mut gateway, mut endpoint) =
            poisoned(&[(Downstream, ToxicKind::Bandwidth { bytes_per_second: 1_000 })]);
        let started = Instant::now();
        endpoint.write_all(&[7; 5_000]).await.unwrap();
        endpoint.shutdown().await.unwrap();
        let mut got = Vec::new();
        gateway.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, [7; 5_000]);
        assert!(started.elapsed() >= ms(5_000), "{:?}", started.elapsed());
    });
}

#[test]
fn slices_are_small_and_arrive_one_after_the_other() {
    run(async {
        let slicer = ToxicKind::Slicer { average_size: 10, size_variation: 5, delay: ms(10) };
        let (mut gateway, mut endpoint) = poisoned(&[(Upstream, slicer)]);
        let sent: Vec<u8> = (0..=255).collect();
        gateway.write_all(&sent).await.unwrap();
        let (mut got, mut sizes) = (Vec::new(), Vec::new());
        while got.len() < sent.len() {
            let mut room = [0; 100];
            let count = endpoint.read(&mut room).await.unwrap();
            sizes.push(count);
            got.extend_from_slice(&room[..count]);
        }
        assert_eq!(got, sent);
        let (_, whole) = sizes.split_last().unwrap();
        assert!(whole.iter().all(|size| (5..=15).contains(size)), "{sizes:?}");
        assert!(whole.iter().any(|size| size != &whole[0]), "{sizes:?}");
    });
}

#[test]
fn a_slow_close_is_seen_late_on_either_side() {
    run(async {
        let slow = |stream| [(stream, ToxicKind::SlowClose { delay: ms(500) })];
        let (mut gateway, mut endpoint) = poisoned(&slow(Downstream));
        let started = Instant::now();
        endpoint.write_all(b"bye").await.unwrap();
        drop(endpoint);
        let mut room = [0; 3];
        gateway.read_exact(&mut room).await.unwrap();
        assert_eq!(started.elapsed(), ms(0));
        assert_eq!(gateway.read(&mut room).await.unwrap(), 0);
        assert_eq!(started.elapsed(), ms(500));

        let (gateway, mut endpoint) = poisoned(&slow(Upstream));
        let started = Instant::now();
        drop(gateway);
        assert_eq!(endpoint.read(&mut room).await.unwrap(), 0);
        assert_eq!(started.elapsed(), ms(500));
    });
}

#[test]
fn a_timeout_lets_nothing_through_and_then_closes() {
    run(async {
        let (mut gateway, mut endpoint) = poisoned(&[(Upstream, ToxicKind::Timeout { timeout: ms(300) })]);
        let started = Instant::now();
        gateway.write_all(b"lost").await.unwrap();
        assert_eq!(endpoint.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(gateway.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(started.elapsed(), ms(300));

        let (mut gateway, mut endpoint) = poisoned(&[(Downstream, ToxicKind::Timeout { timeout: ms(0) })]);
        endpoint.write_all(b"lost").await.unwrap();
        drop(endpoint);
        let waited = tokio::time::timeout(ms(3_600_000), gateway.read(&mut [0])).await;
        assert!(waited.is_err(), "it stays open");
    });
}

#[test]
fn a_reset_is_no_end() {
    run(async {
        let (mut gateway, mut endpoint) =
            poisoned(&[(Downstream, ToxicKind::ResetPeer { timeout: ms(200) })]);
        gateway.write_all(b"question").await.unwrap();
        endpoint.read_exact(&mut [0; 8]).await.unwrap();
        let started = Instant::now();
        endpoint.write_all(b"answer").await.unwrap();
        let error = gateway.read(&mut [0]).await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed()), (io::ErrorKind::ConnectionReset, ms(200)));
        assert_eq!(endpoint.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn data_ends_at_its_limit_and_the_connection_with_it() {
    run(async {
        for stream in [Upstream, Downstream] {
            let (mut gateway, mut endpoint) = poisoned(&[(stream, ToxicKind::LimitData { bytes: 4 })]);
            let mut got = Vec::new();
            if stream == Upstream {
                gateway.write_all(b"too much").await.unwrap();
                endpoint.read_to_end(&mut got).await.unwrap();
            } else {
                endpoint.write_all(b"too much").await.unwrap();
                gateway.read_to_end(&mut got).await.unwrap();
            }
            assert_eq!(got, b"too ");
            assert_eq!(gateway.read(&mut [0]).await.unwrap(), 0, "{stream:?}");
        }
    });
}

#[test]
fn corruption_spares_the_framing() {
    run(async {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
        let (mut gateway, mut endpoint) = poisoned(&[(Downstream, ToxicKind::Corrupt { probability: 1.0 })]);
        endpoint.write_all(&[&head[..], &[7; 100]].concat()).await.unwrap();
        endpoint.shutdown().await.unwrap();
        let mut got = Vec::new();
        gateway.read_to_end(&mut got).await.unwrap();
        assert_eq!((&got[..head.len()], got.len()), (&head[..], head.len() + 100));
        assert!(got[head.len()..].iter().all(|&byte| byte != 7));
    });
}

#[test]
fn toxics_act_one_after_the_other_and_memory_is_bounded() {
    run(async {
        let (mut gateway, mut endpoint) = poisoned(&[
            (Upstream, ToxicKind::Latency { latency: ms(100), jitter: ms(0) }),
            (Upstream, ToxicKind::Latency { latency: ms(100), jitter: ms(0) }),
            (Upstream, ToxicKind::LimitData { bytes: 2 }),
        ]);
        let started = Instant::now();
        gateway.write_all(b"one").await.unwrap();
        let mut got = Vec::new();
        endpoint.read_to_end(&mut got).await.unwrap();
        assert_eq!((got.as_slice(), started.elapsed()), (&b"on"[..], ms(200)));

        let stalled = ToxicKind::Latency { latency: ms(3_600_000), jitter: ms(0) };
        let (mut gateway, _endpoint) = poisoned(&[(Upstream, stalled)]);
        let mut sent = 0;
        while let Ok(written) = tokio::time::timeout(ms(1), gateway.write(&[0; 64 * 1024])).await {
            sent += written.unwrap();
        }
        assert!(sent <= 2 << 20, "{sent}");
    });
}

#[test]
fn what_is_broken_for_real_is_seen_as_broken() {
    run(async {
        let (mut gateway, endpoint) = poisoned(&[(Downstream, ToxicKind::SlowClose { delay: ms(1) })]);
        drop(endpoint);
        // The first write may still be taken by the queues.
        while gateway.write(b"x").await.is_ok() {
            tokio::time::sleep(ms(1)).await;
        }
    });
}

#[tokio::test(start_paused = true)]
async fn closes_beyond_the_room_are_cut_and_said() {
    let slow = [Toxic { stream: Upstream, kind: ToxicKind::SlowClose { delay: ms(60_000) } }];
    let held = AtomicUsize::new(0);
    let mut first = std::pin::pin!(linger(&slow, &held, 1));
    assert!(is_pending_now(first.as_mut()).await, "it is held");
    assert_eq!(linger(&slow, &held, 1).await, Close::Cut);
    assert_eq!(first.await, Close::AsToxicsSay);
    assert_eq!(held.load(Ordering::Relaxed), 0);
}

/// Whether it waits for something.
async fn is_pending_now(mut future: Pin<&mut impl Future>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}
