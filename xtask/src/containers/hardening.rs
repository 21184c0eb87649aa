//! Privileges of a container's first process, as the kernel tells them.

use anyhow::{Context, Result, ensure};

/// The sets of capabilities in `/proc/…/status`.
const CAPABILITY_SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/// Fails unless the process is nobody's root, has no capability and can gain none, and can write to no file of its
/// image.
pub(super) fn check(status: &str, mounts: &str) -> Result<()> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim).with_context(|| format!("the kernel tells no {name}"))
    };
    let users = field("Uid")?;
    ensure!(users.split_whitespace().all(|user| user != "0"), "it runs as root: {users}");
    for set in CAPABILITY_SETS {
        let capabilities = field(set)?;
        ensure!(capabilities.bytes().all(|digit| digit == b'0'), "{set} is {capabilities}");
    }
    ensure!(field("NoNewPrivs")? == "1", "it may gain privileges");
    let root = mounts.lines().find_map(|mount| {
        let mut words = mount.split_whitespace().skip(1);
        (words.next() == Some("/")).then(|| words.nth(1)).flatten()
    });
    let options = root.context("the root is not mounted")?;
    ensure!(options.split(',').any(|option| option == "ro"), "the root can be written: {options}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const STATUS: &str = "Name:\tserve\nUid:\t65532\t65532\t65532\t65532\n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
        CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n";

    const MOUNTS: &str = "overlay / overlay ro,relatime,lowerdir=/l 0 0\nproc /proc proc rw 0 0\n";

    #[test]
    fn a_hardened_process_passes() {
        check(STATUS, MOUNTS).unwrap();
    }

    #[rstest]
    #[case::root(("Uid:\t65532\t65532", "Uid:\t65532\t0"), "it runs as root")]
    #[case::a_capability(("CapBnd:\t0000000000000000", "CapBnd:\t00000000a80425fb"), "CapBnd is")]
    #[case::no_capabilities_told(("CapEff", "Cap"), "the kernel tells no CapEff")]
    #[case::may_gain(("NoNewPrivs:\t1", "NoNewPrivs:\t0"), "it may gain privileges")]
    #[case::writable(("/ overlay ro", "/ overlay rw"), "the root can be written")]
    #[case::elsewhere(("overlay / ", "overlay /other "), "the root is not mounted")]
    fn whatever_is_open_is_named(#[case] (good, bad): (&str, &str), #[case] expected: &str) {
        let error = check(&STATUS.replace(good, bad), &MOUNTS.replace(good, bad)).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
