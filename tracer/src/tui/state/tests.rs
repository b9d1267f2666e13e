//! Keys, mouse and screens.
