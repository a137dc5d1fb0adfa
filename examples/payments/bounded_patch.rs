//! JSON Patch within bounds. A copy of a copy doubles what it copies, so twenty operations turn a kilobyte into a
//! gigabyte.

use json_patch::{Patch, patch};
use serde_json::Value;

/// The largest request, in bytes. An account and its patches need far less.
pub(crate) const MOST_REQUEST_BYTES: usize = 64 * 1024;
const MOST_OPERATIONS: usize = 32;
/// The largest document, in bytes of text, after each operation.
const MOST_BYTES: usize = 16 * 1024;
/// How deeply arrays and objects may be nested.
const MOST_DEPTH: usize = 16;

/// Applies all `changes`, or says why not. After an error `document` must not be used.
///
/// Operations are applied one at a time, because the size after each bounds the size after the next: at most twice as
/// large, or larger by what the request contains. So a patch takes little memory, and little time of the only writer.
pub(crate) fn apply(document: &mut Value, changes: &Patch) -> Result<(), String> {
    if changes.len() > MOST_OPERATIONS {
        return Err(format!("a patch may have {MOST_OPERATIONS} operations at most"));
    }
    for (number, change) in changes.iter().enumerate() {
        let failed =
            |why: &dyn std::fmt::Display| format!("operation {number} at '{}': {why}", change.path());
        patch(document, std::slice::from_ref(change)).map_err(|error| failed(&error.kind))?;
        if !is_within(document, MOST_DEPTH) {
            return Err(failed(&format_args!("an account may be {MOST_DEPTH} deep at most")));
        }
        if document.to_string().len() > MOST_BYTES {
            return Err(failed(&format_args!("an account may have {MOST_BYTES} bytes at most")));
        }
    }
    Ok(())
}

/// Whether `value` is at most `depth` deep. The recursion is bounded: serde reads at most 128 levels, and one operation
/// at most doubles them.
fn is_within(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(values) => depth > 0 && values.iter().all(|value| is_within(value, depth - 1)),
        Value::Object(members) => depth > 0 && members.values().all(|value| is_within(value, depth - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
