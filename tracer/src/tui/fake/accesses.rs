//! Accesses to a static of the made-up target.

use std::sync::Arc;

use crate::event::{Access, AccessKind, Event, KernelAccess, NamedValue, SiteOrigin};
use crate::value::Value;

/// A write to `MOVES` by the code on a line: the number of the hit takes the place of the one before. Every third
/// write is the kernel's, and the instruction of the one behind it is not certain.
pub(crate) fn access(probe: u32, hit: u64, line: u64) -> Event {
    let mut event = super::event(probe, hit, "");
    let function = "target_app::report_mouse_movement";
    event.origin = Arc::new(SiteOrigin {
        line,
        action: "watch",
        function: function.into(),
        ..(*event.origin).clone()
    });
    let number = |name: &str, value: u64| NamedValue {
        expr: name.into(),
        ty: "u64".into(),
        value: Value::Uint(value.into()),
    };
    event.values = vec![number("old", hit - 1), number("new", hit)];
    let by_kernel = hit.is_multiple_of(3).then(|| KernelAccess {
        system_call: Some(0),
        name: Some("read".into()),
    });
    let author = match &by_kernel {
        Some(kernel) => format!("{kernel}, called by {function}"),
        None => function.to_owned(),
    };
    event.message = format!("MOVES: {} → {hit} by {author}", hit - 1);
    let instruction = match by_kernel {
        Some(_) => "syscall",
        None => "lock xadd [rip+0x2EF0], rax",
    };
    event.access = Some(Box::new(Access {
        kind: match by_kernel {
            Some(_) => AccessKind::Write,
            None => AccessKind::Update,
        },
        address: 0x5582_c7fc_3040,
        code: 0x5582_c7fc_01f4,
        instruction: Some(instruction.into()),
        by_kernel,
        uncertain: (hit % 3 == 1)
            .then(|| "it may have been `mov [rip+0x2EF0], rdx` before it".into()),
    }));
    event
}
