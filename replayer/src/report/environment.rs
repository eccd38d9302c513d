//! The machine that the generator ran on: what a reader needs to judge whether two runs can be compared.

use serde::{Deserialize, Serialize};

/// The generator's machine; no host name and no paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Cores that this process may use.
    pub cores: usize,
    /// Processor model, where the kernel tells.
    pub cpu: Option<String>,
    /// Memory in MiB, where the kernel tells.
    pub memory_mib: Option<u64>,
    /// Operating system and kernel release.
    pub kernel: String,
    /// Machine architecture.
    pub architecture: String,
}

// === impl Environment ===

impl Environment {
    /// Looks at this machine.
    pub fn here() -> Self {
        let memory =
            field("/proc/meminfo", "MemTotal").and_then(|kib| kib.split(' ').next()?.parse::<u64>().ok());
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: field("/proc/cpuinfo", "model name"),
            memory_mib: memory.map(|kib| kib / 1024),
            kernel: format!("{} {}", kernel("ostype"), kernel("osrelease")),
            architecture: std::env::consts::ARCH.to_owned(),
        }
    }
}

/// A fact about the kernel.
fn kernel(fact: &str) -> String {
    let read = std::fs::read_to_string(format!("/proc/sys/kernel/{fact}"));
    read.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// The first `name: value` line of a file in `/proc`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })?;
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_core_and_a_kernel() {
        let here = Environment::here();
        assert!(here.cores >= 1);
        assert!(here.kernel.contains(' ') && !here.architecture.is_empty(), "{here:?}");
        assert!(here.memory_mib.is_none_or(|mib| mib > 16));
    }
}
