//! Tools that check, add, list and remove probes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AssistantTool, PageRequest, ToolEffect, refuse_long};
use crate::base::diagnostic::Diagnostic;
use crate::mcp::assistant::{AddedProbe, AssistantSession, is_live};
use crate::mcp::shown::{AnswerPage, shown, shown_summary};
use crate::session::{ProbeStatus, expected_trap_cost};
use crate::sink::json::ProbeLine;
use crate::sink::json::listed::{CheckedProbeLine, RefusedLine};

/// The tools.
pub(super) fn tools() -> Vec<AssistantTool> {
    vec![
        AssistantTool::new(
            "check_probe",
            ToolEffect::Looks,
            "Say what a probe would be (sites, values, cost), or why it is refused. Attaches nothing. A probe is one line: \
             `log FILE:LINE \"x {x}\" if x > 3`, `snapshot FUNCTION`, `count FUNCTION by EXPR`, `hist FILE:LINE EXPR`, \
             `time FUNCTION`, `span FUNCTION \"name {x}\"`, `trace FUNCTION with EXPR, …`, `watch VALUE if old != new`. \
             It reads and cannot change anything.",
            check_probe,
        ),
        AssistantTool::new(
            "add_probe",
            ToolEffect::Adds,
            "Add a probe to the running program. It ends by itself, after its time or its last hit. Limits that are larger \
             than this server allows are lowered, and `lowered` says which. Read what it records with `read_events`, \
             `read_aggregates` (count, hist, time), `read_snapshot` or `read_call` (trace).",
            add_probe,
        ),
        AssistantTool::new(
            "list_probes",
            ToolEffect::Looks,
            "List the probes with their counters: hits, events, hits that were left out and why, and whether each may have \
             more hits.",
            list_probes,
        ),
        AssistantTool::new(
            "remove_probe",
            ToolEffect::Removes,
            "Remove a probe by its name. Its events can still be read.",
            remove_probe,
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProbeRequest {
    /// The probe, as one line of the probe language.
    probe: String,
}

#[derive(Serialize, JsonSchema)]
struct CheckAnswer {
    /// The probe, if it could be attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<CheckedProbeLine<'static>>")]
    checked: Option<Value>,
    /// The mistake, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RefusedLine<'static>>")]
    refused: Option<Value>,
    /// Limits that this server would lower.
    lowered: Vec<String>,
}

fn check_probe(
    session: &AssistantSession,
    request: ProbeRequest,
) -> Result<CheckAnswer, Diagnostic> {
    let refused = |error: &Diagnostic| CheckAnswer {
        checked: None,
        refused: Some(shown(&RefusedLine::new(&request.probe, error))),
        lowered: Vec::new(),
    };
    let admitted = match session.sandbox.admit(&request.probe) {
        Ok(admitted) => admitted,
        Err(error) => return Ok(refused(&error)),
    };
    let checked = session
        .catalog()
        .check(session.process(), &[&admitted.spec], &session.options);
    Ok(match checked.into_iter().next() {
        Some(Ok(checked)) => {
            let trap = expected_trap_cost();
            let mut page = AnswerPage::new(None);
            page.push(shown(&CheckedProbeLine::new(
                &admitted.spec,
                &checked,
                trap.as_ref(),
            )));
            CheckAnswer {
                checked: page.items.pop(),
                refused: None,
                lowered: admitted.lowered,
            }
        }
        Some(Err(error)) => refused(&error),
        None => refused(&Diagnostic::new("the probe was not checked")),
    })
}

#[derive(Serialize, JsonSchema)]
struct AddAnswer {
    #[schemars(with = "ProbeLine<'static>")]
    probe: Value,
    /// Limits that are lower than requested.
    lowered: Vec<String>,
    /// Milliseconds until it ends by itself, at the latest.
    ends_in_ms: u64,
    /// Pass it as `after` to `read_events`, to get the events of this probe alone.
    cursor: u64,
}

fn add_probe(session: &AssistantSession, request: ProbeRequest) -> Result<AddAnswer, Diagnostic> {
    let cursor = session.kept.after(u64::MAX, 0, |_| false).last;
    let AddedProbe {
        status,
        lowered,
        life,
    } = session.add(&request.probe)?;
    Ok(AddAnswer {
        probe: shown(&ProbeLine::from(&status)),
        lowered,
        ends_in_ms: u64::try_from(life.as_millis()).unwrap_or(u64::MAX),
        cursor,
    })
}

/// A probe with its counters: the keys of `summary` in `--output json`, and these.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct ListedProbe {
    /// Name of the probe.
    probe: String,
    /// Its text.
    text: String,
    hits: u64,
    events: u64,
    /// It may have more hits.
    live: bool,
    /// Milliseconds until it ends by itself, at the latest.
    #[schemars(skip_serializing_if = "Option::is_none")]
    ends_in_ms: Option<u64>,
    /// Share of one CPU that it costs, of about the last second.
    #[schemars(skip_serializing_if = "Option::is_none")]
    cpus: Option<f64>,
    notes: Vec<String>,
    #[schemars(flatten)]
    more: Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
struct ProbesAnswer {
    #[schemars(with = "Vec<ListedProbe>")]
    probes: Vec<Value>,
    /// Offset of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    /// News of the session since the last time.
    notes: Vec<String>,
}

/// A probe with its counters.
pub(super) fn listed(session: &AssistantSession, probe: &ProbeStatus) -> Value {
    let mut line = shown_summary(probe);
    line.insert("live".into(), is_live(probe).into());
    if let Some(left) = session.left(probe.id).filter(|_| is_live(probe)) {
        let ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        line.insert("ends_in_ms".into(), ms.into());
    }
    if let Some(cpus) = probe.cost.cpus {
        line.insert("cpus".into(), cpus.into());
    }
    line.insert("notes".into(), shown(&probe.notes));
    Value::Object(line)
}

fn list_probes(
    session: &AssistantSession,
    request: PageRequest,
) -> Result<ProbesAnswer, Diagnostic> {
    let probes = session.control.probes();
    let mut page = AnswerPage::new(request.limit);
    let next = page.fill(&probes, request.offset, |probe| listed(session, probe));
    Ok(ProbesAnswer {
        probes: page.items,
        next,
        notes: session.kept.take_notes(),
    })
}

/// The probe of that name: the one that is live, else the last of those that have ended.
pub(super) fn named(session: &AssistantSession, name: &str) -> Result<ProbeStatus, Diagnostic> {
    refuse_long(name)?;
    let probes = session.control.probes().into_iter();
    probes
        .filter(|probe| probe.name == name)
        .max_by_key(|probe| (is_live(probe), probe.id))
        .ok_or_else(|| Diagnostic::new("no probe has this name").hint("`list_probes` lists them"))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NamedRequest {
    /// Name of the probe, such as `p1`.
    probe: String,
}

#[derive(Serialize, JsonSchema)]
struct RemoveAnswer {
    /// The last state of the probe.
    #[schemars(with = "ListedProbe")]
    removed: Value,
}

fn remove_probe(
    session: &AssistantSession,
    request: NamedRequest,
) -> Result<RemoveAnswer, Diagnostic> {
    let probe = named(session, &request.probe)?;
    let removed = session.remove(probe.id).unwrap_or(probe);
    let mut line = shown_summary(&removed);
    line.insert("live".into(), false.into());
    line.insert("notes".into(), shown(&removed.notes));
    Ok(RemoveAnswer {
        removed: Value::Object(line),
    })
}
