//! Compile command of the Dockerfile, on a workspace as small as can be: without an engine, and with its target
//! folder kept between two builds, as the engine keeps it.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::support::compose::root;

/// The packages that the stage compiles, and their programs.
const PROGRAMS: [(&str, &str); 2] =
    [("ig-service", "instagram-accounts"), ("ig-sandbox", "instagram-sandbox")];

/// The stage's command, without the mounts and without what comes after the compiler.
fn compile_command() -> String {
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let (_, stage) = dockerfile.split_once(" AS build\n").expect("it has a compile stage");
    let (_, run) = stage.split_once("\nRUN ").unwrap();
    let (run, _) = run.split_once("\n\n").unwrap();
    let run = run.replace("\\\n", " ");
    let words = run.split_whitespace().skip_while(|word| word.starts_with("--mount="));
    let run = words.collect::<Vec<_>>().join(" ");
    let (compile, install) = run.split_once("&& install ").expect("the programs are taken out");
    for (_, program) in PROGRAMS {
        assert!(install.contains(&format!("target/release/{program}")), "{install}");
    }
    compile.to_owned()
}

/// Puts a checkout into `folder` whose programs print `text`, with files of this time.
fn check_out(folder: &Path, text: &str, time: SystemTime) {
    let write = |file: &str, content: String| {
        let file = folder.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
    };
    write("Cargo.toml", "[workspace]\nmembers = [\"ig-*\"]\nresolver = \"3\"\n".to_owned());
    let mut lock = "version = 4\n".to_owned();
    for (package, program) in PROGRAMS {
        lock.extend(["\n[[package]]\nname = \"", package, "\"\nversion = \"0.1.0\"\n"]);
        let manifest = format!("[package]\nname = \"{package}\"\nversion = \"0.1.0\"\n");
        let binary = format!("[[bin]]\nname = \"{program}\"\npath = \"main.rs\"\n");
        write(&format!("{package}/Cargo.toml"), manifest + binary.as_str());
        write(&format!("{package}/main.rs"), format!("fn main() {{ println!({text:?}); }}\n"));
    }
    write("Cargo.lock", lock);
}

/// Compiles what is in `folder`, and answers what its programs print.
fn built(folder: &Path) -> [String; 2] {
    let mut shell = Command::new("sh");
    shell.current_dir(folder).args(["-c", &compile_command()]);
    shell.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET");
    let compiled = shell.output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    PROGRAMS.map(|(_, program)| {
        let printed = Command::new(folder.join("target/release").join(program)).output().unwrap();
        String::from_utf8(printed.stdout).unwrap()
    })
}

#[test]
fn another_checkout_with_older_file_times_is_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let released = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365);
    check_out(folder.path(), "this", released);
    assert_eq!(built(folder.path()), ["this\n"; 2]);
    check_out(folder.path(), "other", released - Duration::from_hours(24));
    assert_eq!(built(folder.path()), ["other\n"; 2]);
}
