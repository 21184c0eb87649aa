//! Processors that do not sleep while something is measured.

use std::fs::File;
use std::io::{self, Write as _};

use anyhow::{Context, Result};

/// The file by which a process tells Linux how many microseconds a sleeping processor may take to wake, for as long as
/// it keeps the file open.
///
/// Source: <https://docs.kernel.org/power/pm_qos_interface.html>.
const WAKE_LATENCY: &str = "/dev/cpu_dma_latency";

/// Keeps all processors awake until it is dropped.
pub(super) struct Awake {
    _open: File,
}

impl Awake {
    /// Allows no time to wake, so that no processor sleeps.
    pub(super) fn keep() -> Result<Self> {
        let open = || {
            let mut file = File::options().write(true).open(WAKE_LATENCY)?;
            file.write_all(&0_i32.to_ne_bytes())?;
            Ok::<_, io::Error>(file)
        };
        let open =
            open().with_context(|| format!("--awake needs root, to write to {WAKE_LATENCY}"))?;
        Ok(Self { _open: open })
    }
}
