//! Tools for the cost of the probes, and the emergency stop.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{AssistantTool, NoArguments, ToolEffect};
use crate::base::diagnostic::Diagnostic;
use crate::mcp::assistant::{AssistantSession, is_live};
use crate::mcp::shown::shown_summary;
use crate::mcp::tools::probes::listed;

/// The tools.
pub(super) fn tools() -> Vec<AssistantTool> {
    vec![
        AssistantTool::new(
            "cost",
            ToolEffect::Looks,
            "Say what the probes cost the program, and the limits of this server, which nothing that you send can change.",
            cost,
        ),
        AssistantTool::new(
            "stop_everything",
            ToolEffect::Removes,
            "The emergency stop: remove all probes at once. No probe can be added after it.",
            stop_everything,
        )
        .going_first(),
    ]
}

/// The limits of the server.
#[derive(Serialize, JsonSchema)]
struct LimitsItem {
    /// Milliseconds after which a probe ends by itself.
    ttl_ms: u64,
    /// Events of one probe.
    max_hits: u64,
    /// Events per second of one probe.
    max_rate: u64,
    /// CPUs that all probes together may cost.
    max_cpus: f64,
    /// Probes at a time.
    max_probes: u64,
    /// Names whose values are never shown.
    redacted: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct CostAnswer {
    /// CPUs that all probes cost together, of about the last second, with those that were removed.
    cpus: f64,
    /// Nanoseconds that all hits have cost, where they are known, with those of probes that were removed.
    total_ns: u64,
    /// Milliseconds until a probe can be added again, after probes have cost more than `max_cpus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    add_again_in_ms: Option<u64>,
    /// Probes that may have more hits.
    live: u64,
    /// The probes, with their counters.
    #[schemars(with = "Vec<serde_json::Map<String, Value>>")]
    probes: Vec<Value>,
    limits: LimitsItem,
    /// The emergency stop was used.
    stopped: bool,
}

fn cost(session: &AssistantSession, _: NoArguments) -> Result<CostAnswer, Diagnostic> {
    let probes = session.control.probes();
    let sandbox = &session.sandbox;
    let spending = session.control.spending();
    let wait = spending.wait;
    Ok(CostAnswer {
        cpus: spending.cpus,
        total_ns: spending.total_ns,
        add_again_in_ms: (!wait.is_zero())
            .then(|| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        live: probes.iter().filter(|probe| is_live(probe)).count() as u64,
        probes: probes
            .iter()
            .filter(|probe| is_live(probe))
            .map(|probe| listed(session, probe))
            .collect(),
        limits: LimitsItem {
            ttl_ms: u64::try_from(sandbox.ttl.as_millis()).unwrap_or(u64::MAX),
            max_hits: sandbox.hits,
            max_rate: sandbox.rate,
            max_cpus: sandbox.cpus,
            max_probes: sandbox.probes as u64,
            redacted: sandbox.redactor.names(),
        },
        stopped: session.is_stopped(),
    })
}

#[derive(Serialize, JsonSchema)]
struct StopAnswer {
    /// The last states of the probes that were removed.
    #[schemars(with = "Vec<serde_json::Map<String, Value>>")]
    removed: Vec<Value>,
}

fn stop_everything(session: &AssistantSession, _: NoArguments) -> Result<StopAnswer, Diagnostic> {
    let removed = session.stop();
    let mut page = crate::mcp::shown::AnswerPage::new(None);
    for probe in &removed {
        page.push(Value::Object(shown_summary(probe)));
    }
    Ok(StopAnswer {
        removed: page.items,
    })
}
