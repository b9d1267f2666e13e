use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::time::Instant;

use super::walk::Walker;
use super::*;

/// A root directory, and files around it.
struct Place {
    outside: tempfile::TempDir,
    readers: Vec<SourceReader>,
}

impl Place {
    fn new() -> Self {
        let outside = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(outside.path().join("root/src")).expect("directories");
        fs::write(outside.path().join("secret"), "ours").expect("a file");
        let place = Self {
            outside,
            readers: vec![SourceReader {
                user: 0,
                groups: vec![0],
            }],
        };
        place.write("src/a.c", "int a;");
        place
    }

    fn root(&self) -> PathBuf {
        self.outside.path().join("root")
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        fs::write(&path, text).expect("a file");
        set_mode(&path, 0o644);
    }

    fn link(&self, target: &str, path: &str) {
        symlink(target, self.root().join(path)).expect("a link");
    }

    fn read(&self, path: &str) -> Result<String, SourceError> {
        let start = WalkStart {
            root: directory_at(&self.root()).expect("the root"),
            directory: Path::new("/"),
            readers: Readers::Of(&self.readers),
        };
        contents(&Walker::new(start)?.file(Path::new(path))?)
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

fn program(path: &str) -> Result<String, SourceError> {
    let program = std::env::current_exe().expect("this test");
    let sources = Sources::of_program(&program, &SourcePlaces::default());
    Ok(sources.read(Path::new(path))?.text)
}

#[test]
fn links_and_dots_stay_below_the_root() {
    let place = Place::new();
    place.link("/src/a.c", "absolute.c");
    place.link("../../../../src/a.c", "src/dots.c");
    place.link("/src", "directory");
    let secret = place.outside.path().join("secret");
    place.link(secret.to_str().expect("UTF-8"), "escape.c");
    for path in [
        "/src/a.c",
        "src//./a.c",
        "/../../src/a.c",
        "/absolute.c",
        "/src/dots.c",
        "/directory/a.c",
        "/directory/../src/a.c",
    ] {
        assert_eq!(place.read(path).expect(path), "int a;", "{path}");
    }
    for path in [
        "/escape.c",
        "/../secret",
        "/src/../../secret",
        "/src/b.c",
        "/src/a.c/x",
    ] {
        assert!(
            matches!(place.read(path), Err(SourceError::Absent)),
            "{path}"
        );
    }
}

#[test]
fn links_in_circles_and_endless_paths_end() {
    let place = Place::new();
    place.link("loop.c", "loop.c");
    place.link("down/down", "down");
    let long = format!("/{}a.c", "src/../".repeat(2000));
    for path in ["/loop.c", "/down/a.c", long.as_str()] {
        assert!(
            matches!(place.read(path), Err(SourceError::TooLong)),
            "{path}"
        );
    }
}

#[test]
fn pipes_directories_and_sockets_are_refused_at_once() {
    let place = Place::new();
    let pipe = place.root().join("src/pipe.c");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("mkfifo")
            .success()
    );
    let socket = place.root().join("src/socket.c");
    let _listener = std::os::unix::net::UnixListener::bind(socket).expect("a socket");
    let began = Instant::now();
    for path in ["/src/pipe.c", "/src/socket.c", "/src", "/"] {
        assert!(
            matches!(place.read(path), Err(SourceError::NotRegular)),
            "{path}"
        );
    }
    assert!(began.elapsed() < SOURCE_WAIT);
}

#[test]
fn files_of_the_kernel_are_refused_by_place_and_by_file_system() {
    for path in [
        "/proc/self/environ",
        "/sys/kernel/notes",
        "/dev/zero",
        "/../proc/version",
    ] {
        assert!(matches!(program(path), Err(SourceError::Kernel)), "{path}");
    }
    // This is the same directory under another name.
    let proc = directory_at(Path::new("/proc")).expect("procfs");
    assert!(walk::is_made_up(&proc).expect("its file system"));
    let own = directory_at(Path::new("/")).expect("our root");
    assert!(!walk::is_made_up(&own).expect("its file system"));
}

#[test]
fn large_and_binary_files_are_refused() {
    let place = Place::new();
    place.write("src/nul.c", b"int a;\0");
    place.write("src/large.c", "");
    let large = fs::OpenOptions::new()
        .write(true)
        .open(place.root().join("src/large.c"))
        .expect("the file");
    assert!(matches!(
        place.read("/src/nul.c"),
        Err(SourceError::NotText)
    ));
    large.set_len(SOURCE_BYTES + 1).expect("a sparse file");
    let refused = place.read("/src/large.c");
    assert!(matches!(refused, Err(SourceError::TooLarge { bytes }) if bytes == SOURCE_BYTES + 1));
}

#[test]
fn file_that_grows_while_it_is_read_is_cut_off() {
    let mut endless = File::open("/dev/zero").expect("zeros");
    assert!(matches!(
        text(&mut endless),
        Err(SourceError::TooLarge { .. })
    ));
}

#[test]
fn only_files_that_the_user_may_read_are_shown() {
    let mut place = Place::new();
    let own = fs::metadata(place.root()).expect("the root");
    let (own_user, own_group) = (own.uid(), own.gid());
    let file = place.root().join("src/a.c");
    let reader = |user, group| {
        vec![SourceReader {
            user,
            groups: vec![group],
        }]
    };
    let stranger = reader(77_777, 77_777);
    let member = reader(77_777, own_group);
    let mut shown = |readers: &Vec<SourceReader>, mode, of_directory| {
        set_mode(&file, mode);
        set_mode(&place.outside.path().join("root/src"), of_directory);
        place.readers.clone_from(readers);
        match place.read("/src/a.c") {
            Ok(_) => true,
            Err(SourceError::Forbidden { .. }) => false,
            // This test may not read the file either.
            Err(error) => panic!("{error}"),
        }
    };
    assert!(shown(&stranger, 0o644, 0o755));
    assert!(!shown(&stranger, 0o640, 0o755));
    assert!(!shown(&stranger, 0o644, 0o750));
    assert!(shown(&member, 0o640, 0o750));
    assert!(!shown(&member, 0o604, 0o755));
    assert!(!shown(&member, 0o640, 0o705));
    // Root's permission to read everything is not the intention of the file's owner.
    let root = reader(0, 0);
    assert!(shown(&root, 0o644, 0o700));
    assert!(!shown(&root, 0o640, 0o755));
    // Two users, one of whom must have all permissions.
    let both = [root.clone(), stranger.clone()].concat();
    assert!(shown(&both, 0o644, 0o700));
    assert!(!shown(&both, 0o600, 0o700));
    if own_user != 0 {
        assert!(shown(&reader(own_user, 77_777), 0o600, 0o700));
    }
}

#[test]
fn shadow_file_is_no_source_of_any_program() {
    for path in [
        "/etc/shadow",
        "/../../../../etc/shadow",
        "/etc/../etc/gshadow",
    ] {
        let refused = program(path);
        let refused = matches!(
            refused,
            Err(SourceError::Forbidden { .. } | SourceError::Absent | SourceError::System(_))
        );
        assert!(refused, "{path}");
    }
}

#[test]
fn names_without_a_root_begin_in_the_working_directory_of_a_program() {
    let here = std::env::current_dir().expect("a directory");
    let absolute = program(here.join("Cargo.toml").to_str().expect("UTF-8"));
    let relative = program("Cargo.toml");
    assert_eq!(relative.ok(), absolute.ok());
}

#[test]
fn file_system_that_does_not_answer_is_given_up() {
    let sources = Sources::of_program(Path::new("/"), &SourcePlaces::default());
    let (release, hang) = mpsc::channel::<()>();
    let answers = sources
        .ask(move |_, answer: &mut dyn FnMut(())| {
            let _ = hang.recv();
            answer(());
        })
        .expect("a thread");
    assert!(matches!(answers.next(), Err(SourceError::NoAnswer)));
    assert!(matches!(
        sources.read(Path::new("/etc/passwd")),
        Err(SourceError::NoAnswer)
    ));
    drop(release);
    while sources.0.stuck.load(Ordering::Acquire) {
        thread::yield_now();
    }
    assert!(sources.read(Path::new("/etc/passwd")).is_ok());
}

/// Returns the source of a program that was built elsewhere.
fn placed(places: &SourcePlaces, path: &str) -> Option<(String, PathBuf)> {
    let sources = Sources::of_program(Path::new("/nowhere"), places);
    let there = sources.is_there(&Arc::new(PathBuf::from(path)));
    let found = sources.read(Path::new(path)).ok();
    assert_eq!(there, found.is_some(), "{path}");
    found.map(|found| (found.text, found.elsewhere.expect("another place")))
}

#[test]
fn sources_are_found_below_a_directory_by_the_end_of_their_path() {
    let place = Place::new();
    fs::create_dir_all(place.root().join("serde-1.0/src")).expect("directories");
    place.write("src/lib.rs", "the program's");
    set_mode(&place.root().join("src/lib.rs"), 0o600);
    place.write("serde-1.0/src/lib.rs", "the package's");
    place.write("stdio.h", "another one");
    place.link("../../secret", "src/out.c");
    let places = SourcePlaces {
        directories: vec![place.root()],
        ..SourcePlaces::default()
    };
    let found = |path: &str| placed(&places, path);
    let own = Some(("the program's".to_owned(), place.root().join("src/lib.rs")));
    assert_eq!(found("/ci/app/src/lib.rs"), own, "its mode does not count");
    assert_eq!(found("src/lib.rs"), own);
    let package = "/ci/.cargo/registry/src/index/serde-1.0/src/lib.rs";
    assert_eq!(found(package).expect("it is there").0, "the package's");
    let other = "/ci/.cargo/registry/src/index/serde-2.0/src/lib.rs";
    assert_eq!(found(other), None, "the program's own is not shown for it");
    assert_eq!(found("/usr/include/stdio.h"), None);
    assert_eq!(found("/ci/app/src/out.c"), None, "a link leads out");
    assert_eq!(found("/ci/../../src/../../secret"), None);
}

#[test]
fn maps_come_before_the_named_path_and_stay_below_their_directory() {
    let place = Place::new();
    let named = place.outside.path().join("named");
    fs::create_dir_all(&named).expect("a directory");
    fs::write(named.join("a.c"), "as named").expect("a file");
    fs::write(named.join("b.c"), "as named").expect("a file");
    let places = SourcePlaces {
        maps: vec![SourceMap {
            from: named.clone(),
            to: place.root().join("src"),
        }],
        ..SourcePlaces::default()
    };
    let sources = Sources::of_program(&std::env::current_exe().expect("this test"), &places);
    let read = |name: &str| sources.read(&named.join(name)).map(|found| found.text);
    assert_eq!(read("a.c").expect("mapped"), "int a;");
    assert_eq!(read("b.c").expect("as named"), "as named");
    assert!(read("../secret").expect("not mapped") == "ours");
    assert!(read("x/../../../secret").is_err());
}

#[test]
fn sources_of_the_compiler_are_those_of_the_toolchain_of_its_commit() {
    let home = tempfile::tempdir().expect("a directory");
    for (name, commit) in [("old", "0a1b"), ("new", "2c3d")] {
        let toolchain = home.path().join("toolchains").join(name);
        let library = toolchain.join("lib/rustlib/src/rust/library/core/src");
        fs::create_dir_all(&library).expect("directories");
        fs::write(library.join("fmt.rs"), name).expect("a file");
        let manifest = toolchain.join("lib/rustlib/multirust-channel-manifest.toml");
        fs::write(manifest, format!("git_commit_hash = \"{commit}\"\n")).expect("a file");
    }
    let places = SourcePlaces {
        rustup: vec![home.path().to_owned()],
        ..SourcePlaces::default()
    };
    let found = |commit: &str| {
        let path = format!("/rustc/{commit}/library/core/src/fmt.rs");
        placed(&places, &path).map(|(text, _)| text)
    };
    assert_eq!(found("2c3d").as_deref(), Some("new"));
    assert_eq!(found("0a1b").as_deref(), Some("old"));
    assert_eq!(found("4e5f"), None, "another compiler's");
}
