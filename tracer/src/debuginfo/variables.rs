//! Variables in scope at an address, statics, and thread-local storage.

pub(super) mod block_cache;
pub(super) mod coroutines;
pub(super) mod function_frame;
pub(super) mod lookup;
pub(super) mod removed_blocks;
pub(super) mod scope;
pub(super) mod statics;
pub mod thread_db;
pub mod tls;
pub(super) mod variable_reader;
