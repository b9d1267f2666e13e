//! Reads the source files of a recording, on a thread of its own: a file system may take its time, and
//! events do not wait for it.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

use crate::base::limits::SOURCE_WAIT;
use crate::session::{Control, SourceFile};
use crate::sink::recording::limits::{SOURCES, SOURCES_BYTES};
use crate::sink::recording::lines::{RecordedSource, RecordedVariable, RecordedVariables};
use crate::sink::recording::writer::RecordingWriter;

/// A source that the recording should have.
pub(super) enum WantedSource {
    /// The file of a probe, and the variables at its line.
    Line { path: Arc<PathBuf>, line: u64 },
    /// A file that a frontend has shown.
    File(SourceFile),
}

/// A part of a source.
pub(super) enum ReadSource {
    Text(Box<RecordedSource>),
    Variables(RecordedVariables),
}

impl ReadSource {
    /// Adds it to a recording.
    pub(super) fn write<W: Write>(
        &self,
        writer: &mut RecordingWriter<W>,
        now: u64,
    ) -> io::Result<()> {
        match self {
            Self::Text(source) => writer.source(source, now),
            Self::Variables(variables) => writer.variables(variables, now),
        }
    }
}

/// The thread, and its results.
pub(super) struct SourceFetcher {
    wanted: Option<Sender<WantedSource>>,
    read: Receiver<ReadSource>,
}

impl SourceFetcher {
    pub(super) fn start(session: Arc<dyn Control>) -> io::Result<Self> {
        let (wanted, wishes) = channel();
        let (sender, read) = channel();
        let work = Work {
            session,
            read: sender,
            known: Vec::new(),
            bytes: 0,
        };
        thread::Builder::new()
            .name("record-sources".into())
            .spawn(move || work.run(&wishes))?;
        Ok(Self {
            wanted: Some(wanted),
            read,
        })
    }

    /// Asks for a source.
    pub(super) fn want(&self, source: WantedSource) {
        if let Some(wanted) = &self.wanted {
            // The thread is gone only after a panic: there are no sources then.
            let _ = wanted.send(source);
        }
    }

    /// The sources that were read since the last call.
    pub(super) fn take(&self) -> Vec<ReadSource> {
        self.read.try_iter().collect()
    }

    /// The remaining sources, if they come within a limit.
    pub(super) fn take_last(&mut self) -> Vec<ReadSource> {
        self.wanted = None;
        let end = Instant::now() + SOURCE_WAIT;
        let mut last = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.read.recv_timeout(left) {
                Ok(read) => last.push(read),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return last,
            }
        }
    }
}

struct Work {
    session: Arc<dyn Control>,
    read: Sender<ReadSource>,
    /// The files that are done.
    known: Vec<Arc<PathBuf>>,
    bytes: usize,
}

impl Work {
    fn run(mut self, wishes: &Receiver<WantedSource>) {
        for wish in wishes {
            let read = match wish {
                WantedSource::File(file) => self.text(&file),
                WantedSource::Line { path, line } => self.line(&path, line),
            };
            if read.is_err() {
                // Nobody takes it any more.
                return;
            }
        }
    }

    fn line(&mut self, path: &Arc<PathBuf>, line: u64) -> Result<(), ()> {
        let files = self.session.source_files();
        let Some(file) = files.into_iter().find(|file| file.path == *path) else {
            return Ok(());
        };
        self.text(&file)?;
        // Without them the line has no list, as a line without code.
        let Ok(variables) = self.session.variables(&file, line) else {
            return Ok(());
        };
        self.send(ReadSource::Variables(RecordedVariables {
            path: path.to_string_lossy().into_owned(),
            line,
            variables: variables.into_iter().map(RecordedVariable::from).collect(),
        }))
    }

    /// The text of a file, once.
    fn text(&mut self, file: &SourceFile) -> Result<(), ()> {
        if self.known.contains(&file.path) || self.known.len() >= SOURCES {
            return Ok(());
        }
        self.known.push(Arc::clone(&file.path));
        let read = self.session.source_text(file);
        let mut source = RecordedSource {
            file: file.clone(),
            text: None,
            elsewhere: None,
            unreadable: None,
            lines: self.session.lines(file).unwrap_or_default(),
            outline: Vec::new(),
        };
        match read {
            Ok(text) if self.bytes.saturating_add(text.text.len()) <= SOURCES_BYTES => {
                self.bytes += text.text.len();
                source.text = Some(text.text);
                let elsewhere = text.elsewhere.as_deref();
                source.elsewhere = elsewhere.map(|path| path.to_string_lossy().into_owned());
            }
            Ok(_) => source.unreadable = Some("the recording has too much source text".into()),
            Err(why) => source.unreadable = Some(why.to_string()),
        }
        if source.text.is_none() {
            source.outline = self.session.outline(file);
        }
        self.send(ReadSource::Text(Box::new(source)))
    }

    fn send(&self, read: ReadSource) -> Result<(), ()> {
        self.read.send(read).map_err(|_| ())
    }
}
