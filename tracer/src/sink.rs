//! Frontends that write lines: text and JSON.
