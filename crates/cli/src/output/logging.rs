//! Log lines: on standard error and in files, in the form that ODC writes them.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::progress;

/// What is logged, and where.
pub(crate) struct LogOptions<'a> {
    /// How often `-v` was said.
    pub(crate) verbose: u8,
    /// Statements that go to the database, too.
    pub(crate) queries: bool,
    /// Files that get the same lines, at their end.
    pub(crate) files: &'a [PathBuf],
}

/// Sends log lines to standard error and to the files; `-v` shows more.
pub(crate) fn start_logging(options: &LogOptions<'_>) -> Result<()> {
    let filter = || -> EnvFilter {
        let level = match options.verbose {
            0 => "warn",
            1 => "info",
            2 => "debug",
            _ => "trace",
        };
        // Without being asked for, statements stay out even of a very verbose log:
        // they are many, and hold whole documents.
        let queries = if options.queries { "debug" } else { "off" };
        EnvFilter::try_from_env("DATACUBE_LOG")
            .unwrap_or_else(|_| EnvFilter::new(format!("{level},sqlx::query={queries}")))
    };
    let lines = Lines {
        is_coloured: super::is_styled(io::stderr().is_terminal()),
    };
    let screen = tracing_subscriber::fmt::layer()
        .event_format(lines)
        .with_ansi(lines.is_coloured)
        .with_writer(AroundProgress)
        .with_filter(filter());
    // One list of all: an empty one of its own would turn everything off.
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![screen.boxed()];
    for path in options.files {
        let lines = Lines { is_coloured: false };
        let file = tracing_subscriber::fmt::layer()
            .event_format(lines)
            .with_ansi(false)
            .with_writer(Mutex::new(append_to(path)?))
            .with_filter(filter());
        layers.push(file.boxed());
    }
    tracing_subscriber::registry().with(layers).init();
    Ok(())
}

fn append_to(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("--log-file {}", path.display()))
}

/// `TIME PID LOGGER LEVEL MESSAGE`.
#[derive(Clone, Copy)]
struct Lines {
    is_coloured: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let (name, colour) = match *metadata.level() {
            Level::ERROR => ("ERROR", 31),
            Level::WARN => ("WARNING", 33),
            Level::INFO => ("INFO", 37),
            Level::DEBUG => ("DEBUG", 34),
            Level::TRACE => ("TRACE", 90),
        };
        let time = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f");
        write!(
            writer,
            "{time} {} {} ",
            std::process::id(),
            metadata.target()
        )?;
        if self.is_coloured {
            write!(writer, "\x1b[{colour}m{name}\x1b[0m ")?;
        } else {
            write!(writer, "{name} ")?;
        }
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Standard error, around a progress bar.
#[derive(Clone, Copy)]
struct AroundProgress;

impl<'a> MakeWriter<'a> for AroundProgress {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        *self
    }
}

impl Write for AroundProgress {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        progress::around(|| io::stderr().lock().write_all(buffer))?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
