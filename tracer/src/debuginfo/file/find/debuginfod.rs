//! Debug files and sources from debuginfod servers, kept in the cache that other tools use too.
//!
//! The protocol is one `GET URL/buildid/ID/debuginfo`, or `/source/PATH`. The cache has the
//! layout of elfutils, `CACHE/ID/debuginfo`. An empty file there means that no server had the
//! file. Sources have names of our own in the cache. The cache is used only if nobody else can
//! have tampered with it ([`crate::base::private`]).

mod source;

use std::env;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{FileImage, LookupOutcome, ObjectFile, hex};
use crate::base::cancel;
use crate::base::limits::SOURCE_BYTES;
use crate::base::private::PrivateDirectory;

/// Maximum number of servers that are asked.
const MAX_SERVERS: usize = 16;

/// Time limit for the first answer of a server; `DEBUGINFOD_TIMEOUT` sets another.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// Time limit for a whole file; `DEBUGINFOD_MAXTIME` sets another.
const FILE_TIME: Duration = Duration::from_secs(300);

/// Maximum bytes of one file; `DEBUGINFOD_MAXSIZE` sets another.
const FILE_BYTES: u64 = 4 << 30;

/// Time for which a missing file is not asked for again, as in elfutils.
const MISS_TIME: Duration = Duration::from_secs(600);

/// Number of bytes that are copied at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Name of a debug file in the cache, and at the end of its address.
const DEBUGINFO: &str = "debuginfo";

/// Variables that name the user for whom a command runs as root.
const BY_ANOTHER: [&str; 3] = ["SUDO_UID", "PKEXEC_UID", "DOAS_USER"];

/// The servers to ask, and their limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// Their addresses, without `/buildid`.
    pub urls: Vec<String>,
    /// Directory for fetched files.
    pub cache: PathBuf,
    /// User who may own the cache, instead of the user that the process runs as.
    pub cache_owner: Option<u32>,
    /// Time limit for the first answer of a server.
    pub answer_time: Duration,
    /// Time limit for a whole file.
    pub file_time: Duration,
    /// Maximum bytes of one file.
    pub file_bytes: u64,
}

/// The places that were searched, each with its outcome.
type Tried = Vec<(String, LookupOutcome)>;

/// A file of a build.
struct ServerFile<'w, T> {
    id: &'w [u8],
    /// Part of its address after the build id.
    address: &'w str,
    /// Its name in the cache.
    kept: &'w str,
    /// Reads the file; its path is for messages. Fails with the reason why the file is not the
    /// right one.
    read: &'w dyn Fn(&File, &Path) -> Result<T, String>,
}

impl Servers {
    /// Returns these servers with the default limits.
    #[must_use]
    pub fn new(urls: Vec<String>, cache: PathBuf) -> Self {
        Self {
            urls,
            cache,
            cache_owner: None,
            answer_time: ANSWER_TIME,
            file_time: FILE_TIME,
            file_bytes: FILE_BYTES,
        }
    }

    /// Returns the servers that `DEBUGINFOD_URLS` and its related variables name, or `None` if it
    /// is not set.
    ///
    /// The user can name the cache. By default it is in `DEBUGINFOD_CACHE_PATH`, in
    /// `debuginfod_client` of `XDG_CACHE_HOME`, or of `~/.cache`. If the tracer runs as root for
    /// another user (`sudo`), those variables may be that user's, so the cache is root's own.
    #[must_use]
    pub fn of_environment(cache: Option<&Path>) -> Option<Self> {
        let variable = |name: &str| env::var_os(name)?.into_string().ok();
        let is_root = rustix::process::geteuid().is_root();
        Self::of_variables(variable, cache, is_root)
    }

    fn of_variables(
        variable: impl Fn(&str) -> Option<String>,
        named: Option<&Path>,
        is_root: bool,
    ) -> Option<Self> {
        let set = |name| variable(name).filter(|value| !value.trim().is_empty());
        let urls: Vec<String> = set("DEBUGINFOD_URLS")?
            .split_whitespace()
            .take(MAX_SERVERS)
            .map(|url| url.trim_end_matches('/').to_owned())
            .filter(|url| url.starts_with("http://") || url.starts_with("https://"))
            .collect();
        let for_another = is_root && BY_ANOTHER.iter().any(|name| set(name).is_some());
        let in_cache = |name, below: &str| set(name).map(|path| Path::new(&path).join(below));
        let cache = match named {
            Some(named) => named.to_owned(),
            None if for_another => crate::base::users::home_of(0)
                .unwrap_or_else(|| PathBuf::from("/root"))
                .join(".cache/debuginfod_client"),
            None => in_cache("DEBUGINFOD_CACHE_PATH", "")
                .or_else(|| in_cache("XDG_CACHE_HOME", "debuginfod_client"))
                .or_else(|| in_cache("HOME", ".cache/debuginfod_client"))?,
        };
        // A user who names a directory of their own is allowed to use it.
        let invoker = || set("SUDO_UID").or_else(|| set("PKEXEC_UID"))?.parse().ok();
        let cache_owner = named.filter(|_| is_root).and_then(|_| invoker());
        let number = |name| set(name)?.trim().parse().ok().filter(|&number| number > 0);
        let seconds = |name| number(name).map(Duration::from_secs);
        let usual = Self::new(urls, cache);
        (!usual.urls.is_empty()).then(|| Self {
            cache_owner,
            answer_time: seconds("DEBUGINFOD_TIMEOUT").unwrap_or(ANSWER_TIME),
            file_time: seconds("DEBUGINFOD_MAXTIME").unwrap_or(FILE_TIME),
            file_bytes: number("DEBUGINFOD_MAXSIZE").unwrap_or(FILE_BYTES),
            ..usual
        })
    }

    /// Returns the debug file of a build from the cache or a server, if `accept` accepts it.
    pub(super) fn fetch(
        &self,
        id: &[u8],
        accept: impl Fn(&ObjectFile) -> Result<(), String>,
    ) -> (Option<ObjectFile>, Tried) {
        self.wanted(&ServerFile {
            id,
            address: DEBUGINFO,
            kept: DEBUGINFO,
            read: &|file, name| {
                let object = object_of(file, name)?;
                accept(&object).map(|()| object)
            },
        })
    }

    /// Returns a source file of a build, by the path that its debug information names. `None`
    /// means that no server has it.
    ///
    /// # Errors
    /// Fails with the reason why no server's answer could be used.
    pub fn source(&self, id: &[u8], path: &Path) -> Result<Option<String>, String> {
        let Some(address) = source::address(path) else {
            return Ok(None);
        };
        let Some(kept) = source::name(path) else {
            return Err("its path is too long".to_owned());
        };
        let bounded = Self {
            file_bytes: self.file_bytes.min(SOURCE_BYTES),
            ..self.clone()
        };
        let (found, tried) = bounded.wanted(&ServerFile {
            id,
            kept: &kept,
            address: &address,
            read: &|file, _| source::read(file),
        });
        let refused = tried
            .into_iter()
            .find_map(|(place, outcome)| match outcome {
                LookupOutcome::Refused(why) => Some(format!("{place}: {why}")),
                _ => None,
            });
        match (found, refused) {
            (Some(text), _) => Ok(Some(text)),
            (None, Some(why)) => Err(why),
            (None, None) => Ok(None),
        }
    }

    fn wanted<T>(&self, wanted: &ServerFile<'_, T>) -> (Option<T>, Tried) {
        let id = wanted.id;
        let mut tried = Tried::new();
        let kept = self.cache.join(hex(id)).join(wanted.kept);
        let mut refuse = |why: String| {
            tried.push((kept.display().to_string(), LookupOutcome::Refused(why)));
        };
        let directory = match self.directory(id) {
            Ok(directory) => directory,
            Err(error) => {
                refuse(format!("cannot use the cache: {error}"));
                return (None, tried);
            }
        };
        match Self::cached(&directory, &kept, wanted) {
            Ok(Some(object)) => {
                tried.push((kept.display().to_string(), LookupOutcome::Used));
                return (Some(object), tried);
            }
            Ok(None) => {}
            Err(why) => {
                refuse(why);
                return (None, tried);
            }
        }
        let mut missed_by_all = true;
        for url in &self.urls {
            let place = format!("{url}/buildid/{}/{}", hex(id), wanted.address);
            match self.download(&place, &directory, &kept, wanted) {
                Ok(Some(object)) => {
                    tried.push((place, LookupOutcome::Used));
                    return (Some(object), tried);
                }
                Ok(None) => tried.push((place, LookupOutcome::Absent)),
                Err(why) => {
                    missed_by_all = false;
                    tried.push((place, LookupOutcome::Refused(why)));
                }
            }
        }
        if missed_by_all {
            // If this fails, the servers are only asked again.
            let _ = directory.create(wanted.kept).and_then(|part| part.keep());
        }
        (None, tried)
    }

    /// Returns the directory of a build, and creates it if it is missing.
    fn directory(&self, id: &[u8]) -> io::Result<PrivateDirectory> {
        PrivateDirectory::open(&self.cache, true, self.cache_owner)?.directory(&hex(id), true)
    }

    /// Returns the file from the cache, or `None` if the servers should be asked.
    fn cached<T>(
        directory: &PrivateDirectory,
        kept: &Path,
        wanted: &ServerFile<'_, T>,
    ) -> Result<Option<T>, String> {
        let file = match directory.file(wanted.kept) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        if metadata.len() == 0 {
            let age = metadata
                .modified()
                .ok()
                .and_then(|time| time.elapsed().ok());
            return match age {
                Some(age) if age < MISS_TIME => Err(format!(
                    "no server had it {} s ago; removing this file asks again",
                    age.as_secs()
                )),
                _ => Ok(None),
            };
        }
        // If the file was cut short or is another's, a server may have the right one.
        Ok((wanted.read)(&file, kept).ok())
    }

    fn download<T>(
        &self,
        url: &str,
        directory: &PrivateDirectory,
        kept: &Path,
        wanted: &ServerFile<'_, T>,
    ) -> Result<Option<T>, String> {
        let began = Instant::now();
        let Some(mut body) = self.get(url)? else {
            return Ok(None);
        };
        let failed = |what: &str, error: io::Error| format!("{what}: {error}");
        let mut part = directory
            .create(wanted.kept)
            .map_err(|error| failed("cannot write", error))?;
        self.copy(&mut body, &part.file, began)?;
        part.file
            .rewind()
            .map_err(|error| failed("cannot read it", error))?;
        // The file is read before it is kept, so that the cache has no file with the wrong
        // contents.
        let read = (wanted.read)(&part.file, kept)?;
        part.keep()
            .map_err(|error| failed("cannot keep it", error))?;
        Ok(Some(read))
    }

    fn get(&self, url: &str) -> Result<Option<ureq::BodyReader<'static>>, String> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_connect(Some(self.answer_time))
            .timeout_recv_response(Some(self.answer_time))
            .timeout_global(Some(self.file_time))
            .max_redirects(4)
            .user_agent(concat!("tracer/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        match agent.get(url).call() {
            Ok(answer) => {
                if let Some(length) = answer.body().content_length()
                    && length > self.file_bytes
                {
                    return Err(self.too_big(length));
                }
                Ok(Some(answer.into_body().into_reader()))
            }
            Err(ureq::Error::StatusCode(404)) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn copy(&self, from: &mut impl io::Read, mut to: &File, began: Instant) -> Result<(), String> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut total = 0_u64;
        loop {
            let count = from.read(&mut chunk).map_err(|error| error.to_string())?;
            let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else {
                return Ok(());
            };
            total = total.saturating_add(count as u64);
            if total > self.file_bytes {
                return Err(self.too_big(total));
            }
            cancel::check().map_err(|cancelled| cancelled.to_string())?;
            if began.elapsed() > self.file_time {
                let limit = self.file_time.as_secs();
                return Err(format!("it took longer than {limit} s"));
            }
            to.write_all(bytes).map_err(|error| error.to_string())?;
        }
    }

    fn too_big(&self, bytes: u64) -> String {
        format!(
            "it has {bytes} bytes, over the limit of {}",
            self.file_bytes
        )
    }
}

fn object_of(file: &File, name: &Path) -> Result<ObjectFile, String> {
    FileImage::of_open(file, name)
        .and_then(|image| ObjectFile::of_image(image, name))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
