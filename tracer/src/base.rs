//! Small parts that every room may use: addresses, limits, reasons, signals, and text that is safe
//! to show.

pub mod address;
pub mod cancel;
pub mod causes;
pub mod diagnostic;
pub mod limits;
pub(crate) mod path_text;
pub(crate) mod pool_cell;
pub(crate) mod private;
pub(crate) mod signals;
pub mod suggestions;
pub mod unavailable;
pub mod user_thread;
pub(crate) mod users;
pub mod visible;
