//! Numbers that every program reads alike. Many programs, and JavaScript, read a JSON number as a double.

/// The largest integer that a double represents exactly together with its successor. Larger numbers are strings in
/// JSON.
pub(crate) const EXACT: u64 = (1 << f64::MANTISSA_DIGITS) - 1;

/// A random number up to [`EXACT`].
pub(crate) fn random() -> Result<u64, getrandom::Error> {
    Ok(getrandom::u64()? & EXACT)
}
