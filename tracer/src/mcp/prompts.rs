//! Prompts: ready questions that a user chooses in the client.

use rmcp::ErrorData;
use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;

use crate::mcp::limits::ARGUMENT_TEXT;

/// A prompt, with the names of its arguments in braces.
struct AssistantPrompt {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    arguments: &'static [PromptWord],
    text: &'static str,
}

/// An argument of a prompt.
struct PromptWord {
    name: &'static str,
    description: &'static str,
}

const FUNCTION: PromptWord = PromptWord {
    name: "function",
    description: "A function of the program, or a part of its name",
};
const SYMPTOM: PromptWord = PromptWord {
    name: "symptom",
    description: "What goes wrong, in words",
};
const VARIABLE: PromptWord = PromptWord {
    name: "variable",
    description: "A variable or field, as the source writes it",
};

const PROMPTS: [AssistantPrompt; 3] = [
    AssistantPrompt {
        name: "why_is_this_slow",
        title: "Why is this slow?",
        description: "Finds what a slow function waits for or repeats, by times of calls",
        arguments: &[FUNCTION],
        text: "Find out why `{function}` is slow in the running program, with the tools of tracer.

1. `find_functions` with the name, and `show_source` of its declaration.
2. `add_probe` with `time {function}`, wait some seconds, and read the distribution with `read_aggregates`. Is each call \
slow, or only a few?
3. For the few: `span {function} \"{function}\" if $elapsed > LIMIT` with values that may tell them apart (`list_variables` \
says which are readable), and `read_events`.
4. `time` the functions that it calls, as the source shows them. The times inside that do not add up to the whole are \
its own.
5. If the reason may be in the path that it takes, `trace {function} if CONDITION` records one call line by line, and \
`read_call` shows each line with its values and times.
6. Say which part takes the time, with the numbers, and what to change. Remove the probes.",
    },
    AssistantPrompt {
        name: "when_does_this_fail",
        title: "When does this fail?",
        description: "Finds the values for which something goes wrong",
        arguments: &[SYMPTOM],
        text: "Find out when this happens in the running program, with the tools of tracer: {symptom}

1. Find the code that shows the symptom: `find_functions`, `find_files`, `show_source`.
2. `list_variables` at the lines that decide, and `log FILE:LINE \"{a} {b}\"` with these values on each way. \
`count FILE:LINE by EXPR` if it happens often.
3. `read_events` with `wait_ms`, and compare the values with what the code should do for them. If it takes an action of \
the user, ask for it.
4. Narrow with conditions: `log FILE:LINE if a < b`. `trace FUNCTION if CONDITION` records a failing call line by line, \
and `snapshot FILE:LINE if CONDITION` shows all variables and the call stack.
5. State the values for which it fails, the line, and why the line is wrong. Show the events that prove it. Remove the \
probes.",
    },
    AssistantPrompt {
        name: "who_changes_this",
        title: "Who changes this?",
        description: "Finds the line and the caller that change a variable or field",
        arguments: &[VARIABLE, FUNCTION],
        text: "Find out who changes `{variable}` around `{function}` in the running program, with the tools of tracer.

1. `find_functions` and `show_source`: where does it live? Note a line of `{function}` at which it is in scope.
2. If it is static, `watch {variable} if old != new depth 8` shows each write to its memory, by any code: the value before \
and after, the line and the callers. If it is a part of an object, `watch {variable} at FILE:LINE if old != new depth 8` \
watches the object that a hit of this line finds. `until LOCATION` ends the watch where the object ends.
3. If `watch` is refused, because the value is in a register or is too large, `trace {function} with {variable}` records a \
call line by line. `read_call` has `changed` for each step: the line before a step that changed is the one that wrote. \
Add `depth 3` to follow calls.
4. `if` narrows to the change that matters, such as `if new < old`.
5. Name the line, the callers, and the thread that made the change, with the events that prove it. Remove the probes.",
    },
];

/// All prompts.
pub(super) fn list() -> Vec<Prompt> {
    let prompt = |one: &AssistantPrompt| {
        let argument = |word: &PromptWord| {
            PromptArgument::new(word.name)
                .with_description(word.description)
                .with_required(true)
        };
        let arguments = one.arguments.iter().map(argument).collect();
        Prompt::new(one.name, Some(one.description), Some(arguments)).with_title(one.title)
    };
    PROMPTS.iter().map(prompt).collect()
}

/// A prompt, filled in.
///
/// # Errors
/// There is none of this name, or an argument is missing.
pub(super) fn get(name: &str, arguments: &JsonObject) -> Result<GetPromptResult, ErrorData> {
    let found = PROMPTS.iter().find(|one| one.name == name);
    let found = found.ok_or_else(|| ErrorData::invalid_params("there is no such prompt", None))?;
    let mut text = found.text.to_owned();
    for word in found.arguments {
        let value = arguments.get(word.name).and_then(Value::as_str);
        let value = value.filter(|value| !value.is_empty() && value.len() <= ARGUMENT_TEXT);
        let value = value.ok_or_else(|| {
            ErrorData::invalid_params(format!("the argument `{}` is missing", word.name), None)
        })?;
        text = text.replace(&format!("{{{}}}", word.name), value);
    }
    let message = PromptMessage::new_text(Role::User, text);
    let mut result = GetPromptResult::new(vec![message]);
    result.description = Some(found.description.to_owned());
    Ok(result)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_argument_of_a_prompt_is_in_its_text() {
        for one in &PROMPTS {
            for word in one.arguments {
                assert!(
                    one.text.contains(&format!("{{{}}}", word.name)),
                    "{} {}",
                    one.name,
                    word.name
                );
            }
        }
        let arguments = json!({ "function": "app::work" });
        let arguments = arguments.as_object().expect("an object");
        let filled = get("why_is_this_slow", arguments).expect("a prompt");
        let text = json!(filled).to_string();
        assert!(
            text.contains("`time app::work`") && !text.contains("{function}"),
            "{text}"
        );
        assert!(
            get("who_changes_this", arguments).is_err(),
            "the variable is missing"
        );
        assert!(get("nothing", arguments).is_err());
    }
}
