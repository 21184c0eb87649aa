//! Generates the messages, the service, the descriptor set and the list of RPCs with protox: no `protoc` needed.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let folder = root.join("instagram/accounts/v1");
    println!("cargo::rerun-if-changed={}", root.display());
    let files =
        ["account_event.proto", "instagram_account.proto", "instagram_account_service.proto"];
    let files = files.map(|file| folder.join(file));
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_source_info(true).include_imports(true).open_files(files)?;
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(Path::new(&out).join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    let descriptors = compiler.file_descriptor_set();
    let services = descriptors.file.iter().flat_map(|file| &file.service);
    let rpcs: Vec<_> = services.flat_map(|service| &service.method).map(|rpc| rpc.name()).collect();
    fs::write(Path::new(&out).join("rpcs.rs"), format!("&{rpcs:?}"))?;
    tonic_prost_build::configure()
        .skip_debug([
            ".instagram.accounts.v1.FetchAccessTokenResponse",
            ".instagram.accounts.v1.ImportRequest",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
