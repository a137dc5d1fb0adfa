//! Typed results: a replay equals its execution, whatever serde attributes a type has, also across a deploy.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attributes;
mod bytes;
mod deploys;

use std::fmt::Debug;

use idem_core::typed::{decode_value, encode_value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a retry reads of `value`.
fn replayed<T: Serialize + DeserializeOwned>(value: &T) -> T {
    decode_value(&encode_value(value).unwrap()).unwrap()
}

#[track_caller]
fn assert_comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    assert_eq!(replayed(value), *value);
}
