//! How much memory there is, and how much of it a cluster may take.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The memory of this machine, or of the container that it is in if that is
/// less. `None` where the system does not tell.
///
/// Read from `/proc/meminfo` and the control groups of Linux; other systems do
/// not tell.
pub(crate) fn total() -> Option<u64> {
    let ram = read("/proc/meminfo").and_then(|text| meminfo(&text));
    let limits = [
        read("/sys/fs/cgroup/memory.max"),
        read("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ];
    let limits = limits
        .into_iter()
        .flatten()
        .filter_map(|text| text.trim().parse().ok());
    limits.chain(ram).min()
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn meminfo(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Memory that each worker of a cluster may take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum MemoryLimit {
    /// The machine's memory, shared among the workers by their threads.
    #[default]
    Auto,
    /// So many bytes.
    Bytes(u64),
    /// This fraction of the machine's memory, more than 0 and up to 1.
    Fraction(f64),
    /// No limit.
    Unlimited,
}

impl MemoryLimit {
    /// Bytes for all that runs on this machine; `None` for no limit, and where
    /// the system does not tell how much there is.
    pub fn total_bytes(self) -> Option<u64> {
        self.per_worker(1, 1)
    }

    /// Bytes for each of `workers` workers of `threads` threads on a machine
    /// of `cores` cores.
    ///
    /// # Source
    /// dask.distributed, `worker_memory.py` (`parse_memory_limit`).
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of memory needs no exactness"
    )]
    pub(crate) fn per_worker(self, threads: usize, cores: usize) -> Option<u64> {
        let share = |fraction: f64| total().map(|bytes| (bytes as f64 * fraction) as u64);
        match self {
            MemoryLimit::Auto => share((threads as f64 / cores as f64).min(1.0)),
            MemoryLimit::Bytes(bytes) => Some(bytes),
            MemoryLimit::Fraction(fraction) => share(fraction),
            MemoryLimit::Unlimited => None,
        }
    }
}

/// `2GiB`, `512 MB`, `1000000`, a fraction such as `0.5`, `auto`, and `none` or
/// `0` for no limit.
impl FromStr for MemoryLimit {
    type Err = Error;

    fn from_str(text: &str) -> Result<MemoryLimit> {
        let wrong = || {
            Error::Invalid(format!(
                "`{text}` is no memory limit; write `2GiB`, `500MB`, a fraction of the memory such as `0.5`, `auto`, or `none`"
            ))
        };
        let lower = text.trim().to_ascii_lowercase();
        match lower.as_str() {
            "auto" => return Ok(MemoryLimit::Auto),
            "none" | "unlimited" | "0" => return Ok(MemoryLimit::Unlimited),
            _ => {}
        }
        let split = lower
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(lower.len());
        let (number, unit) = lower.split_at(split);
        let value: f64 = number.trim().parse().map_err(|_| wrong())?;
        if !value.is_finite() || value <= 0.0 {
            return Err(wrong());
        }
        let scale = match unit.trim() {
            "" if value <= 1.0 && number.contains('.') => return Ok(MemoryLimit::Fraction(value)),
            "" | "b" => 1.0,
            "kb" | "k" => 1e3,
            "mb" | "m" => 1e6,
            "gb" | "g" => 1e9,
            "tb" | "t" => 1e12,
            "kib" => 1024.0,
            "mib" => 1_048_576.0,
            "gib" => 1_073_741_824.0,
            "tib" => 1_099_511_627_776.0,
            _ => return Err(wrong()),
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and saturating is right"
        )]
        let bytes = (value * scale) as u64;
        if bytes == 0 {
            Err(wrong())
        } else {
            Ok(MemoryLimit::Bytes(bytes))
        }
    }
}

impl TryFrom<&str> for MemoryLimit {
    type Error = Error;

    fn try_from(text: &str) -> Result<MemoryLimit> {
        text.parse()
    }
}

impl From<u64> for MemoryLimit {
    fn from(bytes: u64) -> Self {
        if bytes == 0 {
            MemoryLimit::Unlimited
        } else {
            MemoryLimit::Bytes(bytes)
        }
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryLimit::Auto => f.write_str("auto"),
            MemoryLimit::Bytes(bytes) => f.write_str(&crate::repr::binary_bytes(*bytes)),
            MemoryLimit::Fraction(fraction) => write!(f, "{fraction} of the memory"),
            MemoryLimit::Unlimited => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let check = |text: &str, limit| assert_eq!(text.parse::<MemoryLimit>().unwrap(), limit);
        check("2GiB", MemoryLimit::Bytes(2 << 30));
        check("500 MB", MemoryLimit::Bytes(500_000_000));
        check("1.5kb", MemoryLimit::Bytes(1500));
        check("4096", MemoryLimit::Bytes(4096));
        check("0.5", MemoryLimit::Fraction(0.5));
        check("1.0", MemoryLimit::Fraction(1.0));
        check("1", MemoryLimit::Bytes(1));
        check("auto", MemoryLimit::Auto);
        check("0", MemoryLimit::Unlimited);
        for text in ["", "-1GB", "2 floppies", "nan", "inf", "0.0"] {
            let error = text.parse::<MemoryLimit>().unwrap_err().to_string();
            assert!(error.contains("2GiB"), "{error}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!(MemoryLimit::Bytes(7).per_worker(1, 4), Some(7));
        assert_eq!(MemoryLimit::Unlimited.per_worker(1, 4), None);
        if let Some(total) = total() {
            assert!(total > 64 << 20, "{total}");
            assert_eq!(MemoryLimit::Auto.per_worker(4, 4), Some(total));
            assert_eq!(MemoryLimit::Fraction(0.5).per_worker(4, 4), Some(total / 2));
        }
        assert_eq!(
            meminfo("MemTotal:       24576 kB\nMemFree: 1 kB"),
            Some(24576 * 1024)
        );
    }
}
