//! Builds the eBPF programs, which `tracer` carries in itself.

#[path = "../xtask/src/ebpf.rs"]
#[expect(dead_code, reason = "xtask uses the rest of it")]
mod ebpf;

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let workspace = manifest
        .parent()
        .expect("the package is a member of the workspace");
    for source in [
        "tracer-ebpf/src",
        "tracer-ebpf/Cargo.toml",
        "tracer-ebpf/Cargo.lock",
        "tracer-common/src",
        "xtask/src/ebpf.rs",
    ] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(source).display()
        );
    }
    println!("cargo::rerun-if-env-changed=TRACER_BPF_LINKER");
    match object(workspace, &out) {
        Ok(object) => println!("cargo::rustc-env=TRACER_EBPF_OBJECT={}", object.display()),
        Err(words) => {
            for line in words.lines() {
                println!("cargo::error={line}");
            }
        }
    }
}

fn object(workspace: &Path, out: &Path) -> Result<PathBuf, String> {
    let toolchain = ebpf::find(workspace).map_err(|missing| {
        let words: Vec<String> = missing.iter().map(ToString::to_string).collect();
        format!("{}; run `cargo xtask setup`", words.join("; "))
    })?;
    ebpf::build(&toolchain, workspace, ebpf::TRACER, &out.join("ebpf"))
        .map_err(|error| error.to_string())
}
