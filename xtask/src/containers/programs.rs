//! Programs that stand in for the image's compile stage: those that cargo makes here, where they can run there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{console, process};

/// Programs that the compile stage leaves for the other stages.
const PROGRAMS: [&str; 2] = ["instagram-accounts", "instagram-sandbox"];

/// The C library of the images' Debian. A program that was linked against a newer one does not run there.
///
/// Source: <https://packages.debian.org/bookworm/libc6>.
const IMAGE_GLIBC: (u32, u32) = (2, 36);

/// A folder like the compile stage, with debug builds of this machine; `None` where the stage itself is to compile.
pub(super) fn compiled_here(workspace: &Workspace, full: bool) -> Result<Option<PathBuf>> {
    if full {
        return Ok(None);
    }
    if !run_in_image() {
        console::note(
            "programs of this machine do not run in the images: their build stage compiles",
        );
        return Ok(None);
    }
    console::note("building the workspace ...");
    // As the tests do, so that `ci` does not resolve other features and compile all of it again.
    process::run(&mut workspace.cargo(&["build", "--workspace", "--all-targets"]))?;
    let stage = workspace.target().join("containers/build");
    for program in PROGRAMS {
        place(&workspace.binary(program), &stage.join("programs").join(program))?;
    }
    Ok(Some(stage))
}

fn place(program: &Path, place: &Path) -> Result<()> {
    let folder = place.parent().context("a program lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::copy(program, place).with_context(|| format!("cannot write {}", place.display()))?;
    Ok(())
}

/// Whether this machine links against a C library that the images have.
fn run_in_image() -> bool {
    let asked = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    asked.is_ok_and(|answer| is_in_image(&String::from_utf8_lossy(&answer.stdout)))
}

/// Whether the images have this version of glibc, as getconf writes it. No other C library is in them.
fn is_in_image(version: &str) -> bool {
    let number = |text: Option<&str>| text?.trim_end().parse().ok();
    let mut numbers = version.strip_prefix("glibc ").unwrap_or_default().split('.');
    let version = number(numbers.next()).zip(number(numbers.next()));
    version.is_some_and(|version| version <= IMAGE_GLIBC)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_same("glibc 2.36\n", true)]
    #[case::older("glibc 2.31\n", true)]
    #[case::newer("glibc 2.39\n", false)]
    #[case::a_third_number("glibc 2.36.1\n", true)]
    #[case::none("\n", false)]
    #[case::another("musl 1.2\n", false)]
    fn a_newer_c_library_is_not_in_the_images(#[case] version: &str, #[case] expected: bool) {
        assert_eq!(is_in_image(version), expected);
    }

    #[test]
    fn the_images_are_those_of_that_c_library() {
        let dockerfile = include_str!("../../../Dockerfile");
        for image in dockerfile.lines().filter(|line| line.starts_with("FROM docker.io/")) {
            assert!(image.contains("bookworm"), "{image} may have another glibc than 2.36");
        }
    }
}
