//! Reads the source files whose lines the listing of steps shows, on a thread of its own: a file system may take its
//! time.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::session::{Control, SourceFile};
use crate::sink::text::LineTexts;

/// The first step in a file waits so long for its text. Later ones wait no more.
const WAIT: Duration = Duration::from_millis(500);
/// Files that are kept.
const FILES: usize = 256;
/// Bytes of text that are kept.
const BYTES: usize = 32 << 20;

/// A file that was asked for, and its text.
struct ReadFile {
    path: Arc<PathBuf>,
    text: Option<String>,
}

/// Texts of source lines, from the session.
pub(crate) struct SessionLines {
    session: Arc<dyn Control>,
    /// The thread. `None` until a text is wanted.
    reader: Option<LineReader>,
    files: HashMap<Arc<PathBuf>, FileText>,
    bytes: usize,
}

/// The thread's ends of channels.
struct LineReader {
    wanted: Sender<Arc<PathBuf>>,
    read: Receiver<ReadFile>,
}

/// The text of a file, as far as it is known.
enum FileText {
    /// It is being read.
    Expected,
    /// It is being read, and a step has waited for it.
    Late,
    /// Each line is a part of the text.
    Known(Vec<Box<str>>),
    /// It is not shown.
    None,
}

impl SessionLines {
    pub(crate) fn new(session: Arc<dyn Control>) -> Self {
        Self {
            session,
            reader: None,
            files: HashMap::new(),
            bytes: 0,
        }
    }

    /// The lines of a file will be wanted soon.
    pub(crate) fn expect(&mut self, file: &Arc<PathBuf>) {
        if self.files.contains_key(file) || self.files.len() >= FILES {
            return;
        }
        if self.reader.is_none() {
            self.reader = LineReader::start(Arc::clone(&self.session))
                .inspect_err(|error| tracing::debug!(%error, "no sources beside steps"))
                .ok();
        }
        // The thread is gone only after a panic: there are no texts then.
        let wanted = self.reader.as_ref().map(|reader| &reader.wanted);
        let is_asked = wanted.is_some_and(|wanted| wanted.send(Arc::clone(file)).is_ok());
        let state = match is_asked {
            true => FileText::Expected,
            false => FileText::None,
        };
        self.files.insert(Arc::clone(file), state);
    }

    /// Takes a text that was read, and waits for it until `end`. Returns false if there is none.
    fn take(&mut self, end: Instant) -> bool {
        let Some(reader) = &self.reader else {
            return false;
        };
        let left = end.saturating_duration_since(Instant::now());
        match reader.read.recv_timeout(left) {
            Ok(read) => {
                self.keep(read);
                true
            }
            Err(_) => false,
        }
    }

    fn keep(&mut self, ReadFile { path, text }: ReadFile) {
        let fits = |text: &String| self.bytes.saturating_add(text.len()) <= BYTES;
        let known = match text.filter(fits) {
            Some(text) => {
                self.bytes += text.len();
                FileText::Known(text.lines().map(Box::from).collect())
            }
            None => FileText::None,
        };
        self.files.insert(path, known);
    }

    /// Waits for the first text of a file.
    fn wait_for(&mut self, file: &Arc<PathBuf>) {
        let end = Instant::now() + WAIT;
        while matches!(self.files.get(file), Some(FileText::Expected)) {
            if !self.take(end) {
                self.files.insert(Arc::clone(file), FileText::Late);
            }
        }
    }
}

impl LineReader {
    fn start(session: Arc<dyn Control>) -> io::Result<Self> {
        let (wanted, wishes) = channel();
        let (sender, read) = channel();
        thread::Builder::new()
            .name("step-sources".into())
            .spawn(move || serve(&*session, &wishes, &sender))?;
        Ok(Self { wanted, read })
    }
}

impl LineTexts for SessionLines {
    fn line(&mut self, file: &Arc<PathBuf>, line: u64) -> Option<String> {
        self.expect(file);
        let now = Instant::now();
        while self.take(now) {}
        self.wait_for(file);
        let FileText::Known(lines) = self.files.get(file)? else {
            return None;
        };
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        lines.get(index).map(|line| line.to_string())
    }
}

/// Reads files until nobody wants any more.
fn serve(session: &dyn Control, wishes: &Receiver<Arc<PathBuf>>, read: &Sender<ReadFile>) {
    let mut files: HashMap<Arc<PathBuf>, SourceFile> = HashMap::new();
    for path in wishes {
        if !files.contains_key(&path) {
            // A module may have come since the last look.
            let all = session.source_files().into_iter();
            files = all.map(|file| (Arc::clone(&file.path), file)).collect();
        }
        let text = files
            .get(&path)
            .and_then(|file| session.source_text(file).ok());
        let text = text.map(|found| found.text);
        if read.send(ReadFile { path, text }).is_err() {
            return;
        }
    }
}
