//! The pool in which passwords are hashed and checked.
//!
//! Invariants:
//! - at most so many hashes are computed at once: each takes a core, and up to 256 MiB if an
//!   import brought such hashes (19 MiB for ours);
//! - at most so many wait, so that a flood of sign-ins ends in quick "not now" answers and not
//!   in a queue of minutes that nobody waits for.
//!
//! Known weakness: the queue is first come, first served. Whoever admits sign-ins must limit
//! how many one source has under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hikyaku_types::Random;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use super::hash::{PasswordCheck, PasswordError, PasswordHash, SALT_OCTETS};

/// So many may wait for each that runs: about two seconds of Argon2id.
const WAITING_PER_WORKER: usize = 64;

/// Why a password was not checked. Try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordsUnavailable {
    /// Too many wait.
    #[error("too many passwords wait to be checked")]
    Busy,
    /// The computation broke off; the log says why.
    #[error("the password could not be checked")]
    Failed,
}

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// Not now.
    #[error(transparent)]
    Unavailable(#[from] PasswordsUnavailable),
    /// Never: another password is needed.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// The pool. Clones are the same pool.
#[derive(Debug, Clone)]
pub struct Passwords {
    running: Arc<Semaphore>,
    /// Those that run and those that wait.
    admitted: Arc<Semaphore>,
    /// Microseconds that a hash takes, of late.
    takes: Arc<AtomicU64>,
    metrics: Metrics,
}

impl Passwords {
    /// A pool that computes at most `at_once` hashes at the same time, with a queue to suit.
    pub fn new(at_once: usize) -> Self {
        Self::with_queue(at_once, at_once.saturating_mul(WAITING_PER_WORKER))
    }

    /// A pool that computes at most `at_once` hashes at the same time, while at most
    /// `most_waiting` wait.
    pub fn with_queue(at_once: usize, most_waiting: usize) -> Self {
        let at_once = at_once.clamp(1, Semaphore::MAX_PERMITS);
        let admitted = at_once.saturating_add(most_waiting).min(Semaphore::MAX_PERMITS);
        Self {
            running: Arc::new(Semaphore::new(at_once)),
            admitted: Arc::new(Semaphore::new(admitted)),
            takes: Arc::default(),
            metrics: Metrics::default(),
        }
    }

    /// Shows the pool's counters in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let Metrics { checks, refused, seconds } = &self.metrics;
        registry.register("password_checks", "Passwords checked, by scheme and outcome", checks.clone());
        registry.register("password_refusals", "Passwords not checked, as too many waited", refused.clone());
        registry.register("password_seconds", "Time to compute a hash", seconds.clone());
    }

    /// Is it the password?
    ///
    /// # Errors
    /// [`PasswordsUnavailable`].
    pub async fn check(
        &self,
        hash: &PasswordHash,
        password: &[u8],
    ) -> Result<PasswordCheck, PasswordsUnavailable> {
        let (scheme, hash, password) = (hash.scheme(), hash.clone(), Zeroizing::new(password.to_vec()));
        let check = self.run(move || hash.check(&password)).await?;
        let outcome = if check == PasswordCheck::No { "no" } else { "matches" };
        self.metrics.checks.get_or_create(&Checked { scheme: scheme.name(), outcome }).inc();
        Ok(check)
    }

    /// The hash of a new password, or of one whose hash is to be replaced.
    ///
    /// # Errors
    /// [`HashingError`].
    pub async fn make(&self, password: &[u8], random: &dyn Random) -> Result<PasswordHash, HashingError> {
        let (mut salt, password) = ([0; SALT_OCTETS], Zeroizing::new(password.to_vec()));
        random.fill(&mut salt);
        Ok(self.run(move || PasswordHash::with_salt(&password, &salt)).await??)
    }

    /// Waits about as long as a check that is asked for now would take, and takes nobody's
    /// place: what is refused unseen is not answered sooner than what is checked, however much
    /// there is to do.
    ///
    /// # Errors
    /// [`PasswordsUnavailable`], when a check would meet it.
    pub async fn turn(&self) -> Result<(), PasswordsUnavailable> {
        if self.admitted.available_permits() == 0 {
            return Err(PasswordsUnavailable::Busy);
        }
        self.running.acquire().await.map(drop).map_err(|_| PasswordsUnavailable::Failed)?;
        tokio::time::sleep(Duration::from_micros(self.takes.load(Ordering::Relaxed))).await;
        Ok(())
    }

    /// Runs `compute` where it may block. Once begun it holds its place to the end, even if
    /// nobody waits for its answer any more.
    async fn run<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordsUnavailable> {
        let place = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| {
            self.metrics.refused.inc();
            PasswordsUnavailable::Busy
        })?;
        let permit =
            Arc::clone(&self.running).acquire_owned().await.map_err(|_| PasswordsUnavailable::Failed)?;
        let (seconds, takes, begun) = (self.metrics.seconds.clone(), Arc::clone(&self.takes), Instant::now());
        let task = tokio::task::spawn_blocking(move || {
            let _held: [OwnedSemaphorePermit; 2] = [place, permit];
            let result = compute();
            let took = begun.elapsed();
            seconds.observe(took.as_secs_f64());
            note(&takes, took);
            result
        });
        task.await.map_err(|error| {
            tracing::error!(%error, "a password hash could not be computed");
            PasswordsUnavailable::Failed
        })
    }
}

/// Makes what hashes take follow the last dozen of them. Two at once may lose one.
fn note(takes: &AtomicU64, took: Duration) {
    const OF: u64 = 12;
    let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX / OF);
    let before = takes.load(Ordering::Relaxed);
    let mean = if before == 0 { took } else { before - before / OF + took / OF };
    takes.store(mean, Ordering::Relaxed);
}

#[derive(Debug, Clone)]
struct Metrics {
    checks: Family<Checked, Counter>,
    refused: Counter,
    seconds: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Checked {
    scheme: &'static str,
    outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            checks: Family::default(),
            refused: Counter::default(),
            seconds: Histogram::new(exponential_buckets(0.001, 2.0, 12)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_testkit::SeededRandom;
    use std::sync::mpsc;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_full_pool_refuses_at_once_and_recovers() {
        run(async {
            let pool = Passwords::with_queue(1, 1);
            let hash = PasswordHash::parse("$1$saltsalt$NuzA7WTAelpl95xgBGWN60").unwrap();
            let (go, wait) = mpsc::channel::<()>();
            let running = pool.run(move || wait.recv());
            let waiting = pool.check(&hash, b"correct horse");
            let third = async {
                let refused = pool.check(&hash, b"correct horse").await;
                go.send(()).unwrap();
                refused
            };
            let (first, second, third) = tokio::join!(running, waiting, third);
            assert_eq!(first, Ok(Ok(())));
            assert_eq!(second, Ok(PasswordCheck::Matches { needs_rehash: true }));
            assert_eq!(third, Err(PasswordsUnavailable::Busy));
            assert_eq!(pool.check(&hash, b"wrong").await, Ok(PasswordCheck::No));
            assert_eq!(pool.metrics.refused.get(), 1);
        });
    }

    #[test]
    fn whoever_stops_waiting_frees_the_place_in_the_queue() {
        run(async {
            let pool = Passwords::with_queue(1, 1);
            let (go, wait) = mpsc::channel::<()>();
            let mut running = Box::pin(pool.run(move || wait.recv()));
            let mut waiting = Box::pin(pool.run(|| ()));
            // One poll brings each to where it waits.
            std::future::poll_fn(|context| {
                assert!(running.as_mut().poll(context).is_pending());
                assert!(waiting.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            assert_eq!(pool.admitted.available_permits(), 0);
            drop(waiting);
            assert_eq!(pool.admitted.available_permits(), 1);
            go.send(()).unwrap();
            assert_eq!(running.await, Ok(Ok(())));
            assert_eq!(pool.admitted.available_permits(), 2);
        });
    }

    #[test]
    fn a_turn_comes_when_a_check_would_begin() {
        run(async {
            let pool = Passwords::with_queue(1, 1);
            pool.turn().await.unwrap();
            let (go, wait) = mpsc::channel::<()>();
            let mut running = Box::pin(pool.run(move || wait.recv()));
            let mut turn = Box::pin(pool.turn());
            std::future::poll_fn(|context| {
                assert!(running.as_mut().poll(context).is_pending());
                assert!(turn.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            let mut check = Box::pin(pool.run(|| ()));
            let refused = std::future::poll_fn(|context| {
                assert!(check.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(pool.turn())
            });
            assert_eq!(refused.await.await, Err(PasswordsUnavailable::Busy));
            go.send(()).unwrap();
            let (first, turn, check) = tokio::join!(running, turn, check);
            assert_eq!((first, turn, check), (Ok(Ok(())), Ok(()), Ok(())));
        });
    }

    #[test]
    fn what_hashes_take_is_followed() {
        let takes = AtomicU64::new(0);
        note(&takes, Duration::from_millis(12));
        assert_eq!(takes.load(Ordering::Relaxed), 12_000);
        for _ in 0..100 {
            note(&takes, Duration::from_millis(24));
        }
        assert!((23_800..=24_000).contains(&takes.load(Ordering::Relaxed)), "{takes:?}");
    }

    #[test]
    fn makes_hashes_that_it_checks() {
        run(async {
            let pool = Passwords::new(2);
            let hash = pool.make(b"correct horse", &SeededRandom::new(1)).await.unwrap();
            let check = pool.check(&hash, b"correct horse").await;
            assert_eq!(check, Ok(PasswordCheck::Matches { needs_rehash: false }));
            let mut registry = Registry::default();
            pool.register(&mut registry);
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            let counted = r#"password_checks_total{scheme="ARGON2ID",outcome="matches"} 1"#;
            assert!(text.contains(counted), "{text}");
            assert!(text.contains("password_seconds_count 2"), "{text}");
        });
    }

    #[test]
    fn a_computation_that_panics_ends_alone() {
        run(async {
            let pool = Passwords::with_queue(1, 0);
            assert_eq!(
                pool.run(|| -> () { panic!("as a bug would") }).await,
                Err(PasswordsUnavailable::Failed)
            );
            assert_eq!(pool.run(|| 1).await, Ok(1));
        });
    }
}
