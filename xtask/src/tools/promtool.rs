//! promtool, which checks metrics and alerting rules, a part of Prometheus.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{apt_get, is_debian_root, on_path, remove_folder};
use crate::workspace::Workspace;
use crate::{console, process};

/// Path of promtool in Debian's package.
const IN_PACKAGE: &str = "usr/bin/promtool";

/// promtool on `PATH`; on Debian as root, out of Debian's package, which is not installed: it would start a server.
pub(crate) fn obtain(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(promtool) = on_path("promtool") {
        return Ok(promtool);
    }
    let unpacked = workspace.target().join("tools/promtool");
    if !unpacked.is_file() {
        ensure!(
            is_debian_root(),
            "promtool is missing: install Prometheus so that it is on PATH (Debian: apt-get install prometheus)"
        );
        unpack(&unpacked)?;
    }
    Ok(unpacked)
}

/// Takes promtool out of Debian's package.
fn unpack(promtool: &Path) -> Result<()> {
    console::note("unpacking promtool from Debian's prometheus ...");
    let aside = promtool.with_extension("partial");
    remove_folder(&aside)?;
    fs::create_dir_all(&aside).context("cannot make target/tools")?;
    process::run(apt_get().arg("update"))?;
    process::run(apt_get().args(["download", "prometheus"]).current_dir(&aside))?;
    let mut files = fs::read_dir(&aside).context("cannot read target/tools")?;
    let package = files.next().context("apt-get downloaded no package")??.path();
    process::run(std::process::Command::new("dpkg-deb").arg("--extract").args([&package, &aside]))?;
    fs::rename(aside.join(IN_PACKAGE), promtool).context("Debian's prometheus has no promtool")?;
    remove_folder(&aside)
}
