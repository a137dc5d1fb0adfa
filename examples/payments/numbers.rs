//! Numbers that every program reads alike: many take a JSON number for a double, JavaScript among them.

/// The largest one of which a double knows the next. What may be larger is a string in JSON.
pub(crate) const EXACT: u64 = (1 << f64::MANTISSA_DIGITS) - 1;

/// At random, of those.
pub(crate) fn random() -> Result<u64, getrandom::Error> {
    Ok(getrandom::u64()? & EXACT)
}
