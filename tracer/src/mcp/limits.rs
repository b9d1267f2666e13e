//! Limits of `tracer mcp`

use std::time::Duration;

/// Time that a probe of an assistant lives, unless `--ttl` sets another one. It ends by itself then.
pub const PROBE_LIFE: Duration = Duration::from_secs(600);

/// Events of one probe of an assistant, unless `--max-hits` sets another number. For a `trace` these are calls.
pub const PROBE_HITS: u64 = 1_000;

/// Events per second of one probe of an assistant, unless `--max-rate` sets another number.
pub const PROBE_RATE: u64 = 100;

/// CPUs that all probes of an assistant may cost together, unless `--max-cpu` sets another share.
pub const PROBES_CPU: f64 = 0.05;

/// Probes of an assistant at a time, unless `--max-probes` sets another number.
pub const LIVE_PROBES: usize = 10;

/// Probes that have ended and are still listed. The oldest is forgotten beyond.
pub const ENDED_PROBES: usize = 50;

/// Items of one answer, such as lines, functions or events. A request for more gets this many.
pub const PAGE_ITEMS: usize = 200;

/// Items of one answer if the request does not say how many.
pub const USUAL_ITEMS: usize = 50;

/// Bytes of one answer, as JSON. Items beyond are on the next page.
pub const PAGE_BYTES: usize = 64 << 10;

/// Bytes of one item, as JSON. The texts of a larger one are cut, and the item says so.
pub const ITEM_BYTES: usize = 32 << 10;

/// Bytes of each text in an item that is cut.
pub const CUT_TEXT: usize = 256;

/// Members of each list or object in an item that is cut.
pub const CUT_MEMBERS: usize = 16;

/// Bytes of a line of source. The rest of the line is cut.
pub const SOURCE_LINE: usize = 500;

/// Lines of source in one answer.
pub const SOURCE_LINES: u64 = 200;

/// Bytes of a probe's text that an assistant sends. A longer one is refused.
pub const PROBE_TEXT: usize = 4 << 10;

/// Bytes of the other texts that an assistant sends, such as patterns. A longer one is refused.
pub const ARGUMENT_TEXT: usize = 1 << 10;

/// Bytes of events that are kept for an assistant. The oldest are forgotten beyond, and answers say how many.
pub const KEPT_BYTES: usize = 32 << 20;

/// Notes of the session that are kept until they are read. The oldest are forgotten beyond.
pub const KEPT_NOTES: usize = 100;

/// Longest time that a request waits for a first event.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Bytes of one message of a client. A longer one is ignored.
pub const MESSAGE_BYTES: usize = 1 << 20;

/// Requests of all clients that are worked on at a time. The others wait.
pub const WORKING: usize = 4;

/// Requests of all clients that wait or are worked on. Further ones are refused.
pub const WAITING: usize = 64;

/// Time for a client to take an answer. A client that takes longer counts as gone.
pub const TAKING: Duration = Duration::from_secs(30);

/// Time for the answers on their way when the client is gone.
pub const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Connections of clients that have sent the token, to `--listen`, at a time. Further ones are refused.
pub const CONNECTIONS: usize = 32;

/// Connections of other clients at a time. The oldest is closed beyond.
pub const GUESTS: usize = 64;

/// Time for a client to send the token. Its connection is closed then.
pub const TOKEN_TIME: Duration = Duration::from_secs(2);

/// Sessions of clients of `--listen` at a time. Further ones are refused.
pub const HTTP_SESSIONS: usize = 64;

/// Bytes of the file of `--token-file`.
pub const TOKEN_BYTES: u64 = 4 << 10;
