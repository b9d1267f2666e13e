//! A probe compiled for one site: the ops for the kernel side and the layout
//! that decodes what they send.
