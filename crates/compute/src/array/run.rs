//! From lazy to computed: `compute`, and the [`Compute`] options behind it.

use std::sync::Arc;

use super::DataArray;
use crate::cube::Cube;
use crate::engine::{CancelToken, Engine, Job, default_engine};
use crate::error::{Error, Result};
use crate::observe::{Observer, RunReport};
use crate::plan::{Output, Plan};
use crate::sink::MemorySink;

/// How to compute: engine, observer, and a token to stop it.
///
/// ```
/// # use datacube_compute::{Compute, Coords, DataArray, Serial};
/// # let array = DataArray::from_values("a", &["x"], &[2], vec![1u8, 2], Coords::new())?;
/// let (doubled, report) = Compute::new().engine(&Serial::new()).array(&(array * 2))?;
/// assert_eq!(doubled.to_vec::<u8>()?, [2, 4]);
/// assert_eq!(report.tasks, 1);
/// # Ok::<(), datacube_compute::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Compute<'a> {
    engine: Option<&'a dyn Engine>,
    observer: Option<&'a dyn Observer>,
    cancel: CancelToken,
    retries: u32,
    retry_any: bool,
}

impl std::fmt::Debug for Compute<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compute")
            .field("engine", &self.engine)
            .field("cancel", &self.cancel)
            .finish_non_exhaustive()
    }
}

impl<'a> Compute<'a> {
    /// On the default engine, unwatched.
    pub fn new() -> Compute<'a> {
        Compute::default()
    }

    /// On this engine.
    #[must_use]
    pub fn engine(mut self, engine: &'a dyn Engine) -> Compute<'a> {
        self.engine = Some(engine);
        self
    }

    /// Watched by this observer, such as a [`crate::ProgressBar`].
    #[must_use]
    pub fn observer(mut self, observer: &'a dyn Observer) -> Compute<'a> {
        self.observer = Some(observer);
        self
    }

    /// Stopped by this token.
    #[must_use]
    pub fn cancel(mut self, cancel: CancelToken) -> Compute<'a> {
        self.cancel = cancel;
        self
    }

    /// A chunk whose source fails in passing is made again so often, see
    /// [`Job::with_retries`].
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Compute<'a> {
        self.retries = retries;
        self
    }

    /// Whether retries are for any failure, see [`Job::with_retry_any`].
    #[must_use]
    pub fn retry_any(mut self, any: bool) -> Compute<'a> {
        self.retry_any = any;
        self
    }

    /// The array in memory, and what it took.
    ///
    /// # Errors
    /// The misuse that the array carries, a job that does not fit into memory,
    /// a source that failed, cancellation.
    pub fn array(&self, array: &DataArray) -> Result<(DataArray, RunReport)> {
        array.check()?;
        let (mut arrays, report) = self.arrays(&[array])?;
        let array = arrays
            .pop()
            .ok_or_else(|| Error::Bug("no array came out".to_owned()))?;
        Ok((array, report))
    }

    /// The cube in memory, and what it took: one job, in which work that
    /// variables share is done once.
    ///
    /// # Errors
    /// As [`Compute::array`].
    pub fn cube(&self, cube: &Cube) -> Result<(Cube, RunReport)> {
        cube.check()?;
        let variables: Vec<&DataArray> = cube.variables().map(|(_, array)| array).collect();
        let (arrays, report) = self.arrays(&variables)?;
        Ok((cube.with_variables(arrays), report))
    }

    /// Several arrays in one job; those that are in memory stay as they are.
    ///
    /// # Errors
    /// As [`Compute::array`].
    pub fn arrays(&self, arrays: &[&DataArray]) -> Result<(Vec<DataArray>, RunReport)> {
        let lazy: Vec<usize> = (0..arrays.len())
            .filter(|&i| !arrays[i].is_computed())
            .collect();
        let mut outputs: Vec<Output> = Vec::with_capacity(lazy.len());
        for &i in &lazy {
            let mut name = arrays[i].name().unwrap_or("array").to_owned();
            if outputs.iter().any(|output| output.name() == name) {
                name = format!("{name} ({i})");
            }
            outputs.push(arrays[i].output(&name)?);
        }
        let mut results: Vec<DataArray> = arrays.iter().map(|array| (*array).clone()).collect();
        if outputs.is_empty() {
            return Ok((results, RunReport::default()));
        }
        let job = Job::new(Plan::new(outputs)?)
            .with_cancel(self.cancel.clone())
            .with_retries(self.retries)
            .with_retry_any(self.retry_any);
        let sink = MemorySink::new();
        let observer = self.observer.unwrap_or(&());
        let report = match self.engine {
            Some(engine) => engine.run(&job, &sink, observer)?,
            None => default_engine()?.run(&job, &sink, observer)?,
        };
        for (i, computed) in lazy.into_iter().zip(sink.into_arrays()?) {
            let array = arrays[i];
            results[i] = DataArray::from_memory(
                array.name().map(str::to_owned),
                computed,
                Arc::clone(&array.node().schema().dims),
                array.coords().clone(),
                array.attrs().clone(),
                Some(array.chunks().clone()),
            )?;
        }
        Ok((results, report))
    }
}

impl DataArray {
    /// The array in memory, computed by the default engine on all cores.
    ///
    /// Blocks; may be called within an async runtime, where
    /// [`DataArray::compute_async`] does not hold up other tasks.
    ///
    /// # Errors
    /// The misuse that the array carries, a result that does not fit into
    /// memory, a source that failed.
    pub fn compute(&self) -> Result<DataArray> {
        Ok(Compute::new().array(self)?.0)
    }

    /// The array in memory, computed by `engine`.
    ///
    /// # Errors
    /// As [`DataArray::compute`].
    pub fn compute_with(&self, engine: &dyn Engine) -> Result<DataArray> {
        Ok(Compute::new().engine(engine).array(self)?.0)
    }

    /// The array in memory, without blocking. Dropping the future cancels the
    /// job.
    ///
    /// # Errors
    /// As [`DataArray::compute`].
    pub async fn compute_async(&self) -> Result<DataArray> {
        let array = self.clone();
        Ok(in_background(move |compute| compute.array(&array)).await?.0)
    }

    /// As [`DataArray::compute`], by the name that dask gives it: the result
    /// keeps its chunks, and later work starts from it.
    ///
    /// # Errors
    /// As [`DataArray::compute`].
    pub fn persist(&self) -> Result<DataArray> {
        self.compute()
    }
}

/// Runs a job on a thread of its own, because engines block; cancelled when the
/// future is dropped.
pub(crate) async fn in_background<T: Send + 'static>(
    run: impl FnOnce(&Compute<'static>) -> Result<T> + Send + 'static,
) -> Result<T> {
    struct CancelOnDrop(CancelToken);
    impl Drop for CancelOnDrop {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }

    let cancel = CancelToken::new();
    let guard = CancelOnDrop(cancel.clone());
    let (sender, receiver) = futures::channel::oneshot::channel();
    std::thread::Builder::new()
        .name("datacube-wait".to_owned())
        .spawn(move || {
            let result = run(&Compute::new().cancel(cancel));
            // Nobody waits any more where the future was dropped.
            let _ = sender.send(result);
        })
        .map_err(|error| Error::Unsupported(format!("cannot start a thread: {error}")))?;
    let result = receiver.await;
    drop(guard);
    result.map_err(|_| Error::Bug("the thread that waited for the job panicked".to_owned()))?
}
