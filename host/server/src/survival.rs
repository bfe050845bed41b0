//! What is done about a task that panicked: whoever waits for it hears of it, and nothing else is concerned.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

/// Does work to its end; none where it panicked. What it held is gone by then, and the panic's own words are in the log.
///
/// No `async fn`, which would have room for the work twice: each call that is up waits in here.
pub(crate) fn survived<T>(work: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
    // Nothing that the work could have left half done is looked at afterwards.
    AssertUnwindSafe(work).catch_unwind().map(Result::ok)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn work_that_panics_gives_nothing_and_drops_what_it_held() {
        let held = std::sync::Arc::new(());
        let its = std::sync::Arc::clone(&held);
        let work = async move {
            tokio::task::yield_now().await;
            let _its = its;
            panic!("as the test wants it");
        };
        assert_eq!(survived::<()>(work).await, None);
        assert_eq!(std::sync::Arc::strong_count(&held), 1);
        assert_eq!(survived(async { 7 }).await, Some(7));
    }
}
