//! What can go wrong in this crate, with the place and the way out.
//!
//! Operators on arrays never fail where they stand: a misuse is kept in the
//! array and returned by `compute()` or any checked method, so the error has
//! to be [`Clone`] and to carry everything that a reader needs without the
//! line of code at hand.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use datacube_model::{DType, near_names};

use crate::copies::OtherCopy;
use crate::region::Region;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error of another crate, shared so that ours can be cloned.
pub type SharedError = Arc<dyn StdError + Send + Sync + 'static>;

/// Everything that this crate can refuse or fail at.
#[non_exhaustive]
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No variable, dimension, coordinate, flag or function of that name.
    #[error("no {kind} `{name}`{}; {}", in_place(.place), choices(.name, .available))]
    UnknownName {
        /// What was looked for: `variable`, `dimension`, `coordinate`, ...
        kind: &'static str,
        /// The name that was met.
        name: String,
        /// Where it was looked for; may be empty.
        place: String,
        /// All names that exist.
        available: Vec<String>,
    },
    /// Two arrays do not lie on the same coordinate.
    #[error(
        "cannot {operation} arrays that differ along `{dim}`: {difference}; select the common part of both first, with `sel` (labels) or `isel` (positions)"
    )]
    Misaligned {
        /// What was attempted, such as `subtract`.
        operation: &'static str,
        /// The dimension.
        dim: String,
        /// Sizes and the first difference.
        difference: String,
    },
    /// An operation is not defined for these pixel types.
    #[error("{operation} is not defined for {}: {reason}", names(.dtypes))]
    DType {
        /// What was attempted.
        operation: String,
        /// The pixel types that were met.
        dtypes: Vec<DType>,
        /// Why, and what to do instead.
        reason: String,
    },
    /// An integer scalar does not fit the array's type.
    #[error(
        "{value} is out of bounds for {dtype}; convert the array first, with `astype`, to a type that holds it"
    )]
    ScalarOutOfRange {
        /// The scalar.
        value: i128,
        /// The type it would have to take.
        dtype: DType,
    },
    /// A position outside a dimension.
    #[error("index {index} is out of bounds for dimension `{dim}` of size {len}")]
    IndexOutOfRange {
        /// The dimension.
        dim: String,
        /// The position asked for.
        index: i64,
        /// Its size.
        len: usize,
    },
    /// A label that a coordinate does not have.
    #[error("no label {label} in coordinate `{coord}`, which has {range}; {hint}")]
    UnknownLabel {
        /// The coordinate.
        coord: String,
        /// The label asked for.
        label: String,
        /// Its size, first and last value.
        range: String,
        /// What to do.
        hint: String,
    },
    /// A request that cannot be meant: shapes, chunk sizes, types, options.
    #[error("{0}")]
    Invalid(String),
    /// Something that is deliberately not supported.
    #[error("{0}")]
    Unsupported(String),
    /// A formula that cannot be read or applied; the text points at the place.
    #[error("{message}\n  {text}\n  {}^", " ".repeat(*.column))]
    Expression {
        /// The formula.
        text: String,
        /// Characters before the place that is wrong.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// A flag, a label or a definition that the model refuses.
    #[error("{message}")]
    Flags {
        /// The model's own words.
        message: String,
        /// The model's error.
        #[source]
        source: SharedError,
    },
    /// Bytes that are no plan, or a plan of another version.
    #[error("this is not a plan that can be read: {0}")]
    Wire(String),
    /// The work needs more memory than there is; nothing was read.
    #[error("{0}")]
    TooLarge(Box<TooLarge>),
    /// One chunk failed; the engine is still usable.
    #[error("{0}")]
    Task(Box<TaskError>),
    /// A submitted function has no result; the cluster is still usable.
    #[error("{0}")]
    Call(Box<CallError>),
    /// The place that results are written to failed.
    #[error("could not write {place}: {source}")]
    Sink {
        /// Array and region.
        place: String,
        /// What the sink said.
        source: SharedError,
    },
    /// What a job keeps fits neither into memory nor where it is spilled to.
    #[error(
        "spilling to {directory} failed: {message}. Free space there, name another directory with `local_directory`, or give the cluster more memory; the cluster goes on"
    )]
    Spill {
        /// The directory.
        directory: String,
        /// How much, and why not.
        message: String,
    },
    /// The cancel token was used.
    #[error("cancelled after {done} of {total} tasks")]
    Cancelled {
        /// Tasks that had been finished.
        done: usize,
        /// Tasks of the job.
        total: usize,
    },
    /// The cluster was closed before or while the job ran.
    #[error("{name} is closed; start another one")]
    Closed {
        /// The engine.
        name: String,
    },
    /// A value that another copy of this library in the process made.
    #[error(transparent)]
    OtherCopy(#[from] OtherCopy),
    /// A defect of this crate; please report it.
    #[error("internal error, please report it: {0}")]
    Bug(String),
}

/// A job that does not fit.
#[derive(Clone, Debug)]
pub struct TooLarge {
    /// What does not fit: `the result`, `one chunk of ndvi`.
    pub what: String,
    /// Bytes that it needs.
    pub needed: u64,
    /// Bytes that there are.
    pub limit: u64,
    /// How `needed` adds up.
    pub detail: String,
    /// The way out.
    pub hint: String,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} needs {} of memory and the limit is {}",
            self.what,
            crate::repr::binary_bytes(self.needed),
            crate::repr::binary_bytes(self.limit)
        )?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        write!(f, "; nothing was read. {}", self.hint)
    }
}

/// Which submitted function has no result, and why.
#[derive(Clone, Debug)]
pub struct CallError {
    /// Its key.
    pub key: String,
    /// How often it was tried.
    pub tries: u32,
    /// What happened.
    pub cause: CallFailure,
}

/// What can happen to a submitted function.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum CallFailure {
    /// It panicked.
    Panic(String),
    /// It returned an error.
    Failed(SharedError),
    /// It was not run: one of its inputs has no result.
    Input(Error),
    /// Somebody cancelled it.
    Cancelled,
    /// The cluster was restarted, which gives up all results.
    Lost,
    /// The cluster was closed.
    Closed,
    /// It had not ended when the time to wait was over.
    TimedOut,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let tries = match self.tries {
            0 | 1 => String::new(),
            n => format!(" after {n} tries"),
        };
        match &self.cause {
            CallFailure::Lost => write!(
                f,
                "the result of task `{key}` was given up when the cluster was restarted; submit it again"
            ),
            CallFailure::TimedOut => write!(f, "task `{key}` {}", self.cause),
            CallFailure::Input(error) => {
                write!(
                    f,
                    "task `{key}` was not run, because an input failed: {error}"
                )
            }
            cause => write!(f, "task `{key}` {cause}{tries}"),
        }
    }
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallFailure::Panic(message) => write!(f, "panicked: {message}"),
            CallFailure::Failed(error) => write!(f, "failed: {error}"),
            CallFailure::Input(error) => write!(f, "an input failed: {error}"),
            CallFailure::Cancelled => f.write_str("was cancelled"),
            CallFailure::Lost => f.write_str("was lost in a restart"),
            CallFailure::Closed => f.write_str("was not run: the cluster is closed"),
            CallFailure::TimedOut => f.write_str("has not ended yet; ask again, or cancel it"),
        }
    }
}

/// Where and how a task failed.
#[derive(Clone, Debug)]
pub struct TaskError {
    /// The arrays that the task was making.
    pub array: String,
    /// Index of the chunk along each axis.
    pub chunk: Vec<usize>,
    /// The chunk's pixels.
    pub region: Region,
    /// What happened.
    pub cause: TaskFailure,
}

/// What can happen to a task.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum TaskFailure {
    /// A source could not be fetched or decoded.
    Source(crate::source::SourceError),
    /// Code panicked.
    Panic(String),
    /// Values met while computing have no result, such as `2 ** -1` in integers.
    Value(String),
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chunk: Vec<String> = self.chunk.iter().map(usize::to_string).collect();
        write!(
            f,
            "chunk ({}) of {}, pixels {}: ",
            chunk.join(", "),
            self.array,
            self.region
        )?;
        write!(f, "{}", self.cause)
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskFailure::Source(error) => write!(f, "{error}"),
            TaskFailure::Panic(message) => write!(f, "the task panicked: {message}"),
            TaskFailure::Value(message) => f.write_str(message),
        }
    }
}

impl Error {
    /// A name that is not among `available`, with the near ones.
    pub fn unknown_name<'a>(
        kind: &'static str,
        name: impl Into<String>,
        place: impl Into<String>,
        available: impl IntoIterator<Item = &'a str>,
    ) -> Error {
        let name = name.into();
        let available: Vec<String> = available.into_iter().map(str::to_owned).collect();
        Error::UnknownName {
            kind,
            name,
            place: place.into(),
            available,
        }
    }

    /// Whether something that was named does not exist.
    pub fn is_not_found(&self) -> bool {
        match self {
            Error::UnknownName { .. } | Error::UnknownLabel { .. } => true,
            Error::Task(task) => match &task.cause {
                TaskFailure::Source(error) => error.is_not_found(),
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether trying again could help.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Task(task) => match &task.cause {
                TaskFailure::Source(error) => error.is_transient(),
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether the work was refused for its size before anything was read.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Error::TooLarge(_))
    }

    /// Whether somebody asked for the work to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Error::Cancelled { .. } => true,
            Error::Call(call) => match &call.cause {
                CallFailure::Cancelled => true,
                CallFailure::Input(error) => error.is_cancelled(),
                _ => false,
            },
            _ => false,
        }
    }
}

fn in_place(place: &str) -> String {
    if place.is_empty() {
        String::new()
    } else {
        format!(" in {place}")
    }
}

fn choices(name: &str, all: &[String]) -> String {
    const SHOWN: usize = 20;
    if all.is_empty() {
        return "there are none".to_owned();
    }
    let near = near_names(name, all.iter().map(String::as_str));
    let mut text = String::new();
    if !near.is_empty() {
        text = format!("did you mean {}? ", near.join(", "));
    }
    text.push_str("there is ");
    text.push_str(
        &all.iter()
            .take(SHOWN)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", "),
    );
    if all.len() > SHOWN {
        text.push_str(&format!(" and {} more", all.len() - SHOWN));
    }
    text
}

fn names(dtypes: &[DType]) -> String {
    dtypes
        .iter()
        .map(|dtype| dtype.name())
        .collect::<Vec<_>>()
        .join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first() {
        let error = Error::unknown_name("variable", "redd", "the cube", ["blue", "red", "nir"]);
        assert_eq!(
            error.to_string(),
            "no variable `redd` in the cube; did you mean red? there is blue, red, nir"
        );
        assert!(error.is_not_found());
        assert!(!error.is_transient());
    }

    #[test]
    fn no_names_at_all() {
        let error = Error::unknown_name("variable", "red", "", []);
        assert_eq!(error.to_string(), "no variable `red`; there are none");
    }
}
