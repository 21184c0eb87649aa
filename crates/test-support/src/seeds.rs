//! Seeds of the fuzz targets, replayed.

#![expect(clippy::expect_used, reason = "a test that cannot read its seeds fails")]

use std::fs;
use std::path::Path;

/// Gives each seed of a target to its entry, which returns the class of its outcome: the seed's name begins with it, up
/// to a hyphen.
///
/// # Panics
///
/// Where the entry does or returns another class, and where there are no seeds.
pub fn replay(target: &str, entry: impl Fn(&[u8]) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut seeds = 0;
    for seed in fs::read_dir(&folder).expect("the target has a folder of seeds") {
        let path = seed.expect("the folder is readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (class, _) = name.split_once('-').expect("a class stands before a hyphen");
        let bytes = fs::read(&path).expect("a seed is readable");
        assert_eq!(entry(&bytes), class, "{target}: {name}");
        seeds += 1;
    }
    assert!(seeds > 0, "{target} has no seeds");
}
