//! How a function is submitted: its name, key, priority and retries.

use std::any::{TypeId, type_name};
use std::error::Error as StdError;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::calls::{Calls, Run};
use super::cell::{Attempt, Cell, Head};
use super::future::Future;
use super::inputs::{Dependent, Inputs};
use crate::error::CallFailure;
use crate::observe::Layer;

/// Any error that a submitted function may return.
pub(super) type AnyError = Box<dyn StdError + Send + Sync + 'static>;

/// Options of a function that is about to be submitted; made by
/// [`super::Client::call`].
///
/// `submit` takes a function that gives a value, `try_submit` one that can
/// fail. Only what can be called more than once can have retries, so
/// `try_submit` and `map` want an `Fn` or `FnMut`.
#[must_use = "nothing is done before it is submitted"]
pub struct Call {
    calls: Arc<Calls>,
    name: Option<String>,
    key: Option<String>,
    /// Hash of the arguments of a pure function.
    arguments: Option<blake3::Hash>,
    priority: i32,
    retries: u32,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("name", &self.name)
            .field("key", &self.key)
            .field("priority", &self.priority)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

impl Call {
    pub(super) fn new(calls: &Arc<Calls>) -> Call {
        Call {
            calls: Arc::clone(calls),
            name: None,
            key: None,
            arguments: None,
            priority: 0,
            retries: 0,
        }
    }

    /// What keys, progress and errors call the function; by default its own
    /// name.
    pub fn name(mut self, name: impl Into<String>) -> Call {
        self.name = Some(name.into());
        self
    }

    /// The whole key. Of functions with one key and one type of result only
    /// the first is run while anybody holds its future; the others get the
    /// same future. Equal keys promise equal results.
    pub fn key(mut self, key: impl Into<String>) -> Call {
        self.key = Some(key.into());
        self
    }

    /// A key of the function's name and these arguments, for pure functions:
    /// submitted twice with equal arguments it is run once, as long as anybody
    /// holds the future. Rust cannot look into a closure, so all that the
    /// result depends on has to be among the arguments.
    pub fn pure(mut self, arguments: &impl Hash) -> Call {
        let mut hasher = Blake3(blake3::Hasher::new());
        arguments.hash(&mut hasher);
        self.arguments = Some(hasher.0.finalize());
        self
    }

    /// Functions of a higher priority are begun first; 0 by default.
    pub fn priority(mut self, priority: i32) -> Call {
        self.priority = priority;
        self
    }

    /// How often a function that fails or panics is tried again, at once; 0 by
    /// default. For the `try_` ones: others can be run once only.
    pub fn retries(mut self, retries: u32) -> Call {
        self.retries = retries;
        self
    }

    fn head(&self, layer: &Arc<Layer>, key: Option<String>) -> Head {
        Head {
            number: self.calls.number(),
            key: key.map(String::into_boxed_str),
            layer: Arc::clone(layer),
            priority: self.priority,
            retries: self.retries,
            calls: Arc::clone(&self.calls),
            epoch: self.calls.epoch(),
            stop: None,
            counted: true,
        }
    }

    fn layer<F>(&self) -> Arc<Layer> {
        let name = self.name.as_deref().unwrap_or_else(|| short_name::<F>());
        self.calls.monitor.layer(name)
    }

    /// The key, if it says what is computed: two closures of one function have
    /// one name, so that of a pure one without a name counts its type.
    fn whole_key<F: 'static>(&self) -> Option<String> {
        let arguments = self.arguments.as_ref();
        self.key.clone().or_else(|| {
            let mut hasher = Blake3(blake3::Hasher::new());
            hasher.write(arguments?.as_bytes());
            let name = match &self.name {
                Some(name) => name,
                None => {
                    TypeId::of::<F>().hash(&mut hasher);
                    short_name::<F>()
                }
            };
            Some(format!("{name}-{}", &hasher.0.finalize().to_hex()[..32]))
        })
    }

    fn put<F: 'static, T: Send + Sync + 'static>(
        self,
        inputs: usize,
        attempt: Attempt<T>,
        tell: impl FnOnce(&Dependent),
    ) -> Future<T> {
        let layer = self.layer::<F>();
        let key = self.whole_key::<F>();
        // One more than the inputs, until all of them have been told.
        let make = || Cell::new(self.head(&layer, key.clone()), Some(attempt), inputs + 1);
        let (cell, made) = match &key {
            Some(key) => self.calls.known(key, Cell::is_good, make),
            None => (make(), true),
        };
        if !made {
            return Future(cell);
        }
        layer.add_total(1);
        if inputs == 0 {
            self.calls.put(&[cell.as_run()], false);
        } else {
            tell(&Dependent(cell.as_weak_run()));
            cell.as_run().input_ended();
        }
        Future(cell)
    }

    /// Runs `f` on a worker.
    pub fn submit<F, T>(mut self, f: F) -> Future<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + Sync + 'static,
    {
        self.retries = 0;
        self.put::<F, T>(0, once(f), |_| {})
    }

    /// Runs `f`, which may fail, on a worker.
    pub fn try_submit<F, T, E>(self, mut f: F) -> Future<T>
    where
        F: FnMut() -> Result<T, E> + Send + 'static,
        T: Send + Sync + 'static,
        E: Into<AnyError>,
    {
        self.put::<F, T>(0, Box::new(move || f().map_err(failed)), |_| {})
    }

    /// Runs `f` on a worker with the results of `inputs` as soon as they are
    /// there. If one of them fails `f` is not run, and its error says why.
    pub fn submit_with<I, F, T>(mut self, inputs: I, f: F) -> Future<T>
    where
        I: Inputs,
        F: FnOnce(I::Values) -> T + Send + 'static,
        T: Send + Sync + 'static,
    {
        self.retries = 0;
        let mut f = Some(f);
        self.submit_inputs::<I, F, T>(inputs, move |values| {
            let f = f.take().expect("what can be run once is tried once");
            Ok(f(values))
        })
    }

    /// As [`Call::submit_with`], with a function that may fail.
    pub fn try_submit_with<I, F, T, E>(self, inputs: I, mut f: F) -> Future<T>
    where
        I: Inputs,
        F: FnMut(I::Values) -> Result<T, E> + Send + 'static,
        T: Send + Sync + 'static,
        E: Into<AnyError>,
    {
        self.submit_inputs::<I, F, T>(inputs, move |values| f(values).map_err(failed))
    }

    fn submit_inputs<I, F, T>(
        self,
        inputs: I,
        mut f: impl FnMut(I::Values) -> Result<T, CallFailure> + Send + 'static,
    ) -> Future<T>
    where
        I: Inputs,
        F: 'static,
        T: Send + Sync + 'static,
    {
        let inputs = Arc::new(parking_lot::Mutex::new(inputs));
        let (count, of) = (inputs.lock().count(), Arc::clone(&inputs));
        let attempt: Attempt<T> = Box::new(move || {
            let values = of.lock().values()?;
            f(values)
        });
        self.put::<F, T>(count, attempt, |user| inputs.lock().tell(user))
    }

    /// Runs `f` for each of `items`; the futures are in their order. All are
    /// put in at once, which is the quickest way to submit many.
    pub fn map<A, F, T>(mut self, items: impl IntoIterator<Item = A>, f: F) -> Vec<Future<T>>
    where
        A: Send + 'static,
        F: Fn(A) -> T + Send + Sync + 'static,
        T: Send + Sync + 'static,
    {
        self.retries = 0;
        let f = Arc::new(f);
        self.map_attempts::<F, A, T>(items, move |item| {
            let f = Arc::clone(&f);
            once(move || f(item))
        })
    }

    /// As [`Call::map`], with a function that may fail and be tried again.
    pub fn try_map<A, F, T, E>(self, items: impl IntoIterator<Item = A>, f: F) -> Vec<Future<T>>
    where
        A: Clone + Send + 'static,
        F: Fn(A) -> Result<T, E> + Send + Sync + 'static,
        T: Send + Sync + 'static,
        E: Into<AnyError>,
    {
        let f = Arc::new(f);
        self.map_attempts::<F, A, T>(items, move |item| {
            let f = Arc::clone(&f);
            Box::new(move || f(item.clone()).map_err(failed))
        })
    }

    fn map_attempts<F, A, T: Send + Sync + 'static>(
        self,
        items: impl IntoIterator<Item = A>,
        attempt: impl Fn(A) -> Attempt<T>,
    ) -> Vec<Future<T>> {
        /// Functions that are put in at a time, so that work begins early.
        const BATCH: usize = 4096;

        let layer = self.layer::<F>();
        let items = items.into_iter();
        let mut futures = Vec::with_capacity(items.size_hint().0);
        let mut batch: Vec<Arc<dyn Run>> = Vec::new();
        for (i, item) in items.enumerate() {
            let key = self.key.as_ref().map(|key| format!("{key}-{i}"));
            let cell = Cell::new(self.head(&layer, key), Some(attempt(item)), 0);
            batch.push(cell.as_run());
            futures.push(Future(cell));
            if batch.len() == BATCH {
                layer.add_total(batch.len() as u64);
                self.calls.put(&batch, false);
                batch.clear();
            }
        }
        layer.add_total(batch.len() as u64);
        self.calls.put(&batch, false);
        futures
    }
}

/// A function that can be tried once, and is: `submit` and `map` have no
/// retries.
fn once<T>(f: impl FnOnce() -> T + Send + 'static) -> Attempt<T> {
    let mut f = Some(f);
    Box::new(move || {
        let f = f.take().expect("without retries it is tried once");
        Ok(f())
    })
}

fn failed<E: Into<AnyError>>(error: E) -> CallFailure {
    CallFailure::Failed(Arc::from(error.into()))
}

/// The last name of a path that is no closure: `inc` of `app::inc`, `main` of
/// `app::main::{{closure}}`, `len` of `core::str::<impl str>::len`.
fn short_name<F>() -> &'static str {
    let path = type_name::<F>();
    let mut name = "call";
    let mut start = 0;
    let mut depth = 0_usize;
    let ends = path.bytes().chain(*b"::").enumerate();
    let mut before = b' ';
    for (at, byte) in ends {
        match byte {
            b'<' => depth += 1,
            // `->` closes nothing.
            b'>' if before != b'-' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => {
                let part = path.get(start..at).unwrap_or_default();
                let part = part.split('<').next().unwrap_or_default();
                if !part.is_empty() && !part.starts_with('{') {
                    name = part;
                }
                start = at + 1;
            }
            _ => {}
        }
        before = byte;
    }
    name
}

/// Hashes with blake3, so that a key is the same in every process.
struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn finish(&self) -> u64 {
        let hash = self.0.finalize();
        u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of<F>(_: &F) -> &'static str {
        short_name::<F>()
    }

    #[test]
    fn functions_have_names() {
        assert_eq!(name_of(&str::len), "len");
        assert_eq!(name_of(&Vec::<fn(u8) -> u8>::len), "len");
        assert_eq!(name_of(&std::mem::size_of::<u8>), "size_of");
        assert_eq!(name_of(&|| 1), "functions_have_names");
    }
}
