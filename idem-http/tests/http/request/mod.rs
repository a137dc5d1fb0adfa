//! What the layer takes from a request: its key, its scope, its fingerprint.

mod forms;
mod pinned;
mod s01_key_is_a_string;
mod s02_two_syntaxes;
mod s05_methods;
mod s07_fingerprint;
mod s08_scope;
