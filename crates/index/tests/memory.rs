//! The index in memory keeps the contract.

use std::sync::Arc;

use datacube_index::{Index, MemoryIndex, testing};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept() {
    testing::run_all(|| async { Arc::new(MemoryIndex::new()) as Arc<dyn Index> }).await;
}
