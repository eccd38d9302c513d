//! CPU time of threads and processes, from the scheduler's own account in nanoseconds.

use std::process::Command;

use anyhow::{Context, Result};
use understudy_tests::process::{Finished, succeed};

/// CPU seconds that the threads of `pid` used so far; with `named`, only those whose name starts so.
pub(crate) fn seconds(pid: u32, named: Option<&str>) -> Result<f64> {
    let mut total = 0.0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        let name = std::fs::read_to_string(task.join("comm"))?;
        if named.is_none_or(|prefix| name.starts_with(prefix)) {
            let account = std::fs::read_to_string(task.join("schedstat"))?;
            let ns: u64 = account.split(' ').next().context("schedstat has fields")?.parse()?;
            total += ns as f64 / 1e9;
        }
    }
    Ok(total)
}

/// CPU seconds that this thread used so far.
pub(crate) fn of_this_thread() -> Result<f64> {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let ns: f64 = account.split(' ').next().context("schedstat has fields")?.parse()?;
    Ok(ns / 1e9)
}

/// Runs a command to its end and returns the CPU seconds, user and system, that it used.
pub(crate) fn of_command(program: &str, args: &[String]) -> Result<(f64, Finished)> {
    let mut command = Command::new("bash");
    command.arg("-c").arg("TIMEFORMAT='cpu %U %S'; time \"$@\"").arg("bash").arg(program).args(args);
    let finished = succeed(&mut command)?;
    let line = finished
        .stderr
        .lines()
        .rev()
        .find_map(|l| l.strip_prefix("cpu "))
        .context("bash reports the time")?;
    let cpu = line.split(' ').map(|t| t.parse::<f64>().context("a number")).sum::<Result<f64>>()?;
    Ok((cpu, finished))
}
