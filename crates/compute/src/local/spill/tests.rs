//! Which chunks go to files, and when.

use datacube_model::DType;

use super::store::Kept;
use super::*;
use crate::chunks::ChunkGrid;
use crate::local::gate::Thresholds;
use crate::region::Region;
use crate::sink::SinkError;
use crate::source::ChunkSource;

fn room(bytes: u64, spill: &Spill) -> (Arc<Gate>, Arc<Room>) {
    let thresholds = Thresholds {
        spill: spill.spill,
        pause: spill.pause,
        threads: 1,
    };
    let gate = Arc::new(Gate::new(Some(100), 100, 9, thresholds));
    let room = Room::new(spill, &gate, bytes);
    (gate, room)
}

/// Chunks of ten bytes, each of its number.
fn store(room: &Arc<Room>, n: usize) -> Arc<Store> {
    let shape = [10 * n];
    let axes = vec![crate::chunks::AxisChunks::regular(10 * n, 10)];
    let store = Store::new("s".to_owned(), &shape, DType::UInt8, ChunkGrid::new(axes));
    store.open(room);
    store
}

fn keep(store: &Arc<Store>, number: usize) -> Result<(), SinkError> {
    let pixels = [u8::try_from(number).unwrap(); 10];
    store.keep(number, &pixels)
}

fn in_memory(store: &Store) -> Vec<usize> {
    let state = store.state.lock();
    let chunks = state.chunks.iter().enumerate();
    let in_memory = chunks.filter(|(_, kept)| matches!(kept, Some(Kept::Memory(..))));
    in_memory.map(|(number, _)| number).collect()
}

#[test]
fn the_least_recently_used_goes_first() {
    let (gate, room) = room(30, &Spill::default());
    let store = store(&room, 5);
    for number in 0..3 {
        keep(&store, number).unwrap();
    }
    assert_eq!(in_memory(&store), [0, 1, 2]);
    assert!(room.take_steps().is_empty());
    store.look_up(0);
    keep(&store, 3).unwrap();
    assert_eq!(in_memory(&store), [0, 2, 3]);
    keep(&store, 4).unwrap();
    assert_eq!(in_memory(&store), [0, 3, 4]);
    assert_eq!(gate.usage().3, 30);
    let steps = room.take_steps();
    assert_eq!(steps.iter().map(|step| step.bytes).sum::<u64>(), 20);

    // All are read as they were written, from memory and from the file.
    let source = Stored(Arc::clone(&store));
    let whole = Region::whole(&[50]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fetched = runtime.block_on(source.fetch(&whole)).unwrap();
    let mut out = [0; 50];
    source.decode(&whole, fetched, &mut out).unwrap();
    let expected: Vec<u8> = (0..5).flat_map(|number| [number; 10]).collect();
    assert_eq!(out[..], expected);
    assert_eq!(room.take_steps().len(), 2, "two were read back");
    drop((source, store));
    assert_eq!(gate.usage().3, 0);
}

#[test]
fn a_task_for_an_idle_thread_makes_room() {
    let (gate, room) = room(60, &Spill::default());
    let store = store(&room, 6);
    for number in 0..6 {
        keep(&store, number).unwrap();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pass = runtime.block_on(gate.admit(20, None));
    assert_eq!(in_memory(&store).len(), 6, "80 of 100 are not too much");
    drop(pass);
    let _pass = runtime.block_on(gate.admit(40, None));
    assert_eq!(in_memory(&store), [3, 4, 5], "down to 70 of 100");
}

#[test]
fn a_chunk_stays_where_the_limit_of_files_is_reached() {
    let spill = Spill {
        limit: Some(10),
        ..Spill::default()
    };
    let (_, room) = room(20, &spill);
    let store = store(&room, 4);
    for number in 0..3 {
        keep(&store, number).unwrap();
    }
    let error = keep(&store, 3).unwrap_err().to_string();
    assert!(error.contains("10 B"), "{error}");
    assert_eq!(in_memory(&store), [1, 2]);
}
