//! The tools of an assistant: their names, descriptions and schemas.

mod ask;
mod calls;
mod look;
mod probes;
mod read;

use std::sync::{Arc, LazyLock};

use rmcp::handler::server::common::{schema_for_input, schema_for_output};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::diagnostic::Diagnostic;
use crate::mcp::assistant::AssistantSession;
use crate::mcp::limits::ARGUMENT_TEXT;
use crate::mcp::shown::shown;

type ToolAnswer = Result<Value, Diagnostic>;
type RunTool = dyn Fn(&AssistantSession, JsonObject) -> ToolAnswer + Send + Sync;
type AskWait = dyn Fn(&AssistantSession, &JsonObject) -> Option<u64> + Send + Sync;

/// A tool.
pub(super) struct AssistantTool {
    pub(super) tool: Tool,
    pub(super) run: Box<RunTool>,
    /// It never waits for other requests: the emergency stop.
    pub(super) goes_first: bool,
    /// Returns the milliseconds to wait, or `None` if there is something to answer now. Absent if the tool never waits.
    pub(super) wait: Option<Box<AskWait>>,
}

/// All tools.
pub(super) static TOOLS: LazyLock<Vec<AssistantTool>> = LazyLock::new(|| {
    let mut tools = look::tools();
    tools.extend(probes::tools());
    tools.extend(read::tools());
    tools.extend(calls::tools());
    tools.extend(ask::tools());
    tools
});

/// The request of a tool that needs none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

/// A page of a list.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PageRequest {
    /// Items to skip: `next` of the page before.
    offset: Option<u64>,
    /// Items at most, 50 by default and 200 at most.
    limit: Option<u64>,
}

/// The effect of a tool on the program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ToolEffect {
    /// It looks.
    Looks,
    /// It adds breakpoints, which the program pays for.
    Adds,
    /// It removes breakpoints.
    Removes,
}

impl AssistantTool {
    fn new<I, O>(
        name: &'static str,
        effect: ToolEffect,
        description: &'static str,
        run: fn(&AssistantSession, I) -> Result<O, Diagnostic>,
    ) -> Self
    where
        I: DeserializeOwned + JsonSchema + 'static,
        O: Serialize + JsonSchema + 'static,
    {
        // The request of each tool is an object, so it has a schema.
        let input = schema_for_input::<I>().unwrap_or_default();
        let annotations = ToolAnnotations::new()
            .read_only(effect == ToolEffect::Looks)
            .destructive(false)
            .idempotent(effect != ToolEffect::Adds)
            .open_world(false);
        let tool = Tool::new(name, description, plain(&input))
            .with_raw_output_schema(plain(&schema_for_output::<O>()))
            .with_annotations(annotations);
        Self {
            tool,
            run: Box::new(move |session, arguments| {
                let request = request(arguments)?;
                run(session, request).map(|answer| shown(&answer))
            }),
            goes_first: false,
            wait: None,
        }
    }

    /// The tool does not wait for other requests, however many there are.
    fn going_first(mut self) -> Self {
        self.goes_first = true;
        self
    }

    /// The tool waits for something to answer, as long as its request says.
    fn waiting<I>(mut self, wait: fn(&AssistantSession, &I) -> Option<u64>) -> Self
    where
        I: DeserializeOwned + 'static,
    {
        self.wait = Some(Box::new(move |session, arguments| {
            // A mistake is told at once.
            let request = request(arguments.clone()).ok()?;
            wait(session, &request)
        }));
        self
    }
}

/// The request of a tool.
fn request<I: DeserializeOwned>(arguments: JsonObject) -> Result<I, Diagnostic> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        Diagnostic::new(format!("the arguments are not those of the tool: {error}"))
    })
}

/// A schema without Rust's own formats, because validators warn about them.
fn plain(schema: &JsonObject) -> Arc<JsonObject> {
    fn remove(value: &mut Value) {
        match value {
            Value::Object(object) => {
                if object.get("format").is_some_and(Value::is_string) {
                    object.remove("format");
                }
                object.values_mut().for_each(remove);
            }
            Value::Array(items) => items.iter_mut().for_each(remove),
            _ => {}
        }
    }
    let mut schema = schema.clone();
    schema.values_mut().for_each(remove);
    Arc::new(schema)
}

/// Refuses a text that is too long to be meant.
fn refuse_long(text: &str) -> Result<(), Diagnostic> {
    match text.len() <= ARGUMENT_TEXT {
        true => Ok(()),
        false => Err(Diagnostic::new(format!(
            "an argument has more than {ARGUMENT_TEXT} bytes"
        ))),
    }
}

/// The list of tools, as clients see it.
pub(super) fn listed() -> Vec<Tool> {
    TOOLS.iter().map(|tool| tool.tool.clone()).collect()
}

/// The tool of that name.
pub(super) fn find(name: &str) -> Option<&'static AssistantTool> {
    TOOLS.iter().find(|tool| tool.tool.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(schema: &JsonObject) -> Vec<&str> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let names = properties.into_iter().flat_map(|all| all.keys());
        names.map(String::as_str).collect()
    }

    #[test]
    fn every_tool_has_a_description_and_schemas() {
        let names: Vec<&str> = TOOLS.iter().map(|tool| tool.tool.name.as_ref()).collect();
        assert_eq!(
            names,
            [
                "find_processes",
                "find_files",
                "find_functions",
                "list_lines",
                "list_variables",
                "show_source",
                "check_probe",
                "add_probe",
                "list_probes",
                "remove_probe",
                "read_events",
                "read_aggregates",
                "read_snapshot",
                "read_call",
                "cost",
                "stop_everything",
            ]
        );
        for AssistantTool { tool, wait, .. } in TOOLS.iter() {
            assert!(
                tool.description
                    .as_ref()
                    .is_some_and(|text| text.len() > 30),
                "{}",
                tool.name
            );
            let output = tool.output_schema.as_ref().expect("a schema");
            assert_eq!(
                output.get("type"),
                Some(&Value::from("object")),
                "{}",
                tool.name
            );
            let waits = properties(&tool.input_schema).contains(&"wait_ms");
            assert_eq!(waits, wait.is_some(), "{}", tool.name);
            assert_eq!(
                tool.input_schema.get("additionalProperties"),
                Some(&Value::Bool(false)),
                "{}",
                tool.name
            );
        }
    }
}
