//! Commands on recordings: `tracer view` and `tracer export`.

pub(super) mod export;
pub(super) mod view;
