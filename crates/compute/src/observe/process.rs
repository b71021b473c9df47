//! Memory and CPU time of this process, as Linux tells them.

use std::time::Duration;

/// Bytes of memory that the process has in RAM; `None` where the system does
/// not tell.
pub(crate) fn resident_bytes() -> Option<u64> {
    rss(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// CPU time of all threads since the process started.
pub(crate) fn cpu_time() -> Option<Duration> {
    ticks(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

fn rss(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Fields 14 and 15 of `stat`: hundredths of a second on every Linux.
fn ticks(stat: &str) -> Option<Duration> {
    // The second field is the program's name, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_writes() {
        assert_eq!(rss("VmHWM:\t 9 kB\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        let stat = "12 (a) b) S 1 12 12 0 -1 4194304 1 2 3 4 150 25 0 0 20 0 1";
        assert_eq!(ticks(stat), Some(Duration::from_millis(1750)));
        assert_eq!(rss("nothing"), None);
        assert_eq!(ticks("nothing"), None);
    }
}
