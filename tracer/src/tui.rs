//! The terminal frontend.
