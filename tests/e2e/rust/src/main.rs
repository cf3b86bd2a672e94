// Work of known shares, until standard input ends. Then one line: what it did, by its own measure.
//
// CPU: process_order three times create_invoice, both through the same leaf, under tags.
use std::hint::black_box;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use pyroscope::backend::{pprof_backend, BackendConfig, PprofConfig};
use pyroscope::pyroscope::PyroscopeAgentBuilder;

static OVER: AtomicBool = AtomicBool::new(false);
static HEAVY: AtomicI64 = AtomicI64::new(0);
static LIGHT: AtomicI64 = AtomicI64::new(0);

fn thread_cpu() -> i64 {
    let mut ts = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a timespec of ours.
    assert_eq!(
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut ts) },
        0
    );
    ts.tv_sec * 1_000_000_000 + ts.tv_nsec
}

// The leaf of all CPU time: about half a millisecond a unit.
#[inline(never)]
fn spin(units: u64) -> u64 {
    let mut x = black_box(1u64);
    for _ in 0..units * 400_000 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    black_box(x)
}

#[inline(never)]
fn process_order(pace: u64) {
    let begin = thread_cpu();
    black_box(spin(3 * pace));
    HEAVY.fetch_add(thread_cpu() - begin, Relaxed);
}

#[inline(never)]
fn create_invoice(pace: u64) {
    let begin = thread_cpu();
    black_box(spin(pace));
    LIGHT.fetch_add(thread_cpu() - begin, Relaxed);
}

// The pace is never in step with the profiler's clock.
fn pace(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6364136223846793005)
        .wrapping_add(1442695040888963407);
    10 + (*state >> 33) % 20
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: work URL")?;
    let backend = pprof_backend(PprofConfig::default(), BackendConfig::default());
    let agent = PyroscopeAgentBuilder::new(url, "rust-app", 100, "pyroscope-rs", "2.1.5", backend)
        .tags(vec![("region", "eu")])
        .upload_interval(Duration::from_secs(3))
        .build()?
        .start()?;
    let (add, remove) = agent.tag_wrapper();
    let worker = std::thread::spawn(move || {
        let mut state = std::process::id() as u64;
        let tag = |value: &str| ("controller".to_string(), value.to_string());
        while !OVER.load(Relaxed) {
            for (value, work) in [
                ("orders", process_order as fn(u64)),
                ("billing", create_invoice),
            ] {
                let (key, text) = tag(value);
                add(key, text).expect("a tag is added");
                work(pace(&mut state));
                let (key, text) = tag(value);
                remove(key, text).expect("a tag is removed");
            }
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    OVER.store(true, Relaxed);
    worker.join().expect("the worker ends");
    agent.stop()?.shutdown();
    println!(
        "{{\"heavy\": {}, \"light\": {}}}",
        HEAVY.load(Relaxed),
        LIGHT.load(Relaxed)
    );
    Ok(())
}
