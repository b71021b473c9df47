//! What is valid for a while: kept, renewed before it ends, once for all who ask.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;

/// Renewed so long before the end, where it lasts that long.
const EARLY: Duration = Duration::from_secs(120);

/// Something that passes, such as a token.
#[derive(Debug)]
pub(super) struct Renewed<T> {
    held: Mutex<Option<Held<T>>>,
}

#[derive(Debug)]
struct Held<T> {
    value: Arc<T>,
    /// When it is to be renewed, and when it ends.
    until: Option<(SystemTime, SystemTime)>,
}

impl<T> Default for Renewed<T> {
    fn default() -> Self {
        Renewed {
            held: Mutex::default(),
        }
    }
}

impl<T> Renewed<T> {
    /// The value, made by `make` where there is none or its end is near.
    ///
    /// Those who ask meanwhile wait for the one who makes it. While the old
    /// value still holds, a failure to renew it is no failure.
    pub(super) async fn get<E, F>(&self, make: impl FnOnce() -> F) -> Result<Arc<T>, E>
    where
        F: Future<Output = Result<(T, Option<SystemTime>), E>>,
    {
        let mut held = self.held.lock().await;
        let now = SystemTime::now();
        if let Some(there) = &*held
            && there.until.is_none_or(|(renew, _)| now < renew)
        {
            return Ok(Arc::clone(&there.value));
        }
        match make().await {
            Ok((value, ends)) => {
                let value = Arc::new(value);
                *held = Some(Held {
                    value: Arc::clone(&value),
                    until: ends.map(|ends| (renewal(now, ends), ends)),
                });
                Ok(value)
            }
            Err(error) => match &*held {
                Some(there) if there.until.is_some_and(|(_, ends)| now < ends) => {
                    Ok(Arc::clone(&there.value))
                }
                _ => Err(error),
            },
        }
    }

    /// Lets go of `value`, unless it was renewed already.
    pub(super) async fn forget(&self, value: &Arc<T>) {
        let mut held = self.held.lock().await;
        if held
            .as_ref()
            .is_some_and(|there| Arc::ptr_eq(&there.value, value))
        {
            *held = None;
        }
    }

    /// Lets go of whatever is there.
    pub(super) async fn clear(&self) {
        *self.held.lock().await = None;
    }
}

/// A while before the end; of what lasts only minutes, at two thirds.
fn renewal(now: SystemTime, ends: SystemTime) -> SystemTime {
    let lasts = ends.duration_since(now).unwrap_or_default();
    now + lasts.saturating_sub(EARLY).max(lasts * 2 / 3)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_renewal() {
        let token = Renewed::default();
        let made = AtomicU32::new(0);
        let ask = || {
            token.get(async || {
                tokio::task::yield_now().await;
                let n = made.fetch_add(1, Ordering::Relaxed);
                let ends = SystemTime::now() + Duration::from_secs(3600);
                Ok::<_, String>((n, Some(ends)))
            })
        };
        let all = futures::future::try_join_all((0..10).map(|_| ask()))
            .await
            .unwrap();
        assert!(all.iter().all(|n| **n == 0));
        // Two that were refused with one token cause one renewal.
        token.forget(&all[0]).await;
        let renewed = ask().await.unwrap();
        token.forget(&all[1]).await;
        assert_eq!((*renewed, *ask().await.unwrap()), (1, 1));
    }

    #[tokio::test]
    async fn what_has_ended_is_made_anew_and_a_failure_then_counts() {
        let token: Renewed<u32> = Renewed::default();
        let past = SystemTime::now() - Duration::from_secs(1);
        let make = async |n: u32| Ok::<_, String>((n, Some(past)));
        assert_eq!(*token.get(|| make(1)).await.unwrap(), 1);
        assert_eq!(*token.get(|| make(2)).await.unwrap(), 2);
        let failed = token.get(async || Err("down".to_owned())).await;
        assert_eq!(failed, Err("down".to_owned()));
    }

    #[test]
    fn renewal_is_two_minutes_before_the_end_or_at_two_thirds() {
        let now = SystemTime::UNIX_EPOCH;
        let after = |lasts: u64| {
            let ends = now + Duration::from_secs(lasts);
            renewal(now, ends).duration_since(now).unwrap().as_secs()
        };
        assert_eq!((after(3600), after(90), after(0)), (3480, 60, 0));
    }
}
