//! The eBPF object of the repository: its recipe, its record, and the tools that build it.

#[path = "../../../tracer/build/instructions.rs"]
pub(crate) mod instructions;
#[path = "../../../tracer/build/recipe.rs"]
pub(crate) mod recipe;
#[path = "../../../tracer/build/record.rs"]
pub(crate) mod record;

use std::fs;

use anyhow::{Context, Result};

use crate::support::failure::Failure;
use crate::support::workspace;
use record::{OBJECT, RECORD, Record};

/// True if the sources differ from those of the repository's object. A build of `tracer` then compiles
/// them.
pub(crate) fn must_be_built() -> bool {
    verify_record().is_err()
}

/// Checks that object and sources match the record, without building anything.
///
/// # Errors
/// They differ. The error lists the files.
pub(crate) fn verify_record() -> Result<Record> {
    let root = workspace::root();
    let hint = "`cargo xtask ebpf` makes the object anew";
    let text =
        fs::read_to_string(root.join(RECORD)).with_context(|| format!("cannot read {RECORD}"))?;
    let record = Record::parse(&text)
        .map_err(|why| Failure::new(format!("{RECORD} cannot be used: {why}")).hint(hint))?;
    let changed = record.changed(&record::sources(&root)?);
    if !changed.is_empty() {
        let changed = changed.join(", ");
        return Err(
            Failure::new(format!("{OBJECT} was made from another {changed}"))
                .hint(hint)
                .into(),
        );
    }
    let object = fs::read(root.join(OBJECT)).with_context(|| format!("cannot read {OBJECT}"))?;
    if record::sum(&object) != record.object {
        return Err(
            Failure::new(format!("{OBJECT} is not the object of {RECORD}"))
                .hint(hint)
                .into(),
        );
    }
    Ok(record)
}
