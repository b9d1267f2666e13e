//! pprof's profile: how often each stack was hit, and for how long.

pub(super) mod messages;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;

use super::limits::{PROFILE_BYTES, SAMPLES};
use crate::event::{Aggregate, AggregateBody, Event, ProbeId, counted};
use crate::session::ProbeStatus;
use crate::sink::{Begin, Sink};

use messages::{
    Profile, ProfileFunction, ProfileLine, ProfileLocation, ProfileSample, SampleKind, SampleLabel,
};

/// The only location of hits beyond the limits.
const BEYOND: &str = "[beyond the limits of the export]";

/// Adds events up by stack, probe and thread.
pub(super) struct PprofSink<W> {
    out: W,
    began_ns: u64,
    last_ns: u64,
    texts: Texts,
    functions: HashMap<(i64, i64), u64>,
    locations: HashMap<LocationKey, u64>,
    samples: HashMap<SampleKey, SampleSum>,
    /// Hits beyond the limits.
    beyond: SampleSum,
    /// Bytes of names and places.
    bytes: usize,
    /// Probes that had events.
    with_events: HashSet<ProbeId>,
    /// The last aggregates of probes that have no events.
    aggregates: BTreeMap<ProbeId, Aggregate>,
    probes: BTreeMap<ProbeId, ProbeStatus>,
}

/// The texts of a profile, each once. The first is empty.
struct Texts {
    all: Vec<String>,
    places: HashMap<String, i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct LocationKey {
    address: u64,
    /// 0 if it has no name.
    function: u64,
    line: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SampleKey {
    locations: Vec<u64>,
    labels: Vec<SampleLabel>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SampleSum {
    hits: i64,
    time_ns: i64,
}

impl SampleSum {
    fn add(&mut self, other: Self) {
        self.hits = self.hits.saturating_add(other.hits);
        self.time_ns = self.time_ns.saturating_add(other.time_ns);
    }
}

/// A place in code.
#[derive(Clone, Copy)]
struct CodePlace<'p> {
    function: Option<&'p str>,
    file: Option<&'p Path>,
    line: u64,
    address: u64,
}

impl Texts {
    fn new() -> Self {
        Self {
            all: vec![String::new()],
            places: HashMap::from([(String::new(), 0)]),
        }
    }

    /// The place of a text.
    fn place(&mut self, text: &str) -> i64 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = to_signed(self.all.len() as u64);
        self.all.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }
}

fn to_signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl<W: Write + Send> PprofSink<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            began_ns: 0,
            last_ns: 0,
            texts: Texts::new(),
            functions: HashMap::new(),
            locations: HashMap::new(),
            samples: HashMap::new(),
            beyond: SampleSum::default(),
            bytes: 0,
            with_events: HashSet::new(),
            aggregates: BTreeMap::new(),
            probes: BTreeMap::new(),
        }
    }

    /// The place of a text. `None` if it is new and the table of texts is full.
    fn text(&mut self, text: &str) -> Option<i64> {
        if let Some(place) = self.texts.places.get(text) {
            return Some(*place);
        }
        self.grow(2 * text.len() + 96)?;
        Some(self.texts.place(text))
    }

    /// Takes room for something new. `None` if there is none.
    fn grow(&mut self, bytes: usize) -> Option<()> {
        if self.bytes >= PROFILE_BYTES {
            return None;
        }
        self.bytes += bytes;
        Some(())
    }

    fn location(&mut self, place: CodePlace<'_>) -> Option<u64> {
        let function = match place.function {
            Some(function) => {
                let name = self.text(function)?;
                let file = match place.file {
                    Some(file) => self.text(&file.to_string_lossy())?,
                    None => 0,
                };
                self.function(name, file)
            }
            None => 0,
        };
        let key = LocationKey {
            address: place.address,
            function,
            line: to_signed(place.line),
        };
        if let Some(id) = self.locations.get(&key) {
            return Some(*id);
        }
        self.grow(64)?;
        let id = self.locations.len() as u64 + 1;
        self.locations.insert(key, id);
        Some(id)
    }

    fn function(&mut self, name: i64, file: i64) -> u64 {
        let next = self.functions.len() as u64 + 1;
        *self.functions.entry((name, file)).or_insert(next)
    }

    /// Adds hits to those of a stack. Hits of a stack that is new and has no room are added up as one.
    fn add(&mut self, stack: &[CodePlace<'_>], labels: &[(&str, LabelValue<'_>)], sum: SampleSum) {
        let Some(key) = self.key(stack, labels) else {
            return self.beyond.add(sum);
        };
        if let Some(known) = self.samples.get_mut(&key) {
            return known.add(sum);
        }
        let size = 96 + 8 * key.locations.len();
        if self.samples.len() >= SAMPLES || self.grow(size).is_none() {
            return self.beyond.add(sum);
        }
        self.samples.insert(key, sum);
    }

    fn key(
        &mut self,
        stack: &[CodePlace<'_>],
        labels: &[(&str, LabelValue<'_>)],
    ) -> Option<SampleKey> {
        let locations = stack.iter().map(|place| self.location(*place));
        let locations = locations.collect::<Option<Vec<u64>>>()?;
        let labels = labels.iter().map(|(key, value)| {
            let key = self.text(key)?;
            let (str, num) = match value {
                LabelValue::Text(text) => (self.text(text)?, 0),
                LabelValue::Number(number) => (0, *number),
            };
            Some(SampleLabel { key, str, num })
        });
        Some(SampleKey {
            locations,
            labels: labels.collect::<Option<Vec<_>>>()?,
        })
    }

    /// Adds the hits of probes that the kernel has added up, at the places of the probes.
    fn add_aggregates(&mut self) {
        for (id, aggregate) in std::mem::take(&mut self.aggregates) {
            if self.with_events.contains(&id) {
                continue;
            }
            let status = self.probes.get(&id).cloned();
            let place = CodePlace {
                function: status.as_ref().map(|status| status.function.as_str()),
                file: status.as_ref().map(|status| status.file.as_path()),
                line: status.as_ref().map_or(0, |status| status.line),
                address: 0,
            };
            let probe = ("probe", LabelValue::Text(&aggregate.probe_name));
            let hits = |hits: u64| SampleSum {
                hits: to_signed(hits),
                time_ns: 0,
            };
            match &aggregate.body {
                AggregateBody::Count(rows) if !rows.is_empty() => {
                    for row in rows {
                        let value = row.value.to_string();
                        let by = (&*aggregate.expr, LabelValue::Text(&value));
                        self.add(&[place], &[probe, by], hits(row.count));
                    }
                    if aggregate.other > 0 {
                        self.add(&[place], &[probe], hits(aggregate.other));
                    }
                }
                AggregateBody::Count(_) | AggregateBody::Histogram(_) => {
                    self.add(&[place], &[probe], hits(aggregate.total));
                }
                AggregateBody::Times(times) => {
                    let sum = SampleSum {
                        hits: to_signed(aggregate.total),
                        time_ns: to_signed(times.sum_ns),
                    };
                    self.add(&[place], &[probe], sum);
                }
            }
        }
    }

    fn profile(&mut self) -> Profile {
        let mut comments = vec![format!("tracer {}", env!("CARGO_PKG_VERSION"))];
        let beyond = std::mem::take(&mut self.beyond);
        if beyond != SampleSum::default() {
            let hits = counted(beyond.hits.unsigned_abs(), "hit");
            comments.push(format!("beyond the limits of the export: {hits}"));
            let name = self.texts.place(BEYOND);
            let key = LocationKey {
                address: 0,
                function: self.function(name, 0),
                line: 0,
            };
            let next = self.locations.len() as u64 + 1;
            let locations = vec![*self.locations.entry(key).or_insert(next)];
            let labels = Vec::new();
            self.samples.insert(SampleKey { locations, labels }, beyond);
        }
        let has_times = self.samples.values().any(|sum| sum.time_ns != 0);
        let mut sample_type = vec![self.kind("hits", "count")];
        if has_times {
            sample_type.push(self.kind("time", "nanoseconds"));
        }
        let comment = comments.iter();
        let comment = comment.map(|comment| self.texts.place(comment)).collect();
        let mut sample: Vec<ProfileSample> = std::mem::take(&mut self.samples)
            .into_iter()
            .map(|(key, sum)| ProfileSample {
                location_id: key.locations,
                value: match has_times {
                    true => vec![sum.hits, sum.time_ns],
                    false => vec![sum.hits],
                },
                label: key.labels,
            })
            .collect();
        // The order of a hash map differs from run to run.
        sample.sort_by(|a, b| {
            let key = |sample: &ProfileSample| std::cmp::Reverse(sample.value.clone());
            key(a)
                .cmp(&key(b))
                .then_with(|| a.location_id.cmp(&b.location_id))
        });
        let mut location: Vec<ProfileLocation> = std::mem::take(&mut self.locations)
            .into_iter()
            .map(|(key, id)| ProfileLocation {
                id,
                address: key.address,
                line: (key.function != 0)
                    .then_some(ProfileLine {
                        function_id: key.function,
                        line: key.line,
                    })
                    .into_iter()
                    .collect(),
            })
            .collect();
        location.sort_by_key(|location| location.id);
        let mut function: Vec<ProfileFunction> = std::mem::take(&mut self.functions)
            .into_iter()
            .map(|((name, filename), id)| ProfileFunction {
                id,
                name,
                system_name: name,
                filename,
            })
            .collect();
        function.sort_by_key(|function| function.id);
        Profile {
            sample_type,
            sample,
            location,
            function,
            string_table: std::mem::take(&mut self.texts.all),
            time_nanos: to_signed(self.began_ns),
            duration_nanos: to_signed(self.last_ns.saturating_sub(self.began_ns)),
            comment,
        }
    }

    fn kind(&mut self, r#type: &str, unit: &str) -> SampleKind {
        SampleKind {
            r#type: self.texts.place(r#type),
            unit: self.texts.place(unit),
        }
    }
}

#[derive(Clone, Copy)]
enum LabelValue<'v> {
    Text(&'v str),
    Number(i64),
}

impl<W: Write + Send> Sink for PprofSink<W> {
    fn begin(&mut self, session: &Begin) -> io::Result<()> {
        self.began_ns = session.time_ns;
        self.last_ns = session.time_ns;
        Ok(())
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.last_ns = self.last_ns.max(event.time_ns);
        self.with_events.insert(event.origin.probe);
        let origin = &event.origin;
        let frames = event.stack.frames.iter().map(|frame| CodePlace {
            function: frame.function.as_deref(),
            file: frame.file.as_ref().map(|file| file.as_path()),
            line: frame.line.unwrap_or_default(),
            address: frame.address,
        });
        let mut stack: Vec<CodePlace<'_>> = frames.collect();
        if stack.is_empty() {
            stack.push(CodePlace {
                function: Some(&origin.function),
                file: Some(&origin.file),
                line: origin.line,
                address: origin.address,
            });
        }
        let time = event.span.as_ref().map_or(0, |span| span.duration_ns);
        let labels = [
            ("probe", LabelValue::Text(&origin.probe_name)),
            ("thread", LabelValue::Text(&event.thread)),
            ("pid", LabelValue::Number(event.pid.into())),
            ("tid", LabelValue::Number(event.tid.into())),
        ];
        let sum = SampleSum {
            hits: 1,
            time_ns: to_signed(time),
        };
        self.add(&stack, &labels, sum);
        Ok(())
    }

    fn aggregate(&mut self, aggregate: &Aggregate, time_ns: u64) -> io::Result<()> {
        self.last_ns = self.last_ns.max(time_ns);
        self.aggregates.insert(aggregate.probe, aggregate.clone());
        Ok(())
    }

    fn summary(&mut self, probe: &ProbeStatus) -> io::Result<()> {
        self.probes.insert(probe.id, probe.clone());
        Ok(())
    }

    /// The profile is written as a whole, at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.add_aggregates();
        let profile = self.profile().encode_to_vec();
        let mut out = GzEncoder::new(&mut self.out, Compression::default());
        out.write_all(&profile)?;
        out.finish()?;
        self.out.flush()
    }
}
