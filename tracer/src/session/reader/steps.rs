//! Steps of traced calls.

use tracer_common::record::{FLAG_STEP, RecordHeader};
use tracer_common::trace::{MAX_FRAMES, STEP_ENTER, STEP_LEFT, STEP_LINE, STEP_RETURN, StepRecord};

use crate::event::{StepEvent, StepKind};

/// The step of a record. `Some(None)` if it is of no trace, and `None` if no plan makes such a record.
pub(super) fn of(header: &RecordHeader, record: &[u8]) -> Option<Option<StepEvent>> {
    if u32::from(header.flags) & FLAG_STEP == 0 {
        return Some(None);
    }
    let step = record_of(record)?;
    if step.depth as usize >= MAX_FRAMES {
        return None;
    }
    let kind = match step.kind {
        STEP_LINE => StepKind::Line,
        STEP_ENTER => StepKind::Enter,
        STEP_RETURN => StepKind::Return,
        STEP_LEFT => StepKind::Left,
        _ => return None,
    };
    Some(Some(StepEvent {
        call: step.call,
        number: step.number,
        depth: step.depth,
        frame: step.frame,
        kind,
        repeated: 0,
        cut: 0,
    }))
}

/// The part of a record that describes the step.
fn record_of(record: &[u8]) -> Option<StepRecord> {
    let after = record.get(size_of::<RecordHeader>()..)?;
    let bytes = after.get(..size_of::<StepRecord>())?;
    Some(bytemuck::pod_read_unaligned(bytes))
}
