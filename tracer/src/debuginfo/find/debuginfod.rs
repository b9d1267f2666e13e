//! Debug files from debuginfod servers, kept in the cache that other tools use too.
//!
//! The protocol is one `GET URL/buildid/ID/debuginfo`. The cache has elfutils'
//! layout, `CACHE/ID/debuginfo`, where an empty file says that no server had it.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{ObjectFile, Outcome, hex};

/// Servers that are asked.
const MAX_SERVERS: usize = 16;

/// Time for a server to answer at all; `DEBUGINFOD_TIMEOUT` sets another.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// Time for a whole file; `DEBUGINFOD_MAXTIME` sets another.
const FILE_TIME: Duration = Duration::from_secs(300);

/// Bytes of one file; `DEBUGINFOD_MAXSIZE` sets another.
const FILE_BYTES: u64 = 4 << 30;

/// How long it is remembered that no server had a file, as elfutils does.
const MISS_TIME: Duration = Duration::from_secs(600);

/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// The servers to ask, and what they may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// Their addresses, without `/buildid`.
    pub urls: Vec<String>,
    /// Directory of the files that were fetched.
    pub cache: PathBuf,
    /// Time for a server to answer at all.
    pub answer_time: Duration,
    /// Time for a whole file.
    pub file_time: Duration,
    /// Bytes of one file.
    pub file_bytes: u64,
}

/// Where was looked, and what came of it.
type Tried = Vec<(String, Outcome)>;

impl Servers {
    /// These servers, with the usual limits.
    #[must_use]
    pub fn new(urls: Vec<String>, cache: PathBuf) -> Self {
        Self {
            urls,
            cache,
            answer_time: ANSWER_TIME,
            file_time: FILE_TIME,
            file_bytes: FILE_BYTES,
        }
    }

    /// What `DEBUGINFOD_URLS` and its relatives say; `None` when that is not set.
    ///
    /// The cache is in `DEBUGINFOD_CACHE_PATH`, else in `debuginfod_client` of
    /// `XDG_CACHE_HOME`, else of `~/.cache`.
    #[must_use]
    pub fn of_environment() -> Option<Self> {
        Self::of_variables(|name| env::var_os(name)?.into_string().ok())
    }

    fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name| variable(name).filter(|value| !value.trim().is_empty());
        let urls: Vec<String> = set("DEBUGINFOD_URLS")?
            .split_whitespace()
            .take(MAX_SERVERS)
            .map(|url| url.trim_end_matches('/').to_owned())
            .filter(|url| url.starts_with("http://") || url.starts_with("https://"))
            .collect();
        let in_cache = |name, below: &str| set(name).map(|path| Path::new(&path).join(below));
        let cache = in_cache("DEBUGINFOD_CACHE_PATH", "")
            .or_else(|| in_cache("XDG_CACHE_HOME", "debuginfod_client"))
            .or_else(|| in_cache("HOME", ".cache/debuginfod_client"))?;
        let number = |name| set(name)?.trim().parse().ok().filter(|&number| number > 0);
        let seconds = |name| number(name).map(Duration::from_secs);
        let usual = Self::new(urls, cache);
        (!usual.urls.is_empty()).then(|| Self {
            answer_time: seconds("DEBUGINFOD_TIMEOUT").unwrap_or(ANSWER_TIME),
            file_time: seconds("DEBUGINFOD_MAXTIME").unwrap_or(FILE_TIME),
            file_bytes: number("DEBUGINFOD_MAXSIZE").unwrap_or(FILE_BYTES),
            ..usual
        })
    }

    /// The debug file of a build, from the cache or a server, once `accept` takes it.
    pub(super) fn fetch(
        &self,
        id: &[u8],
        accept: impl Fn(&ObjectFile) -> Result<(), String>,
    ) -> (Option<ObjectFile>, Tried) {
        let mut tried = Tried::new();
        let directory = self.cache.join(hex(id));
        let kept = directory.join("debuginfo");
        match self.cached(&kept, &accept) {
            Ok(Some(object)) => {
                tried.push((kept.display().to_string(), Outcome::Used));
                return (Some(object), tried);
            }
            Ok(None) => {}
            Err(why) => {
                tried.push((kept.display().to_string(), Outcome::Refused(why)));
                return (None, tried);
            }
        }
        let mut missed_by_all = true;
        for url in &self.urls {
            let place = format!("{url}/buildid/{}/debuginfo", hex(id));
            match self.download(&place, &directory, &kept, &accept) {
                Ok(Some(object)) => {
                    tried.push((place, Outcome::Used));
                    return (Some(object), tried);
                }
                Ok(None) => tried.push((place, Outcome::Absent)),
                Err(why) => {
                    missed_by_all = false;
                    tried.push((place, Outcome::Refused(why)));
                }
            }
        }
        if missed_by_all {
            // Without a cache, it is only asked again.
            let _ = make_directory(&directory).and_then(|()| File::create(&kept));
        }
        (None, tried)
    }

    /// `None` when the servers should be asked.
    fn cached(
        &self,
        kept: &Path,
        accept: impl Fn(&ObjectFile) -> Result<(), String>,
    ) -> Result<Option<ObjectFile>, String> {
        let Ok(metadata) = fs::metadata(kept) else {
            return Ok(None);
        };
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
        let object = ObjectFile::open(kept, kept).map_err(|error| error.to_string());
        match object.and_then(|object| accept(&object).map(|()| object)) {
            Ok(object) => Ok(Some(object)),
            // A file that was cut or is another's: a server may have the right one.
            Err(_) => Ok(None),
        }
    }

    fn download(
        &self,
        url: &str,
        directory: &Path,
        kept: &Path,
        accept: impl Fn(&ObjectFile) -> Result<(), String>,
    ) -> Result<Option<ObjectFile>, String> {
        let began = Instant::now();
        let Some(mut body) = self.get(url)? else {
            return Ok(None);
        };
        let failed = |what: &str, error: io::Error| format!("{what}: {error}");
        make_directory(directory).map_err(|error| failed("cannot make the cache", error))?;
        let part = Partial::create(directory).map_err(|error| failed("cannot write", error))?;
        self.copy(&mut body, &part.file, began)?;
        // Opened before it is kept: the cache has no file that is not what its name says.
        let object = ObjectFile::open(&part.path, kept).map_err(|error| error.to_string())?;
        accept(&object)?;
        fs::rename(&part.path, kept).map_err(|error| failed("cannot keep it", error))?;
        Ok(Some(object))
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

fn make_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// A file that is not whole yet; gone when it is dropped before it was renamed.
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    fn create(directory: &Path) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("debuginfo.{}.{number}", std::process::id()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self { path, file })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Fails when it was renamed, as it should.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
