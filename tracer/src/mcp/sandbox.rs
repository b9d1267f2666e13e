//! The limits on an assistant's probes, set by the user who starts the server.
//!
//! They are applied to the parsed probe, so no spelling leads around them. A larger request is lowered, and the answer
//! says so. A request for something that is never allowed is refused.

use std::time::Duration;

use crate::actions::parse_probe;
use crate::base::diagnostic::Diagnostic;
use crate::lang::ast::{Action, Expr, LocationKind, ProbeSpec, Span};
use crate::mcp::limits::{LIVE_PROBES, PROBE_HITS, PROBE_LIFE, PROBE_RATE, PROBE_TEXT, PROBES_CPU};
use crate::value::redact::Redactor;

/// The limits on an assistant's probes.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// Time to live of a probe.
    pub ttl: Duration,
    /// Events of a probe.
    pub hits: u64,
    /// Events per second of a probe.
    pub rate: u64,
    /// CPUs that all probes may cost together.
    pub cpus: f64,
    /// Probes at a time.
    pub probes: usize,
    /// Names whose values are never shown.
    pub redactor: Redactor,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            ttl: PROBE_LIFE,
            hits: PROBE_HITS,
            rate: PROBE_RATE,
            cpus: PROBES_CPU,
            probes: LIVE_PROBES,
            redactor: Redactor::default(),
        }
    }
}

/// A probe that keeps the limits.
#[derive(Clone, Debug)]
pub(super) struct AdmittedProbe {
    pub(super) spec: ProbeSpec,
    /// The limits that are lower than the assistant asked for, in words.
    pub(super) lowered: Vec<String>,
}

impl Sandbox {
    /// Parses a probe and applies the limits.
    ///
    /// # Errors
    /// The text has a mistake, or asks for something that is never allowed.
    pub(super) fn admit(&self, text: &str) -> Result<AdmittedProbe, Diagnostic> {
        if text.len() > PROBE_TEXT {
            return Err(Diagnostic::new(format!(
                "the probe has more than {PROBE_TEXT} bytes"
            )));
        }
        let mut spec = parse_probe(text)?;
        self.refuse(&spec)?;
        let lowered = self.lower(&mut spec);
        Ok(AdmittedProbe { spec, lowered })
    }

    /// Refuses what no limit makes harmless.
    fn refuse(&self, spec: &ProbeSpec) -> Result<(), Diagnostic> {
        let locations = std::iter::once(&spec.location).chain(&spec.until);
        let is_trampoline = |kind: &LocationKind| matches!(kind, LocationKind::Trampoline(_));
        if spec.options.trampoline || locations.into_iter().any(|one| is_trampoline(&one.kind)) {
            return Err(Diagnostic::new(
                "`trampoline` is not allowed here: it changes the stack of the program",
            ));
        }
        if spec.options.per_process {
            return Err(Diagnostic::new(
                "`per process` is not allowed here: the limits hold for all processes together",
            ));
        }
        let of_span = match &spec.action {
            Action::Span(span) => span.error.as_ref(),
            _ => None,
        };
        for condition in spec.condition.iter().chain(of_span) {
            self.refuse_question(spec, condition)?;
        }
        Ok(())
    }

    /// Refuses a condition on a redacted value: answers to enough questions tell the value. The plan refuses those that
    /// leave the name out.
    fn refuse_question(&self, spec: &ProbeSpec, condition: &Expr) -> Result<(), Diagnostic> {
        let typed = text_of(spec, &condition.span);
        match self.redactor.hides_expr(typed) {
            true => Err(Diagnostic::at(
                &condition.span,
                "a condition on a redacted value is not allowed here: hits would tell the value",
            )),
            false => Ok(()),
        }
    }

    /// Lowers the options of a probe to the limits. Returns what has changed, in words.
    fn lower(&self, spec: &mut ProbeSpec) -> Vec<String> {
        let mut lowered = Vec::new();
        let action = spec.action.kind();
        let (sends, usual_hits) = (action.sends_events(spec), action.default_hits());
        let options = &mut spec.options;
        if options.ttl.is_none_or(|ttl| ttl > self.ttl) {
            if let Some(ttl) = options.ttl {
                lowered.push(format!("`for {ttl:?}` is lowered to {:?}", self.ttl));
            }
            options.ttl = Some(self.ttl);
        }
        if let Some(hits) = options.hits.filter(|&hits| hits > self.hits || hits == 0) {
            lowered.push(format!("`hits {hits}` is lowered to {}", self.hits));
            options.hits = Some(self.hits);
        }
        if options.hits.is_none() && sends && (usual_hits == 0 || usual_hits > self.hits) {
            options.hits = Some(self.hits);
        }
        if let Some(rate) = options.rate.filter(|&rate| rate > self.rate || rate == 0) {
            lowered.push(format!("`rate {rate}/s` is lowered to {}/s", self.rate));
            options.rate = Some(self.rate);
        }
        let shortest = Duration::from_secs(1) / u32::try_from(self.rate.max(1)).unwrap_or(u32::MAX);
        if let Some(every) = options.every.filter(|&every| every < shortest) {
            lowered.push(format!("`every {every:?}` is lowered to {}/s", self.rate));
            options.every = None;
        }
        if options.rate.is_none() && options.every.is_none() && sends {
            options.rate = Some(self.rate);
        }
        if let Some(cpu) = options.cpu.filter(|&cpu| cpu > self.cpus) {
            let allowed = self.cpus * 100.0;
            lowered.push(format!("`cpu {}%` is lowered to {allowed}%", cpu * 100.0));
            options.cpu = Some(self.cpus);
        }
        lowered
    }
}

/// The part of a probe's text.
fn text_of<'s>(spec: &'s ProbeSpec, span: &Span) -> &'s str {
    // The whole text is a superset of each part, so nothing is missed.
    spec.text.get(span.clone()).unwrap_or(&spec.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(text: &str) -> AdmittedProbe {
        let sandbox = Sandbox::default();
        sandbox
            .admit(text)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_probe_has_a_life_and_events_have_hits_and_a_rate() {
        let options = admitted("log f").spec.options;
        assert_eq!(options.ttl, Some(PROBE_LIFE));
        assert_eq!(options.hits, Some(PROBE_HITS));
        assert_eq!(options.rate, Some(PROBE_RATE));
        assert!(admitted("log f").lowered.is_empty());
        let options = admitted("count f by x").spec.options;
        assert_eq!((options.ttl, options.hits), (Some(PROBE_LIFE), None));
        assert_eq!(
            admitted("trace f").spec.options.hits,
            None,
            "one by default"
        );
    }

    #[test]
    fn larger_requests_are_lowered_and_told() {
        let probe = admitted("log f hits 100000 rate 5000/s for 3h cpu 90%");
        let options = probe.spec.options;
        assert_eq!(options.hits, Some(PROBE_HITS));
        assert_eq!(options.rate, Some(PROBE_RATE));
        assert_eq!(options.ttl, Some(PROBE_LIFE));
        assert_eq!(options.cpu, Some(PROBES_CPU));
        assert_eq!(
            probe.lowered,
            [
                "`for 10800s` is lowered to 600s",
                "`hits 100000` is lowered to 1000",
                "`rate 5000/s` is lowered to 100/s",
                "`cpu 90%` is lowered to 5%",
            ]
        );
        let options = admitted("log f every 1us").spec.options;
        assert_eq!((options.every, options.rate), (None, Some(PROBE_RATE)));
    }

    #[test]
    fn smaller_requests_stay_as_they_are() {
        let probe = admitted("log f hits 3 every 2s for 5s cpu 1%");
        let options = probe.spec.options;
        assert_eq!(options.hits, Some(3));
        assert_eq!(
            (options.rate, options.every),
            (None, Some(Duration::from_secs(2)))
        );
        assert_eq!(options.ttl, Some(Duration::from_secs(5)));
        assert_eq!(options.cpu, Some(0.01));
        assert!(probe.lowered.is_empty());
    }

    #[test]
    fn questions_on_redacted_values_and_writes_are_refused() {
        for (text, why) in [
            (
                "log f if password == \"x\"",
                "a condition on a redacted value",
            ),
            (
                "count f if user.api_key.starts_with(\"a\")",
                "a condition on a redacted value",
            ),
            (
                "log f if x > 1 && config.dbPassword.len() > 3",
                "a condition on a redacted value",
            ),
            (
                "span f error if token == \"x\"",
                "a condition on a redacted value",
            ),
            (
                "trace f if secret.is_some()",
                "a condition on a redacted value",
            ),
            (
                "log f%return trampoline",
                "`trampoline` is not allowed here",
            ),
            (
                "log f hits 3 per process",
                "`per process` is not allowed here",
            ),
        ] {
            let error = Sandbox::default().admit(text).expect_err(text);
            assert!(error.message.starts_with(why), "{text}: {error}");
        }
        let long = format!("log f \"{}\"", "x".repeat(PROBE_TEXT));
        assert!(Sandbox::default().admit(&long).is_err());
    }
}
