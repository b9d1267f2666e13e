//! The process: modules, mappings, namespaces, liveness.
