//! The browser of the consent test, and the program that drives it.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{install_debian, on_path};

const BROWSERS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A browser and its driver, which must be of the same major version.
pub(crate) struct Browser {
    pub(crate) chromium: PathBuf,
    pub(crate) chromedriver: PathBuf,
}

impl Browser {
    /// The browser on `PATH`; on Debian as root, Debian's own, installed if it is missing.
    pub(crate) fn obtain() -> Result<Self> {
        if let Some(browser) = Self::find() {
            return Ok(browser);
        }
        install_debian(&["chromium", "chromium-driver"])?;
        Self::find().context(
            "the browser test needs chromium (or google-chrome) and chromedriver on PATH: install both \
             (Debian: apt-get install chromium chromium-driver)",
        )
    }

    fn find() -> Option<Self> {
        let chromium = BROWSERS.into_iter().find_map(on_path)?;
        Some(Self { chromium, chromedriver: on_path("chromedriver")? })
    }
}
