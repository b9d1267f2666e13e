//! Debug information outside of the program's own file. Each test moves it to another place, and
//! expects the same program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tracer::debuginfo::types::TypeSource as _;
use tracer::debuginfo::{
    DebugFileLookup, DebugInfoError, DebugOptions, LookupOutcome, Module, WantedFile,
};

#[path = "debug_files/commands.rs"]
mod commands;
#[path = "debug_files/names.rs"]
mod names;
#[path = "debug_files/separate.rs"]
mod separate;
#[path = "debug_files/server.rs"]
mod server;
#[path = "debug_files/split.rs"]
mod split;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// A directory with the files of a test.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command in the directory; `$FIXTURES` stands for the sources.
    fn run(&self, command: &str) {
        let command = command.replace("$FIXTURES", FIXTURES);
        let output = Command::new("sh")
            .args(["-e", "-c", &command])
            .current_dir(self.0.path())
            .output()
            .expect("sh runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command}: {text}");
    }

    fn module(&self, name: &str) -> Module {
        self.module_with(name, &DebugOptions::default())
            .expect("module opens")
    }

    fn module_with(&self, name: &str, options: &DebugOptions) -> Result<Module, DebugInfoError> {
        let path = self.path(name);
        Module::open_as(&path, &path, options)
    }
}

/// Returns the content of the debug information, without properties of its location: functions
/// with their lines and addresses, and their variables with type and location.
fn view(module: &Module) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for function in module.functions(None).expect("functions") {
        let declared = function.declared.as_ref().map(|declared| {
            let file = declared.file.file_name().map(PathBuf::from);
            (file, declared.line)
        });
        seen.insert(format!(
            "{} {declared:?} {:?} {:?}",
            function.name, function.addresses, function.inlined
        ));
        for &address in &function.addresses {
            let site = module.site_at(address).expect("site");
            let line = site.source.map(|source| source.line);
            seen.insert(format!("{address:?} {} {line:?}", site.function));
            // An address some bytes into the function, where its variables are in place.
            let variables = module.variables_at(address.add(12));
            for variable in variables.unwrap_or_default() {
                let ty = module.type_of(variable.ty);
                seen.insert(format!(
                    "{} {:?} {} {:?} {:?}",
                    variable.name, variable.kind, ty.name, ty.size, variable.place
                ));
            }
        }
    }
    seen
}

/// Asserts that both are equal, and not empty.
fn assert_same(found: &Module, whole: &Module) {
    let (found, whole) = (view(found), view(whole));
    assert!(whole.len() > 20, "{whole:#?}");
    let missing: Vec<_> = whole.difference(&found).collect();
    let more: Vec<_> = found.difference(&whole).collect();
    assert!(
        missing.is_empty() && more.is_empty(),
        "missing: {missing:#?}\nmore: {more:#?}"
    );
}

/// Returns the place of the file that is used.
fn used(module: &Module, wanted: WantedFile) -> Option<&Path> {
    let fits = |looked: &&DebugFileLookup| {
        looked.wanted == wanted && looked.outcome == LookupOutcome::Used
    };
    let found = module.looked().iter().find(fits)?;
    Some(&found.place)
}

/// Returns the reasons why files were refused.
fn refused(module: &Module) -> Vec<&str> {
    module
        .looked()
        .iter()
        .filter_map(|looked| match &looked.outcome {
            LookupOutcome::Refused(why) => Some(why.as_str()),
            _ => None,
        })
        .collect()
}

/// Returns the path of a build's debug file below a directory.
fn by_build_id(module: &Module, directory: &Path) -> PathBuf {
    let id = module.build_id().expect("a build id");
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, rest) = hex.split_at(2);
    let directory = directory.join(".build-id").join(first);
    fs::create_dir_all(&directory).expect("directory");
    directory.join(format!("{rest}.debug"))
}
