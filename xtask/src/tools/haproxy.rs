//! The proxy of the container stack.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{install_debian, on_path};

/// Path of Debian's HAProxy, which is on root's `PATH` only.
const DEBIAN: &str = "/usr/sbin/haproxy";

/// HAProxy on `PATH`, else Debian's; on Debian as root, its package is installed if there is none.
pub(crate) fn obtain() -> Result<PathBuf> {
    if let Some(haproxy) = find() {
        return Ok(haproxy);
    }
    install_debian(&["haproxy"])?;
    find().context(
        "the tests of the container stack need HAProxy 2.6 or newer on PATH: install it (Debian: apt-get \
         install haproxy)",
    )
}

fn find() -> Option<PathBuf> {
    on_path("haproxy").or_else(|| Some(PathBuf::from(DEBIAN)).filter(|path| path.is_file()))
}
