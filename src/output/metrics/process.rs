//! Numbers of this process, read from `/proc/self` at each scrape. What cannot be read is left out.

use std::{fs, sync::OnceLock};

use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
};

/// What `/proc` says about this process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    /// User and system time.
    pub cpu_seconds: Option<f64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// Limit of file descriptors.
    pub max_fds: Option<u64>,
    /// Virtual memory.
    pub virtual_memory_bytes: Option<u64>,
    /// Limit of virtual memory; `None` = unlimited.
    pub virtual_memory_max_bytes: Option<u64>,
    /// Resident memory.
    pub resident_memory_bytes: Option<u64>,
    /// Start time since the Unix epoch.
    pub start_time_seconds: Option<f64>,
    /// Threads.
    pub threads: Option<u64>,
}

impl Process {
    /// Reads the numbers of now.
    #[must_use]
    pub fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").ok();
        let mut process = stat.as_deref().and_then(|stat| Self::parse(stat, boot_time())).unwrap_or_default();
        // Reading the directory opens a descriptor of its own, which is not counted.
        process.open_fds = fs::read_dir("/proc/self/fd").ok().map(|fds| (fds.count() as u64).saturating_sub(1));
        process.max_fds = getrlimit(Resource::Nofile).current;
        process.virtual_memory_max_bytes = getrlimit(Resource::As).current;
        process
    }

    /// Parses `/proc/self/stat` as described in proc(5). The name in parentheses may hold anything, so the fields are
    /// counted from the last closing parenthesis; `fields[0]` is field 3 of the manual.
    fn parse(stat: &str, boot_time: Option<u64>) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
        let seconds = |ticks: u64| to_f64(ticks) / to_f64(clock_ticks_per_second());
        Some(Self {
            cpu_seconds: number(14).zip(number(15)).map(|(user, system)| seconds(user.saturating_add(system))),
            threads: number(20),
            start_time_seconds: number(22).zip(boot_time).map(|(ticks, boot)| to_f64(boot) + seconds(ticks)),
            virtual_memory_bytes: number(23),
            resident_memory_bytes: number(24).map(|pages| pages.saturating_mul(page_size() as u64)),
            ..Self::default()
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "ticks and seconds of a machine's life fit 53 bits")]
fn to_f64(value: u64) -> f64 {
    value as f64
}

/// Boot time since the Unix epoch in seconds. Read once: it follows every step of the wall clock, and a start time that
/// moves would look like a restart.
fn boot_time() -> Option<u64> {
    static BOOT_TIME: OnceLock<Option<u64>> = OnceLock::new();
    *BOOT_TIME.get_or_init(|| {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_spaces_and_parentheses_moves_no_field() {
        let rest = (4..=52).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let process = Process::parse(&format!("1 (a b) c) ) S {rest}"), Some(100)).unwrap();
        assert_eq!((process.threads, process.virtual_memory_bytes), (Some(20), Some(23)));
        assert_eq!(process.resident_memory_bytes, Some(24 * page_size() as u64));
        assert!(100.0 < process.start_time_seconds.unwrap());
    }

    #[test]
    fn a_truncated_stat_gives_what_it_has() {
        assert_eq!(Process::parse("", None), None);
        assert_eq!(Process::parse("1 (x) S 1 2", Some(1)), Some(Process::default()));
    }

    #[test]
    fn this_process_has_memory_descriptors_and_a_past() {
        let process = Process::read();
        assert!(0 < process.resident_memory_bytes.unwrap());
        assert!(0 < process.open_fds.unwrap() && process.open_fds <= process.max_fds);
        assert!(1_500_000_000.0 < process.start_time_seconds.unwrap());
    }
}
