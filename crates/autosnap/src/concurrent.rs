// SPDX-License-Identifier: GPL-3.0-only
//! Concurrent futures, within a limit.
//!
//! The loops are written out, because stream adaptors with closures make futures that cannot be sent to another
//! thread.

use std::convert::Infallible;

use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};

/// Runs one future per item, at most `limit` at a time; the results are in the order of the items.
pub async fn map_concurrent<T, R, F: Future<Output = R>>(
    limit: usize,
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> F,
) -> Vec<R> {
    let items: Vec<T> = items.into_iter().collect();
    let Ok(results) =
        try_map_concurrent(limit, items, |item| work(item).map(Ok::<_, Infallible>)).await;
    results
}

/// As [`map_concurrent`], up to the first error: after it no further item is started.
pub async fn try_map_concurrent<T, R, E, F: Future<Output = Result<R, E>>>(
    limit: usize,
    items: Vec<T>,
    work: impl Fn(T) -> F,
) -> Result<Vec<R>, E> {
    let mut items = items.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut results = Vec::with_capacity(items.len());
    loop {
        while running.len() < limit.max(1)
            && let Some((index, item)) = items.next()
        {
            // `map` holds the future once, where an async function would hold it twice.
            running.push(work(item).map(move |result| (index, result)));
        }
        match running.next().await {
            Some((index, result)) => results.push((index, result?)),
            None => break,
        }
    }
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn results_keep_the_order_and_the_limit_holds() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let results = map_concurrent(3, 0..10_u64, async |item| {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            tokio::time::sleep(Duration::from_secs(100 - item * 7)).await;
            running.set(running.get() - 1);
            item * 2
        });
        assert_eq!(results.await, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
        assert_eq!(most.get(), 3);
    }

    #[tokio::test]
    async fn no_item_is_started_after_an_error() {
        let started = Cell::new(0);
        let result = try_map_concurrent(1, vec![1, 2, 3], async |item| {
            started.set(started.get() + 1);
            if item == 2 { Err(item) } else { Ok(item) }
        });
        assert_eq!(result.await, Err(2));
        assert_eq!(started.get(), 2);
    }
}
