//! The chunks of one array: a sink while they are made, a source afterwards.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use datacube_model::DType;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::Room;
use crate::buffer::Buffer;
use crate::chunks::ChunkGrid;
use crate::error::{Error, Result};
use crate::local::gate::Held;
use crate::region::Region;
use crate::regional::Rows;
use crate::repr::binary_bytes;
use crate::sink::{ChunkSink, SinkError};
use crate::source::{ChunkSource, Cost, Fetched, ReadStats, SourceError};

/// The chunks of one array.
pub(in crate::local) struct Store {
    name: String,
    shape: Vec<usize>,
    dtype: DType,
    grid: ChunkGrid,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// Set when the job starts.
    room: Option<Arc<Room>>,
    pub(super) chunks: Vec<Option<Kept>>,
    file: Option<Arc<Scratch>>,
    /// Bytes in the file.
    written: u64,
    in_memory: u64,
}

#[derive(Clone)]
pub(super) enum Kept {
    /// With when it was used last.
    Memory(Arc<(Buffer, Held)>, u64),
    File(u64),
}

/// A file that goes when nobody needs it any more.
pub(super) struct Scratch {
    file: File,
    path: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody can be told; a file that stays is in a directory for such.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Scratch {
    fn create(directory: &Path) -> std::io::Result<Scratch> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        std::fs::create_dir_all(directory)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("datacube-{}-{number}.spill", std::process::id()));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Scratch { file, path })
    }

    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }

    #[cfg(unix)]
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, offset)
    }

    #[cfg(not(unix))]
    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        use std::io::{Seek, SeekFrom, Write};
        let mut file = File::options().write(true).open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    #[cfg(not(unix))]
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(bytes)
    }
}

impl Store {
    pub(in crate::local) fn new(
        name: String,
        shape: &[usize],
        dtype: DType,
        grid: ChunkGrid,
    ) -> Arc<Store> {
        let chunks = vec![None; grid.n_chunks()];
        Arc::new(Store {
            name,
            shape: shape.to_vec(),
            dtype,
            grid,
            state: Mutex::new(State {
                chunks,
                ..State::default()
            }),
        })
    }

    /// Says where chunks may go.
    pub(in crate::local) fn open(&self, room: &Arc<Room>) {
        self.state.lock().room = Some(Arc::clone(room));
    }

    pub(super) fn keep(self: &Arc<Self>, number: usize, pixels: &[u8]) -> Result<(), SinkError> {
        let bytes = pixels.len() as u64;
        let room = self.state.lock().room.clone();
        let room = room.ok_or("written to before the job began")?;
        let held = loop {
            match room.take(bytes) {
                None if bytes <= room.memory && room.spill_oldest()? => {}
                held => break held,
            }
        };
        if let Some(held) = held {
            let data = Arc::new((Buffer::from_slice(pixels)?, held));
            let mut state = self.state.lock();
            let used = room.used_now(None, self, number);
            state.in_memory += bytes;
            state.chunks[number] = Some(Kept::Memory(data, used));
            return Ok(());
        }
        let offset = self.append(&room, pixels)?;
        self.state.lock().chunks[number] = Some(Kept::File(offset));
        Ok(())
    }

    /// Moves a chunk from memory to the file, unless it was used since `used`.
    pub(super) fn spill(&self, room: &Room, number: usize, used: u64) -> Result<bool> {
        let data = match &self.state.lock().chunks[number] {
            Some(Kept::Memory(data, last)) if *last == used => Arc::clone(data),
            _ => return Ok(false),
        };
        let offset = self.append(room, &data.0)?;
        let bytes = data.0.len() as u64;
        let mut state = self.state.lock();
        state.chunks[number] = Some(Kept::File(offset));
        state.in_memory -= bytes;
        drop(state);
        room.used.fetch_sub(bytes, Ordering::Relaxed);
        Ok(true)
    }

    /// Appends a chunk to the file; gives back where it lies.
    fn append(&self, room: &Room, pixels: &[u8]) -> Result<u64> {
        let begun = Instant::now();
        let bytes = pixels.len() as u64;
        let directory = &room.spill.directory;
        let full = |why: String, used: u64| Error::Spill {
            directory: directory.display().to_string(),
            message: format!(
                "{} more bytes of {} do not fit: {why}; {} are there, of {} for the whole array",
                bytes,
                self.name,
                binary_bytes(used),
                binary_bytes((self.shape.iter().product::<usize>() * self.dtype.size()) as u64)
            ),
        };
        if let Err(used) = room.take_file(bytes) {
            let limit = binary_bytes(room.spill.limit.unwrap_or(u64::MAX));
            return Err(full(format!("the limit is {limit}"), used));
        }
        let (file, offset) = {
            let mut state = self.state.lock();
            let file = match &state.file {
                Some(file) => Arc::clone(file),
                None => {
                    let made = Scratch::create(directory);
                    let made = made.map_err(|error| full(error.to_string(), 0))?;
                    Arc::clone(state.file.insert(Arc::new(made)))
                }
            };
            state.written += bytes;
            (file, state.written - bytes)
        };
        file.write_at(pixels, offset)
            .map_err(|error| full(error.to_string(), offset))?;
        room.note(begun, bytes);
        Ok(offset)
    }

    /// A chunk, which is used now, and the file that it may lie in.
    pub(super) fn look_up(self: &Arc<Self>, number: usize) -> (Option<Kept>, Option<Arc<Scratch>>) {
        let mut state = self.state.lock();
        let room = state.room.clone();
        if let (Some(Some(Kept::Memory(_, used))), Some(room)) =
            (state.chunks.get_mut(number), room)
        {
            *used = room.used_now(Some(*used), self, number);
        }
        let kept = state.chunks.get(number).cloned().flatten();
        (kept, state.file.clone())
    }

    /// The numbers of the chunks that a region lies in.
    fn numbers(&self, region: &Region) -> Vec<usize> {
        if region.is_empty() {
            return Vec::new();
        }
        let mut numbers = vec![Vec::new()];
        for (axis, range) in self.grid.axes().iter().zip(region.ranges()) {
            let wanted = axis.find(range.start)..=axis.find(range.end - 1);
            numbers = numbers
                .into_iter()
                .flat_map(|index: Vec<usize>| {
                    wanted.clone().map(move |number| {
                        let mut index = index.clone();
                        index.push(number);
                        index
                    })
                })
                .collect();
        }
        numbers
            .iter()
            .map(|index| self.grid.number(index))
            .collect()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if let Some(room) = &state.room {
            room.used.fetch_sub(state.in_memory, Ordering::Relaxed);
            room.in_files.fetch_sub(state.written, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("name", &self.name)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

impl ChunkSink for Arc<Store> {
    fn write(&self, _: usize, region: &Region, pixels: &[u8]) -> Result<(), SinkError> {
        let index: Vec<usize> = (self.grid.axes().iter())
            .zip(region.ranges())
            .map(|(axis, range)| axis.find(range.start))
            .collect();
        self.keep(self.grid.number(&index), pixels)
    }
}

/// A store as what later tasks read.
#[derive(Debug)]
pub(in crate::local) struct Stored(pub(in crate::local) Arc<Store>);

impl ChunkSource for Stored {
    fn kind(&self) -> &'static str {
        "datacube.kept"
    }

    fn encode(&self) -> Result<Vec<u8>, SourceError> {
        Err(SourceError::message(
            "what a running job keeps cannot be sent",
        ))
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn dtype(&self) -> DType {
        self.0.dtype
    }

    fn project(&self, region: &Region) -> Cost {
        let numbers = self.0.numbers(region);
        let state = self.0.state.lock();
        let mut cost = Cost::default();
        for number in numbers {
            // What is not there yet may come to lie in a file.
            if !matches!(state.chunks.get(number), Some(Some(Kept::Memory(..)))) {
                let pixels = self.0.grid.region_of(number).len();
                cost.read_bytes += (pixels * self.0.dtype.size()) as u64;
            }
        }
        cost
    }

    fn fetch(&self, region: &Region) -> BoxFuture<'static, Result<Fetched, SourceError>> {
        let store = Arc::clone(&self.0);
        let numbers = store.numbers(region);
        async move {
            let mut parts: Vec<(Region, Bytes)> = Vec::with_capacity(numbers.len());
            for number in numbers {
                let chunk = store.grid.region_of(number);
                let bytes = match store.look_up(number) {
                    (Some(Kept::Memory(kept, _)), _) => Bytes::Kept(kept),
                    (Some(Kept::File(offset)), Some(file)) => {
                        let len = chunk.len() * store.dtype.size();
                        let begun = Instant::now();
                        let read = move || {
                            let mut bytes = vec![0; len];
                            let read = file.read_at(&mut bytes, offset);
                            read.map(|()| bytes).map_err(|error| {
                                SourceError::message(format!(
                                    "{} could not be read back: {error}",
                                    file.path.display()
                                ))
                            })
                        };
                        let read = tokio::task::spawn_blocking(read).await;
                        let bytes = read.map_err(SourceError::new)??;
                        let room = store.state.lock().room.clone();
                        if let Some(room) = room {
                            room.note(begun, bytes.len() as u64);
                        }
                        Bytes::Read(bytes)
                    }
                    _ => {
                        return Err(SourceError::message(format!(
                            "chunk {number} of {} was not kept",
                            store.name
                        )));
                    }
                };
                parts.push((chunk, bytes));
            }
            Ok(Fetched::local(parts))
        }
        .boxed()
    }

    fn decode(
        &self,
        region: &Region,
        fetched: Fetched,
        out: &mut [u8],
    ) -> Result<ReadStats, SourceError> {
        let size = self.0.dtype.size();
        for (chunk, bytes) in fetched.take::<Vec<(Region, Bytes)>>()? {
            let bytes = match &bytes {
                Bytes::Kept(kept) => &kept.0[..],
                Bytes::Read(bytes) => bytes,
            };
            let part = chunk.intersect(region);
            let row = part.shape().last().copied().unwrap_or(1) * size;
            for (from, to) in Rows::new(&chunk, &part).zip(Rows::new(region, &part)) {
                out[to * size..][..row].copy_from_slice(&bytes[from * size..][..row]);
            }
        }
        Ok(ReadStats::default())
    }

    fn describe(&self) -> String {
        self.0.name.clone()
    }
}

/// The pixels of a chunk.
enum Bytes {
    Kept(Arc<(Buffer, Held)>),
    Read(Vec<u8>),
}
