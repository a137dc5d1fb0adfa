//! Whether the server vacuums often enough.

use idem_core::Result;

use super::{failed, incompatible};
use crate::sql::{Executor, Parameter};

/// Seconds, half of the server's default. Each completion leaves a dead row, and the server looks for them once in this time:
/// with the default the table was seen to be 12 to 17 times what lived in it.
const LONGEST_NAPTIME: i64 = 30;

/// Whether rows of the table are vacuumed at all, and how often the server looks for tables to vacuum.
const QUERY: &str = "
    SELECT
        current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean,
        coalesce((
            SELECT option_value::boolean FROM pg_catalog.pg_class, pg_catalog.pg_options_to_table(reloptions)
            WHERE oid = format('%I.records', $1)::regclass AND option_name = 'autovacuum_enabled'
        ), true),
        (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'autovacuum_naptime')";

/// Warns of a server whose table will grow far beyond what lives in it.
pub(super) async fn look(session: &mut impl Executor, schema: &str) -> Result<()> {
    let failed = |refusal| failed("the settings of autovacuum cannot be read", refusal);
    let row = session.row(QUERY, &[Parameter::Text(schema)]).await.map_err(failed)?;
    let of_the_server: bool = row.get(0).map_err(incompatible)?;
    let of_the_table: bool = row.get(1).map_err(incompatible)?;
    let naptime: i64 = row.get(2).map_err(incompatible)?;
    if !of_the_server {
        tracing::warn!(
            schema,
            "the server does not vacuum: the store's table grows without end; set autovacuum = on and track_counts = on"
        );
    } else if !of_the_table {
        tracing::warn!(
            schema,
            "the server does not vacuum the store's table, which grows without end; reset its autovacuum_enabled"
        );
    } else if naptime > LONGEST_NAPTIME {
        tracing::warn!(
            schema,
            naptime,
            "the server looks for dead rows every {naptime} s: under full load the store's table outgrows its records many \
             times; set autovacuum_naptime to 10 s"
        );
    }
    Ok(())
}
