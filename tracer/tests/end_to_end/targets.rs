//! Targets of every kind, and targets that change, fork or end.

mod apart;
mod churn;
mod containers;
mod corrupt_files;
mod departures;
mod each_process;
mod following;
mod forks;
mod launched;
mod lifetime;
mod paging;
mod privileges;
mod scripts;
mod selected;
mod selectors;
mod shared_library;
mod units;
mod workers;
