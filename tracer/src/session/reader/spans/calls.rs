//! Open calls, as the kernel has them.

use std::sync::Arc;

use tracer_common::record::RecordHeader;
use tracer_common::timing::BegunKey;

use super::batch::{CallSource, PossibleCall};
use super::parts;
use super::table::{CallFacts, CallId, FrameKey, SpanCall};
use crate::kernel::{OpenCall, OpenCalls};
use crate::plan::Context;
use crate::session::reader::site_table::SiteTable;

/// Reads open calls from the kernel. A call that cannot be read is as one that is not there.
pub(super) struct KernelCalls<'k> {
    pub(super) open: &'k OpenCalls,
    pub(super) sites: &'k SiteTable,
}

impl KernelCalls<'_> {
    fn call(&self, key: FrameKey, open: &OpenCall) -> SpanCall {
        SpanCall {
            id: CallId {
                begun_ns: open.begun_ns,
                key,
            },
            facts: Arc::new(self.facts(key, open).unwrap_or_default()),
        }
    }

    /// Decodes the values that place the call.
    fn facts(&self, key: FrameKey, open: &OpenCall) -> Option<CallFacts> {
        let entry = self.sites.get(open.site)?;
        let begin = entry.layout.span().filter(|_| entry.slot == key.slot)?;
        if !begin.has_key() && !begin.has_parent() {
            return None;
        }
        let header = RecordHeader {
            site: open.site,
            ktime_ns: open.begun_ns,
            pid: key.process,
            flags: open.flags as u16,
            ..RecordHeader::default()
        };
        let values = entry
            .layout
            .decode_begun(header, &open.chunks, &Context::default());
        let (facts, _) = parts::facts(&begin.parts, &values.ok()?);
        Some(facts)
    }
}

impl CallSource for KernelCalls<'_> {
    fn open(&self, possible: PossibleCall) -> Option<SpanCall> {
        let FrameKey {
            slot,
            group,
            process,
            frame,
        } = possible.key;
        let key = BegunKey {
            probe: slot,
            group,
            process,
            reserved: 0,
            frame,
        };
        let open = self.open.find(key, possible.keeps).ok()??;
        Some(self.call(possible.key, &open))
    }

    fn keyed(&self) -> Vec<SpanCall> {
        let all = self.open.all_kept().unwrap_or_default();
        let calls = all.iter().map(|(key, open)| {
            let key = FrameKey {
                slot: key.probe,
                group: key.group,
                process: key.process,
                frame: key.frame,
            };
            self.call(key, open)
        });
        calls.filter(|call| call.facts.key.is_some()).collect()
    }

    fn missed(&self, slot: u32) -> u64 {
        self.open.missed(slot).unwrap_or(0)
    }
}
